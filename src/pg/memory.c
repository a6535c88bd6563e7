/*
 * memory.c: a memory context as an arena; see memory.h.
 */
#include "postgres.h"

#include "pg/memory.h"

#include "utils/memutils.h"

static void *
take(void *context, size_t bytes)
{
    return MemoryContextAllocHuge(context, bytes);
}

GnnArena
gnnrec_arena(MemoryContext context)
{
    return (GnnArena) {.take = take, .arg = context};
}
