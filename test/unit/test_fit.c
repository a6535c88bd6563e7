/*
 * test_fit.c: training as a whole: does it find what was planted, twice the same, and fail in words.
 */
#include "test.h"

#include "core/topk.h"
#include "model/model.h"
#include "train/fit.h"
#include "train/holdout.h"
#include "train/loss.h"

#include <math.h>
#include <setjmp.h>
#include <string.h>

static void
want_results(GnnFit *fit, const GnnGraph *g, const GnnConfig *c)
{
    memset(fit, 0, sizeof(*fit));
    fit->weights = gnn_alloc(arena, gnn_n_weights(c), sizeof(float));
    for (int t = 0; t < g->n_types; t++)
    {
        fit->embedding[t] = gnn_alloc(arena, (int64_t) g->types[t].n * c->dim, sizeof(float));
        fit->fold_in[t] = gnn_alloc(arena, g->types[t].n * gnn_fold_in_width(c), sizeof(float));
        fit->degree[t] = gnn_alloc(arena, g->types[t].n, sizeof(float));
    }
}

static const char *
train(GnnFit *fit, const GnnGraph *g, const GnnConfig *c, int threads)
{
    want_results(fit, g, c);
    return gnn_fit(fit, arena, g, c, threads, NULL);
}

/* ---- planted communities ---- */

#define COMMUNITIES 4
#define USERS 400
#define ITEMS 60
#define ITEMS_EACH (ITEMS / COMMUNITIES)
#define EACH 6                  /* interactions of a user: one of any item, the others of her community's */
static void
planted(GnnGraph *g, int32_t *from, int32_t *to)
{
    GnnRng      rng = gnn_rng(4, GNN_STREAM_INIT, 0);
    GnnCsr      edges;
    int64_t     n = 0;

    for (int32_t u = 0; u < USERS; u++)
        for (int k = 0; k < EACH; k++)
        {
            int32_t     item = (int32_t) gnn_rng_below(&rng, ITEMS_EACH) * COMMUNITIES + u % COMMUNITIES;

            from[n] = u;
            to[n++] = k > 0 ? item : (int32_t) gnn_rng_below(&rng, ITEMS);
        }
    gnn_csr_build(&edges, arena, &(GnnEdges) {.n = n, .from = from, .to = to}, USERS, ITEMS);
    *g = (GnnGraph) {0};
    gnn_graph_add_nodes(g, "user", USERS);
    gnn_graph_add_nodes(g, "item", ITEMS);
    gnn_graph_add_relation(g, "interaction", 0, 1, &edges);
}

/* of the five best new items of each user, the share from her community */
static double
share_found(const GnnFit *fit, const GnnGraph *g, const float *users, int dim)
{
    const GnnCsr *e = &g->relations[0].edges;
    GnnRows     rows = {.rows = fit->embedding[1], .n = ITEMS, .dim = dim};
    int         found = 0;

    for (int32_t u = 0; u < USERS; u++)
    {
        GnnHit      hits[5];

        CHECK(gnn_topk(hits, 5, &rows, users + u * dim, e->idx + e->ptr[u], e->ptr[u + 1] - e->ptr[u]) == 5);
        for (int r = 0; r < 5; r++)
            found += hits[r].row % COMMUNITIES == u % COMMUNITIES;
    }
    return found / (5.0 * USERS);
}

/* by the model's layers, which read reals where what is stored are floats */
static float *
inducted(const GnnFit *fit, const GnnGraph *g, const GnnConfig *c)
{
    const GnnCsr *e = &g->relations[0].edges;
    int64_t     width = gnn_fold_in_width(c);
    float      *users = gnn_alloc(arena, USERS * c->dim, sizeof(float));
    real       *weights = gnn_alloc(arena, gnn_n_weights(c), sizeof(real));
    real       *messages = gnn_alloc(arena, ITEMS * width, sizeof(real));
    real       *z = gnn_alloc(arena, c->dim, sizeof(real));
    double      diagonal = 0;

    for (int64_t i = 0; i < c->dim; i++)
        diagonal += fit->weights[i * c->dim + i];
    CHECK(diagonal > c->dim / 2);       /* the first matrix started near the identity */
    for (int64_t i = 0; i < gnn_n_weights(c); i++)
        weights[i] = fit->weights[i];
    for (int64_t i = 0; i < ITEMS * width; i++)
        messages[i] = fit->fold_in[1][i];
    for (int32_t u = 0; u < USERS; u++)
    {
        GnnInduct   in = {c, weights, messages, e->ptr[u + 1] - e->ptr[u], e->idx + e->ptr[u],
                          e->val != NULL ? e->val + e->ptr[u] : NULL};

        CHECK(gnn_induct(z, &in));
        for (int i = 0; i < c->dim; i++)
            users[u * c->dim + i] = (float) z[i];
    }
    return users;
}

/* a sum over items */
static float *
added_up(const GnnFit *fit, const GnnGraph *g, int dim)
{
    const GnnCsr *e = &g->relations[0].edges;
    float      *users = gnn_alloc(arena, USERS * dim, sizeof(float));

    for (int32_t u = 0; u < USERS; u++)
        for (int64_t k = e->ptr[u]; k < e->ptr[u + 1]; k++)
            for (int c = 0; c < dim; c++)
                users[u * dim + c] += (float) ((e->val != NULL ? e->val[k] : 1) * fit->fold_in[1][e->idx[k] * dim + c] /
                                               sqrt(fit->degree[0][u] * fit->degree[1][e->idx[k]]));
    return users;
}

static void
communities(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;

    planted(&g, from, to);
    for (int m = 0; m < gnn_n_models; m++)
        for (int l = 0; l < gnn_n_losses; l++)
        {
            GnnConfig   c;
            GnnFit      fit;
            double      found;
            bool        ratings = gnn_losses[l] == &gnn_mse;    /* fits numbers, and noise; that it ranks is by the way */
            double      least = ratings ? 0.6 : 0.9;

            gnn_config_defaults(&c);
            c.model = m;
            c.loss = l;
            c.dim = 16;
            c.steps = ratings ? 150 : 40;
            c.aggregator = l % 2;
            c.edge_attention = l % 3;
            c.reg_weight = ratings ? 0.1 : 0.3;
            c.temperature = 0.3;
            c.negatives = l == 0 ? 200 : 0;
            CHECK(train(&fit, &g, &c, 2) == NULL);
            found = share_found(&fit, &g, fit.embedding[0], c.dim);
            CHECK_SAY(found > least, "%s with %s found %g", gnn_models[m]->name, gnn_losses[l]->name, found);
            found = share_found(&fit, &g, gnn_is_inductive(&c) ? inducted(&fit, &g, &c) : added_up(&fit, &g, c.dim), c.dim);
            CHECK_SAY(found > least, "%s with %s, folded in, found %g", gnn_models[m]->name, gnn_losses[l]->name, found);
            CHECK(fit.steps == c.steps && fit.best_step == c.steps && isnan(fit.ndcg) && isfinite(fit.loss));
        }
}

static bool
may_sample(const GnnConfig *c)
{
    return !gnn_model_is_typed(c) && (gnn_models[c->model]->uses & GNN_USE_LAYERS) == 0;
}

/* a hundred users a step, on the whole graph and on samples of it: nearly as good, with more of the shorter steps */
static void
communities_by_samples(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;

    planted(&g, from, to);
    for (int m = 0; m < gnn_n_models; m++)
        for (int sampling = GNN_SAMPLING_NONE; sampling <= GNN_SAMPLING_WALKS; sampling++)
        {
            GnnConfig   c;
            GnnFit      fit;
            double      found;
            double      least = (gnn_models[m]->uses & GNN_USE_LAYERS) != 0 ? 0.6 : 0.85;  /* dnn: without edges, slowly */

            gnn_config_defaults(&c);
            c.model = m;
            c.loss = sampling == GNN_SAMPLING_NONE && m == 0;
            c.dim = 16;
            c.steps = 80;
            c.users_per_step = 100;
            c.edge_attention = (sampling + 2) % 3;      /* relations without sampling */
            c.sampling = may_sample(&c) ? sampling : GNN_SAMPLING_NONE;
            c.fanout = 4;
            c.importance_neighbours = 5;
            c.aggregator = sampling == GNN_SAMPLING_WALKS;
            c.reg_weight = 0.3;
            c.temperature = 0.3;
            c.negatives = c.loss == 0 ? 100 : 0;
            CHECK(train(&fit, &g, &c, 2) == NULL);
            found = share_found(&fit, &g, fit.embedding[0], c.dim);
            CHECK_SAY(found > least, "%s with %s, sampling %d, found %g", gnn_models[m]->name, gnn_losses[c.loss]->name, sampling,
                      found);
            found = share_found(&fit, &g, gnn_is_inductive(&c) ? inducted(&fit, &g, &c) : added_up(&fit, &g, c.dim), c.dim);
            CHECK_SAY(found > least, "%s with %s, sampling %d, folded in, found %g", gnn_models[m]->name,
                      gnn_losses[c.loss]->name, sampling, found);
        }
}

/* what is found without is found with it, if not quite so well: it asks users to differ of whom many are alike */
static void
contrast_finds_them_too(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;

    planted(&g, from, to);
    for (int m = 0; m < gnn_n_models; m++)
        for (int kind = GNN_CONTRAST_NOISE; kind <= GNN_CONTRAST_EDGES; kind++)
        {
            double      found;
            GnnConfig   c;
            GnnFit      fit;

            gnn_config_defaults(&c);
            c.model = m;
            c.dim = 16;
            c.steps = 40;
            c.reg_weight = 0.3;
            c.temperature = 0.3;
            c.negatives = 200;
            c.contrast = kind;
            c.contrast_nodes = 200;
            c.edge_attention = kind;
            CHECK(train(&fit, &g, &c, 2) == NULL);
            found = share_found(&fit, &g, fit.embedding[0], c.dim);
            CHECK_SAY(found > 0.8, "%s with contrast of kind %d found %g", gnn_models[m]->name, kind, found);
        }
}

/* steps too small to learn by: what is served is what it is without contrast, of the whole graph and without noise */
static void
views_are_not_served(void)
{
    GnnGraph    g;

    random_graph(&g, 60, 40, 400, true, 1);
    for (int m = 0; m < gnn_n_models; m++)
    {
        GnnFit      fit[3];
        GnnConfig   c;

        gnn_config_defaults(&c);
        c.model = m;
        c.learning_rate = 1e-12;
        c.steps = 2;
        c.negatives = 20;
        c.dim = 8;
        c.edge_dropout = c.contrast_noise = 0.5;
        c.edge_attention = GNN_EDGE_ATTENTION_RELATION;
        for (c.contrast = GNN_CONTRAST_NONE; c.contrast <= GNN_CONTRAST_EDGES; c.contrast++)
        {
            CHECK(train(&fit[c.contrast], &g, &c, 1) == NULL);
            for (int i = 0; i < 40 * c.dim; i++)
            {
                CHECK_NEAR(fit[c.contrast].embedding[1][i], fit[0].embedding[1][i], 1e-6);
                CHECK_NEAR(fit[c.contrast].fold_in[1][i], fit[0].fold_in[1][i], 1e-6);
            }
        }
    }
}

/* mean cosine of two users of one community */
static double
likeness(const GnnFit *fit, int dim)
{
    double      sum = 0;

    for (int32_t u = COMMUNITIES; u < USERS; u++)
    {
        const float *a = fit->embedding[0] + u * dim;
        const float *b = a - COMMUNITIES * dim;
        double      ab = 0;
        double      aa = 0;
        double      bb = 0;

        for (int c = 0; c < dim; c++)
        {
            ab += a[c] * b[c];
            aa += a[c] * a[c];
            bb += b[c] * b[c];
        }
        sum += ab / sqrt(aa * bb) / (USERS - COMMUNITIES);
    }
    return sum;
}

/* that is what contrast is for: what the interactions make alike it spreads */
static void
contrast_spreads(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;

    planted(&g, from, to);
    for (int kind = GNN_CONTRAST_NOISE; kind <= GNN_CONTRAST_EDGES; kind++)
    {
        double      alike[2];

        for (int with = 0; with < 2; with++)
        {
            GnnConfig   c;
            GnnFit      fit;

            gnn_config_defaults(&c);
            c.loss = 1;
            c.dim = 16;
            c.steps = 30;
            c.contrast = with ? kind : GNN_CONTRAST_NONE;
            c.contrast_nodes = 200;
            CHECK(train(&fit, &g, &c, 2) == NULL);
            alike[with] = likeness(&fit, c.dim);
        }
        CHECK_SAY(alike[1] < alike[0] - 0.05, "cosine %g without, %g with contrast of kind %d", alike[0], alike[1], kind);
    }
}

/* untrained, or trained to nothing, the test above fails: chance finds a quarter */
static void
chance_finds_little(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;

    planted(&g, from, to);
    gnn_config_defaults(&c);
    c.negatives = 50;
    c.dim = 16;
    c.layers = 0;
    c.steps = 1;
    CHECK(train(&fit, &g, &c, 1) == NULL);
    CHECK(share_found(&fit, &g, fit.embedding[0], c.dim) < 0.6);
}

/* brands, who follows whom, and a relation without edges */
static void
add_relations(GnnGraph *g)
{
    int32_t     users = g->types[0].n;
    int32_t     items = g->types[1].n;
    GnnCsr      edges;

    gnn_graph_add_nodes(g, "brand", 5);
    random_csr(&edges, items, 5, items, true, 21);
    gnn_graph_add_relation(g, "made by", 1, 2, &edges);
    random_csr(&edges, users, users, 2 * users, false, 22);
    gnn_graph_add_relation(g, "follows", 0, 0, &edges);
    random_csr(&edges, users, 5, 0, false, 23);
    gnn_graph_add_relation(g, "likes", 0, 2, &edges);
}

/* ---- the same bits: of float, and with BLAS, as they are served ---- */

#ifndef GNN_DOUBLE

static void
check_same(const GnnGraph *g, const GnnConfig *c)
{
    GnnFit      one;

    CHECK(train(&one, g, c, 1) == NULL);
    for (int threads = 1; threads <= 3; threads++)
    {
        GnnFit      other;

        CHECK(train(&other, g, c, threads) == NULL);
        CHECK(memcmp(&one.loss, &other.loss, sizeof(double)) == 0);
        CHECK(one.best_step == other.best_step);
        for (int t = 0; t < g->n_types; t++)
        {
            size_t      size = (size_t) g->types[t].n * c->dim * sizeof(float);

            CHECK_SAY(memcmp(one.embedding[t], other.embedding[t], size) == 0, "%s with %s, %d threads, type %d",
                      gnn_models[c->model]->name, gnn_losses[c->loss]->name, threads, t);
            CHECK(memcmp(one.fold_in[t], other.fold_in[t], g->types[t].n * gnn_fold_in_width(c) * sizeof(float)) == 0);
        }
        CHECK(memcmp(one.weights, other.weights, gnn_n_weights(c) * sizeof(float)) == 0);
    }
}

static void
threads_do_not_show(void)
{
    GnnGraph    g;
    GnnConfig   c;

    random_graph(&g, 1500, 700, 12000, true, 1);
    add_relations(&g);
    for (int m = 0; m < gnn_n_models; m++)
        for (int l = 0; l < gnn_n_losses; l++)
        {
            gnn_config_defaults(&c);
            c.model = m;
            c.loss = l;
            c.dim = 20;
            c.steps = 3;
            c.negatives = l == 0 ? 100 : 3;
            c.dropout = 0.2;
            c.aggregator = l % 2;
            c.edge_attention = (l + 2) % 3;
            c.reg_weight = 0.01;
            c.weight_decay = 0.01;
            c.clip_norm = 1e-3;
            c.contrast = (m + l) % 3;
            c.contrast_nodes = 150;
            c.holdout = 0.2;
            c.users_per_step = m % 2 * 700;
            check_same(&g, &c);
            c.contrast = GNN_CONTRAST_NONE;
            c.users_per_step = 300;
            c.sampling = may_sample(&c) ? 1 + (m + l) % 2 : GNN_SAMPLING_NONE;
            check_same(&g, &c);
        }
}

/* more blocks of users than a wave of the softmax has, more edges than a wave of bpr */
static void
waves_do_not_show(void)
{
    GnnGraph    g;
    GnnConfig   c;

    random_graph(&g, 17500, 300, 70000, false, 1);
    gnn_config_defaults(&c);
    c.dim = 4;
    c.steps = 2;
    c.negatives = 16;
    check_same(&g, &c);
    c.loss = 1;
    c.negatives = 2;
    check_same(&g, &c);
    c.model = model_number("kgat");     /* whose objective has waves of nodes */
    check_same(&g, &c);
}

#endif

static void
seeds_show(void)
{
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      a;
    GnnFit      b;

    random_graph(&g, 50, 40, 300, false, 1);
    gnn_config_defaults(&c);
    c.negatives = 50;
    c.steps = 2;
    CHECK(train(&a, &g, &c, 1) == NULL);
    c.seed++;
    CHECK(train(&b, &g, &c, 1) == NULL);
    CHECK(memcmp(a.embedding[0], b.embedding[0], 50 * c.dim * sizeof(float)) != 0);
}

/* ---- what a model looks at ---- */

/* a value that is neither the default nor out of range */
static double
another_value(const GnnParam *p)
{
    if (p->kind == GNN_PARAM_CHOICE)
        return p->def + 1;
    return p->kind == GNN_PARAM_REAL ? p->min + (p->max - p->min) / 7 : floor(p->def / (p->def < 4 ? 2 : 4));
}

static void
set(GnnConfig *c, const GnnParam *p, double value)
{
    char        buf[200];
    const char *problem = p->kind == GNN_PARAM_CHOICE ? gnn_param_set_choice(c, p, p->choices[(int) value], buf, sizeof(buf))
        : gnn_param_set_number(c, p, value, buf, sizeof(buf));

    CHECK_SAY(problem == NULL, "%s", problem);
}

/* does the result depend on a parameter, with the one or the other kind of contrast? */
static bool
shows(const GnnGraph *g, int model, const GnnParam *p)
{
    bool        differs = false;

    for (int kind = GNN_CONTRAST_NOISE; kind <= GNN_CONTRAST_EDGES; kind++)
    {
        GnnFit      fit[2];

        for (int changed = 0; changed < 2; changed++)
        {
            GnnConfig   c;

            gnn_config_defaults(&c);
            c.contrast = kind;
            c.contrast_nodes = 20;
            c.steps = 2;
            c.negatives = 20;
            c.dim = 8;
            if (changed)
                set(&c, p, another_value(p));
            c.model = model;
            CHECK(train(&fit[changed], g, &c, 1) == NULL);
        }
        differs |= memcmp(fit[0].embedding[0], fit[1].embedding[0], g->types[0].n * 8 * sizeof(float)) != 0;
    }
    return differs;
}

/* a parameter that not every model looks at changes what those learn that have what it is about, and no others */
static void
uses(void)
{
    GnnGraph    g;
    GnnCsr      brands;
    int         n = 0;

    random_graph(&g, 60, 40, 400, true, 1);
    gnn_graph_add_nodes(&g, "brand", 5);
    random_csr(&brands, 40, 5, 60, false, 2);
    gnn_graph_add_relation(&g, "made by", 1, 2, &brands);
    gnn_graph_add_relation(&g, "sold by", 1, 2, &brands);
    for (int i = 0; i < gnn_n_params; i++)
        for (int m = 0; m < gnn_n_models; m++)
        {
            int         use = gnn_param_use(&gnn_params[i]);

            if (use == 0)
                continue;
            n++;
            CHECK_SAY(shows(&g, m, &gnn_params[i]) == ((gnn_models[m]->uses & use) != 0), "%s with %s", gnn_params[i].name,
                      gnn_models[m]->name);
        }
    CHECK(n >= 16 * gnn_n_models);
}

/* ---- graphs at the edge ---- */

static bool
all_finite(const GnnFit *fit, const GnnGraph *g, int dim)
{
    for (int t = 0; t < g->n_types; t++)
        for (int64_t i = 0; i < (int64_t) g->types[t].n * dim; i++)
            if (!isfinite(fit->embedding[t][i]) || !isfinite(fit->fold_in[t][i]))
                return false;
    return true;
}

static void
graph_of(GnnGraph *g, int32_t n_users, int32_t n_items, int64_t n, const int32_t *from, const int32_t *to,
         const float *weight)
{
    GnnCsr      edges;

    gnn_csr_build(&edges, arena, &(GnnEdges) {.n = n, .from = from, .to = to, .weight = weight}, n_users, n_items);
    *g = (GnnGraph) {0};
    gnn_graph_add_nodes(g, "user", n_users);
    gnn_graph_add_nodes(g, "item", n_items);
    gnn_graph_add_relation(g, "interaction", 0, 1, &edges);
}

static const int32_t few_users[] = {0, 0, 1, 2, 2};
static const int32_t few_items[] = {0, 1, 1, 0, 2};

static void
check_trains(const GnnGraph *g, const GnnConfig *c)
{
    GnnFit      fit;
    const char *problem = train(&fit, g, c, 2);

    CHECK_SAY(problem == NULL, "%s with %s: %s", gnn_models[c->model]->name, gnn_losses[c->loss]->name, problem);
    CHECK_SAY(all_finite(&fit, g, c->dim), "%s with %s, dim %d, %d layers, %d negatives: not finite",
              gnn_models[c->model]->name, gnn_losses[c->loss]->name, c->dim, c->layers, c->negatives);
}

/* with settings at their edges */
static void
check_trains_anyhow(const GnnGraph *g)
{
    for (int m = 0; m < gnn_n_models; m++)
        for (int l = 0; l < gnn_n_losses; l++)
            for (int kind = 0; kind < 8; kind++)
            {
                GnnConfig   c;

                gnn_config_defaults(&c);
                c.model = m;
                c.loss = l;
                c.steps = sizeof(real) == sizeof(float) ? 6 : 2;
                c.negatives = kind == 0 ? 1 : kind == 1 ? 300 : 5;
                c.dim = kind == 2 ? 1 : 8;
                c.layers = kind == 3 ? 0 : kind == 4 ? 8 : 2;
                c.aggregator = kind % 2;
                c.edge_attention = kind % 3;
                c.temperature = kind == 0 ? 0.01 : 0.1;
                c.user_weight = kind == 5 ? 0 : 1;
                c.contrast = kind < 6 ? kind % 3 : GNN_CONTRAST_NONE;
                c.sampling = kind < 6 || !may_sample(&c) ? GNN_SAMPLING_NONE : kind - 5;
                c.fanout = kind == 6 ? 1 : 5;
                c.users_per_step = kind == 5 || kind == 6 ? 1 : 0;
                c.contrast_temperature = kind == 1 ? 0.01 : 0.2;
                c.contrast_noise = kind == 4 ? 1 : 0.1;
                c.edge_dropout = kind == 5 ? 0.9 : 0.1;
                c.clip_norm = kind == 3 ? 1e-6 : 0;
                c.holdout = kind == 4 ? 0.5 : 0;
                check_trains(g, &c);
            }
}

static void
small_graphs(void)
{
    GnnGraph    g;

    graph_of(&g, 1, 1, 1, few_users, few_items, NULL);
    check_trains_anyhow(&g);
    graph_of(&g, 3, 3, 5, few_users, few_items, NULL);
    check_trains_anyhow(&g);
    graph_of(&g, 1, 2, 2, few_users, few_items, NULL);
    check_trains_anyhow(&g);
    graph_of(&g, 1, 1, 1, few_users, few_items, NULL);
    add_relations(&g);
    check_trains_anyhow(&g);
}

static void
exotic_weights(void)
{
    static const float tiny[] = {1e-30f, 1e-30f, 2e-30f, 1e-30f, 3e-30f};
    static const float huge[] = {1e30f, 2e30f, 1e30f, 1e30f, 1e30f};
    static const float both[] = {1e30f, 1e-30f, 1, 1e-30f, 1e30f};
    static const float most[] = {8e37f, 8e37f, 8e37f, 8e37f, 1e-45f};
    GnnGraph    g;

    graph_of(&g, 3, 3, 5, few_users, few_items, tiny);
    check_trains_anyhow(&g);
    graph_of(&g, 3, 3, 5, few_users, few_items, huge);
    check_trains_anyhow(&g);
    graph_of(&g, 3, 3, 5, few_users, few_items, both);
    check_trains_anyhow(&g);
    graph_of(&g, 3, 3, 5, few_users, few_items, most);
    check_trains_anyhow(&g);
}

/* every model with each kind of sampling, contrast and attention, and features: what is refused is so before */
static void
refused_before(void)
{
    GnnGraph    plain;
    GnnGraph    featured;
    GnnCsr      features;

    graph_of(&plain, 3, 3, 5, few_users, few_items, NULL);
    featured = plain;
    random_csr(&features, 3, 4, 6, false, 5);
    gnn_graph_set_features(&featured, 1, &features);
    for (int m = 0; m < gnn_n_models; m++)
        for (int kind = 0; kind < 54; kind++)
        {
            GnnGraph   *g = kind % 2 == 0 ? &plain : &featured;
            bool        together;
            GnnConfig   c;
            GnnFit      fit;
            GnnPart     parts[GNN_MAX_PARTS];
            int         n_parts;
            const GnnRefusal *problem;
            const char *said;

            gnn_config_defaults(&c);
            c.model = m;
            c.dim = 4;
            c.steps = 2;
            c.negatives = 5;
            c.contrast = kind / 2 % 3;
            c.sampling = kind / 6 % 3;
            c.edge_attention = kind / 18;
            together = c.contrast == GNN_CONTRAST_NONE && may_sample(&c);
            problem = gnn_fit_refusal(&c, g);
            CHECK((problem == NULL) == (c.sampling == GNN_SAMPLING_NONE || together));
            CHECK((gnn_fit_refusal(&c, NULL) == NULL) == (c.sampling == GNN_SAMPLING_NONE || together));
            CHECK(problem == NULL || (strstr(problem->message, "sampling") != NULL && strstr(problem->hint, "sampling") != NULL));
            said = train(&fit, g, &c, 1);
            CHECK(problem == NULL ? said == NULL : said == problem->message);
            if (problem == NULL)
                CHECK(gnn_fit_estimate(parts, &n_parts, g, (int64_t[GNN_MAX_RELATIONS]) {5}, &c, 1) > 0);
        }
}

static void
nothing_to_learn(void)
{
    static const float disliked[] = {-1, -2, 0, -1, -5};
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;

    gnn_config_defaults(&c);
    c.negatives = 50;
    graph_of(&g, 3, 3, 0, few_users, few_items, NULL);
    CHECK(train(&fit, &g, &c, 1) != NULL);
    graph_of(&g, 3, 3, 5, few_users, few_items, disliked);
    CHECK(train(&fit, &g, &c, 1) != NULL);
    CHECK(strstr(train(&fit, &g, &c, 1), "weight above zero") != NULL);
    graph_of(&g, 0, 0, 0, few_users, few_items, NULL);
    CHECK(train(&fit, &g, &c, 1) != NULL);
}

/* a node without edges, or with dislikes alone, gets zeros, and degree 0 */
/* shapes alone: it is refused before anything is allocated for a node or read of an edge */
static void
too_many_nodes(void)
{
    GnnGraph    g = {0};
    GnnCsr      none = {.n = INT32_MAX - 1, .n_cols = 1};
    GnnConfig   c;
    GnnFit      fit = {0};
    const char *problem;

    gnn_graph_add_nodes(&g, "user", INT32_MAX - 1);
    gnn_graph_add_nodes(&g, "item", 1);
    gnn_graph_add_nodes(&g, "brand", 1);
    gnn_graph_add_relation(&g, "interactions", 0, 1, &none);
    gnn_config_defaults(&c);
    problem = gnn_fit(&fit, arena, &g, &c, 1, NULL);
    CHECK_SAY(problem != NULL && strstr(problem, "more than 2147483647 nodes") != NULL, "%s",
              problem != NULL ? problem : "trained");
}

static void
nodes_without_edges(void)
{
    static const float weight[] = {1, 1, -1, 1, 1};
    GnnGraph    g;

    graph_of(&g, 4, 5, 5, few_users, few_items, weight);
    for (int m = 0; m < gnn_n_models; m++)
    {
        GnnConfig   c;
        GnnFit      fit;

        gnn_config_defaults(&c);
        c.negatives = 50;
        c.model = m;
        c.steps = 3;
        c.edge_attention = GNN_EDGE_ATTENTION_RELATION;
        CHECK(train(&fit, &g, &c, 1) == NULL);
        for (int32_t u = 0; u < 4; u++)
        {
            bool        zero = true;

            for (int i = 0; i < c.dim; i++)
                zero &= fit.embedding[0][u * c.dim + i] == 0;
            CHECK(zero == (u == 1 || u == 3));
            CHECK(fit.degree[0][u] == (u == 1 || u == 3 ? 0 : 2));
        }
        for (int i = 3 * c.dim; i < 5 * c.dim; i++)
            CHECK(fit.embedding[1][i] == 0);
        for (int64_t i = 3 * gnn_fold_in_width(&c); i < 5 * gnn_fold_in_width(&c); i++)
            CHECK(fit.fold_in[1][i] == 0);
    }
}

#ifndef GNN_DOUBLE
static void
divergence_is_told(void)
{
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;
    const char *problem;

    random_graph(&g, 30, 30, 300, false, 1);
    gnn_config_defaults(&c);
    c.model = 1;
    c.layers = 8;
    c.learning_rate = 10;
    for (c.loss = 0; c.loss < gnn_n_losses; c.loss++)
    {
        problem = train(&fit, &g, &c, 1);
        if (problem == NULL)    /* a loss that is sure of everything has no gradient left to run away by */
            CHECK_SAY(strcmp(gnn_losses[c.loss]->name, "bce") == 0, "%s: trained", gnn_losses[c.loss]->name);
        else
            CHECK_SAY(strstr(problem, "learning_rate") != NULL, "%s: %s", gnn_losses[c.loss]->name, problem);
    }
}
#endif

/* ---- ticks, stopping, estimates ---- */

typedef struct Log
{
    int         steps;
    int         within;
    int         measured;
    jmp_buf    *leave;
} Log;

static void
log_tick(void *arg, const GnnStep *done)
{
    Log        *log = arg;

    if (done == NULL)
        log->within++;
    else
    {
        log->steps++;
        log->measured += !isnan(done->metric);
        CHECK(done->step == log->steps && done->seconds >= 0 && isfinite(done->loss));
    }
    if (log->leave != NULL && log->steps == 2)
        longjmp(*log->leave, 1);
}

static void
every_step_is_told(void)
{
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;
    Log         log = {0};

    random_graph(&g, 300, 200, 3000, false, 1);
    gnn_config_defaults(&c);
    c.negatives = 50;
    c.steps = 7;
    want_results(&fit, &g, &c);
    CHECK(gnn_fit(&fit, arena, &g, &c, 1, &(GnnTick) {log_tick, &log}) == NULL);
    CHECK(log.steps == 7 && log.measured == 0);
}

static void
leaving_from_a_tick(void)
{
    static Log  log;
    static GnnGraph g;
    static GnnConfig c;
    static GnnFit fit;
    jmp_buf     here;

    random_graph(&g, 300, 200, 3000, false, 1);
    gnn_config_defaults(&c);
    c.negatives = 50;
    log = (Log) {.leave = &here};
    want_results(&fit, &g, &c);
    if (setjmp(here) == 0)
    {
        gnn_fit(&fit, arena, &g, &c, 2, &(GnnTick) {log_tick, &log});
        CHECK(false);
    }
    CHECK(log.steps == 2);
    CHECK(train(&fit, &g, &c, 2) == NULL);
}

static void
early_stopping(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;
    GnnFit      again;
    Log         log = {0};

    planted(&g, from, to);
    gnn_config_defaults(&c);
    c.dim = 16;
    c.steps = 400;
    c.negatives = 200;
    c.holdout = 0.2;
    c.patience = 15;
    want_results(&fit, &g, &c);
    CHECK(gnn_fit(&fit, arena, &g, &c, 1, &(GnnTick) {log_tick, &log}) == NULL);
    CHECK_SAY(fit.steps < 400 && fit.steps == fit.best_step + 15, "stopped at %d, best %d", fit.steps, fit.best_step);
    CHECK(log.measured == fit.steps / 5);
    CHECK(fit.ndcg > 0.3 && fit.recall > 0.3 && fit.recall <= 1);

    /* the vectors are those of the best step: a training that ends there gives them too */
    c.steps = fit.best_step;
    CHECK(train(&again, &g, &c, 1) == NULL);
    CHECK(memcmp(fit.embedding[1], again.embedding[1], ITEMS * c.dim * sizeof(float)) == 0);
    CHECK(memcmp(fit.fold_in[1], again.fold_in[1], ITEMS * c.dim * sizeof(float)) == 0);
    CHECK(fit.ndcg == again.ndcg);
}

/* less patience than there is between two measurements: training ends with one of them, never without */
static void
little_patience(void)
{
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;

    random_graph(&g, 300, 200, 3000, false, 1);
    gnn_config_defaults(&c);
    c.dim = 8;
    c.negatives = 50;
    c.holdout = 0.2;
    for (c.patience = 1; c.patience < 5; c.patience++)
    {
        CHECK(train(&fit, &g, &c, 1) == NULL);
        CHECK_SAY(fit.best_step >= 5 && isfinite(fit.ndcg), "patience %d: best step %d", c.patience, fit.best_step);
    }
}

/* a holdout that holds nothing out: all steps are taken, and the last is what is kept */
static void
nothing_to_measure(void)
{
    static const int32_t users[] = {0, 1, 2, 3};
    static const int32_t items[] = {0, 1, 2, 0};
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;
    GnnFit      plain;

    graph_of(&g, 4, 3, 4, users, items, NULL);
    gnn_config_defaults(&c);
    c.dim = 8;
    c.negatives = 5;
    c.steps = 43;
    CHECK(train(&plain, &g, &c, 1) == NULL);
    c.holdout = 0.5;
    c.patience = 3;
    CHECK(train(&fit, &g, &c, 1) == NULL);
    CHECK_SAY(fit.steps == 43 && fit.best_step == 43, "best step %d of %d", fit.best_step, fit.steps);
    CHECK(isnan(fit.ndcg) && isnan(fit.recall));
    CHECK(memcmp(fit.embedding[1], plain.embedding[1], 3 * c.dim * sizeof(float)) == 0);
}

/* relations that say the same as the interactions, one the other way round: only what is trained on is in the graph */
static void
held_out_everywhere(void)
{
    GnnGraph    g;
    GnnConfig   c;
    GnnFit      fit;
    GnnCsr      train_part, held, turned, *all;

    random_graph(&g, 100, 40, 900, false, 1);
    all = &g.relations[0].edges;
    gnn_csr_transpose(&turned, arena, all);
    gnn_graph_add_relation(&g, "view", 0, 1, all);
    gnn_graph_add_relation(&g, "viewed by", 1, 0, &turned);
    gnn_config_defaults(&c);
    c.dim = 4;
    c.steps = 5;
    c.negatives = 5;
    c.holdout = 0.3;
    CHECK(train(&fit, &g, &c, 1) == NULL);
    gnn_holdout_split(&train_part, &held, arena, all, c.holdout, c.seed);
    CHECK(held.ptr[100] > 0);
    for (int32_t u = 0; u < 100; u++)
    {
        double      sum = 0;

        for (int64_t e = train_part.ptr[u]; e < train_part.ptr[u + 1]; e++)
            sum += 3 * (train_part.val == NULL ? 1 : train_part.val[e]);
        CHECK_NEAR(fit.degree[0][u], sum, 1e-4);
    }
}

static void
estimate(void)
{
    GnnGraph    g;
    GnnGraph    shape;

    random_graph(&g, 700, 500, 6000, true, 1);
    add_relations(&g);
    shape = g;
    for (int r = 0; r < g.n_relations; r++)
        shape.relations[r].edges = (GnnCsr) {.n = g.relations[r].edges.n, .n_cols = g.relations[r].edges.n_cols};
    for (int m = 0; m < gnn_n_models; m++)
        for (int l = 0; l < gnn_n_losses; l++)
            for (int kind = 0; kind < (l < 2 ? 7 : 4); kind++)
            {
                int64_t     n_edges[GNN_MAX_RELATIONS];
                GnnPart     parts[GNN_MAX_PARTS];
                int         n_parts;
                GnnConfig   c;
                GnnFit      fit;
                size_t      before;
                double      estimated;
                double      taken;
                double      sum = 0;

                gnn_config_defaults(&c);
                c.model = m;
                c.loss = l;
                c.steps = 1;
                c.dim = kind == 1 ? 50 : 20;
                c.layers = kind == 2 ? 4 : 2;
                c.aggregator = kind % 2;
                c.edge_attention = kind % 3;
                c.negatives = kind == 3 ? 7 : 100;
                c.contrast = kind < 4 ? kind % 3 : GNN_CONTRAST_NONE;
                c.holdout = kind == 3 ? 0.2 : 0;
                c.users_per_step = kind > 3 ? 50 : 0;
                c.sampling = kind > 3 && may_sample(&c) ? kind - 4 : 0;
                c.fanout = 3;
                for (int r = 0; r < g.n_relations; r++)
                    n_edges[r] = g.relations[r].edges.ptr[g.relations[r].edges.n];
                estimated = (double) gnn_fit_estimate(parts, &n_parts, &shape, n_edges, &c, 2);
                want_results(&fit, &g, &c);
                before = arena->used;
                CHECK(gnn_fit(&fit, arena, &g, &c, 2, NULL) == NULL);
                taken = (double) (arena->used - before);
                CHECK_SAY(fabs(estimated / taken - 1) < 0.1, "%s with %s: estimated %g, took %g", gnn_models[m]->name,
                          gnn_losses[l]->name, estimated, taken);
                CHECK(n_parts <= GNN_MAX_PARTS);
                for (int i = 0; i < n_parts; i++)
                    sum += (double) parts[i].bytes;
                CHECK(sum == estimated);
            }
}

/* a third node type that items share: it gets vectors, and lets an item without interactions have one */
static void
more_node_types(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    int32_t     item[ITEMS];
    int32_t     brand[ITEMS];
    GnnGraph    g;
    GnnCsr      brands;
    GnnConfig   c;
    GnnFit      fit;

    planted(&g, from, to);
    for (int32_t i = 0; i < ITEMS; i++)
    {
        item[i] = i;
        brand[i] = i % COMMUNITIES;
    }
    gnn_csr_build(&brands, arena, &(GnnEdges) {.n = ITEMS, .from = item, .to = brand}, ITEMS, COMMUNITIES);
    gnn_graph_add_nodes(&g, "brand", COMMUNITIES);
    gnn_graph_add_relation(&g, "made by", 1, 2, &brands);
    gnn_config_defaults(&c);
    c.dim = 16;
    c.steps = 20;
    c.temperature = 0.3;
    c.negatives = 200;
    CHECK(train(&fit, &g, &c, 2) == NULL);
    CHECK(all_finite(&fit, &g, c.dim));
    CHECK(share_found(&fit, &g, fit.embedding[0], c.dim) > 0.9);
    CHECK(fit.degree[2][0] == ITEMS_EACH);
    for (int32_t b = 0; b < COMMUNITIES; b++)
    {
        GnnHit      hits[5];
        GnnRows     rows = {.rows = fit.embedding[1], .n = ITEMS, .dim = c.dim};

        gnn_topk(hits, 5, &rows, fit.embedding[2] + b * c.dim, NULL, 0);
        for (int r = 0; r < 5; r++)
            CHECK(hits[r].row % COMMUNITIES == b);
    }
}

/* mean square of a training's numbers */
static double
mean_square(const GnnFit *fit, const GnnGraph *g, const GnnConfig *c)
{
    double      sum = 0;

    for (int t = 0; t < g->n_types; t++)
        for (int64_t i = 0; i < (int64_t) g->types[t].n * c->dim; i++)
            sum += fit->embedding[t][i] * fit->embedding[t][i];
    return sum / (double) (g->n_nodes * c->dim);
}

/* what keeps numbers small, and steps from being too large, weighs in a sample of all that there is what it weighs in the whole */
static void
samples_decay_alike(void)
{
    int32_t     from[USERS * EACH];
    int32_t     to[USERS * EACH];
    GnnGraph    g;

    planted(&g, from, to);
    for (int kind = 0; kind < 2; kind++)
    {
        double      size[2];

        for (int sampled = 0; sampled < 2; sampled++)
        {
            GnnConfig   c;
            GnnFit      fit;

            gnn_config_defaults(&c);
            c.dim = 16;
            c.steps = kind == 0 ? 40 : 3;
            c.loss = 1;
            c.reg_weight = kind == 0 ? 1 : 1e-9;
            c.sampling = sampled ? GNN_SAMPLING_NEIGHBOURS : GNN_SAMPLING_NONE;
            c.fanout = GNN_MAX_FANOUT;
            CHECK(strcmp(gnn_losses[c.loss]->name, "bpr") == 0);
            CHECK(train(&fit, &g, &c, 2) == NULL);
            size[sampled] = mean_square(&fit, &g, &c);
        }
        CHECK_SAY(fabs(size[1] / size[0] - 1) < 0.1, "kind %d: %g in samples, %g on the whole", kind, size[1], size[0]);
    }
}

static const Test tests[] = {
    {"planted communities are found by every model and loss", LONG_TEST(communities)},
    {"so they are with contrast", LONG_TEST(contrast_finds_them_too)},
    {"views are not what is served", views_are_not_served},
    {"contrast spreads what is alike", contrast_spreads},
    {"and from samples of users and of the graph", LONG_TEST(communities_by_samples)},
    {"decay and epsilon are those of the whole in a sample of all", samples_decay_alike},
    {"chance finds little", chance_finds_little},
    {"further node types take part", more_node_types},
#ifndef GNN_DOUBLE
    {"the number of threads does not show", threads_do_not_show},
    {"nor do waves", waves_do_not_show},
#endif
    {"the seed does", seeds_show},
    {"so do the parameters that a model looks at, and no others", LONG_TEST(uses)},
    {"small graphs", small_graphs},
    {"exotic weights", exotic_weights},
    {"what does not go with sampling is refused, and before", refused_before},
    {"nothing to learn from is a sentence", nothing_to_learn},
    {"2^31 nodes are refused", too_many_nodes},
    {"nodes without edges get zeros", nodes_without_edges},
#ifndef GNN_DOUBLE
    {"divergence is a sentence", divergence_is_told},
#endif
    {"every step is told", every_step_is_told},
    {"a tick may leave", leaving_from_a_tick},
    {"early stopping keeps the best", early_stopping},
    {"little patience", little_patience},
    {"nothing to measure", nothing_to_measure},
    {"what is held out is nowhere in the graph", held_out_everywhere},
    {"the estimate is what is taken", LONG_TEST(estimate)},
    {0},
};

const Subject fit_subject = {"fit", tests};
