/*
 * typed.h: the graph with its relations kept apart, for models that ask what an edge says and not only whom it joins.
 *
 * A relation of the graph counts in both directions, which are told apart even between nodes of one type: relation r is
 * directed relation 2r from its `from` end and 2r + 1 from its `to` end, so that d ^ 1 is d seen from the other end. A node's
 * row holds its edges by directed relation, then by neighbour; those of one directed relation are a run. Each edge is there
 * twice, once at either end, and knows where the other one is: what flows along an edge is gathered at one end forwards, at
 * the other backwards.
 */
#ifndef GNN_CORE_TYPED_H
#define GNN_CORE_TYPED_H

#include "core/graph.h"
#include "core/rng.h"
#include "core/team.h"

typedef struct GnnTyped
{
    int64_t     n_nodes;
    int64_t     n_edges;        /* that there is room for; ptr[n_nodes] are there */
    int         n_relations;    /* directed */
    GnnNodes    heads[2 * GNN_MAX_RELATIONS];       /* [directed relation] where its edges start ... */
    GnnNodes    tails[2 * GNN_MAX_RELATIONS];       /* ... and end */
    int64_t    *ptr;            /* n_nodes + 1: row v is ptr[v] .. ptr[v + 1] */
    int32_t    *idx;            /* neighbours */
    uint8_t    *relation;       /* directed, of each edge */
    real       *share;          /* an edge's weight over the sum of its run's: D_r^-1 A_r */
    int32_t    *opposite;       /* where in the neighbour's row the edge's other end is */
    int64_t    *cursor;         /* scratch of the filling, 2 x n_nodes */
} GnnTyped;

/* memory for a graph with so many edges in its relations (of which only numbers are read) */
extern void gnn_typed_allocate(GnnTyped *typed, GnnArena *arena, const GnnGraph *graph,
                               const int64_t n_edges[GNN_MAX_RELATIONS]);

/* edges with weights <= 0 are left out */
extern void gnn_typed_fill(GnnTyped *typed, const GnnGraph *graph);

/* memory for a view of a graph that has room already: all but the shares is the graph's own */
extern void gnn_typed_allocate_view(GnnTyped *view, GnnArena *arena, const GnnTyped *whole);

/* a view without some edges, each left out at both ends with a probability: their share is 0, the others' is of what is left */
extern void gnn_typed_drop(GnnTyped *view, GnnTeam *team, const GnnTyped *whole, double probability, GnnRng stream);

/* the end of the run that starts at an edge of a row that ends at `end` */
static inline int64_t
gnn_run_end(const GnnTyped *typed, int64_t start, int64_t end)
{
    int64_t     e = start + 1;

    while (e < end && typed->relation[e] == typed->relation[start])
        e++;
    return e;
}

/* the same edge at its other end */
static inline int64_t
gnn_opposite(const GnnTyped *typed, int64_t edge)
{
    return typed->ptr[typed->idx[edge]] + typed->opposite[edge];
}

/* is there an edge of a directed relation from v to u? */
extern bool gnn_typed_has(const GnnTyped *typed, int64_t v, int relation, int32_t u);

/* what a sum over edges takes of each */
typedef enum GnnEnd
{
    GNN_END_OWN,                /* the weight it has at this end */
    GNN_END_OPPOSITE            /* the one it has at the other */
} GnnEnd;

/* y = sum over edges start .. end - 1, in this order, of weight (one an edge of the graph) times the neighbour's row of x */
extern void gnn_typed_gather(real *y, const GnnTyped *typed, int64_t start, int64_t end, const real *weight, GnnEnd which,
                             const real *x, int64_t dim);

#endif
