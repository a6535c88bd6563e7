/*
 * test_rng.c: numbers depend on seed, stream and counter, and are spread as they should be.
 */
#include "test.h"

#include <math.h>

#define N 200000

static void
moments(void)
{
    GnnRng      rng = gnn_rng(7, GNN_STREAM_INIT, 0);
    double      sum = 0, square = 0, cube = 0, fourth = 0, mean = 0;

    for (int i = 0; i < N; i++)
    {
        double      x = gnn_rng_normal(&rng);
        double      u = gnn_rng_uniform(&rng);

        CHECK(u >= 0 && u < 1);
        sum += x;
        square += x * x;
        cube += x * x * x;
        fourth += x * x * x * x;
        mean += u;
    }
    CHECK_NEAR(sum / N, 0, 0.01);
    CHECK_NEAR(square / N, 1, 0.02);
    CHECK_NEAR(cube / N, 0, 0.05);
    CHECK_NEAR(fourth / N, 3, 0.15);
    CHECK_NEAR(mean / N, 0.5, 0.005);
}

static void
bounded(void)
{
    GnnRng      rng = gnn_rng(3, GNN_STREAM_INIT, 0);
    int         count[7] = {0};

    for (int i = 0; i < N; i++)
    {
        uint64_t    x = gnn_rng_below(&rng, 7);

        CHECK(x < 7);
        count[x % 7]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK_NEAR(count[i], N / 7.0, 5 * sqrt(N / 7.0));
}

static void
counter(void)
{
    GnnRng      a = gnn_rng(5, GNN_STREAM_INIT, 9);
    GnnRng      b = gnn_rng(5, GNN_STREAM_INIT, 9);

    for (int i = 0; i < 100; i++)
        gnn_rng_next(&a);
    b.counter = 100;
    CHECK(gnn_rng_next(&a) == gnn_rng_next(&b));
}

static void
streams(void)
{
    GnnRng      rng[] = {gnn_rng(5, GNN_STREAM_INIT, 1), gnn_rng(5, GNN_STREAM_INIT, 2),
                         gnn_rng(5, GNN_STREAM_DROPOUT, 1), gnn_rng(6, GNN_STREAM_INIT, 1)};
    double      product[4][4] = {0};

    for (int i = 0; i < N; i++)
    {
        double      x[4];

        for (int s = 0; s < 4; s++)
            x[s] = gnn_rng_uniform(&rng[s]) - 0.5;
        for (int s = 0; s < 4; s++)
            for (int t = 0; t < s; t++)
                product[s][t] += x[s] * x[t];
    }
    for (int s = 0; s < 4; s++)
        for (int t = 0; t < s; t++)
            CHECK_NEAR(product[s][t] / N, 0, 5.0 / 12 / sqrt(N));
}

static const Test tests[] = {
    {"moments of the uniform and the normal", moments},
    {"bounded numbers are equally likely", bounded},
    {"the counter jumps", counter},
    {"streams are not correlated", streams},
    {0},
};

const Subject rng_subject = {"rng", tests};
