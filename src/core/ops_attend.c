/*
 * ops_attend.c: attention over neighbours and the node itself, several heads side by side.
 *
 *     s_v = att_0 . h_v;   t_u = att_1 . h_u                 per head: each has a run of columns of its own
 *     a_vu = p_vu exp(l(s_v + t_u)) / sum over u' of the same, u and u' in N(v) and v itself
 *     y_v = sum_u a_vu h_u;   out = f(y)                     l and f: y where y > 0, slope y elsewhere
 *
 * p_vu is the edge's weight over the mean weight of v's edges, and 1 for v itself: without weights, 1 everywhere.
 *
 * Nothing is kept for an edge. A weight a_vu is computed again where it is needed from s_v, t_u and lse_v, the logarithm of
 * the sum; and the softmax's gradient, da_vu - sum_u a_vu da_vu with da_vu = dy_v . h_u, needs but one number a node and
 * head: that sum is dy_v . y_v. The places of the matrix are symmetric, so a node finds in its own row both whom it attends to
 * and who attends to it (in a sample of the graph, where p_vu may be 0, perhaps but one of the two): gradients are gathered, no
 * two threads write one row. `keep` has s, t, lse and that sum, n x heads each, and the parts' gradients of att.
 */
#include "core/ops.h"

#include "core/rows.h"

#include <assert.h>
#include <tgmath.h>

#define BLOCK 128               /* rows of a block */

typedef struct AttendWork
{
    const GnnAdjacency *adjacency;
    const GnnPlanStep *step;
    int64_t     dim;
    int         heads;
    real       *s;              /* n x heads */
    real       *t;
    real       *lse;
    real       *mean;           /* dy . y */
    real       *datt;           /* parts x 2 x dim */
} AttendWork;

static AttendWork
work_of(const GnnPlan *plan, const GnnPlanStep *s)
{
    int64_t     size = s->out->n * s->count;

    return (AttendWork) {.adjacency = plan->adjacency, .step = s, .dim = s->out->dim, .heads = s->count, .s = s->keep,
                         .t = s->keep + size, .lse = s->keep + 2 * size, .mean = s->keep + 3 * size,
                         .datt = s->keep + 4 * size};
}

/* first column of a head; that of head `heads` is dim */
static inline int64_t
head_start(const AttendWork *w, int head)
{
    return w->dim * head / w->heads;
}

static inline real
leaky(const AttendWork *w, real x)
{
    return x > 0 ? x : w->step->scale * x;
}

/* whom a row's edge leads to, and p both ways; past a row's last edge it is the node itself */
typedef struct Neighbour
{
    int64_t     node;
    real        to;             /* p_vu, u the neighbour */
    real        from;           /* p_uv */
} Neighbour;

/* A_vu is A_hat_vu sqrt(D_v D_u), and the mean weight of v's edges D_v over their number */
static inline Neighbour
neighbour(const AttendWork *w, int64_t v, int64_t edge)
{
    const GnnCsr *a = &w->adjacency->a;
    const float *back = w->adjacency->back != NULL ? w->adjacency->back : a->val;
    const double *degree = w->adjacency->degree;
    double      ratio;
    int64_t     u;

    if (edge == a->ptr[v + 1])
        return (Neighbour) {.node = v, .to = 1, .from = 1};
    u = a->idx[edge];
    ratio = sqrt(degree[u] / degree[v]);
    return (Neighbour) {.node = u, .to = (real) (a->val[edge] * ratio * (double) gnn_adjacency_edges(w->adjacency, v)),
                        .from = (real) (back[edge] / ratio * (double) gnn_adjacency_edges(w->adjacency, u))};
}

/* p exp(x): of an edge that goes the other way only, p is 0 and x as large as may be */
static inline real
weigh(real p, real x)
{
    return p > 0 ? p * exp(x) : 0;
}

static void
for_rows(GnnPlan *plan, AttendWork *w, GnnWork work)
{
    gnn_team_run(plan->team, gnn_blocks(w->step->out->n, BLOCK), work, w);
}

static int64_t
block_end(const AttendWork *w, int64_t block)
{
    return (block + 1) * BLOCK < w->step->out->n ? (block + 1) * BLOCK : w->step->out->n;
}

/* ---- forward ---- */

static void
score_rows(void *arg, int64_t block, int thread)
{
    const AttendWork *w = arg;
    const real *att = w->step->weight->val;

    for (int64_t v = block * BLOCK; v < block_end(w, block); v++)
        for (int k = 0; k < w->heads; k++)
        {
            int64_t     c = head_start(w, k);
            int64_t     n = head_start(w, k + 1) - c;
            const real *h = w->step->in->val + v * w->dim + c;

            w->s[v * w->heads + k] = gnn_inner(att + c, h, n);
            w->t[v * w->heads + k] = gnn_inner(att + w->dim + c, h, n);
        }
}

/* the largest exponent of each head, so that no exponential is too large */
static void
find_tops(real *top, const AttendWork *w, int64_t v)
{
    for (int k = 0; k < w->heads; k++)
        top[k] = leaky(w, w->s[v * w->heads + k] + w->t[v * w->heads + k]);
    for (int64_t e = w->adjacency->a.ptr[v]; e < w->adjacency->a.ptr[v + 1]; e++)
        for (int k = 0; k < w->heads && w->adjacency->a.val[e] > 0; k++)
            top[k] = fmax(top[k], leaky(w, w->s[v * w->heads + k] + w->t[w->adjacency->a.idx[e] * w->heads + k]));
}

static GNN_CLONES void
attend_row(const AttendWork *w, int64_t v)
{
    const GnnPlanStep *step = w->step;
    real       *out = step->out->val + v * w->dim;
    real       *lse = w->lse + v * w->heads;
    real        sum[GNN_MAX_DIM] = {0};     /* there are no more heads than columns */

    find_tops(lse, w, v);
    memset(out, 0, w->dim * sizeof(real));
    for (int64_t e = w->adjacency->a.ptr[v]; e <= w->adjacency->a.ptr[v + 1]; e++)
    {
        Neighbour   u = neighbour(w, v, e);
        const real *h = step->in->val + u.node * w->dim;

        for (int k = 0; k < w->heads; k++)
        {
            real        a = weigh(u.to, leaky(w, w->s[v * w->heads + k] + w->t[u.node * w->heads + k]) - lse[k]);

            sum[k] += a;
            for (int64_t c = head_start(w, k); c < head_start(w, k + 1); c++)
                out[c] += a * h[c];
        }
    }
    for (int k = 0; k < w->heads; k++)
    {
        lse[k] += log(sum[k]);
        for (int64_t c = head_start(w, k); c < head_start(w, k + 1); c++)
            out[c] = leaky(w, out[c] / sum[k]);
    }
}

static void
attend_rows(void *arg, int64_t block, int thread)
{
    const AttendWork *w = arg;

    for (int64_t v = block * BLOCK; v < block_end(w, block); v++)
        attend_row(w, v);
}

static void
attend_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    AttendWork  w = work_of(plan, s);

    for_rows(plan, &w, score_rows);
    for_rows(plan, &w, attend_rows);
}

/* ---- backward ---- */
/*
 * dy = f'(y) dout, in dout's place; dx_vu = a_vu (dy_v . h_u - dy_v . y_v) l'(s_v + t_u);  ds_v = sum_u dx_vu, dt_u = sum_v
 * dx_vu; dh_u += sum_v a_vu dy_v + ds_u att_0 + dt_u att_1;  datt_0 += sum_v ds_v h_v, datt_1 += sum_u dt_u h_u
 */

static void
through_activation(void *arg, int64_t block, int thread)
{
    const AttendWork *w = arg;

    for (int64_t v = block * BLOCK; v < block_end(w, block); v++)
    {
        const real *out = w->step->out->val + v * w->dim;
        real       *dy = w->step->out->grad + v * w->dim;

        for (int k = 0; k < w->heads; k++)
        {
            real        sum = 0;

            for (int64_t c = head_start(w, k); c < head_start(w, k + 1); c++)
            {
                sum += dy[c] * out[c];      /* f'(y) dout . y is dout . f(y) */
                dy[c] = out[c] > 0 ? dy[c] : w->step->scale * dy[c];
            }
            w->mean[v * w->heads + k] = sum;
        }
    }
}

/* dx_vu; a is a_vu, inner is dy_v . h_u */
static inline real
exponent_grad(const AttendWork *w, int64_t v, real x, real a, real inner, int head)
{
    return a * (inner - w->mean[v * w->heads + head]) * (x > 0 ? 1 : w->step->scale);
}

/* one neighbour u of v, or v itself, as whom v attends to (ds) and as who attends to v (dt, dh), in one head */
GNN_INLINE void
attend_grad_edge(real *ds, real *dt, real *dh, const AttendWork *w, int64_t v, Neighbour u, int head)
{
    const real *h = w->step->in->val;
    const real *dy = w->step->out->grad;
    int64_t     at_v = v * w->heads + head;
    int64_t     at_u = u.node * w->heads + head;
    real        x_vu = w->s[at_v] + w->t[at_u];
    real        x_uv = w->s[at_u] + w->t[at_v];
    real        a_vu = weigh(u.to, leaky(w, x_vu) - w->lse[at_v]);
    real        a_uv = weigh(u.from, leaky(w, x_uv) - w->lse[at_u]);
    real        inner_vu = 0;
    real        inner_uv = 0;

    for (int64_t c = head_start(w, head); c < head_start(w, head + 1); c++)
    {
        inner_vu += dy[v * w->dim + c] * h[u.node * w->dim + c];
        inner_uv += dy[u.node * w->dim + c] * h[v * w->dim + c];
        dh[c] += a_uv * dy[u.node * w->dim + c];
    }
    *ds += exponent_grad(w, v, x_vu, a_vu, inner_vu, head);
    *dt += exponent_grad(w, u.node, x_uv, a_uv, inner_uv, head);
}

static GNN_CLONES void
attend_grad_row(const AttendWork *w, real *datt, int64_t v)
{
    const real *att = w->step->weight->val;
    const real *h = w->step->in->val + v * w->dim;
    real       *dh = w->step->in->grad + v * w->dim;
    real        ds[GNN_MAX_DIM] = {0};
    real        dt[GNN_MAX_DIM] = {0};

    for (int64_t e = w->adjacency->a.ptr[v]; e <= w->adjacency->a.ptr[v + 1]; e++)
    {
        Neighbour   u = neighbour(w, v, e);

        for (int k = 0; k < w->heads; k++)
            attend_grad_edge(&ds[k], &dt[k], dh, w, v, u, k);
    }
    for (int k = 0; k < w->heads; k++)
        for (int64_t c = head_start(w, k); c < head_start(w, k + 1); c++)
        {
            dh[c] += ds[k] * att[c] + dt[k] * att[w->dim + c];
            datt[c] += ds[k] * h[c];
            datt[w->dim + c] += dt[k] * h[c];
        }
}

static void
attend_grad_part(void *arg, int64_t part, int thread)
{
    const AttendWork *w = arg;
    real       *datt = w->datt + part * 2 * w->dim;

    memset(datt, 0, 2 * w->dim * sizeof(real));
    for (int64_t v = gnn_part_start(w->step->out->n, part); v < gnn_part_start(w->step->out->n, part + 1); v++)
        attend_grad_row(w, datt, v);
}

static void
attend_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    AttendWork  w = work_of(plan, s);

    for_rows(plan, &w, through_activation);
    gnn_team_run(plan->team, gnn_parts(s->out->n), attend_grad_part, &w);
    gnn_add_parts(s->weight->grad, s->out->n, w.datt, 2 * w.dim, 2 * w.dim);
}

const GnnOp gnn_attend = {"attend", attend_forward, attend_backward};

GnnMat *
gnn_op_attend(GnnPlan *plan, GnnMat *h, GnnMat *att, int heads, double slope)
{
    GnnMat     *out = gnn_plan_mat(plan, h->n, h->dim);
    int         used = heads < h->dim ? heads : (int) h->dim;

    assert(slope > 0);          /* a result's sign tells f's side */
    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_attend, .out = out, .in = h, .weight = att, .scale = (real) slope, .count = used,
                                      .n_keep = h->n * used * 4 + gnn_parts(h->n) * 2 * h->dim});
    return gnn_op_along_edges(plan, out);
}
