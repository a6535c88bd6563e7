/*
 * test_topk.c: the best rows against a full sort, with ties, skips and every awkward size.
 */
#include "test.h"

#include "core/quantise.h"
#include "core/topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int32_t dims[] = {1, 3, 15, 16, 17, 31, 64, 100};
static const int32_t numbers[] = {0, 1, 3, 5, 127, 256, 257, 700};
static const int32_t ks[] = {0, 1, 3, 20, 256, 1000};

#define N_OF(x) ((int) (sizeof(x) / sizeof((x)[0])))

/* small whole numbers, so that there are many ties, or normal ones */
static float *
random_floats(int64_t n, bool whole, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    float      *x = gnn_alloc(arena, n, sizeof(float));

    for (int64_t i = 0; i < n; i++)
        x[i] = whole ? (float) gnn_rng_below(&rng, 3) - 1 : (float) gnn_rng_normal(&rng);
    return x;
}

static int32_t *
random_skip(int64_t *n_skip, int32_t n, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 1);
    int32_t    *skip = gnn_alloc(arena, 2 * (int64_t) n + 2, sizeof(int32_t));

    *n_skip = 0;
    for (int32_t i = 0; i < n; i++)
        for (int again = 0; again < 2; again++)
            if (gnn_rng_below(&rng, 3) == 0)
                skip[(*n_skip)++] = i;
    return skip;
}

static int
by_rank(const void *a, const void *b)
{
    const GnnHit *x = a;
    const GnnHit *y = b;

    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->row > y->row) - (x->row < y->row);
}

/* all rows but those to skip, sorted in full */
static int32_t
full_sort(GnnHit *all, const GnnRows *rows, const float *query, const int32_t *skip, int64_t n_skip)
{
    int32_t     n = 0;

    for (int32_t i = 0; i < rows->n; i++)
    {
        bool        skipped = false;

        for (int64_t s = 0; s < n_skip; s++)
            skipped |= skip[s] == i;
        if (skipped)
            continue;
        all[n].row = i;
        all[n].score = gnn_dot(rows->rows + (int64_t) i * rows->dim, query, rows->dim);
        if (rows->scale != NULL)
            all[n].score *= rows->scale[i];
        n++;
    }
    qsort(all, n, sizeof(GnnHit), by_rank);
    return n;
}

static void
check_hits(const GnnHit *is, int32_t n_is, const GnnHit *all, int32_t n_all, int32_t k)
{
    int32_t     n = k < n_all ? k : n_all;

    CHECK_SAY(n_is == n, "%d hits, should be %d", n_is, n);
    for (int32_t i = 0; i < n && i < n_is; i++)
        CHECK_SAY(is[i].row == all[i].row && is[i].score == all[i].score, "rank %d of %d: row %d %g, should be %d %g",
                  i, n, is[i].row, is[i].score, all[i].row, all[i].score);
}

/* the rows' copy in 4 bits */
static const void *
quantised(const GnnRows *rows)
{
    int64_t     n_blocks = gnn_quantised_blocks(rows->n);
    void       *blocks = gnn_alloc(arena, n_blocks, gnn_quantised_width(rows->dim));

    gnn_quantise(blocks, rows->rows, n_blocks, rows->dim);
    return blocks;
}

/* about a third of the rows, from the last one on, and numbers of none */
static const int32_t *
some_likely(int32_t *n, int32_t n_rows, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 2);
    int32_t    *likely = gnn_alloc(arena, (int64_t) n_rows + 2, sizeof(int32_t));

    *n = 2;
    likely[0] = n_rows;
    likely[1] = -1;
    for (int32_t i = n_rows - 1; i >= 0; i--)
        if (gnn_rng_below(&rng, 3) == 0)
            likely[(*n)++] = i;
    return likely;
}

/* in turn without a copy in 4 bits and with one, by each kernel */
static void
against_full_sort(bool whole, bool scaled, bool skips)
{
    int         turn = 0;

    for (int d = 0; d < N_OF(dims); d++)
        for (int i = 0; i < N_OF(numbers); i++)
            for (int j = 0; j < N_OF(ks); j++)
            {
                GnnRows     rows = {.n = numbers[i], .dim = dims[d]};
                GnnHit     *all = gnn_alloc(arena, rows.n, sizeof(GnnHit));
                GnnHit     *out = gnn_alloc(arena, ks[j], sizeof(GnnHit));
                float      *query = random_floats(rows.dim, whole, d + 10);
                int64_t     n_skip = 0;
                int32_t    *skip = random_skip(&n_skip, rows.n, i);

                if (!skips)
                    n_skip = 0;
                rows.rows = random_floats((int64_t) rows.n * rows.dim, whole, i);
                rows.scale = scaled ? random_floats(rows.n, false, i + 5) : NULL;
                rows.likely = j % 2 ? some_likely(&rows.n_likely, rows.n, i) : NULL;
                rows.quantised = turn > 0 ? quantised(&rows) : NULL;
                if (turn > 0)
                    gnn_quantised_choose(turn - 1);
                turn = gnn_quantised_kernels[turn] == NULL ? 0 : turn + 1;
                check_hits(out, gnn_topk(out, ks[j], &rows, query, skip, n_skip), all,
                           full_sort(all, &rows, query, skip, n_skip), ks[j]);
            }
}

static void
plain(void)
{
    against_full_sort(false, false, false);
    against_full_sort(false, true, true);
}

static void
ties(void)
{
    against_full_sort(true, false, false);
    against_full_sort(true, false, true);
}

static void
among(void)
{
    GnnRng      rng = gnn_rng(3, GNN_STREAM_INIT, 0);
    GnnRows     rows = {.rows = random_floats(300 * 20, true, 1), .n = 300, .dim = 20};
    float      *query = random_floats(20, true, 2);
    int32_t     given[100];
    GnnHit      all[100];
    GnnHit      out[100];

    for (int i = 0; i < 100; i++)
    {
        given[i] = (int32_t) gnn_rng_below(&rng, 300);
        all[i] = (GnnHit) {.score = gnn_dot(rows.rows + given[i] * 20, query, 20), .row = given[i]};
    }
    qsort(all, 100, sizeof(GnnHit), by_rank);
    for (int32_t k = 0; k <= 100; k += 10)
        check_hits(out, gnn_topk_among(out, k, &rows, query, given, 100), all, 100, k);
    check_hits(out, gnn_topk_among(out, 10, &rows, query, given, 0), all, 0, 10);
}

/* many queries at once are each query alone, to the bit */
static void
many(void)
{
    static const int32_t n_queries[] = {1, 3, 4, 5, 33, 70};

    for (int d = 0; d < N_OF(dims); d++)
        for (int i = 0; i < N_OF(numbers); i++)
            for (int j = 0; j < N_OF(n_queries); j++)
                for (int with = 0; with < 2; with++)
                {
                    int32_t     n = n_queries[j];
                    int32_t     k = j % 2 ? 20 : 1;
                    GnnRows     rows = {.n = numbers[i], .dim = dims[d]};
                    GnnRows     plain;
                    float      *queries = random_floats((int64_t) n * rows.dim, false, 3);
                    GnnHit     *out = gnn_alloc(arena, n * k, sizeof(GnnHit));
                    GnnHit     *one = gnn_alloc(arena, k, sizeof(GnnHit));
                    int32_t    *n_out = gnn_alloc(arena, n, sizeof(int32_t));
                    const int32_t **skip = gnn_alloc(arena, n, sizeof(int32_t *));
                    int64_t    *n_skip = gnn_alloc(arena, n, sizeof(int64_t));

                    rows.rows = random_floats((int64_t) rows.n * rows.dim, false, i);
                    rows.scale = with ? random_floats(rows.n, false, 8) : NULL;
                    rows.quantised = j % 3 != 0 ? quantised(&rows) : NULL;
                    rows.likely = j % 2 ? some_likely(&rows.n_likely, rows.n, j) : NULL;
                    plain = rows;
                    plain.quantised = NULL;
                    plain.likely = NULL;
                    for (int32_t q = 0; q < n; q++)
                        skip[q] = random_skip(&n_skip[q], rows.n, q);
                    gnn_topk_many(out, n_out, k, &rows, queries, n, with ? skip : NULL, n_skip);
                    for (int32_t q = 0; q < n; q++)
                    {
                        int32_t     n_one = gnn_topk(one, k, &plain, queries + (int64_t) q * rows.dim, skip[q],
                                                     with ? n_skip[q] : 0);

                        CHECK(n_one == n_out[q]);
                        CHECK(memcmp(one, out + (int64_t) q * k, n_one * sizeof(GnnHit)) == 0);
                    }
                }
}

static void
dots(void)
{
    for (int32_t dim = 0; dim < 140; dim++)
    {
        float      *a = random_floats(dim, false, 1);
        float      *b = random_floats(dim, false, 2);
        double      sum = 0;

        for (int32_t i = 0; i < dim; i++)
            sum += (double) a[i] * b[i];
        CHECK_NEAR(gnn_dot(a, b, dim), sum, 2e-5);
    }
}

/* scores of minus infinity, the least there is, are still answers */
static void
least_scores(void)
{
    static const float rows[] = {-INFINITY, 1, -INFINITY};
    GnnHit      out[3];

    CHECK(gnn_topk(out, 3, &(GnnRows) {.rows = rows, .n = 3, .dim = 1}, &(float) {1}, NULL, 0) == 3);
    CHECK(out[0].row == 1 && out[1].row == 0 && out[2].row == 2);
}

/* whole rankings, where buckets are sorted by every byte of a key: scores of all sizes and signs, many of them equal */
static void
whole_rankings(void)
{
    const int32_t n = 5000;
    float      *x = random_floats(n, false, 6);
    int32_t    *given = gnn_alloc(arena, n, sizeof(int32_t));
    GnnHit     *all = gnn_alloc(arena, n, sizeof(GnnHit));
    GnnHit     *out = gnn_alloc(arena, n, sizeof(GnnHit));
    GnnRows     rows = {.rows = x, .n = n, .dim = 1};
    float       query = 1;

    for (int32_t i = 0; i < n; i++)
    {
        given[i] = n - 1 - i;
        x[i] = i % 3 == 0 ? (float) (i % 7) : i % 3 == 1 ? x[i] * powf(10, (float) (i % 60 - 30)) : x[i];
    }
    full_sort(all, &rows, &query, NULL, 0);
    check_hits(out, gnn_topk(out, n, &rows, &query, NULL, 0), all, n, n);
    check_hits(out, gnn_topk_among(out, n, &rows, &query, given, n), all, n, n);
    check_hits(out, gnn_topk(out, n - 1, &rows, &query, NULL, 0), all, n, n - 1);
    check_hits(out, gnn_topk_among(out, n / 2, &rows, &query, given, n), all, n, n / 2);
}

/* a score that is no number is minus infinity, and zeros have no sign: there is one order, whatever the function */
static void
odd_scores(void)
{
    static const float rows[] = {NAN, -0.0f, 1, 0, -INFINITY, -1};
    static const int32_t order[] = {2, 1, 3, 5, 0, 4};
    static const int32_t given[] = {5, 4, 3, 2, 1, 0};
    GnnRows     all = {.rows = rows, .n = 6, .dim = 1};
    float       query = 1;
    GnnHit      out[6];

    for (int32_t k = 1; k <= 6; k++)
        for (int way = 0; way < 2; way++)
        {
            CHECK((way ? gnn_topk(out, k, &all, &query, NULL, 0) : gnn_topk_among(out, k, &all, &query, given, 6)) == k);
            for (int32_t i = 0; i < k; i++)
                CHECK_SAY(out[i].row == order[i] && !isnan(out[i].score) && !(out[i].score == 0 && signbit(out[i].score)),
                          "way %d, place %d of %d: row %d, score %g", way, i, k, out[i].row, out[i].score);
        }
}

/* with a penalty: a full sort of penalised scores, whichever function answers */
static void
penalised(void)
{
    static const float penalties[] = {0, 0.01f, 0.5f, 20};

    for (int p = 0; p < N_OF(penalties); p++)
        for (int i = 0; i < N_OF(numbers); i++)
            for (int j = 0; j < N_OF(ks); j++)
            {
                GnnRows     rows = {.n = numbers[i], .dim = 17, .penalty = penalties[p]};
                float      *log_degree = random_floats(rows.n, false, 4);
                GnnHit     *all = gnn_alloc(arena, rows.n, sizeof(GnnHit));
                GnnHit     *out = gnn_alloc(arena, ks[j], sizeof(GnnHit));
                int32_t    *given = gnn_alloc(arena, rows.n, sizeof(int32_t));
                float      *query = random_floats(rows.dim, true, 5);
                int32_t     n;

                for (int32_t r = 0; r < rows.n; r++)
                {
                    log_degree[r] = r % 5 == 0 ? 0 : logf(1 + expf(3 * log_degree[r]));
                    given[r] = rows.n - 1 - r;
                }
                rows.rows = random_floats((int64_t) rows.n * rows.dim, true, i);
                rows.log_degree = log_degree;
                rows.quantised = p % 2 ? quantised(&rows) : NULL;
                full_sort(all, &rows, query, NULL, 0);
                for (int32_t r = 0; r < rows.n; r++)
                    all[r].score = fmaf(-rows.penalty, log_degree[all[r].row], all[r].score);
                qsort(all, rows.n, sizeof(GnnHit), by_rank);
                check_hits(out, gnn_topk(out, ks[j], &rows, query, NULL, 0), all, rows.n, ks[j]);
                check_hits(out, gnn_topk_among(out, ks[j], &rows, query, given, rows.n), all, rows.n, ks[j]);
                gnn_topk_many(out, &n, ks[j], &rows, query, 1, NULL, NULL);
                check_hits(out, n, all, rows.n, ks[j]);
            }
}

static const Test tests[] = {
    {"inner products", dots},
    {"against a full sort", plain},
    {"ties are broken by row", ties},
    {"the least scores", least_scores},
    {"whole rankings", whole_rankings},
    {"scores that are no number, and zeros", odd_scores},
    {"with a penalty", penalised},
    {"among given rows", among},
    {"many queries at once are each alone", many},
    {0},
};

const Subject topk_subject = {"topk", tests};
