/*
 * cold.c: the cold nodes' part of a list; see cold.h.
 */
#include "postgres.h"

#include "api/cold.h"

#include <math.h>

#include "utils/memutils.h"

GnnrecNodes
gnnrec_cold_nodes(const GnnrecSnapshot *snapshot, int type, GnnrecNodes skip)
{
    const GnnrecSnapshotNodes *nodes = &snapshot->types[type];
    int32      *node = MemoryContextAllocHuge(CurrentMemoryContext, Max(nodes->n_cold, 1) * sizeof(int32));
    int64       n = 0;
    int64       s = 0;

    for (int32 i = 0; i < nodes->n_cold; i++)
    {
        if (nodes->cold[i] < 0 || nodes->cold[i] >= nodes->n)
            gnnrec_snapshot_damaged(snapshot);
        while (s < skip.n && skip.node[s] < nodes->cold[i])
            s++;
        if (s == skip.n || skip.node[s] != nodes->cold[i])
            node[n++] = nodes->cold[i];
    }
    return (GnnrecNodes) {node, n};
}

int32
gnnrec_cold_rank(GnnHit *out, int32 k, const GnnrecSnapshotNodes *nodes, GnnrecNodes cold, const float *vector)
{
    GnnRows     rows = gnnrec_snapshot_rows(nodes, false);

    return gnn_topk_among(out, k, &rows, vector, cold.node, cold.n);
}

int32
gnnrec_cold_places(int32 k, float share)
{
    return (int32) roundf(share * k);
}

int32
gnnrec_cold_place(int32 i, int32 n, int32 length)
{
    return (int32) ((2 * (int64) i + 1) * length / (2 * (int64) n));
}
