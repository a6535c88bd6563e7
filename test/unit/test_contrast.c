/*
 * test_contrast.c: views, and InfoNCE between them against its definition, one number at a time.
 */
#include "test.h"

#include "core/ops.h"
#include "core/walk.h"
#include "model/model.h"
#include "train/contrast.h"
#include "train/params.h"

#include <math.h>
#include <string.h>

#define DIM 7

/* a model's plan on a graph of its own, and its contrast */
typedef struct World
{
    GnnGraph    graph;
    GnnAdjacency adjacency;
    GnnVisits   visits;
    GnnTyped    typed;
    GnnTeam     team;
    GnnConfig   config;
    GnnPlan     plan;
    GnnMat     *z;
    GnnContrast contrast;
} World;

static void
configure(World *w, GnnContrastKind kind)
{
    memset(w, 0, sizeof(*w));
    gnn_config_defaults(&w->config);
    w->config.dim = DIM;
    w->config.contrast = kind;
    w->config.contrast_temperature = 0.3;
    w->config.contrast_nodes = 100;
    gnn_team_open(&w->team, 2, NULL, NULL);
}

/* more users than a step draws, fewer items; some of either have no edges */
static void
make_world(World *w)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];

    random_graph(&w->graph, 250, 80, 300, true, 3);
    n_edges[0] = w->graph.relations[0].edges.ptr[250];
    gnn_adjacency_allocate(&w->adjacency, arena, &w->graph, n_edges);
    gnn_adjacency_fill(&w->adjacency, &w->graph);
    gnn_typed_allocate(&w->typed, arena, &w->graph, n_edges);
    gnn_typed_fill(&w->typed, &w->graph);
    gnn_plan_open(&w->plan, &w->adjacency, &w->team, 5);
    w->visits = (GnnVisits) {.walks = 10, .length = 2, .kept = w->config.importance_neighbours, .seed = 1};
    gnn_visits_allocate(&w->visits, arena, w->graph.n_nodes, w->team.threads);
    gnn_visits_fill(&w->visits, &w->team, &w->adjacency);
    w->plan.visited = &w->visits.shares;
    w->plan.typed = &w->typed;
    w->plan.noise = gnn_contrast_noise(&w->config);
    w->z = gnn_models[w->config.model]->build(&w->plan, &w->graph, &w->config);
    gnn_plan_allocate(&w->plan, arena);
    gnn_plan_start(&w->plan);
    w->plan.training = true;
    gnn_contrast_allocate(&w->contrast, arena, &w->config, &w->graph, n_edges, &w->plan, w->z);
    w->contrast.weight = 0.7;
    gnn_contrast_open(&w->contrast);
}

/* both views of a step; z's gradient is 0 */
static void
look(World *w, int64_t step)
{
    gnn_contrast_look(&w->contrast, step);
    gnn_plan_forward(&w->plan);
    memset(w->z->grad, 0, w->z->n * DIM * sizeof(real));
}

/* ---- InfoNCE ---- */

static int64_t
drawn(const GnnContrastSide *s, int64_t i)
{
    return s->nodes.first + s->order[i];
}

/* S_ij: the first view's cosine with the second's, over the temperature */
static double
likeness(const World *w, const GnnContrastSide *s, int64_t i, int64_t j)
{
    const real *z = w->z->val + drawn(s, i) * DIM;
    double      sum = 0;
    double      norm = 0;

    for (int c = 0; c < DIM; c++)
    {
        sum += (double) z[c] * s->other[j * DIM + c];
        norm += (double) z[c] * z[c];
    }
    return sum / sqrt(norm) / w->config.contrast_temperature;
}

static double
by_definition(const World *w)
{
    double      loss = 0;

    for (const GnnContrastSide *s = w->contrast.sides; s < w->contrast.sides + 2; s++)
        for (int64_t i = 0; i < s->n; i++)
        {
            double      row = 0;
            double      column = 0;

            for (int64_t j = 0; j < s->n; j++)
            {
                row += exp(likeness(w, s, i, j));
                column += exp(likeness(w, s, j, i));
            }
            loss += (log(row) + log(column) - 2 * likeness(w, s, i, i)) * w->contrast.weight / (2 * (double) s->n);
        }
    return loss;
}

static void
against_definition(void)
{
    for (int kind = GNN_CONTRAST_NOISE; kind <= GNN_CONTRAST_EDGES; kind++)
    {
        World       w;

        configure(&w, kind);
        make_world(&w);
        look(&w, 1);
        CHECK(w.contrast.sides[0].n == 100 && w.contrast.sides[1].n < 80 && w.contrast.sides[1].n > 64);
        CHECK_NEAR(gnn_contrast_run(&w.contrast), by_definition(&w), 1e-5);
    }
}

/* drawn are nodes that have edges, none twice, others in the next step; to the others' gradient nothing is added */
static void
nodes_drawn(void)
{
    bool        drawn_before[250] = {false};
    int         again = 0;
    World       w;

    configure(&w, GNN_CONTRAST_NOISE);
    make_world(&w);
    for (int64_t step = 1; step <= 2; step++)
    {
        bool        has[330] = {false};

        look(&w, step);
        for (int64_t i = 0; i < w.z->n * DIM; i++)
            w.z->grad[i] = 100;
        gnn_contrast_run(&w.contrast);
        for (const GnnContrastSide *s = w.contrast.sides; s < w.contrast.sides + 2; s++)
            for (int64_t i = 0; i < s->n; i++)
            {
                CHECK(!has[drawn(s, i)] && w.adjacency.degree[drawn(s, i)] > 0);
                has[drawn(s, i)] = true;
            }
        for (int64_t v = 0; v < w.z->n; v++)
            CHECK(has[v] == (w.z->grad[v * DIM] != 100));
        for (int64_t u = 0; u < 250; u++)
        {
            again += drawn_before[u] && has[u];
            drawn_before[u] = has[u];
        }
    }
    CHECK_SAY(again > 20 && again < 90, "%d of 100 users are drawn in both steps", again);
}

#ifdef GNN_DOUBLE

/* the second view is held still; what flows through the first counts for both */
static void
gradient(void)
{
    for (int kind = GNN_CONTRAST_NOISE; kind <= GNN_CONTRAST_EDGES; kind++)
    {
        const double h = 1e-5;
        World       w;
        real       *grad;

        configure(&w, kind);
        make_world(&w);
        look(&w, 1);
        gnn_contrast_run(&w.contrast);
        grad = gnn_alloc(arena, w.z->n * DIM, sizeof(real));
        memcpy(grad, w.z->grad, w.z->n * DIM * sizeof(real));
        for (int64_t i = 0; i < w.z->n * DIM; i += 3)
        {
            real        x = w.z->val[i];
            double      up;
            double      down;

            w.z->val[i] = x + h;
            up = gnn_contrast_run(&w.contrast);
            w.z->val[i] = x - h;
            down = gnn_contrast_run(&w.contrast);
            w.z->val[i] = x;
            CHECK_NEAR(grad[i], 2 * (up - down) / (2 * h), 1e-8);
        }
    }
}

#endif

/* ---- noise ---- */

static double
length(const real *x)
{
    double      sum = 0;

    for (int c = 0; c < DIM; c++)
        sum += (double) x[c] * x[c];
    return sqrt(sum);
}

/* noise is noise |x| long, and no sign is another; returns its largest number */
static double
check_noise(const real *out, const real *x, int64_t n, double noise)
{
    double      most = 0;

    for (int64_t v = 0; v < n; v++)
    {
        real        added[DIM];

        for (int c = 0; c < DIM; c++)
        {
            added[c] = out[v * DIM + c] - x[v * DIM + c];
            CHECK(out[v * DIM + c] * x[v * DIM + c] >= 0 && fabs(out[v * DIM + c]) >= fabs(x[v * DIM + c]));
            most = fmax(most, fabs(added[c]));
        }
        CHECK_NEAR(length(added), noise * length(x + v * DIM), 1e-5);
    }
    return most;
}

/* a plan of one step that noise follows: x, its result without, with */
typedef struct Noisy
{
    GnnTeam     team;
    GnnPlan     plan;
    GnnMat     *x;
    GnnMat     *out;
} Noisy;

static void
make_noisy(Noisy *n, int64_t rows, int threads)
{
    gnn_team_open(&n->team, threads, NULL, NULL);
    gnn_plan_open(&n->plan, NULL, &n->team, 9);
    n->plan.noise = (real) 0.2;
    n->plan.training = true;
    n->plan.pass = 1;
    n->x = gnn_plan_parameter(&n->plan, rows, DIM, GNN_START_NORMAL, 1);
    n->out = gnn_op_along_edges(&n->plan, n->x);
    gnn_plan_allocate(&n->plan, arena);
    gnn_plan_start(&n->plan);
    memset(n->x->val, 0, DIM * sizeof(real));       /* a row without direction gets nothing */
    gnn_plan_forward(&n->plan);
}

/* has a row the direction, but for signs, that another has? */
static bool
same_noise(const Noisy *n, int64_t row, int64_t other)
{
    double      off = 0;

    for (int c = 0; c < DIM; c++)
    {
        int64_t     i = row * DIM + c;
        int64_t     j = other * DIM + c;

        off += fabs(fabs(n->out->val[i] - n->x->val[i]) / length(n->x->val + row * DIM) -
                    fabs(n->out->val[j] - n->x->val[j]) / length(n->x->val + other * DIM));
    }
    return off < 1e-3;
}

static void
noise(void)
{
    Noisy       n;
    Noisy       other;
    size_t      size = 300 * DIM * sizeof(real);

    make_noisy(&n, 300, 1);
    CHECK(check_noise(n.out->val, n.x->val, 300, 0.2) > 0.1);
    make_noisy(&other, 300, 3);
    CHECK(memcmp(n.out->val, other.out->val, size) == 0);
    CHECK(!same_noise(&n, 1, 2) && !same_noise(&n, 1, 129) && !same_noise(&n, 1, 1 + 256));
    for (other.plan.pass = -1; other.plan.pass <= 2; other.plan.pass++)
    {
        gnn_plan_forward(&other.plan);
        CHECK((memcmp(n.out->val, other.out->val, size) == 0) == (other.plan.pass == 1));
    }
    other.plan.training = false;
    gnn_plan_forward(&other.plan);
    CHECK(memcmp(other.x->val, other.out->val, size) == 0);
}

/* inside a fused step: on every layer, each with noise of its own */
static void
noise_on_layers(void)
{
    World       w;
    real       *clean[2];
    int64_t     n;

    configure(&w, GNN_CONTRAST_NOISE);
    w.config.contrast_noise = 0.2;
    make_world(&w);
    n = w.z->n * DIM;
    for (int i = 0; i < 2; i++)
        clean[i] = gnn_alloc(arena, n, sizeof(real));
    w.plan.training = false;
    gnn_plan_forward(&w.plan);
    memcpy(clean[0], gnn_propagate_mean_inner(&w.plan.steps[0]), n * sizeof(real));
    w.plan.training = true;
    gnn_plan_forward(&w.plan);
    CHECK(check_noise(gnn_propagate_mean_inner(&w.plan.steps[0]), clean[0], w.z->n, 0.2) > 0.01);

    /* the last product of the noisy inner sum, by hand: Z = (X + A S) / 3 */
    for (int64_t v = 0; v < w.z->n; v++)
        for (int c = 0; c < DIM; c++)
        {
            const GnnCsr *a = &w.adjacency.a;
            double      sum = w.plan.learned[v * DIM + c];

            for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
                sum += a->val[e] * gnn_propagate_mean_inner(&w.plan.steps[0])[a->idx[e] * DIM + c];
            clean[1][v * DIM + c] = (real) (sum / 3);
        }
    CHECK(check_noise(w.z->val, clean[1], w.z->n, 0.2) > 0.01);
}

/* ---- views ---- */

/* of a model that goes along no edge there are none, and nothing is contrasted */
static void
check_views(int model, GnnContrastKind kind, GnnEdgeAttention attention)
{
    World       w;
    real       *first;
    int64_t     size;

    configure(&w, kind);
    w.config.model = model;
    w.config.edge_attention = attention;
    make_world(&w);
    size = w.z->n * DIM * sizeof(real);
    CHECK_SAY((w.contrast.plan != NULL) == ((gnn_models[model]->uses & GNN_USE_EDGES) != 0), "%s", gnn_models[model]->name);
    if (w.contrast.plan == NULL)
        return;
    first = gnn_alloc(arena, w.z->n * DIM, sizeof(real));
    gnn_contrast_look(&w.contrast, 1);
    memcpy(first, w.z->val, size);      /* this is the second view yet */
    gnn_plan_forward(&w.plan);
    CHECK_SAY(memcmp(first, w.z->val, size) != 0, "%s: both views are one", gnn_models[model]->name);
    memcpy(first, w.z->val, size);
    gnn_plan_forward(&w.plan);
    CHECK_SAY(memcmp(first, w.z->val, size) == 0, "%s: a view changes", gnn_models[model]->name);
    w.plan.training = false;
    w.plan.adjacency = &w.adjacency;
    w.plan.visited = &w.visits.shares;
    w.plan.typed = &w.typed;
    gnn_plan_forward(&w.plan);
    CHECK_SAY(memcmp(first, w.z->val, size) != 0, "%s: a view is not disturbed", gnn_models[model]->name);
}

static void
views(void)
{
    for (int m = 0; m < gnn_n_models; m++)
        for (int attention = GNN_EDGE_ATTENTION_WEIGHT; attention <= GNN_EDGE_ATTENTION_RELATION; attention++)
        {
            check_views(m, GNN_CONTRAST_NOISE, attention);
            check_views(m, GNN_CONTRAST_EDGES, attention);
        }
}

/* no kind, no layers: there is nothing to do, and no memory is taken */
static void
nothing_to_contrast(void)
{
    for (int kind = GNN_CONTRAST_NONE; kind <= GNN_CONTRAST_EDGES; kind++)
    {
        World       w;

        configure(&w, kind);
        w.config.layers = kind == GNN_CONTRAST_NONE ? 2 : 0;
        make_world(&w);
        CHECK(w.contrast.plan == NULL && w.contrast.unit == NULL);
        look(&w, 1);
        CHECK(gnn_contrast_run(&w.contrast) == 0 && w.plan.adjacency == &w.adjacency);
        for (int64_t i = 0; i < w.z->n * DIM; i++)
            CHECK(w.z->grad[i] == 0);
    }
}

static const Test tests[] = {
    {"InfoNCE against its definition", against_definition},
    {"which nodes are drawn", nodes_drawn},
#ifdef GNN_DOUBLE
    {"InfoNCE's gradient", gradient},
#endif
    {"noise: its length, its signs, what it depends on", noise},
    {"noise on the layers of a fused step", noise_on_layers},
    {"two views of every model", views},
    {"nothing to contrast", nothing_to_contrast},
    {0},
};

const Subject contrast_subject = {"contrast", tests};
