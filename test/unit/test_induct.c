/*
 * test_induct.c: a vector for a node that training did not know.
 *
 * The question asked another way: a node of the graph whose learned row is the mean of its neighbours' gets from the plan's own
 * forward pass what it gets as a new one from what its neighbours send in that very pass.
 */
#include "test.h"

#include "core/plan.h"
#include "core/walk.h"
#include "model/model.h"
#include "model/tower.h"
#include "train/params.h"

#include <math.h>
#include <string.h>

#define DIM 12

/* an edge's share of a sum is a float in the adjacency, whatever real is */
#define ROUNDED 1e-6
#ifdef GNN_DOUBLE
#define EXACT 1e-12
#else
#define EXACT 1e-5
#endif

/* a plan that was run forwards, and what is stored of it */
typedef struct Pass
{
    GnnAdjacency adjacency;
    GnnTyped    typed;
    GnnTeam     team;
    GnnDirected visited;
    GnnPlan     plan;
    GnnMat     *z;
    real       *messages;       /* of the items, as the parts of a GnnInduct */
} Pass;

/* the node's learned row: the mean, by weight, of its items' */
static void
set_input(Pass *p, const GnnGraph *g, int64_t dim, int32_t user)
{
    const GnnCsr *e = &g->relations[0].edges;
    real       *row = p->plan.learned + user * dim;

    memset(row, 0, dim * sizeof(real));
    for (int64_t k = e->ptr[user]; k < e->ptr[user + 1]; k++)
        for (int64_t i = 0; i < dim; i++)
            row[i] += (real) ((e->val != NULL ? e->val[k] : 1) / p->adjacency.degree[user]
                              * p->plan.learned[(g->types[1].first + e->idx[k]) * dim + i]);
}

/* what starts at 0 would not show */
static void
disturb(Pass *p, const GnnConfig *c)
{
    GnnRng      rng = gnn_rng(6, GNN_STREAM_INIT, 0);
    real       *weights = p->plan.learned + p->plan.n_learned - gnn_n_weights(c);

    for (int64_t i = 0; i < gnn_n_weights(c); i++)
        if (weights[i] == 0)
            weights[i] = (real) gnn_rng_normal(&rng);
}

/* y += times the chance of a step from v to each node */
static void
add_step(double *y, double times, const GnnAdjacency *adjacency, int64_t v)
{
    const GnnCsr *a = &adjacency->a;

    for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
        y[a->idx[e]] += times * a->val[e] * sqrt(adjacency->degree[a->idx[e]] / adjacency->degree[v]);
}

/* shares of the visits that pinsage expects of a new node's walks: of one step, or two; the node itself as any other */
static double *
expected_visits(const GnnAdjacency *adjacency, int length, int32_t user)
{
    int64_t     n = adjacency->a.n;
    double     *first = gnn_alloc(arena, n, sizeof(double));
    double     *visits = gnn_alloc(arena, n, sizeof(double));

    add_step(first, 1, adjacency, user);
    if (length == 1)
        return first;
    add_step(visits, 0.5, adjacency, user);
    for (int64_t v = 0; v < n; v++)
        add_step(visits, 0.5 * first[v], adjacency, v);
    return visits;
}

/* shares with one row for another */
static void
replace_row(GnnDirected *out, const GnnCsr *shares, int32_t row, const double *with)
{
    int64_t     at = 0;

    gnn_directed_allocate(out, arena, shares->n, shares->ptr[shares->n] + shares->n);
    for (int32_t v = 0; v < shares->n; v++)
    {
        for (int64_t e = shares->ptr[v]; e < shares->ptr[v + 1] && v != row; e++, at++)
        {
            out->rows.idx[at] = shares->idx[e];
            out->rows.val[at] = shares->val[e];
        }
        for (int32_t u = 0; u < shares->n && v == row; u++)
            if (with[u] > 0)
            {
                out->rows.idx[at] = u;
                out->rows.val[at++] = (float) with[u];
            }
        out->rows.ptr[v + 1] = at;
    }
    gnn_directed_turn(out);
}

static GnnDirected
walked(Pass *p, const GnnConfig *c)
{
    GnnVisits   visits = {.walks = c->walks, .length = c->walk_length, .kept = c->importance_neighbours, .seed = 3};

    gnn_visits_allocate(&visits, arena, p->adjacency.a.n, p->team.threads);
    gnn_visits_fill(&visits, &p->team, &p->adjacency);
    return visits.shares;
}

/* a plan on real walks, with learned numbers as they start */
static void
write_plan(Pass *p, const GnnGraph *g, const GnnConfig *c)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];

    for (int r = 0; r < g->n_relations; r++)
        n_edges[r] = g->relations[r].edges.ptr[g->relations[r].edges.n];
    gnn_team_open(&p->team, 2, NULL, NULL);
    gnn_adjacency_allocate(&p->adjacency, arena, g, n_edges);
    gnn_adjacency_fill(&p->adjacency, g);
    p->visited = walked(p, c);
    gnn_typed_allocate(&p->typed, arena, g, n_edges);
    gnn_typed_fill(&p->typed, g);
    gnn_plan_open(&p->plan, &p->adjacency, &p->team, 5);
    p->plan.visited = &p->visited;
    p->plan.typed = gnn_model_is_typed(c) ? &p->typed : NULL;
    p->z = gnn_models[c->model]->build(&p->plan, g, c);
    gnn_plan_allocate(&p->plan, arena);
    gnn_plan_start(&p->plan);
    disturb(p, c);
    p->messages = gnn_alloc(arena, g->types[1].n * gnn_fold_in_width(c), sizeof(real));
}

/* forwards, as the user's learned row were the mean of his items' */
static void
send_messages(Pass *p, const GnnGraph *g, const GnnConfig *c, int32_t user)
{
    const GnnNodes *items = &g->types[1];

    set_input(p, g, c->dim, user);
    gnn_plan_forward(&p->plan);
    for (int64_t i = 0; i < items->n; i++)
        gnn_models[c->model]->fold_in(p->messages + i * gnn_fold_in_width(c), &p->plan, p->z, items->first + i);
}

/* the same where the user's walks visit what they would on average */
static void
run_forward(Pass *p, const GnnGraph *g, const GnnConfig *c, int32_t user)
{
    GnnCsr      shares;

    write_plan(p, g, c);
    shares = p->visited.rows;
    replace_row(&p->visited, &shares, user, expected_visits(&p->adjacency, c->walk_length, user));
    send_messages(p, g, c, user);
}

static GnnInduct
new_user(const Pass *p, const GnnGraph *g, const GnnConfig *c, int32_t user)
{
    const GnnCsr *e = &g->relations[0].edges;

    return (GnnInduct) {.config = c, .weights = gnn_plan_weights(&p->plan, c), .messages = p->messages,
                        .n = e->ptr[user + 1] - e->ptr[user], .idx = e->idx + e->ptr[user],
                        .weight = e->val != NULL ? e->val + e->ptr[user] : NULL};
}

/* calls test(model's config) for every inductive model, with every number of layers and whatever else changes its layers */
static void
for_all(void (*test)(const GnnConfig *c, const void *arg), const void *arg)
{
    int         tried = 0;

    for (int m = 0; m < gnn_n_models; m++)
        for (int layers = 1; layers <= 3; layers++)
            for (int other = 0; other < 3; other++)
            {
                GnnConfig   c;

                gnn_config_defaults(&c);
                c.model = m;
                c.dim = DIM;
                c.layers = layers;
                c.aggregator = other % 2;
                c.edge_attention = other;
                c.heads = other == 0 ? 1 : 5;   /* of unequal widths */
                c.walk_length = other == 0 ? 1 : 1 + layers;
                if (!gnn_is_inductive(&c))
                    continue;
                test(&c, arg);
                tried++;
            }
    CHECK(tried >= 27);
}

typedef struct Comparison
{
    const GnnGraph *graph;
    double      tolerance;
} Comparison;

static void
compare(const GnnConfig *c, const void *arg)
{
    const Comparison *with = arg;
    const GnnGraph *g = with->graph;

    for (int32_t u = 0; u < g->types[0].n; u++)
    {
        Pass        p;
        GnnInduct   in;
        real        z[DIM];
        double      length = 0;

        run_forward(&p, g, c, u);
        in = new_user(&p, g, c, u);
        CHECK(gnn_induct(z, &in) == (in.n > 0));
        for (int i = 0; i < DIM; i++)
        {
            CHECK_SAY(fabs((double) (z[i] - p.z->val[u * DIM + i])) <= with->tolerance,
                      "%s, %d layers, aggregator %d, attention %d, walks of %d, user %d: %.17g and %.17g",
                      gnn_models[c->model]->name, c->layers, c->aggregator, c->edge_attention, c->walk_length, u, (double) z[i],
                      (double) p.z->val[u * DIM + i]);
            length += (double) z[i] * z[i];
        }
        CHECK_NEAR(sqrt(length), pow(p.adjacency.degree[u], 0.2), 1e-5);
    }
}

/* all degrees are 8 and all weights powers of 2, so that nothing is rounded */
static void
new_nodes_exactly(void)
{
    static const float weights[] = {1, 2, 4, 1};
    GnnGraph    g = {0};
    GnnCsr      csr;
    int32_t     from[32];
    int32_t     to[32];
    float       weight[32];

    for (int e = 0; e < 32; e++)
    {
        from[e] = e / 4;
        to[e] = (e / 4 + e % 4) % 8;
        weight[e] = weights[e % 4];
    }
    gnn_csr_build(&csr, arena, &(GnnEdges) {.n = 32, .from = from, .to = to, .weight = weight}, 8, 8);
    gnn_graph_add_nodes(&g, "user", 8);
    gnn_graph_add_nodes(&g, "item", 8);
    gnn_graph_add_relation(&g, "interaction", 0, 1, &csr);
    for_all(compare, &(Comparison) {&g, EXACT});
}

/* with further nodes and a user without edges; without weights, too */
static void
new_nodes_of_any_graph(void)
{
    for (int weighted = 0; weighted < 2; weighted++)
    {
        GnnGraph    g;
        GnnCsr      brands;
        GnnCsr     *e;
        int64_t     n_last;

        random_graph(&g, 7, 9, 30, weighted, 11);
        e = &g.relations[0].edges;
        n_last = e->ptr[7] - e->ptr[6];
        e->ptr[7] -= n_last;
        gnn_graph_add_nodes(&g, "brand", 3);
        random_csr(&brands, 9, 3, 7, false, 12);
        gnn_graph_add_relation(&g, "made by", 1, 2, &brands);
        CHECK(n_last > 0);
        for_all(compare, &(Comparison) {&g, EXACT > ROUNDED ? EXACT : ROUNDED});
    }
}

/* more neighbours than any block of edges or rows has */
static void
new_nodes_with_many_neighbours(void)
{
    GnnGraph    g;

    random_graph(&g, 2, 900, 1800, true, 13);
    CHECK(g.relations[0].edges.ptr[1] > 512);
    for_all(compare, &(Comparison) {&g, EXACT > ROUNDED ? EXACT : ROUNDED});
}

static GnnConfig
pinsage_config(void)
{
    GnnConfig   c;

    gnn_config_defaults(&c);
    for (c.model = 0; gnn_models[c.model] != &gnn_pinsage;)
        c.model++;
    c.dim = DIM;
    c.layers = 1;
    return c;
}

/*
 * A user who was there, by walks that were walked: his own vector, but for what walks come back to him. Items have thirty users
 * each, so that few visits are those; without what is beyond his items he would be off by 0.15.
 */
static void
users_that_were_there(void)
{
    GnnGraph    g;
    GnnConfig   c = pinsage_config();
    Pass        p;
    double      worst = 0;

    c.layers = 2;
    c.walks = 20000;
    c.importance_neighbours = 100;
    random_graph(&g, 60, 10, 300, true, 15);
    write_plan(&p, &g, &c);
    for (int32_t u = 0; u < 60; u++)
    {
        GnnInduct   in = new_user(&p, &g, &c, u);
        real        z[DIM];
        double      distance = 0;

        send_messages(&p, &g, &c, u);
        CHECK(gnn_induct(z, &in) == (in.n > 0));
        for (int i = 0; i < DIM; i++)
            distance += pow((double) (z[i] - p.z->val[u * DIM + i]), 2);
        if (in.n > 0)
            worst = fmax(worst, sqrt(distance) / pow(p.adjacency.degree[u], 0.2));
    }
    CHECK_SAY(worst < 0.03, "off by %g of its length", worst);
}

/* from an item without edges no walk goes on: it says what it says where walks have one step */
static void
items_without_edges(void)
{
    static const int32_t alone = 9;
    real        z[2][DIM];

    for (int length = 1; length <= 2; length++)
    {
        GnnGraph    g = {0};
        GnnConfig   c = pinsage_config();
        GnnCsr      csr;
        Pass        p;

        random_csr(&csr, 7, alone, 30, true, 16);
        csr.n_cols = alone + 1;
        gnn_graph_add_nodes(&g, "user", 7);
        gnn_graph_add_nodes(&g, "item", alone + 1);
        gnn_graph_add_relation(&g, "interaction", 0, 1, &csr);
        c.walk_length = length;
        write_plan(&p, &g, &c);
        send_messages(&p, &g, &c, 0);
        CHECK(gnn_induct(z[length - 1], &(GnnInduct) {.config = &c, .weights = gnn_plan_weights(&p.plan, &c),
                                                      .messages = p.messages, .n = 1, .idx = &alone}));
    }
    for (int i = 0; i < DIM; i++)
        CHECK_NEAR((double) z[1][i], (double) z[0][i], EXACT);
}

/* weights are all that is learned but the input */
static void
check_weights(const GnnConfig *c, const void *arg)
{
    const GnnGraph *g = arg;
    Pass        p;

    run_forward(&p, g, c, 0);
    CHECK(gnn_plan_weights(&p.plan, c) == p.plan.learned + g->n_nodes * c->dim);
    CHECK(gnn_fold_in_width(c) >= c->layers * DIM && gnn_fold_in_width(c) <= (c->layers + 1) * DIM);
}

static void
weights_are_what_is_shared(void)
{
    GnnGraph    g;
    GnnConfig   c;

    random_graph(&g, 7, 9, 30, true, 11);
    for_all(check_weights, &g);
    for (int m = 0; m < gnn_n_models; m++)
    {
        gnn_config_defaults(&c);
        c.model = m;
        CHECK(gnn_is_inductive(&c) == (gnn_model_folds_in(gnn_models[m]) == GNN_FOLD_IN_INDUCTIVE));
        CHECK((gnn_n_weights(&c) > 0) == (gnn_is_inductive(&c) || gnn_models[m]->tower_layers != NULL));
        c.layers = 0;
        CHECK(!gnn_is_inductive(&c) && gnn_n_weights(&c) == 0 && gnn_fold_in_width(&c) == c.dim);
    }
}

/* what cannot be a vector is none */
static void
check_senseless(const GnnConfig *c, const void *arg)
{
    static const double senseless[] = {NAN, INFINITY, 0};
    const GnnGraph *g = arg;

    for (int i = 0; i < 3; i++)
    {
        Pass        p;
        GnnInduct   in;
        real       *weights = gnn_alloc(arena, gnn_n_weights(c), sizeof(real));
        real        z[DIM];

        run_forward(&p, g, c, 0);
        in = new_user(&p, g, c, 0);
        for (int64_t w = 0; w < gnn_n_weights(c); w++)
            weights[w] = (real) senseless[i];
        in.weights = weights;
        if (senseless[i] == 0)      /* messages may have gone through weights when they were sent */
            memset(p.messages, 0, g->types[1].n * gnn_fold_in_width(c) * sizeof(real));
        CHECK(!gnn_induct(z, &in));
        for (int d = 0; d < DIM; d++)
            CHECK(z[d] == 0);
    }
}

static void
no_vector_of_what_is_senseless(void)
{
    GnnGraph    g;

    random_graph(&g, 7, 9, 30, true, 11);
    for_all(check_senseless, &g);
}

static const Test tests[] = {
    {"a new node gets what the plan would give it, exactly", new_nodes_exactly},
    {"a new node of any graph gets what the plan would give it", new_nodes_of_any_graph},
    {"a new node with many neighbours does", new_nodes_with_many_neighbours},
    {"a user who was there gets nearly what he had", users_that_were_there},
    {"an item without edges says what it is", items_without_edges},
    {"weights are what nodes share", weights_are_what_is_shared},
    {"no vector comes of what is not finite, or of nothing", no_vector_of_what_is_senseless},
    {0},
};

const Subject induct_subject = {"induct", tests};
