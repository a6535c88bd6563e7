/*
 * test_holdout.c: what is held out is a share of each user's, the latest, and not lost.
 */
#include "test.h"

#include "train/holdout.h"

#include <math.h>
#include <string.h>

#define USERS 400
#define ITEMS 60

static void
interactions(GnnCsr *a, bool weighted, bool timed, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);

    random_csr(a, USERS, ITEMS, 4000, weighted, seed);
    if (timed)
        a->time = gnn_alloc(arena, a->ptr[USERS], sizeof(double));
    for (int64_t e = 0; e < a->ptr[USERS]; e++)
    {
        if (timed)
            a->time[e] = floor(20 * gnn_rng_uniform(&rng));
        if (a->val != NULL && e % 9 == 0)
            a->val[e] = -1;
    }
}

/* every entry is in exactly one of the parts, with its weight */
static void
check_parts(const GnnCsr *a, const GnnCsr *train, const GnnCsr *held)
{
    double     *whole = dense_of(a);
    double     *kept = dense_of(train);
    double     *out = dense_of(held);

    for (int32_t i = 0; i < USERS * ITEMS; i++)
        CHECK(whole[i] == kept[i] + out[i] && (kept[i] == 0 || out[i] == 0));
    CHECK(train->ptr[USERS] + held->ptr[USERS] == a->ptr[USERS]);
}

static int64_t
positives(const GnnCsr *a, int32_t row)
{
    int64_t     n = 0;

    for (int64_t e = a->ptr[row]; e < a->ptr[row + 1]; e++)
        n += a->val == NULL || a->val[e] > 0;
    return n;
}

static void
check_shares(const GnnCsr *a, const GnnCsr *train, const GnnCsr *held, double share)
{
    double      expected = 0;

    for (int32_t u = 0; u < USERS; u++)
    {
        int64_t     n = positives(a, u);
        int64_t     out = held->ptr[u + 1] - held->ptr[u];

        CHECK(positives(held, u) == out);
        CHECK(n < 2 ? out == 0 : positives(train, u) >= 1);
        CHECK(fabs(out - share * n) <= 1);
        expected += n < 2 ? 0 : share * n;
    }
    if (share <= 0.5)           /* above, the one that is kept weighs more */
        CHECK_NEAR(held->ptr[USERS], expected, 3 * sqrt(USERS * 0.25) + 1);
}

static void
shares(void)
{
    static const double share[] = {0.01, 0.1, 0.25, 0.5, 0.95};

    for (int s = 0; s < 5; s++)
        for (int kind = 0; kind < 4; kind++)
        {
            GnnCsr      a, train, held;

            interactions(&a, kind & 1, kind & 2, 3);
            gnn_holdout_split(&train, &held, arena, &a, share[s], 5);
            check_parts(&a, &train, &held);
            check_shares(&a, &train, &held, share[s]);
        }
}

static double
time_of(const GnnCsr *a, int32_t user, int32_t item)
{
    for (int64_t e = a->ptr[user]; e < a->ptr[user + 1]; e++)
        if (a->idx[e] == item)
            return a->time[e];
    return NAN;
}

static void
latest(void)
{
    GnnCsr      a, train, held;

    interactions(&a, true, true, 4);
    gnn_holdout_split(&train, &held, arena, &a, 0.3, 5);
    for (int32_t u = 0; u < USERS; u++)
        for (int64_t h = held.ptr[u]; h < held.ptr[u + 1]; h++)
            for (int64_t t = train.ptr[u]; t < train.ptr[u + 1]; t++)
                if (train.val[t] > 0)
                    CHECK(time_of(&a, u, held.idx[h]) >= time_of(&a, u, train.idx[t]));
}

static void
by_seed(void)
{
    GnnCsr      a, train, held, again, other;

    interactions(&a, false, false, 4);
    gnn_holdout_split(&train, &held, arena, &a, 0.3, 5);
    gnn_holdout_split(&train, &again, arena, &a, 0.3, 5);
    gnn_holdout_split(&train, &other, arena, &a, 0.3, 6);
    CHECK(held.ptr[USERS] == again.ptr[USERS]);
    CHECK(memcmp(held.idx, again.idx, held.ptr[USERS] * sizeof(int32_t)) == 0);
    CHECK(held.ptr[USERS] != other.ptr[USERS] || memcmp(held.idx, other.idx, held.ptr[USERS] * sizeof(int32_t)) != 0);
}

/* another relation keeps what is not held out, and nothing else */
static void
beside(void)
{
    GnnCsr      a, b, train, held, rest;
    double     *whole;
    double     *kept;
    double     *out;

    interactions(&a, false, true, 4);
    interactions(&b, true, true, 7);
    gnn_holdout_split(&train, &held, arena, &a, 0.3, 5);
    gnn_holdout_drop(&rest, arena, &b, &held);
    whole = dense_of(&b);
    kept = dense_of(&rest);
    out = dense_of(&held);
    for (int32_t i = 0; i < USERS * ITEMS; i++)
        CHECK(kept[i] == (out[i] != 0 ? 0 : whole[i]));
    CHECK(rest.ptr[USERS] < b.ptr[USERS]);
}

static const Test tests[] = {
    {"shares of each user, nothing lost", shares},
    {"the latest, where there are times", latest},
    {"by chance else, and by seed", by_seed},
    {"from another relation too", beside},
    {0},
};

const Subject holdout_subject = {"holdout", tests};
