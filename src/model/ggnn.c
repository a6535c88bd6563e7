/*
 * ggnn.c: gated graph neural network (Li et al., ICLR 2016), the recurrent one: every step along edges has the same weights.
 *
 *     H_0 = X;   M = A_hat H_l;   H_{l+1} = GRU(H_l, M);   Z = 1/(L+1) sum_l H_l
 *
 * Where we differ: the paper has features of nodes, here the input X is learned; neighbours are summed by A_hat, not by A,
 * whose sums would saturate the unit at a popular node; no biases, and no weight of the message but the unit's own; the mean
 * of all states and not the last. The candidate's weight of the message starts near the identity, the others near 0: at the
 * first step a state goes half way to what its neighbours say.
 */
#include "model/model.h"

#include "core/ops.h"

#include <math.h>

static GnnMat *
ggnn_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};
    GnnMat     *w = gnn_plan_parameter(p, c->dim, 3 * c->dim, GNN_START_IDENTITY, GNN_MODEL_NOISE / sqrt(c->dim));
    GnnMat     *u = gnn_plan_parameter(p, c->dim, 3 * c->dim, GNN_START_NORMAL, GNN_MODEL_NOISE / sqrt(c->dim));

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = gnn_op_gru(p, h[l], gnn_op_propagate(p, h[l], 0, 1), w, u, c->dropout);
    return gnn_op_mean(p, h, c->layers + 1);
}

const GnnModel gnn_ggnn = {
    .name = "ggnn",
    .what = "Gated graph network: a node's vector is the state of a recurrent unit, its neighbours' the input",
    .paper = "Li, Tarlow, Brockschmidt and Zemel: Gated graph sequence neural networks, ICLR 2016",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT,
    .learning_rate = 0.02,
    .linear = false,
    .build = ggnn_build,
    .fold_in = gnn_fold_in_mean,
};
