/*
 * adjacency.h: the whole graph as one symmetric matrix, normalised: A_hat = D^-1/2 A D^-1/2.
 *
 * Every relation counts in both directions, every node type has its range of rows. A_vw is the sum of
 * the weights of the edges between v and w, D_v the sum of row v of A.
 */
#ifndef GNN_CORE_ADJACENCY_H
#define GNN_CORE_ADJACENCY_H

#include "core/graph.h"
#include "core/rng.h"
#include "core/team.h"

typedef struct GnnAdjacency
{
    GnnCsr      a;              /* n_nodes x n_nodes, normalised */
    double     *degree;         /* D; 0 for a node without edges, whose row is empty */
    float      *back;           /* A_wv where a.val has A_vw; NULL: the matrix is symmetric, as only samples of it are not */
    int32_t    *n_edges;        /* edges of a node in the whole graph; NULL: those of its row */
} GnnAdjacency;

/* the transpose: the same places, other values */
static inline GnnCsr
gnn_adjacency_turned(const GnnAdjacency *adjacency)
{
    GnnCsr      turned = adjacency->a;

    if (adjacency->back != NULL)
        turned.val = adjacency->back;
    return turned;
}

static inline int64_t
gnn_adjacency_edges(const GnnAdjacency *adjacency, int64_t v)
{
    return adjacency->n_edges != NULL ? adjacency->n_edges[v] : adjacency->a.ptr[v + 1] - adjacency->a.ptr[v];
}

/* memory for a graph with so many edges in its relations (of which only numbers are read) */
extern void gnn_adjacency_allocate(GnnAdjacency *adjacency, GnnArena *arena, const GnnGraph *graph,
                                   const int64_t n_edges[GNN_MAX_RELATIONS]);

/* edges with weights <= 0 are left out */
extern void gnn_adjacency_fill(GnnAdjacency *adjacency, const GnnGraph *graph);

/*
 * `whole` without a share of its edges, each left out or kept in both directions, with degrees and normalisation of what is left.
 * `out` has memory for all of them. Who is left out depends on the stream alone.
 */
extern void gnn_adjacency_drop(GnnAdjacency *out, GnnTeam *team, const GnnAdjacency *whole, double share, GnnRng stream);

/* y = scale a x + own base, row by row; base may be NULL. x is read by rows of any number, so y is not x. */
typedef struct GnnProduct
{
    real       *y;
    const GnnCsr *a;
    const real *x;
    const real *base;
    real        scale;
    real        own;
    int64_t     dim;
    bool        add;            /* y += instead of y = */
} GnnProduct;

extern void gnn_product_run(GnnTeam *team, const GnnProduct *product);

#endif
