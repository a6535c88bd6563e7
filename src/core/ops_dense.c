/*
 * ops_dense.c: the steps that look at each row alone: products with a weight, activations, dropout.
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/kernel.h"

/* rows of a block */
#define ROWS 256

/* a weight's gradient is a sum over all rows: this many parts, whatever the number of threads */
#define PARTS 16

typedef struct StepWork
{
    GnnPlan    *plan;
    const GnnPlanStep *step;
} StepWork;

static void
run_rows(GnnPlan *plan, const GnnPlanStep *s, GnnWork work)
{
    StepWork    w = {.plan = plan, .step = s};

    gnn_team_run(plan->team, gnn_blocks(s->out->n, ROWS), work, &w);
}

/* first row of a block, and how many */
static int64_t
block_rows(const GnnMat *m, int64_t block, int64_t *first)
{
    *first = block * ROWS;
    return m->n - *first < ROWS ? m->n - *first : ROWS;
}

/* ---- out = x w ---- */
/* so dx += dout w' and dw += x' dout */

static void
matmul_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = ((StepWork *) arg)->step;
    int64_t     first;
    int64_t     n = block_rows(s->out, block, &first);
    int64_t     dim = s->out->dim;
    int64_t     inner = s->in->dim;

    gnn_gemm(s->out->val + first * dim, dim, n, dim, inner, 1, gnn_plain(s->in->val + first * inner, inner),
             gnn_plain(s->weight->val, dim), 0);
}

static void
matmul_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_rows(plan, s, matmul_rows);
}

static void
matmul_grad_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = ((StepWork *) arg)->step;
    int64_t     first;
    int64_t     n = block_rows(s->out, block, &first);
    int64_t     dim = s->out->dim;
    int64_t     inner = s->in->dim;

    gnn_gemm(s->in->grad + first * inner, inner, n, inner, dim, 1, gnn_plain(s->out->grad + first * dim, dim),
             gnn_transposed(s->weight->val, dim), 1);
}

/* x' dout over one of PARTS runs of rows, into that part's own buffer */
static void
matmul_grad_part(void *arg, int64_t part, int thread)
{
    const GnnPlanStep *s = ((StepWork *) arg)->step;
    int64_t     first = s->out->n * part / PARTS;
    int64_t     n = s->out->n * (part + 1) / PARTS - first;
    int64_t     dim = s->out->dim;
    int64_t     inner = s->in->dim;

    gnn_gemm(s->keep + part * inner * dim, dim, inner, dim, n, 1, gnn_transposed(s->in->val + first * inner, inner),
             gnn_plain(s->out->grad + first * dim, dim), 0);
}

static void
matmul_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    StepWork    w = {.plan = plan, .step = s};
    int64_t     size = s->weight->n * s->weight->dim;

    run_rows(plan, s, matmul_grad_rows);
    gnn_team_run(plan->team, PARTS, matmul_grad_part, &w);
    for (int part = 0; part < PARTS; part++)
        gnn_add_scaled(s->weight->grad, 1, s->keep + part * size, size);
}

const GnnOp gnn_matmul = {"matmul", matmul_forward, matmul_backward};

GnnMat *
gnn_op_matmul(GnnPlan *plan, GnnMat *x, GnnMat *w)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, w->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_matmul, .out = out, .in = x, .weight = w,
                                      .n_keep = PARTS * w->n * w->dim});
    return out;
}

/* ---- out = x > 0 ? x : slope x ---- */
/* so dx += dout where x > 0, slope dout elsewhere */

static void
leaky_relu_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = ((StepWork *) arg)->step;
    int64_t     first;
    int64_t     n = block_rows(s->out, block, &first) * s->out->dim;
    const real *x = s->in->val + first * s->out->dim;
    real       *out = s->out->val + first * s->out->dim;

    for (int64_t i = 0; i < n; i++)
        out[i] = x[i] > 0 ? x[i] : s->scale * x[i];
}

static void
leaky_relu_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_rows(plan, s, leaky_relu_rows);
}

static void
leaky_relu_grad_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = ((StepWork *) arg)->step;
    int64_t     first;
    int64_t     n = block_rows(s->out, block, &first) * s->out->dim;
    const real *x = s->in->val + first * s->out->dim;
    const real *dout = s->out->grad + first * s->out->dim;
    real       *dx = s->in->grad + first * s->out->dim;

    for (int64_t i = 0; i < n; i++)
        dx[i] += x[i] > 0 ? dout[i] : s->scale * dout[i];
}

static void
leaky_relu_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_rows(plan, s, leaky_relu_grad_rows);
}

const GnnOp gnn_leaky_relu = {"leaky_relu", leaky_relu_forward, leaky_relu_backward};

GnnMat *
gnn_op_leaky_relu(GnnPlan *plan, GnnMat *x, double slope)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_leaky_relu, .out = out, .in = x, .scale = (real) slope});
    return out;
}

/* ---- out = mask x / (1 - p) ---- */
/* so dx += mask dout / (1 - p); the mask is drawn again, not kept: it is a function of pass, step and element */

static void
drop(const GnnPlan *plan, const GnnPlanStep *s, int64_t block, real *to, const real *from, bool add)
{
    GnnRng      rng = gnn_rng(plan->seed, GNN_STREAM_DROPOUT, (uint64_t) plan->pass * GNN_MAX_STEPS + s->number);
    real        keep = plan->training ? 1 / (1 - s->scale) : 1;
    int64_t     first;
    int64_t     n = block_rows(s->out, block, &first) * s->out->dim;

    first *= s->out->dim;
    rng.counter = (uint64_t) first;
    for (int64_t i = first; i < first + n; i++)
    {
        bool        kept = !plan->training || gnn_rng_uniform(&rng) >= s->scale;

        to[i] = (add ? to[i] : 0) + (kept ? keep * from[i] : 0);
    }
}

static void
dropout_rows(void *arg, int64_t block, int thread)
{
    const StepWork *w = arg;

    drop(w->plan, w->step, block, w->step->out->val, w->step->in->val, false);
}

static void
dropout_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_rows(plan, s, dropout_rows);
}

static void
dropout_grad_rows(void *arg, int64_t block, int thread)
{
    const StepWork *w = arg;

    drop(w->plan, w->step, block, w->step->in->grad, w->step->out->grad, true);
}

static void
dropout_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    run_rows(plan, s, dropout_grad_rows);
}

const GnnOp gnn_dropout = {"dropout", dropout_forward, dropout_backward};

GnnMat *
gnn_op_dropout(GnnPlan *plan, GnnMat *x, double probability)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_dropout, .out = out, .in = x, .scale = (real) probability});
    return out;
}
