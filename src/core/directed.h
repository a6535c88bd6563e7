/*
 * directed.h: a square matrix that is not symmetric, beside its transpose: one goes forwards by it and back by the other.
 */
#ifndef GNN_CORE_DIRECTED_H
#define GNN_CORE_DIRECTED_H

#include "core/adjacency.h"
#include "core/rng.h"

typedef struct GnnDirected
{
    GnnCsr      rows;           /* filled by whoever makes the matrix */
    GnnCsr      columns;        /* the transpose: row u has those in whose rows u is */
} GnnDirected;

/* memory for a matrix of at most n rows and n_entries entries */
extern void gnn_directed_allocate(GnnDirected *matrix, GnnArena *arena, int64_t n, int64_t n_entries);

/* columns, from rows */
extern void gnn_directed_turn(GnnDirected *matrix);

/* the matrix without about `share` of its entries, the others the larger: on average it is the same; as large as it is */
extern void gnn_directed_drop(GnnDirected *out, const GnnDirected *matrix, double share, GnnRng rng);

/*
 * Both on one structure of symmetric places: out's a.val has the matrix, back the transpose, and either may be 0. Its arrays
 * have room for twice the entries; degree and n_edges are left alone.
 */
extern void gnn_directed_join(GnnAdjacency *out, const GnnDirected *matrix);

#endif
