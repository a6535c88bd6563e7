/*
 * test_walk.c: where walks go, against the chances computed on dense matrices.
 */
#include "test.h"

#include "core/walk.h"

#include <math.h>
#include <string.h>

#define USERS 4
#define ITEMS 5
#define N (USERS + ITEMS)

static void
make_adjacency(GnnAdjacency *adjacency, int32_t n_users, int32_t n_items, int64_t n, bool weighted)
{
    GnnGraph    g;
    int64_t     n_edges[GNN_MAX_RELATIONS];

    random_graph(&g, n_users, n_items, n, weighted, 6);
    n_edges[0] = g.relations[0].edges.ptr[n_users];
    gnn_adjacency_allocate(adjacency, arena, &g, n_edges);
    gnn_adjacency_fill(adjacency, &g);
}

/* chance of a step from v to u: A_vu / D_v */
static double *
chances(const GnnAdjacency *adjacency)
{
    int64_t     n = adjacency->a.n;
    double     *p = dense_of(&adjacency->a);

    for (int64_t v = 0; v < n; v++)
        for (int64_t u = 0; u < n; u++)
            p[v * n + u] *= adjacency->degree[v] > 0 ? sqrt(adjacency->degree[u] / adjacency->degree[v]) : 0;
    return p;
}

static void
check_steps(const GnnAdjacency *adjacency, double tolerance)
{
    const int   draws = 40000;
    double     *p = chances(adjacency);
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    GnnWalker   walker;
    GnnTeam     team;

    gnn_team_open(&team, 2, NULL, NULL);
    gnn_walker_allocate(&walker, arena, adjacency->a.n);
    gnn_walker_open(&walker, &team, adjacency);
    for (int32_t v = 0; v < adjacency->a.n; v++)
    {
        double      share[N] = {0};

        if (adjacency->degree[v] == 0)
            continue;
        for (int i = 0; i < draws; i++)
            share[gnn_walker_step(&walker, v, &rng)] += 1.0 / draws;
        for (int u = 0; u < N; u++)
            CHECK_NEAR(share[u], p[v * N + u], tolerance);
    }
}

static void
steps(void)
{
    GnnAdjacency adjacency;

    make_adjacency(&adjacency, USERS, ITEMS, 12, true);
    check_steps(&adjacency, 0.015);
    make_adjacency(&adjacency, USERS, ITEMS, 12, false);
    check_steps(&adjacency, 0.015);
}

/* so uneven that proposals are refused for ever: the row is summed up instead */
static void
uneven_steps(void)
{
    static const int32_t from[] = {0, 0, 0, 1};
    static const int32_t to[] = {0, 1, 2, 0};
    static const float weight[] = {1e-9f, 2e-9f, 1, 1e-20f};
    GnnGraph    g = {0};
    GnnCsr      edges;
    GnnAdjacency adjacency;
    int64_t     n_edges[GNN_MAX_RELATIONS] = {4};

    gnn_csr_build(&edges, arena, &(GnnEdges) {.n = 4, .from = from, .to = to, .weight = weight}, USERS, ITEMS);
    gnn_graph_add_nodes(&g, "user", USERS);
    gnn_graph_add_nodes(&g, "item", ITEMS);
    gnn_graph_add_relation(&g, "interaction", 0, 1, &edges);
    gnn_adjacency_allocate(&adjacency, arena, &g, n_edges);
    gnn_adjacency_fill(&adjacency, &g);
    check_steps(&adjacency, 1e-3);
}

static void
fill(GnnVisits *visits, const GnnAdjacency *adjacency, int walks, int length, int kept, int threads)
{
    GnnTeam     team;

    gnn_team_open(&team, threads, NULL, NULL);
    *visits = (GnnVisits) {.walks = walks, .length = length, .kept = kept, .seed = 3};
    gnn_visits_allocate(visits, arena, adjacency->a.n, team.threads);
    gnn_visits_fill(visits, &team, adjacency);
}

/* expected visits of two steps, p + p^2 without the node itself, over their sum */
static void
shares(void)
{
    GnnAdjacency adjacency;
    GnnVisits   visits;
    double     *p;
    double     *is;

    make_adjacency(&adjacency, USERS, ITEMS, 12, true);
    fill(&visits, &adjacency, 30000, 2, N, 2);
    p = chances(&adjacency);
    is = dense_of(&visits.shares.rows);
    for (int v = 0; v < N; v++)
    {
        double      should[N] = {0};
        double      sum = 0;

        for (int u = 0; u < N; u++)
        {
            should[u] = p[v * N + u];
            for (int w = 0; w < N; w++)
                should[u] += p[v * N + w] * p[w * N + u];
            should[u] = u == v ? 0 : should[u];
            sum += should[u];
        }
        for (int u = 0; u < N; u++)
            CHECK_NEAR(is[v * N + u], sum > 0 ? should[u] / sum : 0, 0.015);
    }
}

/* no more than wanted, sorted, adding up to 1, those with the most visits; and the transpose is one */
static void
rows(void)
{
    GnnAdjacency adjacency;
    GnnVisits   few;
    GnnVisits   all;

    make_adjacency(&adjacency, 200, 100, 900, true);
    fill(&few, &adjacency, 20, 3, 5, 2);
    fill(&all, &adjacency, 20, 3, 300, 2);
    for (int32_t v = 0; v < adjacency.a.n; v++)
    {
        const GnnCsr *a = &few.shares.rows;
        double      sum = 0;
        double      least = 1;
        double      of_all = 0;
        int         larger = 0;

        CHECK(a->ptr[v + 1] - a->ptr[v] <= 5 && (a->ptr[v + 1] > a->ptr[v]) == (adjacency.degree[v] > 0));
        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
        {
            CHECK(a->idx[e] != v && a->val[e] > 0 && (e == a->ptr[v] || a->idx[e - 1] < a->idx[e]));
            CHECK(gnn_csr_has(&few.shares.columns, a->idx[e], v));
            sum += a->val[e];
            for (int64_t o = all.shares.rows.ptr[v]; o < all.shares.rows.ptr[v + 1]; o++)
                if (all.shares.rows.idx[o] == a->idx[e])
                {
                    least = fmin(least, all.shares.rows.val[o]);
                    of_all += all.shares.rows.val[o];
                }
        }
        for (int64_t o = all.shares.rows.ptr[v]; o < all.shares.rows.ptr[v + 1]; o++)
            larger += all.shares.rows.val[o] > least * 1.0001;
        CHECK(larger <= 5 && of_all <= 1.0001);
        CHECK(adjacency.degree[v] == 0 || fabs(sum - 1) < 1e-5);
    }
    CHECK(few.shares.rows.ptr[300] == few.shares.columns.ptr[300]);
}

static void
threads_do_not_show(void)
{
    GnnAdjacency adjacency;
    GnnVisits   one;

    make_adjacency(&adjacency, 400, 300, 3000, true);
    fill(&one, &adjacency, 20, 3, 5, 1);
    for (int threads = 2; threads <= 3; threads++)
    {
        GnnVisits   other;
        int64_t     n = one.shares.rows.ptr[700];

        fill(&other, &adjacency, 20, 3, 5, threads);
        CHECK(other.shares.rows.ptr[700] == n);
        CHECK(memcmp(one.shares.rows.idx, other.shares.rows.idx, n * sizeof(int32_t)) == 0);
        CHECK(memcmp(one.shares.columns.val, other.shares.columns.val, n * sizeof(float)) == 0);
    }
}

static const Test tests[] = {
    {"steps go by weight", steps},
    {"steps go by weight where weights are uneven", uneven_steps},
    {"shares of visits against the chances", shares},
    {"those visited most are kept", rows},
    {"the number of threads does not show", threads_do_not_show},
    {0},
};

const Subject walk_subject = {"walk", tests};
