/*
 * ops_dense.c: the steps that look at each row alone: products with weights, an activation, dropout, in one pass.
 *
 *     out = drop(f(P W)),  drop(f(P W + Q V))  or  drop(f(P W) + f(Q V)),    f(y) = y where y > 0, slope y elsewhere
 *
 * P and Q are made of a row of x and a row of a, two numbers at a time; what they are is all that tells these steps apart. One
 * fused step keeps no matrix but its result: P, Q, the activation's side and the dropped numbers are made again for the
 * backward pass, from x, a, the result's sign and the random numbers, which are a function of pass, step and element; of two
 * activations the sum's sign says nothing, and both are computed again.
 *
 * Rows go in parts (see core/rows.h), whose buffers are all there is in `keep`.
 */
#include "core/ops.h"

#include "core/activate.h"
#include "core/blas.h"
#include "core/rows.h"

/* what P and Q are, for n numbers; dx and da are added to */
typedef struct Product
{
    void        (*gather)(real *p, real *q, const real *x, const real *a, int64_t n);
    void        (*spread)(real *dx, real *da, const real *dp, const real *dq, const real *x, const real *a, int64_t n);
    bool        apart;          /* each product has an activation of its own */
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
    real       *y;              /* GNN_SLICE x out's dim: P W and Q V, where each has its activation ... */
    real       *z;
    real       *dy;             /* ... and the gradients by them; one, dy, where they are summed before */
    real       *dz;
} Part;

static int64_t
part_size(const GnnMat *x, const GnnMat *out)
{
    return 2 * x->dim * out->dim + 4 * GNN_SLICE * x->dim + 4 * GNN_SLICE * out->dim;
}

static Part
part_of(const GnnPlanStep *s, int64_t part)
{
    int64_t     weight = s->in->dim * s->out->dim;
    int64_t     slice = GNN_SLICE * s->in->dim;
    int64_t     result = GNN_SLICE * s->out->dim;
    real       *at = s->keep + part * part_size(s->in, s->out);
    real       *rows = at + 2 * weight;
    real       *results = rows + 4 * slice;

    return (Part) {.dw = at, .dv = at + weight, .p = rows, .q = rows + slice, .dp = rows + 2 * slice, .dq = rows + 3 * slice,
                   .y = results, .z = results + result, .dy = results + 2 * result, .dz = results + 3 * result};
}

static const real *
row_of(const GnnMat *m, int64_t row)
{
    return m != NULL ? m->val + row * m->dim : NULL;
}

/* ---- out = drop(f(P W + Q V)), or drop(f(y) + f(z)) with y = P W, z = Q V ---- */
/* so dy = drop(f'(y) dout), dz = dy or drop(f'(z) dout); dP = dy W', dQ = dz V', dW += P' dy, dV += Q' dz */

/* y = drop(f(y) + f(z)) */
static void
add_activated(real *y, real *z, const StepWork *w, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;

    gnn_leaky(y, y, y, s->scale, n * s->out->dim);
    gnn_leaky(z, z, z, s->scale, n * s->out->dim);
    gnn_add_scaled(y, 1, z, n * s->out->dim);
    gnn_drop_rows(y, w->plan, s, row, n);
}

static void
forward_part(void *arg, int64_t number, int thread)
{
    const StepWork *w = arg;
    const GnnPlanStep *s = w->step;
    const GnnMat *v = s->with[1];
    Part        part = part_of(s, number);
    int64_t     inner = s->in->dim;
    int64_t     dim = s->out->dim;
    bool        apart = w->product->apart;
    int64_t     n;

    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
    {
        real       *out = s->out->val + row * dim;

        w->product->gather(part.p, part.q, row_of(s->in, row), row_of(s->with[0], row), n * inner);
        gnn_gemm(out, dim, n, dim, inner, 1, gnn_plain(part.p, inner), gnn_plain(s->weight->val, dim), 0);
        if (v != NULL)
            gnn_gemm(apart ? part.z : out, dim, n, dim, inner, 1, gnn_plain(part.q, inner), gnn_plain(v->val, dim),
                     apart ? 0 : 1);
        if (apart)
            add_activated(out, part.z, w, row, n);
        else
            gnn_activate_rows(out, out, out, w->plan, s, row, n);
    }
}

/* dy and dz of two activations, from p and q */
static void
derive_apart(const StepWork *w, const Part *part, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    int64_t     inner = s->in->dim;
    int64_t     dim = s->out->dim;

    gnn_gemm(part->y, dim, n, dim, inner, 1, gnn_plain(part->p, inner), gnn_plain(s->weight->val, dim), 0);
    gnn_gemm(part->z, dim, n, dim, inner, 1, gnn_plain(part->q, inner), gnn_plain(s->with[1]->val, dim), 0);
    memcpy(part->dy, s->out->grad + row * dim, n * dim * sizeof(real));
    gnn_drop_rows(part->dy, w->plan, s, row, n);
    gnn_leaky(part->dz, part->dy, part->z, s->scale, n * dim);
    gnn_leaky(part->dy, part->dy, part->y, s->scale, n * dim);
}

static void
backward_slice(const StepWork *w, const Part *part, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    const GnnMat *a = s->with[0];
    const GnnMat *v = s->with[1];
    int64_t     inner = s->in->dim;
    int64_t     dim = s->out->dim;
    const real *dz = w->product->apart ? part->dz : part->dy;

    w->product->gather(part->p, part->q, row_of(s->in, row), row_of(a, row), n * inner);
    if (w->product->apart)
        derive_apart(w, part, row, n);
    else
        gnn_activate_rows(part->dy, s->out->grad + row * dim, s->out->val + row * dim, w->plan, s, row, n);
    gnn_gemm(part->dw, dim, inner, dim, n, 1, gnn_transposed(part->p, inner), gnn_plain(part->dy, dim), 1);
    gnn_gemm(part->dp, inner, n, inner, dim, 1, gnn_plain(part->dy, dim), gnn_transposed(s->weight->val, dim), 0);
    if (v != NULL)
    {
        gnn_gemm(part->dv, dim, inner, dim, n, 1, gnn_transposed(part->q, inner), gnn_plain(dz, dim), 1);
        gnn_gemm(part->dq, inner, n, inner, dim, 1, gnn_plain(dz, dim), gnn_transposed(v->val, dim), 0);
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

/* ---- bi_interact: the same, but two activations ---- */

static const Product bi_interact = {interact_gather, interact_spread, .apart = true};

static void
bi_interact_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    forward(plan, s, &bi_interact);
}

static void
bi_interact_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    backward(plan, s, &bi_interact);
}

const GnnOp gnn_bi_interact = {"bi_interact", bi_interact_forward, bi_interact_backward};

GnnMat *
gnn_op_bi_interact(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout)
{
    return add_step(plan, &gnn_bi_interact, gnn_plan_mat(plan, x->n, w->dim), x, w, a, v, slope, dropout);
}
