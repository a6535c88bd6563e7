/*
 * test_graph.c: node ranges, and the adjacency against a dense matrix.
 */
#include "test.h"

#include "core/adjacency.h"

#include <math.h>
#include <string.h>

/* all edges above zero, both ways, dense: n_nodes x n_nodes */
static double *
dense_adjacency(const GnnGraph *g)
{
    int64_t     n = g->n_nodes;
    double     *a = gnn_alloc(arena, n * n, sizeof(double));

    for (int r = 0; r < g->n_relations; r++)
    {
        const GnnRelation *relation = &g->relations[r];
        int64_t     from = g->types[relation->from].first;
        int64_t     to = g->types[relation->to].first;
        double     *e = dense_of(&relation->edges);

        for (int32_t i = 0; i < relation->edges.n; i++)
            for (int32_t j = 0; j < relation->edges.n_cols; j++)
            {
                double      w = e[i * relation->edges.n_cols + j];

                if (w <= 0)
                    continue;
                a[(from + i) * n + to + j] += w;
                if (from + i != to + j)
                    a[(to + j) * n + from + i] += w;
            }
    }
    return a;
}

static void
allocate_for(GnnAdjacency *adjacency, const GnnGraph *g)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];

    for (int r = 0; r < g->n_relations; r++)
        n_edges[r] = g->relations[r].edges.ptr[g->relations[r].edges.n];
    gnn_adjacency_allocate(adjacency, arena, g, n_edges);
}

/* a: what it should be, before it is normalised */
static void
check_normalised(const GnnAdjacency *adjacency, const double *a)
{
    int64_t     n = adjacency->a.n;
    double     *d = gnn_alloc(arena, n, sizeof(double));
    double     *is = dense_of(&adjacency->a);

    for (int64_t v = 0; v < n; v++)
        for (int64_t w = 0; w < n; w++)
            d[v] += a[v * n + w];
    for (int64_t v = 0; v < n; v++)
    {
        CHECK_NEAR(adjacency->degree[v], d[v], 1e-6 * d[v]);
        for (int64_t e = adjacency->a.ptr[v] + 1; e < adjacency->a.ptr[v + 1]; e++)
            CHECK(adjacency->a.idx[e - 1] < adjacency->a.idx[e]);
        for (int64_t w = 0; w < n; w++)
        {
            double      should = a[v * n + w] > 0 ? a[v * n + w] / sqrt(d[v]) / sqrt(d[w]) : 0;

            CHECK_NEAR(is[v * n + w], should, 1e-6);
            CHECK(is[v * n + w] == is[w * n + v]);
        }
    }
}

/* without a share of the edges: whatever is left has degrees and a normalisation of its own */
static void
check_dropped(const GnnAdjacency *whole, const GnnGraph *g, double *a)
{
    GnnAdjacency some;
    GnnTeam     team;
    double     *is;

    gnn_team_open(&team, 2, NULL, NULL);
    allocate_for(&some, g);
    gnn_adjacency_drop(&some, &team, whole, 0.4, gnn_rng(1, GNN_STREAM_EDGES, 1));
    is = dense_of(&some.a);
    for (int64_t i = 0; i < g->n_nodes * g->n_nodes; i++)
        if (is[i] == 0)
            a[i] = 0;
    check_normalised(&some, a);
}

static void
check_adjacency(const GnnGraph *g)
{
    double     *a = dense_adjacency(g);
    GnnAdjacency adjacency;

    allocate_for(&adjacency, g);
    gnn_adjacency_fill(&adjacency, g);
    check_normalised(&adjacency, a);
    check_dropped(&adjacency, g, a);
}

static void
node_ranges(void)
{
    GnnGraph    g = {0};

    CHECK(gnn_graph_add_nodes(&g, "user", 5) == 0);
    CHECK(gnn_graph_add_nodes(&g, "item", 0) == 1);
    CHECK(gnn_graph_add_nodes(&g, "brand", 7) == 2);
    CHECK(g.types[0].first == 0 && g.types[1].first == 5 && g.types[2].first == 5 && g.n_nodes == 12);
}

static void
one_relation(void)
{
    GnnGraph    g;

    random_graph(&g, 9, 7, 30, true, 1);
    check_adjacency(&g);
    random_graph(&g, 9, 7, 30, false, 2);
    check_adjacency(&g);
    random_graph(&g, 3, 3, 0, false, 2);
    check_adjacency(&g);
}

/* a second relation between the same types, one from a type to itself, a third type, weights below zero */
static void
many_relations(void)
{
    GnnGraph    g;
    GnnCsr      edges[4];

    random_graph(&g, 9, 7, 30, true, 3);
    gnn_graph_add_nodes(&g, "brand", 4);
    random_csr(&edges[0], 9, 7, 40, true, 4);
    random_csr(&edges[1], 7, 4, 12, false, 5);
    random_csr(&edges[2], 9, 9, 60, true, 6);
    random_csr(&edges[3], 7, 9, 20, true, 7);
    edges[0].val[1] = -3;
    edges[2].val[5] = 0;
    gnn_graph_add_relation(&g, "view", 0, 1, &edges[0]);
    gnn_graph_add_relation(&g, "made by", 1, 2, &edges[1]);
    gnn_graph_add_relation(&g, "follows", 0, 0, &edges[2]);
    gnn_graph_add_relation(&g, "seen by", 1, 0, &edges[3]);
    check_adjacency(&g);
}

static void
exotic_weights(void)
{
    GnnGraph    g;

    random_graph(&g, 9, 7, 30, true, 3);
    for (int64_t e = 0; e < g.relations[0].edges.ptr[9]; e++)
        g.relations[0].edges.val[e] = e % 2 ? 1e-30f : 1e30f;
    check_adjacency(&g);
}

/* ---- without a share of the edges ---- */

static void
drop(GnnAdjacency *some, const GnnGraph *g, const GnnAdjacency *whole, double share, int64_t pass, int threads)
{
    GnnTeam     team;

    gnn_team_open(&team, threads, NULL, NULL);
    allocate_for(some, g);
    gnn_adjacency_drop(some, &team, whole, share, gnn_rng(1, GNN_STREAM_EDGES, (uint64_t) pass));
}

static bool
same_edges(const GnnAdjacency *a, const GnnAdjacency *b)
{
    int64_t     n = a->a.ptr[a->a.n];

    return n == b->a.ptr[b->a.n] && memcmp(a->a.idx, b->a.idx, n * sizeof(int32_t)) == 0
        && memcmp(a->a.val, b->a.val, n * sizeof(float)) == 0;
}

static void
dropped_edges(void)
{
    GnnGraph    g;
    GnnAdjacency whole;
    GnnAdjacency some;
    GnnAdjacency other;
    double      kept;

    random_graph(&g, 400, 300, 8000, true, 8);
    allocate_for(&whole, &g);
    gnn_adjacency_fill(&whole, &g);
    drop(&some, &g, &whole, 0.3, -1, 1);
    kept = (double) some.a.ptr[some.a.n] / (double) whole.a.ptr[whole.a.n];
    CHECK_SAY(kept > 0.67 && kept < 0.73, "kept %g", kept);
    drop(&other, &g, &whole, 0.3, -1, 3);
    CHECK(same_edges(&some, &other));
    drop(&other, &g, &whole, 0.3, 1, 1);
    CHECK(!same_edges(&some, &other));
    drop(&other, &g, &whole, 0, 1, 1);
    CHECK(other.a.ptr[other.a.n] == whole.a.ptr[whole.a.n]);
}

static const Test tests[] = {
    {"node types are ranges", node_ranges},
    {"a share of the edges is left out, the same by any number of threads, others in another pass", dropped_edges},
    {"the adjacency of one relation", one_relation},
    {"the adjacency of many relations", many_relations},
    {"the adjacency with exotic weights", exotic_weights},
    {0},
};

const Subject graph_subject = {"graph", tests};
