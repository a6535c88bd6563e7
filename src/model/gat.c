/*
 * gat.c: graph attention network (Velickovic et al., ICLR 2018).
 *
 *     H_0 = X;   G = drop(H_l W_l);   a_vu = softmax over u in N(v) and v of  log p_vu + l(att_0 . g_v + att_1 . g_u)
 *     H_{l+1} = f(sum_u a_vu g_u), each head on its share of the numbers;   M = 1/(L+1) sum_l H_l;   Z = D^0.2 M / |M|
 *
 * l and f are leaky ReLUs (slope 0.2), and the identity in the last layer. Where we differ: the paper has features of
 * nodes, here the input X is learned; an edge's weight counts as a prior p (its share of the mean of v's edges; without
 * weights 1, as in the paper); heads stand side by side in the last layer too, where the paper averages them; f is an ELU
 * there; attention itself is not dropped out. The paper takes the last layer: attention has no way back to a node's own
 * vector but the 1 in |N(v)| + 1 that a self loop is, and so smooths people with long lists into one another. Hence the mean
 * of all layers, and the length by degree of core/ops_mean.c. W starts near the identity, attention near the mean.
 *
 * Inductive: a new node needs of its neighbours their rows of X, and of G in every layer; and W and att.
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
    GnnMat     *w = gnn_model_weight(p, c);
    GnnMat     *att = gnn_plan_parameter(p, 2, c->dim, GNN_START_NORMAL, GNN_MODEL_NOISE);

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

/* ---- a new node ---- */

static void
gat_fold_in(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node)
{
    if (gnn_step_inputs(out + z->dim, plan, &gnn_attend, node) > 0)
        gnn_input_row(out, plan, node);
    else
        gnn_fold_in_mean(out, plan, z, node);
}

static int
gat_n_messages(const GnnConfig *c)
{
    return c->layers + 1;
}

static int64_t
gat_n_weights(const GnnConfig *c)
{
    return (int64_t) c->layers * (c->dim + 2) * c->dim;
}

/* a layer's attention: the node's own g, and what weighs it and its neighbours' */
typedef struct Attention
{
    const GnnInduct *in;
    int         layer;
    const real *g;
    const real *att;            /* 2 x dim */
    real        slope;
    double      degree;
} Attention;

/* whom edge e leads to; past the last edge it is the node itself */
static const real *
attended(const Attention *a, int64_t e)
{
    return e == a->in->n ? a->g : gnn_induct_row(a->in, e) + (a->layer + 1) * (int64_t) a->in->config->dim;
}

/* l(att_0 . g_v + att_1 . g_u), in the columns of a head */
static real
exponent(const Attention *a, int64_t e, int64_t first, int64_t n)
{
    real        x = gnn_inner(a->att + first, a->g + first, n)
        + gnn_inner(a->att + a->in->config->dim + first, attended(a, e) + first, n);

    gnn_activate(&x, a->slope, 1);
    return x;
}

/* sum_u a_vu g_u in the columns of a head; a first pass finds the largest exponent, so that no exponential is too large */
static void
attend(real *out, const Attention *a, int64_t first, int64_t n)
{
    real        top = exponent(a, a->in->n, first, n);
    double      sum = 0;

    for (int64_t e = 0; e < a->in->n; e++)
        top = fmax(top, exponent(a, e, first, n));
    memset(out, 0, n * sizeof(real));
    for (int64_t e = 0; e <= a->in->n; e++)
    {
        double      p = e == a->in->n ? 1 : gnn_induct_weight(a->in, e) / a->degree * (double) a->in->n;
        double      share = p * exp(exponent(a, e, first, n) - top);

        sum += share;
        gnn_add_scaled(out, (real) share, attended(a, e) + first, n);
    }
    gnn_scale(out, (real) (1 / sum), n);
}

static void
gat_induct(real *out, const GnnInduct *in)
{
    int64_t     dim = in->config->dim;
    int64_t     heads = in->config->heads < dim ? in->config->heads : dim;
    real        h[GNN_MAX_DIM];
    real        sum[GNN_MAX_DIM];
    real        g[GNN_MAX_DIM];
    Attention   a = {.in = in, .g = g, .att = in->weights + dim * dim, .degree = gnn_induct_degree(in)};

    gnn_induct_mean(h, in, 0, dim);
    memcpy(sum, h, dim * sizeof(real));
    for (; a.layer < in->config->layers; a.layer++, a.att += (dim + 2) * dim)
    {
        a.slope = a.layer == in->config->layers - 1 ? 1 : SLOPE;
        memset(g, 0, dim * sizeof(real));
        gnn_add_product(g, h, a.att - dim * dim, dim, dim);
        for (int64_t k = 0; k < heads; k++)
            attend(h + dim * k / heads, &a, dim * k / heads, dim * (k + 1) / heads - dim * k / heads);
        gnn_activate(h, a.slope, dim);
        gnn_add_scaled(sum, 1, h, dim);
    }
    gnn_induct_sized(out, sum, in, SIZE);
}

const GnnModel gnn_gat = {
    .name = "gat",
    .what = "GAT: each node weighs its neighbours, and itself, by learned attention",
    .paper = "Velickovic, Cucurull, Casanova, Romero, Lio and Bengio: Graph attention networks, ICLR 2018",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_HEADS,
    .learning_rate = 0.02,
    .linear = false,
    .build = gat_build,
    .fold_in = gat_fold_in,
    .induct = gat_induct,
    .n_messages = gat_n_messages,
    .n_weights = gat_n_weights,
};
