/*
 * team.h: blocks of work for a team of threads: the only door to OpenMP.
 *
 * Work is cut into blocks by the data alone, never by the number of threads; a block writes what no
 * other block writes. So the bits of a result do not depend on who ran which block, or when, and
 * work may pause between any two blocks.
 */
#ifndef GNN_CORE_TEAM_H
#define GNN_CORE_TEAM_H

#include "core/types.h"

typedef struct GnnTeam
{
    int         threads;
    void        (*tick)(void *arg);     /* called on the main thread, outside parallel regions, every
                                         * GNN_TICK_SECONDS of work; may not come back; or NULL */
    void       *arg;
    double      ticked;                 /* when */
} GnnTeam;

#define GNN_TICK_SECONDS 0.1

/* threads: 0 for one a core; without OpenMP always one */
extern void gnn_team_open(GnnTeam *team, int threads, void (*tick)(void *arg), void *arg);

/* how many threads gnn_team_open uses where there is OpenMP; estimates are made where there is none */
extern int gnn_team_size(int threads);

/* block is 0 .. n_blocks - 1, thread (for scratch memory) 0 .. threads - 1 */
typedef void (*GnnWork)(void *arg, int64_t block, int thread);

extern void gnn_team_run(GnnTeam *team, int64_t n_blocks, GnnWork work, void *arg);

/* monotonic seconds */
extern double gnn_now(void);

/* number of blocks of a size that n things make */
static inline int64_t
gnn_blocks(int64_t n, int64_t size)
{
    return (n + size - 1) / size;
}

#endif
