/*
 * mf.c: matrix factorisation (Koren, Bell and Volinsky, Computer 42(8), 2009): the yardstick without a graph.
 *
 *     Z = X
 *
 * A vector a node is learned, and the loss sees it as it is; `layers` means nothing here. Where we differ: no biases of users and
 * items, which no embedding could carry, and the loss is any of ours. With softmax, whose cosines leave a vector's length alone,
 * length is what the start and Adam's steps make it.
 */
#include "model/model.h"

static GnnMat *
mf_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    return gnn_model_input(p, g, c);
}

const GnnModel gnn_mf = {
    .name = "mf",
    .what = "Matrix factorisation: learned embeddings and no graph, to compare with",
    .paper = "Koren, Bell and Volinsky: Matrix factorization techniques for recommender systems, Computer 42(8), 2009",
    .uses = 0,
    .learning_rate = 0.1,
    .linear = false,
    .build = mf_build,
    .fold_in = gnn_fold_in_mean,
};
