/*
 * config.h: the settings of a training, as numbers. What they are called, their ranges and defaults
 * stand in train/params.c and nowhere else.
 */
#ifndef GNN_MODEL_CONFIG_H
#define GNN_MODEL_CONFIG_H

#include "core/types.h"

/* the most that serving has room for, see model/induct.h */
#define GNN_MAX_LAYERS 8

/* what graphsage takes of a node's neighbours */
typedef enum GnnAggregator
{
    GNN_AGGREGATOR_MEAN,
    GNN_AGGREGATOR_POOL
} GnnAggregator;

/* what gat's attention knows of an edge, beside whom it joins */
typedef enum GnnEdgeAttention
{
    GNN_EDGE_ATTENTION_WEIGHT,
    GNN_EDGE_ATTENTION_NONE,
    GNN_EDGE_ATTENTION_RELATION /* and its weight among those of the relation */
} GnnEdgeAttention;

/* what of the graph a step of training propagates on */
typedef enum GnnSampling
{
    GNN_SAMPLING_NONE,          /* all of it */
    GNN_SAMPLING_NEIGHBOURS,    /* some neighbours of each node, each as likely as any */
    GNN_SAMPLING_WALKS          /* those that some random walkers go to; see train/subgraph.h */
} GnnSampling;

#define GNN_MAX_FANOUT 256

/* what makes a vector of a node's features */
typedef enum GnnEncoder
{
    GNN_ENCODER_LINEAR,
    GNN_ENCODER_MLP
} GnnEncoder;

/* what not every model has: parameters that are about it mean nothing to the others */
typedef enum GnnUse
{
    GNN_USE_EDGES = 1,          /* steps along edges */
    GNN_USE_DROPOUT = 2,
    GNN_USE_HEADS = 4,
    GNN_USE_AGGREGATOR = 8,
    GNN_USE_BASES = 16,
    GNN_USE_OBJECTIVE = 32,     /* of its own, beside the loss */
    GNN_USE_LAYERS = 64,        /* of another kind than steps along edges */
    GNN_USE_WALKS = 128,        /* those of random walks, which come before training: the plan's `visited` */
    GNN_USE_EDGE_ATTENTION = 256
} GnnUse;

/* how the two views of a contrastive term are disturbed */
typedef enum GnnContrastKind
{
    GNN_CONTRAST_NONE,
    GNN_CONTRAST_NOISE,
    GNN_CONTRAST_EDGES
} GnnContrastKind;

typedef struct GnnConfig
{
    int         model;          /* index into gnn_models */
    int         loss;           /* index into gnn_losses */
    int         dim;
    int         layers;
    int         aggregator;     /* GnnAggregator */
    int         heads;
    int         edge_attention; /* GnnEdgeAttention */
    int         walks;
    int         walk_length;
    int         importance_neighbours;
    int         encoder;        /* GnnEncoder */
    int         bases;
    double      relation_weight;
    int         steps;
    int         users_per_step; /* 0: all */
    int         sampling;       /* GnnSampling */
    int         fanout;
    double      learning_rate;  /* 0: the model's own default */
    double      temperature;
    int         negatives;      /* 0: the loss's own default */
    double      negative_alpha;
    double      user_weight;
    double      reg_weight;     /* 0: the loss's own default */
    double      weight_decay;
    double      clip_norm;      /* 0: none */
    double      dropout;
    int         contrast;       /* GnnContrastKind */
    double      contrast_weight;        /* 0: the loss's own default */
    double      contrast_temperature;
    int         contrast_nodes;
    double      contrast_noise;
    double      edge_dropout;
    int64_t     seed;
    double      holdout;
    int         patience;
} GnnConfig;

#endif
