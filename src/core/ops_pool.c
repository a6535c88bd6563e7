/*
 * ops_pool.c: what the neighbours have of a product with a weight: the largest, number by number, or a sum by shares.
 *
 *     p = f(x w);   f(y) = y where y > 0, slope y elsewhere
 *     neighbour_max: out_vc = max over neighbours u of v of p_uc, 0 without any
 *     visited_sum:   out_v = sum over u of b_vu p_u,   b the plan's `visited`, which need not be symmetric
 *
 * p is not kept: forwards it stands where the result's gradient will, backwards it is computed again, a slice at a time, by
 * the very products that made it, so that whoever was the largest finds his number in the result, bit for bit (of equals,
 * each does). A gradient goes back along edges by gathering: a node asks each of those who looked at it. `keep` has the parts'
 * buffers.
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/rows.h"

#define BLOCK 128               /* rows of a block */

const real *
gnn_pool_terms(const GnnPlanStep *s)
{
    return s->out->grad;
}

typedef struct PoolWork
{
    const GnnCsr *a;            /* forwards whom a node looks at, backwards who looks at it */
    const GnnPlanStep *step;
    const struct Pooling *how;
} PoolWork;

typedef struct Pooling
{
    void        (*gather)(real *out, const GnnCsr *a, int64_t row, const real *p, int64_t dim);
    void        (*ask)(real *dp, const real *p, const PoolWork *w, int64_t row);    /* gradient of a node's p */
} Pooling;

/* buffers of a part */
typedef struct Part
{
    real       *dw;             /* x's dim x out's dim */
    real       *p;              /* GNN_SLICE x out's dim */
    real       *dy;
} Part;

static int64_t
part_size(const GnnMat *x, const GnnMat *out)
{
    return x->dim * out->dim + 2 * GNN_SLICE * out->dim;
}

static Part
part_of(const GnnPlanStep *s, int64_t part)
{
    real       *at = s->keep + part * part_size(s->in, s->out);
    real       *slices = at + s->in->dim * s->out->dim;

    return (Part) {.dw = at, .p = slices, .dy = slices + GNN_SLICE * s->out->dim};
}

/* ---- p = f(x w), pooled ---- */
/* so dy = f'(p) dp; dx += dy w'; dw += x' dy */

static void
project(real *p, const GnnPlanStep *s, int64_t row, int64_t n)
{
    int64_t     dim = s->out->dim;
    int64_t     inner = s->in->dim;

    gnn_gemm(p, dim, n, dim, inner, 1, gnn_plain(s->in->val + row * inner, inner), gnn_plain(s->weight->val, dim), 0);
    for (int64_t i = 0; i < n * dim; i++)
        p[i] = p[i] > 0 ? p[i] : s->scale * p[i];
}

static void
project_part(void *arg, int64_t part, int thread)
{
    const GnnPlanStep *s = ((PoolWork *) arg)->step;
    int64_t     n;

    for (int64_t row = gnn_part_start(s->out->n, part); (n = gnn_slice_rows(s->out->n, part, row)) > 0; row += n)
        project(s->out->grad + row * s->out->dim, s, row, n);
}

static void
pool_rows(void *arg, int64_t block, int thread)
{
    const PoolWork *w = arg;
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;

    for (int64_t row = block * BLOCK; row < (block + 1) * BLOCK && row < s->out->n; row++)
        w->how->gather(s->out->val + row * dim, w->a, row, s->out->grad, dim);
}

static void
pool(GnnPlan *plan, const GnnPlanStep *s, const GnnCsr *a, const Pooling *how)
{
    PoolWork    w = {.a = a, .step = s, .how = how};

    gnn_team_run(plan->team, gnn_parts(s->out->n), project_part, &w);
    gnn_team_run(plan->team, gnn_blocks(s->out->n, BLOCK), pool_rows, &w);
}

static void
pool_grad_part(void *arg, int64_t number, int thread)
{
    const PoolWork *w = arg;
    const GnnPlanStep *s = w->step;
    Part        part = part_of(s, number);
    int64_t     dim = s->out->dim;
    int64_t     inner = s->in->dim;
    int64_t     n;

    memset(part.dw, 0, inner * dim * sizeof(real));
    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
    {
        GnnDense    dy = gnn_plain(part.dy, dim);

        project(part.p, s, row, n);
        for (int64_t i = 0; i < n; i++)
            w->how->ask(part.dy + i * dim, part.p + i * dim, w, row + i);
        for (int64_t i = 0; i < n * dim; i++)
            part.dy[i] = part.p[i] > 0 ? part.dy[i] : s->scale * part.dy[i];
        gnn_gemm(s->in->grad + row * inner, inner, n, inner, dim, 1, dy, gnn_transposed(s->weight->val, dim), 1);
        gnn_gemm(part.dw, dim, inner, dim, n, 1, gnn_transposed(s->in->val + row * inner, inner), dy, 1);
    }
}

static void
pool_back(GnnPlan *plan, const GnnPlanStep *s, const GnnCsr *a, const Pooling *how)
{
    PoolWork    w = {.a = a, .step = s, .how = how};

    gnn_team_run(plan->team, gnn_parts(s->out->n), pool_grad_part, &w);
    gnn_add_parts(s->weight->grad, s->out->n, part_of(s, 0).dw, part_size(s->in, s->out), s->weight->n * s->weight->dim);
}

static GnnMat *
add_step(GnnPlan *plan, const GnnOp *op, GnnMat *x, GnnMat *w, double slope)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, w->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = op, .out = out, .in = x, .weight = w, .scale = (real) slope,
                                      .n_keep = gnn_parts(x->n) * part_size(x, out)});
    return gnn_op_along_edges(plan, out);
}

/* ---- out_vc = max p_uc ---- */
/* so dp_uc += dout_vc where out_vc is p_uc */

static void
largest_row(real *restrict out, const GnnCsr *a, int64_t row, const real *restrict p, int64_t dim)
{
    int64_t     start = a->ptr[row];

    if (start == a->ptr[row + 1])
        memset(out, 0, dim * sizeof(real));
    else
        memcpy(out, p + a->idx[start] * dim, dim * sizeof(real));
    for (int64_t e = start + 1; e < a->ptr[row + 1]; e++)
    {
        const real *pu = p + a->idx[e] * dim;

        for (int64_t c = 0; c < dim; c++)
            out[c] = pu[c] > out[c] ? pu[c] : out[c];
    }
}

/* from all whose largest p it was */
static void
largest_ask(real *restrict dp, const real *restrict p, const PoolWork *w, int64_t row)
{
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;

    memset(dp, 0, dim * sizeof(real));
    for (int64_t e = w->a->ptr[row]; e < w->a->ptr[row + 1]; e++)
    {
        const real *out = s->out->val + w->a->idx[e] * dim;
        const real *dout = s->out->grad + w->a->idx[e] * dim;

        for (int64_t c = 0; c < dim; c++)
            dp[c] += out[c] == p[c] ? dout[c] : 0;
    }
}

static const Pooling largest = {largest_row, largest_ask};

static void
largest_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    pool(plan, s, &plan->adjacency->a, &largest);
}

static void
largest_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    pool_back(plan, s, &plan->adjacency->a, &largest);
}

const GnnOp gnn_neighbour_max = {"neighbour_max", largest_forward, largest_backward, .borrows_grad = true};

GnnMat *
gnn_op_neighbour_max(GnnPlan *plan, GnnMat *x, GnnMat *w, double slope)
{
    return add_step(plan, &gnn_neighbour_max, x, w, slope);
}

/* ---- out_v = sum b_vu p_u ---- */
/* so dp_u += sum b_vu dout_v, by the rows of the transpose */

static void
sum_row(real *out, const GnnCsr *a, int64_t row, const real *p, int64_t dim)
{
    int64_t     start = a->ptr[row];

    gnn_gather_rows(out, a->idx + start, a->val + start, a->ptr[row + 1] - start, 1, p, dim);
}

static void
sum_ask(real *dp, const real *p, const PoolWork *w, int64_t row)
{
    sum_row(dp, w->a, row, w->step->out->grad, w->step->out->dim);
}

static const Pooling sum = {sum_row, sum_ask};

static void
sum_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    pool(plan, s, &plan->visited->rows, &sum);
}

static void
sum_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    pool_back(plan, s, &plan->visited->columns, &sum);
}

const GnnOp gnn_visited_sum = {"visited_sum", sum_forward, sum_backward, .borrows_grad = true};

GnnMat *
gnn_op_visited_sum(GnnPlan *plan, GnnMat *x, GnnMat *w, double slope)
{
    return add_step(plan, &gnn_visited_sum, x, w, slope);
}
