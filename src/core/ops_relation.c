/*
 * ops_relation.c: a node and the means of its neighbours, relation by relation, each relation with weights of its own.
 *
 *     out = drop(f(x W_0 + sum_r D_r^-1 A_r x W_r)),     W_r = sum_b c_rb V_b
 *
 * r is a directed relation of the typed graph, f(y) is y where y > 0 and slope y elsewhere. The bases V_b lie below W_0 in one
 * matrix, c is a matrix of its own. No relation has a buffer of nodes: a slice of rows gathers run by run and adds each mean,
 * times c_rb, to the row that basis b gets, so that there is a product for each basis, however many relations there are.
 *
 * Backwards dy is gathered along the same edges from their other ends: with s_rv = sum over u of (D_r^-1 A_r)_uv dy_u, and the
 * rows q_bv = sum_r c_rb s_rv,
 *
 *     dx_v += dy_v W_0' + sum_b q_bv V_b';   dW_0 += x' dy;   dV_b += x' q_b;   dc_rb += sum_v (x_v V_b) . s_rv
 *
 * dy takes dout's place. `keep` has the parts' buffers (see core/rows.h).
 */
#include "core/ops.h"

#include "core/activate.h"
#include "core/blas.h"
#include "core/rows.h"

typedef struct RelationWork
{
    const GnnPlan *plan;
    const GnnPlanStep *step;
} RelationWork;

/* buffers of a part; a row has its own share of x's or out's dim first, then those of the bases */
typedef struct Part
{
    real       *dw;             /* as the weight: (1 + bases) x's dim x out's dim */
    real       *dmix;           /* as c: relations x bases */
    real       *rows;           /* GNN_SLICE x (1 + bases) x the larger dim */
    real       *projected;      /* GNN_SLICE x bases x out's dim: x V */
} Part;

static int64_t
slice_size(const GnnMat *x, const GnnMat *out, int64_t bases)
{
    return GNN_SLICE * (1 + bases) * (x->dim > out->dim ? x->dim : out->dim);
}

static int64_t
part_size(const GnnMat *x, const GnnMat *w, const GnnMat *mix)
{
    return w->n * w->dim + mix->n * mix->dim + 2 * slice_size(x, w, mix->dim);
}

static Part
part_of(const GnnPlanStep *s, int64_t part)
{
    const GnnMat *mix = s->with[0];
    real       *at = s->keep + part * part_size(s->in, s->weight, mix);
    real       *dmix = at + s->weight->n * s->weight->dim;
    real       *rows = dmix + mix->n * mix->dim;

    return (Part) {.dw = at, .dmix = dmix, .rows = rows, .projected = rows + slice_size(s->in, s->out, mix->dim)};
}

/* W_0, or V_(number - 1) */
static real *
block_of(real *weight, const GnnPlanStep *s, int64_t number)
{
    return weight + number * s->in->dim * s->out->dim;
}

/* ---- forward ---- */

/* what the bases get of one node: mixed[b] += c_rb times the mean over each run */
static void
mix_means(real *mixed, const RelationWork *w, int64_t v)
{
    const GnnTyped *t = w->plan->typed;
    const GnnMat *x = w->step->in;
    const GnnMat *mix = w->step->with[0];
    real        mean[GNN_MAX_DIM];
    int64_t     end;

    for (int64_t e = t->ptr[v]; e < t->ptr[v + 1]; e = end)
    {
        end = gnn_run_end(t, e, t->ptr[v + 1]);
        gnn_typed_gather(mean, t, e, end, t->share, GNN_END_OWN, x->val, x->dim);
        for (int64_t b = 0; b < mix->dim; b++)
            gnn_add_scaled(mixed + b * x->dim, mix->val[t->relation[e] * mix->dim + b], mean, x->dim);
    }
}

static void
forward_part(void *arg, int64_t number, int thread)
{
    const RelationWork *w = arg;
    const GnnPlanStep *s = w->step;
    Part        part = part_of(s, number);
    int64_t     inner = s->in->dim;
    int64_t     width = s->weight->n;
    int64_t     dim = s->out->dim;
    int64_t     n;

    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
    {
        real       *out = s->out->val + row * dim;

        memset(part.rows, 0, n * width * sizeof(real));
        for (int64_t i = 0; i < n; i++)
        {
            memcpy(part.rows + i * width, s->in->val + (row + i) * inner, inner * sizeof(real));
            mix_means(part.rows + i * width + inner, w, row + i);
        }
        gnn_gemm(out, dim, n, dim, width, 1, gnn_plain(part.rows, width), gnn_plain(s->weight->val, dim), 0);
        gnn_activate_rows(out, out, out, w->plan, s, row, n);
    }
}

static void
relation_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    RelationWork w = {.plan = plan, .step = s};

    gnn_team_run(plan->team, gnn_parts(s->out->n), forward_part, &w);
}

/* ---- backward ---- */

static void
through_activation(void *arg, int64_t number, int thread)
{
    const RelationWork *w = arg;
    const GnnPlanStep *s = w->step;
    int64_t     first = gnn_part_start(s->out->n, number);
    int64_t     at = first * s->out->dim;

    gnn_activate_rows(s->out->grad + at, s->out->grad + at, s->out->val + at, w->plan, s, first,
                 gnn_part_start(s->out->n, number + 1) - first);
}

/* q of one node, and what it adds to dc; projected is x_v V */
static void
mix_gradients(real *mixed, real *dmix, const RelationWork *w, int64_t v, const real *projected)
{
    const GnnTyped *t = w->plan->typed;
    const GnnMat *out = w->step->out;
    const GnnMat *mix = w->step->with[0];
    real        sum[GNN_MAX_DIM];
    int64_t     end;

    for (int64_t e = t->ptr[v]; e < t->ptr[v + 1]; e = end)
    {
        int64_t     at = (t->relation[e] ^ 1) * mix->dim;       /* the relation as those see it whose mean v is in */

        end = gnn_run_end(t, e, t->ptr[v + 1]);
        gnn_typed_gather(sum, t, e, end, t->share, GNN_END_OPPOSITE, out->grad, out->dim);
        for (int64_t b = 0; b < mix->dim; b++)
        {
            gnn_add_scaled(mixed + b * out->dim, mix->val[at + b], sum, out->dim);
            dmix[at + b] += gnn_inner(projected + b * out->dim, sum, out->dim);
        }
    }
}

static void
backward_slice(const RelationWork *w, const Part *part, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    int64_t     bases = s->with[0]->dim;
    int64_t     inner = s->in->dim;
    int64_t     dim = s->out->dim;
    int64_t     width = (1 + bases) * dim;
    GnnDense    x = gnn_plain(s->in->val + row * inner, inner);

    for (int64_t b = 0; b < bases; b++)
        gnn_gemm(part->projected + b * dim, bases * dim, n, dim, inner, 1, x,
                 gnn_plain(block_of(s->weight->val, s, 1 + b), dim), 0);
    memset(part->rows, 0, n * width * sizeof(real));
    for (int64_t i = 0; i < n; i++)
    {
        memcpy(part->rows + i * width, s->out->grad + (row + i) * dim, dim * sizeof(real));
        mix_gradients(part->rows + i * width + dim, part->dmix, w, row + i, part->projected + i * bases * dim);
    }
    for (int64_t b = 0; b <= bases; b++)
    {
        GnnDense    q = gnn_plain(part->rows + b * dim, width);

        gnn_gemm(block_of(part->dw, s, b), dim, inner, dim, n, 1, gnn_transposed(x.val, inner), q, 1);
        gnn_gemm(s->in->grad + row * inner, inner, n, inner, dim, 1, q, gnn_transposed(block_of(s->weight->val, s, b), dim), 1);
    }
}

static void
backward_part(void *arg, int64_t number, int thread)
{
    const RelationWork *w = arg;
    const GnnPlanStep *s = w->step;
    Part        part = part_of(s, number);
    int64_t     n;

    memset(part.dw, 0, (part.rows - part.dw) * sizeof(real));
    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
        backward_slice(w, &part, row, n);
}

static void
relation_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    const GnnMat *mix = s->with[0];
    RelationWork w = {.plan = plan, .step = s};
    int64_t     stride = part_size(s->in, s->weight, mix);

    gnn_team_run(plan->team, gnn_parts(s->out->n), through_activation, &w);
    gnn_team_run(plan->team, gnn_parts(s->out->n), backward_part, &w);
    gnn_add_parts(s->weight->grad, s->out->n, part_of(s, 0).dw, stride, s->weight->n * s->weight->dim);
    gnn_add_parts(mix->grad, s->out->n, part_of(s, 0).dmix, stride, mix->n * mix->dim);
}

const GnnOp gnn_relation_sum = {"relation_sum", relation_forward, relation_backward};

GnnMat *
gnn_op_relation_sum(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *mix, double slope, double dropout)
{
    GnnMat     *out = gnn_plan_mat(plan, x->n, w->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_relation_sum, .out = out, .in = x, .weight = w, .with = {mix},
                                      .scale = (real) slope, .own = (real) dropout,
                                      .n_keep = gnn_parts(x->n) * part_size(x, w, mix)});
    return gnn_op_along_edges(plan, out);
}
