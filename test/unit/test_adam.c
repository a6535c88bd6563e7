/*
 * test_adam.c: the optimiser against its formulas, written out.
 */
#include "test.h"

#include "train/adam.h"
#include "train/decay.h"

#include <math.h>

#define N 40000                 /* more than a block */

static void
against_formulas(void)
{
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    double     *x = gnn_alloc(arena, N, sizeof(double));
    double     *m = gnn_alloc(arena, N, sizeof(double));
    double     *v = gnn_alloc(arena, N, sizeof(double));
    real       *value = gnn_alloc(arena, N, sizeof(real));
    real       *grad = gnn_alloc(arena, N, sizeof(real));
    GnnAdam     adam;
    GnnTeam     team;

    gnn_team_open(&team, 2, NULL, NULL);
    gnn_adam_allocate(&adam, arena, N, 0.03, 1e-4);
    for (int i = 0; i < N; i++)
        x[i] = value[i] = (real) gnn_rng_normal(&rng);
    for (int t = 1; t <= 5; t++)
    {
        for (int i = 0; i < N; i++)
        {
            grad[i] = i % 7 == 0 ? 0 : (real) (1e-3 * gnn_rng_normal(&rng));
            m[i] = 0.9 * m[i] + 0.1 * grad[i];
            v[i] = 0.999 * v[i] + 0.001 * grad[i] * grad[i];
            x[i] -= 0.03 * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-4);
        }
        gnn_adam_step(&adam, &team, value, grad);
    }
    for (int i = 0; i < N; i++)
        CHECK_NEAR(value[i], x[i], sizeof(real) == 8 ? 1e-12 : 1e-5);
}

static void
finds_a_minimum(void)
{
    static const double goal[] = {3, -1, 0.5};
    real       *value = gnn_alloc(arena, 3, sizeof(real));
    real       *grad = gnn_alloc(arena, 3, sizeof(real));
    GnnAdam     adam;
    GnnTeam     team;

    gnn_team_open(&team, 1, NULL, NULL);
    gnn_adam_allocate(&adam, arena, 3, 0.05, 1e-8);
    for (int t = 0; t < 1000; t++)
    {
        for (int i = 0; i < 3; i++)
            grad[i] = (real) (1e-5 * (value[i] - goal[i]));
        gnn_adam_step(&adam, &team, value, grad);
    }
    for (int i = 0; i < 3; i++)
        CHECK_NEAR(value[i], goal[i], 0.02);
}

static const Test tests[] = {
    {"steps against the formulas", against_formulas},
    {"a minimum is found whatever the gradient's size", finds_a_minimum},
    {0},
};

const Subject adam_subject = {"adam", tests};
