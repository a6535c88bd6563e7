/*
 * user_sample.c: one walk over all users draws as many as are wanted, each with the same chance and none twice.
 */
#include "train/user_sample.h"

#include "core/rng.h"

void
gnn_user_sample_allocate(GnnUserSample *sample, GnnArena *arena, const GnnTask *task)
{
    int64_t     wanted = task->config->users_per_step;

    *sample = (GnnUserSample) {.limit = wanted > 0 && wanted < task->users.n ? wanted : task->users.n};
    sample->user = gnn_alloc(arena, sample->limit, sizeof(int32_t));
}

static bool
is_active(const GnnTask *task, int32_t user)
{
    return task->by_user.ptr[user + 1] > task->by_user.ptr[user];
}

void
gnn_user_sample_open(GnnUserSample *sample, const GnnTask *task)
{
    sample->n_active = 0;
    for (int32_t u = 0; u < task->users.n; u++)
        sample->n_active += is_active(task, u);
}

void
gnn_user_sample_draw(GnnUserSample *sample, const GnnTask *task, int64_t step)
{
    GnnRng      rng = gnn_rng(task->config->seed, GNN_STREAM_USERS, (uint64_t) step);
    int64_t     wanted = sample->limit < sample->n_active ? sample->limit : sample->n_active;
    int64_t     left = sample->n_active;

    sample->n = 0;
    sample->factor = wanted > 0 ? (double) sample->n_active / (double) wanted : 0;
    /* each of those left is taken with the chance that just fills the number wanted */
    for (int32_t u = 0; u < task->users.n && sample->n < wanted; u++)
        if (is_active(task, u) && (int64_t) gnn_rng_below(&rng, (uint64_t) left--) < wanted - sample->n)
            sample->user[sample->n++] = u;
}
