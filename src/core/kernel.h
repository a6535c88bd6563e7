/*
 * kernel.h: what the inner loops share: vectors of 64 bytes, and code made for several processors.
 *
 * A kernel is written once, on vectors of a fixed number of lanes, and compiled for AVX-512, AVX2 and
 * any other; the loader picks. The lanes, and so the order of every sum, are the same everywhere. It
 * stands in a static function of its own: an outlined parallel region is not cloned, and the resolver of
 * a function that is not static would be exported.
 */
#ifndef GNN_CORE_KERNEL_H
#define GNN_CORE_KERNEL_H

#include "core/types.h"

#include <string.h>

/* sanitizers see through neither the resolver nor its clones, musl has no resolvers, and double is for tests alone */
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && __GNUC__ >= 12 && !defined(__clang__) \
    && !defined(GNN_DOUBLE) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define GNN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define GNN_CLONES
#endif

#define GNN_INLINE static inline __attribute__((always_inline))

/* how such a vector is passed depends on the processor; here it never is: what takes one is inlined */
#pragma GCC diagnostic ignored "-Wpsabi"

/* 64 bytes of reals, and of floats, wherever they lie */
#define GNN_LANES ((int64_t) (64 / sizeof(real)))
#define GNN_FLOATS 16
typedef real GnnVec __attribute__((vector_size(64), aligned(4), may_alias));
typedef float GnnFloats __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t GnnInts __attribute__((vector_size(64)));

/* y = sum of scale w[e] times row idx[e] of x, e = 0 .. n - 1 in this order; w NULL: all 1 */
extern void gnn_gather_rows(real *y, const int32_t *idx, const float *w, int64_t n, double scale,
                            const real *x, int64_t dim);

/* y += a x */
extern void gnn_add_scaled(real *y, real a, const real *x, int64_t n);

/* x *= a */
extern void gnn_scale(real *x, real a, int64_t n);

/* halves are added until a lane is left; said in vectors, as a loop over lanes would go through memory */
typedef real GnnHalf __attribute__((vector_size(32)));
typedef real GnnQuarter __attribute__((vector_size(16)));
#define GNN_QUARTER (16 / sizeof(real))

GNN_INLINE real
gnn_sum_lanes(GnnVec v)
{
    GnnHalf     halves[2];
    GnnQuarter  quarters[2];
    GnnQuarter  sum;

    memcpy(halves, &v, sizeof(v));
    halves[0] += halves[1];
    memcpy(quarters, &halves[0], sizeof(quarters));
    sum = quarters[0] + quarters[1];
    return sizeof(real) == sizeof(float) ? (sum[0] + sum[2 % GNN_QUARTER]) + (sum[1] + sum[3 % GNN_QUARTER]) : sum[0] + sum[1];
}

/* sum of x * y, in lanes of GnnVec: where it is part of a kernel, and where it is all there is to do */
GNN_INLINE real
gnn_inner_inlined(const real *x, const real *y, int64_t n)
{
    GnnVec      sum = {0};
    real        rest = 0;
    int64_t     i = 0;

    for (; i + GNN_LANES <= n; i += GNN_LANES)
        sum += *(const GnnVec *) (x + i) * *(const GnnVec *) (y + i);
    for (; i < n; i++)
        rest += x[i] * y[i];
    return gnn_sum_lanes(sum) + rest;
}

extern real gnn_inner(const real *x, const real *y, int64_t n);

/* x becomes exp(x - largest x), which are added up; returns the sum, and the largest in *top */
extern real gnn_exp_row(real *x, int64_t n, real *top);

#endif
