/*
 * params.c: the table of parameters: names, ranges, defaults and what each is for.
 */
#include "train/params.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define CHOICE(name, list, what) {#name, GNN_PARAM_CHOICE, offsetof(GnnConfig, name), 0, 0, 0, list, what}
#define WHOLE(name, min, max, def, what) {#name, GNN_PARAM_INT, offsetof(GnnConfig, name), min, max, def, NULL, what}
#define REAL(name, min, max, def, what) {#name, GNN_PARAM_REAL, offsetof(GnnConfig, name), min, max, def, NULL, what}

/* in the order of gnn_models and gnn_losses */
static const char *const models[] = {"lightgcn", "gcn", "mf", "ngcf", "graphsage", "gat", "ggnn", "pinsage", "rgcn",
    "kgat", "dnn", NULL};
static const char *const losses[] = {"softmax", "bpr", "bce", "mse", NULL};

/* in the order of GnnAggregator */
static const char *const aggregators[] = {"mean", "pool", NULL};

/* in the order of GnnEdgeAttention */
static const char *const edge_attentions[] = {"weight", "none", "relation", NULL};

/* in the order of GnnSampling */
static const char *const samplings[] = {"none", "neighbours", "walks", NULL};

/* in the order of GnnEncoder */
static const char *const encoders[] = {"linear", "mlp", NULL};

/* in the order of GnnContrastKind */
static const char *const contrasts[] = {"none", "noise", "edges", NULL};

/* the largest seed: every whole number up to it is a double */
#define MAX_SEED 9007199254740992.0

const GnnParam gnn_params[] = {
    CHOICE(model, models, "What is learned: lightgcn, a linear propagation; mf, without a graph; dnn, from features without a "
           "graph; the others, networks with learned weights and activations."),
    CHOICE(loss, losses, "What is minimised: softmax over sampled negatives; bpr, pairs of an item seen and one not; bce, "
           "has it or has not; mse, the weight's square error, for ratings."),
    WHOLE(dim, 1, GNN_MAX_DIM, 64, "Numbers in an embedding, d."),
    WHOLE(layers, 0, GNN_MAX_LAYERS, 2, "Steps along edges that an embedding sees, L; none with mf, nor with 0. With dnn: layers "
          "of a tower."),
    CHOICE(aggregator, aggregators, "What graphsage takes of neighbours: their mean, or the largest of each number (pool)."),
    WHOLE(heads, 1, GNN_MAX_HEADS, 4, "Heads of gat's attention, each on its share of the numbers."),
    CHOICE(edge_attention, edge_attentions, "What gat's attention knows of an edge: its weight; nothing (none); its weight among "
           "those of its relation, and which relation that is (relation)."),
    CHOICE(encoder, encoders, "What makes a vector of a node's features: the sum of the features' own vectors (linear), or a net "
           "of two layers (mlp)."),
    WHOLE(bases, 1, 128, 4, "Matrices in a layer of rgcn, of which each relation mixes its own; no more than there are "
          "relations, twice."),
    REAL(relation_weight, 0, 100, 0.1, "Weight of kgat's second objective, TransR's, in the loss: what is related is near in "
         "its relation's space."),
    WHOLE(walks, 1, 10000, 100, "Random walks from each node, by which pinsage finds its neighbours."),
    WHOLE(walk_length, 1, 100, 2, "Steps of such a walk."),
    WHOLE(importance_neighbours, 1, 1000, 20, "Nodes, of those that the walks visit most, that pinsage takes for neighbours."),
    WHOLE(steps, 1, 100000, 60, "Steps of the optimiser, each over all interactions or those of users_per_step users."),
    WHOLE(users_per_step, 0, INT32_MAX, 0, "Users whose interactions a step learns from, drawn anew each step; 0 takes all."),
    CHOICE(sampling, samplings, "What a step propagates on: the whole graph (none), or a sample around its users, with "
           "neighbours drawn evenly (neighbours) or by random walkers, who go by weight (walks)."),
    WHOLE(fanout, 1, GNN_MAX_FANOUT, 10, "Neighbours of a node, and interactions of a user, that a sample takes along at most."),
    REAL(learning_rate, 0, 10, 0, "Step size of Adam; 0 takes the model's own: 0.1 for lightgcn and mf, 0.02 for the others."),
    REAL(temperature, 0.01, 10, 0.1, "Temperature t of the softmax: small ones look at the hardest negatives."),
    WHOLE(negatives, 0, 65536, 0, "Negatives M: of a block of 512 users for softmax, of one interaction for the others; "
          "0 takes the loss's own: 2048 and 4."),
    REAL(negative_alpha, 0, 2, 0.7, "Negatives are drawn by degree^alpha (the beta of the formulas); 0 draws all items alike."),
    REAL(user_weight, 0, 2, 1, "A user with n interactions counts n^g in the softmax; below 1 evens users out."),
    REAL(reg_weight, 0, 10, 0, "Weight of half the parameters' squared norm, per node, in the loss; "
         "0 takes the loss's own: none for softmax, 0.01 for the others."),
    REAL(weight_decay, 0, 1, 0, "Share of every parameter, times learning_rate, that a step takes off it (AdamW); 0 takes "
         "nothing."),
    REAL(clip_norm, 0, 1000000, 0, "A gradient longer than this is brought down to it, with sampling that of each matrix by "
         "itself; 0 leaves all as they are."),
    REAL(dropout, 0, 0.9, 0, "Share of a layer's results that is dropped in training; lightgcn and mf drop none."),
    CHOICE(contrast, contrasts, "Two views of a node shall be alike, and unlike those of others: views by noise on what goes "
           "along edges, or without some of the edges; none with mf and dnn, nor with 0 layers."),
    REAL(contrast_weight, 0, 100, 0, "Weight of the contrast in the loss; 0 takes the loss's own: 0.1 for softmax, 0.02 for "
         "the others."),
    REAL(contrast_temperature, 0.01, 10, 0.2, "Temperature of the contrast: small ones look at the nodes most alike."),
    WHOLE(contrast_nodes, 2, 65536, 2048, "Users, and items, that a step draws to contrast."),
    REAL(contrast_noise, 0, 1, 0.1, "With noise: its length, as a share of the length of what it is added to."),
    REAL(edge_dropout, 0, 0.9, 0.1, "With edges: the share of them that a view lacks."),
    {"seed", GNN_PARAM_INT64, offsetof(GnnConfig, seed), 0, MAX_SEED, 1, NULL,
     "Start of all random numbers: the same seed gives the same embeddings, bit for bit."},
    REAL(holdout, 0, 0.5, 0, "Share of each user's interactions, the latest where times are known, kept out to measure; "
         "0 measures nothing."),
    WHOLE(patience, 0, 100000, 20, "With a holdout: stop after so many steps without a better ndcg@20; 0 never stops early."),
};
const int   gnn_n_params = sizeof(gnn_params) / sizeof(gnn_params[0]);

/* the parameters that not every model looks at */
static const struct
{
    size_t      offset;
    GnnUse      use;
}           uses[] = {
    {offsetof(GnnConfig, layers), GNN_USE_EDGES | GNN_USE_LAYERS},
    {offsetof(GnnConfig, aggregator), GNN_USE_AGGREGATOR},
    {offsetof(GnnConfig, heads), GNN_USE_HEADS},
    {offsetof(GnnConfig, edge_attention), GNN_USE_EDGE_ATTENTION},
    {offsetof(GnnConfig, walks), GNN_USE_WALKS},
    {offsetof(GnnConfig, walk_length), GNN_USE_WALKS},
    {offsetof(GnnConfig, importance_neighbours), GNN_USE_WALKS},
    {offsetof(GnnConfig, bases), GNN_USE_BASES},
    {offsetof(GnnConfig, relation_weight), GNN_USE_OBJECTIVE},
    {offsetof(GnnConfig, dropout), GNN_USE_DROPOUT},
    {offsetof(GnnConfig, contrast), GNN_USE_EDGES},
    {offsetof(GnnConfig, contrast_weight), GNN_USE_EDGES},
    {offsetof(GnnConfig, contrast_temperature), GNN_USE_EDGES},
    {offsetof(GnnConfig, contrast_nodes), GNN_USE_EDGES},
    {offsetof(GnnConfig, contrast_noise), GNN_USE_EDGES},
    {offsetof(GnnConfig, edge_dropout), GNN_USE_EDGES},
};

int
gnn_param_use(const GnnParam *p)
{
    for (int i = 0; i < (int) (sizeof(uses) / sizeof(uses[0])); i++)
        if (uses[i].offset == p->offset)
            return uses[i].use;
    return 0;
}

static void
store(GnnConfig *c, const GnnParam *p, double value)
{
    void       *field = (char *) c + p->offset;

    switch (p->kind)
    {
        case GNN_PARAM_CHOICE:
        case GNN_PARAM_INT:
            *(int *) field = (int) value;
            break;
        case GNN_PARAM_INT64:
            *(int64_t *) field = (int64_t) value;
            break;
        case GNN_PARAM_REAL:
            *(double *) field = value;
            break;
    }
}

void
gnn_config_defaults(GnnConfig *c)
{
    memset(c, 0, sizeof(*c));
    for (int i = 0; i < gnn_n_params; i++)
        store(c, &gnn_params[i], gnn_params[i].def);
}

const GnnParam *
gnn_param_find(const char *name)
{
    for (int i = 0; i < gnn_n_params; i++)
        if (strcmp(gnn_params[i].name, name) == 0)
            return &gnn_params[i];
    return NULL;
}

const char *
gnn_param_set_number(GnnConfig *c, const GnnParam *p, double value, char *buf, size_t size)
{
    bool        whole = p->kind != GNN_PARAM_REAL;

    if (p->kind == GNN_PARAM_CHOICE)
        return gnn_param_set_choice(c, p, NULL, buf, size);
    if (!(value >= p->min && value <= p->max) || (whole && value != floor(value)))
    {
        snprintf(buf, size, "%s must be a %s from %.16g to %.16g", p->name, whole ? "whole number" : "number",
                 p->min, p->max);
        return buf;
    }
    store(c, p, value);
    return NULL;
}

static bool
same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* 'model must be lightgcn or gcn', 'loss must be a, b or c' */
static const char *
choice_rule(const GnnParam *p, char *buf, size_t size)
{
    int         at = snprintf(buf, size, "%s must be %s", p->name, p->choices[0]);

    for (int i = 1; p->choices[i] != NULL && at < (int) size; i++)
        at += snprintf(buf + at, size - at, "%s%s", p->choices[i + 1] == NULL ? " or " : ", ", p->choices[i]);
    return buf;
}

const char *
gnn_param_set_choice(GnnConfig *c, const GnnParam *p, const char *value, char *buf, size_t size)
{
    if (p->kind != GNN_PARAM_CHOICE)
        return gnn_param_set_number(c, p, NAN, buf, size);
    for (int i = 0; p->choices[i] != NULL; i++)
        if (same(p->choices[i], value))
        {
            store(c, p, i);
            return NULL;
        }
    return choice_rule(p, buf, size);
}
