/*
 * test_features.c: what trainings make of features: items that nobody has seen are found by theirs, and by nothing else.
 */
#include "test.h"

#include "core/topk.h"
#include "model/induct.h"
#include "model/model.h"
#include "model/tower.h"
#include "train/fit.h"

#include <math.h>
#include <string.h>

#define COMMUNITIES 4
#define USERS 300
#define KNOWN 60                /* items with interactions */
#define COLD 20                 /* items without: the last ones */
#define ITEMS (KNOWN + COLD)
#define EACH 6                  /* interactions of a user: one of any item, the others of her community's */
#define FEATURES (COMMUNITIES + 5)
#define DIM 16

/* item i is of community i % COMMUNITIES, as user u of u % COMMUNITIES */
static void
add_interactions(GnnGraph *g)
{
    GnnRng      rng = gnn_rng(4, GNN_STREAM_INIT, 0);
    int32_t    *from = gnn_alloc(arena, USERS * EACH, sizeof(int32_t));
    int32_t    *to = gnn_alloc(arena, USERS * EACH, sizeof(int32_t));
    GnnCsr      edges;

    for (int32_t n = 0; n < USERS * EACH; n++)
    {
        from[n] = n / EACH;
        to[n] = n % EACH == 0 ? (int32_t) gnn_rng_below(&rng, KNOWN)
            : (int32_t) gnn_rng_below(&rng, KNOWN / COMMUNITIES) * COMMUNITIES + from[n] % COMMUNITIES;
    }
    gnn_csr_build(&edges, arena, &(GnnEdges) {.n = USERS * EACH, .from = from, .to = to}, USERS, ITEMS);
    gnn_graph_add_relation(g, "interaction", 0, 1, &edges);
}

/* an item's community and a feature that says nothing; the last item has none */
static void
add_features(GnnGraph *g)
{
    GnnRng      rng = gnn_rng(5, GNN_STREAM_INIT, 0);
    int32_t    *item = gnn_alloc(arena, 2 * ITEMS, sizeof(int32_t));
    int32_t    *feature = gnn_alloc(arena, 2 * ITEMS, sizeof(int32_t));
    GnnCsr      features;

    for (int32_t i = 0; i < ITEMS; i++)
    {
        item[2 * i] = item[2 * i + 1] = i;
        feature[2 * i] = i % COMMUNITIES;
        feature[2 * i + 1] = COMMUNITIES + (int32_t) gnn_rng_below(&rng, FEATURES - COMMUNITIES);
    }
    gnn_csr_build(&features, arena, &(GnnEdges) {.n = 2 * (ITEMS - 1), .from = item, .to = feature}, ITEMS, FEATURES);
    gnn_graph_set_features(g, 1, &features);
}

static void
planted(GnnGraph *g, bool features)
{
    *g = (GnnGraph) {0};
    gnn_graph_add_nodes(g, "user", USERS);
    gnn_graph_add_nodes(g, "item", ITEMS);
    add_interactions(g);
    if (features)
        add_features(g);
}

static void
train(GnnFit *fit, const GnnGraph *g, const GnnConfig *c, int threads)
{
    const char *problem;

    memset(fit, 0, sizeof(*fit));
    fit->weights = gnn_alloc(arena, gnn_n_weights(c), sizeof(float));
    fit->features = gnn_alloc(arena, (int64_t) g->features[0].n_cols * c->dim, sizeof(float));
    for (int t = 0; t < g->n_types; t++)
    {
        fit->embedding[t] = gnn_alloc(arena, (int64_t) g->types[t].n * c->dim, sizeof(float));
        fit->fold_in[t] = gnn_alloc(arena, g->types[t].n * gnn_fold_in_width(c), sizeof(float));
        fit->degree[t] = gnn_alloc(arena, g->types[t].n, sizeof(float));
    }
    problem = gnn_fit(fit, arena, g, c, threads, NULL);
    CHECK_SAY(problem == NULL, "%s", problem);
}

/* of the three cold items that a user gets first, the share of her community; that of chance is a quarter */
static double
share_found(const GnnFit *fit)
{
    GnnRows     rows = {.rows = fit->embedding[1] + KNOWN * DIM, .n = COLD - 1, .dim = DIM};
    int         found = 0;

    for (int32_t u = 0; u < USERS; u++)
    {
        GnnHit      hits[3];

        CHECK(gnn_topk(hits, 3, &rows, fit->embedding[0] + u * DIM, NULL, 0) == 3);
        for (int r = 0; r < 3; r++)
            found += (KNOWN + hits[r].row) % COMMUNITIES == u % COMMUNITIES;
    }
    return found / (3.0 * USERS);
}

static bool
is_zero(const float *row)
{
    for (int c = 0; c < DIM; c++)
        if (row[c] != 0)
            return false;
    return true;
}

static void
configure(GnnConfig *c, int model)
{
    gnn_config_defaults(c);
    c->model = model;
    c->dim = DIM;
    c->steps = 40;
    c->temperature = 0.3;
    c->negatives = 200;
}

static void
find_cold_items(const GnnGraph *g, const GnnConfig *c)
{
    GnnFit      fit;
    double      found;

    train(&fit, g, c, 2);
    found = share_found(&fit);
    CHECK_SAY(found > 0.8, "%s with encoder %d, sampling %d, found %g", gnn_models[c->model]->name, c->encoder, c->sampling,
              found);
    CHECK_SAY(!is_zero(fit.embedding[1] + (ITEMS - 2) * DIM), "%s", gnn_models[c->model]->name);
    CHECK_SAY(is_zero(fit.embedding[1] + (ITEMS - 1) * DIM), "%s", gnn_models[c->model]->name);
}

static void
cold_items_are_found(void)
{
    GnnGraph    g;

    planted(&g, true);
    for (int m = 0; m < gnn_n_models; m++)
        for (int encoder = 0; encoder < 2; encoder++)
        {
            GnnConfig   c;

            configure(&c, m);
            c.encoder = encoder;
            find_cold_items(&g, &c);
            c.sampling = 1 + encoder;
            c.fanout = 4;
            c.users_per_step = USERS / 2;
            if (gnn_fit_refusal(&c, &g) == NULL)
                find_cold_items(&g, &c);
        }
}

/* nor can they be, by any model, where there are no features */
static void
without_features_they_are_not(void)
{
    GnnGraph    g;

    planted(&g, false);
    for (int m = 0; m < gnn_n_models; m++)
    {
        GnnConfig   c;
        GnnFit      fit;

        configure(&c, m);
        c.steps = 2;
        train(&fit, &g, &c, 2);
        for (int i = KNOWN; i < ITEMS; i++)
            CHECK(is_zero(fit.embedding[1] + i * DIM) && is_zero(fit.fold_in[1] + i * gnn_fold_in_width(&c)));
    }
}

#ifndef GNN_DOUBLE

/* more rows than a part has, features that every node has, both encoders */
static void
threads_do_not_show(void)
{
    static const char *const models[] = {"lightgcn", "dnn", "mf", "lightgcn"};
    GnnGraph    g;
    GnnCsr      features;

    random_graph(&g, 1500, 700, 12000, true, 1);
    random_csr(&features, 1500, 3, 4000, true, 2);
    gnn_graph_set_features(&g, 0, &features);
    random_csr(&features, 700, 50, 5000, false, 3);
    gnn_graph_set_features(&g, 1, &features);
    for (int i = 0; i < 8; i++)
    {
        GnnConfig   c;
        GnnFit      one;

        configure(&c, model_number(models[i / 2]));
        c.steps = 3;
        c.encoder = i % 2;
        c.sampling = i < 6 ? GNN_SAMPLING_NONE : i - 5;
        train(&one, &g, &c, 1);
        for (int threads = 1; threads <= 3; threads++)
        {
            GnnFit      other;

            train(&other, &g, &c, threads);
            CHECK(memcmp(&one.loss, &other.loss, sizeof(double)) == 0);
            for (int t = 0; t < 2; t++)
                CHECK_SAY(memcmp(one.embedding[t], other.embedding[t], g.types[t].n * DIM * sizeof(float)) == 0,
                          "%s, encoder %d, %d threads", models[i / 2], c.encoder, threads);
        }
    }
}

#endif

static void
estimate(void)
{
    static const char *const models[] = {"lightgcn", "dnn", "graphsage"};
    GnnGraph    g;
    GnnGraph    shape;
    GnnCsr      features;

    random_graph(&g, 700, 500, 2000, true, 1);
    random_csr(&features, 500, 3000, 200000, true, 3);
    gnn_graph_set_features(&g, 1, &features);
    shape = g;
    shape.relations[0].edges = (GnnCsr) {.n = 700, .n_cols = 500};
    shape.features[1] = (GnnCsr) {.n = 500, .n_cols = 3000};
    for (int i = 0; i < 6; i++)
    {
        int64_t     n_edges[GNN_MAX_RELATIONS] = {g.relations[0].edges.ptr[700]};
        GnnPart     parts[GNN_MAX_PARTS];
        int         n_parts;
        GnnConfig   c;
        GnnFit      fit;
        double      estimated;
        size_t      before;

        configure(&c, model_number(models[i / 2]));
        c.encoder = i % 2;
        c.steps = 1;
        c.holdout = 0.2;
        c.sampling = i < 4 ? GNN_SAMPLING_NONE : i - 3;
        c.users_per_step = i < 4 ? 0 : 50;
        estimated = (double) gnn_fit_estimate(parts, &n_parts, &shape, n_edges, &c, 2);
        before = arena->used + ((700 + 500) * (DIM + (size_t) gnn_fold_in_width(&c) + 1) + (size_t) gnn_n_weights(&c))
            * sizeof(float);
        train(&fit, &g, &c, 2);
        CHECK_SAY(fabs(estimated / (double) (arena->used - before) - 1) < 0.1, "%s, encoder %d: estimated %g, took %g",
                  models[i / 2], c.encoder, estimated, (double) (arena->used - before));
    }
}

/* features without a single entry change as little as those of an item that nothing leads to: the last one */
static void
features_of_nobody(void)
{
    GnnGraph    nobody = {0};
    GnnGraph    loner;
    GnnCsr      csr;

    gnn_graph_add_nodes(&nobody, "user", 60);
    gnn_graph_add_nodes(&nobody, "item", 41);
    random_csr(&csr, 60, 40, 300, true, 1);
    csr.n_cols = 41;
    gnn_graph_add_relation(&nobody, "interaction", 0, 1, &csr);
    loner = nobody;
    random_csr(&csr, 41, 5, 0, false, 2);
    gnn_graph_set_features(&nobody, 1, &csr);
    gnn_csr_build(&csr, arena, &(GnnEdges) {.n = 1, .from = &(int32_t) {40}, .to = &(int32_t) {3}}, 41, 5);
    gnn_graph_set_features(&loner, 1, &csr);
    for (int i = 0; i < 4 * gnn_n_models; i++)
    {
        GnnConfig   c;
        GnnFit      fit;
        GnnFit      should;

        configure(&c, i / 4);
        c.steps = 3;
        c.users_per_step = 10;
        c.sampling = 1 + i / 2 % 2;
        c.encoder = i % 2;
        if (gnn_fit_refusal(&c, &nobody) != NULL)
            continue;
        train(&fit, &nobody, &c, 1);
        train(&should, &loner, &c, 1);
        for (int t = 0; t < 2; t++)
            CHECK_SAY(memcmp(fit.embedding[t], should.embedding[t], (t == 0 ? 60 : 40) * DIM * sizeof(float)) == 0,
                      "%s, sampling %d, encoder %d", gnn_models[c.model]->name, c.sampling, c.encoder);
    }
}

static double
bytes_of_sample(const GnnGraph *g, const GnnConfig *c)
{
    GnnPart     parts[GNN_MAX_PARTS];
    int         n;

    gnn_fit_estimate(parts, &n, g, (int64_t[GNN_MAX_RELATIONS]) {g->relations[0].edges.ptr[g->types[0].n]}, c, 1);
    for (int i = 0; i < n; i++)
        if (strcmp(parts[i].part, "sample") == 0)
            return (double) parts[i].bytes;
    return NAN;
}

/* a few features, and no learned rows but those of its own nodes */
static void
samples_stay_small(void)
{
    GnnGraph    plain;
    GnnGraph    g;
    GnnCsr      features;
    GnnConfig   c;

    random_graph(&plain, 20000, 10000, 60000, true, 1);
    random_csr(&features, 10000, 5, 50, false, 2);
    g = plain;
    gnn_graph_set_features(&g, 1, &features);
    configure(&c, model_number("lightgcn"));
    c.sampling = GNN_SAMPLING_NEIGHBOURS;
    c.users_per_step = 10;
    c.fanout = 5;
    CHECK_SAY(bytes_of_sample(&g, &c) < 1.5 * bytes_of_sample(&plain, &c), "%g, and %g without features",
              bytes_of_sample(&g, &c), bytes_of_sample(&plain, &c));
}

static real *
reals(const float *x, int64_t n)
{
    real       *copy = gnn_alloc(arena, n, sizeof(real));

    for (int64_t i = 0; i < n; i++)
        copy[i] = x[i];
    return copy;
}

/* how many users of a training with these settings a tower makes another vector of than the training did */
static int
n_differing(const GnnGraph *g, const GnnConfig *c)
{
    const GnnCsr *f = &g->features[0];
    GnnFit      fit;
    real       *weights;
    real       *rows;
    int         n = 0;

    train(&fit, g, c, 2);
    rows = reals(fit.features, (int64_t) f->n_cols * DIM);
    weights = reals(fit.weights, gnn_n_weights(c));
    for (int32_t u = 0; u < f->n; u++)
    {
        real        sum[DIM] = {0};
        real        z[DIM];
        bool        has_features = f->ptr[u + 1] > f->ptr[u];
        double      off = 0;

        for (int64_t e = f->ptr[u]; e < f->ptr[u + 1]; e++)
            for (int k = 0; k < DIM; k++)
                sum[k] += f->val[e] * rows[(int64_t) f->idx[e] * DIM + k];
        CHECK(gnn_tower(z, sum, c, weights, fit.degree[0][u]) == has_features);
        for (int k = 0; k < DIM; k++)
            off = fmax(off, fabs(z[k] - fit.embedding[0][u * DIM + k]));
        n += off > 1e-4;
    }
    return n;
}

/* a user's features alone are what a training would have made of the user: with edges and without */
static void
towers_are_those_of_the_training(void)
{
    GnnGraph    g;
    GnnCsr      features;

    random_graph(&g, 60, 40, 150, true, 1);
    random_csr(&features, 60, 30, 200, true, 2);
    gnn_graph_set_features(&g, 0, &features);
    random_csr(&features, 40, 20, 100, false, 3);
    gnn_graph_set_features(&g, 1, &features);
    for (int i = 0; i < 6; i++)
    {
        GnnConfig   c;

        configure(&c, model_number("dnn"));
        c.steps = 3;
        c.encoder = i % 2;
        c.layers = i / 2;
        CHECK(gnn_tower_size(&c) == (c.layers + c.encoder) * DIM * DIM);
        CHECK_SAY(n_differing(&g, &c) == 0, "encoder %d, %d layers", c.encoder, c.layers);
    }
}

/* a training keeps a tower, or a linear model's share, where users have features; no other model does */
static void
towers_are_kept(void)
{
    GnnGraph    g;
    GnnCsr      features;
    GnnConfig   c;
    GnnFit      fit;

    random_graph(&g, 60, 40, 150, true, 1);
    random_csr(&features, 40, 20, 100, false, 3);
    gnn_graph_set_features(&g, 1, &features);
    configure(&c, model_number("dnn"));
    c.steps = 1;
    CHECK(gnn_has_tower(&c) && !gnn_keeps_tower(&c, &g) && !gnn_keeps_weights(&c, &g));
    train(&fit, &g, &c, 1);
    for (int64_t i = 0; i < gnn_n_weights(&c); i++)
        CHECK(fit.weights[i] == 0);
    random_csr(&features, 60, 30, 200, true, 2);
    gnn_graph_set_features(&g, 0, &features);
    CHECK(gnn_keeps_tower(&c, &g) && gnn_keeps_weights(&c, &g));
    for (int m = 0; m < gnn_n_models; m++)
    {
        GnnFoldIn   how = gnn_model_folds_in(gnn_models[m]);

        configure(&c, m);
        CHECK(gnn_keeps_tower(&c, &g) == (how == GNN_FOLD_IN_FEATURES || how == GNN_FOLD_IN_EXACT));
        c.layers = 0;
        CHECK(gnn_keeps_tower(&c, &g) == (how == GNN_FOLD_IN_FEATURES));
    }
}

static const Test tests[] = {
    {"items without interactions are found by their features", LONG_TEST(cold_items_are_found)},
    {"without features they are not", without_features_they_are_not},
#ifndef GNN_DOUBLE
    {"the number of threads does not show", threads_do_not_show},
#endif
    {"a user's features make the vector that the training did", towers_are_those_of_the_training},
    {"a tower is kept where users have features", towers_are_kept},
    {"features that nobody has change nothing", features_of_nobody},
    {"the estimate is what is taken", estimate},
    {"a sample with features is as small as without", samples_stay_small},
    {0},
};

const Subject features_subject = {"features", tests};
