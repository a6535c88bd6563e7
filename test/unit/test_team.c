/*
 * test_team.c: every block runs once, and ticks come on the main thread while work goes on.
 */
#include "test.h"

#include "core/team.h"

#include <omp.h>
#include <setjmp.h>

#define N 1000

typedef struct Log
{
    int         runs[N];
    int         ticks;
    bool        in_parallel;
    double      work_seconds;
    jmp_buf    *leave;
} Log;

static void
work(void *arg, int64_t block, int thread)
{
    Log        *log = arg;
    double      until = gnn_now() + log->work_seconds;

    __atomic_fetch_add(&log->runs[block], 1, __ATOMIC_RELAXED);
    while (gnn_now() < until)
        ;
}

static void
tick(void *arg)
{
    Log        *log = arg;

    log->ticks++;
    log->in_parallel |= omp_in_parallel();
    if (log->leave != NULL)
        longjmp(*log->leave, 1);
}

static void
every_block_once(void)
{
    for (int threads = 1; threads <= 4; threads++)
        for (int64_t n = 0; n <= N; n += n < 10 ? 1 : 330)
        {
            Log         log = {0};
            GnnTeam     team;

            gnn_team_open(&team, threads, tick, &log);
            gnn_team_run(&team, n, work, &log);
            for (int64_t b = 0; b < N; b++)
                CHECK(log.runs[b] == (b < n));
        }
}

static void
ticks(void)
{
    Log         log = {.work_seconds = 0.002};
    GnnTeam     team;
    double      start = gnn_now();
    double      seconds;

    gnn_team_open(&team, 2, tick, &log);
    gnn_team_run(&team, 400, work, &log);
    seconds = gnn_now() - start;
    CHECK_SAY(log.ticks >= 2 && log.ticks <= seconds / GNN_TICK_SECONDS, "%d ticks in %g seconds", log.ticks, seconds);
    CHECK(!log.in_parallel);
    for (int64_t b = 0; b < 400; b++)
        CHECK(log.runs[b] == 1);
}

static void
tick_may_leave(void)
{
    static Log  log;
    GnnTeam     team;
    jmp_buf     here;

    log = (Log) {.work_seconds = 0.002, .leave = &here};
    gnn_team_open(&team, 2, tick, &log);
    if (setjmp(here) == 0)
    {
        gnn_team_run(&team, N, work, &log);
        CHECK(false);
    }
    CHECK(log.ticks == 1);
    log.leave = NULL;
    gnn_team_run(&team, 10, work, &log);
}

static const Test tests[] = {
    {"every block runs once", every_block_once},
    {"ticks come outside of parallel regions", ticks},
    {"a tick may not come back", tick_may_leave},
    {0},
};

const Subject team_subject = {"team", tests};
