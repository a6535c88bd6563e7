/*
 * memory.h: the memory of trainings: what reading may take, and a memory context as core's arena.
 */
#ifndef GNNREC_PG_MEMORY_H
#define GNNREC_PG_MEMORY_H

#include "postgres.h"

#include "core/types.h"

/* what is taken is freed with the context and fails like every palloc: by an ERROR; more than 1 GB at once is allowed */
extern GnnArena gnnrec_arena(MemoryContext context);

/* interactions are being read into the context: ERROR where that takes more than train_memory, kilobytes */
extern void gnnrec_check_reading_memory(MemoryContext context, int train_memory);

#endif
