/*
 * ops_attend.c: attention over neighbours and the node itself, several heads side by side.
 *
 *     s_v = att_0 . h_v;   t_u = att_1 . h_u                 per head: each has a run of columns of its own
 *     a_vu = p_vu exp(l(s_v + t_u)) / sum over u' of the same, u and u' in N(v) and v itself
 *     y_v = sum_u a_vu h_u;   out = f(y)                     l and f: y where y > 0, slope y elsewhere
 *
 * p_vu is the edge's weight over the mean weight of v's edges, and 1 for v itself: without weights, 1 everywhere. `even` takes
 * an edge for an edge whatever it weighs; of a sample of them each then stands for as many as it takes to make up for the others.
 *
 * With a `bias`, edges are those of the typed graph, two nodes may have several, and each adds what its directed relation r has
 * of its own to the exponent, a number a head: l(s_v + t_u + b_r). p_vu is then the weight over the mean of the edge's run, so
 * that what a relation weighs as a whole is learned and not given. The node itself has no such number.
 *
 * Nothing is kept for an edge. A weight a_vu is computed again where it is needed from s_v, t_u and lse_v, the logarithm of
 * the sum; and the softmax's gradient, da_vu - sum_u a_vu da_vu with da_vu = dy_v . h_u, needs but one number a node and
 * head: that sum is dy_v . y_v. The places of the matrix are symmetric, so a node finds in its own row both whom it attends to
 * and who attends to it (in a sample of the graph, where p_vu may be 0, perhaps but one of the two): gradients are gathered, no
 * two threads write one row.
 *
 * With D_v the weight of v's edges and n_v their number, p_vu is A_hat_vu sqrt(D_u) n_v / sqrt(D_v), a product of an edge's number
 * and of one at either end; an even edge is 1 where A_hat_vu is above 0, times what each of v's edges then counts. `keep` has a
 * record a node, the numbers an edge asks for at its other end, and the parts' gradients of att and bias.
 */
#include "core/ops.h"

#include "core/rows.h"

#include <assert.h>
#include <tgmath.h>

#define BLOCK 128               /* rows of a block */
#define AHEAD 4                 /* how many edges early an end is asked for */

/* a node's record: of each head four numbers, and two more */
enum {S, T, LSE, MEAN, OF_HEAD};        /* MEAN: dy . y */
enum {ROOT, SIZE, OF_NODE};             /* p_vu is the edge's number times root_u size_v */

typedef struct AttendWork
{
    const GnnAdjacency *adjacency;
    const GnnTyped *typed;      /* whose edges they are; NULL: the adjacency's */
    const int64_t *ptr;         /* of either */
    const int32_t *idx;
    const real *prior;          /* of the typed graph's edges */
    const GnnMat *bias;         /* directed relations x heads */
    const GnnPlanStep *step;
    int64_t     dim;
    int         heads;
    bool        is_even;        /* edges do not count by weight */
    int64_t     width;          /* of a record */
    real       *records;        /* n x width */
    real       *grads;          /* parts x part_size: of att, 2 x dim, and of bias */
    int64_t     start[GNN_MAX_HEADS + 1];       /* a head's first column; that of head `heads` is dim */
} AttendWork;

static int64_t
part_size(const GnnPlanStep *s)
{
    const GnnMat *bias = s->with[1];

    return 2 * s->out->dim + (bias != NULL ? bias->n * bias->dim : 0);
}

static int64_t
record_width(int heads)
{
    return OF_HEAD * heads + OF_NODE;
}

static AttendWork
work_of(const GnnPlan *plan, const GnnPlanStep *s)
{
    AttendWork  w = {.adjacency = plan->adjacency, .ptr = plan->adjacency->a.ptr, .idx = plan->adjacency->a.idx, .step = s,
                     .dim = s->out->dim, .heads = s->count, .is_even = s->own == 0, .width = record_width(s->count),
                     .records = s->keep, .grads = s->keep + s->out->n * record_width(s->count)};

    for (int k = 0; k <= w.heads; k++)
        w.start[k] = w.dim * k / w.heads;
    if (s->with[1] == NULL)
        return w;
    w.typed = plan->typed;
    w.ptr = plan->typed->ptr;
    w.idx = plan->typed->idx;
    w.prior = s->with[0]->val;
    w.bias = s->with[1];
    return w;
}

/* of a node one number of each head, or of the node */
static inline real *
of_heads(const AttendWork *w, int64_t v, int what)
{
    return w->records + v * w->width + what * w->heads;
}

static inline real *
of_node(const AttendWork *w, int64_t v, int what)
{
    return w->records + v * w->width + OF_HEAD * w->heads + what;
}

/* what an edge a little later, of this row or the next, will ask for */
GNN_INLINE void
ask_ahead(const AttendWork *w, int64_t edge, const real *x, const real *y)
{
    int64_t     u;

    if (edge + AHEAD >= w->ptr[w->step->out->n])
        return;
    u = w->idx[edge + AHEAD];
    for (int64_t c = 0; c < w->width; c += GNN_LANES)
        __builtin_prefetch(w->records + u * w->width + c);
    for (int64_t c = 0; x != NULL && c < w->dim; c += GNN_LANES)
        __builtin_prefetch(x + u * w->dim + c);
    for (int64_t c = 0; y != NULL && c < w->dim; c += GNN_LANES)
        __builtin_prefetch(y + u * w->dim + c);
}

static inline real
leaky(const AttendWork *w, real x)
{
    return x > 0 ? x : w->step->scale * x;
}

/* ---- edges ---- */

#define NO_RELATION (-1)

/* whom a row's edge leads to, and p both ways; past a row's last edge it is the node itself */
typedef struct Neighbour
{
    int64_t     node;
    real        to;             /* p_vu, u the neighbour */
    real        from;           /* p_uv */
    int         relation;       /* from v to u, directed; the other way it is relation ^ 1 */
} Neighbour;

static inline Neighbour
weighed(const AttendWork *w, int64_t v, int64_t edge)
{
    const GnnCsr *a = &w->adjacency->a;
    const float *back = w->adjacency->back != NULL ? w->adjacency->back : a->val;
    int64_t     u = a->idx[edge];
    real        to = w->is_even ? a->val[edge] > 0 : a->val[edge];
    real        from = w->is_even ? back[edge] > 0 : back[edge];

    return (Neighbour) {.node = u, .to = to * *of_node(w, u, ROOT) * *of_node(w, v, SIZE),
                        .from = from * *of_node(w, v, ROOT) * *of_node(w, u, SIZE), .relation = NO_RELATION};
}

static inline Neighbour
related(const AttendWork *w, int64_t edge)
{
    return (Neighbour) {.node = w->idx[edge], .to = w->prior[edge], .from = w->prior[gnn_opposite(w->typed, edge)],
                        .relation = w->typed->relation[edge]};
}

static inline Neighbour
neighbour(const AttendWork *w, int64_t v, int64_t edge)
{
    if (edge == w->ptr[v + 1])
        return (Neighbour) {.node = v, .to = 1, .from = 1, .relation = NO_RELATION};
    return w->typed != NULL ? related(w, edge) : weighed(w, v, edge);
}

/* does an edge count for the row it stands in? What a view left out does not, nor does what goes the other way only */
static inline bool
counts(const AttendWork *w, int64_t edge)
{
    return w->typed != NULL ? w->prior[edge] > 0 : w->adjacency->a.val[edge] > 0;
}

/* what v makes of u, in each head: x = s_v + t_u + b_r, and a, the weight, or a part of it */
typedef struct Attention
{
    real        x[GNN_MAX_HEADS];
    real        a[GNN_MAX_HEADS];
} Attention;

/* a = p exp(l(x) - less): of an edge that goes the other way only, p is 0, and x as large as may be */
GNN_INLINE void
attend(Attention *out, const AttendWork *w, int64_t v, int64_t u, int relation, real p, const real *less)
{
    const real *s = of_heads(w, v, S);
    const real *t = of_heads(w, u, T);

    for (int k = 0; k < w->heads; k++)
        out->x[k] = s[k] + t[k];
    if (relation != NO_RELATION)
        for (int k = 0; k < w->heads; k++)
            out->x[k] += w->bias->val[relation * w->heads + k];
    for (int k = 0; k < w->heads; k++)
        out->a[k] = p > 0 ? p * exp(leaky(w, out->x[k]) - less[k]) : 0;
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

/* root and size; even edges: edges of the whole graph for each of those that are there */
static void
measure_node(const AttendWork *w, int64_t v)
{
    double      degree = w->adjacency->degree[v];
    int64_t     n = gnn_adjacency_edges(w->adjacency, v);
    int64_t     there = 0;

    for (int64_t e = w->ptr[v]; e < w->ptr[v + 1] && w->is_even; e++)
        there += counts(w, e);
    *of_node(w, v, ROOT) = (real) (w->is_even ? 1 : sqrt(degree));
    if (w->is_even)
        *of_node(w, v, SIZE) = there > 0 ? (real) n / (real) there : 0;
    else
        *of_node(w, v, SIZE) = (real) (degree > 0 ? (double) n / sqrt(degree) : 0);
}

static void
score_rows(void *arg, int64_t block, int thread)
{
    const AttendWork *w = arg;
    const real *att = w->step->weight->val;

    for (int64_t v = block * BLOCK; v < block_end(w, block); v++)
    {
        for (int k = 0; k < w->heads; k++)
        {
            int64_t     c = w->start[k];
            int64_t     n = w->start[k + 1] - c;
            const real *h = w->step->in->val + v * w->dim + c;

            of_heads(w, v, S)[k] = gnn_inner(att + c, h, n);
            of_heads(w, v, T)[k] = gnn_inner(att + w->dim + c, h, n);
        }
        if (w->typed == NULL)
            measure_node(w, v);
    }
}

/* the largest exponent of each head, so that no exponential is too large: l ascends, so it is that of the largest t_u + b_r */
GNN_INLINE void
find_tops(real *top, const AttendWork *w, int64_t v)
{
    const real *s = of_heads(w, v, S);

    memcpy(top, of_heads(w, v, T), w->heads * sizeof(real));
    for (int64_t e = w->ptr[v]; e < w->ptr[v + 1]; e++)
    {
        const real *t = of_heads(w, w->idx[e], T);
        const real *b = w->typed != NULL ? w->bias->val + w->typed->relation[e] * w->heads : NULL;

        ask_ahead(w, e, NULL, NULL);
        for (int k = 0; k < w->heads && counts(w, e); k++)
        {
            real        x = b != NULL ? t[k] + b[k] : t[k];

            top[k] = x > top[k] ? x : top[k];
        }
    }
    for (int k = 0; k < w->heads; k++)
        top[k] = leaky(w, s[k] + top[k]);
}

static GNN_CLONES void
attend_row(const AttendWork *w, int64_t v)
{
    const GnnPlanStep *step = w->step;
    real       *out = step->out->val + v * w->dim;
    real       *lse = of_heads(w, v, LSE);
    real        sum[GNN_MAX_HEADS] = {0};
    Attention   to;

    find_tops(lse, w, v);
    memset(out, 0, w->dim * sizeof(real));
    for (int64_t e = w->ptr[v]; e <= w->ptr[v + 1]; e++)
    {
        Neighbour   u = neighbour(w, v, e);
        const real *h = step->in->val + u.node * w->dim;

        ask_ahead(w, e, step->in->val, NULL);
        attend(&to, w, v, u.node, u.relation, u.to, lse);
        for (int k = 0; k < w->heads; k++)
        {
            sum[k] += to.a[k];
            for (int64_t c = w->start[k]; c < w->start[k + 1]; c++)
                out[c] += to.a[k] * h[c];
        }
    }
    for (int k = 0; k < w->heads; k++)
    {
        lse[k] += log(sum[k]);
        for (int64_t c = w->start[k]; c < w->start[k + 1]; c++)
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
 * dy = f'(y) dout, in dout's place; dx_vu = a_vu (dy_v . h_u - dy_v . y_v) l'(s_v + t_u + b_r);  ds_v = sum_u dx_vu, dt_u =
 * sum_v dx_vu, db_r += sum over its edges of dx_vu;  dh_u += sum_v a_vu dy_v + ds_u att_0 + dt_u att_1;  datt_0 += sum_v ds_v
 * h_v, datt_1 += sum_u dt_u h_u
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

            for (int64_t c = w->start[k]; c < w->start[k + 1]; c++)
            {
                sum += dy[c] * out[c];      /* f'(y) dout . y is dout . f(y) */
                dy[c] = out[c] > 0 ? dy[c] : w->step->scale * dy[c];
            }
            of_heads(w, v, MEAN)[k] = sum;
        }
    }
}

/* dx_vu in one head; inner is dy_v . h_u */
GNN_INLINE real
exponent_grad(const AttendWork *w, int64_t v, const Attention *a, real inner, int head)
{
    return a->a[head] * (inner - of_heads(w, v, MEAN)[head]) * (a->x[head] > 0 ? 1 : w->step->scale);
}

/* one neighbour u of v, or v itself, as whom v attends to (ds, by `to`) and as who attends to v (dt and dh, by `from`) */
GNN_INLINE void
attend_grad_edge(real *ds, real *dt, real *dh, const AttendWork *w, int64_t v, Neighbour u, Attention *to, Attention *from)
{
    const real *h_v = w->step->in->val + v * w->dim;
    const real *h_u = w->step->in->val + u.node * w->dim;
    const real *dy_v = w->step->out->grad + v * w->dim;
    const real *dy_u = w->step->out->grad + u.node * w->dim;

    attend(to, w, v, u.node, u.relation, u.to, of_heads(w, v, LSE));
    attend(from, w, u.node, v, u.relation == NO_RELATION ? NO_RELATION : u.relation ^ 1, u.from, of_heads(w, u.node, LSE));
    for (int k = 0; k < w->heads; k++)
    {
        int64_t     c = w->start[k];
        int64_t     n = w->start[k + 1] - c;

        ds[k] += exponent_grad(w, v, to, gnn_inner_inlined(dy_v + c, h_u + c, n), k);
        dt[k] += exponent_grad(w, u.node, from, gnn_inner_inlined(dy_u + c, h_v + c, n), k);
        for (int64_t i = c; i < c + n; i++)
            dh[i] += from->a[k] * dy_u[i];
    }
}

/* edges of a row from `start` on that are of one relation, or the node itself; of the adjacency all, and the node itself */
static inline int64_t
run_end(const AttendWork *w, int64_t v, int64_t start)
{
    int64_t     self = w->ptr[v + 1];

    return w->typed == NULL || start == self ? self + 1 : gnn_run_end(w->typed, start, self);
}

static GNN_CLONES void
attend_grad_row(const AttendWork *w, real *datt, real *dbias, int64_t v)
{
    const real *att = w->step->weight->val;
    const real *h = w->step->in->val + v * w->dim;
    real       *dh = w->step->in->grad + v * w->dim;
    real        ds[GNN_MAX_HEADS] = {0};
    real        dt[GNN_MAX_HEADS] = {0};
    Attention   to;
    Attention   from;
    int64_t     end;

    for (int64_t start = w->ptr[v]; start <= w->ptr[v + 1]; start = end)
    {
        real        of_run[GNN_MAX_HEADS];

        end = run_end(w, v, start);
        memset(of_run, 0, w->heads * sizeof(real));
        for (int64_t e = start; e < end; e++)
        {
            Neighbour   u = neighbour(w, v, e);

            ask_ahead(w, e, w->step->in->val, w->step->out->grad);
            attend_grad_edge(of_run, dt, dh, w, v, u, &to, &from);
        }
        gnn_add_scaled(ds, 1, of_run, w->heads);
        if (w->typed != NULL && start < w->ptr[v + 1])
            gnn_add_scaled(dbias + w->typed->relation[start] * w->heads, 1, of_run, w->heads);
    }
    for (int k = 0; k < w->heads; k++)
        for (int64_t c = w->start[k]; c < w->start[k + 1]; c++)
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
    real       *grads = w->grads + part * part_size(w->step);

    memset(grads, 0, part_size(w->step) * sizeof(real));
    for (int64_t v = gnn_part_start(w->step->out->n, part); v < gnn_part_start(w->step->out->n, part + 1); v++)
        attend_grad_row(w, grads, grads + 2 * w->dim, v);
}

static void
attend_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    AttendWork  w = work_of(plan, s);

    for_rows(plan, &w, through_activation);
    gnn_team_run(plan->team, gnn_parts(s->out->n), attend_grad_part, &w);
    gnn_add_parts(s->weight->grad, s->out->n, w.grads, part_size(s), 2 * w.dim);
    if (w.bias != NULL)
        gnn_add_parts(w.bias->grad, s->out->n, w.grads + 2 * w.dim, part_size(s), w.bias->n * w.bias->dim);
}

const GnnOp gnn_attend = {"attend", attend_forward, attend_backward};

int
gnn_attend_heads(int heads, int64_t dim)
{
    return heads < dim ? heads : (int) dim;
}

static GnnMat *
add_attend(GnnPlan *plan, GnnPlanStep step)
{
    assert(step.scale > 0);     /* a result's sign tells f's side */
    step.op = &gnn_attend;
    step.out = gnn_plan_mat(plan, step.in->n, step.in->dim);
    step.count = gnn_attend_heads(step.count, step.in->dim);
    step.n_keep = step.in->n * record_width(step.count) + gnn_parts(step.in->n) * part_size(&step);
    gnn_plan_add(plan, step);
    return gnn_op_along_edges(plan, step.out);
}

GnnMat *
gnn_op_attend(GnnPlan *plan, GnnMat *h, GnnMat *att, int heads, double slope, bool even)
{
    return add_attend(plan, (GnnPlanStep) {.in = h, .weight = att, .count = heads, .scale = (real) slope, .own = even ? 0 : 1});
}

GnnMat *
gnn_op_attend_typed(GnnPlan *plan, GnnMat *h, GnnMat *att, GnnMat *prior, GnnMat *bias, int heads, double slope)
{
    assert(bias->n >= plan->typed->n_relations && bias->dim == gnn_attend_heads(heads, h->dim));
    return add_attend(plan, (GnnPlanStep) {.in = h, .weight = att, .with = {prior, bias}, .count = heads, .scale = (real) slope,
                                           .own = 1});
}

/* ---- p of the typed graph's edges: the weight over the mean of the run, 0 for what a view has left out ---- */

typedef struct PriorWork
{
    const GnnTyped *typed;
    real       *prior;
} PriorWork;

static void
prior_rows(void *arg, int64_t block, int thread)
{
    const PriorWork *w = arg;
    const int64_t *ptr = w->typed->ptr;
    int64_t     end;

    for (int64_t v = block * BLOCK; v < (block + 1) * BLOCK && v < w->typed->n_nodes; v++)
        for (int64_t start = ptr[v]; start < ptr[v + 1]; start = end)
        {
            end = gnn_run_end(w->typed, start, ptr[v + 1]);
            for (int64_t e = start; e < end; e++)
                w->prior[e] = w->typed->share[e] * (real) (end - start);
        }
}

static void
prior_forward(GnnPlan *plan, const GnnPlanStep *s)
{
    PriorWork   w = {.typed = plan->typed, .prior = s->out->val};

    gnn_team_run(plan->team, gnn_blocks(plan->typed->n_nodes, BLOCK), prior_rows, &w);
}

static void
prior_backward(GnnPlan *plan, const GnnPlanStep *s)
{
    /* a constant */
}

const GnnOp gnn_edge_prior = {"edge_prior", prior_forward, prior_backward};

GnnMat *
gnn_op_edge_prior(GnnPlan *plan)
{
    GnnMat     *out = gnn_plan_mat(plan, plan->typed->n_edges, 1);

    out->constant = true;
    gnn_plan_add(plan, (GnnPlanStep) {.op = &gnn_edge_prior, .out = out});
    return out;
}
