/*
 * ops_mean.c: how a model ends: the mean of its layers; and the same with lengths that follow from the degree.
 *
 * A model that averages over neighbours forgets how many there were, and a loss on cosines does not ask how long a vector is. But
 * vectors are served by their inner products, in which the popular should be ahead where all else is alike; a sum over neighbours
 * sees to it by itself. Hence D^power, on unit vectors. A node without edges, which its features
 * are all there is of, is as long as one with a single edge.
 */
#include "core/ops.h"

#include "core/kernel.h"

#include <math.h>

#define ROWS 256                /* of a block */
#define SMALLEST_NORM 1e-18     /* a vector shorter than this has no direction */

typedef struct MeanWork
{
    const double *degree;
    const GnnPlanStep *step;
} MeanWork;

static int64_t
block_rows(const GnnPlanStep *s, int64_t block)
{
    return s->out->n - block * ROWS < ROWS ? s->out->n - block * ROWS : ROWS;
}

static void
run(GnnPlan *plan, const GnnPlanStep *s, GnnWork work)
{
    MeanWork    w = {.degree = plan->adjacency != NULL ? plan->adjacency->degree : NULL, .step = s};

    gnn_team_run(plan->team, gnn_blocks(s->out->n, ROWS), work, &w);
}

/* ---- mean: out = 1/n (x_1 + ... x_n) ---- */
/* so dx_i += 1/n dout */

static void
mean_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = ((MeanWork *) arg)->step;
    int64_t     at = block * ROWS * s->out->dim;
    int64_t     n = block_rows(s, block) * s->out->dim;

    memset(s->out->val + at, 0, n * sizeof(real));
    for (int i = 0; i < s->count; i++)
        gnn_add_scaled(s->out->val + at, (real) 1 / s->count, s->with[i]->val + at, n);
}

static void
mean_grad_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = ((MeanWork *) arg)->step;
    int64_t     at = block * ROWS * s->out->dim;

    for (int i = 0; i < s->count; i++)
        gnn_add_scaled(s->with[i]->grad + at, (real) 1 / s->count, s->out->grad + at, block_rows(s, block) * s->out->dim);
}

static void
mean_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    run(plan, s, mean_rows);
}

static void
mean_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    run(plan, s, mean_grad_rows);
}

const GnnOp gnn_mean = {"mean", mean_forward, mean_backward};

static GnnMat *
add_step(GnnPlan *plan, const GnnOp *op, GnnMat *const *x, int n, double power, int64_t n_keep)
{
    GnnPlanStep step = {.op = op, .out = gnn_plan_mat(plan, x[0]->n, x[0]->dim), .in = x[0], .count = n,
                        .scale = (real) power, .n_keep = n_keep};

    memcpy(step.with, x, n * sizeof(*x));
    gnn_plan_add(plan, step);
    return step.out;
}

GnnMat *
gnn_op_mean(GnnPlan *plan, GnnMat *const *x, int n)
{
    return add_step(plan, &gnn_mean, x, n, 0, 0);
}

/* ---- sized mean: m = 1/n (x_1 + ... x_n);  out = D^power m / |m| ---- */
/* so dm = D^power / |m| (dout - (dout.e) e), e = m / |m|;  dx_i += 1/n dm; `keep` has |m|, 0 where there is no direction */

static double
size_of(const MeanWork *w, int64_t v)
{
    return w->degree[v] > 0 ? pow(w->degree[v], w->step->scale) : 1;
}

static void
sized_mean_rows(void *arg, int64_t block, int thread)
{
    const MeanWork *w = arg;
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;

    mean_rows(arg, block, thread);
    for (int64_t v = block * ROWS; v < block * ROWS + block_rows(s, block); v++)
    {
        real       *out = s->out->val + v * dim;
        real        norm = (real) sqrt(gnn_inner(out, out, dim));

        s->keep[v] = norm > SMALLEST_NORM ? norm : 0;
        gnn_scale(out, s->keep[v] > 0 ? (real) (size_of(w, v) / norm) : 0, dim);
    }
}

static void
sized_mean_grad_rows(void *arg, int64_t block, int thread)
{
    const MeanWork *w = arg;
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;

    for (int64_t v = block * ROWS; v < block * ROWS + block_rows(s, block); v++)
    {
        const real *out = s->out->val + v * dim;
        const real *dout = s->out->grad + v * dim;
        double      size = size_of(w, v);
        real        along;
        real        scale;

        if (s->keep[v] == 0)
            continue;
        along = (real) (gnn_inner(dout, out, dim) / (size * size));     /* (dout.e) e is this times out */
        scale = (real) (size / s->keep[v] / s->count);
        for (int i = 0; i < s->count; i++)
        {
            gnn_add_scaled(s->with[i]->grad + v * dim, scale, dout, dim);
            gnn_add_scaled(s->with[i]->grad + v * dim, -scale * along, out, dim);
        }
    }
}

static void
sized_mean_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    run(plan, s, sized_mean_rows);
}

static void
sized_mean_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    run(plan, s, sized_mean_grad_rows);
}

const GnnOp gnn_sized_mean = {"sized_mean", sized_mean_forward, sized_mean_backward};

GnnMat *
gnn_op_sized_mean(GnnPlan *plan, GnnMat *const *x, int n, double power)
{
    return add_step(plan, &gnn_sized_mean, x, n, power, x[0]->n);
}
