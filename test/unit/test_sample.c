/*
 * test_sample.c: items are drawn as often as they weigh.
 */
#include "test.h"

#include "train/sample.h"

#include <math.h>

#define DRAWS 200000

static void
check_frequencies(const double *weight, int32_t n, int64_t seed)
{
    GnnAlias    alias;
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_NEGATIVES, 0);
    int64_t    *count = gnn_alloc(arena, n, sizeof(int64_t));
    double      sum = 0;
    double      chi = 0;
    int         freedom = -1;

    gnn_alias_allocate(&alias, arena, n);
    for (int32_t i = 0; i < n; i++)
        sum += alias.weight[i] = weight[i];
    gnn_alias_fill(&alias);
    for (int i = 0; i < DRAWS; i++)
    {
        int32_t     item = gnn_alias_draw(&alias, &rng);

        CHECK(item >= 0 && item < n);
        count[item]++;
    }
    for (int32_t i = 0; i < n; i++)
    {
        double      expected = DRAWS * weight[i] / sum;

        CHECK(expected > 0 || count[i] == 0);
        if (expected < 5)
            continue;
        chi += (count[i] - expected) * (count[i] - expected) / expected;
        freedom++;
    }
    /* five deviations above the mean of chi-square */
    CHECK_SAY(chi <= freedom + 5 * sqrt(2.0 * freedom + 1), "chi-square %g at %d degrees of freedom", chi, freedom);
}

static void
frequencies(void)
{
    double      weight[1000];

    for (int i = 0; i < 1000; i++)
        weight[i] = 1;
    check_frequencies(weight, 1000, 1);
    check_frequencies(weight, 1, 2);
    for (int i = 0; i < 1000; i++)
        weight[i] = pow(i + 1, -0.7);
    check_frequencies(weight, 1000, 3);
    for (int i = 0; i < 1000; i++)
        weight[i] = i % 3 == 0 ? 0 : i;
    check_frequencies(weight, 1000, 4);
    for (int i = 0; i < 1000; i++)
        weight[i] = i == 500 ? 1e30 : i % 2 ? 1e29 : 0;
    check_frequencies(weight, 1000, 5);
    for (int i = 0; i < 1000; i++)
        weight[i] = i == 700 ? 1e-30 : 0;
    check_frequencies(weight, 1000, 6);
}

/* what weighs nothing is never drawn: not even by a bit of rounding, so look at the table */
static void
nothing_is_never_drawn(void)
{
    for (int seed = 0; seed < 300; seed++)
    {
        GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
        bool        zero[60];
        GnnAlias    alias;

        gnn_alias_allocate(&alias, arena, 60);
        for (int i = 0; i < 60; i++)
        {
            zero[i] = i > 0 && (i > 50 || gnn_rng_below(&rng, 3) == 0);
            alias.weight[i] = zero[i] ? 0 : gnn_rng_uniform(&rng) + 1e-3;
        }
        gnn_alias_fill(&alias);
        for (int i = 0; i < 60; i++)
        {
            CHECK(!zero[i] || (alias.keep[i] == 0 && !zero[alias.other[i]]));
            CHECK(alias.keep[i] >= 1 || !zero[alias.other[i]]);
        }
    }
}

static const Test tests[] = {
    {"draws are as frequent as weights", frequencies},
    {"what weighs nothing is never drawn", nothing_is_never_drawn},
    {0},
};

const Subject sample_subject = {"sample", tests};
