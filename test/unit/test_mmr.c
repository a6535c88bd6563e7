/*
 * test_mmr.c: lists that repeat themselves less, against the formula computed afresh for every choice.
 */
#include "test.h"

#include "core/mmr.h"

#include <math.h>
#include <string.h>

#define N 60
#define DIM 5

/* vectors and a list of scores that falls; whole: small whole numbers, so that there are ties and zero vectors */
static void
random_list(float *vectors, float *inverse, GnnHit *hits, bool whole, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);
    float       score = 3;

    for (int32_t i = 0; i < N; i++)
    {
        float       square = 0;

        for (int c = 0; c < DIM; c++)
            vectors[i * DIM + c] = whole ? (float) gnn_rng_below(&rng, 2) : (float) gnn_rng_normal(&rng);
        for (int c = 0; c < DIM; c++)
            square += vectors[i * DIM + c] * vectors[i * DIM + c];
        inverse[i] = square > 0 ? 1 / sqrtf(square) : 0;
    }
    /* each row once, rows ascending within a score */
    for (int32_t i = 0; i < N; i++)
    {
        bool        next = i > 0 && (!whole || gnn_rng_below(&rng, 4) == 0);

        if (next)
            score -= whole ? 1 : (float) gnn_rng_uniform(&rng);
        hits[i] = (GnnHit) {.score = score, .row = whole ? i : (i * 7) % N};
    }
}

static double
cosine_of(const GnnRows *rows, int32_t a, int32_t b)
{
    double      sum = 0;

    for (int32_t c = 0; c < rows->dim; c++)
        sum += (double) rows->rows[a * rows->dim + c] * rows->rows[b * rows->dim + c];
    return sum * rows->scale[a] * rows->scale[b];
}

/* the formula of mmr.h; list is in its order, taken tells what was chosen */
static double
by_formula(const GnnRows *rows, const GnnHit *list, const bool *taken, int32_t n, int32_t i, double diversity)
{
    double      span = (double) list[0].score - list[n - 1].score;
    double      closest = -INFINITY;

    for (int32_t j = 0; j < n; j++)
        if (taken[j])
            closest = fmax(closest, cosine_of(rows, list[i].row, list[j].row));
    return (1 - diversity) * ((list[i].score - list[n - 1].score) / (span > 0 ? span : 1))
        - diversity * (closest > -INFINITY ? closest : 0);
}

/* what is chosen is, each time, as good as the best that is left */
static void
check_choices(const GnnRows *rows, const GnnHit *list, int32_t n, float diversity)
{
    GnnHit      hits[N];
    float       closest[N];
    bool        taken[N] = {false};
    GnnMmr      m;

    memcpy(hits, list, sizeof(hits));
    gnn_mmr_begin(&m, hits, closest, n, rows, diversity);
    for (int32_t k = 0; k < n; k++)
    {
        int32_t     chosen = -1;
        double      best = -INFINITY;

        gnn_mmr_next(&m);
        CHECK(m.n_chosen == k + 1);
        for (int32_t i = 0; i < n; i++)
        {
            if (!taken[i])
                best = fmax(best, by_formula(rows, list, taken, n, i, diversity));
            if (list[i].row == hits[k].row)
                chosen = i;
        }
        CHECK(chosen >= 0 && !taken[chosen] && list[chosen].score == hits[k].score);
        CHECK_NEAR(by_formula(rows, list, taken, n, chosen, diversity), best, 1e-6);
        taken[chosen] = true;
    }
}

static void
formula(void)
{
    static const float diversities[] = {0, 0.1f, 0.5f, 0.9f, 1};
    float       vectors[N * DIM];
    float       inverse[N];
    GnnHit      list[N];
    GnnRows     rows = {.rows = vectors, .scale = inverse, .n = N, .dim = DIM};

    for (int seed = 0; seed < 10; seed++)
        for (int d = 0; d < 5; d++)
        {
            random_list(vectors, inverse, list, seed % 2 == 1, seed);
            check_choices(&rows, list, N - seed, diversities[d]);
        }
}

/* without diversity the list stays as it is, and so it does where all are alike */
static void
order_kept(void)
{
    float       vectors[N * DIM];
    float       inverse[N];
    GnnHit      list[N];
    GnnHit      hits[N];
    float       closest[N];
    GnnRows     rows = {.rows = vectors, .scale = inverse, .n = N, .dim = DIM};
    GnnMmr      m;

    for (int alike = 0; alike < 2; alike++)
    {
        random_list(vectors, inverse, list, true, 3);
        for (int32_t i = 0; alike && i < N; i++)
        {
            memset(vectors + i * DIM, 0, DIM * sizeof(float));
            vectors[i * DIM + 1] = 2;
            inverse[i] = 0.5f;
        }
        memcpy(hits, list, sizeof(hits));
        gnn_mmr_begin(&m, hits, closest, N, &rows, alike ? 1 : 0);
        while (m.n_chosen < N)
            gnn_mmr_next(&m);
        for (int32_t i = 0; i < N; i++)
            CHECK_SAY(hits[i].row == list[i].row, "place %d: row %d, should be %d", i, hits[i].row, list[i].row);
    }
}

/* three directions, ten rows each: with some diversity the first three are of three */
static void
directions(void)
{
    float       vectors[30 * 3] = {0};
    float       inverse[30];
    GnnHit      hits[30];
    float       closest[30];
    GnnRows     rows = {.rows = vectors, .scale = inverse, .n = 30, .dim = 3};
    GnnMmr      m;

    for (int32_t i = 0; i < 30; i++)
    {
        vectors[i * 3 + i / 10] = 1 + (float) i;
        inverse[i] = 1 / (1 + (float) i);
        hits[i] = (GnnHit) {.score = 30 - (float) i, .row = i};
    }
    gnn_mmr_begin(&m, hits, closest, 30, &rows, 0.6f);
    for (int k = 0; k < 3; k++)
        gnn_mmr_next(&m);
    CHECK(hits[0].row == 0 && hits[1].row == 10 && hits[2].row == 20);
    CHECK(hits[0].score == 30 && hits[1].score == 20);
}

static const Test tests[] = {
    {"choices follow the formula", formula},
    {"order is kept without a reason to change it", order_kept},
    {"planted directions take turns", directions},
    {0},
};

const Subject mmr_subject = {"mmr", tests};
