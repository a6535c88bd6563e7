/*
 * pinsage.c: PinSage (Ying et al., KDD 2018): neighbours by random walks, weighed by how often those come by.
 *
 *     H_0 = X;   N = sum over u of b_vu f(h_u Q_l);   H_{l+1} = drop(f(H_l W_l + N V_l))
 *     M = 1/(L+1) sum_l H_l;   Z = D^0.2 M / |M|
 *
 * b_vu is u's share of the visits that short random walks from v pay to the T nodes they visit most (see core/walk.h): the
 * paper's importance pooling, with W and V the halves of its weight of the two put side by side. f is a leaky ReLU (slope 0.2),
 * the identity for H_L. Where we differ: the paper has features of nodes, here the input X is learned; it has ReLU and biases;
 * its walks restart by chance, ours after `walk_length` steps, and what they visit is of any type; they are walked once a
 * training. It brings each layer's rows to length 1 and ends in a net of its own: we take the mean of all layers, at a length by
 * degree, as all models that average do (see core/ops_mean.c). Its negatives, harder from epoch to epoch, are the softmax's
 * low temperature here. Weights start near the identity.
 */
#include "model/model.h"

#include "core/ops.h"

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c, bool last)
{
    GnnMat     *n = gnn_op_visited_sum(p, h, gnn_model_weight(p, c), SLOPE);
    GnnMat     *w = gnn_model_weight(p, c);

    return gnn_op_join(p, h, w, n, gnn_model_weight(p, c), last ? 1 : SLOPE, c->dropout);
}

static GnnMat *
pinsage_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], c, l == c->layers - 1);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

const GnnModel gnn_pinsage = {
    .name = "pinsage",
    .what = "PinSage: learned weights for a node and for those that random walks from it visit most",
    .paper = "Ying, He, Chen, Eksombatchai, Hamilton and Leskovec: Graph convolutional neural networks for web-scale recommender "
        "systems, KDD 2018",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_WALKS,
    .learning_rate = 0.02,
    .linear = false,
    .build = pinsage_build,
    .fold_in = gnn_fold_in_mean,
};
