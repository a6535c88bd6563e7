/*
 * ops_attend_relation.c: attention that asks what relates two nodes, and the sum over neighbours by it.
 *
 *     a_vu = p_vu exp(k_vr . x_u) / sum over v's edges of the same,     k_vr = tanh(x_v W_r + b_r) W_r'
 *
 * for an edge of directed relation r; k_vr . x_u is (x_u W_r) . tanh(x_v W_r + b_r), so that an edge takes one inner product
 * and a run two products with W_r. p_vu is the edge's weight over the mean weight of its run: without weights, 1.
 *
 * Attention is a constant: computed anew from what is learned at each forward pass, it is taken for given backwards. So
 * nothing is kept of it but the weights themselves, one an edge. `keep` has the parts' buffers (see core/rows.h).
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/rows.h"

#include <tgmath.h>

#define BLOCK 128               /* rows of a block */
#define AHEAD 4                 /* how many edges early a row is asked for */
#define LOWEST (-1e30)          /* an exponent below all others */

/* ---- attention ---- */

typedef struct AttentionWork
{
    const GnnTyped *typed;
    const GnnPlanStep *step;
} AttentionWork;

/* a slice of rows, relation by relation: those that have the relation stand close together in x, y and key */
typedef struct Slice
{
    int64_t     row;            /* first */
    int64_t     n;
    int64_t     edge[GNN_SLICE];        /* [node of the slice] where its next run starts */
    int64_t     run[GNN_SLICE];         /* [of those that have the relation] where the run starts ... */
    int64_t     run_end[GNN_SLICE];     /* ... and ends */
    real       *x;              /* GNN_SLICE x dim */
    real       *y;
    real       *key;
} Slice;

static int64_t
part_size(int64_t dim)
{
    return 3 * GNN_SLICE * dim;
}

/* the runs of a relation in a slice, whose nodes' rows are copied; returns their number */
static int64_t
take_runs(Slice *s, const AttentionWork *w, int relation)
{
    const GnnTyped *t = w->typed;
    const GnnMat *x = w->step->in;
    int64_t     n = 0;

    for (int64_t i = 0; i < s->n; i++)
    {
        int64_t     end = t->ptr[s->row + i + 1];

        if (s->edge[i] == end || t->relation[s->edge[i]] != relation)
            continue;
        memcpy(s->x + n * x->dim, x->val + (s->row + i) * x->dim, x->dim * sizeof(real));
        s->run[n] = s->edge[i];
        s->edge[i] = s->run_end[n++] = gnn_run_end(t, s->edge[i], end);
    }
    return n;
}

/* key = tanh(x W + b) W', of n rows */
static void
make_keys(Slice *s, const AttentionWork *w, int relation, int64_t n)
{
    int64_t     dim = w->step->in->dim;
    const real *b = w->step->with[0]->val + relation * dim;
    const real *weight = w->step->weight->val + relation * dim * dim;

    gnn_gemm(s->y, dim, n, dim, dim, 1, gnn_plain(s->x, dim), gnn_plain(weight, dim), 0);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < dim; c++)
            s->y[i * dim + c] = tanh(s->y[i * dim + c] + b[c]);
    gnn_gemm(s->key, dim, n, dim, dim, 1, gnn_plain(s->y, dim), gnn_transposed(weight, dim), 0);
}

/* exponents of a run */
static void
score_run(const AttentionWork *w, const real *key, int64_t start, int64_t end)
{
    const int32_t *idx = w->typed->idx;
    const GnnMat *x = w->step->in;

    for (int64_t e = start; e < end; e++)
    {
        if (e + AHEAD < end)
            for (int64_t c = 0; c < x->dim; c += GNN_LANES)
                __builtin_prefetch(x->val + idx[e + AHEAD] * x->dim + c);
        w->step->out->val[e] = gnn_inner(key, x->val + idx[e] * x->dim, x->dim);
    }
}

/* a row's exponents to weights that sum to 1 */
static void
normalise_row(const AttentionWork *w, int64_t v)
{
    const GnnTyped *t = w->typed;
    real       *a = w->step->out->val + t->ptr[v];
    int64_t     n = t->ptr[v + 1] - t->ptr[v];
    real        sum = 0;
    real        top;
    int64_t     end;

    if (n == 0)
        return;
    for (int64_t i = 0; i < n; i++)     /* what a view has left out is not what the others are compared with */
        a[i] = t->share[t->ptr[v] + i] > 0 ? a[i] : (real) LOWEST;
    gnn_exp_row(a, n, &top);
    for (int64_t e = t->ptr[v]; e < t->ptr[v + 1]; e = end)
    {
        real       *run = w->step->out->val;

        end = gnn_run_end(t, e, t->ptr[v + 1]);
        for (int64_t i = e; i < end; i++)
            sum += run[i] *= t->share[i] * (real) (end - e);
    }
    gnn_scale(a, sum > 0 ? 1 / sum : 0, n);     /* of a view, all may be left out */
}

static void
attention_part(void *arg, int64_t part, int thread)
{
    const AttentionWork *w = arg;
    const GnnTyped *t = w->typed;
    int64_t     dim = w->step->in->dim;
    real       *buffers = w->step->keep + part * part_size(dim);
    Slice       s = {.row = gnn_part_start(t->n_nodes, part), .x = buffers, .y = buffers + GNN_SLICE * dim,
                     .key = buffers + 2 * GNN_SLICE * dim};

    for (; (s.n = gnn_slice_rows(t->n_nodes, part, s.row)) > 0; s.row += s.n)
    {
        memcpy(s.edge, t->ptr + s.row, s.n * sizeof(int64_t));
        for (int relation = 0; relation < t->n_relations; relation++)
        {
            int64_t     n = take_runs(&s, w, relation);

            if (n == 0)
                continue;
            make_keys(&s, w, relation, n);
            for (int64_t i = 0; i < n; i++)
                score_run(w, s.key + i * dim, s.run[i], s.run_end[i]);
        }
        for (int64_t i = 0; i < s.n; i++)
            normalise_row(w, s.row + i);
    }
}

static void
attention_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    AttentionWork w = {.typed = plan->typed, .step = s};

    gnn_team_run(plan->team, gnn_parts(plan->typed->n_nodes), attention_part, &w);
}

static void
attention_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    /* a constant */
}

const GnnOp gnn_relation_attention = {"relation_attention", attention_forward, attention_backward};

GnnMat *
gnn_op_relation_attention(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *b)
{
    GnnMat     *out = gnn_plan_mat(plan, plan->typed->n_edges, 1);

    out->constant = true;
    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_relation_attention, .out = out, .in = x, .weight = w, .with = {b},
                                      .n_keep = gnn_parts(x->n) * part_size(x->dim)});
    return out;
}

/* ---- out_v = sum over v's edges of a_vu x_u ---- */
/* so dx_u += sum over u's edges of a_vu dout_v: the same edges, their weights from the other ends */

typedef struct SumWork
{
    const GnnTyped *typed;
    const GnnPlanStep *step;
    bool        forward;
} SumWork;

static void
sum_row(const SumWork *w, int64_t v)
{
    const GnnPlanStep *s = w->step;
    const int64_t *ptr = w->typed->ptr + v;
    int64_t     dim = s->out->dim;
    real        sum[GNN_MAX_DIM];

    if (w->forward)
        gnn_typed_gather(s->out->val + v * dim, w->typed, ptr[0], ptr[1], s->weight->val, GNN_END_OWN, s->in->val, dim);
    else
    {
        gnn_typed_gather(sum, w->typed, ptr[0], ptr[1], s->weight->val, GNN_END_OPPOSITE, s->out->grad, dim);
        gnn_add_scaled(s->in->grad + v * dim, 1, sum, dim);
    }
}

static void
sum_rows(void *arg, int64_t block, int thread)
{
    const SumWork *w = arg;

    for (int64_t v = block * BLOCK; v < (block + 1) * BLOCK && v < w->step->out->n; v++)
        sum_row(w, v);
}

static void
run_sum(GnnPlan *plan, const GnnPlanStep *s, bool is_forward)
{
    SumWork     w = {.typed = plan->typed, .step = s, .forward = is_forward};

    gnn_team_run(plan->team, gnn_blocks(s->out->n, BLOCK), sum_rows, &w);
}

static void
sum_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_sum(plan, s, true);
}

static void
sum_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_sum(plan, s, false);
}

const GnnOp gnn_weighted_sum = {"weighted_sum", sum_forward, sum_backward};

GnnMat *
gnn_op_weighted_sum(GnnPlan *plan, GnnMat *x, GnnMat *weight)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_weighted_sum, .out = out, .in = x, .weight = weight});
    return gnn_op_along_edges(plan, out);
}
