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
 * What attention knows of an edge beside whom it joins is for `edge_attention` to say: its weight, by p, as above; nothing, p
 * being 1 (the paper's own attention; the length by degree still goes by weight, and so do random walkers: in samples drawn by
 * them the heavier edges are there more often than others); or what relates them. Then edges are those of
 * the typed graph, p is the edge's share of the mean of those v has by its relation, and the exponent is l(att_0 . g_v + att_1 .
 * g_u + b_r), b a number for each directed relation and head. Simple-HGN (Lv et al., Are we really making much progress?, KDD
 * 2021) has att . [W h_v, W h_u, W_r r] there, r a learned embedding of the relation: as nothing else looks at r, its part of
 * the product comes to one number, which we learn as such. b starts at 0, where all relations are alike.
 *
 * Inductive: a new node needs of its neighbours their rows of X, and of G in every layer; and W, att and b. Its edges are all of
 * the first relation, seen from a user: serving keeps what a user has done in one list, whatever relations it was trained as.
 */
#include "model/model.h"

#include "core/kernel.h"
#include "core/ops.h"

#include <math.h>

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

/* rows of b: as many as a graph can have directed relations, so that the number of weights is the configuration's alone */
#define RELATIONS (2 * GNN_MAX_RELATIONS)

static bool
gat_typed(const GnnConfig *c)
{
    return c->edge_attention == GNN_EDGE_ATTENTION_RELATION && c->layers > 0;
}

static GnnMat *
layer(GnnPlan *p, GnnMat *h, GnnMat *prior, const GnnConfig *c, bool last)
{
    GnnMat     *w = gnn_model_weight(p, c);
    GnnMat     *att = gnn_plan_parameter(p, 2, c->dim, GNN_START_NORMAL, GNN_MODEL_NOISE);
    GnnMat     *g = gnn_op_dense(p, h, w, 1, c->dropout);
    double      slope = last ? 1 : SLOPE;

    if (prior == NULL)
        return gnn_op_attend(p, g, att, c->heads, slope, c->edge_attention == GNN_EDGE_ATTENTION_NONE);
    return gnn_op_attend_typed(p, g, att, prior,
                               gnn_plan_parameter(p, RELATIONS, gnn_attend_heads(c->heads, c->dim), GNN_START_NORMAL, 0),
                               c->heads, slope);
}

static GnnMat *
gat_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h[GNN_MAX_INPUTS] = {gnn_model_input(p, g, c)};
    GnnMat     *prior = gat_typed(c) ? gnn_op_edge_prior(p) : NULL;

    for (int l = 0; l < c->layers; l++)
        h[l + 1] = layer(p, h[l], prior, c, l == c->layers - 1);
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

/* of a layer: W, att and, by relation, b */
static int64_t
layer_weights(const GnnConfig *c)
{
    return (int64_t) (c->dim + 2) * c->dim + (gat_typed(c) ? RELATIONS * gnn_attend_heads(c->heads, c->dim) : 0);
}

static int64_t
gat_n_weights(const GnnConfig *c)
{
    return c->layers * layer_weights(c);
}

/* a layer's attention: the node's own g, and what weighs it and its neighbours' */
typedef struct Attention
{
    const GnnInduct *in;
    int         layer;
    const real *g;
    const real *att;            /* 2 x dim */
    const real *bias;           /* of the new node's edges, a number a head; NULL: they have none */
    real        slope;
    double      degree;
} Attention;

/* past the last edge there is the node itself */
static inline bool
is_self(const Attention *a, int64_t e)
{
    return e == a->in->n;
}

/* whom edge e leads to */
static const real *
attended(const Attention *a, int64_t e)
{
    return is_self(a, e) ? a->g : gnn_induct_row(a->in, e) + (a->layer + 1) * (int64_t) a->in->config->dim;
}

/* l(att_0 . g_v + att_1 . g_u + b), in the columns of a head */
static real
exponent(const Attention *a, int64_t e, int head, int64_t first, int64_t n)
{
    real        x = gnn_inner(a->att + first, a->g + first, n)
        + gnn_inner(a->att + a->in->config->dim + first, attended(a, e) + first, n);

    if (a->bias != NULL && !is_self(a, e))
        x += a->bias[head];
    gnn_activate(&x, a->slope, 1);
    return x;
}

/* p, over the mean of the node's edges */
static double
prior(const Attention *a, int64_t e)
{
    if (is_self(a, e) || a->in->config->edge_attention == GNN_EDGE_ATTENTION_NONE)
        return 1;
    return gnn_induct_weight(a->in, e) / a->degree * (double) a->in->n;
}

/* sum_u a_vu g_u in the columns of a head; a first pass finds the largest exponent, so that no exponential is too large */
static void
attend(real *out, const Attention *a, int head, int64_t first, int64_t n)
{
    real        top = exponent(a, a->in->n, head, first, n);
    double      sum = 0;

    for (int64_t e = 0; e < a->in->n; e++)
        top = fmax(top, exponent(a, e, head, first, n));
    memset(out, 0, n * sizeof(real));
    for (int64_t e = 0; e <= a->in->n; e++)
    {
        double      share = prior(a, e) * exp(exponent(a, e, head, first, n) - top);

        sum += share;
        gnn_add_scaled(out, (real) share, attended(a, e) + first, n);
    }
    gnn_scale(out, (real) (1 / sum), n);
}

static void
gat_induct(real *out, const GnnInduct *in)
{
    int64_t     dim = in->config->dim;
    int         heads = gnn_attend_heads(in->config->heads, dim);
    real        h[GNN_MAX_DIM];
    real        sum[GNN_MAX_DIM];
    real        g[GNN_MAX_DIM];
    Attention   a = {.in = in, .g = g, .att = in->weights + dim * dim, .degree = gnn_induct_degree(in)};

    gnn_induct_mean(h, in, 0, dim);
    memcpy(sum, h, dim * sizeof(real));
    for (; a.layer < in->config->layers; a.layer++, a.att += layer_weights(in->config))
    {
        a.slope = a.layer == in->config->layers - 1 ? 1 : SLOPE;
        a.bias = gat_typed(in->config) ? a.att + 2 * dim : NULL;    /* the first relation's row */
        memset(g, 0, dim * sizeof(real));
        gnn_add_product(g, h, a.att - dim * dim, dim, dim);
        for (int k = 0; k < heads; k++)
            attend(h + dim * k / heads, &a, k, dim * k / heads, dim * (k + 1) / heads - dim * k / heads);
        gnn_activate(h, a.slope, dim);
        gnn_add_scaled(sum, 1, h, dim);
    }
    gnn_induct_sized(out, sum, in, SIZE);
}

const GnnModel gnn_gat = {
    .name = "gat",
    .what = "GAT: each node weighs its neighbours, and itself, by learned attention",
    .paper = "Velickovic, Cucurull, Casanova, Romero, Lio and Bengio: Graph attention networks, ICLR 2018",
    .uses = GNN_USE_EDGES | GNN_USE_DROPOUT | GNN_USE_HEADS | GNN_USE_EDGE_ATTENTION,
    .learning_rate = 0.02,
    .linear = false,
    .typed = gat_typed,
    .build = gat_build,
    .fold_in = gat_fold_in,
    .induct = gat_induct,
    .n_messages = gat_n_messages,
    .n_weights = gat_n_weights,
};
