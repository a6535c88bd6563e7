/*
 * gat.c: graph attention network (Velickovic et al., ICLR 2018).
 *
 *     H_0 = X;   G = drop(H_l W_l);   a_vu = softmax over u in N(v) and v of  log p_vu + l(att_0 . g_v + att_1 . g_u)
 *     H_{l+1} = f(sum_u a_vu g_u), each head on its share of the numbers;   M = 1/(L+1) sum_l H_l;   Z = D^0.2 M / |M|
 *
 * l is a leaky ReLU (slope 0.2), f the same and the identity in the last layer. Where we differ: the paper has features of
 * nodes, here the input X is learned; an edge's weight counts as a prior p (its share of the mean of v's edges; without
 * weights 1, as in the paper); heads stand side by side in the last layer too, where the paper averages them; f is an ELU
 * there; attention itself is not dropped out. The paper takes the last layer: attention has no way back to a node's own
 * vector but the 1 in |N(v)| + 1 that a self loop is, and so smooths people with long lists into one another. Hence the mean
 * of all layers, and the length by degree of core/ops_mean.c. W starts near the identity, attention near the mean.
 */
#include "model/model.h"

#include "core/ops.h"

#include <math.h>

#define NOISE 0.1               /* deviation of a weight's noise, times 1 / sqrt(dim) */
#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c, bool last)
{
    GnnMat     *w = gnn_plan_parameter(p, c->dim, c->dim, GNN_START_IDENTITY, NOISE / sqrt(c->dim));
    GnnMat     *att = gnn_plan_parameter(p, 2, c->dim, GNN_START_NORMAL, NOISE);

    return gnn_op_attend(p, gnn_op_dense(p, h, w, 1, c->dropout), att, c->heads, last ? 1 : SLOPE);
}

static GnnMat *
gat_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], c, l == c->layers - 1);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

const GnnModel gnn_gat = {
    .name = "gat",
    .what = "GAT: each node weighs its neighbours, and itself, by learned attention",
    .paper = "Velickovic, Cucurull, Casanova, Romero, Lio and Bengio: Graph attention networks, ICLR 2018",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_HEADS,
    .learning_rate = 0.02,
    .linear = false,
    .build = gat_build,
    .fold_in = gnn_fold_in_mean,
};
