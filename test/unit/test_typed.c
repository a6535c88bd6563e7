/*
 * test_typed.c: the graph with its relations kept apart, against the edges it was made of.
 */
#include "test.h"

#include "core/typed.h"

#include <math.h>
#include <string.h>

/* users, items and brands; two relations between the same types, one of a type with itself, one without edges, and dislikes */
static void
make(GnnGraph *g, GnnTyped *t)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];
    GnnCsr      edges;

    random_graph(g, 40, 30, 200, true, 3);
    for (int64_t e = 0; e < g->relations[0].edges.ptr[40]; e += 7)
        g->relations[0].edges.val[e] *= -1;
    gnn_graph_add_nodes(g, "brand", 4);
    random_csr(&edges, 30, 4, 60, false, 4);
    gnn_graph_add_relation(g, "made by", 1, 2, &edges);
    random_csr(&edges, 40, 40, 300, true, 5);
    gnn_graph_add_relation(g, "follows", 0, 0, &edges);
    random_csr(&edges, 4, 30, 0, false, 6);
    gnn_graph_add_relation(g, "shows", 2, 1, &edges);
    random_csr(&edges, 30, 4, 50, true, 7);
    gnn_graph_add_relation(g, "sold by", 1, 2, &edges);
    for (int r = 0; r < g->n_relations; r++)
        n_edges[r] = g->relations[r].edges.ptr[g->relations[r].edges.n];
    gnn_typed_allocate(t, arena, g, n_edges);
    gnn_typed_fill(t, g);
}

/* weight of directed relation d from node v to node u; 0: no edge */
static double
weight_of(const GnnGraph *g, int d, int64_t v, int64_t u)
{
    const GnnRelation *r = &g->relations[d / 2];
    int64_t     row = (d % 2 == 0 ? v : u) - g->types[r->from].first;
    int64_t     column = (d % 2 == 0 ? u : v) - g->types[r->to].first;

    if (row < 0 || row >= r->edges.n || column < 0 || column >= r->edges.n_cols)
        return 0;
    for (int64_t e = r->edges.ptr[row]; e < r->edges.ptr[row + 1]; e++)
        if (r->edges.idx[e] == column)
            return fmax(0, r->edges.val != NULL ? r->edges.val[e] : 1);
    return 0;
}

/* walks each row beside all it could hold */
static void
all_edges_at_both_ends(void)
{
    GnnGraph    g;
    GnnTyped    t;
    int         loops = 0;

    make(&g, &t);
    for (int64_t v = 0; v < g.n_nodes; v++)
    {
        int64_t     e = t.ptr[v];

        for (int d = 0; d < 2 * g.n_relations; d++)
        {
            double      sum = 0;

            for (int64_t u = 0; u < g.n_nodes; u++)
                sum += weight_of(&g, d, v, u);
            for (int64_t u = 0; u < g.n_nodes; u++)
            {
                double      weight = weight_of(&g, d, v, u);

                CHECK(gnn_typed_has(&t, v, d, (int32_t) u) == (weight > 0));
                if (weight == 0)
                    continue;
                CHECK(e < t.ptr[v + 1] && t.idx[e] == u && t.relation[e] == d);
                CHECK_NEAR(t.share[e], weight / sum, 1e-6);
                loops += u == v;
                e++;
            }
        }
        CHECK(e == t.ptr[v + 1]);
    }
    CHECK(loops > 0);
}

static void
ends_know_each_other(void)
{
    GnnGraph    g;
    GnnTyped    t;

    make(&g, &t);
    for (int64_t v = 0; v < g.n_nodes; v++)
        for (int64_t e = t.ptr[v]; e < t.ptr[v + 1]; e++)
        {
            int64_t     other = gnn_opposite(&t, e);

            CHECK(other >= t.ptr[t.idx[e]] && other < t.ptr[t.idx[e] + 1]);
            CHECK(t.idx[other] == v && t.relation[other] == (t.relation[e] ^ 1) && gnn_opposite(&t, other) == e);
        }
}

/* a node of more edges than are gathered at once */
static void
sums_over_runs(void)
{
    const int64_t dim = 21;
    GnnGraph    g;
    GnnTyped    t;
    int64_t     n_edges[GNN_MAX_RELATIONS];
    real       *x;
    real       *weight;
    real        y[21];

    random_graph(&g, 2, 700, 4000, true, 3);
    n_edges[0] = g.relations[0].edges.ptr[2];
    gnn_typed_allocate(&t, arena, &g, n_edges);
    gnn_typed_fill(&t, &g);
    x = gnn_alloc(arena, g.n_nodes * dim, sizeof(real));
    weight = gnn_alloc(arena, t.n_edges, sizeof(real));
    for (int64_t i = 0; i < g.n_nodes * dim; i++)
        x[i] = (real) (i % 17) - 8;
    for (int64_t e = 0; e < t.n_edges; e++)
        weight[e] = (real) (e % 13) / 4;
    for (int which = 0; which < 2; which++)
        for (int64_t v = 0; v < g.n_nodes; v++)
        {
            gnn_typed_gather(y, &t, t.ptr[v], t.ptr[v + 1], weight, which == 0 ? GNN_END_OWN : GNN_END_OPPOSITE, x, dim);
            for (int c = 0; c < dim; c++)
            {
                double      sum = 0;

                for (int64_t e = t.ptr[v]; e < t.ptr[v + 1]; e++)
                    sum += weight[which == 0 ? e : gnn_opposite(&t, e)] * x[t.idx[e] * dim + c];
                CHECK_NEAR(y[c], sum, 1e-2);
            }
        }
    CHECK(t.ptr[1] > 600);
}

static void
nothing_in_it(void)
{
    GnnGraph    g;
    GnnTyped    t;

    random_graph(&g, 3, 2, 0, false, 1);
    gnn_typed_allocate(&t, arena, &g, (int64_t[GNN_MAX_RELATIONS]) {0});
    gnn_typed_fill(&t, &g);
    for (int v = 0; v <= 5; v++)
        CHECK(t.ptr[v] == 0);
    CHECK(!gnn_typed_has(&t, 0, 0, 3));
}

/* edges go at both ends or at neither, and what is left of a run shares it */
static void
dropped_edges(void)
{
    GnnGraph    g;
    GnnTyped    t;
    GnnTyped    view;
    GnnTeam     team;
    int64_t     dropped = 0;

    make(&g, &t);
    gnn_team_open(&team, 2, NULL, NULL);
    gnn_typed_allocate_view(&view, arena, &t);
    gnn_typed_drop(&view, &team, &t, 0.3, gnn_rng(1, GNN_STREAM_EDGES, 1));
    for (int64_t v = 0; v < g.n_nodes; v++)
        for (int64_t start = t.ptr[v], end; start < t.ptr[v + 1]; start = end)
        {
            double      left = 0;

            end = gnn_run_end(&t, start, t.ptr[v + 1]);
            for (int64_t e = start; e < end; e++)
                left += view.share[e] > 0 ? t.share[e] : 0;
            for (int64_t e = start; e < end; e++)
            {
                CHECK((view.share[e] > 0) == (view.share[gnn_opposite(&t, e)] > 0));
                CHECK_NEAR(view.share[e], view.share[e] > 0 ? t.share[e] / left : 0, 1e-6);
                dropped += view.share[e] == 0;
            }
        }
    CHECK_NEAR((double) dropped / (double) t.ptr[g.n_nodes], 0.3, 0.06);
}

static const Test tests[] = {
    {"every edge is there, at both ends", all_edges_at_both_ends},
    {"the ends of an edge know each other", ends_know_each_other},
    {"sums over runs", sums_over_runs},
    {"a view without some edges", dropped_edges},
    {"a graph without edges", nothing_in_it},
    {0},
};

const Subject typed_subject = {"typed", tests};
