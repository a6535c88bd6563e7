/*
 * test_scatter.c: contributions arrive, all of them, and in their order.
 */
#include "test.h"

#include "core/scatter.h"

#include <math.h>

#define N 5000
#define FROM 11
#define DIM 5

static void
scatter(int32_t n_to, bool with_source, bool with_coef)
{
    GnnRng      rng = gnn_rng(n_to, GNN_STREAM_INIT, 0);
    real       *to = gnn_alloc(arena, n_to * DIM, sizeof(real));
    real       *should = gnn_alloc(arena, n_to * DIM, sizeof(real));
    real       *from = gnn_alloc(arena, N * DIM, sizeof(real));
    int32_t    *target = gnn_alloc(arena, N, sizeof(int32_t));
    int32_t    *source = gnn_alloc(arena, N, sizeof(int32_t));
    real       *coef = gnn_alloc(arena, N, sizeof(real));
    int32_t    *order = gnn_alloc(arena, N, sizeof(int32_t));
    GnnScatter  s = {.to = to, .n_to = n_to, .from = from, .dim = DIM, .n = N, .target = target,
                     .source = with_source ? source : NULL, .coef = with_coef ? coef : NULL, .order = order};
    GnnTeam     team;

    for (int i = 0; i < N * DIM; i++)
        from[i] = (real) gnn_rng_normal(&rng);
    for (int i = 0; i < n_to * DIM; i++)
        to[i] = should[i] = 1;
    for (int c = 0; c < N; c++)
    {
        target[c] = (int32_t) gnn_rng_below(&rng, n_to);
        source[c] = (int32_t) gnn_rng_below(&rng, FROM);
        coef[c] = (real) gnn_rng_normal(&rng);
        for (int i = 0; i < DIM; i++)
            should[target[c] * DIM + i] += (with_coef ? coef[c] : 1) * from[(with_source ? source[c] : c) * DIM + i];
    }
    gnn_team_open(&team, 3, NULL, NULL);
    gnn_scatter_run(&team, &s);
    for (int i = 0; i < n_to * DIM; i++)
        CHECK_NEAR(to[i], should[i], 1e-5 * (1 + fabs(should[i])));
}

static void
all_arrive(void)
{
    static const int32_t sizes[] = {1, 2, 63, 64, 65, 1000};

    for (int i = 0; i < 6; i++)
        for (int with = 0; with < 4; with++)
            scatter(sizes[i], with & 1, with & 2);
}

static const Test tests[] = {
    {"all contributions arrive", all_arrive},
    {0},
};

const Subject scatter_subject = {"scatter", tests};
