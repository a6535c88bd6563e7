/*
 * test_gradient.c: the gradient of every op, and of every model with every loss, by finite differences.
 *
 * In double: the error of a right gradient is four orders below that of one that is wrong by a percent, which is
 * tried too. The float build runs what needs no derivative.
 */
#include "test.h"

#include "core/ops.h"
#include "core/walk.h"
#include "model/model.h"
#include "train/decay.h"
#include "train/loss.h"
#include "train/params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define DIM 5

/* a graph with a third node type, several relations, a node without edges, and features of items and brands */
typedef struct World
{
    GnnGraph    graph;
    GnnAdjacency adjacency;
    GnnVisits   visits;
    GnnFeatures features;       /* of which plans are told by who tests them */
    GnnTyped    typed;
    GnnTeam     team;
    GnnConfig   config;
    GnnTask     task;
} World;

/* some below zero, some nodes without any */
static void
set_features(GnnGraph *g, int type, int n)
{
    GnnCsr      features;

    random_csr(&features, g->types[type].n, n, 2 * g->types[type].n, true, 13 + type);
    for (int64_t i = 0; i < features.ptr[features.n]; i += 3)
        features.val[i] *= -1;
    gnn_graph_set_features(g, type, &features);
}

/* items beside items, none beside itself */
static void
neighbouring_items(GnnCsr *out, int32_t n_items)
{
    int32_t     from[7];
    int32_t     to[7];
    float       weight[7];
    int64_t     n = n_items > 7 ? 7 : 0;

    for (int32_t i = 0; i < n; i++)
    {
        from[i] = i;
        to[i] = (2 * i + 1) % n_items;
        weight[i] = (float) (1 + i % 3);
    }
    gnn_csr_build(out, arena, &(GnnEdges) {.n = n, .from = from, .to = to, .weight = weight}, n_items, n_items);
}

/* brands by two relations that share pairs, items among themselves, and a relation without edges */
static void
add_relations(GnnGraph *g, int32_t n_users, int32_t n_items)
{
    GnnCsr      edges;

    gnn_graph_add_nodes(g, "brand", 3);
    random_csr(&edges, n_items, 3, 7, false, 12);
    gnn_graph_add_relation(g, "made by", 1, 2, &edges);
    random_csr(&edges, n_items, 3, 9, true, 13);
    gnn_graph_add_relation(g, "sold by", 1, 2, &edges);
    neighbouring_items(&edges, n_items);
    gnn_graph_add_relation(g, "goes with", 1, 1, &edges);
    random_csr(&edges, n_users, 3, 0, false, 14);
    gnn_graph_add_relation(g, "likes", 0, 2, &edges);
}

static void
make_world_of(World *w, int32_t n_users, int32_t n_items, int64_t n, bool weighted)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];

    random_graph(&w->graph, n_users, n_items, n, weighted, 11);
    add_relations(&w->graph, n_users, n_items);
    for (int r = 0; r < w->graph.n_relations; r++)
        n_edges[r] = w->graph.relations[r].edges.ptr[w->graph.relations[r].edges.n];
    gnn_team_open(&w->team, 2, NULL, NULL);
    gnn_adjacency_allocate(&w->adjacency, arena, &w->graph, n_edges);
    gnn_adjacency_fill(&w->adjacency, &w->graph);
    w->visits = (GnnVisits) {.walks = 10, .length = 3, .kept = 4, .seed = 1};
    gnn_visits_allocate(&w->visits, arena, w->graph.n_nodes, w->team.threads);
    gnn_visits_fill(&w->visits, &w->team, &w->adjacency);
    set_features(&w->graph, 1, 6);
    set_features(&w->graph, 2, 4);
    gnn_features_open(&w->features, &w->graph);
    gnn_features_allocate(&w->features, arena);
    gnn_features_fill(&w->features);
    gnn_typed_allocate(&w->typed, arena, &w->graph, n_edges);
    gnn_typed_fill(&w->typed, &w->graph);
    gnn_config_defaults(&w->config);
    w->config.dim = DIM;
}

static void
make_world(World *w, bool weighted)
{
    make_world_of(w, 8, 9, 30, weighted);
}

static void
make_task(World *w, int negatives)
{
    w->task = (GnnTask) {.config = &w->config, .team = &w->team, .negatives = negatives, .users = w->graph.types[0],
                         .items = w->graph.types[1], .by_user = w->graph.relations[0].edges,
                         .n_nodes = w->graph.n_nodes};
    w->task.n_edges = w->task.by_user.ptr[w->task.by_user.n];
    gnn_csr_transpose(&w->task.by_item, arena, &w->task.by_user);
}

/* something to differentiate: a plan, its result, and a function of that which sets its gradient */
typedef struct Problem
{
    GnnPlan     plan;
    GnnMat     *out;
    double      (*loss)(struct Problem *p);
    const GnnLoss *how;
    const GnnFeatures *features;
    void       *state;
    GnnDecay    decay;
} Problem;

/* sum of fixed random numbers times the result */
static double
random_sum(Problem *p)
{
    GnnRng      rng = gnn_rng(99, GNN_STREAM_INIT, 0);
    double      sum = 0;

    for (int64_t i = 0; i < p->out->n * p->out->dim; i++)
    {
        p->out->grad[i] = (real) gnn_rng_normal(&rng);
        sum += (double) p->out->grad[i] * p->out->val[i];
    }
    return sum;
}

static void
open_problem(Problem *p, World *w)
{
    memset(p, 0, sizeof(*p));
    gnn_plan_open(&p->plan, &w->adjacency, &w->team, 5);
    p->plan.visited = &w->visits.shares;
    p->plan.typed = &w->typed;
    p->plan.training = true;
    p->plan.pass = 1;
    p->loss = random_sum;
    p->features = &w->features;
}

static void
close_problem(Problem *p, double decay)
{
    gnn_plan_allocate(&p->plan, arena);
    gnn_decay_allocate(&p->decay, arena, &p->plan, decay);
    gnn_plan_start(&p->plan);
}

static GnnMat *
learned(Problem *p, int64_t n)
{
    return gnn_plan_parameter(&p->plan, n, DIM, GNN_START_NORMAL, 1);
}

/* ---- ops: one case or more for each in the table ---- */

static GnnMat *
case_propagate(Problem *p, int64_t n)
{
    return gnn_op_propagate(&p->plan, learned(p, n), 0.3, -0.7);
}

static GnnMat *
case_mean_0(Problem *p, int64_t n)
{
    return gnn_op_propagate_mean(&p->plan, learned(p, n), 0);
}

static GnnMat *
case_mean_1(Problem *p, int64_t n)
{
    return gnn_op_propagate_mean(&p->plan, learned(p, n), 1);
}

static GnnMat *
case_mean_2(Problem *p, int64_t n)
{
    return gnn_op_propagate_mean(&p->plan, learned(p, n), 2);
}

static GnnMat *
case_mean_5(Problem *p, int64_t n)
{
    return gnn_op_propagate_mean(&p->plan, learned(p, n), 5);
}

/* dimensions differ, and there are more rows than a slice of a part has */
#define MANY 1100

static GnnMat *
many_rows(Problem *p)
{
    return gnn_plan_parameter(&p->plan, MANY, 3, GNN_START_NORMAL, 1);
}

static GnnMat *
weight(Problem *p)              /* of rows of 3 */
{
    return gnn_plan_parameter(&p->plan, 3, 2, GNN_START_IDENTITY, 0.3);
}

static GnnMat *
case_dense(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);

    return gnn_op_dense(&p->plan, x, weight(p), 1, 0);
}

static GnnMat *
case_dense_relu(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);

    return gnn_op_dense(&p->plan, x, weight(p), 0, 0);
}

static GnnMat *
case_dense_dropped(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);

    return gnn_op_dense(&p->plan, x, weight(p), 0.2, 0.4);
}

static GnnMat *
case_join(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);
    GnnMat     *w = weight(p);
    GnnMat     *a = many_rows(p);

    return gnn_op_join(&p->plan, x, w, a, weight(p), 0.2, 0.4);
}

static GnnMat *
case_interact(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);
    GnnMat     *w = weight(p);
    GnnMat     *a = many_rows(p);

    return gnn_op_interact(&p->plan, x, w, a, weight(p), 0.2, 0.4);
}

/* with one of them twice */
static GnnMat *
case_mean_of_matrices(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);

    return gnn_op_mean(&p->plan, (GnnMat *[]) {x, learned(p, n), x}, 3);
}

static GnnMat *
case_sized_mean(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);

    return gnn_op_sized_mean(&p->plan, (GnnMat *[]) {x, learned(p, n), x}, 3, 0.3);
}

static GnnMat *
case_neighbour_mean(Problem *p, int64_t n)
{
    return gnn_op_neighbour_mean(&p->plan, learned(p, n));
}

static GnnMat *
case_neighbour_max(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);

    return gnn_op_neighbour_max(&p->plan, x, gnn_plan_parameter(&p->plan, DIM, 3, GNN_START_NORMAL, 1), 0.2);
}

static GnnMat *
case_neighbour_max_relu(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);

    return gnn_op_neighbour_max(&p->plan, x, gnn_plan_parameter(&p->plan, DIM, 3, GNN_START_NORMAL, 1), 0);
}

static GnnMat *
case_visited_sum(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);

    return gnn_op_visited_sum(&p->plan, x, gnn_plan_parameter(&p->plan, DIM, 3, GNN_START_NORMAL, 1), 0.2);
}

static GnnMat *
att(Problem *p, int64_t dim)
{
    return gnn_plan_parameter(&p->plan, 2, dim, GNN_START_NORMAL, 1);
}

static GnnMat *
attention(Problem *p, int64_t n, int heads)
{
    GnnMat     *h = learned(p, n);

    return gnn_op_attend(&p->plan, h, att(p, DIM), heads, 0.2, false);
}

/* more rows of biases than there are relations */
static GnnMat *
typed_attention(Problem *p, GnnMat *h, int heads)
{
    GnnMat     *prior = gnn_op_edge_prior(&p->plan);
    GnnMat     *a = att(p, h->dim);
    GnnMat     *bias = gnn_plan_parameter(&p->plan, p->plan.typed->n_relations + 2, gnn_attend_heads(heads, h->dim),
                                          GNN_START_NORMAL, 1);

    return gnn_op_attend_typed(&p->plan, h, a, prior, bias, heads, 0.2);
}

static GnnMat *
case_attend_1(Problem *p, int64_t n)
{
    return attention(p, n, 1);
}

static GnnMat *
case_attend_2(Problem *p, int64_t n)
{
    return attention(p, n, 2);
}

/* more heads than columns */
static GnnMat *
case_attend_9(Problem *p, int64_t n)
{
    return attention(p, n, 9);
}

static GnnMat *
case_attend_evenly(Problem *p, int64_t n)
{
    GnnMat     *h = learned(p, n);

    return gnn_op_attend(&p->plan, h, att(p, DIM), 2, 0.2, true);
}

static GnnMat *
case_attend_typed_1(Problem *p, int64_t n)
{
    return typed_attention(p, learned(p, n), 1);
}

static GnnMat *
case_attend_typed_2(Problem *p, int64_t n)
{
    return typed_attention(p, learned(p, n), 2);
}

static GnnMat *
case_attend_typed_9(Problem *p, int64_t n)
{
    return typed_attention(p, learned(p, n), 9);
}

static GnnMat *
gru(Problem *p, double dropout)
{
    GnnMat     *h = gnn_plan_parameter(&p->plan, MANY, 3, GNN_START_NORMAL, 1);
    GnnMat     *m = gnn_plan_parameter(&p->plan, MANY, 3, GNN_START_NORMAL, 1);
    GnnMat     *w = gnn_plan_parameter(&p->plan, 3, 9, GNN_START_NORMAL, 1);
    GnnMat     *u = gnn_plan_parameter(&p->plan, 3, 9, GNN_START_NORMAL, 1);

    return gnn_op_gru(&p->plan, h, m, w, u, dropout);
}

static GnnMat *
case_gru(Problem *p, int64_t n)
{
    return gru(p, 0);
}

/* noise is a constant to the gradient, which differences see only where it is too small to change much with its row */
#define LITTLE_NOISE 1e-8

static GnnMat *
case_perturb(Problem *p, int64_t n)
{
    p->plan.noise = (real) LITTLE_NOISE;
    return gnn_op_along_edges(&p->plan, learned(p, n));
}

static GnnMat *
case_gru_dropped(Problem *p, int64_t n)
{
    return gru(p, 0.4);
}

/* alone: x has no rows of items and brands */
static GnnMat *
encoded(Problem *p, bool alone, bool two_layers)
{
    GnnMat     *x;
    GnnMat     *e;

    p->plan.features = p->features;
    x = learned(p, alone ? p->features->graph->types[0].n : p->features->graph->n_nodes);
    e = learned(p, p->features->n);
    return gnn_op_encode(&p->plan, x, e, two_layers ? learned(p, DIM) : NULL, 0.2, alone);
}

static GnnMat *
case_encode(Problem *p, int64_t n)
{
    return encoded(p, false, false);
}

static GnnMat *
case_encode_twice(Problem *p, int64_t n)
{
    return encoded(p, false, true);
}

static GnnMat *
case_encode_alone(Problem *p, int64_t n)
{
    return encoded(p, true, true);
}

/* what is encoded is read by others too: its gradient adds up before it is used up */
static GnnMat *
case_encode_shared(Problem *p, int64_t n)
{
    GnnMat     *h = encoded(p, true, true);

    return gnn_op_mean(&p->plan, (GnnMat *[]) {gnn_op_propagate(&p->plan, h, 0.5, 0.5), h}, 2);
}

/* steps on parts of a matrix; what no step writes is 0 */
static GnnMat *
case_dense_of_rows(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);
    GnnMat     *out = gnn_plan_mat(&p->plan, MANY, 2);

    gnn_op_dense_into(&p->plan, gnn_plan_rows(&p->plan, out, 0, 100), gnn_plan_rows(&p->plan, x, 0, 100), weight(p), 0.2, 0);
    gnn_op_dense_into(&p->plan, gnn_plan_rows(&p->plan, out, 300, MANY - 300), gnn_plan_rows(&p->plan, x, 300, MANY - 300),
                      weight(p), 1, 0.4);
    return out;
}

/* two bases for eight directed relations */
static GnnMat *
relations(Problem *p, GnnMat *x, int64_t dim, double slope, double dropout)
{
    GnnMat     *w = gnn_plan_parameter(&p->plan, 3 * x->dim, dim, GNN_START_NORMAL, 0.5);

    return gnn_op_relation_sum(&p->plan, x, w, gnn_plan_parameter(&p->plan, p->plan.typed->n_relations, 2, GNN_START_NORMAL, 1),
                               slope, dropout);
}

static GnnMat *
case_relation_sum(Problem *p, int64_t n)
{
    return relations(p, learned(p, n), 3, 1, 0);
}

static GnnMat *
case_relation_sum_dropped(Problem *p, int64_t n)
{
    return relations(p, learned(p, n), DIM + 2, 0.2, 0.4);
}

/* the matrices and rows of all directed relations, for rows of dim */
static GnnMat *
relation_matrices(Problem *p, int64_t dim)
{
    return gnn_plan_parameter(&p->plan, p->plan.typed->n_relations * dim, dim, GNN_START_NORMAL, 0.5);
}

static GnnMat *
relation_rows(Problem *p, int64_t dim)
{
    return gnn_plan_parameter(&p->plan, p->plan.typed->n_relations, dim, GNN_START_NORMAL, 0.5);
}

/* attention pays heed to x, and x is what is summed */
static GnnMat *
attended(Problem *p, GnnMat *x)
{
    GnnMat     *w = relation_matrices(p, x->dim);

    return gnn_op_weighted_sum(&p->plan, x, gnn_op_relation_attention(&p->plan, x, w, relation_rows(p, x->dim)));
}

static GnnMat *
case_attended(Problem *p, int64_t n)
{
    return attended(p, learned(p, n));
}

static GnnMat *
case_transr(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);
    GnnMat     *w = relation_matrices(p, DIM);

    return gnn_op_transr(&p->plan, x, w, relation_rows(p, DIM), 0.7);
}

static GnnMat *
case_bi_interact(Problem *p, int64_t n)
{
    GnnMat     *x = many_rows(p);
    GnnMat     *w = weight(p);
    GnnMat     *a = many_rows(p);

    return gnn_op_bi_interact(&p->plan, x, w, a, weight(p), 0.2, 0.4);
}

/* several layers */
static GnnMat *
case_chain(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);
    GnnMat     *w = gnn_plan_parameter(&p->plan, DIM, DIM, GNN_START_NORMAL, 0.5);
    GnnMat     *h = gnn_op_dense(&p->plan, x, w, 0.2, 0);

    return gnn_op_dense(&p->plan, gnn_op_propagate(&p->plan, h, 1, 1), w, 1, 0);
}

/* x is used twice, by the op and by what follows: gradients add */
static GnnMat *
case_shared(Problem *p, GnnMat *x, GnnMat *y)
{
    return gnn_op_dense(&p->plan, y, x, 1, 0);
}

static GnnMat *
square(Problem *p, int64_t n)
{
    return gnn_plan_parameter(&p->plan, n, n, GNN_START_NORMAL, 0.3);
}

static GnnMat *
case_propagate_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_propagate(&p->plan, x, 0.5, 0.5));
}

static GnnMat *
case_mean_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_propagate_mean(&p->plan, x, 2));
}

static GnnMat *
case_dense_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_dense(&p->plan, x, x, 0.2, 0.2));
}

/* all inputs are one matrix */
static GnnMat *
case_join_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_join(&p->plan, x, x, x, x, 0.2, 0));
}

static GnnMat *
case_interact_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_interact(&p->plan, x, x, x, x, 0.2, 0));
}

static GnnMat *
case_neighbour_mean_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_neighbour_mean(&p->plan, x));
}

static GnnMat *
case_neighbour_max_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_neighbour_max(&p->plan, x, x, 0.2));
}

static GnnMat *
case_visited_sum_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_visited_sum(&p->plan, x, x, 0.2));
}

static GnnMat *
case_attend_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_attend(&p->plan, x, att(p, n), 3, 0.2, false));
}

static GnnMat *
case_attend_typed_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, typed_attention(p, x, 3));
}

static GnnMat *
case_gru_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);
    GnnMat     *w = gnn_plan_parameter(&p->plan, n, 3 * n, GNN_START_NORMAL, 0.3);

    return case_shared(p, x, gnn_op_gru(&p->plan, x, x, w, w, 0));
}

static GnnMat *
case_relation_sum_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, relations(p, x, n, 0.2, 0));
}

static GnnMat *
case_attended_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, attended(p, x));
}

static GnnMat *
case_bi_interact_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    return case_shared(p, x, gnn_op_bi_interact(&p->plan, x, x, x, x, 0.2, 0));
}

/* the objective is no part of the result: what it adds to the gradient of x is */
static GnnMat *
case_transr_shared(Problem *p, int64_t n)
{
    GnnMat     *x = learned(p, n);
    GnnMat     *w = relation_matrices(p, DIM);

    gnn_plan_minimise(&p->plan, gnn_op_transr(&p->plan, x, w, relation_rows(p, DIM), 3));
    return gnn_op_propagate(&p->plan, x, 0.3, -0.7);
}

static GnnMat *
case_perturb_shared(Problem *p, int64_t n)
{
    GnnMat     *x = square(p, n);

    p->plan.noise = (real) LITTLE_NOISE;
    return case_shared(p, x, gnn_op_along_edges(&p->plan, x));
}

typedef struct OpCase
{
    const GnnOp *op;
    GnnMat     *(*write)(Problem *p, int64_t n);
} OpCase;

static const OpCase op_cases[] = {
    {&gnn_propagate, case_propagate},
    {&gnn_propagate_mean, case_mean_0},
    {&gnn_propagate_mean, case_mean_1},
    {&gnn_propagate_mean, case_mean_2},
    {&gnn_propagate_mean, case_mean_5},
    {&gnn_dense, case_dense},
    {&gnn_dense, case_dense_relu},
    {&gnn_dense, case_dense_dropped},
    {&gnn_dense, case_chain},
    {&gnn_join, case_join},
    {&gnn_interact, case_interact},
    {&gnn_mean, case_mean_of_matrices},
    {&gnn_sized_mean, case_sized_mean},
    {&gnn_neighbour_mean, case_neighbour_mean},
    {&gnn_neighbour_max, case_neighbour_max},
    {&gnn_neighbour_max, case_neighbour_max_relu},
    {&gnn_visited_sum, case_visited_sum},
    {&gnn_visited_sum, case_visited_sum_shared},
    {&gnn_attend, case_attend_1},
    {&gnn_attend, case_attend_2},
    {&gnn_attend, case_attend_9},
    {&gnn_attend, case_attend_evenly},
    {&gnn_attend, case_attend_typed_1},
    {&gnn_attend, case_attend_typed_2},
    {&gnn_attend, case_attend_typed_9},
    {&gnn_edge_prior, case_attend_typed_2},
    {&gnn_gru, case_gru},
    {&gnn_gru, case_gru_dropped},
    {&gnn_relation_sum, case_relation_sum},
    {&gnn_relation_sum, case_relation_sum_dropped},
    {&gnn_relation_attention, case_attended},
    {&gnn_weighted_sum, case_attended},
    {&gnn_transr, case_transr},
    {&gnn_bi_interact, case_bi_interact},
    {&gnn_perturb, case_perturb},
    {&gnn_propagate, case_propagate_shared},
    {&gnn_propagate_mean, case_mean_shared},
    {&gnn_dense, case_dense_shared},
    {&gnn_join, case_join_shared},
    {&gnn_interact, case_interact_shared},
    {&gnn_neighbour_mean, case_neighbour_mean_shared},
    {&gnn_neighbour_max, case_neighbour_max_shared},
    {&gnn_attend, case_attend_shared},
    {&gnn_attend, case_attend_typed_shared},
    {&gnn_gru, case_gru_shared},
    {&gnn_dense, case_dense_of_rows},
    {&gnn_encode, case_encode},
    {&gnn_encode, case_encode_twice},
    {&gnn_encode, case_encode_alone},
    {&gnn_encode, case_encode_shared},
    {&gnn_relation_sum, case_relation_sum_shared},
    {&gnn_weighted_sum, case_attended_shared},
    {&gnn_transr, case_transr_shared},
    {&gnn_bi_interact, case_bi_interact_shared},
    {&gnn_perturb, case_perturb_shared},
};
#define N_OP_CASES ((int) (sizeof(op_cases) / sizeof(op_cases[0])))

static void
every_op_has_a_case(void)
{
    for (int i = 0; i < gnn_n_ops; i++)
    {
        bool        found = false;

        for (int c = 0; c < N_OP_CASES; c++)
            found |= op_cases[c].op == gnn_ops[i];
        CHECK_SAY(found, "no case for %s", gnn_ops[i]->name);
    }
}

#ifdef GNN_DOUBLE

/* of a right gradient, the error is below; of a wrong one, far above */
#define GOOD 1e-6

static void
do_nothing(GnnPlan *plan, const GnnPlanStep *step)
{
}

/* what is constant to the gradient stays as it is while we differ */
static void
freeze_constants(GnnPlan *plan)
{
    static const GnnOp frozen = {"frozen", do_nothing, do_nothing};

    for (int i = 0; i < plan->n_steps; i++)
        if (plan->steps[i].out->constant)
            plan->steps[i].op = &frozen;
}

static double
training_loss(Problem *p)
{
    return p->how->run(p->state, p->out, 3);
}

static double
value_at(Problem *p)
{
    gnn_plan_forward(&p->plan);
    return p->loss(p) + gnn_decay_run(&p->decay, &p->plan) + gnn_plan_objective(&p->plan);
}

/* the largest difference between gradient and finite difference, over the largest gradient; 1 for a gradient of zeros */
static double
gradient_error(Problem *p)
{
    const double h = 1e-6;      /* the kinks of activations are seldom nearer than that */
    int64_t     n = p->plan.n_learned;
    real       *grad = gnn_alloc(arena, n, sizeof(real));
    double      worst = 0;
    double      most = 0;

    gnn_plan_forward(&p->plan);
    p->loss(p);
    gnn_plan_backward(&p->plan, p->out);
    gnn_decay_run(&p->decay, &p->plan);
    memcpy(grad, p->plan.learned_grad, n * sizeof(real));
    freeze_constants(&p->plan);
    for (int64_t i = 0; i < n; i += n > 1000 ? n / 150 : 1)
    {
        real        x = p->plan.learned[i];
        double      up;
        double      down;

        p->plan.learned[i] = (real) (x + h);
        up = value_at(p);
        p->plan.learned[i] = (real) (x - h);
        down = value_at(p);
        p->plan.learned[i] = x;
        worst = fmax(worst, fabs((up - down) / (2 * h) - grad[i]));
        most = fmax(most, fabs(grad[i]));
    }
    return most > 0 ? worst / most : 1;
}

static void
check_ops(World *w)
{
    for (int c = 0; c < N_OP_CASES; c++)
        for (int noisy = 0; noisy < 2; noisy++)
        {
            Problem     p;
            double      error;

            open_problem(&p, w);
            p.plan.noise = noisy ? (real) LITTLE_NOISE : 0;
            p.out = op_cases[c].write(&p, w->graph.n_nodes);
            close_problem(&p, 0);
            error = gradient_error(&p);
            CHECK_SAY(error < GOOD, "%s (case %d%s): %g", op_cases[c].op->name, c, noisy ? ", with noise" : "", error);
        }
}

static void
ops(void)
{
    World       w;

    make_world(&w, true);
    check_ops(&w);
}

/* some of each row, heavier by chance: a matrix that is not symmetric, as a sample of a graph has */
static void
thin_adjacency(World *w)
{
    GnnRng      rng = gnn_rng(3, GNN_STREAM_INIT, 0);
    const GnnCsr *a = &w->adjacency.a;
    GnnAdjacency *thin = &w->adjacency;
    GnnDirected some;
    int64_t     n = 0;

    gnn_directed_allocate(&some, arena, a->n, a->ptr[a->n]);
    thin->n_edges = gnn_alloc(arena, a->n, sizeof(int32_t));
    for (int32_t v = 0; v < a->n; v++)
    {
        for (int64_t e = a->ptr[v]; e < a->ptr[v + 1]; e++)
            if (gnn_rng_below(&rng, 3) > 0)
            {
                some.rows.idx[n] = a->idx[e];
                some.rows.val[n++] = (float) (a->val[e] * (1 + gnn_rng_uniform(&rng)));
            }
        some.rows.ptr[v + 1] = n;
        thin->n_edges[v] = (int32_t) (a->ptr[v + 1] - a->ptr[v]);
    }
    gnn_directed_turn(&some);
    thin->a.ptr = gnn_alloc(arena, a->n + 1, sizeof(int64_t));
    thin->a.idx = gnn_alloc(arena, 2 * n, sizeof(int32_t));
    thin->a.val = gnn_alloc(arena, 2 * n, sizeof(float));
    thin->back = gnn_alloc(arena, 2 * n, sizeof(float));
    gnn_directed_join(thin, &some);
}

/* and of the typed graph a view, in which edges, and all of a run, are left out */
static void
thin_typed(World *w)
{
    GnnTyped    whole = w->typed;

    gnn_typed_allocate_view(&w->typed, arena, &whole);
    gnn_typed_drop(&w->typed, &w->team, &whole, 0.4, gnn_rng(3, GNN_STREAM_EDGES, 0));
}

static void
ops_on_a_sample(void)
{
    World       w;

    make_world(&w, true);
    thin_adjacency(&w);
    thin_typed(&w);
    check_ops(&w);
}

/* exponents of edges that a node did not draw itself may be larger than any it did: their weight is still 0 */
static void
strong_attention_on_a_sample(void)
{
    World       w;

    make_world(&w, true);
    thin_adjacency(&w);
    thin_typed(&w);
    for (int c = 0; c < N_OP_CASES; c++)
    {
        Problem     p;

        if (op_cases[c].op != &gnn_attend)
            continue;
        open_problem(&p, &w);
        p.out = op_cases[c].write(&p, w.graph.n_nodes);
        close_problem(&p, 0);
        for (int64_t i = 0; i < p.plan.n_learned; i++)
            p.plan.learned[i] *= 1000;
        gnn_plan_forward(&p.plan);
        p.loss(&p);
        gnn_plan_backward(&p.plan, p.out);
        for (int64_t i = 0; i < p.plan.n_learned; i++)
            CHECK(isfinite(p.plan.learned_grad[i]));
        for (int64_t i = 0; i < p.out->n * p.out->dim; i++)
            CHECK(isfinite(p.out->val[i]));
    }
}

static void
differentiate_case(Problem *p, World *w, int c, double noise)
{
    open_problem(p, w);
    p->plan.noise = (real) noise;
    p->out = op_cases[c].write(p, w->graph.n_nodes);
    close_problem(p, 0);
    gnn_plan_forward(&p->plan);
    p->loss(p);
    gnn_plan_backward(&p->plan, p->out);
}

/* what is linear in a step's result has the same gradient with noise, which is a constant, as without */
static void
noise_is_a_constant(void)
{
    int         n_cases = 0;
    World       w;

    make_world(&w, true);
    for (int c = 0; c < N_OP_CASES; c++)
    {
        Problem     clean;
        Problem     noisy;

        differentiate_case(&clean, &w, c, 0);
        differentiate_case(&noisy, &w, c, 0.5);
        if (clean.plan.n_steps > 1 || !clean.plan.along_edges)
            continue;
        CHECK(memcmp(clean.out->val, noisy.out->val, clean.out->n * clean.out->dim * sizeof(real)) != 0 ||
              op_cases[c].op == &gnn_perturb);
        for (int64_t i = 0; i < clean.plan.n_learned; i++)
            CHECK_NEAR(noisy.plan.learned_grad[i], clean.plan.learned_grad[i], 1e-12);
        n_cases++;
    }
    CHECK(n_cases >= 10);
}

/* ---- models and losses: all pairs ---- */

static void
check_pair(World *w, int m, int l, bool features)
{
    Problem     p;
    double      error;

    open_problem(&p, w);
    p.plan.features = features ? &w->features : NULL;
    p.plan.noise = w->config.layers % 2 ? (real) LITTLE_NOISE : 0;
    p.out = gnn_models[m]->build(&p.plan, &w->graph, &w->config);
    close_problem(&p, 0.01);
    p.how = gnn_losses[l];
    p.loss = training_loss;
    p.state = p.how->allocate(arena, &w->task);
    p.how->open(p.state, &w->task);
    error = gradient_error(&p);
    CHECK_SAY(error < GOOD, "%s with %s, %d layers, user_weight %g: %g", gnn_models[m]->name, p.how->name,
              w->config.layers, w->config.user_weight, error);
}

static void
models_and_losses(void)
{
    for (int m = 0; m < gnn_n_models; m++)
        for (int l = 0; l < gnn_n_losses; l++)
            for (int kind = 0; kind < 6; kind++)
            {
                World       w;

                make_world(&w, kind != 1);
                make_task(&w, kind == 2 ? 1 : 6);
                w.config.layers = kind;
                w.config.user_weight = kind % 2 ? 0.5 : 1;
                w.config.dropout = kind == 3 ? 0.3 : 0;
                w.config.aggregator = kind % 2;
                w.config.heads = 1 + kind;
                w.config.edge_attention = kind % 3;
                w.config.bases = 1 + 3 * kind;
                w.config.relation_weight = kind;
                w.config.temperature = 0.5;
                w.config.encoder = kind % 2;
                check_pair(&w, m, l, kind >= 2);
            }
}

/* an objective over more nodes than a wave has */
static void
many_nodes(void)
{
    World       w;
    Problem     p;
    double      error;

    make_world_of(&w, 5000, 40, 6000, true);
    open_problem(&p, &w);
    p.out = case_transr(&p, w.graph.n_nodes);
    close_problem(&p, 0);
    error = gradient_error(&p);
    CHECK_SAY(error < GOOD, "%g", error);
}

/* more users than a block has, some without edges */
static void
many_users(void)
{
    for (int l = 0; l < gnn_n_losses; l++)
    {
        World       w;

        make_world_of(&w, 700, 40, 1200, true);
        make_task(&w, 5);
        w.config.temperature = 0.5;
        check_pair(&w, 0, l, false);
    }
}

/* ---- the check itself ---- */

static void
wrong_backward(GnnPlan *plan, const GnnPlanStep *step)
{
    for (int64_t i = 0; i < step->out->n * step->out->dim; i++)
        step->in->grad[i] += step->out->grad[i] * (i % 7 == 3 ? 1.03 : 1);
}

static void
right_backward(GnnPlan *plan, const GnnPlanStep *step)
{
    for (int64_t i = 0; i < step->out->n * step->out->dim; i++)
        step->in->grad[i] += step->out->grad[i];
}

static void
same_forward(GnnPlan *plan, const GnnPlanStep *step)
{
    memcpy(step->out->val, step->in->val, step->out->n * step->out->dim * sizeof(real));
}

static void
a_broken_backward_is_caught(void)
{
    static const GnnOp broken = {"broken", same_forward, wrong_backward};
    static const GnnOp sound = {"sound", same_forward, right_backward};

    for (int right = 0; right < 2; right++)
    {
        World       w;
        Problem     p;
        GnnMat     *x;

        make_world(&w, false);
        open_problem(&p, &w);
        x = learned(&p, w.graph.n_nodes);
        p.out = gnn_plan_mat(&p.plan, x->n, DIM);
        gnn_plan_add(&p.plan, (GnnPlanStep) {.op = right ? &sound : &broken, .out = p.out, .in = x});
        close_problem(&p, 0);
        CHECK((gradient_error(&p) < GOOD) == right);
    }
}

#endif

/* ---- what the formulas say ---- */

/* LightGCN by dense matrices: Z = 1/(L+1) sum A^l X, and S = sum of all but the last power */
static void
lightgcn_against_dense(void)
{
    for (int layers = 0; layers <= 4; layers++)
    {
        World       w;
        Problem     p;
        int64_t     n;
        double     *a, *x, *z, *s;

        make_world(&w, true);
        w.config.layers = layers;
        open_problem(&p, &w);
        p.out = gnn_lightgcn.build(&p.plan, &w.graph, &w.config);
        close_problem(&p, 0);
        gnn_plan_forward(&p.plan);
        n = w.graph.n_nodes;
        a = dense_of(&w.adjacency.a);
        x = gnn_alloc(arena, n * DIM, sizeof(double));
        z = gnn_alloc(arena, n * DIM, sizeof(double));
        s = gnn_alloc(arena, n * DIM, sizeof(double));
        for (int64_t i = 0; i < n * DIM; i++)
            x[i] = p.plan.learned[i];
        for (int l = 0; l <= layers; l++)
        {
            double     *ax = gnn_alloc(arena, n * DIM, sizeof(double));

            for (int64_t v = 0; v < n; v++)
                for (int c = 0; c < DIM; c++)
                {
                    z[v * DIM + c] += x[v * DIM + c] / (layers + 1);
                    if (l < layers)
                        s[v * DIM + c] += x[v * DIM + c];
                    for (int64_t u = 0; u < n; u++)
                        ax[v * DIM + c] += a[v * n + u] * x[u * DIM + c];
                }
            x = ax;
        }
        for (int64_t i = 0; i < n * DIM; i++)
            CHECK_NEAR(p.out->val[i], z[i], 1e-6);
        if (layers > 0)
            for (int64_t i = 0; i < n * DIM; i++)
                CHECK_NEAR(gnn_propagate_mean_inner(&p.plan.steps[0])[i], s[i], 2e-6);
    }
}

/* ---- steps by their definitions, on dense matrices and one number at a time ---- */

static real
leaky(real x)
{
    return x > 0 ? x : (real) 0.2 * x;
}

/* A, not normalised */
static double *
dense_adjacency(const World *w)
{
    int64_t     n = w->graph.n_nodes;
    double     *a = dense_of(&w->adjacency.a);

    for (int64_t v = 0; v < n; v++)
        for (int64_t u = 0; u < n; u++)
            a[v * n + u] *= sqrt(w->adjacency.degree[v] * w->adjacency.degree[u]);
    return a;
}

/* runs one case of an op forwards; x is its first parameter */
static const real *
run_case(Problem *p, World *w, GnnMat *(*write)(Problem *p, int64_t n))
{
    make_world(w, true);
    open_problem(p, w);
    p->plan.training = false;
    p->out = write(p, w->graph.n_nodes);
    close_problem(p, 0);
    gnn_plan_forward(&p->plan);
    return p->plan.learned;
}

static void
mean_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_neighbour_mean);
    double     *a = dense_adjacency(&w);
    int64_t     n = w.graph.n_nodes;

    for (int64_t v = 0; v < n; v++)
        for (int c = 0; c < DIM; c++)
        {
            double      sum = 0;

            for (int64_t u = 0; u < n; u++)
                sum += a[v * n + u] * x[u * DIM + c];
            CHECK_NEAR(p.out->val[v * DIM + c], sum / fmax(w.adjacency.degree[v], 1e-9), 1e-5);
        }
}

static void
max_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_neighbour_max);
    const real *weights = p.plan.parameters[1].mat->val;
    double     *a = dense_adjacency(&w);
    int64_t     n = w.graph.n_nodes;

    for (int64_t v = 0; v < n; v++)
        for (int c = 0; c < 3; c++)
        {
            double      most = -INFINITY;

            for (int64_t u = 0; u < n; u++)
            {
                real        y = 0;

                for (int i = 0; i < DIM; i++)
                    y += x[u * DIM + i] * weights[i * 3 + c];
                if (a[v * n + u] > 0)
                    most = fmax(most, leaky(y));
            }
            CHECK_NEAR(p.out->val[v * 3 + c], isinf(most) ? 0 : most, 1e-5);
        }
}

static void
visited_sum_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_visited_sum);
    const real *weights = p.plan.parameters[1].mat->val;
    double     *b = dense_of(&w.visits.shares.rows);
    int64_t     n = w.graph.n_nodes;

    for (int64_t v = 0; v < n; v++)
        for (int c = 0; c < 3; c++)
        {
            double      sum = 0;

            for (int64_t u = 0; u < n; u++)
            {
                real        y = 0;

                for (int i = 0; i < DIM; i++)
                    y += x[u * DIM + i] * weights[i * 3 + c];
                sum += b[v * n + u] * leaky(y);
            }
            CHECK_NEAR(p.out->val[v * 3 + c], sum, 1e-5);
        }
}

static void
sized_mean_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_sized_mean);
    const real *y = p.plan.parameters[1].mat->val;

    for (int64_t v = 0; v < w.graph.n_nodes; v++)
    {
        double      size = w.adjacency.degree[v] > 0 ? pow(w.adjacency.degree[v], 0.3) : 1;
        double      m[DIM];
        double      square = 0;

        for (int c = 0; c < DIM; c++)
        {
            m[c] = (2 * x[v * DIM + c] + y[v * DIM + c]) / 3;
            square += m[c] * m[c];
        }
        for (int c = 0; c < DIM; c++)
            CHECK_NEAR(p.out->val[v * DIM + c], size * m[c] / sqrt(square), 1e-5);
    }
}

/* everybody's largest number is somebody's, found again backwards to the bit: p is of one column, all gradients are 1 */
static void
the_largest_is_found_again(void)
{
    World       w;
    Problem     p;
    GnnMat     *x;
    GnnMat     *weights;
    double      should = 0;
    double      is = 0;
    double      square = 0;

    make_world_of(&w, 700, 400, 5000, false);
    open_problem(&p, &w);
    x = gnn_plan_parameter(&p.plan, w.graph.n_nodes, 37, GNN_START_NORMAL, 1);
    weights = gnn_plan_parameter(&p.plan, 37, 1, GNN_START_NORMAL, 1);
    p.out = gnn_op_neighbour_max(&p.plan, x, weights, 0.2);
    close_problem(&p, 0);
    gnn_plan_forward(&p.plan);
    for (int64_t v = 0; v < p.out->n; v++)
    {
        p.out->grad[v] = 1;
        should += w.adjacency.degree[v] == 0 ? 0 : p.out->val[v] > 0 ? 1 : 0.2;
    }
    gnn_plan_backward(&p.plan, p.out);
    for (int i = 0; i < 37; i++)
        square += weights->val[i] * weights->val[i];
    for (int64_t i = 0; i < x->n * 37; i++)
        is += x->grad[i] * weights->val[i % 37] / square;
    CHECK(should > 500);
    CHECK_NEAR(is, should, 0.01);
}

/* the weights of relation d / 2 between all nodes, seen from the end d % 2 says, over each row's sum */
static double *
dense_shares(const World *w, int d)
{
    const GnnRelation *relation = &w->graph.relations[d / 2];
    int64_t     n = w->graph.n_nodes;
    double     *edges = dense_of(&relation->edges);
    double     *a = gnn_alloc(arena, n * n, sizeof(double));

    for (int64_t i = 0; i < relation->edges.n; i++)
        for (int64_t j = 0; j < relation->edges.n_cols; j++)
        {
            int64_t     from = w->graph.types[relation->from].first + i;
            int64_t     to = w->graph.types[relation->to].first + j;

            a[d % 2 == 0 ? from * n + to : to * n + from] = fmax(0, edges[i * relation->edges.n_cols + j]);
        }
    for (int64_t v = 0; v < n; v++)
    {
        double      sum = 0;

        for (int64_t u = 0; u < n; u++)
            sum += a[v * n + u];
        for (int64_t u = 0; u < n && sum > 0; u++)
            a[v * n + u] /= sum;
    }
    return a;
}

/* relation by relation, each with its matrix written out */
static void
relation_sum_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_relation_sum);
    const real *weights = p.plan.parameters[1].mat->val;        /* W_0, V_1, V_2: DIM x 3 each */
    const real *mix = p.plan.parameters[2].mat->val;
    int64_t     n = w.graph.n_nodes;
    double     *sum = gnn_alloc(arena, n * 3, sizeof(double));

    for (int64_t v = 0; v < n; v++)
        for (int c = 0; c < 3; c++)
            for (int i = 0; i < DIM; i++)
                sum[v * 3 + c] += x[v * DIM + i] * weights[i * 3 + c];
    for (int d = 0; d < 2 * w.graph.n_relations; d++)
    {
        double     *a = dense_shares(&w, d);

        for (int64_t v = 0; v < n; v++)
            for (int64_t u = 0; u < n; u++)
                for (int c = 0; c < 3; c++)
                    for (int i = 0; i < DIM; i++)
                        sum[v * 3 + c] += a[v * n + u] * x[u * DIM + i] *
                            (mix[d * 2] * weights[(DIM + i) * 3 + c] + mix[d * 2 + 1] * weights[(2 * DIM + i) * 3 + c]);
    }
    for (int64_t i = 0; i < n * 3; i++)
        CHECK_NEAR(p.out->val[i], sum[i], 2e-5);
}

static double
logistic(double x)
{
    return 1 / (1 + exp(-x));
}

static void
gru_by_definition(void)
{
    World       w;
    Problem     p;
    const real *h = run_case(&p, &w, case_gru_dropped);     /* not in training: nothing is */
    const real *m = h + MANY * 3;
    const real *weights = p.plan.parameters[2].mat->val;
    const real *state_weights = p.plan.parameters[3].mat->val;

    for (int row = 0; row < MANY; row++)
    {
        double      r[3];

        for (int c = 0; c < 3; c++)
        {
            double      sum = 0;

            for (int i = 0; i < 3; i++)
                sum += m[row * 3 + i] * weights[i * 9 + 6 + c] + h[row * 3 + i] * state_weights[i * 9 + 6 + c];
            r[c] = logistic(sum);
        }
        for (int c = 0; c < 3; c++)
        {
            double      z = 0;
            double      candidate = 0;

            for (int i = 0; i < 3; i++)
            {
                z += m[row * 3 + i] * weights[i * 9 + 3 + c] + h[row * 3 + i] * state_weights[i * 9 + 3 + c];
                candidate += m[row * 3 + i] * weights[i * 9 + c] + r[i] * h[row * 3 + i] * state_weights[i * 9 + c];
            }
            CHECK_NEAR(p.out->val[row * 3 + c],
                       (1 - logistic(z)) * h[row * 3 + c] + logistic(z) * tanh(candidate), 1e-5);
        }
    }
}

/* own x + F e, or own x + f(F e) w */
static void
encoding_by_definition(void)
{
    static GnnMat *(*const writes[])(Problem *p, int64_t n) = {case_encode, case_encode_twice, case_encode_alone};

    for (int which = 0; which < 3; which++)
    {
        World       w;
        Problem     p;
        const real *x = run_case(&p, &w, writes[which]);
        const real *e = p.plan.parameters[1].mat->val;
        const real *weights = which > 0 ? p.plan.parameters[2].mat->val : NULL;

        for (int t = 0; t < w.graph.n_types; t++)
        {
            const GnnNodes *nodes = &w.graph.types[t];
            double     *f = t > 0 ? dense_of(&w.graph.features[t]) : NULL;

            for (int32_t i = 0; i < nodes->n; i++)
                for (int c = 0; c < DIM; c++)
                {
                    int64_t     v = nodes->first + i;
                    double      y = w.adjacency.degree[v] > 0 && (which < 2 || t == 0) ? x[v * DIM + c] : 0;
                    double      sum[DIM] = {0};

                    for (int b = 0; t > 0 && b < DIM; b++)
                        for (int j = 0; j < w.graph.features[t].n_cols; j++)
                            sum[b] += f[i * w.graph.features[t].n_cols + j] * e[(w.features.first[t] + j) * DIM + b];
                    if (which == 0)
                        y += sum[c];
                    else
                        for (int b = 0; b < DIM; b++)
                            y += leaky((real) sum[b]) * weights[b * DIM + c];
                    CHECK_NEAR(p.out->val[v * DIM + c], y, 1e-5);
                }
        }
    }
}

/* what v's attention makes of its edges to u, and of itself: sums of weights, and of weights times u's row */
typedef struct AttentionSums
{
    const real *x;
    const real *att;
    double     *sum;            /* n x heads */
    double     *y;              /* n x DIM */
} AttentionSums;

/* two heads, of columns 0 .. 1 and 2 .. 4 */
static int
head_of(int column)
{
    return column < 2 ? 0 : 1;
}

static void
add_attention(AttentionSums *sums, int64_t v, int64_t u, double prior, const real *bias)
{
    double      exponent[2] = {bias != NULL ? bias[0] : 0, bias != NULL ? bias[1] : 0};

    for (int c = 0; c < DIM; c++)
        exponent[head_of(c)] += sums->att[c] * sums->x[v * DIM + c] + sums->att[DIM + c] * sums->x[u * DIM + c];
    for (int k = 0; k < 2; k++)
        sums->sum[v * 2 + k] += prior * exp(leaky((real) exponent[k]));
    for (int c = 0; c < DIM; c++)
        sums->y[v * DIM + c] += prior * exp(leaky((real) exponent[head_of(c)])) * sums->x[u * DIM + c];
}

static AttentionSums
open_sums(const Problem *p, const real *x, int64_t n)
{
    AttentionSums sums = {.x = x, .att = p->plan.parameters[1].mat->val, .sum = gnn_alloc(arena, n * 2, sizeof(double)),
                          .y = gnn_alloc(arena, n * DIM, sizeof(double))};

    for (int64_t v = 0; v < n; v++)
        add_attention(&sums, v, v, 1, NULL);
    return sums;
}

static void
check_attention(const Problem *p, const AttentionSums *sums, int64_t n)
{
    for (int64_t v = 0; v < n; v++)
        for (int c = 0; c < DIM; c++)
            CHECK_NEAR(p->out->val[v * DIM + c], leaky((real) (sums->y[v * DIM + c] / sums->sum[v * 2 + head_of(c)])), 1e-5);
}

static int
count_row(const double *a, int64_t n)
{
    int         edges = 0;

    for (int64_t u = 0; u < n; u++)
        edges += a[u] > 0;
    return edges;
}

/* by weight, and evenly */
static void
attention_by_definition(void)
{
    for (int even = 0; even < 2; even++)
    {
        World       w;
        Problem     p;
        const real *x = run_case(&p, &w, even ? case_attend_evenly : case_attend_2);
        double     *a = dense_adjacency(&w);
        int64_t     n = w.graph.n_nodes;
        AttentionSums sums = open_sums(&p, x, n);

        for (int64_t v = 0; v < n; v++)
            for (int64_t u = 0; u < n; u++)
                if (a[v * n + u] > 0)
                    add_attention(&sums, v, u, even ? 1 : a[v * n + u] * count_row(a + v * n, n) / w.adjacency.degree[v], NULL);
        check_attention(&p, &sums, n);
    }
}

/* relation by relation */
static void
typed_attention_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_attend_typed_2);
    int64_t     n = w.graph.n_nodes;
    AttentionSums sums = open_sums(&p, x, n);

    for (int d = 0; d < 2 * w.graph.n_relations; d++)
    {
        double     *share = dense_shares(&w, d);

        for (int64_t v = 0; v < n; v++)
            for (int64_t u = 0; u < n; u++)
                if (share[v * n + u] > 0)
                    add_attention(&sums, v, u, share[v * n + u] * count_row(share + v * n, n),
                                  p.plan.parameters[2].mat->val + 2 * d);
    }
    check_attention(&p, &sums, n);
}

/* each node asks all its edges, relation by relation */
static void
relation_attention_by_definition(void)
{
    World       w;
    Problem     p;
    const real *x = run_case(&p, &w, case_attended);
    const real *matrices = p.plan.parameters[1].mat->val;
    const real *rows = p.plan.parameters[2].mat->val;
    int64_t     n = w.graph.n_nodes;
    double     *sum = gnn_alloc(arena, n * DIM, sizeof(double));
    double     *total = gnn_alloc(arena, n, sizeof(double));

    for (int d = 0; d < 2 * w.graph.n_relations; d++)
    {
        double     *share = dense_shares(&w, d);

        for (int64_t v = 0; v < n; v++)
        {
            int         edges = 0;

            for (int64_t u = 0; u < n; u++)
                edges += share[v * n + u] > 0;
            for (int64_t u = 0; u < n; u++)
            {
                double      exponent = 0;
                double      weight;

                for (int c = 0; c < DIM; c++)
                {
                    double      head = rows[d * DIM + c];
                    double      tail = 0;

                    for (int i = 0; i < DIM; i++)
                    {
                        head += x[v * DIM + i] * matrices[(d * DIM + i) * DIM + c];
                        tail += x[u * DIM + i] * matrices[(d * DIM + i) * DIM + c];
                    }
                    exponent += tail * tanh(head);
                }
                weight = share[v * n + u] * edges * exp(exponent);
                total[v] += weight;
                for (int c = 0; c < DIM; c++)
                    sum[v * DIM + c] += weight * x[u * DIM + c];
            }
        }
    }
    for (int64_t v = 0; v < n; v++)
        for (int c = 0; c < DIM; c++)
            CHECK_NEAR(p.out->val[v * DIM + c], total[v] > 0 ? sum[v * DIM + c] / total[v] : 0, 1e-5);
}

/* |x_h W_r + b_r - x_t W_r|^2 */
static double
distance(const Problem *p, int64_t head, int relation, int64_t tail)
{
    const real *x = p->plan.learned;
    const real *matrix = p->plan.parameters[1].mat->val + relation * DIM * DIM;
    const real *row = p->plan.parameters[2].mat->val + relation * DIM;
    double      sum = 0;

    for (int c = 0; c < DIM; c++)
    {
        double      way = row[c];

        for (int i = 0; i < DIM; i++)
            way += (x[head * DIM + i] - x[tail * DIM + i]) * matrix[i * DIM + c];
        sum += way * way;
    }
    return sum;
}

/* one edge, from the only user to one of two items: against the other item from her end, against herself from its end */
static void
transr_by_definition(void)
{
    World       w;
    Problem     p;

    make_world(&w, false);
    w.graph = (GnnGraph) {0};
    gnn_graph_add_nodes(&w.graph, "user", 1);
    gnn_graph_add_nodes(&w.graph, "item", 2);
    gnn_graph_add_relation(&w.graph, "interaction", 0, 1,
                           &(GnnCsr) {.n = 1, .n_cols = 2, .ptr = (int64_t[]) {0, 1}, .idx = (int32_t[]) {1}});
    gnn_typed_allocate(&w.typed, arena, &w.graph, (int64_t[GNN_MAX_RELATIONS]) {1});
    gnn_typed_fill(&w.typed, &w.graph);
    open_problem(&p, &w);
    p.out = case_transr(&p, 3);
    close_problem(&p, 0);
    gnn_plan_forward(&p.plan);
    CHECK_NEAR(p.out->val[0], 0.7 / 3 * (-log(logistic(distance(&p, 0, 0, 1) - distance(&p, 0, 0, 2))) + log(2)), 1e-5);
    p.plan.training = false;
    gnn_plan_forward(&p.plan);
    CHECK(p.out->val[0] == 0);
}

/* both inputs are 3 numbers a row, results 2 */
static void
products_by_definition(void)
{
    static GnnMat *(*const writes[])(Problem *p, int64_t n) = {case_dense_dropped, case_join, case_interact, case_bi_interact};

    for (int which = 0; which < 4; which++)
    {
        World       w;
        Problem     p;
        const real *x = run_case(&p, &w, writes[which]);
        const real *weights = p.plan.parameters[1].mat->val;
        const real *a = which > 0 ? p.plan.parameters[2].mat->val : x;
        const real *v = which > 0 ? p.plan.parameters[3].mat->val : weights;

        for (int row = 0; row < MANY; row++)
            for (int c = 0; c < 2; c++)
            {
                double      first = 0;
                double      second = 0;

                for (int i = 0; i < 3; i++)
                {
                    real        xi = x[row * 3 + i];
                    real        ai = a[row * 3 + i];

                    first += (which >= 2 ? xi + ai : xi) * weights[i * 2 + c];
                    second += which == 0 ? 0 : (which >= 2 ? xi * ai : ai) * v[i * 2 + c];
                }
                CHECK_NEAR(p.out->val[row * 2 + c],
                           which == 3 ? leaky((real) first) + leaky((real) second) : leaky((real) (first + second)), 1e-5);
            }
    }
}

/*
 * At 2 layers no model takes more than 12 matrices of a row a node, values, gradients and what steps keep, nor does it with
 * dropout. On a shape alone: the buffers of parts are a fraction of one here.
 */
static void
twelve_matrices(void)
{
    for (int m = 0; m < gnn_n_models; m++)
        for (int kind = 0; kind < 3; kind++)
        {
            const int64_t n = 10000000;
            GnnGraph    g = {0};
            GnnPlan     plan;
            GnnTeam     team;
            GnnConfig   c;
            GnnArena    counting;
            GnnTyped    typed;
            double      matrices;

            gnn_graph_add_nodes(&g, "user", n);
            gnn_graph_add_relation(&g, "friends", 0, 0, &(GnnCsr) {.n = n, .n_cols = n});
            gnn_config_defaults(&c);
            c.aggregator = kind % 2;
            c.edge_attention = kind;
            c.dropout = 0.1;
            gnn_team_open(&team, 2, NULL, NULL);
            gnn_arena_counting(&counting);
            gnn_typed_allocate(&typed, &counting, &g, (int64_t[GNN_MAX_RELATIONS]) {0});
            counting.used = 0;      /* of the graph */
            gnn_plan_open(&plan, NULL, &team, 1);
            plan.typed = &typed;
            gnn_models[m]->build(&plan, &g, &c);
            gnn_plan_allocate(&plan, &counting);
            matrices = (double) counting.used / ((double) n * c.dim * sizeof(real));
            CHECK_SAY(matrices >= 2 && matrices < 13, "%s takes %g matrices", gnn_models[m]->name, matrices);
        }
}

/* the softmax loss, interaction by interaction, by the definition */
static void
softmax_by_definition(void)
{
    World       w;
    Problem     p;
    double      loss;
    const GnnCsr *e;
    double      total = 0;

    make_world(&w, true);
    make_task(&w, 1);           /* one negative: log mean exp is a cosine */
    w.config.temperature = 0.5;
    open_problem(&p, &w);
    p.out = gnn_lightgcn.build(&p.plan, &w.graph, &w.config);
    close_problem(&p, 0);
    gnn_plan_forward(&p.plan);
    p.state = gnn_softmax.allocate(arena, &w.task);
    gnn_softmax.open(p.state, &w.task);
    loss = gnn_softmax.run(p.state, p.out, 1);
    e = &w.task.by_user;

    /* all users are one block, so the one negative is the same for all: the loss is that of one item */
    for (int32_t u = 0; u < e->n; u++)
        total += gnn_row_weight(e, u);
    for (int32_t j = 0; j < w.task.items.n; j++)
    {
        double      sum = 0;

        for (int32_t u = 0; u < e->n; u++)
            for (int64_t k = e->ptr[u]; k < e->ptr[u + 1]; k++)
            {
                const real *zu = p.out->val + u * DIM;
                const real *zi = p.out->val + (e->n + e->idx[k]) * DIM;
                const real *zj = p.out->val + (e->n + j) * DIM;
                double      uu = 0, ii = 0, jj = 0, ui = 0, uj = 0;

                for (int c = 0; c < DIM; c++)
                {
                    uu += (double) zu[c] * zu[c];
                    ii += (double) zi[c] * zi[c];
                    jj += (double) zj[c] * zj[c];
                    ui += (double) zu[c] * zi[c];
                    uj += (double) zu[c] * zj[c];
                }
                sum += e->val[k] / total * (-ui / sqrt(uu * ii) + uj / sqrt(uu * jj)) / 0.5;
            }
        if (fabs(sum - loss) < 1e-5)
            return;
    }
    CHECK_SAY(false, "the loss %g is that of no item", loss);
}

/* where there is one item, it is every negative: whatever their number, the loss is log 1 */
static void
softmax_of_one_item(void)
{
    World       w;
    Problem     p;

    make_world_of(&w, 8, 1, 12, true);
    make_task(&w, 5);
    open_problem(&p, &w);
    p.out = gnn_lightgcn.build(&p.plan, &w.graph, &w.config);
    close_problem(&p, 0);
    gnn_plan_forward(&p.plan);
    p.state = gnn_softmax.allocate(arena, &w.task);
    gnn_softmax.open(p.state, &w.task);
    CHECK_NEAR(gnn_softmax.run(p.state, p.out, 1), 0, 1e-5);
}

/* a user's vector is her own share plus what her items fold in, whatever these start from */
static void
fold_in_is_the_rest_of_a_vector(void)
{
    for (int kind = 0; kind < 6; kind++)
    {
        int         layers = 1 + kind / 2;
        World       w;
        Problem     p;
        real       *fold_in;
        const GnnCsr *e;

        make_world(&w, true);
        w.config.layers = layers;
        open_problem(&p, &w);
        p.plan.features = kind % 2 ? &w.features : NULL;
        p.out = gnn_lightgcn.build(&p.plan, &w.graph, &w.config);
        close_problem(&p, 0);
        gnn_plan_forward(&p.plan);
        fold_in = gnn_alloc(arena, w.graph.types[1].n * DIM, sizeof(real));
        for (int32_t i = 0; i < w.graph.types[1].n; i++)
            gnn_lightgcn.fold_in(fold_in + i * DIM, &p.plan, p.out, w.graph.types[1].first + i);
        e = &w.graph.relations[0].edges;
        for (int32_t u = 0; u < e->n; u++)
            for (int c = 0; c < DIM; c++)
            {
                double      z = w.adjacency.degree[u] == 0 ? 0 : p.plan.learned[u * DIM + c] / (double) (layers + 1);

                for (int64_t k = e->ptr[u]; k < e->ptr[u + 1]; k++)
                    z += e->val[k] / sqrt(w.adjacency.degree[u] * w.adjacency.degree[e->n + e->idx[k]]) *
                        fold_in[e->idx[k] * DIM + c];
                CHECK_NEAR(p.out->val[u * DIM + c], z, 2e-6);
            }
    }
}

/* for every model whose users are sums: folded in, one with one item gets a positive multiple of something, never zero or NaN */
static void
fold_in_of_every_model(void)
{
    for (int m = 0; m < gnn_n_models; m++)
        for (int layers = 0; layers <= 3; layers++)
        {
            World       w;
            Problem     p;

            make_world(&w, true);
            w.config.model = m;
            w.config.layers = layers;
            w.config.aggregator = layers % 2;
            w.config.edge_attention = layers % 3;
            open_problem(&p, &w);
            p.out = gnn_models[m]->build(&p.plan, &w.graph, &w.config);
            close_problem(&p, 0);
            p.plan.training = false;
            gnn_plan_forward(&p.plan);
            for (int32_t i = 0; i < w.graph.types[1].n && !gnn_is_inductive(&w.config); i++)
            {
                real        fold_in[DIM];
                double      dot = 0;

                if (w.adjacency.degree[w.graph.types[1].first + i] == 0)
                    continue;
                gnn_models[m]->fold_in(fold_in, &p.plan, p.out, w.graph.types[1].first + i);
                for (int c = 0; c < DIM; c++)
                    dot += fold_in[c] * p.out->val[(w.graph.types[1].first + i) * DIM + c];
                CHECK_SAY(dot > 0, "%s, %d layers: %g", gnn_models[m]->name, layers, dot);
            }
        }
}

/* dropout drops the share it should, and nothing when not training */
static void
dropout_share(void)
{
    World       w;
    Problem     p;
    GnnMat     *x;
    int64_t     n = 2000;
    int64_t     dropped = 0;

    make_world(&w, false);
    open_problem(&p, &w);
    x = learned(&p, n);
    p.out = gnn_op_dense(&p.plan, x, gnn_plan_parameter(&p.plan, DIM, DIM, GNN_START_IDENTITY, 0), 1, 0.3);
    close_problem(&p, 0);
    gnn_plan_forward(&p.plan);
    for (int64_t i = 0; i < n * DIM; i++)
    {
        dropped += p.out->val[i] == 0;
        CHECK(p.out->val[i] == 0 || fabs(p.out->val[i] - p.plan.learned[i] / 0.7) < 1e-5);
    }
    CHECK_NEAR(dropped / (double) (n * DIM), 0.3, 0.02);
    p.plan.training = false;
    gnn_plan_forward(&p.plan);
    for (int64_t i = 0; i < n * DIM; i++)
        CHECK(p.out->val[i] == p.plan.learned[i]);
}

/* a row's start does not depend on how many rows there are */
static void
start_depends_on_row_only(void)
{
    World       w;
    Problem     small;
    Problem     large;

    make_world(&w, false);
    open_problem(&small, &w);
    learned(&small, 10);
    close_problem(&small, 0);
    open_problem(&large, &w);
    learned(&large, 3000);
    close_problem(&large, 0);
    CHECK(memcmp(small.plan.learned, large.plan.learned, 10 * DIM * sizeof(real)) == 0);
    for (int row = 1; row < 3000; row++)
        CHECK(large.plan.learned[0] != large.plan.learned[row * DIM]);
}

static const Test tests[] = {
    {"every op has a case", every_op_has_a_case},
#ifdef GNN_DOUBLE
    {"every op", ops},
    {"every op where the matrix is not symmetric", ops_on_a_sample},
    {"attention where it is not symmetric and strong", strong_attention_on_a_sample},
    {"noise is a constant to every op", noise_is_a_constant},
    {"every model with every loss", models_and_losses},
    {"every loss with many users", many_users},
    {"an objective with many nodes", many_nodes},
    {"a broken backward pass is caught", a_broken_backward_is_caught},
#endif
    {"LightGCN against dense matrices", lightgcn_against_dense},
    {"the mean of neighbours by its definition", mean_by_definition},
    {"the largest of neighbours by its definition", max_by_definition},
    {"the largest of neighbours is found again", the_largest_is_found_again},
    {"the sum over those visited by its definition", visited_sum_by_definition},
    {"the mean with lengths by its definition", sized_mean_by_definition},
    {"attention by its definition", attention_by_definition},
    {"attention that is told of relations by its definition", typed_attention_by_definition},
    {"the sum over relations by its definition", relation_sum_by_definition},
    {"attention to relations by its definition", relation_attention_by_definition},
    {"TransR by its definition", transr_by_definition},
    {"the recurrent unit by its definition", gru_by_definition},
    {"products with weights by their definition", products_by_definition},
    {"what features say by its definition", encoding_by_definition},
    {"no model takes more than twelve matrices", twelve_matrices},
    {"the softmax by its definition", softmax_by_definition},
    {"the softmax of one item", softmax_of_one_item},
    {"what is folded in is the rest of a vector", fold_in_is_the_rest_of_a_vector},
    {"every model folds in along its vectors", fold_in_of_every_model},
    {"dropout drops its share", dropout_share},
    {"a row's start depends on its number only", start_depends_on_row_only},
    {0},
};

const Subject gradient_subject = {"gradient", tests};
