/*
 * kernel.c: the inner loops of propagation and losses.
 *
 * What is cloned is static, and what other files call is a plain function around it: the resolver of a
 * cloned function is exported from the library whatever the compiler is told about visibility.
 */
#include "core/kernel.h"

#include <float.h>
#include <math.h>

#define CHUNK 4                 /* vectors of a row that are summed at once, in registers */
#define AHEAD 8                 /* how many rows early a row is asked for */

/* lanes [n_vectors * GNN_LANES] of a sum of rows that start at column c */
GNN_INLINE void
gather_columns(real *y, const int32_t *idx, const float *w, int64_t n, real scale,
               const real *x, int64_t dim, int64_t c, int n_vectors)
{
    GnnVec      sum[CHUNK] = {0};

    for (int64_t e = 0; e < n; e++)
    {
        const real *row = x + (int64_t) idx[e] * dim + c;
        real        weight = w != NULL ? (real) w[e] * scale : scale;

        if (e + AHEAD < n)
            for (int i = 0; i < n_vectors; i++)
                __builtin_prefetch(x + (int64_t) idx[e + AHEAD] * dim + c + i * GNN_LANES);
        for (int i = 0; i < n_vectors; i++)
            sum[i] += weight * *(const GnnVec *) (row + i * GNN_LANES);
    }
    for (int i = 0; i < n_vectors; i++)
        *(GnnVec *) (y + c + i * GNN_LANES) = sum[i];
}

static GNN_CLONES void
gather_rows(real *y, const int32_t *idx, const float *w, int64_t n, real scale, const real *x, int64_t dim)
{
    int64_t     c = 0;

    for (; c + CHUNK * GNN_LANES <= dim; c += CHUNK * GNN_LANES)
        gather_columns(y, idx, w, n, scale, x, dim, c, CHUNK);
    for (; c + GNN_LANES <= dim; c += GNN_LANES)
        gather_columns(y, idx, w, n, scale, x, dim, c, 1);
    if (c == dim)
        return;

    for (int64_t i = c; i < dim; i++)
        y[i] = 0;
    for (int64_t e = 0; e < n; e++)
    {
        real        weight = w != NULL ? (real) w[e] * scale : scale;

        for (int64_t i = c; i < dim; i++)
            y[i] += weight * x[(int64_t) idx[e] * dim + i];
    }
}

void
gnn_gather_rows(real *y, const int32_t *idx, const float *w, int64_t n, double scale, const real *x, int64_t dim)
{
    gather_rows(y, idx, w, n, (real) scale, x, dim);
}

static GNN_CLONES void
add_scaled(real *y, real a, const real *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

void
gnn_add_scaled(real *y, real a, const real *x, int64_t n)
{
    add_scaled(y, a, x, n);
}

static GNN_CLONES void
scale(real *x, real a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] *= a;
}

void
gnn_scale(real *x, real a, int64_t n)
{
    scale(x, a, n);
}

static GNN_CLONES real
inner(const real *x, const real *y, int64_t n)
{
    return gnn_inner_inlined(x, y, n);
}

real
gnn_inner(const real *x, const real *y, int64_t n)
{
    return inner(x, y, n);
}

#ifdef GNN_DOUBLE

real
gnn_exp_row(real *x, int64_t n, real *top)
{
    real        sum = 0;

    *top = x[0];
    for (int64_t i = 1; i < n; i++)
        *top = fmax(*top, x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += x[i] = exp(x[i] - *top);
    return sum;
}

#else

/* lane by lane; C has no ?: on vectors */
GNN_INLINE GnnFloats
larger(GnnFloats a, GnnFloats b)
{
    GnnInts     first = a > b;

    return (GnnFloats) (((GnnInts) a & first) | ((GnnInts) b & ~first));
}

/*
 * exp(x) for x <= 0, relative error below 2e-7: x = n ln 2 + r, |r| <= ln 2 / 2, exp(r) by its
 * Taylor series, n put into the exponent's bits. Below -87 the answer is that of -87, about 1e-38.
 */
GNN_INLINE GnnFloats
exp_negative(GnnFloats x)
{
    const float shift = 0x1.8p23f;      /* adding it rounds to the nearest whole number */
    GnnFloats   low = (GnnFloats) {0} - 87.0f;
    GnnFloats   n;
    GnnFloats   r;
    GnnFloats   p;

    x = larger(x, low);
    n = x * 1.44269504f + shift;
    r = n - shift;
    x = x - r * 0.693145752f;           /* ln 2 in two parts, the first exact times n */
    x = x - r * 1.42860677e-6f;
    p = x * (1.0f / 720) + 1.0f / 120;
    p = p * x + 1.0f / 24;
    p = p * x + 1.0f / 6;
    p = p * x + 0.5f;
    p = p * x + 1.0f;
    p = p * x + 1.0f;
    return (GnnFloats) ((GnnInts) p + ((GnnInts) n << 23));
}

/* up to GNN_FLOATS values of a row, filled up with its smallest possible value */
GNN_INLINE GnnFloats
load_part(const float *x, int64_t n)
{
    GnnFloats   v;

    for (int l = 0; l < GNN_FLOATS; l++)
        v[l] = l < n ? x[l] : -FLT_MAX;
    return v;
}

GNN_INLINE float
largest(const float *x, int64_t n)
{
    GnnFloats   most = load_part(x, n);
    float       top;

    for (int64_t i = GNN_FLOATS; i + GNN_FLOATS <= n; i += GNN_FLOATS)
        most = larger(most, *(const GnnFloats *) (x + i));
    top = most[0];
    for (int l = 1; l < GNN_FLOATS; l++)
        top = most[l] > top ? most[l] : top;
    for (int64_t i = n - n % GNN_FLOATS; i < n; i++)
        top = x[i] > top ? x[i] : top;
    return top;
}

static GNN_CLONES float
exp_row(float *x, int64_t n, float *top)
{
    float       most = largest(x, n);
    GnnFloats   sum = {0};
    float       rest = 0;
    int64_t     i = 0;

    for (; i + GNN_FLOATS <= n; i += GNN_FLOATS)
    {
        GnnFloats   v = exp_negative(*(const GnnFloats *) (x + i) - most);

        *(GnnFloats *) (x + i) = v;
        sum += v;
    }
    if (i < n)
    {
        GnnFloats   v = exp_negative(load_part(x + i, n - i) - most);

        for (int64_t l = 0; i + l < n; l++)
            rest += x[i + l] = v[l];
    }
    *top = most;
    return gnn_sum_lanes(sum) + rest;
}

float
gnn_exp_row(float *x, int64_t n, float *top)
{
    return exp_row(x, n, top);
}

#endif
