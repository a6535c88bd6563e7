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

#endif
