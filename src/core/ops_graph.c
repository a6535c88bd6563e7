/*
 * ops_graph.c: the steps that follow edges. A_hat is symmetric, so each backward pass is the forward
 * pass on gradients.
 */
#include "core/ops.h"

/* ---- out = own x + across A x ---- */
/* so dx += own dout + across A dout */

static void
propagate(GnnPlan *plan, const GnnPlanStep *s, real *y, const real *x, bool add)
{
    GnnProduct  p = {.y = y, .a = &plan->adjacency->a, .x = x, .base = x, .scale = s->scale, .own = s->own,
                     .dim = s->out->dim, .add = add};

    gnn_product_run(plan->team, &p);
}

static void
propagate_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    propagate(plan, s, s->out->val, s->in->val, false);
}

static void
propagate_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    propagate(plan, s, s->in->grad, s->out->grad, true);
}

const GnnOp gnn_propagate = {"propagate", propagate_forward, propagate_backward};

GnnMat *
gnn_op_propagate(GnnPlan *plan, GnnMat *x, double own, double across)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_propagate, .out = out, .in = x, .own = (real) own,
                                      .scale = (real) across});
    return out;
}

/* ---- out = 1/(L+1) (x + A x + ... A^L x), by Horner: y = x; L times y = x + A y ---- */
/* so dx += 1/(L+1) (dout + A dout + ... A^L dout) */

/*
 * Two buffers, whatever L is: y moves between them, and the last product goes where it belongs. The
 * inner sum, y before that last product, ends in buffer L mod 2.
 */
static real *
buffer(const GnnPlanStep *s, int layer)
{
    int64_t     size = s->out->n * s->out->dim;

    return s->keep + (layer % 2) * (s->n_keep > size ? size : 0);
}

const real *
gnn_propagate_mean_inner(const GnnPlanStep *s)
{
    return s->count == 1 ? s->in->val : buffer(s, s->count);
}

static void
propagate_mean(GnnPlan *plan, const GnnPlanStep *s, real *out, const real *x, bool add)
{
    GnnProduct  p = {.a = &plan->adjacency->a, .x = x, .base = x, .scale = 1, .own = 1, .dim = s->out->dim};

    for (int layer = 2; layer <= s->count; layer++)
    {
        p.y = buffer(s, layer);
        gnn_product_run(plan->team, &p);
        p.x = p.y;
    }
    p.y = out;
    p.add = add;
    p.own = (real) 1 / (s->count + 1);
    p.scale = s->count > 0 ? p.own : 0;
    gnn_product_run(plan->team, &p);
}

static void
propagate_mean_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    propagate_mean(plan, s, s->out->val, s->in->val, false);
}

static void
propagate_mean_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    propagate_mean(plan, s, s->in->grad, s->out->grad, true);
}

const GnnOp gnn_propagate_mean = {"propagate_mean", propagate_mean_forward, propagate_mean_backward};

GnnMat *
gnn_op_propagate_mean(GnnPlan *plan, GnnMat *x, int layers)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);
    int         buffers = layers <= 1 ? 0 : layers == 2 ? 1 : 2;

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_propagate_mean, .out = out, .in = x, .count = layers,
                                      .n_keep = buffers * x->n * x->dim});
    return out;
}
