/*
 * fit.c: training, from a graph to embeddings.
 *
 *     interactions -> (held out | trained on) -> adjacency, plan, loss, optimiser
 *     steps of: forward, loss, backward, Adam; now and then: forward, measure, keep the best
 *
 * All memory is the arena's and is taken before the first step, by functions that look at numbers only: the
 * estimate runs the same functions on an arena that counts. Relation 0 of the graph is what is learned.
 */
#include "train/fit.h"

#include "core/arena.h"
#include "core/blas.h"
#include "core/walk.h"
#include "model/model.h"
#include "model/tower.h"
#include "train/adam.h"
#include "train/audience.h"
#include "train/contrast.h"
#include "train/decay.h"
#include "train/holdout.h"
#include "train/loss.h"
#include "train/measure.h"
#include "train/minibatch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* steps from one measurement to the next */
#define MEASURE_EVERY 5

/* of a block; some models go through all edges of each */
#define FOLD_IN_NODES 128

typedef struct Fit
{
    const GnnConfig *config;
    const GnnModel *model;
    const GnnLoss *loss;
    const GnnTick *tick;
    GnnGraph    graph;          /* what is trained on: the caller's without what is held out */
    GnnTeam     team;
    GnnCsr      held;           /* what is held out; n = 0 where nothing is measured */
    GnnAdjacency adjacency;
    GnnVisits   visits;         /* of random walks, for models that ask */
    GnnFeatures features;       /* n = 0 where no node has any */
    GnnTyped    typed;          /* where the model needs it */
    GnnPlan     plan;
    GnnMat     *z;
    GnnTask     task;
    void       *loss_state;
    GnnAdam     adam;
    GnnDecay    decay;
    GnnContrast contrast;
    GnnAudience audience;
    GnnMinibatch minibatch;     /* steps on samples: plan then only goes forwards; adam, decay and contrast are unused */
    GnnMeasure  measure;
    float      *trial;          /* embeddings being measured, n_nodes x dim */
} Fit;

/* ---- memory: runs on shapes, for the estimate as for the training ---- */

static bool
measures(const Fit *f)
{
    return f->config->holdout > 0;
}

static bool
samples(const Fit *f)
{
    return f->config->sampling != GNN_SAMPLING_NONE;
}

static void
allocate_graph(Fit *f, GnnArena *arena, const int64_t *n_edges)
{
    gnn_adjacency_allocate(&f->adjacency, arena, &f->graph, n_edges);
    if (gnn_model_is_typed(f->config))
        gnn_typed_allocate(&f->typed, arena, &f->graph, n_edges);
    if ((f->model->uses & GNN_USE_WALKS) == 0)
        return;
    f->visits = (GnnVisits) {.walks = f->config->walks, .length = f->config->walk_length,
                             .kept = f->config->importance_neighbours, .seed = f->config->seed};
    gnn_visits_allocate(&f->visits, arena, f->graph.n_nodes, f->team.threads);
}

/* what the plan's steps know of random walks, if anything */
static const GnnDirected *
visited(const Fit *f)
{
    return (f->model->uses & GNN_USE_WALKS) != 0 ? &f->visits.shares : NULL;
}

static void
allocate_plan(Fit *f, GnnArena *arena)
{
    gnn_plan_open(&f->plan, &f->adjacency, &f->team, f->config->seed);
    f->plan.visited = visited(f);
    gnn_features_open(&f->features, &f->graph);
    if (f->features.n > 0)
        f->plan.features = &f->features;
    f->plan.typed = gnn_model_is_typed(f->config) ? &f->typed : NULL;
    f->plan.noise = gnn_contrast_noise(f->config);
    f->z = f->model->build(&f->plan, &f->graph, f->config);
    if (samples(f))
        gnn_plan_allocate_forward(&f->plan, arena);
    else
        gnn_plan_allocate(&f->plan, arena);
}

/* steps on samples have features of their own: the whole graph's are never gone back through */
static void
allocate_features(Fit *f, GnnArena *arena)
{
    if (!samples(f))
        gnn_features_allocate(&f->features, arena);
}

static void
allocate_optimiser(Fit *f, GnnArena *arena)
{
    double      rate = f->config->learning_rate > 0 ? f->config->learning_rate : f->model->learning_rate;
    double      decay = f->config->reg_weight > 0 ? f->config->reg_weight : f->loss->reg_weight;

    if (samples(f))
    {
        gnn_minibatch_allocate_optimiser(&f->minibatch, arena, f->config, &f->plan, rate, decay);
        return;
    }
    gnn_adam_allocate(&f->adam, arena, f->plan.n_learned, rate, GNN_EPSILON_PER_NODE / (double) f->graph.n_nodes);
    f->adam.weight_decay = f->config->weight_decay;
    f->adam.clip_norm = f->config->clip_norm;
    gnn_decay_allocate(&f->decay, arena, &f->plan, decay / (double) f->graph.n_nodes);
}

static void
allocate_loss(Fit *f, GnnArena *arena, int64_t n_edges)
{
    const GnnRelation *learned = &f->graph.relations[0];

    f->task.config = f->config;
    f->task.team = &f->team;
    f->task.negatives = f->config->negatives > 0 ? f->config->negatives : f->loss->negatives;
    f->task.users = f->graph.types[learned->from];
    f->task.items = f->graph.types[learned->to];
    f->task.n_edges = n_edges;
    f->task.n_nodes = f->graph.n_nodes;
    if (samples(f))
        gnn_minibatch_allocate(&f->minibatch, arena, f->model, f->loss, &f->graph, &f->plan, &f->task);
    else
        f->loss_state = f->loss->allocate(arena, &f->task);
}

static void
allocate_contrast(Fit *f, GnnArena *arena, const int64_t *n_edges)
{
    gnn_contrast_allocate(&f->contrast, arena, f->config, &f->graph, n_edges, &f->plan, f->z);
    f->contrast.weight = f->config->contrast_weight > 0 ? f->config->contrast_weight : f->loss->contrast_weight;
}

static void
allocate_audience(Fit *f, GnnArena *arena)
{
    gnn_audience_allocate(&f->audience, arena, &f->graph, f->config->dim);
}

static void
allocate_measure(Fit *f, GnnArena *arena)
{
    if (!measures(f))
        return;
    gnn_measure_allocate(&f->measure, arena, f->task.users.n, f->config->dim);
    f->trial = gnn_alloc(arena, f->graph.n_nodes * f->config->dim, sizeof(float));
}

/* ---- reading the graph ---- */

static int64_t
n_edges_of(const GnnCsr *a)
{
    return a->ptr[a->n];
}

/* does a relation tell of the same pairs as relation 0? */
static bool
is_beside_learned(const GnnGraph *graph, int r)
{
    return r > 0 && graph->relations[r].from == graph->relations[0].from && graph->relations[r].to == graph->relations[0].to;
}

/* or the other way round, from items to users? */
static bool
is_against_learned(const GnnGraph *graph, int r)
{
    return r > 0 && graph->relations[r].from == graph->relations[0].to && graph->relations[r].to == graph->relations[0].from;
}

static void
drop_held(GnnRelation *relation, GnnArena *arena, const GnnCsr *held)
{
    GnnCsr      all = relation->edges;

    gnn_holdout_drop(&relation->edges, arena, &all, held);
}

static void
hold_out(Fit *f, GnnArena *arena)
{
    GnnRelation *relations = f->graph.relations;
    GnnCsr      all = relations[0].edges;
    GnnCsr      by_item = {0};

    gnn_holdout_split(&relations[0].edges, &f->held, arena, &all, f->config->holdout, f->config->seed);
    for (int r = 1; r < f->graph.n_relations; r++)
    {
        if (is_beside_learned(&f->graph, r))
            drop_held(&relations[r], arena, &f->held);
        if (!is_against_learned(&f->graph, r))
            continue;
        if (by_item.ptr == NULL)
            gnn_csr_transpose(&by_item, arena, &f->held);
        drop_held(&relations[r], arena, &by_item);
    }
}

static const char *
split_interactions(Fit *f, GnnArena *arena)
{
    GnnCsr     *learned = &f->graph.relations[0].edges;

    if (measures(f))
        hold_out(f, arena);
    gnn_csr_positive(&f->task.by_user, arena, learned);
    if (n_edges_of(&f->task.by_user) == 0)
        return "there is no interaction with a weight above zero to learn from";
    f->task.by_user.time = NULL;
    gnn_csr_transpose(&f->task.by_item, arena, &f->task.by_user);
    return NULL;
}

static void
prepare(Fit *f, GnnArena *arena)
{
    int64_t     n_edges[GNN_MAX_RELATIONS];

    n_edges[0] = n_edges_of(&f->task.by_user);
    for (int r = 1; r < f->graph.n_relations; r++)
        n_edges[r] = n_edges_of(&f->graph.relations[r].edges);
    allocate_graph(f, arena, n_edges);
    allocate_plan(f, arena);
    allocate_features(f, arena);
    allocate_optimiser(f, arena);
    allocate_loss(f, arena, n_edges[0]);
    allocate_contrast(f, arena, n_edges);
    allocate_audience(f, arena);
    allocate_measure(f, arena);

    gnn_adjacency_fill(&f->adjacency, &f->graph);
    if ((f->model->uses & GNN_USE_WALKS) != 0)
        gnn_visits_fill(&f->visits, &f->team, &f->adjacency);
    if (!samples(f))
        gnn_features_fill(&f->features);
    if (gnn_model_is_typed(f->config))
        gnn_typed_fill(&f->typed, &f->graph);
    gnn_plan_start(&f->plan);
    if (samples(f))
        gnn_minibatch_open(&f->minibatch);
    else
        f->loss->open(f->loss_state, &f->task);
    gnn_contrast_open(&f->contrast);
    if (measures(f))
        gnn_measure_open(&f->measure, &f->held, &f->graph.relations[0].edges, f->config->seed);
}

/* ---- results ---- */

/* a node without edges and features gets zeros: whatever it holds was never learned */
static void
forget_unknown(float *rows, int64_t width, const Fit *f, int type)
{
    const GnnNodes *nodes = &f->graph.types[type];

    for (int64_t i = 0; i < nodes->n; i++)
        if (f->adjacency.degree[nodes->first + i] == 0 && !gnn_node_has_features(&f->graph, type, i))
            memset(rows + i * width, 0, width * sizeof(float));
}

static void
copy(float *to, const real *from, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = (float) from[i];
}

/* one type's rows of z */
static void
copy_type(float *to, const Fit *f, int type)
{
    const GnnNodes *nodes = &f->graph.types[type];

    copy(to, f->z->val + nodes->first * f->z->dim, nodes->n * f->z->dim);
    forget_unknown(to, f->z->dim, f, type);
}

typedef struct FoldInWork
{
    const Fit  *fit;
    const GnnNodes *nodes;
    float      *to;
} FoldInWork;

static void
fold_in_block(void *arg, int64_t block, int thread)
{
    const FoldInWork *w = arg;
    const Fit  *f = w->fit;
    int64_t     width = gnn_fold_in_width(f->config);
    real        row[GNN_MAX_WIDTH];

    for (int64_t i = block * FOLD_IN_NODES; i < (block + 1) * FOLD_IN_NODES && i < w->nodes->n; i++)
    {
        f->model->fold_in(row, &f->plan, f->z, w->nodes->first + i);
        copy(w->to + i * width, row, width);
    }
}

static void
fold_in_type(float *to, Fit *f, int type)
{
    FoldInWork  w = {.fit = f, .nodes = &f->graph.types[type], .to = to};

    gnn_team_run(&f->team, gnn_blocks(w.nodes->n, FOLD_IN_NODES), fold_in_block, &w);
    forget_unknown(to, gnn_fold_in_width(f->config), f, type);
}

/* nodes of further types are ranked by their audience; those without one keep the model's vector */
static void
write_audience(GnnFit *out, Fit *f)
{
    const float *users = out->embedding[f->graph.relations[0].from];

    if (users == NULL)
        return;
    gnn_audience_run(&f->audience, users);
    for (int t = 0; t < f->graph.n_types; t++)
    {
        if (t == f->graph.relations[0].to || out->embedding[t] == NULL)
            continue;
        for (int64_t i = 0; i < f->graph.types[t].n; i++)
            if (gnn_audience_reaches(&f->audience, t, i))
                for (int64_t c = i * f->z->dim; c < (i + 1) * f->z->dim; c++)
                    out->embedding[t][c] = (float) f->audience.vector[t][c];
    }
}

static void
write_weights(float *to, const Fit *f)
{
    const GnnMat *of_tower[GNN_MAX_LAYERS + 1];
    int         n;

    if (!gnn_has_tower(f->config))
    {
        copy(to, gnn_plan_weights(&f->plan, f->config), gnn_n_weights(f->config));
        return;
    }
    n = gnn_tower_weights(of_tower, &f->plan, f->config);
    for (int i = 0; i < n; i++, to += of_tower[0]->n * of_tower[0]->dim)
        copy(to, of_tower[i]->val, of_tower[i]->n * of_tower[i]->dim);
}

static void
write_result(GnnFit *out, Fit *f)
{
    for (int t = 0; t < f->graph.n_types; t++)
    {
        const GnnNodes *nodes = &f->graph.types[t];

        if (out->embedding[t] != NULL)
            copy_type(out->embedding[t], f, t);
        if (out->fold_in[t] != NULL)
            fold_in_type(out->fold_in[t], f, t);
        if (out->degree[t] != NULL)
            for (int64_t i = 0; i < nodes->n; i++)
                out->degree[t][i] = (float) f->adjacency.degree[nodes->first + i];
    }
    write_audience(out, f);
    if (out->weights != NULL && gnn_keeps_weights(f->config, &f->graph))
        write_weights(out->weights, f);
    if (out->features != NULL && gnn_keeps_tower(f->config, &f->graph))
        copy(out->features, gnn_tower_features(&f->plan), f->graph.features[0].n_cols * f->z->dim);
}

/* on the whole graph, undisturbed */
static void
forward_as_served(Fit *f)
{
    f->plan.training = false;
    f->plan.adjacency = &f->adjacency;
    f->plan.visited = visited(f);
    f->plan.typed = gnn_model_is_typed(f->config) ? &f->typed : NULL;
    gnn_plan_forward(&f->plan);
}

static void
measure(double mean[GNN_N_METRICS], Fit *f)
{
    float      *users = f->trial + f->task.users.first * f->z->dim;
    float      *items = f->trial + f->task.items.first * f->z->dim;

    copy_type(users, f, f->graph.relations[0].from);
    copy_type(items, f, f->graph.relations[0].to);
    gnn_measure_run(mean, &f->measure, &f->team, users, items);
}

/* ---- steps ---- */

static double
take_step(Fit *f, int step)
{
    double      loss;

    if (samples(f))
        return gnn_minibatch_step(&f->minibatch, step);
    f->plan.pass = step;
    f->plan.training = true;
    gnn_contrast_look(&f->contrast, step);
    gnn_plan_forward(&f->plan);
    loss = f->loss->run(f->loss_state, f->z, step) + gnn_plan_objective(&f->plan);
    loss += gnn_contrast_run(&f->contrast);
    gnn_plan_backward(&f->plan, f->z);
    loss += gnn_decay_run(&f->decay, &f->plan);
    gnn_adam_step(&f->adam, &f->team, f->plan.learned, f->plan.learned_grad);
    return loss;
}

/* measures the vectors after a step and keeps them if they are the best so far (or not to be told: NaN); returns ndcg */
static double
keep_best(GnnFit *out, Fit *f, int step, double loss)
{
    double      mean[GNN_N_METRICS];

    forward_as_served(f);
    measure(mean, f);
    if (!(mean[GNN_NDCG] <= out->ndcg))
    {
        write_result(out, f);
        out->best_step = step;
        out->loss = loss;
        out->recall = mean[GNN_RECALL];
        out->ndcg = mean[GNN_NDCG];
    }
    return mean[GNN_NDCG];
}

static void
report(const Fit *f, const GnnStep *done)
{
    if (f->tick != NULL && f->tick->call != NULL)
        f->tick->call(f->tick->arg, done);
}

static const char *
diverged(GnnArena *arena, int step)
{
    char       *sentence = gnn_alloc(arena, 128, 1);

    snprintf(sentence, 128, "the loss is not a finite number at step %d: try a smaller learning_rate", step);
    return sentence;
}

static bool
measured_after(const Fit *f, int step)
{
    return measures(f) && (step % MEASURE_EVERY == 0 || step == f->config->steps);
}

static const char *
run_steps(GnnFit *out, Fit *f, GnnArena *arena)
{
    int         steps = f->config->steps;

    for (int step = 1; step <= steps; step++)
    {
        GnnStep     done = {.step = step, .steps = steps, .metric = NAN};
        double      start = gnn_now();

        done.loss = take_step(f, step);
        if (!isfinite(done.loss))
            return diverged(arena, step);
        out->steps = step;
        if (measured_after(f, step))
            done.metric = keep_best(out, f, step, done.loss);
        done.seconds = gnn_now() - start;
        if (!measures(f))
            out->loss = done.loss;
        report(f, &done);
        if (measured_after(f, step) && f->config->patience > 0 && step - out->best_step >= f->config->patience)
            break;
    }
    return NULL;
}

static void
tick_within(void *arg)
{
    report(arg, NULL);
}

static const GnnRefusal too_many_nodes = {
    "there are more than 2147483647 nodes",
    "Read fewer rows: since, a view with a WHERE, or fewer relations."
};
static const GnnRefusal contrast_sampled = {
    "contrast looks at the whole graph: it does not go with sampling",
    "Set contrast to \"none\", or sampling to \"none\"; users_per_step makes steps shorter without it."
};
static const GnnRefusal typed_sampled = {
    "a model that keeps relations apart does not go with sampling",
    "Set sampling to \"none\", or train a model that takes all relations together, such as graphsage, or gat with another "
    "edge_attention."
};
static const GnnRefusal towers_sampled = {
    "a model with a tower for each node type does not go with sampling",
    "Set sampling to \"none\": such a model has no neighbours to sample. users_per_step makes its steps shorter."
};

/* what cannot be had on samples of the graph */
const GnnRefusal *
gnn_fit_refusal(const GnnConfig *config, const GnnGraph *graph)
{
    if (graph != NULL && graph->n_nodes > INT32_MAX)
        return &too_many_nodes;
    if (config->sampling == GNN_SAMPLING_NONE)
        return NULL;
    if (config->contrast != GNN_CONTRAST_NONE)
        return &contrast_sampled;
    if (gnn_model_is_typed(config))
        return &typed_sampled;
    if ((gnn_models[config->model]->uses & GNN_USE_LAYERS) != 0)        /* its plan says where types start */
        return &towers_sampled;
    return NULL;
}

static const char *
open_fit(Fit *f, GnnArena *arena, const GnnGraph *graph, const GnnConfig *config, int threads, const GnnTick *tick)
{
    const GnnRefusal *refusal = gnn_fit_refusal(config, graph);

    memset(f, 0, sizeof(*f));
    f->config = config;
    f->model = gnn_models[config->model];
    f->loss = gnn_losses[config->loss];
    f->tick = tick;
    f->graph = *graph;
    gnn_team_open(&f->team, threads, tick_within, f);
    if (refusal != NULL)
        return refusal->message;
    gnn_blas_open();
    return gnn_blas_check();
}

const char *
gnn_fit(GnnFit *out, GnnArena *arena, const GnnGraph *graph, const GnnConfig *config, int threads, const GnnTick *tick)
{
    Fit        *f = gnn_alloc(arena, 1, sizeof(Fit));
    const char *problem = open_fit(f, arena, graph, config, threads, tick);

    if (problem == NULL)
        problem = split_interactions(f, arena);
    if (problem != NULL)
        return problem;
    out->steps = out->best_step = 0;
    out->loss = out->recall = out->ndcg = NAN;
    prepare(f, arena);
    problem = run_steps(out, f, arena);
    if (problem == NULL && !measures(f))
    {
        forward_as_served(f);
        write_result(out, f);
        out->best_step = out->steps;
    }
    return problem;
}

/* ---- the estimate ---- */

static void
add_part(GnnPart *parts, int *n, const char *name, int64_t bytes)
{
    parts[*n] = (GnnPart) {.part = name, .bytes = bytes};
    (*n)++;
}

/* what the arena counted since it was last asked */
static int64_t
counted(GnnArena *arena)
{
    int64_t     bytes = (int64_t) arena->used;

    arena->used = 0;
    return bytes;
}

/*
 * Copies of the interactions: those trained on transposed, and, with a holdout, both parts and what marks them, and of relations
 * beside them the part that is left; where one goes from items to users, what is held out transposed
 */
static int64_t
interaction_bytes(const Fit *f, const int64_t *n_edges, int64_t n_trained)
{
    const GnnCsr *learned = &f->graph.relations[0].edges;
    int64_t     edge = sizeof(int32_t) + sizeof(float);
    int64_t     rows = ((int64_t) learned->n + 1) * sizeof(int64_t);
    int64_t     columns = ((int64_t) learned->n_cols + 1) * sizeof(int64_t);
    int64_t     bytes = n_trained * edge + columns;
    bool        against = false;

    if (!measures(f))
        return bytes;
    bytes += n_edges[0] * (edge + 1) + 2 * rows;
    for (int r = 1; r < f->graph.n_relations; r++)
    {
        if (is_beside_learned(&f->graph, r))
            bytes += n_edges[r] * (edge + 1) + rows;
        if (is_against_learned(&f->graph, r))
            bytes += n_edges[r] * (edge + 1) + columns;
        against |= is_against_learned(&f->graph, r);
    }
    return bytes + (against ? (n_edges[0] - n_trained) * edge + columns : 0);
}

/* of n interactions, those that are trained on: nothing is held out of a user's only one, and each user may have but one */
static int64_t
most_trained(const Fit *f, int64_t n)
{
    int64_t     users = f->graph.types[f->graph.relations[0].from].n;

    return n - (int64_t) (f->config->holdout * (double) (n > users ? n - users : 0));
}

int64_t
gnn_fit_estimate(GnnPart parts[GNN_MAX_PARTS], int *n_parts, const GnnGraph *graph,
                 const int64_t n_edges[GNN_MAX_RELATIONS], const GnnConfig *config, int threads)
{
    static const GnnTick no_tick = {0};
    Fit         f = {.config = config, .model = gnn_models[config->model], .loss = gnn_losses[config->loss],
                     .tick = &no_tick, .graph = *graph};
    GnnArena    arena;
    int64_t     n_trained[GNN_MAX_RELATIONS];
    int64_t     learned;
    int64_t     gradients;
    int64_t     total = 0;

    memcpy(n_trained, n_edges, sizeof(n_trained));
    n_trained[0] = most_trained(&f, n_edges[0]);
    gnn_arena_counting(&arena);
    f.team.threads = gnn_team_size(threads);
    *n_parts = 0;

    allocate_graph(&f, &arena, n_trained);
    add_part(parts, n_parts, "graph", counted(&arena) + interaction_bytes(&f, n_edges, n_trained[0]));
    allocate_plan(&f, &arena);
    learned = f.plan.n_learned * (int64_t) sizeof(real);
    gradients = samples(&f) ? 0 : learned;
    add_part(parts, n_parts, "parameters", learned);
    add_part(parts, n_parts, "gradients", gradients);
    add_part(parts, n_parts, "plan", counted(&arena) - learned - gradients);
    allocate_features(&f, &arena);
    if (f.features.n > 0)
        add_part(parts, n_parts, "features", counted(&arena));
    allocate_optimiser(&f, &arena);
    add_part(parts, n_parts, "optimiser", counted(&arena));
    allocate_loss(&f, &arena, n_trained[0]);
    add_part(parts, n_parts, samples(&f) ? "sample" : "loss", counted(&arena));
    allocate_contrast(&f, &arena, n_trained);
    if (f.contrast.plan != NULL)
        add_part(parts, n_parts, "contrast", counted(&arena));
    allocate_audience(&f, &arena);
    if (graph->n_types > 2)
        add_part(parts, n_parts, "audience", counted(&arena));
    allocate_measure(&f, &arena);
    if (measures(&f))
        add_part(parts, n_parts, "measure", counted(&arena));
    for (int i = 0; i < *n_parts; i++)
        total += parts[i].bytes;
    return total;
}

bool
gnn_fit_is_explainable(const GnnConfig *config)
{
    return gnn_models[config->model]->linear && config->layers > 0 && config->holdout == 0;
}

const char *
gnn_train_main(GnnFit *out, GnnArena *arena, const GnnGraph *graph, const GnnConfig *config, int threads,
               const GnnTick *tick)
{
    return gnn_fit(out, arena, graph, config, threads, tick);
}
