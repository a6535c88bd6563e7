/*
 * quantise.c: rows in 8 bits, and the bound that makes them exact; see quantise.h.
 *
 * A row x is scale * code + e with |e| <= error, a query y is step * whole + f, where code and whole are whole numbers,
 * |code| <= 127. With c = 127 sqrt(dim) scale >= |scale * code|, and u = 2^-24, half the distance of two floats around 1:
 *
 *     x.y = scale step (code . whole)  +  scale code . f  +  e . y
 *
 *     | x.y - scale step (code . whole) |  <=  c |f| + error |y|                                 (Cauchy and Schwarz, twice)
 *     | gnn_dot(x, y) - x.y |  <=  g |x| |y|  <=  g |y| (c + error)      g = (dim / 16 + 7) u: the roundings a term goes through
 *
 * The sum code . whole is exact in 32 bits. The floats below that make scale step (code . whole) and the bound of it go through
 * less than 16 roundings, each of at most u times scale step |code . whole| <= c (|y| + |f|) or the bound itself. So with
 * G = (dim / 16 + 32) u
 *
 *     by_scale = 127 sqrt(dim) (|f| + G |y|)         by_error = |y| (1 + G)
 *     | gnn_dot(x, y) - scale step (code . whole) |  <=  scale by_scale + error by_error
 *
 * holds for the numbers as they are computed. It needs that no product overflows and that what is lost to underflow is less than
 * u times the rest. So a query whose length is not within [SHORTEST, LONGEST] is refused; a row longer than LONGEST gets an infinite error,
 * so it passes every bar; one shorter than SHORTEST is taken for zero with that error.
 *
 * Times a factor w (cosine): rounding is monotonic, so l <= dot <= h gives w dot <= max(w l, w h) as rounded, whatever the sign.
 */
#include "core/quantise.h"

#include "core/kernel.h"

#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>
#endif

#define ROW_LEVELS 127
#define ROW_OFFSET 128          /* codes are stored unsigned, as the instruction wants them */
#define QUERY_LEVELS (127 * GNN_DIGIT)  /* 128 * 16256 * 1024 < 2^31: sums of GNN_MAX_DIM terms fit */
#define SHORTEST 1e-15
#define LONGEST 1e15

#define DIGIT_BITS 7            /* GNN_DIGIT is 1 << DIGIT_BITS */
#define CODES (2 * GNN_BLOCK * (int64_t) sizeof(float)) /* where the codes of a block begin */
#define GROUP (4 * GNN_BLOCK)   /* bytes of a block's codes in 4 dimensions */
#define VNNI "avx512f,avx512vnni"
#define DOUBLES 8

typedef double Doubles __attribute__((vector_size(64)));
typedef uint32_t Lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef float HalfFloats __attribute__((vector_size(32), aligned(4), may_alias));

/* ---- rows ---- */

GNN_INLINE float
largest_of(const float *x, int32_t dim)
{
    float       most = 0;

    for (int32_t c = 0; c < dim; c++)
        most = fabsf(x[c]) > most ? fabsf(x[c]) : most;
    return most;
}

GNN_INLINE double
length_of(const float *x, int32_t dim)
{
    Doubles     sums = {0};
    double      sum = 0;
    int32_t     c = 0;

    for (; c + DOUBLES <= dim; c += DOUBLES)
    {
        Doubles     v = __builtin_convertvector(*(const HalfFloats *) (x + c), Doubles);

        sums += v * v;
    }
    for (; c < dim; c++)
        sum += (double) x[c] * x[c];
    for (int l = 0; l < DOUBLES; l++)
        sum += sums[l];
    return sqrt(sum);
}

/* a float above x, which was computed in double, of floats perhaps */
GNN_INLINE float
above(double x)
{
    return (float) (x * (1 + 1e-6));
}

/* code[c] = x[c] / scale to the nearest, plus the offset; returns how far it is from x */
GNN_INLINE double
quantise_row(uint8_t *code, const float *x, float scale, int32_t dim)
{
    float       inverse = 1 / scale;
    float       rest[GNN_MAX_DIM];

    for (int32_t c = 0; c < dim; c++)
    {
        float       q = x[c] * inverse;
        int32_t     whole = (int32_t) (q + copysignf(0.5f, q));

        code[c] = (uint8_t) (whole + ROW_OFFSET);
        rest[c] = (float) (x[c] - (double) scale * whole);
    }
    return length_of(rest, dim);
}

/* row r of a block */
GNN_INLINE void
put_row(char *block, int r, const float *x, int32_t dim)
{
    float      *scale = (float *) block + r;
    float      *error = scale + GNN_BLOCK;
    char       *out = block + CODES + 4 * r;
    uint8_t     code[GNN_MAX_DIM];
    double      length = length_of(x, dim);

    *scale = 0;
    *error = length == 0 ? 0 : length < SHORTEST ? (float) SHORTEST : INFINITY;
    memset(code, ROW_OFFSET, sizeof(code));
    if (length >= SHORTEST && length <= LONGEST)
    {
        *scale = largest_of(x, dim) / ROW_LEVELS;
        *error = above(quantise_row(code, x, *scale, dim));
    }
    for (int32_t c = 0; c < dim; c += 4)
        memcpy(out + c * GNN_BLOCK, code + c, 4);
}

static GNN_CLONES void
quantise(char *blocks, const float *rows, int64_t n_blocks, int32_t dim)
{
    int64_t     width = gnn_quantised_width(dim);

    for (int64_t b = 0; b < n_blocks; b++)
        for (int r = 0; r < GNN_BLOCK; r++)
            put_row(blocks + b * width, r, rows + (b * GNN_BLOCK + r) * dim, dim);
}

void
gnn_quantise(void *blocks, const float *rows, int64_t n_blocks, int32_t dim)
{
    quantise(blocks, rows, n_blocks, dim);
}

/* ---- scans: which rows of the next blocks may exceed the bar? ---- */

typedef int64_t (*Kernel) (uint32_t *rows, const GnnQuantisedQuery *query, const char *blocks, const float *scale,
                           int64_t from, int64_t to, float bar);

/* byte i of each lane, as it lies in memory */
GNN_INLINE Lanes
byte_of(Lanes v, int i)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    return v >> (24 - 8 * i) & 255;
#else
    return v >> (8 * i) & 255;
#endif
}

/* code . whole of a block's rows, one in each lane */
GNN_INLINE Lanes
sums_plain(const char *block, const GnnQuantisedQuery *query)
{
    Lanes       sum = {0};

    for (int32_t g = 0; g < query->groups; g++)
        for (int i = 0; i < 4; i++)
            sum += byte_of(*(const Lanes *) (block + CODES + g * GROUP), i) * (uint32_t) query->whole[4 * g + i];
    return sum - (uint32_t) query->offset;
}

/* row r of a block, by the sum of its code . whole */
GNN_INLINE bool
passes(const char *block, int r, int32_t sum, const GnnQuantisedQuery *query, float scale, float bar)
{
    const float *of_rows = (const float *) block + r;
    float       middle = of_rows[0] * (query->step * (float) sum);
    float       reach = of_rows[0] * query->by_scale + of_rows[GNN_BLOCK] * query->by_error;

    return !((middle + reach) * scale <= bar) || !((middle - reach) * scale <= bar);
}

/* on any processor */
static int64_t
next_plain(uint32_t *rows, const GnnQuantisedQuery *query, const char *blocks, const float *scale,
           int64_t from, int64_t to, float bar)
{
    int64_t     width = CODES + query->groups * GROUP;

    for (; from < to; from++)
    {
        Lanes       sum = sums_plain(blocks + from * width, query);
        uint32_t    found = 0;

        for (int r = 0; r < GNN_BLOCK; r++)
            found |= (uint32_t) passes(blocks + from * width, r, (int32_t) sum[r], query,
                                       scale != NULL ? scale[from * GNN_BLOCK + r] : 1, bar) << r;
        *rows = found;
        if (found != 0)
            break;
    }
    return from;
}

#ifdef X86

/* 8 rows: those of them that pass, as bits */
static inline __attribute__((always_inline, target("avx2,fma"))) uint32_t
passing_avx2(__m256i sum, const float *of_rows, const GnnQuantisedQuery *query, const float *scale, float bar)
{
    __m256      s = _mm256_loadu_ps(of_rows);
    __m256      error = _mm256_loadu_ps(of_rows + GNN_BLOCK);
    __m256      middle = _mm256_mul_ps(s, _mm256_mul_ps(_mm256_set1_ps(query->step), _mm256_cvtepi32_ps(sum)));
    __m256      reach = _mm256_fmadd_ps(s, _mm256_set1_ps(query->by_scale),
                                        _mm256_mul_ps(error, _mm256_set1_ps(query->by_error)));
    __m256      most = _mm256_add_ps(middle, reach);
    __m256      pass;

    if (scale == NULL)
        pass = _mm256_cmp_ps(most, _mm256_set1_ps(bar), _CMP_NLE_UQ);
    else
    {
        __m256      w = _mm256_loadu_ps(scale);

        pass = _mm256_or_ps(_mm256_cmp_ps(_mm256_mul_ps(most, w), _mm256_set1_ps(bar), _CMP_NLE_UQ),
                            _mm256_cmp_ps(_mm256_mul_ps(_mm256_sub_ps(middle, reach), w), _mm256_set1_ps(bar), _CMP_NLE_UQ));
    }
    return (uint32_t) _mm256_movemask_ps(pass);
}

/* two sums of 4 rows, each in two halves, become one of 8 rows */
static inline __attribute__((always_inline, target("avx2,fma"))) __m256i
join_avx2(__m256i a, __m256i b, int32_t offset)
{
    __m256i     sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(a, b), 0xD8);

    return _mm256_sub_epi32(sum, _mm256_set1_epi32(offset));
}

/* codes widened to 16 bits, times the query's whole numbers; sums wrap around until the offset is taken off */
static __attribute__((target("avx2,fma"))) int64_t
next_avx2(uint32_t *rows, const GnnQuantisedQuery *query, const char *blocks, const float *scale,
          int64_t from, int64_t to, float bar)
{
    int64_t     width = CODES + query->groups * GROUP;

    for (; from < to; from++)
    {
        const char *block = blocks + from * width;
        const float *of_rows = (const float *) block;
        const float *w = scale != NULL ? scale + from * GNN_BLOCK : NULL;
        __m256i     sum[4] = {_mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256(), _mm256_setzero_si256()};
        uint32_t    found;

        for (int32_t g = 0; g < query->groups; g++)
        {
            int64_t     four;
            __m256i     whole;

            memcpy(&four, query->whole + 4 * g, sizeof(four));
            whole = _mm256_set1_epi64x(four);
            for (int i = 0; i < 4; i++)
            {
                __m128i     code = _mm_loadu_si128((const __m128i *) (block + CODES + g * GROUP + 16 * i));

                sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_cvtepu8_epi16(code), whole));
            }
        }
        found = passing_avx2(join_avx2(sum[0], sum[1], query->offset), of_rows, query, w, bar)
            | passing_avx2(join_avx2(sum[2], sum[3], query->offset), of_rows + 8, query, w != NULL ? w + 8 : NULL, bar) << 8;
        *rows = found;
        if (found != 0)
            break;
    }
    return from;
}

/* the 16 rows of a block: those that pass, as bits */
static inline __attribute__((always_inline, target(VNNI))) uint32_t
passing_vnni(__m512i sum, const float *of_rows, const GnnQuantisedQuery *query, const float *scale, float bar)
{
    __m512      s = _mm512_loadu_ps(of_rows);
    __m512      error = _mm512_loadu_ps(of_rows + GNN_BLOCK);
    __m512      middle = _mm512_mul_ps(s, _mm512_mul_ps(_mm512_set1_ps(query->step), _mm512_cvtepi32_ps(sum)));
    __m512      reach = _mm512_fmadd_ps(s, _mm512_set1_ps(query->by_scale),
                                        _mm512_mul_ps(error, _mm512_set1_ps(query->by_error)));
    __m512      most = _mm512_add_ps(middle, reach);
    __m512      w;

    if (scale == NULL)
        return _mm512_cmp_ps_mask(most, _mm512_set1_ps(bar), _CMP_NLE_UQ);
    w = _mm512_loadu_ps(scale);
    return _mm512_cmp_ps_mask(_mm512_mul_ps(most, w), _mm512_set1_ps(bar), _CMP_NLE_UQ)
        | _mm512_cmp_ps_mask(_mm512_mul_ps(_mm512_sub_ps(middle, reach), w), _mm512_set1_ps(bar), _CMP_NLE_UQ);
}

/* four products of 8 bits and their sum in one instruction, for each of the query's digits */
static __attribute__((target(VNNI))) int64_t
next_vnni(uint32_t *rows, const GnnQuantisedQuery *query, const char *blocks, const float *scale,
          int64_t from, int64_t to, float bar)
{
    int64_t     width = CODES + query->groups * GROUP;
    __m512i     start = _mm512_set1_epi32(-query->offset);

    for (; from < to; from++)
    {
        const char *block = blocks + from * width;
        __m512i     high = _mm512_setzero_si512();
        __m512i     low = start;
        uint32_t    found;

        for (int32_t g = 0; g < query->groups; g++)
        {
            __m512i     code = _mm512_loadu_si512(block + CODES + g * GROUP);
            int32_t     four[2];

            memcpy(&four[0], query->high + 4 * g, 4);
            memcpy(&four[1], query->low + 4 * g, 4);
            high = _mm512_dpbusd_epi32(high, code, _mm512_set1_epi32(four[0]));
            low = _mm512_dpbusd_epi32(low, code, _mm512_set1_epi32(four[1]));
        }
        found = passing_vnni(_mm512_add_epi32(_mm512_slli_epi32(high, DIGIT_BITS), low), (const float *) block, query,
                             scale != NULL ? scale + from * GNN_BLOCK : NULL, bar);
        *rows = found;
        if (found != 0)
            break;
    }
    return from;
}

#endif

/* ---- which kernel ---- */

const char *const gnn_quantised_kernels[] = {
#ifdef X86
    "vnni", "avx2",
#endif
    "plain", NULL
};

/* the kernel of that number; NULL: not on this processor */
static Kernel
kernel_at(int number)
{
#ifdef X86
    if (number == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni") ? next_vnni : NULL;
    if (number == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? next_avx2 : NULL;
#endif
    return next_plain;
}

static Kernel chosen = NULL;

bool
gnn_quantised_choose(int number)
{
    Kernel      kernel = kernel_at(number);

    if (kernel != NULL)
        chosen = kernel;
    return kernel != NULL;
}

/* the one chosen, or else the quickest; but the plain one is slower than scores in float32 are, and runs only when chosen */
static bool
have_kernel(void)
{
    for (int number = 0; chosen == NULL && kernel_at(number) != next_plain; number++)
        chosen = kernel_at(number);
    return chosen != NULL;
}

int64_t
gnn_quantised_next(uint32_t *rows, const GnnQuantisedQuery *query, const void *blocks, const float *scale,
                   int64_t from, int64_t to, float bar)
{
    return chosen(rows, query, blocks, scale, from, to, bar);
}

/* ---- queries ---- */

bool
gnn_quantise_query(GnnQuantisedQuery *out, const float *query, int32_t dim)
{
    double      length = length_of(query, dim);
    double      rounding = (dim / 16 + 32) * 0x1p-24;
    double      step = (double) largest_of(query, dim) / QUERY_LEVELS;
    float       rest[GNN_MAX_DIM];
    int32_t     sum = 0;

    if (!have_kernel() || !(length >= SHORTEST && length <= LONGEST))
        return false;
    out->groups = (dim + 3) / 4;
    out->step = (float) step;
    memset(out->whole + dim, 0, (out->groups * 4 - dim) * sizeof(int16_t));
    memset(out->high, 0, out->groups * 4);
    memset(out->low, 0, out->groups * 4);
    for (int32_t c = 0; c < dim; c++)
    {
        int32_t     whole = (int32_t) (query[c] / step + copysign(0.5, query[c]));
        int32_t     low = (whole + QUERY_LEVELS + GNN_DIGIT / 2) % GNN_DIGIT - GNN_DIGIT / 2;

        out->whole[c] = (int16_t) whole;
        out->low[c] = (int8_t) low;
        out->high[c] = (int8_t) ((whole - low) / GNN_DIGIT);
        rest[c] = (float) (query[c] - (double) out->step * whole);
        sum += whole;
    }
    out->offset = ROW_OFFSET * sum;
    out->by_scale = above(ROW_LEVELS * sqrt(dim) * (length_of(rest, dim) + rounding * length));
    out->by_error = above(length * (1 + rounding));
    return true;
}
