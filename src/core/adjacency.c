/*
 * adjacency.c: relations become one symmetric, normalised matrix; and its product with dense rows.
 *
 * Rows are filled relation by relation, which leaves each a chain of sorted runs without any scratch
 * memory; only where more than one run meets (several relations between the same types, or a type with
 * itself) is there anything left to sort or to merge.
 */
#include "core/adjacency.h"

#include "core/kernel.h"

#include <assert.h>
#include <math.h>

#define ROWS 128                /* of a block of the product */

void
gnn_adjacency_allocate(GnnAdjacency *adjacency, GnnArena *arena, const GnnGraph *graph,
                       const int64_t n_edges[GNN_MAX_RELATIONS])
{
    GnnCsr     *a = &adjacency->a;
    int64_t     n = 0;

    for (int r = 0; r < graph->n_relations; r++)
        n += 2 * n_edges[r];
    a->n = a->n_cols = (int32_t) graph->n_nodes;
    a->ptr = gnn_alloc(arena, graph->n_nodes + 1, sizeof(int64_t));
    a->idx = gnn_alloc(arena, n, sizeof(int32_t));
    a->val = gnn_alloc(arena, n, sizeof(float));
    a->time = NULL;
    adjacency->degree = gnn_alloc(arena, graph->n_nodes, sizeof(double));
    adjacency->back = NULL;
    adjacency->n_edges = NULL;
}

/* calls `edge` with both ends as nodes of the graph, relation by relation, rows in order */
typedef void (*EdgeFunction)(GnnCsr *a, int64_t from, int64_t to, float weight);

static void
for_each_edge(GnnCsr *a, const GnnGraph *graph, EdgeFunction edge)
{
    for (int r = 0; r < graph->n_relations; r++)
    {
        const GnnRelation *relation = &graph->relations[r];
        const GnnCsr *e = &relation->edges;
        int64_t     first_from = graph->types[relation->from].first;
        int64_t     first_to = graph->types[relation->to].first;

        for (int32_t i = 0; i < e->n; i++)
            for (int64_t at = e->ptr[i]; at < e->ptr[i + 1]; at++)
                if (e->val == NULL || e->val[at] > 0)
                    edge(a, first_from + i, first_to + e->idx[at], e->val != NULL ? e->val[at] : 1);
    }
}

static void
count_edge(GnnCsr *a, int64_t from, int64_t to, float weight)
{
    a->ptr[from + 1]++;
    if (from != to)
        a->ptr[to + 1]++;
}

static void
put_half_edge(GnnCsr *a, int64_t from, int64_t to, float weight)
{
    int64_t     at = a->ptr[from]++;

    a->idx[at] = (int32_t) to;
    a->val[at] = weight;
}

static void
put_edge(GnnCsr *a, int64_t from, int64_t to, float weight)
{
    put_half_edge(a, from, to, weight);
    if (from != to)
        put_half_edge(a, to, from, weight);
}

static bool
ascends(const int32_t *idx, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
        if (idx[i - 1] >= idx[i])
            return false;
    return true;
}

/* Shell's sort, on both arrays at once; by weight within a column, so that merging has one order */
static void
sort_row(int32_t *idx, float *val, int64_t n)
{
    int64_t     gap = 1;

    while (gap < n / 3)
        gap = 3 * gap + 1;
    for (; gap > 0; gap /= 3)
        for (int64_t i = gap; i < n; i++)
        {
            int32_t     column = idx[i];
            float       weight = val[i];
            int64_t     j = i;

            for (; j >= gap && (idx[j - gap] > column || (idx[j - gap] == column && val[j - gap] > weight)); j -= gap)
            {
                idx[j] = idx[j - gap];
                val[j] = val[j - gap];
            }
            idx[j] = column;
            val[j] = weight;
        }
}

/* sorts rows that are not sorted, adds up equal columns, and closes the gaps */
static void
merge_rows(GnnCsr *a)
{
    int64_t     out = 0;

    for (int32_t v = 0; v < a->n; v++)
    {
        int64_t     start = a->ptr[v];
        int64_t     n = a->ptr[v + 1] - start;
        int64_t     row = out;

        if (!ascends(a->idx + start, n))
            sort_row(a->idx + start, a->val + start, n);
        a->ptr[v] = row;
        for (int64_t i = start; i < start + n; i++)
        {
            if (out > row && a->idx[out - 1] == a->idx[i])
            {
                a->val[out - 1] += a->val[i];
                continue;
            }
            a->idx[out] = a->idx[i];
            a->val[out++] = a->val[i];
        }
    }
    a->ptr[a->n] = out;
}

static void
normalise(GnnAdjacency *adjacency)
{
    const GnnCsr *a = &adjacency->a;
    double     *degree = adjacency->degree;

    for (int32_t v = 0; v < a->n; v++)
    {
        degree[v] = 0;
        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
            degree[v] += a->val[e];
    }
    for (int32_t v = 0; v < a->n; v++)
        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
            a->val[e] = (float) (a->val[e] / (sqrt(degree[v]) * sqrt(degree[a->idx[e]])));
}

void
gnn_adjacency_fill(GnnAdjacency *adjacency, const GnnGraph *graph)
{
    GnnCsr     *a = &adjacency->a;

    assert(graph->n_nodes <= INT32_MAX);
    for_each_edge(a, graph, count_edge);
    for (int32_t v = 0; v < a->n; v++)
        a->ptr[v + 1] += a->ptr[v];
    for_each_edge(a, graph, put_edge);
    for (int32_t v = a->n; v > 0; v--)      /* filling moved every start to its end */
        a->ptr[v] = a->ptr[v - 1];
    a->ptr[0] = 0;
    merge_rows(a);
    normalise(adjacency);
}

/* ---- without a share of the edges ---- */

typedef struct DropWork
{
    GnnAdjacency *out;
    const GnnAdjacency *whole;
    double      share;
    GnnRng      stream;
} DropWork;

/* what is so light beside its ends' degrees that its number is 0 is no edge here: it could be all that a node keeps */
static bool
keeps_edge(const DropWork *w, int64_t v, int64_t e)
{
    int64_t     u = w->whole->a.idx[e];
    GnnRng      rng = w->stream;

    rng.counter = (uint64_t) (v < u ? v * w->whole->a.n + u : u * w->whole->a.n + v);
    return gnn_rng_uniform(&rng) >= w->share && w->whole->a.val[e] > 0;
}

/* counts a row's edges into ptr[v + 1], and adds up their weights */
static void
count_kept(void *arg, int64_t block, int thread)
{
    const DropWork *w = arg;
    const GnnCsr *a = &w->whole->a;
    const double *degree = w->whole->degree;

    for (int64_t v = block * ROWS; v < (block + 1) * ROWS && v < a->n; v++)
    {
        int64_t     n = 0;
        double      sum = 0;

        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
            if (keeps_edge(w, v, e))
            {
                n++;
                sum += a->val[e] * sqrt(degree[a->idx[e]]);
            }
        w->out->a.ptr[v + 1] = n;
        w->out->degree[v] = sum * sqrt(degree[v]);
    }
}

/* what is left of the square root of a degree */
static double
root_ratio(const DropWork *w, int64_t v)
{
    return sqrt(w->whole->degree[v] / w->out->degree[v]);
}

static void
put_kept(void *arg, int64_t block, int thread)
{
    const DropWork *w = arg;
    const GnnCsr *a = &w->whole->a;
    GnnCsr     *out = &w->out->a;

    for (int64_t v = block * ROWS; v < (block + 1) * ROWS && v < a->n; v++)
    {
        int64_t     at = out->ptr[v];

        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
            if (keeps_edge(w, v, e))
            {
                out->idx[at] = a->idx[e];
                out->val[at++] = (float) (a->val[e] * (root_ratio(w, v) * root_ratio(w, a->idx[e])));
            }
    }
}

void
gnn_adjacency_drop(GnnAdjacency *out, GnnTeam *team, const GnnAdjacency *whole, double share, GnnRng stream)
{
    DropWork    w = {.out = out, .whole = whole, .share = share, .stream = stream};
    int64_t     n_blocks = gnn_blocks(whole->a.n, ROWS);

    out->a.ptr[0] = 0;
    gnn_team_run(team, n_blocks, count_kept, &w);
    for (int32_t v = 0; v < whole->a.n; v++)
        out->a.ptr[v + 1] += out->a.ptr[v];
    gnn_team_run(team, n_blocks, put_kept, &w);
}

/* ---- the product ---- */

/* the sum waits on the stack until base and y were read: y may be either */
static void
product_row(const GnnProduct *p, int32_t v, real *sum)
{
    int64_t     start = p->a->ptr[v];
    const real *base = p->base != NULL ? p->base + v * p->dim : NULL;
    real       *y = p->y + v * p->dim;

    gnn_gather_rows(sum, p->a->idx + start, p->a->val + start, p->a->ptr[v + 1] - start, p->scale, p->x, p->dim);
    if (base != NULL)
        gnn_add_scaled(sum, p->own, base, p->dim);
    if (p->add)
        gnn_add_scaled(y, 1, sum, p->dim);
    else
        memcpy(y, sum, p->dim * sizeof(real));
}

static void
product_block(void *arg, int64_t block, int thread)
{
    const GnnProduct *p = arg;
    int64_t     end = (block + 1) * ROWS < p->a->n ? (block + 1) * ROWS : p->a->n;
    real        sum[GNN_MAX_DIM];

    for (int64_t v = block * ROWS; v < end; v++)
        product_row(p, (int32_t) v, sum);
}

void
gnn_product_run(GnnTeam *team, const GnnProduct *product)
{
    assert(product->dim <= GNN_MAX_DIM);
    gnn_team_run(team, gnn_blocks(product->a->n, ROWS), product_block, (void *) product);
}
