/*
 * nodes.h: lists of nodes of one type, ascending: what a user has seen, what may be recommended, what is true.
 *
 * A list is not changed once it is made: it may lie in the snapshot, or be another list.
 */
#ifndef GNNREC_API_NODES_H
#define GNNREC_API_NODES_H

#include "postgres.h"

typedef struct GnnrecNodes
{
    const int32 *node;
    int64       n;
} GnnrecNodes;

/* for qsort: node numbers, ascending */
extern int  gnnrec_nodes_compare(const void *a, const void *b);

/* sorts and makes distinct, in place */
extern GnnrecNodes gnnrec_nodes_make(int32 *node, int64 n);

/* the same for nodes below `end`, of which many are there: no sorting */
extern GnnrecNodes gnnrec_nodes_make_dense(int32 *node, int64 n, int32 end);

extern bool gnnrec_nodes_contain(GnnrecNodes list, int32 node);

/* both together, in the current memory context; a node of both is there twice */
extern GnnrecNodes gnnrec_nodes_merge(GnnrecNodes a, GnnrecNodes b);

#endif
