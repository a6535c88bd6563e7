/*
 * kgat.c: knowledge graph attention network (Wang et al., KDD 2019).
 *
 *     a_ht = softmax over the edges (h, r, t) of h of  log p_ht + (x_t W_r) . tanh(x_h W_r + b_r);   H_0 = X
 *     M = sum_t a_ht h_t;   H_{l+1} = drop(f((H_l + M) U_l) + f((H_l * M) V_l));   Z = D^0.2 N / |N|,  N = 1/(L+1) sum_l H_l
 *
 *     loss += weight . mean over h of  -log sigmoid(g(h, r, t') - g(h, r, t)),     g(h, r, t) = |x_h W_r + b_r - x_t W_r|^2
 *
 * r is a relation in one of its two directions, interactions among them; * goes element by element; f is a leaky ReLU (slope
 * 0.2). What is added to the loss is TransR's objective (core/ops_transr.c), its weight the parameter `relation_weight`:
 * each step draws an edge of each node and an end that does not belong there. As in the paper, W and b are learned by it
 * alone, and attention is a constant to the gradient; the paper computes it once an epoch from the vectors before propagation,
 * for all layers, and so do we, a step being one. Where we differ: the paper takes turns between both objectives, we add them;
 * an edge's weight counts as a prior p (over the mean of those h has by r; without weights 1, as in the paper); the paper puts
 * layers of length 1 side by side, we take their mean at a length by degree (see core/ops_mean.c). U and W start near the
 * identity, V near 0: at the first step the network adds a node and the mean of its neighbours.
 */
#include "model/model.h"

#include "core/ops.h"

#include <math.h>

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
layer(GnnPlan *p, GnnMat *h, GnnMat *attention, const GnnConfig *c)
{
    GnnMat     *u = gnn_model_weight(p, c);
    GnnMat     *v = gnn_plan_parameter(p, c->dim, c->dim, GNN_START_NORMAL, GNN_MODEL_NOISE / sqrt(c->dim));

    return gnn_op_bi_interact(p, h, u, gnn_op_weighted_sum(p, h, attention), v, SLOPE, c->dropout);
}

static GnnMat *
kgat_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};
    int64_t     relations = p->typed->n_relations;
    GnnMat     *w = gnn_plan_parameter(p, relations * c->dim, c->dim, GNN_START_IDENTITIES, GNN_MODEL_NOISE / sqrt(c->dim));
    GnnMat     *b = gnn_plan_parameter(p, relations, c->dim, GNN_START_NORMAL, GNN_MODEL_NOISE);
    GnnMat     *attention = gnn_op_relation_attention(p, h[0], w, b);

    gnn_plan_minimise(p, gnn_op_transr(p, h[0], w, b, c->relation_weight));
    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], attention, c);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

const GnnModel gnn_kgat = {
    .name = "kgat",
    .what = "KGAT: neighbours by attention to what relates them, learned by translation between the related",
    .paper = "Wang, He, Cao, Liu and Chua: KGAT: knowledge graph attention network for recommendation, KDD 2019",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_OBJECTIVE,
    .learning_rate = 0.02,
    .linear = false,
    .typed = gnn_model_always_typed,
    .build = kgat_build,
    .fold_in = gnn_fold_in_mean,
};
