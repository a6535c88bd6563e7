/*
 * config.h: the settings of a training, as numbers. What they are called, their ranges and defaults
 * stand in train/params.c and nowhere else.
 */
#ifndef GNN_MODEL_CONFIG_H
#define GNN_MODEL_CONFIG_H

#include "core/types.h"

/* what graphsage takes of a node's neighbours */
typedef enum GnnAggregator
{
    GNN_AGGREGATOR_MEAN,
    GNN_AGGREGATOR_POOL
} GnnAggregator;

/* what of the graph a step of training propagates on */
typedef enum GnnSampling
{
    GNN_SAMPLING_NONE,          /* all of it */
    GNN_SAMPLING_NEIGHBOURS,    /* some neighbours of each node, each as likely as any */
    GNN_SAMPLING_WALKS          /* those that a random step goes to */
} GnnSampling;

#define GNN_MAX_FANOUT 256

typedef struct GnnConfig
{
    int         model;          /* index into gnn_models */
    int         loss;           /* index into gnn_losses */
    int         dim;
    int         layers;
    int         aggregator;     /* GnnAggregator */
    int         heads;
    int         walks;
    int         walk_length;
    int         importance_neighbours;
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
    double      dropout;
    int64_t     seed;
    double      holdout;
    int         patience;
} GnnConfig;

#endif
