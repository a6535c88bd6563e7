/*
 * graphsage.c: GraphSAGE (Hamilton, Ying and Leskovec, NIPS 2017), on the whole graph, with two of its aggregators.
 *
 *     H_0 = X;   H_{l+1} = drop(f(H_l W_l + aggregate(H_l) V_l));   M = 1/(L+1) sum_l H_l;   Z = D^0.2 M / |M|
 *     aggregate(H) = D^-1 A H ('mean'), or the largest of the neighbours' f(H P_l), number by number ('pool')
 *
 * f is a leaky ReLU (slope 0.2), the identity in the last layer. Where we differ: the paper has features of nodes, here the
 * input X is learned; the paper samples neighbours, here all count; it has ReLU and biases, we have neither. It takes the
 * last layer, at length 1: without that the popular are no nearer than the rare, which the ranking by inner products wants
 * (see core/ops_mean.c). Weights start near the identity: at the first step a layer adds a node and the mean of its
 * neighbours.
 */
#include "model/model.h"

#include "core/ops.h"

#include <math.h>

#define NOISE 0.1               /* deviation of a weight's noise, times 1 / sqrt(dim) */
#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
weight(GnnPlan *p, const GnnConfig *c)
{
    return gnn_plan_parameter(p, c->dim, c->dim, GNN_START_IDENTITY, NOISE / sqrt(c->dim));
}

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c, bool last)
{
    GnnMat     *w = weight(p, c);
    GnnMat     *v = weight(p, c);
    GnnMat     *a = c->aggregator == GNN_AGGREGATOR_MEAN ? gnn_op_neighbour_mean(p, h)
        : gnn_op_neighbour_max(p, h, weight(p, c), SLOPE);

    return gnn_op_join(p, h, w, a, v, last ? 1 : SLOPE, c->dropout);
}

static GnnMat *
graphsage_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], c, l == c->layers - 1);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

const GnnModel gnn_graphsage = {
    .name = "graphsage",
    .what = "GraphSAGE: learned weights for a node and the mean, or the largest numbers, of its neighbours",
    .paper = "Hamilton, Ying and Leskovec: Inductive representation learning on large graphs, NIPS 2017",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_AGGREGATOR,
    .learning_rate = 0.02,
    .linear = false,
    .build = graphsage_build,
    .fold_in = gnn_fold_in_mean,
};
