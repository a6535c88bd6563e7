/*
 * estimate.c: what a training takes; see estimate.h.
 *
 * Two processes are one training. The worker reads; its child, a copy of it, has what was read, adds the numbers, and leaves the
 * result in memory that both share. The larger of them is what counts, as in gnnrec.run.peak_memory: most often the child. Where
 * it is the worker, while it reads many columns of features for a small model, the part that says so is the reading's.
 */
#include "postgres.h"

#include "pg/estimate.h"

#include "pg/isolate.h"

/* the resident part of a server process with nothing to do, of OpenBLAS and of OpenMP: measured, with PostgreSQL 15 on x86-64 */
#define PROCESS_MEMORY (INT64CONST(12) * 1024 * 1024)

static void
add_part(GnnPart *parts, int *n, const char *name, int64 bytes)
{
    Assert(*n < GNN_MAX_PARTS);
    parts[(*n)++] = (GnnPart) {name, bytes};
}

int64
gnnrec_estimate_training(GnnPart parts[GNN_MAX_PARTS], int *n_parts, const GnnGraph *graph,
                         const int64 n_edges[GNN_MAX_RELATIONS], GnnrecReadingMemory reading, const GnnConfig *config,
                         int threads)
{
    int64       fit = gnn_fit_estimate(parts, n_parts, graph, n_edges, config, threads);
    int64       result = gnnrec_isolate_result(graph, config);
    int64       read = Max(reading.held, reading.peak - fit - result);

    add_part(parts, n_parts, "result", result);
    add_part(parts, n_parts, "reading", read);
    add_part(parts, n_parts, "process", PROCESS_MEMORY);
    return fit + result + read + PROCESS_MEMORY;
}
