/*
 * typed.c: filling the graph with its relations kept apart, and sums over runs of it.
 *
 * Relations are filled one after the other, each of their edges at both ends at once: a row so comes out sorted, and the two
 * ends know each other. Between nodes of one type a row's outgoing run comes before its incoming one: room is left for it first.
 */
#include "core/typed.h"

#include "core/kernel.h"

#include <assert.h>

#define EDGES 256               /* whose weights are on the stack at once */

void
gnn_typed_allocate(GnnTyped *typed, GnnArena *arena, const GnnGraph *graph, const int64_t n_edges[GNN_MAX_RELATIONS])
{
    *typed = (GnnTyped) {.n_nodes = graph->n_nodes, .n_relations = 2 * graph->n_relations};
    for (int r = 0; r < graph->n_relations; r++)
    {
        typed->n_edges += 2 * n_edges[r];
        typed->heads[2 * r] = typed->tails[2 * r + 1] = graph->types[graph->relations[r].from];
        typed->tails[2 * r] = typed->heads[2 * r + 1] = graph->types[graph->relations[r].to];
    }
    typed->ptr = gnn_alloc(arena, typed->n_nodes + 1, sizeof(int64_t));
    typed->idx = gnn_alloc(arena, typed->n_edges, sizeof(int32_t));
    typed->relation = gnn_alloc(arena, typed->n_edges, sizeof(uint8_t));
    typed->share = gnn_alloc(arena, typed->n_edges, sizeof(real));
    typed->opposite = gnn_alloc(arena, typed->n_edges, sizeof(int32_t));
    typed->cursor = gnn_alloc(arena, 2 * typed->n_nodes, sizeof(int64_t));
}

/* ---- filling ---- */

static inline bool
is_edge(const GnnCsr *a, int64_t at)
{
    return a->val == NULL || a->val[at] > 0;
}

static int64_t
count_row(const GnnCsr *a, int32_t row)
{
    int64_t     n = 0;

    for (int64_t at = a->ptr[row]; at < a->ptr[row + 1]; at++)
        n += is_edge(a, at);
    return n;
}

/* counts[v] += edges of a relation at v, at either end */
static void
count_ends(int64_t *counts, const GnnTyped *typed, int relation, const GnnCsr *a)
{
    for (int32_t i = 0; i < a->n; i++)
    {
        counts[typed->heads[2 * relation].first + i] += count_row(a, i);
        for (int64_t at = a->ptr[i]; at < a->ptr[i + 1]; at++)
            counts[typed->tails[2 * relation].first + a->idx[at]] += is_edge(a, at);
    }
}

static void
put(GnnTyped *typed, int64_t edge, int64_t neighbour, int relation, float weight, int64_t other_end)
{
    typed->idx[edge] = (int32_t) neighbour;
    typed->relation[edge] = (uint8_t) relation;
    typed->share[edge] = weight;
    typed->opposite[edge] = (int32_t) (other_end - typed->ptr[neighbour]);
}

/* free[v] is where v's row goes on */
static void
fill_relation(GnnTyped *typed, int64_t *free, int relation, const GnnCsr *a)
{
    const GnnNodes *from = &typed->heads[2 * relation];
    const GnnNodes *to = &typed->tails[2 * relation];
    int64_t    *out = typed->cursor + typed->n_nodes;

    for (int32_t i = 0; i < a->n; i++)
    {
        out[from->first + i] = free[from->first + i];
        free[from->first + i] += count_row(a, i);
    }
    for (int32_t i = 0; i < a->n; i++)
        for (int64_t at = a->ptr[i]; at < a->ptr[i + 1]; at++)
        {
            int64_t     head = from->first + i;
            int64_t     tail = to->first + a->idx[at];
            float       weight = a->val != NULL ? a->val[at] : 1;

            if (!is_edge(a, at))
                continue;
            put(typed, out[head], tail, 2 * relation, weight, free[tail]);
            put(typed, free[tail], head, 2 * relation + 1, weight, out[head]);
            out[head]++;
            free[tail]++;
        }
}

/* weights to shares of their run */
static void
normalise(GnnTyped *typed)
{
    int64_t     end;

    for (int64_t v = 0; v < typed->n_nodes; v++)
        for (int64_t start = typed->ptr[v]; start < typed->ptr[v + 1]; start = end)
        {
            double      sum = 0;

            end = gnn_run_end(typed, start, typed->ptr[v + 1]);
            for (int64_t e = start; e < end; e++)
                sum += typed->share[e];
            for (int64_t e = start; e < end; e++)
                typed->share[e] = (real) (typed->share[e] / sum);
        }
}

void
gnn_typed_fill(GnnTyped *typed, const GnnGraph *graph)
{
    for (int r = 0; r < graph->n_relations; r++)
        count_ends(typed->ptr + 1, typed, r, &graph->relations[r].edges);
    for (int64_t v = 0; v < typed->n_nodes; v++)
    {
        assert(typed->ptr[v + 1] <= INT32_MAX);     /* a row's edges: places in it are 32 bits wide */
        typed->ptr[v + 1] += typed->ptr[v];
    }
    assert(typed->ptr[typed->n_nodes] <= typed->n_edges);
    memcpy(typed->cursor, typed->ptr, typed->n_nodes * sizeof(int64_t));
    for (int r = 0; r < graph->n_relations; r++)
        fill_relation(typed, typed->cursor, r, &graph->relations[r].edges);
    normalise(typed);
}

/* ---- a view without some edges ---- */

#define ROWS 256                /* of a block */

void
gnn_typed_allocate_view(GnnTyped *view, GnnArena *arena, const GnnTyped *whole)
{
    *view = *whole;
    view->share = gnn_alloc(arena, whole->n_edges, sizeof(real));
}

typedef struct DropWork
{
    GnnTyped   *view;
    const GnnTyped *whole;
    double      probability;
    GnnRng      stream;
} DropWork;

static bool
keeps_edge(const DropWork *w, int64_t e)
{
    int64_t     other = gnn_opposite(w->whole, e);
    GnnRng      rng = w->stream;

    rng.counter = (uint64_t) (e < other ? e : other);
    return gnn_rng_uniform(&rng) >= w->probability;
}

static void
drop_in_run(const DropWork *w, int64_t start, int64_t end)
{
    double      sum = 0;

    for (int64_t e = start; e < end; e++)
        sum += w->view->share[e] = keeps_edge(w, e) ? w->whole->share[e] : 0;
    for (int64_t e = start; e < end && sum > 0; e++)
        w->view->share[e] = (real) (w->view->share[e] / sum);
}

static void
drop_in_rows(void *arg, int64_t block, int thread)
{
    const DropWork *w = arg;
    const int64_t *ptr = w->whole->ptr;
    int64_t     end;

    for (int64_t v = block * ROWS; v < (block + 1) * ROWS && v < w->whole->n_nodes; v++)
        for (int64_t start = ptr[v]; start < ptr[v + 1]; start = end)
        {
            end = gnn_run_end(w->whole, start, ptr[v + 1]);
            drop_in_run(w, start, end);
        }
}

void
gnn_typed_drop(GnnTyped *view, GnnTeam *team, const GnnTyped *whole, double probability, GnnRng stream)
{
    DropWork    w = {.view = view, .whole = whole, .probability = probability, .stream = stream};

    gnn_team_run(team, gnn_blocks(whole->n_nodes, ROWS), drop_in_rows, &w);
}

/* ---- reading ---- */

/* the first edge of v's row at or after (relation, u) */
static int64_t
lower_bound(const GnnTyped *typed, int64_t v, int relation, int32_t u)
{
    int64_t     low = typed->ptr[v];
    int64_t     high = typed->ptr[v + 1];

    while (low < high)
    {
        int64_t     middle = low + (high - low) / 2;

        if (typed->relation[middle] < relation || (typed->relation[middle] == relation && typed->idx[middle] < u))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool
gnn_typed_has(const GnnTyped *typed, int64_t v, int relation, int32_t u)
{
    int64_t     edge = lower_bound(typed, v, relation, u);

    return edge < typed->ptr[v + 1] && typed->relation[edge] == relation && typed->idx[edge] == u;
}

/* weights of n edges from `start` on */
static void
collect(float *to, const GnnTyped *typed, int64_t start, int64_t n, const real *weight, GnnEnd which)
{
    for (int64_t e = 0; e < n; e++)
        to[e] = (float) weight[which == GNN_END_OWN ? start + e : gnn_opposite(typed, start + e)];
}

void
gnn_typed_gather(real *y, const GnnTyped *typed, int64_t start, int64_t end, const real *weight, GnnEnd which,
                 const real *x, int64_t dim)
{
    float       coef[EDGES];
    real        sum[GNN_MAX_DIM];
    int64_t     n = end - start < EDGES ? end - start : EDGES;

    collect(coef, typed, start, n, weight, which);
    gnn_gather_rows(y, typed->idx + start, coef, n, 1, x, dim);
    for (start += n; start < end; start += n)
    {
        n = end - start < EDGES ? end - start : EDGES;
        collect(coef, typed, start, n, weight, which);
        gnn_gather_rows(sum, typed->idx + start, coef, n, 1, x, dim);
        gnn_add_scaled(y, 1, sum, dim);
    }
}
