/*
 * arena.c: memory that is aligned, zeroed and never NULL, whoever owns it.
 *
 * Blocks of malloc are chained, so that a test (or a process that goes on) can give all of it back.
 * Large blocks ask for huge pages: propagation reads rows in no order, and with 4 kB pages a good
 * part of its time is address translation.
 */
#include "core/arena.h"

#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/mman.h>
#endif

#define ALIGNMENT 64
#define HUGE_PAGE ((size_t) 2 << 20)

typedef struct GnnMallocBlock
{
    struct GnnMallocBlock *previous;
    void       *memory;
} GnnMallocBlock;

void *
gnn_alloc(GnnArena *arena, int64_t count, size_t size)
{
    size_t      bytes;
    char       *memory;

    /* what cannot be represented fails as what cannot be had: by the arena's own rule */
    if (count < 0 || __builtin_mul_overflow((size_t) count, size, &bytes) ||
        __builtin_add_overflow(bytes, (size_t) ALIGNMENT, &bytes))
        bytes = SIZE_MAX;

    arena->used += bytes;
    if (arena->take == NULL)
        return NULL;
    memory = arena->take(arena->arg, bytes);
    memory += (ALIGNMENT - (uintptr_t) memory % ALIGNMENT) % ALIGNMENT;
    return memset(memory, 0, bytes - ALIGNMENT);
}

static void *
take_huge(size_t bytes)
{
    void       *memory = NULL;

    if (posix_memalign(&memory, HUGE_PAGE, bytes) != 0)
        return NULL;
#ifdef MADV_HUGEPAGE
    (void) madvise(memory, bytes, MADV_HUGEPAGE);   /* advice: nothing is lost where it is not taken */
#endif
    return memory;
}

static void *
take_malloc(void *arg, size_t bytes)
{
    GnnMallocArena *m = arg;
    GnnMallocBlock *block = malloc(sizeof(GnnMallocBlock));
    void       *memory = bytes >= 2 * HUGE_PAGE ? take_huge(bytes) : malloc(bytes);

    if (block == NULL || memory == NULL)
    {
        free(block);
        free(memory);
        m->on_failure(m->failure_arg, bytes);
    }
    block->previous = m->last;
    block->memory = memory;
    m->last = block;
    return memory;
}

void
gnn_arena_malloc(GnnMallocArena *m, void (*on_failure)(void *arg, size_t bytes), void *failure_arg)
{
    m->arena.take = take_malloc;
    m->arena.arg = m;
    m->arena.used = 0;
    m->last = NULL;
    m->on_failure = on_failure;
    m->failure_arg = failure_arg;
}

void
gnn_arena_free(GnnMallocArena *m)
{
    while (m->last != NULL)
    {
        GnnMallocBlock *block = m->last;

        m->last = block->previous;
        free(block->memory);
        free(block);
    }
    m->arena.used = 0;
}

void
gnn_arena_counting(GnnArena *arena)
{
    arena->take = NULL;
    arena->arg = NULL;
    arena->used = 0;
}
