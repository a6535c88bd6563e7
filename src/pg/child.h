/*
 * child.h: processes that do numbers for this one.
 *
 * A child is forked from a background worker, so that a crash, the OOM killer or a memory overrun ends one job and not every
 * backend of the server. What it has to say comes back in memory that both share, mapped before the fork.
 */
#ifndef GNNREC_PG_CHILD_H
#define GNNREC_PG_CHILD_H

#include "postgres.h"

#define GNNREC_CHILD_MESSAGE 512
#define GNNREC_MAX_CHILDREN 256

typedef struct GnnrecChildren
{
    const char *what;           /* they do: a noun for messages */
    const char *memory_hint;    /* what would take less memory */
    void       *area;           /* what we share, from gnnrec_child_area; what else the server shares is taken from them */
    char       *message;        /* there, GNNREC_CHILD_MESSAGE bytes, empty at first: why a child failed */
    bool        (*work) (void *arg);    /* runs in each of them and calls no server function; false: failed */
    void       *arg;
    int64       memory;         /* bytes of data each may take beside what this process has */
    int         nice;
    int64      *peak_memory;    /* gets the largest of them or of this process, bytes, also where one fails */
} GnnrecChildren;

/* memory, zeroed, that children share with us; munmap gives it back */
extern void *gnnrec_child_area(size_t bytes);

/*
 * Forks n of them and waits for all. poll is called some twenty times a second and may raise, which ends them. ERROR where one
 * fails: what its message says, or how it died.
 */
extern void gnnrec_children_run(GnnrecChildren *c, int n, void (*poll) (void *arg), void *arg);

/*
 * The largest resident memory of this process so far, bytes: without what it shares with others, as server processes do the
 * buffers that they have read, but with the bytes of an area of its own.
 */
extern int64 gnnrec_peak_memory(size_t area);

#endif
