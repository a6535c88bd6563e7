/*
 * test_adam.c: the optimiser against its formulas, written out.
 */
#include "test.h"

#include "train/adam.h"
#include "train/decay.h"

#include <math.h>
#include <string.h>

#define N 40000                 /* more than a block */

/* five steps, with what AdamW takes off a value and what clipping leaves of the gradient of a step */
static void
check_steps(double decay, double clip)
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
    adam.weight_decay = decay;
    adam.clip_norm = clip;
    for (int i = 0; i < N; i++)
        x[i] = value[i] = (real) gnn_rng_normal(&rng);
    for (int t = 1; t <= 5; t++)
    {
        double      sum = 0;
        double      share;

        for (int i = 0; i < N; i++)
        {
            grad[i] = i % 7 == 0 ? 0 : (real) (1e-3 * t * gnn_rng_normal(&rng));
            sum += (double) grad[i] * grad[i];
        }
        share = clip > 0 && sqrt(sum) > clip ? clip / sqrt(sum) : 1;
        CHECK_SAY(clip == 0 || (share == 1) == (t < 3), "step %d is cut to %g", t, share);
        for (int i = 0; i < N; i++)
        {
            m[i] = 0.9 * m[i] + 0.1 * share * grad[i];
            v[i] = 0.999 * v[i] + 0.001 * share * share * grad[i] * grad[i];
            x[i] -= 0.03 * (m[i] / (1 - pow(0.9, t))) / (sqrt(v[i] / (1 - pow(0.999, t))) + 1e-4) + 0.03 * decay * x[i];
        }
        gnn_adam_step(&adam, &team, value, grad);
    }
    for (int i = 0; i < N; i++)
        CHECK_NEAR(value[i], x[i], sizeof(real) == 8 ? 1e-12 : 1e-5);
}

#define ROWS 700
#define DIM 5

/* all rows at every step, in turn: the same as all at once; then rows that sit steps out, each as if it were alone */
static void
rows_in_turn(void)
{
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    real       *value = gnn_alloc(arena, ROWS * DIM, sizeof(real));
    real       *other = gnn_alloc(arena, ROWS * DIM, sizeof(real));
    real       *alone = gnn_alloc(arena, DIM, sizeof(real));
    real       *grad = gnn_alloc(arena, ROWS * DIM, sizeof(real));
    int32_t     all[ROWS];
    GnnAdam     dense;
    GnnAdam     one;
    GnnRowAdam  rows;
    GnnTeam     team;

    gnn_team_open(&team, 2, NULL, NULL);
    gnn_adam_allocate(&dense, arena, ROWS * DIM, 0.03, 1e-4);
    gnn_adam_allocate(&one, arena, DIM, 0.03, 1e-4);
    gnn_row_adam_allocate(&rows, arena, ROWS, DIM, 0.03);
    rows.adam.epsilon = 1e-4;
    for (int i = 0; i < ROWS; i++)
        all[i] = i;
    for (int t = 0; t < 8; t++)
    {
        for (int i = 0; i < ROWS * DIM; i++)
            grad[i] = (real) (1e-3 * gnn_rng_normal(&rng));
        if (t < 4)
        {
            gnn_adam_step(&dense, &team, other, grad);
            gnn_row_adam_step(&rows, &team, value, all, ROWS, grad);
            gnn_adam_step(&one, &team, alone, grad + 7 * DIM);
        }
        else if (t % 2)
        {
            gnn_row_adam_step(&rows, &team, value, (int32_t[]) {3, 7, 600}, 3, grad);
            gnn_adam_step(&one, &team, alone, grad + DIM);
        }
        else
            gnn_row_adam_step(&rows, &team, value, (int32_t[]) {3, 600}, 2, grad);
        if (t == 3)
            CHECK(memcmp(value, other, ROWS * DIM * sizeof(real)) == 0);
    }
    CHECK(memcmp(value + 7 * DIM, alone, DIM * sizeof(real)) == 0);
    CHECK(memcmp(value + 8 * DIM, other + 8 * DIM, (600 - 8) * DIM * sizeof(real)) == 0);
    CHECK(memcmp(value + 3 * DIM, other + 3 * DIM, DIM * sizeof(real)) != 0);
}

static void
against_formulas(void)
{
    check_steps(0, 0);
}

static void
decay(void)
{
    check_steps(0.5, 0);
}

/* a gradient of t 1e-3 in 34286 places is t 0.185 long: the first two of the five are left alone */
static void
clipping(void)
{
    check_steps(0, 0.45);
    check_steps(0.5, 0.45);
}

/* a gradient within the norm: not a bit differs from no norm at all */
static void
a_wide_norm_does_not_show(void)
{
    real        value[2][100] = {{0}};
    GnnTeam     team;

    gnn_team_open(&team, 1, NULL, NULL);
    for (int clipped = 0; clipped < 2; clipped++)
    {
        GnnRng      rng = gnn_rng(2, GNN_STREAM_INIT, 0);
        GnnAdam     adam;

        gnn_adam_allocate(&adam, arena, 100, 0.1, 1e-8);
        adam.clip_norm = clipped ? 1000 : 0;
        for (int t = 0; t < 3; t++)
        {
            real        grad[100];

            for (int i = 0; i < 100; i++)
                grad[i] = (real) gnn_rng_normal(&rng);
            gnn_adam_step(&adam, &team, value[clipped], grad);
        }
    }
    CHECK(value[0][7] != 0 && memcmp(value[0], value[1], sizeof(value[0])) == 0);
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
    {"rows in turn are as if they were alone", rows_in_turn},
    {"decay against the formulas", decay},
    {"a long gradient is brought down to the norm, a short one left alone", clipping},
    {"a norm that nothing exceeds does not show", a_wide_norm_does_not_show},
    {"a minimum is found whatever the gradient's size", finds_a_minimum},
    {0},
};

const Subject adam_subject = {"adam", tests};
