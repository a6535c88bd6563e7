/*
 * test_audience.c: the vectors further types are ranked by, against dense products over the paths.
 */
#include "test.h"

#include "train/audience.h"

#include <math.h>

#define USERS 11
#define ITEMS 13
#define BRANDS 4
#define MAKERS 3
#define DIM 5

/* C += A B, of n x m and m x k, or of A's transpose where so */
static void
add_product(double *c, const double *a, const double *b, int n, int m, int k, bool transposed)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < m; j++)
            for (int l = 0; l < k; l++)
                c[i * k + l] += (transposed ? a[j * n + i] : a[i * m + j]) * b[j * k + l];
}

static void
check_type(const GnnAudience *a, int type, const double *paths, const float *users)
{
    int         n = a->graph->types[type].n;

    for (int j = 0; j < n; j++)
    {
        double      weight = 0;
        double      sum[DIM] = {0};

        for (int u = 0; u < USERS; u++)
        {
            weight += paths[u * n + j];
            for (int c = 0; c < DIM; c++)
                sum[c] += paths[u * n + j] * users[u * DIM + c];
        }
        CHECK_NEAR(a->weight[type][j], weight, 1e-4);
        for (int c = 0; c < DIM; c++)
            CHECK_NEAR(a->vector[type][j * DIM + c], weight > 0 ? sum[c] / sqrt(weight) : 0, 1e-4);
    }
}

static float *
random_users(void)
{
    GnnRng      rng = gnn_rng(3, GNN_STREAM_INIT, 0);
    float      *users = gnn_alloc(arena, USERS * DIM, sizeof(float));

    for (int i = 0; i < USERS * DIM; i++)
        users[i] = (float) gnn_rng_normal(&rng);
    return users;
}

/* users - items - brands - makers, the last relation given the other way round; items like items, which is no way outwards */
static void
along_paths(void)
{
    GnnGraph    g;
    GnnCsr      brand, like, makes;
    GnnAudience a;
    float      *users = random_users();
    double     *to_brand = gnn_alloc(arena, USERS * BRANDS, sizeof(double));
    double     *to_maker = gnn_alloc(arena, USERS * MAKERS, sizeof(double));
    double     *of_brand = gnn_alloc(arena, BRANDS * MAKERS, sizeof(double));

    random_graph(&g, USERS, ITEMS, 40, true, 1);
    gnn_graph_add_nodes(&g, "brand", BRANDS);
    gnn_graph_add_nodes(&g, "maker", MAKERS);
    random_csr(&brand, ITEMS, BRANDS, 20, true, 2);
    random_csr(&like, ITEMS, ITEMS, 20, true, 3);
    random_csr(&makes, MAKERS, BRANDS, 5, false, 4);
    gnn_graph_add_relation(&g, "brand", 1, 2, &brand);
    gnn_graph_add_relation(&g, "like", 1, 1, &like);
    gnn_graph_add_relation(&g, "makes", 3, 2, &makes);
    gnn_audience_allocate(&a, arena, &g, DIM);
    gnn_audience_run(&a, users);
    gnn_audience_run(&a, users);        /* the second time as the first */

    add_product(to_brand, dense_of(&g.relations[0].edges), dense_of(&brand), USERS, ITEMS, BRANDS, false);
    for (int m = 0; m < MAKERS; m++)
        for (int b = 0; b < BRANDS; b++)
            of_brand[b * MAKERS + m] = dense_of(&makes)[m * BRANDS + b];
    add_product(to_maker, to_brand, of_brand, USERS, BRANDS, MAKERS, false);
    CHECK(a.distance[0] == 0 && a.distance[1] == 1 && a.distance[2] == 2 && a.distance[3] == 3);
    check_type(&a, 2, to_brand, users);
    check_type(&a, 3, to_maker, users);
}

/* where users are joined to a type themselves, the way over items is the longer one; a type without a way has no audience */
static void
the_shortest_way(void)
{
    GnnGraph    g;
    GnnCsr      brand, follows;
    GnnAudience a;
    float      *users = random_users();

    random_graph(&g, USERS, ITEMS, 40, true, 1);
    gnn_graph_add_nodes(&g, "brand", BRANDS);
    gnn_graph_add_nodes(&g, "maker", MAKERS);
    random_csr(&brand, ITEMS, BRANDS, 20, true, 2);
    random_csr(&follows, USERS, BRANDS, 9, true, 5);
    follows.val[0] = -1;
    gnn_graph_add_relation(&g, "brand", 1, 2, &brand);
    gnn_graph_add_relation(&g, "follows", 0, 2, &follows);
    gnn_audience_allocate(&a, arena, &g, DIM);
    gnn_audience_run(&a, users);
    follows.val[0] = 0;
    check_type(&a, 2, dense_of(&follows), users);
    CHECK(a.distance[3] == -1);
    for (int m = 0; m < MAKERS; m++)
        CHECK(a.weight[3][m] == 0 && a.vector[3][m * DIM] == 0);
}

/* three heavy edges, one after the other, weigh more than a float can hold: such an audience is not counted, and is no NaN */
static void
too_heavy(void)
{
    GnnGraph    g;
    GnnCsr      one = {.n = 1, .n_cols = 1, .ptr = (int64_t[]) {0, 1}, .idx = (int32_t[]) {0}, .val = (float[]) {1e30f}};
    GnnAudience a;
    float      *users = random_users();

    g = (GnnGraph) {0};
    for (int t = 0; t < 4; t++)
        gnn_graph_add_nodes(&g, (const char *[]) {"user", "item", "brand", "maker"}[t], 1);
    for (int t = 0; t < 3; t++)
        gnn_graph_add_relation(&g, "to", t, t + 1, &one);
    gnn_audience_allocate(&a, arena, &g, DIM);
    gnn_audience_run(&a, users);
    CHECK(gnn_audience_reaches(&a, 1, 0) && !gnn_audience_reaches(&a, 0, 0));
    CHECK(!gnn_audience_reaches(&a, 2, 0) && !gnn_audience_reaches(&a, 3, 0));
    for (int c = 0; c < DIM; c++)
        CHECK(isfinite(a.vector[3][c]));
}

static void
none_without_further_types(void)
{
    GnnGraph    g;
    GnnAudience a;
    GnnArena    counting;

    random_graph(&g, USERS, ITEMS, 40, true, 1);
    gnn_arena_counting(&counting);
    gnn_audience_allocate(&a, &counting, &g, DIM);
    CHECK(counting.used == 0);
    gnn_audience_run(&a, NULL);
}

static const Test tests[] = {
    {"along paths", along_paths},
    {"the shortest way", the_shortest_way},
    {"too heavy", too_heavy},
    {"none without further types", none_without_further_types},
    {0}
};

const Subject audience_subject = {"audience", tests};
