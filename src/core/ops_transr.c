/*
 * ops_transr.c: TransR (Lin et al., AAAI 2015), an objective of its own: what is related is near, in the relation's space.
 *
 *     out = weight/n sum over nodes h of -log sigmoid(g(h, r, t') - g(h, r, t)),     g(h, r, t) = |x_h W_r + b_r - x_t W_r|^2
 *
 * n is the number of nodes. Of each node's edges one is drawn at each pass, all alike: it gives r and t; t' is any node of t's
 * type, if some tries find one, without such an edge. With p = (x_t' - x_t) W_r and q = (x_t' + x_t - 2 x_h) W_r the
 * difference is p . (q - 2 b_r): two products instead of three. With k its derivative,
 *
 *     dp = k (q - 2 b_r);   dq = k p;   db_r -= 2 k p;   dx_t' += (dp + dq) W_r';   dx_t += (dq - dp) W_r';   dx_h -= 2 dq W_r'
 *
 * Nodes go in waves, whose buffers `keep` and `ints` hold: a wave is drawn, sorted by relation, and cut into parts (see
 * core/rows.h), each a slice of one relation at a time; then the rows of dx are scattered. A wave's nodes lie all over the
 * graph, so that threads share the scattering. As parts and relations both ascend in a wave, their sum numbers the weights'
 * gradients of a part and relation. Where nothing is trained, nothing is computed, and out is 0.
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/rows.h"
#include "core/scatter.h"

#include <math.h>

#define WAVE 4096               /* nodes of a wave */
#define BLOCK 256               /* nodes that are drawn for as one block */
#define TRIES 8                 /* for a node without such an edge */

typedef struct TransrWork
{
    const GnnPlan *plan;
    const GnnTyped *typed;
    const GnnPlanStep *step;
    int64_t     dim;
    int64_t     wave;
    int64_t     n_waves;
    int64_t     n;              /* triples of the wave */
    bool        backward;

    int32_t    *relation;       /* [node of the wave] what was drawn; -1: the node has no edges */
    int32_t    *tail;
    int32_t    *corrupt;
    int32_t    *order;          /* [triple] node of the wave, by relation */
    int32_t    *target;         /* 4 x WAVE: contributions to dx */
    int32_t    *source;
    int32_t    *scattered;      /* their order, scratch */
    real       *coef;           /* 4 x WAVE */
    real       *rows;           /* 2 x WAVE x dim: dx of t', then of t */
    real       *loss;           /* one a part */
    real       *slices;         /* parts x 4 GNN_SLICE x dim */
    real       *weights;        /* (relations + parts) x (dim + 1) x dim: dW, then db */
} TransrWork;

/* nodes of a wave, where there are so few that one is enough */
static int64_t
wave_size(int64_t n)
{
    return n < WAVE ? n : WAVE;
}

static int64_t
n_ints(int64_t n)
{
    return 16 * wave_size(n);
}

static int64_t
n_reals(int64_t n, int64_t dim, int n_relations)
{
    int64_t     size = wave_size(n);

    return 4 * size + 2 * size * dim + GNN_MAX_PARTS_OF_ROWS * (1 + 4 * GNN_SLICE * dim) +
        (n_relations + GNN_MAX_PARTS_OF_ROWS) * (dim + 1) * dim;
}

static TransrWork
work_of(const GnnPlan *plan, const GnnPlanStep *s, bool backward)
{
    int64_t     size = wave_size(s->in->n);
    int64_t     dim = s->in->dim;
    TransrWork  w = {.plan = plan, .typed = plan->typed, .step = s, .dim = dim, .n_waves = gnn_blocks(s->in->n, WAVE),
                     .backward = backward};

    w.relation = s->ints;
    w.tail = w.relation + size;
    w.corrupt = w.tail + size;
    w.order = w.corrupt + size;
    w.target = w.order + size;
    w.source = w.target + 4 * size;
    w.scattered = w.source + 4 * size;
    w.coef = s->keep;
    w.rows = w.coef + 4 * size;
    w.loss = w.rows + 2 * size * dim;
    w.slices = w.loss + GNN_MAX_PARTS_OF_ROWS;
    w.weights = w.slices + GNN_MAX_PARTS_OF_ROWS * 4 * GNN_SLICE * dim;
    return w;
}

/* ---- a wave's triples ---- */

static inline int64_t
node_of(const TransrWork *w, int64_t i)
{
    return w->wave + i * w->n_waves;
}

static int64_t
nodes_of_wave(const TransrWork *w)
{
    return (w->step->in->n - w->wave + w->n_waves - 1) / w->n_waves;
}

static void
draw_node(const TransrWork *w, GnnRng *rng, int64_t i)
{
    const GnnTyped *t = w->typed;
    int64_t     v = node_of(w, i);
    int64_t     n = t->ptr[v + 1] - t->ptr[v];
    const GnnNodes *tails;
    int64_t     edge;

    w->relation[i] = -1;
    if (n == 0)
        return;
    rng->counter = (uint64_t) v * (1 + TRIES);
    edge = t->ptr[v] + (int64_t) gnn_rng_below(rng, n);
    w->relation[i] = t->relation[edge];
    w->tail[i] = t->idx[edge];
    tails = &t->tails[w->relation[i]];
    for (int try = 0; try == 0 || (try < TRIES && gnn_typed_has(t, v, w->relation[i], w->corrupt[i])); try++)
        w->corrupt[i] = (int32_t) (tails->first + (int64_t) gnn_rng_below(rng, tails->n));
}

static void
draw_block(void *arg, int64_t block, int thread)
{
    const TransrWork *w = arg;
    GnnRng      rng = gnn_rng(w->plan->seed, GNN_STREAM_TRIPLES,
                              (uint64_t) w->plan->pass * GNN_MAX_STEPS + w->step->number);
    int64_t     n = nodes_of_wave(w);

    for (int64_t i = block * BLOCK; i < (block + 1) * BLOCK && i < n; i++)
        draw_node(w, &rng, i);
}

/* a counting sort by relation */
static void
sort_triples(TransrWork *w)
{
    int64_t     start[2 * GNN_MAX_RELATIONS + 1] = {0};
    int64_t     n = nodes_of_wave(w);

    for (int64_t i = 0; i < n; i++)
        start[w->relation[i] + 1]++;    /* those without edges come first, and are left out */
    w->n = n - start[0];
    start[0] = 0;
    for (int r = 0; r < w->typed->n_relations; r++)
        start[r + 1] += start[r];
    for (int64_t i = 0; i < n; i++)
        if (w->relation[i] >= 0)
            w->order[start[w->relation[i]]++] = (int32_t) i;
}

static void
draw_wave(TransrWork *w)
{
    gnn_team_run(w->plan->team, gnn_blocks(nodes_of_wave(w), BLOCK), draw_block, w);
    sort_triples(w);
}

static inline int
relation_of(const TransrWork *w, int64_t triple)
{
    return w->relation[w->order[triple]];
}

/* ---- a slice: n triples of one relation ---- */

typedef struct Slice
{
    int         relation;
    int64_t     first;          /* triple */
    int64_t     n;
    real       *apart;          /* GNN_SLICE x dim: x_t' - x_t */
    real       *around;         /* x_t' + x_t - 2 x_h */
    real       *p;              /* of these; backwards then their gradients */
    real       *q;
} Slice;

static void
gather_slice(const Slice *s, const TransrWork *w)
{
    const real *x = w->step->in->val;

    for (int64_t i = 0; i < s->n; i++)
    {
        int32_t     at = w->order[s->first + i];
        const real *head = x + node_of(w, at) * w->dim;
        const real *tail = x + w->tail[at] * w->dim;
        const real *corrupt = x + w->corrupt[at] * w->dim;

        for (int64_t c = 0; c < w->dim; c++)
        {
            s->apart[i * w->dim + c] = corrupt[c] - tail[c];
            s->around[i * w->dim + c] = corrupt[c] + tail[c] - 2 * head[c];
        }
    }
}

static void
project_slice(const Slice *s, const TransrWork *w)
{
    GnnDense    weight = gnn_plain(w->step->weight->val + s->relation * w->dim * w->dim, w->dim);

    gnn_gemm(s->p, w->dim, s->n, w->dim, w->dim, 1, gnn_plain(s->apart, w->dim), weight, 0);
    gnn_gemm(s->q, w->dim, s->n, w->dim, w->dim, 1, gnn_plain(s->around, w->dim), weight, 0);
}

static const real *
translation(const Slice *s, const TransrWork *w)
{
    return w->step->with[0]->val + s->relation * w->dim;
}

/* g(h, r, t') - g(h, r, t) of a triple */
static double
ahead(const Slice *s, const TransrWork *w, int64_t i)
{
    const real *p = s->p + i * w->dim;

    return gnn_inner(p, s->q + i * w->dim, w->dim) - 2 * gnn_inner(p, translation(s, w), w->dim);
}

static double
slice_loss(const Slice *s, const TransrWork *w)
{
    double      sum = 0;

    for (int64_t i = 0; i < s->n; i++)
    {
        double      x = ahead(s, w, i);

        sum += x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
    }
    return sum;
}

/* p and q to their gradients; db gets its own */
static void
derive_slice(const Slice *s, const TransrWork *w, real *db)
{
    const real *b = translation(s, w);
    double      weight = w->step->scale * w->step->out->grad[0] / (double) w->step->in->n;

    for (int64_t i = 0; i < s->n; i++)
    {
        real       *p = s->p + i * w->dim;
        real       *q = s->q + i * w->dim;
        real        k = (real) (-weight / (1 + exp(ahead(s, w, i))));

        for (int64_t c = 0; c < w->dim; c++)
        {
            real        dp = k * (q[c] - 2 * b[c]);

            q[c] = k * p[c];
            p[c] = dp;
            db[c] -= 2 * q[c];
        }
    }
}

/* p and q are gradients by now: the rows of dx and what scatters them, to t', to t, and, as minus their sum, to h */
static void
contribute(const Slice *s, const TransrWork *w)
{
    GnnDense    weight = gnn_transposed(w->step->weight->val + s->relation * w->dim * w->dim, w->dim);
    int64_t     size = wave_size(w->step->in->n);
    real       *corrupt = w->rows + s->first * w->dim;
    real       *tail = corrupt + size * w->dim;

    for (int64_t i = 0; i < s->n * w->dim; i++)
    {
        s->apart[i] = s->p[i] + s->q[i];
        s->around[i] = s->q[i] - s->p[i];
    }
    gnn_gemm(corrupt, w->dim, s->n, w->dim, w->dim, 1, gnn_plain(s->apart, w->dim), weight, 0);
    gnn_gemm(tail, w->dim, s->n, w->dim, w->dim, 1, gnn_plain(s->around, w->dim), weight, 0);
    for (int64_t triple = s->first; triple < s->first + s->n; triple++)
    {
        int32_t     at = w->order[triple];

        for (int c = 0; c < 4; c++)
        {
            w->target[4 * triple + c] = c == 0 ? w->corrupt[at] : c == 1 ? w->tail[at] : (int32_t) node_of(w, at);
            w->source[4 * triple + c] = (int32_t) (triple + c % 2 * size);
            w->coef[4 * triple + c] = c < 2 ? 1 : -1;
        }
    }
}

/* dW and db of a part and relation, one below the other */
static real *
weights_grad(const TransrWork *w, int64_t part, int relation)
{
    return w->weights + (part + relation) * (w->dim + 1) * w->dim;
}

static void
run_slice(const Slice *s, const TransrWork *w, int64_t part)
{
    int64_t     dim = w->dim;
    real       *dw = weights_grad(w, part, s->relation);

    gather_slice(s, w);
    project_slice(s, w);
    if (!w->backward)
    {
        w->loss[part] += (real) slice_loss(s, w);
        return;
    }
    derive_slice(s, w, dw + dim * dim);
    gnn_gemm(dw, dim, dim, dim, s->n, 1, gnn_transposed(s->apart, dim), gnn_plain(s->p, dim), 1);
    gnn_gemm(dw, dim, dim, dim, s->n, 1, gnn_transposed(s->around, dim), gnn_plain(s->q, dim), 1);
    contribute(s, w);
}

/* ---- all of them ---- */

static void
run_part(void *arg, int64_t part, int thread)
{
    const TransrWork *w = arg;
    int64_t     slice = GNN_SLICE * w->dim;
    real       *at = w->slices + part * 4 * slice;
    Slice       s = {.relation = -1, .apart = at, .around = at + slice, .p = at + 2 * slice, .q = at + 3 * slice};
    int64_t     end = gnn_part_start(w->n, part + 1);

    w->loss[part] = 0;
    for (s.first = gnn_part_start(w->n, part); s.first < end; s.first += s.n)
    {
        if (w->backward && relation_of(w, s.first) != s.relation)
            memset(weights_grad(w, part, relation_of(w, s.first)), 0, (w->dim + 1) * w->dim * sizeof(real));
        s.relation = relation_of(w, s.first);
        for (s.n = 1; s.n < GNN_SLICE && s.first + s.n < end && relation_of(w, s.first + s.n) == s.relation;)
            s.n++;
        run_slice(&s, w, part);
    }
}

/* each part's gradients of each of its relations */
static void
add_weights(const TransrWork *w)
{
    int64_t     dim = w->dim;

    for (int64_t part = 0; part < gnn_parts(w->n); part++)
    {
        int64_t     end = gnn_part_start(w->n, part + 1);
        int         last = -1;

        for (int64_t triple = gnn_part_start(w->n, part); triple < end; triple++)
        {
            int         relation = relation_of(w, triple);
            const real *dw = weights_grad(w, part, relation);

            if (relation == last)
                continue;
            gnn_add_scaled(w->step->weight->grad + relation * dim * dim, 1, dw, dim * dim);
            gnn_add_scaled(w->step->with[0]->grad + relation * dim, 1, dw + dim * dim, dim);
            last = relation;
        }
    }
}

static void
scatter_rows(const TransrWork *w)
{
    GnnScatter  s = {.to = w->step->in->grad, .n_to = w->step->in->n, .from = w->rows, .dim = w->dim, .n = 4 * w->n,
                     .target = w->target, .source = w->source, .coef = w->coef, .order = w->scattered};

    gnn_scatter_run(w->plan->team, &s);
}

static double
run_wave(TransrWork *w)
{
    double      sum = 0;

    draw_wave(w);
    gnn_team_run(w->plan->team, gnn_parts(w->n), run_part, w);
    for (int64_t part = 0; part < gnn_parts(w->n); part++)
        sum += w->loss[part];
    return sum;
}

static void
transr_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    TransrWork  w = work_of(plan, s, false);
    double      sum = 0;

    for (w.wave = 0; plan->training && w.wave < w.n_waves; w.wave++)
        sum += run_wave(&w);
    s->out->val[0] = (real) (s->scale * sum / (double) s->in->n);
}

static void
transr_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    TransrWork  w = work_of(plan, s, true);

    for (w.wave = 0; plan->training && w.wave < w.n_waves; w.wave++)
    {
        run_wave(&w);
        add_weights(&w);
        scatter_rows(&w);
    }
}

const GnnOp gnn_transr = {"transr", transr_forward, transr_backward};

GnnMat *
gnn_op_transr(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *b, double weight)
{
    GnnMat     *out = gnn_plan_mat(plan, 1, 1);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_transr, .out = out, .in = x, .weight = w, .with = {b}, .scale = (real) weight,
                                      .n_keep = n_reals(x->n, x->dim, plan->typed->n_relations), .n_ints = n_ints(x->n)});
    return out;
}
