/*
 * edges.h: one node's edges: those of a node the run does not know, made from interactions or a basket, and what each says.
 */
#ifndef GNNREC_API_EDGES_H
#define GNNREC_API_EDGES_H

#include "postgres.h"

#include <float.h>
#include <math.h>

#include "pg/snapshot.h"

/* a sum of weights as an edge keeps it: the largest there is, where it is larger, so that scores are numbers */
static inline float
gnnrec_edges_rounded(double weight)
{
    return (float) fmax(-FLT_MAX, fmin(FLT_MAX, weight));
}

/*
 * n ids of a type as a row of the snapshot would have them: known nodes, ascending, the weights of a node summed smallest first, in
 * double, as the training sums them. is_null NULL: no id is; weight NULL: all 1. In the current memory context.
 */
extern GnnrecSnapshotRow gnnrec_edges_row(const GnnrecSnapshot *snapshot, int type, const Datum *id, const bool *is_null,
                                          const float *weight, int64 n);

/* the same of n node numbers, below zero for what is not in the run */
extern GnnrecSnapshotRow gnnrec_edges_of_nodes(const int32 *node, const float *weight, int64 n);

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
