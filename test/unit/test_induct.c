/*
 * test_induct.c: a vector for a node that training did not know.
 *
 * The question asked another way: a node of the graph whose learned row is the mean of its neighbours' gets from the plan's own
 * forward pass what it gets as a new one from what its neighbours send in that very pass.
 */
#include "test.h"

#include "core/plan.h"
#include "model/model.h"
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
    GnnTeam     team;
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

static void
run_forward(Pass *p, const GnnGraph *g, const GnnConfig *c, int32_t user)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];
    const GnnNodes *items = &g->types[1];

    for (int r = 0; r < g->n_relations; r++)
        n_edges[r] = g->relations[r].edges.ptr[g->relations[r].edges.n];
    gnn_team_open(&p->team, 2, NULL, NULL);
    gnn_adjacency_allocate(&p->adjacency, arena, g, n_edges);
    gnn_adjacency_fill(&p->adjacency, g);
    gnn_plan_open(&p->plan, &p->adjacency, &p->team, 5);
    p->z = gnn_models[c->model]->build(&p->plan, g, c);
    gnn_plan_allocate(&p->plan, arena);
    gnn_plan_start(&p->plan);
    set_input(p, g, c->dim, user);
    gnn_plan_forward(&p->plan);
    p->messages = gnn_alloc(arena, items->n * gnn_fold_in_width(c), sizeof(real));
    for (int64_t i = 0; i < items->n; i++)
        gnn_models[c->model]->fold_in(p->messages + i * gnn_fold_in_width(c), &p->plan, p->z, items->first + i);
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
            for (int other = 0; other < 2; other++)
            {
                GnnConfig   c;

                gnn_config_defaults(&c);
                c.model = m;
                c.dim = DIM;
                c.layers = layers;
                c.aggregator = other;
                c.heads = other == 0 ? 1 : 5;   /* of unequal widths */
                if (!gnn_is_inductive(&c))
                    continue;
                test(&c, arg);
                tried++;
            }
    CHECK(tried >= 12);
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
                      "%s, %d layers, aggregator %d, user %d: %.17g and %.17g", gnn_models[c->model]->name, c->layers,
                      c->aggregator, u, (double) z[i], (double) p.z->val[u * DIM + i]);
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
        CHECK((gnn_n_weights(&c) > 0) == gnn_is_inductive(&c));
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
    {"weights are what nodes share", weights_are_what_is_shared},
    {"no vector comes of what is not finite, or of nothing", no_vector_of_what_is_senseless},
    {0},
};

const Subject induct_subject = {"induct", tests};
