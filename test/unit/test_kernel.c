/*
 * test_kernel.c: the inner loops against loops that anybody would write, and BLAS against plain loops.
 */
#include "test.h"

#include "core/blas.h"
#include "core/kernel.h"

#include <math.h>

#ifdef GNN_DOUBLE
#define TOLERANCE 1e-13
#else
#define TOLERANCE 2e-5
#endif

static const int64_t sizes[] = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 63, 64, 65, 100, 128, 200};
#define N_SIZES ((int) (sizeof(sizes) / sizeof(sizes[0])))

static real *
random_reals(int64_t n, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    real       *x = gnn_alloc(arena, n, sizeof(real));

    for (int64_t i = 0; i < n; i++)
        x[i] = (real) gnn_rng_normal(&rng);
    return x;
}

static void
gather(void)
{
    static const int32_t idx[] = {3, 0, 4, 4, 1, 2, 9, 8, 7, 5, 6, 0, 3};
    static const float w[] = {1, -2, 0.5f, 3, 1, 1, 0, 7, 2, 2, 1, -1, 0.25f};

    for (int s = 0; s < N_SIZES; s++)
        for (int64_t n = 0; n <= 13; n++)
        {
            int64_t     dim = sizes[s];
            real       *x = random_reals(10 * dim, s);
            real       *y = random_reals(dim, 1);
            real       *y1 = random_reals(dim, 1);

            gnn_gather_rows(y, idx, w, n, 0.5, x, dim);
            gnn_gather_rows(y1, idx, NULL, n, 3, x, dim);
            for (int64_t c = 0; c < dim; c++)
            {
                double      sum = 0;
                double      sum1 = 0;

                for (int64_t e = 0; e < n; e++)
                {
                    sum += 0.5 * w[e] * x[idx[e] * dim + c];
                    sum1 += 3 * x[idx[e] * dim + c];
                }
                CHECK_NEAR(y[c], sum, 10 * TOLERANCE);
                CHECK_NEAR(y1[c], sum1, 10 * TOLERANCE);
            }
        }
}

static void
vectors(void)
{
    for (int s = 0; s < N_SIZES; s++)
    {
        int64_t     n = sizes[s];
        real       *x = random_reals(n, 1);
        real       *y = random_reals(n, 2);
        real       *z = random_reals(n, 2);
        double      sum = 0;

        for (int64_t i = 0; i < n; i++)
            sum += (double) x[i] * y[i];
        CHECK_NEAR(gnn_inner(x, y, n), sum, 10 * TOLERANCE);
        gnn_add_scaled(z, 3, x, n);
        gnn_scale(z, 2, n);
        for (int64_t i = 0; i < n; i++)
            CHECK_NEAR(z[i], 2 * (y[i] + 3 * x[i]), TOLERANCE);
    }
}

static void
exp_rows(void)
{
    static const double spreads[] = {0, 1, 10, 100, 1e6};

    for (int s = 0; s < N_SIZES; s++)
        for (int k = 0; k < 5; k++)
        {
            int64_t     n = sizes[s];
            real       *x = random_reals(n, k);
            double     *should = gnn_alloc(arena, n, sizeof(double));
            double      most = -INFINITY;
            double      sum = 0;
            real        top;
            real        is;

            for (int64_t i = 0; i < n; i++)
                most = fmax(most, x[i] = (real) (spreads[k] * x[i] - 500));
            for (int64_t i = 0; i < n; i++)
                sum += should[i] = exp(x[i] - most);
            is = gnn_exp_row(x, n, &top);
            CHECK(top == (real) most);
            CHECK_NEAR(is / sum, 1, TOLERANCE);
            for (int64_t i = 0; i < n; i++)
                CHECK_NEAR(x[i], should[i], 3e-7 * should[i] + 1e-37);
        }
}

static void
blas(void)
{
    gnn_blas_open();
    CHECK(gnn_blas_check() == NULL);
    for (int64_t m = 1; m < 40; m += 13)
        for (int64_t n = 1; n < 40; n += 7)
            for (int64_t k = 1; k < 70; k += 17)
                for (int which = 0; which < 4; which++)
                {
                    GnnDense    a = {random_reals(m * k, 1), which & 1 ? m : k, which & 1};
                    GnnDense    b = {random_reals(k * n, 2), which & 2 ? k : n, which & 2};
                    real       *is = random_reals(m * (n + 3), 3);
                    real       *should = random_reals(m * (n + 3), 3);

                    gnn_gemm(is, n + 3, m, n, k, 2, a, b, (real) 0.5);
                    for (int64_t i = 0; i < m; i++)
                        for (int64_t j = 0; j < n; j++)
                        {
                            double      sum = 0;

                            for (int64_t l = 0; l < k; l++)
                                sum += a.val[which & 1 ? l * m + i : i * k + l] * b.val[which & 2 ? j * k + l : l * n + j];
                            should[i * (n + 3) + j] = (real) (2 * sum + 0.5 * should[i * (n + 3) + j]);
                        }
                    for (int64_t i = 0; i < m * (n + 3); i++)
                        CHECK_NEAR(is[i], should[i], 20 * TOLERANCE);
                }
}

static const Test tests[] = {
    {"sums of rows", gather},
    {"sums of vectors", vectors},
    {"exponentials of a row", exp_rows},
    {"products of matrices", blas},
    {0},
};

const Subject kernel_subject = {"kernel", tests};
