/*
 * rgcn.c: relational graph convolutional network (Schlichtkrull et al., ESWC 2018).
 *
 *     H_0 = X;   H_{l+1} = drop(f(H_l W_0 + sum_r D_r^-1 A_r H_l W_r));   W_r = sum_b c_rb V_b;
 *     M = 1/(L+1) sum_l H_l;   Z = D^0.2 M / |M|
 *
 * r is a relation in one of its two directions, D_r^-1 A_r the mean over a node's neighbours by it, V_b the basis matrices
 * that all relations of a layer share (parameter `bases`). f is a leaky ReLU (slope 0.2), the identity in the last layer. What
 * a relation weighs as a whole cancels in its mean: how much it counts, and for what, is learned. Where we differ: the paper
 * has a ReLU; it takes the last layer, we the mean of all at a length by degree (see core/ops_mean.c), without which the
 * popular would be no nearer than the rare. Matrices start near the identity, and c with one basis for each relation, in turn:
 * at the first step a layer adds a node and the means of its neighbours.
 */
#include "model/model.h"

#include "core/ops.h"

#include <math.h>

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c, bool last)
{
    int         relations = p->typed->n_relations;
    int         bases = c->bases < relations ? c->bases : relations;
    GnnMat     *w = gnn_plan_parameter(p, (1 + bases) * c->dim, c->dim, GNN_START_IDENTITIES, GNN_MODEL_NOISE / sqrt(c->dim));
    GnnMat     *mix = gnn_plan_parameter(p, relations, bases, GNN_START_IDENTITIES, GNN_MODEL_NOISE);

    return gnn_op_relation_sum(p, h, w, mix, last ? 1 : SLOPE, c->dropout);
}

static GnnMat *
rgcn_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], c, l == c->layers - 1);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

const GnnModel gnn_rgcn = {
    .name = "rgcn",
    .what = "R-GCN: each relation brings the mean of its neighbours through learned weights of its own",
    .paper = "Schlichtkrull, Kipf, Bloem, van den Berg, Titov and Welling: Modeling relational data with graph convolutional "
        "networks, ESWC 2018",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_BASES,
    .learning_rate = 0.02,
    .linear = false,
    .typed = gnn_model_always_typed,
    .build = rgcn_build,
    .fold_in = gnn_fold_in_mean,
};
