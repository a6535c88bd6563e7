/*
 * types.h: the words every layer shares: a real number, an arena, a tick.
 *
 * `real` is float in the product. The unit tests compile core, model and train with
 * -DGNN_DOUBLE, because finite differences of a float hide a 3 % bug and those of a double
 * show it seven orders above the noise.
 */
#ifndef GNN_CORE_TYPES_H
#define GNN_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef GNN_DOUBLE
typedef double real;
#else
typedef float real;
#endif

/* what leaves gnnrec_train.so, the library with BLAS, is marked so; everything else is hidden, and all of it in gnnrec.so */
#ifdef GNN_BLAS
#define GNN_EXPORT __attribute__((visibility("default")))
#else
#define GNN_EXPORT
#endif

/* the longest row there is in training: such a row fits on the stack */
#define GNN_MAX_DIM 1024
#define GNN_MAX_HEADS 64        /* of attention */

/*
 * Memory that never returns NULL and is freed as a whole by its owner: a MemoryContext in the
 * server, malloc that ends the process in the training child, malloc that aborts in tests.
 * `take` returns memory of no particular alignment or content; it does not come back on failure.
 */
typedef struct GnnArena
{
    void       *(*take)(void *arg, size_t bytes);
    void       *arg;
    size_t      used;           /* bytes handed out so far */
} GnnArena;

/* count * size bytes, 64-byte aligned, zeroed; the product is checked for overflow */
extern void *gnn_alloc(GnnArena *arena, int64_t count, size_t size);

#endif
