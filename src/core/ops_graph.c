/*
 * ops_graph.c: the steps that follow edges and are linear. The backward pass of a product with A_hat is that with its
 * transpose, on gradients: of the whole graph the same matrix, of a sample the other values of the same edges.
 */
#include "core/ops.h"

#include "core/kernel.h"

#include <math.h>

/* ---- out = own x + across A x ---- */
/* so dx += own dout + across A dout */

static void
propagate(GnnPlan *plan, const GnnPlanStep *s, real *y, const GnnCsr *a, const real *x, bool add)
{
    GnnProduct  p = {.y = y, .a = a, .x = x, .base = x, .scale = s->scale, .own = s->own,
                     .dim = s->out->dim, .add = add};

    gnn_product_run(plan->team, &p);
}

static void
propagate_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    propagate(plan, s, s->out->val, &plan->adjacency->a, s->in->val, false);
}

static void
propagate_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    GnnCsr      turned = gnn_adjacency_turned(plan->adjacency);

    propagate(plan, s, s->in->grad, &turned, s->out->grad, true);
}

const GnnOp gnn_propagate = {"propagate", propagate_forward, propagate_backward};

GnnMat *
gnn_op_propagate(GnnPlan *plan, GnnMat *x, double own, double across)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_propagate, .out = out, .in = x, .own = (real) own,
                                      .scale = (real) across});
    return gnn_op_along_edges(plan, out);
}

/* ---- out = 1/(L+1) (x + A x + ... A^L x), by Horner: y = x; L times y = x + A y, perturbed where the plan has noise ---- */
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

/* backwards, noise is no more: it was a constant */
static void
propagate_mean(GnnPlan *plan, const GnnPlanStep *s, real *out, const GnnCsr *a, const real *x, bool backward)
{
    GnnProduct  p = {.a = a, .x = x, .base = x, .scale = 1, .own = 1, .dim = s->out->dim};

    for (int layer = 2; layer <= s->count; layer++)
    {
        p.y = buffer(s, layer);
        gnn_product_run(plan->team, &p);
        if (!backward)
            gnn_perturb_layer(plan, s, layer - 2, p.y);
        p.x = p.y;
    }
    p.y = out;
    p.add = backward;
    p.own = (real) 1 / (s->count + 1);
    p.scale = s->count > 0 ? p.own : 0;
    gnn_product_run(plan->team, &p);
    if (!backward && s->count > 0)
        gnn_perturb_layer(plan, s, s->count - 1, out);
}

static void
propagate_mean_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    propagate_mean(plan, s, s->out->val, &plan->adjacency->a, s->in->val, false);
}

static void
propagate_mean_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    GnnCsr      turned = gnn_adjacency_turned(plan->adjacency);

    propagate_mean(plan, s, s->in->grad, &turned, s->out->grad, true);
}

const GnnOp gnn_propagate_mean = {"propagate_mean", propagate_mean_forward, propagate_mean_backward};

GnnMat *
gnn_op_propagate_mean(GnnPlan *plan, GnnMat *x, int layers)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);
    int         buffers = layers <= 1 ? 0 : layers == 2 ? 1 : 2;

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_propagate_mean, .out = out, .in = x, .count = layers,
                                      .n_keep = buffers * x->n * x->dim});
    plan->along_edges |= layers > 0;
    return out;
}

/* ---- out = D^-1 A x: the weighted mean over neighbours, 0 where there are none ---- */
/* so dx += A D^-1 dout */

#define MEAN_ROWS 128           /* of a block */
#define EDGES 256               /* whose coefficients are on the stack at once */

typedef struct MeanWork
{
    const GnnAdjacency *adjacency;
    GnnCsr      a;              /* backwards the transpose */
    const GnnPlanStep *step;
    bool        forward;
} MeanWork;

/* A_vw / D_v is A_hat_vw sqrt(D_w / D_v): v is the row forwards and the column backwards */
static void
mean_coefficients(float *coef, const MeanWork *w, int64_t row, int64_t start, int64_t n)
{
    const GnnCsr *a = &w->a;
    const double *degree = w->adjacency->degree;

    for (int64_t e = 0; e < n; e++)
    {
        double      ratio = degree[a->idx[start + e]] / degree[row];

        coef[e] = (float) (a->val[start + e] * sqrt(w->forward ? ratio : 1 / ratio));
    }
}

static void
mean_row(const MeanWork *w, int64_t row)
{
    const GnnCsr *a = &w->a;
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;
    const real *from = w->forward ? s->in->val : s->out->grad;
    real       *to = (w->forward ? s->out->val : s->in->grad) + row * dim;

    if (w->forward)
        memset(to, 0, dim * sizeof(real));
    for (int64_t e = a->ptr[row]; e < a->ptr[row + 1]; e += EDGES)
    {
        int64_t     n = a->ptr[row + 1] - e < EDGES ? a->ptr[row + 1] - e : EDGES;
        float       coef[EDGES];
        real        sum[GNN_MAX_DIM];

        mean_coefficients(coef, w, row, e, n);
        gnn_gather_rows(sum, a->idx + e, coef, n, 1, from, dim);
        gnn_add_scaled(to, 1, sum, dim);
    }
}

static void
mean_rows(void *arg, int64_t block, int thread)
{
    const MeanWork *w = arg;
    int64_t     n = w->a.n;

    for (int64_t row = block * MEAN_ROWS; row < (block + 1) * MEAN_ROWS && row < n; row++)
        mean_row(w, row);
}

static void
neighbour_mean(GnnPlan *plan, const GnnPlanStep *s, bool is_forward)
{
    MeanWork    w = {.adjacency = plan->adjacency, .step = s, .forward = is_forward,
                     .a = is_forward ? plan->adjacency->a : gnn_adjacency_turned(plan->adjacency)};

    gnn_team_run(plan->team, gnn_blocks(s->out->n, MEAN_ROWS), mean_rows, &w);
}

static void
neighbour_mean_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    neighbour_mean(plan, s, true);
}

static void
neighbour_mean_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    neighbour_mean(plan, s, false);
}

const GnnOp gnn_neighbour_mean = {"neighbour_mean", neighbour_mean_forward, neighbour_mean_backward};

GnnMat *
gnn_op_neighbour_mean(GnnPlan *plan, GnnMat *x)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, x->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_neighbour_mean, .out = out, .in = x});
    return gnn_op_along_edges(plan, out);
}
