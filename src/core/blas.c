/*
 * blas.c: gnn_gemm on OpenBLAS or on plain loops.
 */
#include "core/blas.h"

#include "core/rng.h"

#include <math.h>

#ifdef GNN_BLAS

#include <cblas.h>

#ifdef GNN_DOUBLE
#define blas_gemm cblas_dgemm
#else
#define blas_gemm cblas_sgemm
#endif

void
gnn_blas_open(void)
{
    openblas_set_num_threads(1);
}

void
gnn_gemm(real *c, int64_t c_stride, int64_t m, int64_t n, int64_t k, real alpha, GnnDense a, GnnDense b, real beta)
{
    blas_gemm(CblasRowMajor, a.transposed ? CblasTrans : CblasNoTrans, b.transposed ? CblasTrans : CblasNoTrans,
              (int) m, (int) n, (int) k, alpha, a.val, (int) a.stride, b.val, (int) b.stride, beta, c, (int) c_stride);
}

#else

void
gnn_blas_open(void)
{
}

void
gnn_gemm(real *c, int64_t c_stride, int64_t m, int64_t n, int64_t k, real alpha, GnnDense a, GnnDense b, real beta)
{
    gnn_gemm_plain(c, c_stride, m, n, k, alpha, a, b, beta);
}

#endif

static inline real
element(GnnDense a, int64_t row, int64_t col)
{
    return a.transposed ? a.val[col * a.stride + row] : a.val[row * a.stride + col];
}

void
gnn_gemm_plain(real *c, int64_t c_stride, int64_t m, int64_t n, int64_t k, real alpha, GnnDense a, GnnDense b, real beta)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
        {
            real       *out = c + i * c_stride + j;
            real        sum = 0;

            for (int64_t l = 0; l < k; l++)
                sum += element(a, i, l) * element(b, l, j);
            *out = alpha * sum + (beta == 0 ? 0 : beta * *out);
        }
}

/* odd sizes, so that the edges of a blocked product are tried as well; OpenBLAS has other code for products below 100^3 */
#define CHECK_M 131
#define CHECK_N 139
#define CHECK_K 65

const char *
gnn_blas_check(void)
{
    static real a[CHECK_M * CHECK_K];
    static real b[CHECK_K * CHECK_N];
    static real is[CHECK_M * CHECK_N];
    static real should[CHECK_M * CHECK_N];
    GnnRng      r = gnn_rng(0, GNN_STREAM_INIT, 0);

    for (int i = 0; i < CHECK_M * CHECK_K; i++)
        a[i] = (real) gnn_rng_normal(&r);
    for (int i = 0; i < CHECK_K * CHECK_N; i++)
        b[i] = (real) gnn_rng_normal(&r);

    for (int transposed = 0; transposed < 4; transposed++)
    {
        GnnDense    x = {.val = a, .stride = transposed & 1 ? CHECK_M : CHECK_K, .transposed = transposed & 1};
        GnnDense    y = {.val = b, .stride = transposed & 2 ? CHECK_K : CHECK_N, .transposed = transposed & 2};

        gnn_gemm(is, CHECK_N, CHECK_M, CHECK_N, CHECK_K, 1, x, y, 0);
        gnn_gemm_plain(should, CHECK_N, CHECK_M, CHECK_N, CHECK_K, 1, x, y, 0);
        for (int i = 0; i < CHECK_M * CHECK_N; i++)
            if (!(fabs((double) is[i] - (double) should[i]) < 1e-3))
                return "the BLAS library computes wrong matrix products on this processor: "
                    "set OPENBLAS_CORETYPE=Haswell, or install a newer OpenBLAS";
    }
    return NULL;
}
