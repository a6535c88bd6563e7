/*
 * memory.h: a memory context as the arena that core takes its memory from.
 *
 * What is taken is freed with the context and fails like every palloc: by an ERROR. Allocations of more than 1 GB are allowed.
 */
#ifndef GNNREC_PG_MEMORY_H
#define GNNREC_PG_MEMORY_H

#include "postgres.h"

#include "core/types.h"

extern GnnArena gnnrec_arena(MemoryContext context);

/* interactions are being read into the context: ERROR where that takes more than train_memory, kilobytes */
extern void gnnrec_check_reading_memory(MemoryContext context, int train_memory);

#endif
