/*
 * features.h: the features of all nodes, as the step that encodes them reads them: F and its transpose.
 *
 * A node type has features of its own, so F is a block a type; all blocks' columns are numbered through, and are the rows of one
 * matrix of parameters E. F E goes by the rows of F, and E's gradient F' dout by those of F': each number of either is one sum,
 * in one order, whatever the number of threads.
 */
#ifndef GNN_CORE_FEATURES_H
#define GNN_CORE_FEATURES_H

#include "core/graph.h"

typedef struct GnnFeatures
{
    const GnnGraph *graph;
    int64_t     n;              /* features of all types: rows of E */
    int64_t     first[GNN_MAX_TYPES];       /* the features of a type are rows first .. of E */
    GnnCsr      transposed[GNN_MAX_TYPES];  /* of the type's block: n_features x nodes of the type */
} GnnFeatures;

/* from numbers of nodes and features alone; the graph is the caller's and has to stay */
extern void gnn_features_open(GnnFeatures *features, const GnnGraph *graph);

/* the same once more, where the graph is another sample now */
extern void gnn_features_number(GnnFeatures *features);

/* memory for the transposed blocks, from numbers of entries, and what goes there: for a backward pass alone */
extern void gnn_features_allocate(GnnFeatures *features, GnnArena *arena);
extern void gnn_features_fill(GnnFeatures *features);

/* whether a type has features; whether its node i does */
static inline bool
gnn_type_has_features(const GnnGraph *g, int type)
{
    return g->features[type].n_cols > 0;
}

static inline bool
gnn_node_has_features(const GnnGraph *g, int type, int64_t i)
{
    return gnn_type_has_features(g, type) && g->features[type].ptr[i + 1] > g->features[type].ptr[i];
}

#endif
