/*
 * blas.h: the product of dense matrices, row-major.
 *
 * With GNN_BLAS it is OpenBLAS, told to run one thread: we thread outside it, over blocks, so that any
 * flavour of it gives the same bits. Without, plain loops: in the tests, which compare the two.
 */
#ifndef GNN_CORE_BLAS_H
#define GNN_CORE_BLAS_H

#include "core/types.h"

/* a matrix of `rows` x `cols`, rows `stride` apart, read as its transpose where `transposed` */
typedef struct GnnDense
{
    const real *val;
    int64_t     stride;
    bool        transposed;
} GnnDense;

/* call once, before threads start */
extern void gnn_blas_open(void);

/* c = alpha a b + beta c;  a is m x k, b is k x n (after transposing), c is m x n with its own stride */
extern void gnn_gemm(real *c, int64_t c_stride, int64_t m, int64_t n, int64_t k,
                     real alpha, GnnDense a, GnnDense b, real beta);

/* the same by plain loops, whatever gnn_gemm is */
extern void gnn_gemm_plain(real *c, int64_t c_stride, int64_t m, int64_t n, int64_t k,
                           real alpha, GnnDense a, GnnDense b, real beta);

/* does gnn_gemm compute products? NULL, or what is wrong: old OpenBLAS mistake new processors */
extern const char *gnn_blas_check(void);

static inline GnnDense
gnn_plain(const real *val, int64_t stride)
{
    return (GnnDense) {.val = val, .stride = stride, .transposed = false};
}

static inline GnnDense
gnn_transposed(const real *val, int64_t stride)
{
    return (GnnDense) {.val = val, .stride = stride, .transposed = true};
}

#endif
