/*
 * memory.h: the memory of trainings: what they would take, what reading may take, and a memory context as core's arena.
 */
#ifndef GNNREC_PG_MEMORY_H
#define GNNREC_PG_MEMORY_H

#include "postgres.h"

#include "core/types.h"
#include "train/fit.h"

/* what is taken is freed with the context and fails like every palloc: by an ERROR; more than 1 GB at once is allowed */
extern GnnArena gnnrec_arena(MemoryContext context);

/* the parts of the memory that a training of so many users, items and edges would take, in bytes; their sum */
extern int64 gnnrec_training_memory(GnnPart parts[GNN_MAX_PARTS], int *n_parts, const GnnConfig *config, int64 n_users,
                                    int64 n_items, int64 n_edges);

/* interactions are being read into the context: ERROR where that takes more than train_memory, kilobytes */
extern void gnnrec_check_reading_memory(MemoryContext context, int train_memory);

#endif
