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
 *
 * Inductive: each walk of a new node begins with a step to a neighbour i, by the share s_i of that edge, and goes on as walks
 * from i do. So nobody has to walk when it comes: its N is, in expectation, a sum of what its neighbours send,
 *
 *     N = sum over i of s_i m_i;   m_i = 1/2 (p_i + sum over u of P_iu p_u),   p_i where walks have one step or i no edges
 *
 * of two visits one to i itself, one to a neighbour u of i, by P = D^-1 A; p is f(h Q_l). Walks of one step and of two visit just
 * that. The later steps of longer ones are left out: they lead to what is popular, whoever the node is (with them, by the u's own
 * N, MovieLens 1M has 0.2295 and not 0.2438 at walk_length 3; recall@20, otherwise as in the README). Two things differ from
 * the N of a training that knows the node. All that is visited counts, however many nodes that is; the T visited most would, as a
 * rule, be its neighbours first, and less of what is beyond them. And its neighbours' walks do not come back to it: a training
 * leaves out visits to the node itself, here there are none to leave out, or, where it was there, they count. Of such a node N
 * comes out as (1 - r) N + r p, with r the share of visits that are to itself.
 */
#include "model/model.h"

#include "core/kernel.h"
#include "core/ops.h"

#include <math.h>

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

    p->walk_length = c->walk_length;
    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], c, l == c->layers - 1);
    return gnn_op_sized_mean(p, h, c->layers + 1, SIZE);
}

/* ---- a new node ---- */

/* y += the mean, by weight, of x's rows of the node's neighbours */
static void
add_mean(real *y, const real *x, int64_t dim, const GnnAdjacency *adjacency, int64_t node)
{
    const GnnCsr *a = &adjacency->a;
    const double *degree = adjacency->degree;

    for (int64_t e = a->ptr[node]; e < a->ptr[node + 1]; e++)
        gnn_add_scaled(y, (real) (a->val[e] * sqrt(degree[a->idx[e]] / degree[node])), x + a->idx[e] * dim, dim);
}

/* m_i of a layer, whose sum over those visited is step s */
static void
message(real *out, const GnnPlan *plan, const GnnPlanStep *s, int64_t node)
{
    const real *p = gnn_pool_terms(s);
    int64_t     dim = s->out->dim;

    memcpy(out, p + node * dim, dim * sizeof(real));
    if (plan->walk_length == 1 || plan->adjacency->degree[node] == 0)
        return;
    add_mean(out, p, dim, plan->adjacency, node);
    gnn_scale(out, (real) 0.5, dim);
}

static void
pinsage_fold_in(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node)
{
    real       *next = out + z->dim;

    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].op == &gnn_visited_sum)
        {
            message(next, plan, &plan->steps[i], node);
            next += z->dim;
        }
    if (next > out + z->dim)
        gnn_input_row(out, plan, node);
    else
        gnn_fold_in_mean(out, plan, z, node);
}

static int
pinsage_n_messages(const GnnConfig *c)
{
    return c->layers + 1;
}

static int64_t
pinsage_n_weights(const GnnConfig *c)
{
    return (int64_t) c->layers * 3 * c->dim * c->dim;
}

/* a layer's Q, which the messages went through, comes before its W and V */
static void
pinsage_induct(real *out, const GnnInduct *in)
{
    int64_t     dim = in->config->dim;
    int64_t     square = dim * dim;
    const real *w = in->weights;
    real        h[GNN_MAX_DIM];
    real        sum[GNN_MAX_DIM];
    real        n[GNN_MAX_DIM];

    gnn_induct_mean(h, in, 0, dim);
    memcpy(sum, h, dim * sizeof(real));
    for (int l = 0; l < in->config->layers; l++, w += 3 * square)
    {
        real        next[GNN_MAX_DIM] = {0};

        gnn_induct_mean(n, in, (l + 1) * dim, dim);
        gnn_add_product(next, h, w + square, dim, dim);
        gnn_add_product(next, n, w + 2 * square, dim, dim);
        gnn_activate(next, l == in->config->layers - 1 ? 1 : SLOPE, dim);
        gnn_add_scaled(sum, 1, next, dim);
        memcpy(h, next, dim * sizeof(real));
    }
    gnn_induct_sized(out, sum, in, SIZE);
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
    .fold_in = pinsage_fold_in,
    .induct = pinsage_induct,
    .n_messages = pinsage_n_messages,
    .n_weights = pinsage_n_weights,
};
