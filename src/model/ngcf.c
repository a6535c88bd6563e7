/*
 * ngcf.c: neural graph collaborative filtering (Wang et al., SIGIR 2019).
 *
 *     H_0 = X;   A = A_hat H_l;   H_{l+1} = drop(f((H_l + A) W_l + (A * H_l) V_l));   M = 1/(L+1) sum_l H_l;   Z = D^0.2 M / |M|
 *
 * * goes element by element: a neighbour's message is the stronger the more alike it is. f is a leaky ReLU (slope 0.2), drop
 * the paper's message dropout. Where we differ: the paper puts the layers side by side, so that an embedding has (L+1) dim
 * numbers; we take their mean, so that it has dim, at a length by degree (see core/ops_mean.c): the authors' program brings
 * layers to length 1. W starts near the identity and V near 0: at the first step the network propagates, with self loops, as
 * LightGCN does.
 */
#include "model/model.h"

#include "core/ops.h"

#include <math.h>

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c)
{
    GnnMat     *w = gnn_model_weight(p, c);
    GnnMat     *v = gnn_plan_parameter(p, c->dim, c->dim, GNN_START_NORMAL, GNN_MODEL_NOISE / sqrt(c->dim));

    return gnn_op_interact(p, h, w, gnn_op_propagate(p, h, 0, 1), v, SLOPE, c->dropout);
}

static GnnMat *
ngcf_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], c);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

const GnnModel gnn_ngcf = {
    .name = "ngcf",
    .what = "NGCF: messages with learned weights that grow with the likeness of both ends; the mean of all layers",
    .paper = "Wang, He, Wang, Feng and Chua: Neural graph collaborative filtering, SIGIR 2019",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT,
    .learning_rate = 0.02,
    .linear = false,
    .build = ngcf_build,
    .fold_in = gnn_fold_in_mean,
};
