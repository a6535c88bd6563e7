/*
 * arena.h: an arena of malloc'ed memory, for where there is no server: the training child and tests.
 *
 * It frees as a whole. A counting arena takes nothing at all: `gnn_alloc` on it adds up what would
 * be taken and returns NULL, so an estimate runs the very code that allocates, on shapes alone.
 */
#ifndef GNN_CORE_ARENA_H
#define GNN_CORE_ARENA_H

#include "core/types.h"

typedef struct GnnMallocArena
{
    GnnArena    arena;          /* arena.arg points back to this struct: do not copy it */
    struct GnnMallocBlock *last;
    void        (*on_failure)(void *arg, size_t bytes);     /* must not return */
    void       *failure_arg;
} GnnMallocArena;

extern void gnn_arena_malloc(GnnMallocArena *m, void (*on_failure)(void *arg, size_t bytes), void *failure_arg);
extern void gnn_arena_free(GnnMallocArena *m);

/* an arena that counts in `used` and hands out NULL */
extern void gnn_arena_counting(GnnArena *arena);

#endif
