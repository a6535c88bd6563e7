/*
 * ops_dense.c: the steps that look at each row alone: products with weights, an activation, dropout, in one pass.
 *
 *     out = drop(f(P W))  or  drop(f(P W + Q V)),     f(y) = y where y > 0, slope y elsewhere
 *
 * P and Q are made of a row of x and a row of a, two numbers at a time; what they are is all that tells these steps apart. One
 * fused step keeps no matrix but its result: P, Q, the activation's side and the dropped numbers are made again for the backward
 * pass, from x, a, the result's sign and the random numbers, which are a function of pass, step and element.
 *
 * Rows go in parts (see core/rows.h), whose buffers are all there is in `keep`.
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/rows.h"

/* what P and Q are, for n numbers; dx and da are added to */
typedef struct Product
{
    void        (*gather)(real *p, real *q, const real *x, const real *a, int64_t n);
    void        (*spread)(real *dx, real *da, const real *dp, const real *dq, const real *x, const real *a, int64_t n);
} Product;

typedef struct StepWork
{
    const GnnPlan *plan;
    const GnnPlanStep *step;
    const Product *product;
} StepWork;

/* ---- the buffers of a part ---- */

typedef struct Part
{
    real       *dw;             /* x's dim x out's dim */
    real       *dv;
    real       *p;              /* GNN_SLICE x x's dim */
    real       *q;
    real       *dp;
    real       *dq;
    real       *dy;             /* GNN_SLICE x out's dim */
} Part;

static int64_t
part_size(const GnnMat *x, const GnnMat *out)
{
    return 2 * x->dim * out->dim + 4 * GNN_SLICE * x->dim + GNN_SLICE * out->dim;
}

static Part
part_of(const GnnPlanStep *s, int64_t part)
{
    int64_t     weight = s->in->dim * s->out->dim;
    int64_t     slice = GNN_SLICE * s->in->dim;
    real       *at = s->keep + part * part_size(s->in, s->out);

    return (Part) {.dw = at, .dv = at + weight, .p = at + 2 * weight, .q = at + 2 * weight + slice,
                   .dp = at + 2 * weight + 2 * slice, .dq = at + 2 * weight + 3 * slice, .dy = at + 2 * weight + 4 * slice};
}

static const real *
row_of(const GnnMat *m, int64_t row)
{
    return m != NULL ? m->val + row * m->dim : NULL;
}

/* ---- activation and dropout: to = from where y > 0, slope from elsewhere, and the same numbers dropped each time ---- */

/* y is before or after the activation: a slope above 0 leaves the sign, and one of 0 makes zeros of what has that derivative */
static void
activate(real *to, const real *from, const real *y, const StepWork *w, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    GnnRng      rng = gnn_rng(w->plan->seed, GNN_STREAM_DROPOUT, (uint64_t) w->plan->pass * GNN_MAX_STEPS + s->number);
    bool        drops = w->plan->training && s->own > 0;
    real        slope = s->scale;

    for (int64_t i = 0; i < n * s->out->dim; i++)
        to[i] = y[i] > 0 ? from[i] : slope * from[i];
    if (!drops)
        return;
    rng.counter = (uint64_t) (row * s->out->dim);
    for (int64_t i = 0; i < n * s->out->dim; i++)
        to[i] = gnn_rng_uniform(&rng) >= s->own ? to[i] / (1 - s->own) : 0;
}

/* ---- out = drop(f(P W + Q V)) ---- */
/* so dy = drop(f'(y) dout), dP = dy W', dQ = dy V', dW += P' dy, dV += Q' dy */

static void
forward_part(void *arg, int64_t number, int thread)
{
    const StepWork *w = arg;
    const GnnPlanStep *s = w->step;
    const GnnMat *v = s->with[1];
    Part        part = part_of(s, number);
    int64_t     inner = s->in->dim;
    int64_t     dim = s->out->dim;
    int64_t     n;

    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
    {
        real       *out = s->out->val + row * dim;

        w->product->gather(part.p, part.q, row_of(s->in, row), row_of(s->with[0], row), n * inner);
        gnn_gemm(out, dim, n, dim, inner, 1, gnn_plain(part.p, inner), gnn_plain(s->weight->val, dim), 0);
        if (v != NULL)
            gnn_gemm(out, dim, n, dim, inner, 1, gnn_plain(part.q, inner), gnn_plain(v->val, dim), 1);
        activate(out, out, out, w, row, n);
    }
}

static void
backward_slice(const StepWork *w, const Part *part, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    const GnnMat *a = s->with[0];
    const GnnMat *v = s->with[1];
    int64_t     inner = s->in->dim;
    int64_t     dim = s->out->dim;

    activate(part->dy, s->out->grad + row * dim, s->out->val + row * dim, w, row, n);
    w->product->gather(part->p, part->q, row_of(s->in, row), row_of(a, row), n * inner);
    gnn_gemm(part->dw, dim, inner, dim, n, 1, gnn_transposed(part->p, inner), gnn_plain(part->dy, dim), 1);
    gnn_gemm(part->dp, inner, n, inner, dim, 1, gnn_plain(part->dy, dim), gnn_transposed(s->weight->val, dim), 0);
    if (v != NULL)
    {
        gnn_gemm(part->dv, dim, inner, dim, n, 1, gnn_transposed(part->q, inner), gnn_plain(part->dy, dim), 1);
        gnn_gemm(part->dq, inner, n, inner, dim, 1, gnn_plain(part->dy, dim), gnn_transposed(v->val, dim), 0);
    }
    w->product->spread(s->in->grad + row * inner, a != NULL ? a->grad + row * inner : NULL, part->dp, part->dq,
                       row_of(s->in, row), row_of(a, row), n * inner);
}

static void
backward_part(void *arg, int64_t number, int thread)
{
    const StepWork *w = arg;
    const GnnPlanStep *s = w->step;
    Part        part = part_of(s, number);
    int64_t     n;

    memset(part.dw, 0, 2 * s->in->dim * s->out->dim * sizeof(real));
    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
        backward_slice(w, &part, row, n);
}

static void
backward(GnnPlan *plan, const GnnPlanStep *s, const Product *product)
{
    StepWork    w = {.plan = plan, .step = s, .product = product};
    int64_t     size = s->weight->n * s->weight->dim;
    int64_t     stride = part_size(s->in, s->out);

    gnn_team_run(plan->team, gnn_parts(s->out->n), backward_part, &w);
    gnn_add_parts(s->weight->grad, s->out->n, part_of(s, 0).dw, stride, size);
    if (s->with[1] != NULL)
        gnn_add_parts(s->with[1]->grad, s->out->n, part_of(s, 0).dv, stride, size);
}

static void
forward(GnnPlan *plan, const GnnPlanStep *s, const Product *product)
{
    StepWork    w = {.plan = plan, .step = s, .product = product};

    gnn_team_run(plan->team, gnn_parts(s->out->n), forward_part, &w);
}

static GnnMat *
add_step(GnnPlan *plan, const GnnOp *op, GnnMat *out, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout)
{
    gnn_plan_add(plan, (GnnPlanStep) {.op = op, .out = out, .in = x, .weight = w, .with = {a, v}, .scale = (real) slope,
                                      .own = (real) dropout, .n_keep = gnn_parts(x->n) * part_size(x, out)});
    return out;
}

/* ---- dense: P = x ---- */
/* so dx += dP */

static void
dense_gather(real *p, real *q, const real *x, const real *a, int64_t n)
{
    memcpy(p, x, n * sizeof(real));
}

static void
dense_spread(real *dx, real *da, const real *dp, const real *dq, const real *x, const real *a, int64_t n)
{
    gnn_add_scaled(dx, 1, dp, n);
}

static const Product dense = {dense_gather, dense_spread};

static void
dense_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    forward(plan, s, &dense);
}

static void
dense_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    backward(plan, s, &dense);
}

const GnnOp gnn_dense = {"dense", dense_forward, dense_backward};

GnnMat *
gnn_op_dense(GnnPlan *plan, GnnMat *x, GnnMat *w, double slope, double dropout)
{
    return add_step(plan, &gnn_dense, gnn_plan_mat(plan, x->n, w->dim), x, w, NULL, NULL, slope, dropout);
}

void
gnn_op_dense_into(GnnPlan *plan, GnnMat *out, GnnMat *x, GnnMat *w, double slope, double dropout)
{
    add_step(plan, &gnn_dense, out, x, w, NULL, NULL, slope, dropout);
}

/* ---- join: P = x, Q = a ---- */
/* so dx += dP and da += dQ */

static void
join_gather(real *p, real *q, const real *x, const real *a, int64_t n)
{
    memcpy(p, x, n * sizeof(real));
    memcpy(q, a, n * sizeof(real));
}

static void
join_spread(real *dx, real *da, const real *dp, const real *dq, const real *x, const real *a, int64_t n)
{
    gnn_add_scaled(dx, 1, dp, n);
    gnn_add_scaled(da, 1, dq, n);
}

static const Product join = {join_gather, join_spread};

static void
join_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    forward(plan, s, &join);
}

static void
join_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    backward(plan, s, &join);
}

const GnnOp gnn_join = {"join", join_forward, join_backward};

GnnMat *
gnn_op_join(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout)
{
    return add_step(plan, &gnn_join, gnn_plan_mat(plan, x->n, w->dim), x, w, a, v, slope, dropout);
}

/* ---- interact: P = x + a, Q = a * x ---- */
/* so dx += dP + dQ * a and da += dP + dQ * x */

static void
interact_gather(real *p, real *q, const real *x, const real *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
    {
        p[i] = x[i] + a[i];
        q[i] = a[i] * x[i];
    }
}

static void
interact_spread(real *dx, real *da, const real *dp, const real *dq, const real *x, const real *a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
    {
        dx[i] += dp[i] + dq[i] * a[i];
        da[i] += dp[i] + dq[i] * x[i];
    }
}

static const Product interact = {interact_gather, interact_spread};

static void
interact_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    forward(plan, s, &interact);
}

static void
interact_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    backward(plan, s, &interact);
}

const GnnOp gnn_interact = {"interact", interact_forward, interact_backward};

GnnMat *
gnn_op_interact(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout)
{
    return add_step(plan, &gnn_interact, gnn_plan_mat(plan, x->n, w->dim), x, w, a, v, slope, dropout);
}
