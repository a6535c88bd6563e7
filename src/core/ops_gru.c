/*
 * ops_gru.c: the gated recurrent unit (Cho et al., EMNLP 2014), of a state h and a message m, each row for itself.
 *
 *     z = s(m Wz + h Uz);  r = s(m Wr + h Ur);  c = drop(tanh(m Wc + (r * h) Uc));  out = (1 - z) * h + z * c
 *
 * s is the logistic function, * goes element by element; W = (Wc Wz Wr) and U = (Uc Uz Ur) side by side, dim x 3 dim each.
 * What is dropped is the candidate's (Semeniuta et al., COLING 2016): a state passes undisturbed.
 *
 * The gates are not kept: backwards they are computed again, a slice at a time. `keep` holds the parts' buffers alone.
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/rows.h"

#include <tgmath.h>

typedef struct GruWork
{
    const GnnPlan *plan;
    const GnnPlanStep *step;
} GruWork;

/* buffers of a part; gates, as their gradients, lie as W does: candidate, z, r */
typedef struct Part
{
    real       *dw;             /* dim x 3 dim */
    real       *du;
    real       *gate;           /* GNN_SLICE x 3 dim */
    real       *dgate;
    real       *reset;          /* GNN_SLICE x dim: r * h */
    real       *dreset;
} Part;

static int64_t
part_size(int64_t dim)
{
    return 6 * dim * dim + 8 * GNN_SLICE * dim;
}

static Part
part_of(const GnnPlanStep *s, int64_t part)
{
    int64_t     dim = s->in->dim;
    int64_t     slice = GNN_SLICE * dim;
    real       *at = s->keep + part * part_size(dim);
    real       *slices = at + 6 * dim * dim;

    return (Part) {.dw = at, .du = at + 3 * dim * dim, .gate = slices, .dgate = slices + 3 * slice,
                   .reset = slices + 6 * slice, .dreset = slices + 7 * slice};
}

/* what is left of a candidate's number: 0, or 1 / (1 - dropout); in the order of the elements */
static real
kept(GnnRng *rng, const GruWork *w)
{
    real        dropout = w->step->scale;

    if (!w->plan->training || dropout == 0)
        return 1;
    return gnn_rng_uniform(rng) >= dropout ? 1 / (1 - dropout) : 0;
}

static GnnRng
dropout_rng(const GruWork *w, int64_t row)
{
    GnnRng      rng = gnn_rng(w->plan->seed, GNN_STREAM_DROPOUT, (uint64_t) w->plan->pass * GNN_MAX_STEPS + w->step->number);

    rng.counter = (uint64_t) (row * w->step->in->dim);
    return rng;
}

/* ---- forward ---- */

/* z, r and tanh of n rows from `row`, and r * h */
static void
run_gates(const Part *part, const GruWork *w, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->in->dim;
    const real *h = s->in->val + row * dim;
    const real *u = s->with[1]->val;

    gnn_gemm(part->gate, 3 * dim, n, 3 * dim, dim, 1, gnn_plain(s->with[0]->val + row * dim, dim),
             gnn_plain(s->weight->val, 3 * dim), 0);
    gnn_gemm(part->gate + dim, 3 * dim, n, 2 * dim, dim, 1, gnn_plain(h, dim), gnn_plain(u + dim, 3 * dim), 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < dim; k++)
        {
            real       *gate = part->gate + i * 3 * dim + k;

            gate[dim] = 1 / (1 + exp(-gate[dim]));
            gate[2 * dim] = 1 / (1 + exp(-gate[2 * dim]));
            part->reset[i * dim + k] = gate[2 * dim] * h[i * dim + k];
        }
    gnn_gemm(part->gate, 3 * dim, n, dim, dim, 1, gnn_plain(part->reset, dim), gnn_plain(u, 3 * dim), 1);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < dim; k++)
            part->gate[i * 3 * dim + k] = tanh(part->gate[i * 3 * dim + k]);
}

static void
gru_part(void *arg, int64_t number, int thread)
{
    const GruWork *w = arg;
    const GnnPlanStep *s = w->step;
    Part        part = part_of(s, number);
    int64_t     dim = s->in->dim;
    int64_t     n;

    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
    {
        GnnRng      rng = dropout_rng(w, row);
        const real *h = s->in->val + row * dim;
        real       *out = s->out->val + row * dim;

        run_gates(&part, w, row, n);
        for (int64_t i = 0; i < n * dim; i++)
        {
            const real *gate = part.gate + i / dim * 3 * dim + i % dim;

            out[i] = h[i] + gate[dim] * (gate[0] * kept(&rng, w) - h[i]);
        }
    }
}

static void
gru_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    GruWork     w = {.plan = plan, .step = s};

    gnn_team_run(plan->team, gnn_parts(s->out->n), gru_part, &w);
}

/* ---- backward ---- */
/*
 * dz = dout * (c - h), dc = dout * z, dh += dout * (1 - z); through tanh and s to dgate; d(r * h) = dgate_c Uc';
 * dr = d(r * h) * h, dh += d(r * h) * r; dm += dgate W'; dh += dgate_zr Uzr'; dW += m' dgate; dUc += (r * h)' dgate_c;
 * dUzr += h' dgate_zr
 */

static void
through_out(const Part *part, const GruWork *w, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->in->dim;
    GnnRng      rng = dropout_rng(w, row);
    const real *h = s->in->val + row * dim;
    const real *dout = s->out->grad + row * dim;
    real       *dh = s->in->grad + row * dim;

    for (int64_t i = 0; i < n * dim; i++)
    {
        int64_t     at = i / dim * 3 * dim + i % dim;
        real        c = part->gate[at];
        real        z = part->gate[at + dim];
        real        share = kept(&rng, w);

        part->dgate[at] = dout[i] * z * share * (1 - c * c);
        part->dgate[at + dim] = dout[i] * (c * share - h[i]) * z * (1 - z);
        dh[i] += dout[i] * (1 - z);
    }
}

static void
through_reset(const Part *part, const GnnPlanStep *s, int64_t row, int64_t n)
{
    int64_t     dim = s->in->dim;
    const real *h = s->in->val + row * dim;
    real       *dh = s->in->grad + row * dim;

    gnn_gemm(part->dreset, dim, n, dim, dim, 1, gnn_plain(part->dgate, 3 * dim), gnn_transposed(s->with[1]->val, 3 * dim), 0);
    for (int64_t i = 0; i < n * dim; i++)
    {
        int64_t     at = i / dim * 3 * dim + i % dim + 2 * dim;
        real        r = part->gate[at];

        part->dgate[at] = part->dreset[i] * h[i] * r * (1 - r);
        dh[i] += part->dreset[i] * r;
    }
}

static void
through_products(const Part *part, const GnnPlanStep *s, int64_t row, int64_t n)
{
    int64_t     dim = s->in->dim;
    const real *h = s->in->val + row * dim;
    const real *m = s->with[0]->val + row * dim;
    GnnDense    dgate = gnn_plain(part->dgate, 3 * dim);
    GnnDense    dgate_zr = gnn_plain(part->dgate + dim, 3 * dim);

    gnn_gemm(s->with[0]->grad + row * dim, dim, n, dim, 3 * dim, 1, dgate, gnn_transposed(s->weight->val, 3 * dim), 1);
    gnn_gemm(s->in->grad + row * dim, dim, n, dim, 2 * dim, 1, dgate_zr, gnn_transposed(s->with[1]->val + dim, 3 * dim), 1);
    gnn_gemm(part->dw, 3 * dim, dim, 3 * dim, n, 1, gnn_transposed(m, dim), dgate, 1);
    gnn_gemm(part->du, 3 * dim, dim, dim, n, 1, gnn_transposed(part->reset, dim), dgate, 1);
    gnn_gemm(part->du + dim, 3 * dim, dim, 2 * dim, n, 1, gnn_transposed(h, dim), dgate_zr, 1);
}

static void
gru_grad_part(void *arg, int64_t number, int thread)
{
    const GruWork *w = arg;
    const GnnPlanStep *s = w->step;
    Part        part = part_of(s, number);
    int64_t     dim = s->in->dim;
    int64_t     n;

    memset(part.dw, 0, 6 * dim * dim * sizeof(real));
    for (int64_t row = gnn_part_start(s->out->n, number); (n = gnn_slice_rows(s->out->n, number, row)) > 0; row += n)
    {
        run_gates(&part, w, row, n);
        through_out(&part, w, row, n);
        through_reset(&part, s, row, n);
        through_products(&part, s, row, n);
    }
}

static void
gru_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    GruWork     w = {.plan = plan, .step = s};
    int64_t     dim = s->in->dim;

    gnn_team_run(plan->team, gnn_parts(s->out->n), gru_grad_part, &w);
    gnn_add_parts(s->weight->grad, s->out->n, part_of(s, 0).dw, part_size(dim), 3 * dim * dim);
    gnn_add_parts(s->with[1]->grad, s->out->n, part_of(s, 0).du, part_size(dim), 3 * dim * dim);
}

const GnnOp gnn_gru = {"gru", gru_forward, gru_backward};

GnnMat *
gnn_op_gru(GnnPlan *plan, GnnMat *h, GnnMat *m, GnnMat *w, GnnMat *u, double dropout)
{
    GnnMat     *out = gnn_plan_mat(plan, h->n, h->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_gru, .out = out, .in = h, .weight = w, .with = {m, u},
                                      .scale = (real) dropout, .n_keep = gnn_parts(h->n) * part_size(h->dim)});
    return out;
}
