/*
 * gcn.c: graph convolutional network (Kipf and Welling, ICLR 2017).
 *
 *     H_0 = X;   H_{l+1} = drop(f(1/2 (I + A_hat) H_l W_l));   Z = H_L
 *
 * f is a leaky ReLU (slope 0.2) and the identity in the last layer. Where we differ: the paper has features of nodes, here
 * the input X is learned; its renormalised D~^-1/2 (A + I) D~^-1/2 gives the self loop the weight of one
 * edge, which means nothing where edges carry weights of any size, so we use I + A_hat, from which the
 * paper derives it (its equation 8), halved to keep the spectral norm at 1. W starts near the identity: at
 * the first step the network propagates as LightGCN does, and what it learns from there on is the difference.
 */
#include "model/model.h"

#include "core/ops.h"

#define SLOPE 0.2

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c, bool last)
{
    GnnMat     *w = gnn_model_weight(p, c);

    return gnn_op_dense(p, gnn_op_propagate(p, h, 0.5, 0.5), w, last ? 1 : SLOPE, c->dropout);
}

static GnnMat *
gcn_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h = gnn_model_input(p, g, c);

    for (int l = 0; l < c->layers; l++)
        h = layer(p, h, c, l == c->layers - 1);
    return h;
}

const GnnModel gnn_gcn = {
    .name = "gcn",
    .what = "GCN of Kipf and Welling: learned weights and a leaky ReLU in every layer, over learned embeddings",
    .paper = "Kipf and Welling: Semi-supervised classification with graph convolutional networks, ICLR 2017",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT,
    .learning_rate = 0.02,
    .linear = false,
    .build = gcn_build,
    .fold_in = gnn_fold_in_mean,
};
