/*
 * team.c: threads take blocks from one counter until it runs out or a tick is due.
 *
 * A parallel region ends before every tick, because a tick may longjmp and that must not cross one.
 */
#include "core/team.h"

#include <time.h>
#include <unistd.h>
#ifdef _OPENMP
#include <omp.h>
#endif

double
gnn_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

int
gnn_team_size(int threads)
{
    if (threads > 0)
        return threads;
#ifdef _OPENMP
    return omp_get_num_procs();
#else
    return (int) sysconf(_SC_NPROCESSORS_ONLN);
#endif
}

void
gnn_team_open(GnnTeam *team, int threads, void (*tick)(void *arg), void *arg)
{
#ifdef _OPENMP
    team->threads = gnn_team_size(threads);
#else
    team->threads = 1;
#endif
    team->tick = tick;
    team->arg = arg;
    team->ticked = gnn_now();
}

/* one thread's share: *next is the counter all share */
static void
take_blocks(int64_t *next, int64_t n_blocks, double until, GnnWork work, void *arg, int thread)
{
    do
    {
        int64_t     block = __atomic_fetch_add(next, 1, __ATOMIC_RELAXED);

        if (block >= n_blocks)
            return;
        work(arg, block, thread);
    } while (gnn_now() < until);
}

void
gnn_team_run(GnnTeam *team, int64_t n_blocks, GnnWork work, void *arg)
{
    int64_t     next = 0;

    while (next < n_blocks)
    {
        double      until = team->ticked + GNN_TICK_SECONDS;

#ifdef _OPENMP
#pragma omp parallel num_threads(team->threads) if (n_blocks - next > 1)
        take_blocks(&next, n_blocks, until, work, arg, omp_get_thread_num());
#else
        take_blocks(&next, n_blocks, until, work, arg, 0);
#endif
        if (gnn_now() >= until)
        {
            if (team->tick != NULL)
                team->tick(team->arg);
            team->ticked = gnn_now();
        }
    }
}
