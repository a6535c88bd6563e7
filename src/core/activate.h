/*
 * activate.h: the activation and dropout at the end of a step, which share one pass forwards and backwards.
 */
#ifndef GNN_CORE_ACTIVATE_H
#define GNN_CORE_ACTIVATE_H

#include "core/plan.h"

/*
 * to = from where y > 0, slope from elsewhere. y is before or after the activation: a slope above 0 leaves the sign, and one
 * of 0 makes zeros of what has that derivative. to may be from.
 */
static inline void
gnn_leaky(real *to, const real *from, const real *y, real slope, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = y[i] > 0 ? from[i] : slope * from[i];
}

/*
 * n rows of a step's result, from `row` on: in training, a number is 0 with probability s->own, else divided by 1 - s->own; the
 * same ones each time.
 */
static inline void
gnn_drop_rows(real *x, const GnnPlan *plan, const GnnPlanStep *s, int64_t row, int64_t n)
{
    GnnRng      rng = gnn_rng(plan->seed, GNN_STREAM_DROPOUT, (uint64_t) plan->pass * GNN_MAX_STEPS + s->number);

    if (!plan->training || s->own <= 0)
        return;
    rng.counter = (uint64_t) (row * s->out->dim);
    for (int64_t i = 0; i < n * s->out->dim; i++)
        x[i] = gnn_rng_uniform(&rng) >= s->own ? x[i] / (1 - s->own) : 0;
}

/* both, with slope s->scale */
static inline void
gnn_activate_rows(real *to, const real *from, const real *y, const GnnPlan *plan, const GnnPlanStep *s, int64_t row, int64_t n)
{
    gnn_leaky(to, from, y, s->scale, n * s->out->dim);
    gnn_drop_rows(to, plan, s, row, n);
}

#endif
