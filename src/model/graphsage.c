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
 *
 * Inductive: a new node needs of its neighbours the rows that they put into the aggregates, of H_l or f(H_l P_l), and of H_0, if
 * it is not among those; and W and V.
 */
#include "model/model.h"

#include "core/kernel.h"
#include "core/ops.h"

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

static GnnMat *
layer(GnnPlan *p, GnnMat *h, const GnnConfig *c, bool last)
{
    GnnMat     *w = gnn_model_weight(p, c);
    GnnMat     *v = gnn_model_weight(p, c);
    GnnMat     *a = c->aggregator == GNN_AGGREGATOR_MEAN ? gnn_op_neighbour_mean(p, h)
        : gnn_op_neighbour_max(p, h, gnn_model_weight(p, c), SLOPE);

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

/* ---- a new node ---- */

/* f(H_l P_l); returns how many such steps there are */
static int
pool_messages(real *out, const GnnPlan *plan, int64_t node)
{
    int         n = 0;

    for (int i = 0; i < plan->n_steps; i++)
    {
        const GnnPlanStep *s = &plan->steps[i];
        int64_t     dim = s->out->dim;

        if (s->op == &gnn_neighbour_max)
            memcpy(out + n++ * dim, gnn_pool_terms(s) + node * dim, dim * sizeof(real));
    }
    return n;
}

static void
graphsage_fold_in(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node)
{
    if (gnn_step_inputs(out, plan, &gnn_neighbour_mean, node) > 0)
        return;
    if (pool_messages(out + z->dim, plan, node) > 0)
        gnn_input_row(out, plan, node);
    else
        gnn_fold_in_mean(out, plan, z, node);
}

static int
graphsage_n_messages(const GnnConfig *c)
{
    return c->aggregator == GNN_AGGREGATOR_MEAN ? c->layers : c->layers + 1;
}

/* in a layer */
static int
n_matrices(const GnnConfig *c)
{
    return c->aggregator == GNN_AGGREGATOR_MEAN ? 2 : 3;
}

static int64_t
graphsage_n_weights(const GnnConfig *c)
{
    return (int64_t) c->layers * n_matrices(c) * c->dim * c->dim;
}

/* the largest of n numbers of what is stored of neighbours, from column `first` on */
static void
largest(real *out, const GnnInduct *in, int64_t first, int64_t n)
{
    memcpy(out, gnn_induct_row(in, 0) + first, n * sizeof(real));
    for (int64_t e = 1; e < in->n; e++)
    {
        const real *p = gnn_induct_row(in, e) + first;

        for (int64_t c = 0; c < n; c++)
            out[c] = p[c] > out[c] ? p[c] : out[c];
    }
}

/* of all layers at once: their messages lie side by side, behind the input's row where that is none of them */
static void
aggregate(real *out, const GnnInduct *in)
{
    int64_t     n = (int64_t) in->config->layers * in->config->dim;

    if (in->config->aggregator == GNN_AGGREGATOR_MEAN)
        gnn_induct_mean(out, in, 0, n);
    else
        largest(out, in, in->config->dim, n);
}

static void
graphsage_induct(real *out, const GnnInduct *in)
{
    int64_t     dim = in->config->dim;
    int64_t     square = dim * dim;
    const real *w = in->weights;
    real        h[GNN_MAX_DIM];
    real        sum[GNN_MAX_DIM];
    real        a[GNN_MAX_WIDTH];

    gnn_induct_mean(h, in, 0, dim);
    memcpy(sum, h, dim * sizeof(real));
    aggregate(a, in);
    for (int l = 0; l < in->config->layers; l++, w += n_matrices(in->config) * square)
    {
        real        next[GNN_MAX_DIM] = {0};

        gnn_add_product(next, h, w, dim, dim);
        gnn_add_product(next, a + l * dim, w + square, dim, dim);
        gnn_activate(next, l == in->config->layers - 1 ? 1 : SLOPE, dim);
        gnn_add_scaled(sum, 1, next, dim);
        memcpy(h, next, dim * sizeof(real));
    }
    gnn_induct_sized(out, sum, in, SIZE);
}

const GnnModel gnn_graphsage = {
    .name = "graphsage",
    .what = "GraphSAGE: learned weights for a node and the mean, or the largest numbers, of its neighbours",
    .paper = "Hamilton, Ying and Leskovec: Inductive representation learning on large graphs, NIPS 2017",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_AGGREGATOR,
    .learning_rate = 0.02,
    .linear = false,
    .build = graphsage_build,
    .fold_in = graphsage_fold_in,
    .induct = graphsage_induct,
    .n_messages = graphsage_n_messages,
    .n_weights = graphsage_n_weights,
};
