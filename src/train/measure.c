/*
 * measure.c: the same top-k as serving, over blocks of users.
 */
#include "train/measure.h"

#include "core/rng.h"
#include "core/topk.h"

#include <math.h>
#include <string.h>

#define BLOCK 64                /* users of a block */

/* scores a measurement may compute: below a second on one core at dim 64 */
#define MAX_SCORES INT64_C(200000000)
#define MIN_USERS 512

void
gnn_measure_allocate(GnnMeasure *m, GnnArena *arena, int32_t n_users, int64_t dim)
{
    *m = (GnnMeasure) {.dim = dim};
    m->users = gnn_alloc(arena, n_users, sizeof(int32_t));
    m->sums = gnn_alloc(arena, gnn_blocks(n_users, BLOCK) * GNN_N_METRICS, sizeof(double));
}

void
gnn_measure_open(GnnMeasure *m, const GnnCsr *held, const GnnCsr *known, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_MEASURE, 0);
    int64_t     wanted = MAX_SCORES / (held->n_cols > 0 ? held->n_cols : 1);
    int64_t     left = 0;

    m->held = held;
    m->known = known;
    m->n_users = 0;
    if (wanted < MIN_USERS)
        wanted = MIN_USERS;
    for (int32_t u = 0; u < held->n; u++)
        left += held->ptr[u + 1] > held->ptr[u];
    /* each of those left is taken with the chance that just fills the number wanted */
    for (int32_t u = 0; u < held->n; u++)
        if (held->ptr[u + 1] > held->ptr[u] && (int64_t) gnn_rng_below(&rng, (uint64_t) left--) < wanted - m->n_users)
            m->users[m->n_users++] = u;
}

typedef struct Work
{
    const GnnMeasure *m;
    const float *users;
    GnnRows     items;
} Work;

static void
add_user(double *sum, const GnnCsr *held, int32_t user, const GnnHit *hits, int32_t n_hits)
{
    bool        hit[GNN_MEASURE_K];

    for (int32_t r = 0; r < n_hits; r++)
        hit[r] = gnn_csr_has(held, user, hits[r].row);
    gnn_metric_add(sum, hit, n_hits, GNN_MEASURE_K, held->ptr[user + 1] - held->ptr[user]);
}

static void
measure_block(void *arg, int64_t block, int thread)
{
    const Work *w = arg;
    const GnnMeasure *m = w->m;
    const int32_t *users = m->users + block * BLOCK;
    int32_t     n = m->n_users - block * BLOCK < BLOCK ? (int32_t) (m->n_users - block * BLOCK) : BLOCK;
    double     *sum = m->sums + block * GNN_N_METRICS;
    float       queries[BLOCK * GNN_MAX_DIM] = {0};
    const int32_t *skip[BLOCK] = {0};
    int64_t     n_skip[BLOCK] = {0};
    GnnHit      hits[BLOCK * GNN_MEASURE_K];
    int32_t     n_hits[BLOCK];

    for (int32_t q = 0; q < n; q++)
    {
        const int64_t *ptr = m->known->ptr + users[q];

        memcpy(queries + q * m->dim, w->users + users[q] * m->dim, m->dim * sizeof(float));
        skip[q] = m->known->idx + ptr[0];
        n_skip[q] = ptr[1] - ptr[0];
    }
    gnn_topk_many(hits, n_hits, GNN_MEASURE_K, &w->items, queries, n, skip, n_skip);
    memset(sum, 0, GNN_N_METRICS * sizeof(double));
    for (int32_t q = 0; q < n; q++)
        add_user(sum, m->held, users[q], hits + q * GNN_MEASURE_K, n_hits[q]);
}

void
gnn_measure_run(double mean[GNN_N_METRICS], const GnnMeasure *m, GnnTeam *team, const float *users, const float *items)
{
    Work        work = {.m = m, .users = users,
                        .items = {.rows = items, .n = m->held->n_cols, .dim = (int32_t) m->dim}};
    int64_t     n_blocks = gnn_blocks(m->n_users, BLOCK);

    gnn_team_run(team, n_blocks, measure_block, &work);
    for (int i = 0; i < GNN_N_METRICS; i++)
    {
        mean[i] = 0;
        for (int64_t b = 0; b < n_blocks; b++)
            mean[i] += m->sums[b * GNN_N_METRICS + i];
        mean[i] = m->n_users > 0 ? mean[i] / m->n_users : NAN;
    }
}
