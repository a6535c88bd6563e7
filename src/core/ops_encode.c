/*
 * ops_encode.c: what a node starts from where nodes have features: its learned vector plus what its features say.
 *
 *     out = own X + F E   or   own X + f(F E) W,     f(y) = y where y > 0, slope y elsewhere
 *
 * `own` is 1, but 0 for a node without edges, whose row of X is where it started and means nothing: its features stand for it.
 * Where features are to stand alone, X has no rows of types that have some, and those of the others one type after the other.
 *
 * F E is made again for the backward pass, a slice of rows at a time (see core/rows.h), so no matrix is kept but the result. The
 * result's gradient is used up: the backward pass leaves that of F E in its place, from which E's is then taken, feature by
 * feature.
 */
#include "core/ops.h"

#include "core/blas.h"
#include "core/rows.h"

#define FEATURES 4              /* of a block of E's gradient: one may be every node's */

typedef struct EncodeWork
{
    const GnnPlan *plan;
    const GnnPlanStep *step;
    int         type;
    GnnNodes    nodes;          /* of the type */
    const GnnCsr *f;            /* NULL: the type has no features */
    int64_t     learned;        /* the type's first row of X; -1: it has none there */
} EncodeWork;

/* the buffers of a part */
typedef struct Part
{
    real       *dw;             /* dim x dim */
    real       *p;              /* GNN_SLICE x dim: F E, or f of it */
    real       *dp;
} Part;

static int64_t
part_size(int64_t dim)
{
    return dim * dim + 2 * GNN_SLICE * dim;
}

static Part
part_of(const GnnPlanStep *s, int64_t part)
{
    int64_t     dim = s->out->dim;
    real       *at = s->keep + part * part_size(dim);

    return (Part) {.dw = at, .p = at + dim * dim, .dp = at + dim * dim + GNN_SLICE * dim};
}

/* ---- own X ---- */

/* to += own from, for n rows of the type from `row` on; both begin with its first */
static void
add_own(real *to, const real *from, const EncodeWork *w, int64_t row, int64_t n)
{
    const double *degree = w->plan->adjacency->degree + w->nodes.first;
    int64_t     dim = w->step->out->dim;

    for (int64_t i = row; i < row + n; i++)
        if (degree[i] > 0)
            gnn_add_scaled(to + i * dim, 1, from + i * dim, dim);
}

/* ---- F E ---- */

static void
gather(real *p, const EncodeWork *w, int64_t row, int64_t n)
{
    const GnnCsr *f = w->f;
    int64_t     dim = w->step->out->dim;
    const real *e = w->step->weight->val + w->plan->features->first[w->type] * dim;

    for (int64_t i = row; i < row + n; i++)
        gnn_gather_rows(p + (i - row) * dim, f->idx + f->ptr[i], f->val != NULL ? f->val + f->ptr[i] : NULL,
                        f->ptr[i + 1] - f->ptr[i], 1, e, dim);
}

/* to = from where y > 0, slope from elsewhere */
static void
activate(real *to, const real *from, const real *y, real slope, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = y[i] > 0 ? from[i] : slope * from[i];
}

/* ---- out = own X + f(F E) W ---- */
/* so dX += own dout;  dW += f(F E)' dout;  d(F E) = f'(F E) * dout W';  dE += F' d(F E) */

static void
forward_slice(const EncodeWork *w, const Part *part, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;
    real       *out = s->out->val + w->nodes.first * dim;

    memset(out + row * dim, 0, n * dim * sizeof(real));
    if (w->learned >= 0)
        add_own(out, s->in->val + w->learned * dim, w, row, n);
    if (w->f == NULL)
        return;
    gather(part->p, w, row, n);
    if (s->with[0] == NULL)
        gnn_add_scaled(out + row * dim, 1, part->p, n * dim);
    else
    {
        activate(part->p, part->p, part->p, s->scale, n * dim);
        gnn_gemm(out + row * dim, dim, n, dim, dim, 1, gnn_plain(part->p, dim), gnn_plain(s->with[0]->val, dim), 1);
    }
}

static void
backward_slice(const EncodeWork *w, const Part *part, int64_t row, int64_t n)
{
    const GnnPlanStep *s = w->step;
    int64_t     dim = s->out->dim;
    real       *dout = s->out->grad + w->nodes.first * dim;

    if (w->learned >= 0)
        add_own(s->in->grad + w->learned * dim, dout, w, row, n);
    if (w->f == NULL || s->with[0] == NULL)
        return;
    dout += row * dim;
    gather(part->p, w, row, n);
    gnn_gemm(part->dp, dim, n, dim, dim, 1, gnn_plain(dout, dim), gnn_transposed(s->with[0]->val, dim), 0);
    activate(part->dp, part->dp, part->p, s->scale, n * dim);
    activate(part->p, part->p, part->p, s->scale, n * dim);
    gnn_gemm(part->dw, dim, dim, dim, n, 1, gnn_transposed(part->p, dim), gnn_plain(dout, dim), 1);
    memcpy(dout, part->dp, n * dim * sizeof(real));
}

static void
forward_part(void *arg, int64_t number, int thread)
{
    const EncodeWork *w = arg;
    Part        part = part_of(w->step, number);
    int64_t     n;

    for (int64_t row = gnn_part_start(w->nodes.n, number); (n = gnn_slice_rows(w->nodes.n, number, row)) > 0; row += n)
        forward_slice(w, &part, row, n);
}

static void
backward_part(void *arg, int64_t number, int thread)
{
    const EncodeWork *w = arg;
    Part        part = part_of(w->step, number);
    int64_t     n;

    memset(part.dw, 0, w->step->out->dim * w->step->out->dim * sizeof(real));
    for (int64_t row = gnn_part_start(w->nodes.n, number); (n = gnn_slice_rows(w->nodes.n, number, row)) > 0; row += n)
        backward_slice(w, &part, row, n);
}

/* d(F E) is where dout was */
static void
feature_block(void *arg, int64_t block, int thread)
{
    const EncodeWork *w = arg;
    const GnnFeatures *features = w->plan->features;
    const GnnCsr *t = &features->transposed[w->type];
    int64_t     dim = w->step->out->dim;
    const real *d = w->step->out->grad + w->nodes.first * dim;
    real        sum[GNN_MAX_DIM];

    for (int64_t i = block * FEATURES; i < (block + 1) * FEATURES && i < t->n; i++)
    {
        gnn_gather_rows(sum, t->idx + t->ptr[i], t->val != NULL ? t->val + t->ptr[i] : NULL, t->ptr[i + 1] - t->ptr[i], 1, d,
                        dim);
        gnn_add_scaled(w->step->weight->grad + (features->first[w->type] + i) * dim, 1, sum, dim);
    }
}

/* ---- type by type ---- */

/* X has the rows of all types, or of those without features */
static bool
is_learned(const GnnPlanStep *s, const GnnGraph *g, int type)
{
    return s->count == 0 || !gnn_type_has_features(g, type);
}

static EncodeWork
work_of(const GnnPlan *plan, const GnnPlanStep *s, int type)
{
    const GnnGraph *g = plan->features->graph;
    EncodeWork  w = {.plan = plan, .step = s, .type = type, .nodes = g->types[type], .learned = -1,
                     .f = gnn_type_has_features(g, type) ? &g->features[type] : NULL};

    if (is_learned(s, g, type))
    {
        w.learned = 0;
        for (int t = 0; t < type; t++)
            w.learned += is_learned(s, g, t) ? g->types[t].n : 0;
    }
    return w;
}

static void
encode_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    for (int t = 0; t < plan->features->graph->n_types; t++)
    {
        EncodeWork  w = work_of(plan, s, t);

        gnn_team_run(plan->team, gnn_parts(w.nodes.n), forward_part, &w);
    }
}

static void
encode_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    for (int t = 0; t < plan->features->graph->n_types; t++)
    {
        EncodeWork  w = work_of(plan, s, t);
        int64_t     dim = s->out->dim;

        gnn_team_run(plan->team, gnn_parts(w.nodes.n), backward_part, &w);
        if (w.f == NULL)
            continue;
        if (s->with[0] != NULL)
            gnn_add_parts(s->with[0]->grad, w.nodes.n, part_of(s, 0).dw, part_size(dim), dim * dim);
        gnn_team_run(plan->team, gnn_blocks(w.f->n_cols, FEATURES), feature_block, &w);
    }
}

const GnnOp gnn_encode = {"encode", encode_forward, encode_backward};

GnnMat *
gnn_op_encode(GnnPlan *plan, GnnMat *x, GnnMat *e, GnnMat *w, double slope, bool alone)
{
    GnnMat     *out = gnn_plan_mat(plan, plan->features->graph->n_nodes, e->dim);

    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_encode, .out = out, .in = x, .weight = e, .with = {w}, .scale = (real) slope,
                                      .count = alone, .n_keep = GNN_MAX_PARTS_OF_ROWS * part_size(e->dim)});
    return out;
}
