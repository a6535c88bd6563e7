/*
 * memory.c: the memory of trainings; see memory.h.
 */
#include "postgres.h"

#include "pg/memory.h"

#include "utils/memutils.h"

static void *
take(void *context, size_t bytes)
{
    return MemoryContextAllocHuge(context, bytes);
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
