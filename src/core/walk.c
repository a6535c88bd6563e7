/*
 * walk.c: steps by rejection, visits by sorting.
 *
 * An edge is chosen by its weight without a table of all edges: any edge of the node is proposed, and taken with the chance that
 * is its weight over the heaviest one's. Where weights are very uneven that may take long, so after some proposals the row is
 * summed up instead: what is drawn then has the same chances.
 */
#include "core/walk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 128               /* nodes of a block */
#define PROPOSALS 32

/* ---- steps ---- */

void
gnn_walker_allocate(GnnWalker *walker, GnnArena *arena, int64_t n_nodes)
{
    walker->heaviest = gnn_alloc(arena, n_nodes, sizeof(float));
}

/* A_vu over sqrt(D_v), which is the same for all of a row: A_hat_vu sqrt(D_u) */
static inline float
value(const GnnAdjacency *adjacency, int64_t edge)
{
    return (float) (adjacency->a.val[edge] * sqrt(adjacency->degree[adjacency->a.idx[edge]]));
}

static int64_t
block_end(int64_t block, int64_t n)
{
    return (block + 1) * BLOCK < n ? (block + 1) * BLOCK : n;
}

static void
find_heaviest(void *arg, int64_t block, int thread)
{
    GnnWalker  *w = arg;
    const GnnCsr *a = &w->adjacency->a;

    for (int64_t v = block * BLOCK; v < block_end(block, a->n); v++)
    {
        w->heaviest[v] = 0;
        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
            w->heaviest[v] = fmaxf(w->heaviest[v], value(w->adjacency, e));
    }
}

void
gnn_walker_open(GnnWalker *walker, GnnTeam *team, const GnnAdjacency *adjacency)
{
    walker->adjacency = adjacency;
    gnn_team_run(team, gnn_blocks(adjacency->a.n, BLOCK), find_heaviest, walker);
}

/* the edge at which the sum of the row's values passes a random part of it all */
static int32_t
step_by_sum(const GnnWalker *walker, int32_t node, GnnRng *rng)
{
    const GnnCsr *a = &walker->adjacency->a;
    int64_t     last = a->ptr[node + 1] - 1;
    double      left = 0;

    for (int64_t e = a->ptr[node]; e <= last; e++)
        left += value(walker->adjacency, e);
    left *= gnn_rng_uniform(rng);
    for (int64_t e = a->ptr[node]; e < last; e++)
        if ((left -= value(walker->adjacency, e)) < 0)
            return a->idx[e];
    return a->idx[last];
}

int32_t
gnn_walker_step(const GnnWalker *walker, int32_t node, GnnRng *rng)
{
    const GnnCsr *a = &walker->adjacency->a;
    int64_t     start = a->ptr[node];
    uint64_t    n = (uint64_t) (a->ptr[node + 1] - start);

    for (int i = 0; i < PROPOSALS; i++)
    {
        int64_t     e = start + (int64_t) gnn_rng_below(rng, n);

        if (gnn_rng_uniform(rng) * walker->heaviest[node] < value(walker->adjacency, e))
            return a->idx[e];
    }
    return step_by_sum(walker, node, rng);
}

/* ---- visits ---- */

/* a node visited, first as the so manieth visit; once sorted, how often */
typedef struct GnnVisit
{
    int32_t     node;
    int32_t     first;
    int32_t     count;
} GnnVisit;

void
gnn_visits_allocate(GnnVisits *visits, GnnArena *arena, int64_t n_nodes, int threads)
{
    gnn_walker_allocate(&visits->walker, arena, n_nodes);
    gnn_directed_allocate(&visits->shares, arena, n_nodes, n_nodes * visits->kept);
    visits->visits = gnn_alloc(arena, (int64_t) threads * visits->walks * visits->length, sizeof(GnnVisit));
}

static int
by_node(const void *a, const void *b)
{
    const GnnVisit *x = a;
    const GnnVisit *y = b;

    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* of those visited equally often, the one visited first: node numbers mean nothing */
static int
most_first(const void *a, const void *b)
{
    const GnnVisit *x = a;
    const GnnVisit *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

/* all visits of a node's walks, but to itself */
static int32_t
walk(GnnVisit *visit, const GnnVisits *v, int32_t node)
{
    GnnRng      rng = gnn_rng(v->seed, GNN_STREAM_WALK, (uint64_t) node);
    int32_t     n = 0;

    for (int i = 0; i < v->walks; i++)
    {
        int32_t     at = node;

        for (int step = 0; step < v->length; step++)
        {
            at = gnn_walker_step(&v->walker, at, &rng);
            if (at != node)
            {
                visit[n] = (GnnVisit) {.node = at, .first = n, .count = 1};
                n++;
            }
        }
    }
    return n;
}

/* visits to the same node become one */
static int32_t
count_visits(GnnVisit *visit, int32_t n)
{
    int32_t     out = 0;

    qsort(visit, n, sizeof(GnnVisit), by_node);
    for (int32_t i = 0; i < n; i++)
        if (out > 0 && visit[out - 1].node == visit[i].node)
            visit[out - 1].count++;
        else
            visit[out++] = visit[i];
    return out;
}

/* fills the node's slot, from node * kept on; what is left of it gets share 0 */
static void
fill_slot(GnnVisits *v, GnnVisit *visit, int32_t node)
{
    int64_t     at = (int64_t) node * v->kept;
    int32_t     n = 0;
    double      sum = 0;

    if (v->walker.adjacency->a.ptr[node + 1] > v->walker.adjacency->a.ptr[node])
        n = count_visits(visit, walk(visit, v, node));
    qsort(visit, n, sizeof(GnnVisit), most_first);
    n = n < v->kept ? n : v->kept;
    for (int32_t i = 0; i < n; i++)
        sum += visit[i].count;
    qsort(visit, n, sizeof(GnnVisit), by_node);
    for (int32_t i = 0; i < v->kept; i++)
    {
        v->shares.rows.idx[at + i] = i < n ? visit[i].node : 0;
        v->shares.rows.val[at + i] = i < n ? (float) (visit[i].count / sum) : 0;
    }
}

static void
fill_slots(void *arg, int64_t block, int thread)
{
    GnnVisits  *v = arg;

    for (int64_t node = block * BLOCK; node < block_end(block, v->shares.rows.n); node++)
        fill_slot(v, v->visits + (int64_t) thread * v->walks * v->length, (int32_t) node);
}

/* slots become rows: what is written never overtakes what is read */
static void
close_gaps(GnnVisits *v)
{
    GnnCsr     *rows = &v->shares.rows;
    int64_t     out = 0;

    for (int64_t node = 0; node < rows->n; node++)
    {
        for (int64_t at = node * v->kept; at < (node + 1) * v->kept && rows->val[at] > 0; at++)
        {
            rows->idx[out] = rows->idx[at];
            rows->val[out++] = rows->val[at];
        }
        rows->ptr[node + 1] = out;
    }
}

void
gnn_visits_fill(GnnVisits *visits, GnnTeam *team, const GnnAdjacency *adjacency)
{
    gnn_walker_open(&visits->walker, team, adjacency);
    gnn_team_run(team, gnn_blocks(visits->shares.rows.n, BLOCK), fill_slots, visits);
    close_gaps(visits);
    gnn_directed_turn(&visits->shares);
}
