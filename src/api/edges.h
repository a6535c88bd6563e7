/*
 * edges.h: one node's edges: those of a node the run does not know, made from interactions or a basket, and what each says.
 */
#ifndef GNNREC_API_EDGES_H
#define GNNREC_API_EDGES_H

#include "postgres.h"

#include "pg/snapshot.h"

/*
 * n ids of a type as a row of the snapshot would have them: known nodes, ascending, the weights of a node summed in an order of
 * their own. is_null NULL: no id is; weight NULL: all 1. In the current memory context.
 */
extern GnnrecSnapshotRow gnnrec_edges_row(const GnnrecSnapshot *snapshot, int type, const Datum *id, const bool *is_null,
                                          const float *weight, int64 n);

/* the weight of the i-th edge of a row to nodes of a type, 0 where it says nothing: not liked, or to a node without edges */
static inline double
gnnrec_edges_weight(const GnnrecSnapshotNodes *nodes, const GnnrecSnapshotRow *row, int64 i)
{
    float       weight = row->val == NULL ? 1 : row->val[i];

    return weight > 0 && nodes->degree[row->idx[i]] > 0 ? weight : 0;
}

/* their sum */
extern double gnnrec_edges_degree(const GnnrecSnapshotNodes *nodes, const GnnrecSnapshotRow *row);

#endif
