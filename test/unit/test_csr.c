/*
 * test_csr.c: rows are sorted, duplicates merged, whatever order the edges came in.
 */
#include "test.h"

#include <math.h>
#include <string.h>

static void
check_sorted(const GnnCsr *a)
{
    CHECK(a->ptr[0] == 0);
    for (int32_t r = 0; r < a->n; r++)
    {
        CHECK(a->ptr[r] <= a->ptr[r + 1]);
        for (int64_t e = a->ptr[r] + 1; e < a->ptr[r + 1]; e++)
            CHECK(a->idx[e - 1] < a->idx[e]);
    }
}

#define ROWS 13
#define COLS 9
#define EDGES 400

typedef struct Lists
{
    int32_t     from[EDGES];
    int32_t     to[EDGES];
    float       weight[EDGES];
    double      time[EDGES];
} Lists;

static void
fill(Lists *l, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 0);

    for (int i = 0; i < EDGES; i++)
    {
        l->from[i] = (int32_t) gnn_rng_below(&rng, ROWS - 1);     /* the last row is empty */
        l->to[i] = (int32_t) gnn_rng_below(&rng, COLS);
        l->weight[i] = (float) gnn_rng_normal(&rng);
        l->time[i] = gnn_rng_uniform(&rng);
    }
}

static void
against_dense(void)
{
    static Lists l;
    double      weight[ROWS][COLS] = {{0}};
    double      time[ROWS][COLS] = {{0}};
    GnnEdges    edges = {.n = EDGES, .from = l.from, .to = l.to, .weight = l.weight, .time = l.time};
    GnnCsr      a;
    int64_t     n = 0;

    fill(&l, 1);
    for (int i = 0; i < EDGES; i++)
    {
        weight[l.from[i]][l.to[i]] += l.weight[i];
        time[l.from[i]][l.to[i]] = fmax(time[l.from[i]][l.to[i]], l.time[i]);
    }
    gnn_csr_build(&a, arena, &edges, ROWS, COLS);
    check_sorted(&a);
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t c = 0; c < COLS; c++)
        {
            CHECK(gnn_csr_has(&a, r, c) == (time[r][c] > 0));
            n += time[r][c] > 0;
        }
    CHECK(a.ptr[ROWS] == n);
    for (int32_t r = 0; r < ROWS; r++)
        for (int64_t e = a.ptr[r]; e < a.ptr[r + 1]; e++)
        {
            CHECK_NEAR(a.val[e], weight[r][a.idx[e]], 1e-6);
            CHECK(a.time[e] == time[r][a.idx[e]]);
        }
}

/* the same edges in another order: the same bits */
static void
order_does_not_show(void)
{
    static Lists l;
    static Lists shuffled;
    GnnEdges    edges = {.n = EDGES, .from = l.from, .to = l.to, .weight = l.weight, .time = l.time};
    GnnEdges    other = {.n = EDGES, .from = shuffled.from, .to = shuffled.to, .weight = shuffled.weight,
                         .time = shuffled.time};
    GnnCsr      a;
    GnnCsr      b;

    fill(&l, 2);
    for (int i = 0; i < EDGES; i++)
        l.weight[i] = i % 3 == 0 ? 1e20f : i % 3 == 1 ? -1e20f : l.weight[i];     /* the order of a sum matters */
    for (int i = 0; i < EDGES; i++)
    {
        int         j = (i * 7 + 11) % EDGES;

        shuffled.from[i] = l.from[j];
        shuffled.to[i] = l.to[j];
        shuffled.weight[i] = l.weight[j];
        shuffled.time[i] = l.time[j];
    }
    gnn_csr_build(&a, arena, &edges, ROWS, COLS);
    gnn_csr_build(&b, arena, &other, ROWS, COLS);
    CHECK(memcmp(a.ptr, b.ptr, (ROWS + 1) * sizeof(int64_t)) == 0);
    CHECK(memcmp(a.idx, b.idx, a.ptr[ROWS] * sizeof(int32_t)) == 0);
    CHECK(memcmp(a.val, b.val, a.ptr[ROWS] * sizeof(float)) == 0);
    CHECK(memcmp(a.time, b.time, a.ptr[ROWS] * sizeof(double)) == 0);
}

static void
weights_of_one(void)
{
    static const int32_t from[] = {1, 0, 1, 1};
    static const int32_t to[] = {2, 1, 0, 2};
    static const float ones[] = {1, 1, 1, 1};
    static const float halves[] = {0.5f, 1, 1, 0.5f};
    GnnCsr      a;

    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 3, .from = from, .to = to}, 2, 3);
    CHECK(a.val == NULL && a.ptr[2] == 3);
    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 3, .from = from, .to = to, .weight = ones}, 2, 3);
    CHECK(a.val == NULL);
    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 4, .from = from, .to = to}, 2, 3);
    CHECK(a.val != NULL && a.ptr[2] == 3 && a.val[0] == 1 && a.val[1] == 1 && a.val[2] == 2);
    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 4, .from = from, .to = to, .weight = halves}, 2, 3);
    CHECK(a.val == NULL && a.ptr[2] == 3);
    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 0}, 2, 3);
    CHECK(a.ptr[2] == 0);
    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 0}, 0, 0);
    CHECK(a.ptr[0] == 0);
}

static void
huge_weights(void)
{
    static const int32_t zero[] = {0, 0};
    static const float weight[] = {3e38f, 3e38f};
    GnnCsr      a;

    gnn_csr_build(&a, arena, &(GnnEdges) {.n = 2, .from = zero, .to = zero, .weight = weight}, 1, 1);
    CHECK(isfinite(a.val[0]) && a.val[0] > 3e38f);
}

static void
transposed(void)
{
    static Lists l;
    GnnEdges    edges = {.n = EDGES, .from = l.from, .to = l.to, .weight = l.weight, .time = l.time};
    GnnCsr      a;
    GnnCsr      b;
    double     *dense;
    double     *back;

    fill(&l, 3);
    gnn_csr_build(&a, arena, &edges, ROWS, COLS);
    gnn_csr_transpose(&b, arena, &a);
    check_sorted(&b);
    CHECK(b.n == COLS && b.n_cols == ROWS);
    dense = dense_of(&a);
    back = dense_of(&b);
    for (int32_t r = 0; r < ROWS; r++)
        for (int32_t c = 0; c < COLS; c++)
            CHECK(dense[r * COLS + c] == back[c * ROWS + r]);
    gnn_csr_transpose(&b, arena, &b);
    CHECK(memcmp(a.time, b.time, a.ptr[ROWS] * sizeof(double)) == 0);
}

static void
positive(void)
{
    static Lists l;
    GnnEdges    edges = {.n = EDGES, .from = l.from, .to = l.to, .weight = l.weight, .time = l.time};
    GnnCsr      a;
    GnnCsr      b;
    double     *dense;
    double     *kept;

    fill(&l, 4);
    gnn_csr_build(&a, arena, &edges, ROWS, COLS);
    a.val[2] = 0;
    gnn_csr_positive(&b, arena, &a);
    check_sorted(&b);
    dense = dense_of(&a);
    kept = dense_of(&b);
    for (int32_t i = 0; i < ROWS * COLS; i++)
        CHECK(kept[i] == (dense[i] > 0 ? dense[i] : 0));
    CHECK(b.time != NULL && b.ptr[ROWS] < a.ptr[ROWS]);
    gnn_csr_positive(&a, arena, &b);
    CHECK(a.idx == b.idx);
}

static const Test tests[] = {
    {"edges against a dense matrix", against_dense},
    {"the order of reading does not show", order_does_not_show},
    {"weights of one are not stored", weights_of_one},
    {"huge weights stay finite", huge_weights},
    {"transposing", transposed},
    {"only what is above zero", positive},
    {0},
};

const Subject csr_subject = {"csr", tests};
