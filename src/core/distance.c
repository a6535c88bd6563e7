/*
 * distance.c: inner product and distances of two vectors of floats.
 *
 * One loop serves all: LANES running sums, which the compiler keeps in vector registers, since it may not
 * reorder a single one. The clones stop at avx2, which has no fused multiply-add: fusing would change the
 * last bit from machine to machine, and these are the IMMUTABLE functions that indexes are built on.
 */
#include "core/distance.h"

#include <math.h>

#define LANES 16

/* sanitizers do not see through the clones' resolver */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLONES __attribute__((target_clones("avx2", "default")))
#else
#define CLONES
#endif

/* sum of term(a[i], b[i]); must be inlined, so that each caller's clones get a loop of their own */
static inline __attribute__((always_inline)) double
sum_terms(double (*term) (double, double), const float *a, const float *b, int32_t dim)
{
    double      lane[LANES] = {0};
    double      sum = 0;
    int32_t     i = 0;

    for (; i + LANES <= dim; i += LANES)
        for (int l = 0; l < LANES; l++)
            lane[l] += term(a[i + l], b[i + l]);
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    for (; i < dim; i++)
        sum += term(a[i], b[i]);
    return sum;
}

static inline __attribute__((always_inline)) double
product(double a, double b)
{
    return a * b;
}

static inline __attribute__((always_inline)) double
squared_difference(double a, double b)
{
    return (a - b) * (a - b);
}

static inline __attribute__((always_inline)) double
absolute_difference(double a, double b)
{
    return fabs(a - b);
}

/* static, as a clone of a global function would leave the library whatever its visibility */
static CLONES double
sum_products(const float *a, const float *b, int32_t dim)
{
    return sum_terms(product, a, b, dim);
}

static CLONES double
sum_squared_differences(const float *a, const float *b, int32_t dim)
{
    return sum_terms(squared_difference, a, b, dim);
}

static CLONES double
sum_absolute_differences(const float *a, const float *b, int32_t dim)
{
    return sum_terms(absolute_difference, a, b, dim);
}

double
gnn_inner_product(const float *a, const float *b, int32_t dim)
{
    return sum_products(a, b, dim);
}

double
gnn_l2_squared(const float *a, const float *b, int32_t dim)
{
    return sum_squared_differences(a, b, dim);
}

double
gnn_l1(const float *a, const float *b, int32_t dim)
{
    return sum_absolute_differences(a, b, dim);
}

double
gnn_cosine(const float *a, const float *b, int32_t dim)
{
    double      cosine = sum_products(a, b, dim) / sqrt(sum_products(a, a, dim) * sum_products(b, b, dim));

    /* rounding may leave the range; a NaN passes both comparisons */
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}
