/*
 * ops_noise.c: noise on what went along edges, of which views are made that differ (SimGCL: Yu et al., SIGIR 2022).
 *
 *     out = x + noise |x| sign(x) * u / |u|,  row by row;  u uniform in (0, 1]^dim;  in training, else out = x
 *
 * No number changes its sign. Where we differ: the paper's noise has one length, whatever the row's is; but a loss on cosines
 * leaves lengths free, and they grow as training goes on, so ours is a share of the row's.
 *
 * To the backward pass noise is a constant: dx += dout. The random numbers are a function of pass, step, layer and element.
 */
#include "core/ops.h"

#include "core/kernel.h"

#include <math.h>

#define ROWS 128                /* of a block */
#define MAX_LAYERS 64           /* of a fused step */

typedef struct NoiseWork
{
    const GnnMat *shape;
    real       *to;
    const real *from;
    real        noise;
    GnnRng      rng;
} NoiseWork;

static GNN_CLONES void
draw_row(real *u, GnnRng rng, int64_t dim)
{
    for (int64_t c = 0; c < dim; c++)
        u[c] = (real) (1 - gnn_rng_uniform(&rng));
}

/* to = from + length sign(from) * u */
static GNN_CLONES void
add_noise(real *to, const real *from, real length, const real *u, int64_t dim)
{
    for (int64_t c = 0; c < dim; c++)
        to[c] = from[c] + (from[c] > 0 ? length : from[c] < 0 ? -length : 0) * u[c];
}

static void
noise_rows(void *arg, int64_t block, int thread)
{
    NoiseWork  *w = arg;
    int64_t     dim = w->shape->dim;
    GnnRng      rng = w->rng;
    real        u[GNN_MAX_DIM];

    for (int64_t row = block * ROWS; row < (block + 1) * ROWS && row < w->shape->n; row++)
    {
        const real *from = w->from + row * dim;

        rng.counter = (uint64_t) (row * dim);
        draw_row(u, rng, dim);
        add_noise(w->to + row * dim, from, w->noise * (real) sqrt(gnn_inner(from, from, dim) / gnn_inner(u, u, dim)), u, dim);
    }
}

static void
add_to_rows(const GnnPlan *plan, const GnnPlanStep *s, int layer, real *to, const real *from)
{
    uint64_t    index = ((uint64_t) plan->pass * GNN_MAX_STEPS + s->number) * MAX_LAYERS + layer;
    NoiseWork   w = {.shape = s->out, .to = to, .from = from, .noise = plan->noise,
                     .rng = gnn_rng(plan->seed, GNN_STREAM_NOISE, index)};

    gnn_team_run(plan->team, gnn_blocks(s->out->n, ROWS), noise_rows, &w);
}

void
gnn_perturb_layer(const GnnPlan *plan, const GnnPlanStep *step, int layer, real *rows)
{
    if (plan->training && plan->noise > 0)
        add_to_rows(plan, step, layer, rows, rows);
}

static void
perturb_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    if (plan->training)
        add_to_rows(plan, s, 0, s->out->val, s->in->val);
    else
        memcpy(s->out->val, s->in->val, s->out->n * s->out->dim * sizeof(real));
}

static void
add_grad_rows(void *arg, int64_t block, int thread)
{
    const GnnPlanStep *s = arg;
    int64_t     at = block * ROWS * s->out->dim;
    int64_t     rows = s->out->n - block * ROWS < ROWS ? s->out->n - block * ROWS : ROWS;

    gnn_add_scaled(s->in->grad + at, 1, s->out->grad + at, rows * s->out->dim);
}

static void
perturb_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    gnn_team_run(plan->team, gnn_blocks(s->out->n, ROWS), add_grad_rows, (void *) s);
}

const GnnOp gnn_perturb = {"perturb", perturb_forward, perturb_backward};

GnnMat *
gnn_op_along_edges(GnnPlan *plan, GnnMat *x)
{
    GnnMat     *out;

    plan->along_edges = true;
    if (plan->noise == 0)
        return x;
    out = gnn_plan_mat(plan, x->n, x->dim);
    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_perturb, .out = out, .in = x});
    return out;
}
