/*
 * edges.c: one node's edges; see edges.h.
 */
#include "postgres.h"

#include "api/edges.h"

#include "utils/memutils.h"

typedef struct Weighted
{
    int32       node;
    float       weight;
} Weighted;

static int
by_node_and_weight(const void *a, const void *b)
{
    const Weighted *x = a;
    const Weighted *y = b;

    return x->node != y->node ? (x->node > y->node) - (x->node < y->node) : (x->weight > y->weight) - (x->weight < y->weight);
}

GnnrecSnapshotRow
gnnrec_edges_of_nodes(const int32 *node, const float *weight, int64 n)
{
    Weighted   *known = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(Weighted));
    int32      *idx = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(int32));
    float      *val = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(float));
    int64       n_known = 0;
    int64       end = 0;

    for (int64 i = 0; i < n; i++)
        if (node[i] >= 0)
            known[n_known++] = (Weighted) {node[i], weight == NULL ? 1 : weight[i]};
    qsort(known, n_known, sizeof(Weighted), by_node_and_weight);
    for (int64 i = 0; i < n_known; end++)
    {
        double      sum = 0;

        idx[end] = known[i].node;
        for (; i < n_known && known[i].node == idx[end]; i++)
            sum += known[i].weight;
        val[end] = gnnrec_edges_rounded(sum);
    }
    return (GnnrecSnapshotRow) {end, idx, val};
}

GnnrecSnapshotRow
gnnrec_edges_row(const GnnrecSnapshot *snapshot, int type, const Datum *id, const bool *is_null, const float *weight, int64 n)
{
    int32      *node = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(int32));

    for (int64 i = 0; i < n; i++)
        node[i] = is_null != NULL && is_null[i] ? -1
            : gnnrec_snapshot_find(snapshot, type, gnnrec_key_of(&snapshot->types[type].key, id[i]));
    return gnnrec_edges_of_nodes(node, weight, n);
}

double
gnnrec_edges_degree(const GnnrecSnapshotNodes *nodes, const GnnrecSnapshotRow *row)
{
    double      degree = 0;

    for (int64 i = 0; i < row->n; i++)
        degree += gnnrec_edges_weight(nodes, row, i);
    return degree;
}
