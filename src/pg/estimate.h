/*
 * estimate.h: what a training takes, all of it: the numbers, as train/fit.h has them, and what the server's side adds.
 */
#ifndef GNNREC_PG_ESTIMATE_H
#define GNNREC_PG_ESTIMATE_H

#include "postgres.h"

#include "pg/reading.h"
#include "train/fit.h"

/*
 * In bytes of resident memory, as gnnrec.run.peak_memory has it; returns the total, the sum of the parts: those of
 * gnn_fit_estimate, 'result', 'reading', 'process'. Asks for what gnn_fit_estimate asks for.
 */
extern int64 gnnrec_estimate_training(GnnPart parts[GNN_MAX_PARTS], int *n_parts, const GnnGraph *graph,
                                      const int64 n_edges[GNN_MAX_RELATIONS], GnnrecReadingMemory reading,
                                      const GnnConfig *config, int threads);

#endif
