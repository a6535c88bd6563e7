/*
 * nodes.c: ascending lists of nodes; see nodes.h.
 */
#include "postgres.h"

#include "api/nodes.h"

#include "utils/memutils.h"

int
gnnrec_nodes_compare(const void *a, const void *b)
{
    int32       i = *(const int32 *) a;
    int32       j = *(const int32 *) b;

    return (i > j) - (i < j);
}

GnnrecNodes
gnnrec_nodes_make(int32 *node, int64 n)
{
    GnnrecNodes list = {node, 0};

    qsort(node, n, sizeof(int32), gnnrec_nodes_compare);
    for (int64 i = 0; i < n; i++)
        if (i == 0 || node[i] != node[i - 1])
            node[list.n++] = node[i];
    return list;
}

GnnrecNodes
gnnrec_nodes_make_dense(int32 *node, int64 n, int32 end)
{
    GnnrecNodes list = {node, 0};
    bool       *present = MemoryContextAllocExtended(CurrentMemoryContext, end, MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);

    for (int64 i = 0; i < n; i++)
        present[node[i]] = true;
    for (int32 i = 0; i < end && list.n < n; i++)
        if (present[i])
            node[list.n++] = i;
    pfree(present);
    return list;
}

bool
gnnrec_nodes_contain(GnnrecNodes list, int32 node)
{
    return list.n > 0 && bsearch(&node, list.node, list.n, sizeof(int32), gnnrec_nodes_compare) != NULL;
}

GnnrecNodes
gnnrec_nodes_merge(GnnrecNodes a, GnnrecNodes b)
{
    int32      *node;
    int64       i = 0;
    int64       j = 0;

    if (a.n == 0 || b.n == 0)
        return a.n == 0 ? b : a;
    node = MemoryContextAllocHuge(CurrentMemoryContext, (a.n + b.n) * sizeof(int32));
    while (i < a.n || j < b.n)
    {
        bool        from_a = j == b.n || (i < a.n && a.node[i] <= b.node[j]);

        node[i + j] = from_a ? a.node[i] : b.node[j];
        i += from_a;
        j += !from_a;
    }
    return (GnnrecNodes) {node, a.n + b.n};
}
