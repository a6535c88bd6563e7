/*
 * test_subgraph.c: samples of a graph: well formed, and on average the graph.
 */
#include "test.h"

#include "train/params.h"
#include "train/subgraph.h"

#include <math.h>
#include <string.h>

typedef struct World
{
    GnnGraph    graph;
    GnnAdjacency adjacency;
    GnnConfig   config;
    GnnTeam     team;
    GnnTask     task;
    GnnSubgraph sub;
} World;

/* users, items, and brands of theirs */
static void
make_world(World *w, int32_t n_users, int32_t n_items, int64_t n, bool weighted, int threads)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];
    GnnCsr      brands;
    GnnCsr      features;

    memset(w, 0, sizeof(*w));
    random_graph(&w->graph, n_users, n_items, n, weighted, 8);
    gnn_graph_add_nodes(&w->graph, "brand", 5);
    random_csr(&brands, n_items, 5, n_items, false, 9);
    gnn_graph_add_relation(&w->graph, "made by", 1, 2, &brands);
    random_csr(&features, n_items, 40, n_items, true, 10);
    gnn_graph_set_features(&w->graph, 1, &features);
    random_csr(&features, 5, 3, 4, false, 11);
    gnn_graph_set_features(&w->graph, 2, &features);
    for (int r = 0; r < 2; r++)
        n_edges[r] = w->graph.relations[r].edges.ptr[w->graph.relations[r].edges.n];
    gnn_adjacency_allocate(&w->adjacency, arena, &w->graph, n_edges);
    gnn_adjacency_fill(&w->adjacency, &w->graph);
    gnn_team_open(&w->team, threads, NULL, NULL);
    gnn_config_defaults(&w->config);
    w->config.sampling = GNN_SAMPLING_NEIGHBOURS;
    w->config.fanout = 3;
    w->config.users_per_step = 6;
    w->task = (GnnTask) {.config = &w->config, .team = &w->team, .negatives = 10, .users = w->graph.types[0],
                         .items = w->graph.types[1], .by_user = w->graph.relations[0].edges, .n_nodes = w->graph.n_nodes,
                         .n_edges = n_edges[0]};
    gnn_csr_transpose(&w->task.by_item, arena, &w->task.by_user);
}

static void
open_world(World *w)
{
    gnn_subgraph_allocate(&w->sub, arena, &w->graph, &w->adjacency, NULL, &w->task);
    gnn_subgraph_open(&w->sub);
}

/* of the type, in the whole graph */
static int
type_of(const GnnGraph *g, int64_t v)
{
    int         t = 0;

    while (v >= g->types[t].first + g->types[t].n)
        t++;
    return t;
}

static void
check_nodes(const World *w)
{
    const GnnSubgraph *s = &w->sub;

    CHECK(s->shape.n_nodes > 0 && s->shape.n_nodes <= s->max_nodes && s->sampled.a.n == s->shape.n_nodes);
    for (int64_t v = 0; v < s->shape.n_nodes; v++)
    {
        int         t = type_of(&w->graph, s->node[v]);

        CHECK(v == 0 || s->node[v - 1] < s->node[v]);
        CHECK(v >= s->shape.types[t].first && v < s->shape.types[t].first + s->shape.types[t].n);
        CHECK(s->sampled.degree[v] == w->adjacency.degree[s->node[v]]);
        CHECK(s->sampled.n_edges[v] == w->adjacency.a.ptr[s->node[v] + 1] - w->adjacency.a.ptr[s->node[v]]);
    }
}

/* places are symmetric, `back` is the other side's value, and every edge is one of the graph */
static void
check_matrix(const World *w)
{
    const GnnSubgraph *s = &w->sub;
    const GnnCsr *a = &s->sampled.a;

    for (int32_t v = 0; v < a->n; v++)
    {
        int         n_drawn = 0;
        int64_t     all = s->sampled.n_edges[v];
        double      shares = 0;

        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
        {
            int32_t     u = a->idx[e];
            int64_t     other = a->ptr[u];

            CHECK(e == a->ptr[v] || a->idx[e - 1] < u);
            CHECK(gnn_csr_has(&w->adjacency.a, s->node[v], s->node[u]));
            CHECK(gnn_csr_has(a, u, v));
            while (a->idx[other] < v)
                other++;
            CHECK(s->sampled.back[e] == a->val[other] && (a->val[e] > 0 || s->sampled.back[e] > 0));
            n_drawn += a->val[e] > 0;
            shares += a->val[e] * sqrt(s->sampled.degree[u] / s->sampled.degree[v]);
        }
        CHECK(n_drawn <= s->fan);
        if (w->config.sampling == GNN_SAMPLING_WALKS && n_drawn > 0)        /* each walker goes somewhere */
            CHECK_NEAR(shares, 1, 1e-5);
        if (w->config.sampling == GNN_SAMPLING_NEIGHBOURS)      /* none at those reached last, else as many as there may be */
            CHECK(n_drawn == 0 || n_drawn == (all < s->fan ? all : s->fan));
    }
}

/* each node has its features and no others; those that nobody in the sample has are not numbered */
static void
check_features(const World *w)
{
    const GnnSubgraph *s = &w->sub;

    for (int64_t i = 0; i < s->features.n; i++)
        CHECK(i == 0 || s->feature[i - 1] < s->feature[i]);
    for (int t = 1; t < 3; t++)
    {
        const GnnCsr *f = &s->shape.features[t];
        const GnnCsr *whole = &w->graph.features[t];

        CHECK(f->n == s->shape.types[t].n && f->n_cols == s->features.transposed[t].n);
        for (int32_t i = 0; i < f->n; i++)
        {
            int64_t     at = whole->ptr[s->node[s->shape.types[t].first + i] - w->graph.types[t].first];

            for (int64_t e = f->ptr[i]; e < f->ptr[i + 1]; e++, at++)
            {
                CHECK(s->feature[s->features.first[t] + f->idx[e]] == (t - 1) * 40 + whole->idx[at]);
                CHECK(f->val[e] == (whole->val != NULL ? whole->val[at] : 1));
            }
            CHECK(at == whole->ptr[s->node[s->shape.types[t].first + i] - w->graph.types[t].first + 1]);
        }
        for (int32_t i = 0; i < f->n_cols; i++)
            CHECK(s->features.transposed[t].ptr[i] < s->features.transposed[t].ptr[i + 1]);
    }
}

static void
check_task(const World *w)
{
    const GnnTask *t = &w->sub.task;
    int         active = 0;
    double      drawn = 0;

    CHECK(t->users.first == 0 && t->items.first == t->users.n && t->by_user.n == t->users.n && t->by_item.n == t->items.n);
    CHECK(t->n_edges == t->by_user.ptr[t->users.n] && t->n_edges == t->by_item.ptr[t->items.n]);
    for (int32_t u = 0; u < t->users.n; u++)
    {
        int64_t     n = t->by_user.ptr[u + 1] - t->by_user.ptr[u];
        int32_t     user = w->sub.node[u];
        int64_t     all = w->task.by_user.ptr[user + 1] - w->task.by_user.ptr[user];

        active += n > 0;
        CHECK(n <= w->config.fanout);
        CHECK(n == 0 || fabs(t->user_factor[u] * (double) n - (double) all) < 1e-9);
        for (int64_t e = t->by_user.ptr[u]; e < t->by_user.ptr[u + 1]; e++)
        {
            int32_t     item = w->sub.node[t->items.first + t->by_user.idx[e]] - w->task.items.first;

            CHECK(e == t->by_user.ptr[u] || t->by_user.idx[e - 1] < t->by_user.idx[e]);
            CHECK(gnn_csr_has(&w->task.by_user, user, item));
            CHECK(gnn_csr_has(&t->by_item, t->by_user.idx[e], u));
        }
    }
    CHECK(active == w->sub.users.n);
    for (int32_t i = 0; i < t->items.n; i++)
        drawn += t->negative_weight[i];
    CHECK(drawn == 10);
}

static void
well_formed(void)
{
    for (int kind = 0; kind < 8; kind++)
    {
        World       w;

        make_world(&w, 80, 60, kind < 4 ? 600 : 100, kind % 2, 2);
        w.config.layers = kind / 2;
        w.config.sampling = kind % 3 == 2 ? GNN_SAMPLING_WALKS : GNN_SAMPLING_NEIGHBOURS;
        open_world(&w);
        for (int step = 1; step <= 5; step++)
        {
            gnn_subgraph_draw(&w.sub, step);
            CHECK(w.sub.users.n == 6);
            check_nodes(&w);
            check_matrix(&w);
            check_features(&w);
            check_task(&w);
        }
    }
}

/* the rows of those that draw neighbours are, on average, those of the graph */
static void
unbiased(void)
{
    const int   draws = 6000;

    for (int sampling = GNN_SAMPLING_NEIGHBOURS; sampling <= GNN_SAMPLING_WALKS; sampling++)
    {
        World       w;
        int64_t     n;
        double     *sum;
        double     *should;
        int        *asked;
        double      worst = 0;

        make_world(&w, 20, 12, 90, true, 1);
        w.config.sampling = sampling;
        w.config.fanout = 2;
        open_world(&w);
        n = w.graph.n_nodes;
        sum = gnn_alloc(arena, n * n, sizeof(double));
        asked = gnn_alloc(arena, n, sizeof(int));
        should = dense_of(&w.adjacency.a);
        for (int step = 0; step < draws; step++)
        {
            const GnnCsr *a = &w.sub.sampled.a;

            gnn_subgraph_draw(&w.sub, step);
            for (int32_t v = 0; v < a->n; v++)
            {
                int64_t     node = w.sub.node[v];
                bool        drew = false;

                for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
                {
                    sum[node * n + w.sub.node[a->idx[e]]] += a->val[e];
                    drew |= a->val[e] > 0;
                }
                asked[node] += drew;
            }
        }
        for (int64_t v = 0; v < n; v++)
            for (int64_t u = 0; u < n && asked[v] > 1000; u++)
                worst = fmax(worst, fabs(sum[v * n + u] / asked[v] - should[v * n + u]));
        CHECK_SAY(worst < 0.06, "sampling %d: off by %g", sampling, worst);
        for (int64_t v = 0; v < 32; v++)
            CHECK(asked[v] > 1000 || w.adjacency.degree[v] == 0);
    }
}

/* users are drawn alike, and so are a user's items */
static void
users_and_positives(void)
{
    const int   draws = 4000;
    World       w;
    int        *taken;
    int        *edges;

    make_world(&w, 20, 12, 90, false, 1);
    open_world(&w);
    taken = gnn_alloc(arena, 20, sizeof(int));
    edges = gnn_alloc(arena, 20 * 12, sizeof(int));
    for (int step = 0; step < draws; step++)
    {
        const GnnTask *t = &w.sub.task;

        gnn_subgraph_draw(&w.sub, step);
        for (int32_t u = 0; u < t->users.n; u++)
        {
            taken[w.sub.node[u]] += t->by_user.ptr[u + 1] > t->by_user.ptr[u];
            for (int64_t e = t->by_user.ptr[u]; e < t->by_user.ptr[u + 1]; e++)
                edges[w.sub.node[u] * 12 + w.sub.node[t->items.first + t->by_user.idx[e]] - 20]++;
        }
    }
    for (int u = 0; u < 20; u++)
    {
        int64_t     n = w.task.by_user.ptr[u + 1] - w.task.by_user.ptr[u];

        CHECK_NEAR(taken[u] / (double) draws, n > 0 ? 6 / (double) w.sub.users.n_active : 0, 0.03);
        for (int i = 0; i < 12; i++)
            CHECK_NEAR(edges[u * 12 + i], gnn_csr_has(&w.task.by_user, u, i) ? taken[u] * fmin(1, 3.0 / (double) n) : 0,
                       0.1 * taken[u]);
    }
}

static void
threads_do_not_show(void)
{
    for (int sampling = GNN_SAMPLING_NEIGHBOURS; sampling <= GNN_SAMPLING_WALKS; sampling++)
    {
        World       one;

        make_world(&one, 800, 300, 9000, true, 1);
        one.config.users_per_step = 100;
        one.config.sampling = sampling;
        open_world(&one);
        gnn_subgraph_draw(&one.sub, 1);
        for (int threads = 2; threads <= 3; threads++)
        {
            World       other;
            int64_t     n = one.sub.shape.n_nodes;

            make_world(&other, 800, 300, 9000, true, threads);
            other.config.users_per_step = 100;
            other.config.sampling = sampling;
            open_world(&other);
            gnn_subgraph_draw(&other.sub, 9);       /* another step before leaves nothing behind */
            gnn_subgraph_draw(&other.sub, 1);
            CHECK(other.sub.shape.n_nodes == n);
            CHECK(memcmp(one.sub.node, other.sub.node, n * sizeof(int32_t)) == 0);
            CHECK(memcmp(one.sub.sampled.a.ptr, other.sub.sampled.a.ptr, (n + 1) * sizeof(int64_t)) == 0);
            CHECK(memcmp(one.sub.sampled.a.val, other.sub.sampled.a.val, one.sub.sampled.a.ptr[n] * sizeof(float)) == 0);
        }
    }
}

/* the memory of a sample is that of its settings: ten times the graph takes little more */
static void
memory_follows_the_sample(void)
{
    size_t      taken[2];

    for (int large = 0; large < 2; large++)
    {
        World       w;
        size_t      before;

        make_world(&w, large ? 20000 : 2000, large ? 10000 : 1000, large ? 60000 : 6000, false, 1);
        w.config.users_per_step = 10;
        w.config.layers = 2;
        w.config.fanout = 5;
        before = arena->used;
        open_world(&w);
        taken[large] = arena->used - before;
    }
    CHECK_SAY((double) taken[1] < 3 * (double) taken[0], "%zu after %zu", taken[1], taken[0]);
}

static const Test tests[] = {
    {"samples are well formed", well_formed},
    {"rows are, on average, those of the graph", unbiased},
    {"users and items are drawn alike", users_and_positives},
    {"the number of threads does not show", threads_do_not_show},
    {"memory follows the sample", memory_follows_the_sample},
    {0},
};

const Subject subgraph_subject = {"subgraph", tests};
