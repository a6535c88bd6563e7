/*
 * quantise.c: rows in 4 bits, and the bound that makes them exact; see quantise.h.
 *
 * A row x is scale * v + e with |e| <= error, a query y is step * w + f, where v = 2 * code - 15 and w are whole numbers, |v| <= 15.
 * With c = 15 sqrt(dim) scale >= |scale * v|, and u = 2^-24, half the distance of two floats around 1:
 *
 *     x.y = scale step (v . w)  +  scale v . f  +  e . y
 *
 *     | x.y - scale step (v . w) |  <=  c |f| + error |y|                                        (Cauchy and Schwarz, twice)
 *     | gnn_dot(x, y) - x.y |  <=  g |x| |y|  <=  g |y| (c + error)      g = (dim / 16 + 7) u: the roundings a term goes through
 *
 * The sum v . w is exact in 32 bits, and below 2^24, so exact as a float. The floats below that make scale step (v . w) and the
 * bound of it go through less than 16 roundings, each of at most u times scale step |v . w| <= c (|y| + |f|) or the bound
 * itself. So with
 *
 *     G = (dim / 16 + 32) u
 *     by_scale = 15 sqrt(dim) (|f| + G |y|)          by_error = |y| (1 + G)
 *     | gnn_dot(x, y) - scale step (v . w) |  <=  scale by_scale + error by_error
 *
 * holds for the numbers as they are computed. It needs that no product overflows and that what is lost to underflow is less than
 * u times the rest. So a query whose length is not within [SHORTEST, LONGEST] is refused; a row longer than LONGEST gets an
 * infinite error, so it passes every bar; one shorter than SHORTEST is taken for zero with that error.
 *
 * Times a factor w (cosine): rounding is monotonic, so l <= dot <= h gives w dot <= max(w l, w h) as rounded, whatever the sign.
 * A penalty is taken off by the one rounding of fmaf, here as in the score: monotonic, too.
 */
#include "core/quantise.h"

#include "core/kernel.h"

#include <math.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define X86
#include <immintrin.h>
#endif

#define ROW_LEVELS 15           /* of either sign; the values are odd */
#define QUERY_LEVELS 127        /* 2 * 15 * 127 * 1024 < 2^24: sums of GNN_MAX_DIM terms are exact as floats */
#define SHORTEST 1e-15
#define LONGEST 1e15

#define CODES (GNN_BLOCK * (int64_t) sizeof(uint32_t))  /* where the codes of a block begin */
#define GROUP (4 * GNN_BLOCK)   /* bytes of a block's codes in 8 dimensions */
#define COMMON_GROUPS 8         /* dimension 64: its loops are unrolled */
#define AHEAD 16                /* how many blocks early one is asked for: saves a quarter where they come from memory */
#define VNNI "avx512f,avx512bw,avx512vnni"
#define AVX2 "avx2,fma"
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

/* the upper 16 bits of the least float from x on that has no others; infinite stays infinite */
GNN_INLINE uint32_t
upper_half(float x)
{
    uint32_t    bits;

    memcpy(&bits, &x, sizeof(bits));
    return (bits + 0xffff) >> 16;
}

GNN_INLINE float
from_upper_half(uint32_t half)
{
    uint32_t    bits = half << 16;
    float       x;

    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* code[c] = the one whose value is nearest to x[c]; returns how far they are from x */
GNN_INLINE double
quantise_row(uint8_t *code, const float *x, float scale, int32_t dim)
{
    float       inverse = 0.5f / scale;
    float       rest[GNN_MAX_DIM];

    for (int32_t c = 0; c < dim; c++)
    {
        int32_t     whole = (int32_t) (x[c] * inverse + 8);

        whole = whole < 0 ? 0 : whole > ROW_LEVELS ? ROW_LEVELS : whole;
        code[c] = (uint8_t) whole;
        rest[c] = (float) (x[c] - (double) scale * (2 * whole - ROW_LEVELS));
    }
    return length_of(rest, dim);
}

/* row r of a block; the largest of its numbers lies at the end of the last level, which reaches one scale further than its value */
GNN_INLINE void
put_row(char *block, int r, const float *x, int32_t dim)
{
    uint8_t     code[GNN_MAX_DIM + 7] = {0};
    double      length = length_of(x, dim);
    float       error = length == 0 ? 0 : length < SHORTEST ? (float) SHORTEST : INFINITY;
    uint32_t    scale = 0;

    if (length >= SHORTEST && length <= LONGEST)
    {
        scale = upper_half(largest_of(x, dim) / (ROW_LEVELS + 1));
        error = above(quantise_row(code, x, from_upper_half(scale), dim));
    }
    ((uint32_t *) block)[r] = upper_half(error) << 16 | scale;
    for (int32_t c = 0; c < dim; c += 8)
        for (int j = 0; j < 4; j++)
            block[CODES + c / 8 * GROUP + 4 * r + j] = (char) (code[c + j] | code[c + 4 + j] << 4);
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

/* ---- scans: which rows of some blocks may exceed the bar? ---- */

typedef void (*Kernel) (uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
                        const GnnQuantisedRows *rows, int64_t from, int64_t n);

GNN_INLINE const char *
block_at(const GnnQuantisedRows *rows, int64_t number, int32_t groups)
{
    return (const char *) rows->blocks + number * (CODES + groups * GROUP);
}

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

/* v . w of a block's rows, one in each lane */
GNN_INLINE Lanes
sums_plain(const char *block, const GnnQuantisedQuery *query)
{
    Lanes       sum = {0};

    for (int32_t g = 0; g < query->groups; g++)
        for (int i = 0; i < 4; i++)
        {
            Lanes       code = byte_of(*(const Lanes *) (block + CODES + g * GROUP), i);

            sum += (code & 15) * (uint32_t) query->whole[8 * g + i] + (code >> 4) * (uint32_t) query->whole[8 * g + 4 + i];
        }
    return 2 * sum - (uint32_t) query->offset;
}

/* row r of block number b, by its v . w */
GNN_INLINE bool
passes(const GnnQuantisedRows *rows, int64_t b, int r, int32_t sum, const GnnQuantisedQuery *query, float bar)
{
    uint32_t    of_row = ((const uint32_t *) block_at(rows, b, query->groups))[r];
    float       row_scale = from_upper_half(of_row);
    float       middle = row_scale * (query->step * (float) sum);
    float       reach = row_scale * query->by_scale + from_upper_half(of_row >> 16) * query->by_error;
    float       most = middle + reach;

    if (rows->scale != NULL)
    {
        float       scale = rows->scale[b * GNN_BLOCK + r];
        float       other = (middle - reach) * scale;

        most *= scale;
        most = most > other || most != most ? most : other;
    }
    if (rows->log_degree != NULL)
        most = fmaf(-rows->penalty, rows->log_degree[b * GNN_BLOCK + r], most);
    return !(most <= bar);
}

/* on any processor */
static void
find_plain(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
           const GnnQuantisedRows *rows, int64_t from, int64_t n)
{
    for (int q = 0; q < n_queries; q++)
        for (int64_t b = 0; b < n; b++)
        {
            Lanes       sum = sums_plain(block_at(rows, from + b, queries[q]->groups), queries[q]);
            uint32_t    pass = 0;

            for (int r = 0; r < GNN_BLOCK; r++)
                pass |= (uint32_t) passes(rows, from + b, r, (int32_t) sum[r], queries[q], bar[q]) << r;
            found[q * n + b] = (uint16_t) pass;
        }
}

#ifdef X86

/* asks for a block that will come; behind the last one there is none, which does no harm */
GNN_INLINE void
ask_ahead(const char *block, int32_t groups)
{
    for (int32_t g = 0; g <= groups; g++)
        __builtin_prefetch(block + AHEAD * (CODES + groups * GROUP) + g * GROUP);
}

/* four of a query's numbers, for the instructions that multiply bytes */
GNN_INLINE int32_t
four_of(const GnnQuantisedQuery *query, int32_t c)
{
    int32_t     four;

    memcpy(&four, query->whole + c, sizeof(four));
    return four;
}

/* 8 rows from number `row` on, whose v . w are in sum: those that pass, as bits */
static inline __attribute__((always_inline, target(AVX2))) uint32_t
passing_avx2(__m256i sum, const char *of_rows, int64_t row, const GnnQuantisedQuery *query, const GnnQuantisedRows *rows, float bar)
{
    __m256i     of_row = _mm256_loadu_si256((const __m256i *) of_rows);
    __m256      s = _mm256_castsi256_ps(_mm256_slli_epi32(of_row, 16));
    __m256      error = _mm256_castsi256_ps(_mm256_and_si256(of_row, _mm256_set1_epi32((int) 0xffff0000)));
    __m256      middle = _mm256_mul_ps(s, _mm256_mul_ps(_mm256_set1_ps(query->step), _mm256_cvtepi32_ps(sum)));
    __m256      reach = _mm256_fmadd_ps(s, _mm256_set1_ps(query->by_scale),
                                        _mm256_mul_ps(error, _mm256_set1_ps(query->by_error)));
    __m256      most = _mm256_add_ps(middle, reach);
    __m256      least = most;
    __m256      b = _mm256_set1_ps(bar);

    if (rows->scale != NULL)
    {
        __m256      w = _mm256_loadu_ps(rows->scale + row);

        least = _mm256_mul_ps(_mm256_sub_ps(middle, reach), w);
        most = _mm256_mul_ps(most, w);
    }
    if (rows->log_degree != NULL)
    {
        __m256      log_degree = _mm256_loadu_ps(rows->log_degree + row);
        __m256      penalty = _mm256_set1_ps(rows->penalty);

        most = _mm256_fnmadd_ps(penalty, log_degree, most);
        least = _mm256_fnmadd_ps(penalty, log_degree, least);
    }
    return (uint32_t) _mm256_movemask_ps(_mm256_or_ps(_mm256_cmp_ps(most, b, _CMP_NLE_UQ), _mm256_cmp_ps(least, b, _CMP_NLE_UQ)));
}

/* v . w of 8 rows: bytes times bytes, in 16 bits for as many groups as cannot overflow: 4 groups * 4 products * 15 * 127 < 2^15 */
static inline __attribute__((always_inline, target(AVX2))) __m256i
sums_avx2(const char *codes, const GnnQuantisedQuery *query, int32_t groups)
{
    const __m256i lower = _mm256_set1_epi8(15);
    __m256i     sum = _mm256_setzero_si256();

    for (int32_t first = 0; first < groups; first += 4)
    {
        __m256i     part = _mm256_setzero_si256();

        for (int32_t g = first; g < first + 4 && g < groups; g++)
        {
            __m256i     code = _mm256_loadu_si256((const __m256i *) (codes + g * GROUP));
            __m256i     low = _mm256_and_si256(code, lower);
            __m256i     high = _mm256_and_si256(_mm256_srli_epi16(code, 4), lower);

            part = _mm256_add_epi16(part, _mm256_maddubs_epi16(low, _mm256_set1_epi32(four_of(query, 8 * g))));
            part = _mm256_add_epi16(part, _mm256_maddubs_epi16(high, _mm256_set1_epi32(four_of(query, 8 * g + 4))));
        }
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(part, _mm256_set1_epi16(1)));
    }
    return _mm256_sub_epi32(_mm256_slli_epi32(sum, 1), _mm256_set1_epi32(query->offset));
}

static inline __attribute__((always_inline, target(AVX2))) void
find_groups_avx2(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
                 const GnnQuantisedRows *rows, int64_t from, int64_t n, int32_t groups)
{
    for (int64_t b = 0; b < n; b++)
    {
        const char *block = block_at(rows, from + b, groups);
        int64_t     row = (from + b) * GNN_BLOCK;

        ask_ahead(block, groups);
        for (int q = 0; q < n_queries; q++)
        {
            __m256i     left = sums_avx2(block + CODES, queries[q], groups);
            __m256i     right = sums_avx2(block + CODES + GROUP / 2, queries[q], groups);

            found[q * n + b] = (uint16_t) (passing_avx2(left, block, row, queries[q], rows, bar[q])
                                           | passing_avx2(right, block + CODES / 2, row + 8, queries[q], rows, bar[q]) << 8);
        }
    }
}

static __attribute__((target(AVX2))) void
find_avx2(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
          const GnnQuantisedRows *rows, int64_t from, int64_t n)
{
    if (queries[0]->groups == COMMON_GROUPS)
        find_groups_avx2(found, queries, bar, n_queries, rows, from, n, COMMON_GROUPS);
    else
        find_groups_avx2(found, queries, bar, n_queries, rows, from, n, queries[0]->groups);
}

/* the 16 rows of a block, whose v . w are in sum: those that pass, as bits */
static inline __attribute__((always_inline, target(VNNI))) uint32_t
passing_vnni(__m512i sum, const char *block, int64_t row, const GnnQuantisedQuery *query, const GnnQuantisedRows *rows, float bar)
{
    __m512i     of_row = _mm512_loadu_si512(block);
    __m512      s = _mm512_castsi512_ps(_mm512_slli_epi32(of_row, 16));
    __m512      error = _mm512_castsi512_ps(_mm512_and_si512(of_row, _mm512_set1_epi32((int) 0xffff0000)));
    __m512      middle = _mm512_mul_ps(s, _mm512_mul_ps(_mm512_set1_ps(query->step), _mm512_cvtepi32_ps(sum)));
    __m512      reach = _mm512_fmadd_ps(s, _mm512_set1_ps(query->by_scale),
                                        _mm512_mul_ps(error, _mm512_set1_ps(query->by_error)));
    __m512      most = _mm512_add_ps(middle, reach);
    __m512      least = most;
    __m512      b = _mm512_set1_ps(bar);

    if (rows->scale != NULL)
    {
        __m512      w = _mm512_loadu_ps(rows->scale + row);

        least = _mm512_mul_ps(_mm512_sub_ps(middle, reach), w);
        most = _mm512_mul_ps(most, w);
    }
    if (rows->log_degree != NULL)
    {
        __m512      log_degree = _mm512_loadu_ps(rows->log_degree + row);
        __m512      penalty = _mm512_set1_ps(rows->penalty);

        most = _mm512_fnmadd_ps(penalty, log_degree, most);
        least = _mm512_fnmadd_ps(penalty, log_degree, least);
    }
    return _mm512_cmp_ps_mask(most, b, _CMP_NLE_UQ) | _mm512_cmp_ps_mask(least, b, _CMP_NLE_UQ);
}

/* four products of bytes and their sum in one instruction */
static inline __attribute__((always_inline, target(VNNI))) void
find_groups_vnni(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
                 const GnnQuantisedRows *rows, int64_t from, int64_t n, int32_t groups)
{
    const __m512i lower = _mm512_set1_epi8(15);

    for (int64_t b = 0; b < n; b++)
    {
        const char *block = block_at(rows, from + b, groups);
        __m512i     low[GNN_SHARED];
        __m512i     high[GNN_SHARED];

        ask_ahead(block, groups);
        for (int q = 0; q < n_queries; q++)
            low[q] = high[q] = _mm512_setzero_si512();
        for (int32_t g = 0; g < groups; g++)
        {
            __m512i     code = _mm512_loadu_si512(block + CODES + g * GROUP);
            __m512i     of_low = _mm512_and_si512(code, lower);
            __m512i     of_high = _mm512_and_si512(_mm512_srli_epi16(code, 4), lower);

            for (int q = 0; q < n_queries; q++)
            {
                low[q] = _mm512_dpbusd_epi32(low[q], of_low, _mm512_set1_epi32(four_of(queries[q], 8 * g)));
                high[q] = _mm512_dpbusd_epi32(high[q], of_high, _mm512_set1_epi32(four_of(queries[q], 8 * g + 4)));
            }
        }
        for (int q = 0; q < n_queries; q++)
        {
            __m512i     sum = _mm512_slli_epi32(_mm512_add_epi32(low[q], high[q]), 1);

            sum = _mm512_sub_epi32(sum, _mm512_set1_epi32(queries[q]->offset));
            found[q * n + b] = (uint16_t) passing_vnni(sum, block, (from + b) * GNN_BLOCK, queries[q], rows, bar[q]);
        }
    }
}

/* the numbers of queries and groups are constants where they are common ones */
static __attribute__((target(VNNI))) void
find_vnni(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
          const GnnQuantisedRows *rows, int64_t from, int64_t n)
{
    int32_t     groups = queries[0]->groups;

    if (n_queries == GNN_SHARED && groups == COMMON_GROUPS)
        find_groups_vnni(found, queries, bar, GNN_SHARED, rows, from, n, COMMON_GROUPS);
    else if (n_queries == GNN_SHARED)
        find_groups_vnni(found, queries, bar, GNN_SHARED, rows, from, n, groups);
    else
        for (int q = 0; q < n_queries; q++)
            if (groups == COMMON_GROUPS)
                find_groups_vnni(found + q * n, queries + q, bar + q, 1, rows, from, n, COMMON_GROUPS);
            else
                find_groups_vnni(found + q * n, queries + q, bar + q, 1, rows, from, n, groups);
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
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni") ? find_vnni : NULL;
    if (number == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? find_avx2 : NULL;
#endif
    return find_plain;
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
    for (int number = 0; chosen == NULL && kernel_at(number) != find_plain; number++)
        chosen = kernel_at(number);
    return chosen != NULL;
}

void
gnn_quantised_find(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
                   const GnnQuantisedRows *rows, int64_t from, int64_t n)
{
    chosen(found, queries, bar, n_queries, rows, from, n);
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
    out->groups = (dim + 7) / 8;
    out->step = (float) step;
    memset(out->whole + dim, 0, out->groups * 8 - dim);
    for (int32_t c = 0; c < dim; c++)
    {
        int32_t     whole = (int32_t) (query[c] / step + copysign(0.5, query[c]));

        out->whole[c] = (int8_t) whole;
        rest[c] = (float) (query[c] - (double) out->step * whole);
        sum += whole;
    }
    out->offset = ROW_LEVELS * sum;
    out->by_scale = above(ROW_LEVELS * sqrt(dim) * (length_of(rest, dim) + rounding * length));
    out->by_error = above(length * (1 + rounding));
    return true;
}
