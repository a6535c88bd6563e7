/*
 * memory.c: the memory of trainings; see memory.h.
 */
#include "postgres.h"

#include "pg/memory.h"

#include "utils/memutils.h"

#include "pg/catalog.h"
#include "pg/guc.h"

static void *
take(void *context, size_t bytes)
{
    return MemoryContextAllocHuge(context, bytes);
}

int64
gnnrec_training_memory(GnnPart parts[GNN_MAX_PARTS], int *n_parts, const GnnConfig *config, int64 n_users, int64 n_items,
                       int64 n_edges)
{
    GnnGraph    graph = {0};
    GnnCsr      shape = {.n = (int32) Min(n_users, PG_INT32_MAX), .n_cols = (int32) Min(n_items, PG_INT32_MAX)};
    int64       edges[GNN_MAX_RELATIONS] = {n_edges};

    gnn_graph_add_nodes(&graph, "user", shape.n);
    gnn_graph_add_nodes(&graph, "item", shape.n_cols);
    gnn_graph_add_relation(&graph, "interaction", GNNREC_USER, GNNREC_ITEM, &shape);
    return gnn_fit_estimate(parts, n_parts, &graph, edges, config, gnnrec_threads);
}

void
gnnrec_check_reading_memory(MemoryContext context, int train_memory)
{
    if (MemoryContextMemAllocated(context, true) > (Size) train_memory * 1024)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                 errmsg("reading the interactions takes more than gnnrec.train_memory (%d MB)", train_memory / 1024),
                 errhint("A superuser can raise gnnrec.train_memory; since reads fewer rows.")));
}

GnnArena
gnnrec_arena(MemoryContext context)
{
    return (GnnArena) {.take = take, .arg = context};
}
