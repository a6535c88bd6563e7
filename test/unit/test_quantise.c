/*
 * test_quantise.c: no row whose score exceeds the bar is ever missed, by any kernel, whatever the vectors; and so the best rows
 * found through the copy in 4 bits are those found without it, to the bit.
 */
#include "test.h"

#include "core/quantise.h"
#include "core/topk.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define N (16 * 40 + 5)

static const int32_t dims[] = {1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 127, 128, 129, 130, 256, 1024};
static const int32_t ks[] = {1, 3, 20, 40, 300, N};

#define N_OF(x) ((int) (sizeof(x) / sizeof((x)[0])))

/* ---- vectors: element c of row i ---- */

typedef float (*Draw) (GnnRng *rng, int32_t i, int32_t c);

static float
normal(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) gnn_rng_normal(rng);
}

/* many ties */
static float
whole(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) gnn_rng_below(rng, 3) - 1;
}

/* a few directions, lengths over two orders, as trained vectors have them */
static float
clustered(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) ((sin(0.7 * c * (i % 7 + 1)) + 0.05 * gnn_rng_normal(rng)) / (1 + i % 97));
}

static float
huge_and_tiny(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) (gnn_rng_normal(rng) * pow(10, i % 61 - 30));
}

/* one large number hides the others from a scale of 4 bits */
static float
spiked(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) gnn_rng_normal(rng) * (c == i % 5 ? 1e6f : 1);
}

static float
one_hot(GnnRng *rng, int32_t i, int32_t c)
{
    return c == i % 13 ? 1 : 0;
}

static float
equal(GnnRng *rng, int32_t i, int32_t c)
{
    return 0.1f * (float) c - 0.7f;
}

static float
opposite(GnnRng *rng, int32_t i, int32_t c)
{
    return (i % 2 ? 1 : -1) * (0.1f * (float) c - 0.7f);
}

static float
zero(GnnRng *rng, int32_t i, int32_t c)
{
    return 0;
}

static float
denormal(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) gnn_rng_normal(rng) * FLT_MIN / 64;
}

/* scores beyond the range of float, of both signs, and sums that are no number */
static float
overflowing(GnnRng *rng, int32_t i, int32_t c)
{
    return i % 3 == 0 ? (float) gnn_rng_normal(rng) : gnn_rng_below(rng, 2) ? FLT_MAX : -FLT_MAX;
}

/* around the lengths at which rows and queries stop to be bounded */
static float
at_the_limits(GnnRng *rng, int32_t i, int32_t c)
{
    return (float) gnn_rng_normal(rng) * (i % 2 ? 1e15f : 1e-15f);
}

static const struct
{
    const char *name;
    Draw        draw;
}           kinds[] = {
    {"normal", normal}, {"whole", whole}, {"clustered", clustered}, {"huge and tiny", huge_and_tiny}, {"spiked", spiked},
    {"one-hot", one_hot}, {"equal", equal}, {"opposite", opposite}, {"zero", zero}, {"denormal", denormal},
    {"overflowing", overflowing}, {"at the limits", at_the_limits},
};

static float *
drawn(Draw draw, int64_t n, int32_t dim, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    float      *x = gnn_alloc(arena, n * dim, sizeof(float));

    for (int32_t i = 0; i < n; i++)
        for (int32_t c = 0; c < dim; c++)
            x[(int64_t) i * dim + c] = draw(&rng, i, c);
    return x;
}

static void *
quantised(const float *rows, int32_t dim)
{
    void       *blocks = gnn_alloc(arena, gnn_quantised_blocks(N), gnn_quantised_width(dim));

    gnn_quantise(blocks, rows, gnn_quantised_blocks(N), dim);
    return blocks;
}

/* ---- the bound ---- */

/* is a row found where the bar is this? Alone, or by the last of some queries that share the block */
static bool
finds(const GnnQuantisedQuery *query, const GnnQuantisedRows *rows, int32_t row, float bar, int n_queries)
{
    const GnnQuantisedQuery *queries[GNN_SHARED] = {query, query, query, query};
    float       bars[GNN_SHARED] = {INFINITY, INFINITY, INFINITY, INFINITY};
    uint16_t    found[GNN_SHARED];

    bars[n_queries - 1] = bar;
    gnn_quantised_find(found, queries, bars, n_queries, rows, row / GNN_BLOCK, 1);
    return (found[n_queries - 1] >> row % GNN_BLOCK & 1) != 0;
}

/* at a bar just below its score every row is found */
static void
check_bound(const char *kind, const char *kernel, const GnnRows *rows, const float *query)
{
    GnnQuantisedQuery q;
    GnnQuantisedRows ways[] = {{.blocks = rows->quantised}, {.blocks = rows->quantised, .scale = rows->scale},
                               {.blocks = rows->quantised, .log_degree = rows->log_degree, .penalty = rows->penalty}};

    if (!gnn_quantise_query(&q, query, rows->dim))
        return;
    for (int32_t i = 0; i < gnn_quantised_blocks(N) * GNN_BLOCK; i++)
    {
        const GnnQuantisedRows *way = &ways[i % N_OF(ways)];
        float       score = gnn_dot(rows->rows + (int64_t) i * rows->dim, query, rows->dim);

        if (way->scale != NULL)
            score *= way->scale[i];
        if (way->log_degree != NULL)
            score = fmaf(-way->penalty, way->log_degree[i], score);
        CHECK_SAY(isnan(score) || score == -INFINITY
                  || finds(&q, way, i, nextafterf(score, -INFINITY), 1 + i / GNN_BLOCK % GNN_SHARED),
                  "%s, %s, dim %d, way %d: row %d of score %g is missed", kind, kernel, rows->dim, i % N_OF(ways), i, score);
    }
}

static void
check_topk(const char *kind, const char *kernel, const GnnRows *rows, const float *query)
{
    static GnnHit should[N];
    static GnnHit is[N];
    int32_t     skip[N];
    int32_t     n_skip = 0;
    GnnRows     plain = *rows;

    plain.quantised = NULL;
    plain.likely = NULL;
    for (int32_t i = 0; i < N; i++)
        if (i % 3 == 1)
            skip[n_skip++] = i;
    for (int j = 0; j < N_OF(ks); j++)
    {
        int64_t     n_skipped = j % 2 ? n_skip : 0;
        int32_t     n = gnn_topk(should, ks[j], &plain, query, skip, n_skipped);
        int32_t     n_is = gnn_topk(is, ks[j], rows, query, skip, n_skipped);

        CHECK_SAY(n_is == n && memcmp(is, should, n * sizeof(GnnHit)) == 0,
                  "%s, %s, dim %d: another top %d", kind, kernel, rows->dim, ks[j]);
    }
}

/* all rows in an order of their own, some numbers that are no row's between them */
static int32_t *
shuffled(int32_t n)
{
    int32_t    *out = gnn_alloc(arena, n + 3, sizeof(int32_t));

    for (int32_t i = 0; i < n; i++)
        out[i + 3] = (int32_t) ((int64_t) i * 7 % n);
    out[0] = -1;
    out[1] = n;
    out[2] = INT32_MIN;
    return out;
}

/* every kind, dimension and kernel; queries of the same kind, and a normal one */
static void
with_all(void (*check) (const char *kind, const char *kernel, const GnnRows *rows, const float *query))
{
    int32_t    *likely = shuffled(N);

    for (int t = 0; t < N_OF(kinds); t++)
        for (int d = 0; d < N_OF(dims); d++)
        {
            float      *queries = drawn(kinds[t].draw, 3, dims[d], 99);
            float      *log_degree = drawn(normal, N, 1, 8);
            GnnRows     rows = {.rows = drawn(kinds[t].draw, N, dims[d], t), .scale = drawn(normal, N, 1, 7), .n = N,
                                .dim = dims[d], .log_degree = log_degree, .penalty = 0.3f,
                                .likely = likely, .n_likely = N + 3};

            for (int32_t i = 0; i < N; i++)
                log_degree[i] = fabsf(log_degree[i]);
            memcpy(queries, drawn(normal, 1, dims[d], 5), dims[d] * sizeof(float));
            rows.quantised = quantised(rows.rows, dims[d]);
            for (int i = 0; gnn_quantised_kernels[i] != NULL; i++)
                for (int q = 0; q < 3 && gnn_quantised_choose(i); q++)
                    check(kinds[t].name, gnn_quantised_kernels[i], &rows, queries + q * dims[d]);
        }
}

static void
bound(void)
{
    with_all(check_bound);
}

/* in turn by cosine, with a penalty, without an idea where to begin, and by product alone */
static void
check_ways(const char *kind, const char *kernel, const GnnRows *rows, const float *query)
{
    static int  way = 0;
    GnnRows     r = *rows;

    r.scale = way == 0 ? rows->scale : NULL;
    r.penalty = way == 1 ? rows->penalty : 0;
    r.likely = way == 2 ? NULL : rows->likely;
    check_topk(kind, kernel, &r, query);
    way = (way + 1) % 4;
}

static void
topk(void)
{
    with_all(check_ways);
}

/* a bound of no use would be a bound too: a bar above the score by a quarter of what it can be is not passed */
static void
narrow(void)
{
    for (int d = 0; d < N_OF(dims); d++)
        for (int i = 0; gnn_quantised_kernels[i] != NULL; i++)
        {
            int32_t     dim = dims[d];
            float      *rows = drawn(normal, N, dim, 1);
            float      *query = drawn(normal, 1, dim, 2);
            void       *blocks = quantised(rows, dim);
            GnnQuantisedRows of = {.blocks = blocks};
            GnnQuantisedQuery q;

            CHECK(gnn_quantise_query(&q, query, dim));
            if (!gnn_quantised_choose(i))
                continue;
            for (int32_t row = 0; row < N / GNN_BLOCK * GNN_BLOCK; row++)
            {
                const float *x = rows + (int64_t) row * dim;
                float       most = sqrtf(gnn_dot(x, x, dim) * gnn_dot(query, query, dim));

                CHECK_SAY(!finds(&q, &of, row, gnn_dot(x, query, dim) + most / 4, 1),
                          "%s, dim %d: row %d passes a bar far above its score", gnn_quantised_kernels[i], dim, row);
            }
        }
}

/* odd numbers up to 15, beside a 16, are values of codes themselves: the answer is the sum but for the last level */
static void
whole_blocks(void)
{
    float       rows[GNN_BLOCK * 16];
    char        blocks[1024] __attribute__((aligned(64)));
    GnnQuantisedQuery q;

    for (int i = 0; i < GNN_BLOCK * 16; i++)
        rows[i] = (float) (i % 16 == 0 ? 16 : 2 * (i * 7 % 15) - 15);
    CHECK(gnn_quantised_width(16) == 64 + 2 * 64 && gnn_quantised_width(9) == 64 + 2 * 64 && gnn_quantised_blocks(31) == 1);
    gnn_quantise(blocks, rows, 1, 16);
    for (int r = 0; r < GNN_BLOCK; r++)
    {
        CHECK(((uint32_t *) blocks)[r] == 0x3f813f80);     /* 1, and a little more than 1 */
        for (int c = 0; c < 16; c++)
        {
            int         pair = (uint8_t) blocks[64 + c / 8 * 64 + r * 4 + c % 4];
            int         code = c % 8 < 4 ? pair & 15 : pair >> 4;

            CHECK(2 * code - 15 == (c == 0 ? 15 : (int) rows[r * 16 + c]));
        }
    }
    CHECK(gnn_quantise_query(&q, rows, 16));
    CHECK(q.groups == 2 && q.whole[0] == 127 && q.whole[1] == (int) lround(rows[1] * 127 / 16));
}

static void
refused(void)
{
    static const float queries[][2] = {{0, 0}, {1e-20f, 0}, {1e16f, 1}, {INFINITY, 1}, {NAN, 1}};
    GnnQuantisedQuery q;

    for (int i = 0; i < N_OF(queries); i++)
        CHECK_SAY(!gnn_quantise_query(&q, queries[i], 2), "query %d", i);
    CHECK(gnn_quantise_query(&q, (float[]) {1e-14f, 0}, 2));
    CHECK(gnn_quantised_width(GNN_MAX_DIM) > 0 && gnn_quantised_width(GNN_MAX_DIM + 1) == 0);
}

static const Test tests[] = {
    {"the layout of a block", whole_blocks},
    {"queries beyond the bound's range are refused", refused},
    {"no row above the bar is missed", bound},
    {"rows far below it are", narrow},
    {"the same best rows", topk},
    {0},
};

const Subject quantise_subject = {"quantise", tests};
