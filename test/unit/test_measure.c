/*
 * test_measure.c: what training measures against the slow way.
 */
#include "test.h"

#include "core/topk.h"
#include "train/holdout.h"
#include "train/measure.h"

#include <math.h>

#define USERS 150
#define ITEMS 90
#define DIM 6

static void
against_the_slow_way(void)
{
    GnnCsr      a, train, held;
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    float      *vectors = gnn_alloc(arena, (USERS + ITEMS) * DIM, sizeof(float));
    GnnMeasure  m;
    GnnTeam     team;
    double      mean[GNN_N_METRICS];
    double      sum[GNN_N_METRICS] = {0};
    int         n = 0;

    random_csr(&a, USERS, ITEMS, 900, false, 1);
    a.val = NULL;
    gnn_holdout_split(&train, &held, arena, &a, 0.3, 1);
    for (int i = 0; i < (USERS + ITEMS) * DIM; i++)
        vectors[i] = (float) gnn_rng_normal(&rng);
    gnn_team_open(&team, 2, NULL, NULL);
    gnn_measure_allocate(&m, arena, USERS, DIM);
    gnn_measure_open(&m, &held, &train, 1);
    gnn_measure_run(mean, &m, &team, vectors, vectors + USERS * DIM);

    for (int32_t u = 0; u < USERS; u++)
    {
        int64_t     n_truth = held.ptr[u + 1] - held.ptr[u];
        GnnRows     rows = {.rows = vectors + USERS * DIM, .n = ITEMS, .dim = DIM};
        GnnHit      out[ITEMS];
        bool        hit[ITEMS];
        int32_t     listed = 0;
        int32_t     n_out = gnn_topk(out, ITEMS, &rows, vectors + u * DIM, NULL, 0);

        if (n_truth == 0)
            continue;
        for (int32_t r = 0; r < n_out; r++)
            if (!gnn_csr_has(&train, u, out[r].row))
                hit[listed++] = gnn_csr_has(&held, u, out[r].row);
        gnn_metric_add(sum, hit, listed, GNN_MEASURE_K, n_truth);
        n++;
    }
    CHECK(m.n_users == n && n > USERS / 2);
    for (int i = 0; i < GNN_N_METRICS; i++)
        CHECK_NEAR(mean[i], sum[i] / n, 1e-12);
}

/* more users than may be ranked: a sample, of the right size, ascending, and not just the first */
static void
sampled(void)
{
    GnnCsr      held;
    GnnMeasure  m;
    int32_t     half = 0;

    random_csr(&held, 3000, 7, 9000, false, 1);
    held.n_cols = 1000000;      /* so many items that ranking them for all would take too long */
    gnn_measure_allocate(&m, arena, 3000, DIM);
    gnn_measure_open(&m, &held, &held, 1);
    CHECK(m.n_users == 512);
    for (int32_t i = 0; i < m.n_users; i++)
    {
        CHECK(held.ptr[m.users[i] + 1] > held.ptr[m.users[i]]);
        CHECK(i == 0 || m.users[i - 1] < m.users[i]);
        half += m.users[i] < 1500;
    }
    CHECK_NEAR(half, 256, 60);
}

static void
nobody(void)
{
    GnnCsr      held;
    GnnMeasure  m;
    GnnTeam     team;
    double      mean[GNN_N_METRICS];
    float       none[DIM * 10] = {0};

    random_csr(&held, 5, 5, 0, false, 1);
    gnn_team_open(&team, 1, NULL, NULL);
    gnn_measure_allocate(&m, arena, 5, DIM);
    gnn_measure_open(&m, &held, &held, 1);
    gnn_measure_run(mean, &m, &team, none, none);
    CHECK(isnan(mean[GNN_NDCG]));
}

static const Test tests[] = {
    {"means against the slow way", against_the_slow_way},
    {"a sample where there are many", sampled},
    {"nobody to measure", nobody},
    {0},
};

const Subject measure_subject = {"measure", tests};
