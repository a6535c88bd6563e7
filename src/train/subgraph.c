/*
 * subgraph.c: seeds, their neighbours, and the matrix and task of those.
 *
 * Nodes draw in parallel, each from random numbers of its own; they are listed, numbered and put in rows by one thread.
 */
#include "train/subgraph.h"

#include "core/kernel.h"

#include <math.h>

#define BLOCK 64                /* nodes of a block */

/* ---- memory ---- */

/* a + b, up to `most` */
static int64_t
plus(int64_t a, int64_t b, int64_t most)
{
    return a < most - b ? a + b : most;
}

static int64_t
times(int64_t a, int64_t b, int64_t most)
{
    return b == 0 || a < most / b ? a * b : most;
}

/* the most nodes there are within so many steps of the seeds */
static int64_t
reach(int64_t seeds, int64_t fan, int steps, int64_t n_nodes)
{
    int64_t     reached = seeds < n_nodes ? seeds : n_nodes;
    int64_t     last = reached;

    for (int i = 0; i < steps; i++)
    {
        last = times(last, fan, n_nodes);
        reached = plus(reached, last, n_nodes);
    }
    return reached;
}

static int64_t
at_most(int64_t n, int64_t most)
{
    return n < most ? n : most;
}

static void
allocate_csr(GnnCsr *a, GnnArena *arena, int64_t n, int64_t n_cols, int64_t n_entries, bool weights)
{
    *a = (GnnCsr) {.n = (int32_t) n, .n_cols = (int32_t) n_cols};
    a->ptr = gnn_alloc(arena, n + 1, sizeof(int64_t));
    a->idx = gnn_alloc(arena, n_entries, sizeof(int32_t));
    a->val = weights ? gnn_alloc(arena, n_entries, sizeof(float)) : NULL;
}

static void
allocate_matrix(GnnSubgraph *sub, GnnArena *arena, int64_t n_asked)
{
    int64_t     n_entries = n_asked * sub->fan;

    sub->n_drawn = gnn_alloc(arena, n_asked, sizeof(int32_t));
    sub->drawn = gnn_alloc(arena, n_entries, sizeof(int32_t));
    sub->value = gnn_alloc(arena, n_entries, sizeof(float));
    gnn_directed_allocate(&sub->drawn_by, arena, sub->max_nodes, n_entries);
    allocate_csr(&sub->sampled.a, arena, sub->max_nodes, sub->max_nodes, sub->visited != NULL ? 0 : 2 * n_entries, true);
    sub->sampled.back = gnn_alloc(arena, sub->visited != NULL ? 0 : 2 * n_entries, sizeof(float));
    sub->sampled.degree = gnn_alloc(arena, sub->max_nodes, sizeof(double));
    sub->sampled.n_edges = gnn_alloc(arena, sub->max_nodes, sizeof(int32_t));
}

/* the task at its largest: its numbers say how much a loss allocates */
static void
allocate_task(GnnSubgraph *sub, GnnArena *arena)
{
    GnnTask    *t = &sub->task;

    *t = *sub->whole;
    t->n_nodes = sub->max_nodes;
    t->users.n = (int32_t) at_most(t->users.n, sub->max_nodes);
    t->items.n = (int32_t) at_most(t->items.n, sub->max_nodes);
    t->n_edges = at_most(t->n_edges, sub->users.limit * t->config->fanout);
    allocate_csr(&t->by_user, arena, t->users.n, t->items.n, t->n_edges, true);
    allocate_csr(&t->by_item, arena, t->items.n, t->users.n, t->n_edges, true);
    t->user_factor = sub->user_factor = gnn_alloc(arena, t->users.n, sizeof(double));
    t->negative_weight = sub->negative_weight = gnn_alloc(arena, t->items.n, sizeof(double));
}

/* a type's features at their most */
static void
allocate_type_features(GnnSubgraph *sub, GnnArena *arena, int type)
{
    const GnnCsr *whole = &sub->graph->features[type];
    int64_t     n_values = sub->graph->n_feature_values[type];

    allocate_csr(&sub->shape.features[type], arena, at_most(sub->graph->types[type].n, sub->max_nodes),
                 at_most(whole->n_cols, n_values), n_values, true);
}

static void
allocate_features(GnnSubgraph *sub, GnnArena *arena)
{
    gnn_features_open(&sub->all, sub->graph);
    for (int t = 0; t < sub->graph->n_types; t++)
        if (gnn_type_has_features(sub->graph, t))
            allocate_type_features(sub, arena, t);
    gnn_features_open(&sub->features, &sub->shape);
    gnn_features_allocate(&sub->features, arena);
    sub->column = gnn_alloc(arena, sub->all.n, sizeof(int32_t));
    sub->feature = gnn_alloc(arena, sub->features.n, sizeof(int32_t));
}

static int64_t
pool_size(const GnnSubgraph *sub)
{
    return sub->whole->negatives > sub->users.limit ? sub->whole->negatives : sub->users.limit;
}

void
gnn_subgraph_allocate(GnnSubgraph *sub, GnnArena *arena, const GnnGraph *graph, const GnnAdjacency *adjacency,
                      const GnnDirected *visited, const GnnTask *whole)
{
    const GnnConfig *c = whole->config;
    int64_t     seeds;

    *sub = (GnnSubgraph) {.graph = graph, .adjacency = adjacency, .visited = visited, .whole = whole, .shape = *graph};
    sub->fan = visited != NULL ? c->importance_neighbours : c->fanout;
    gnn_user_sample_allocate(&sub->users, arena, whole);
    seeds = sub->users.limit * (1 + c->fanout) + pool_size(sub);
    sub->max_nodes = reach(seeds, sub->fan, c->layers, graph->n_nodes);
    gnn_walker_allocate(&sub->walker, arena, c->sampling == GNN_SAMPLING_WALKS ? graph->n_nodes : 0);
    gnn_alias_allocate(&sub->negatives, arena, whole->items.n);
    sub->pool = gnn_alloc(arena, pool_size(sub), sizeof(int32_t));
    sub->found = gnn_alloc(arena, sub->max_nodes, sizeof(int32_t));
    sub->node = gnn_alloc(arena, sub->max_nodes, sizeof(int32_t));
    sub->place = gnn_alloc(arena, graph->n_nodes, sizeof(int32_t));
    allocate_matrix(sub, arena, c->layers > 0 ? reach(seeds, sub->fan, c->layers - 1, graph->n_nodes) : 0);
    allocate_features(sub, arena);
    allocate_task(sub, arena);
    sub->shape.n_nodes = sub->max_nodes;
}

void
gnn_subgraph_open(GnnSubgraph *sub)
{
    gnn_user_sample_open(&sub->users, sub->whole);
    gnn_negative_weights(sub->negatives.weight, sub->whole);
    gnn_alias_fill(&sub->negatives);
    sub->task.mean_weight = gnn_mean_weight(sub->whole);
    if (sub->whole->config->sampling == GNN_SAMPLING_WALKS)
        gnn_walker_open(&sub->walker, sub->whole->team, sub->adjacency);
    for (int64_t v = 0; v < sub->graph->n_nodes; v++)
        sub->place[v] = -1;
    for (int64_t i = 0; i < sub->all.n; i++)
        sub->column[i] = -1;
}

/* ---- drawing ---- */

/* `wanted` of the numbers 0 .. n - 1, ascending, none twice (Floyd's way) */
static void
draw_distinct(int32_t *out, int32_t wanted, int64_t n, GnnRng *rng)
{
    int32_t     n_out = 0;

    for (int64_t last = n - wanted; last < n; last++)
    {
        int32_t     x = (int32_t) gnn_rng_below(rng, (uint64_t) last + 1);
        int32_t     at = 0;

        while (at < n_out && out[at] < x)
            at++;
        if (at < n_out && out[at] == x)
        {
            out[n_out++] = (int32_t) last;      /* larger than all so far */
            continue;
        }
        memmove(out + at + 1, out + at, (n_out - at) * sizeof(int32_t));
        out[at] = x;
        n_out++;
    }
}

/* a neighbour drawn, into a list that ascends; one that is there counts once more */
static int32_t
insert(int32_t *drawn, float *value, int32_t n, int32_t neighbour)
{
    int32_t     at = n;

    while (at > 0 && drawn[at - 1] >= neighbour)
        at--;
    if (at < n && drawn[at] == neighbour)
    {
        value[at] += 1;
        return n;
    }
    memmove(drawn + at + 1, drawn + at, (n - at) * sizeof(int32_t));
    memmove(value + at + 1, value + at, (n - at) * sizeof(float));
    drawn[at] = neighbour;
    value[at] = 1;
    return n + 1;
}

/* all of a row as it is */
static int32_t
take_row(int32_t *drawn, float *value, const GnnCsr *a, int64_t v)
{
    int32_t     n = (int32_t) (a->ptr[v + 1] - a->ptr[v]);

    memcpy(drawn, a->idx + a->ptr[v], n * sizeof(int32_t));
    memcpy(value, a->val + a->ptr[v], n * sizeof(float));
    return n;
}

/* `fan` neighbours, each as likely as any: drawn with chance fan / n */
static int32_t
draw_evenly(int32_t *drawn, float *value, const GnnSubgraph *sub, int32_t v, GnnRng *rng)
{
    const GnnCsr *a = &sub->adjacency->a;
    int64_t     n = a->ptr[v + 1] - a->ptr[v];

    draw_distinct(drawn, (int32_t) sub->fan, n, rng);
    for (int64_t i = 0; i < sub->fan; i++)
    {
        value[i] = a->val[a->ptr[v] + drawn[i]] * (float) n / (float) sub->fan;
        drawn[i] = a->idx[a->ptr[v] + drawn[i]];
    }
    return (int32_t) sub->fan;
}

/* where `fan` walkers step to: u with chance A_vu / D_v, which is A_hat_vu sqrt(D_u / D_v), each time */
static int32_t
draw_by_weight(int32_t *drawn, float *value, const GnnSubgraph *sub, int32_t v, GnnRng *rng)
{
    const double *degree = sub->adjacency->degree;
    int32_t     n = 0;

    for (int64_t i = 0; i < sub->fan; i++)
        n = insert(drawn, value, n, gnn_walker_step(&sub->walker, v, rng));
    for (int32_t i = 0; i < n; i++)
        value[i] *= (float) (sqrt(degree[v] / degree[drawn[i]]) / (double) sub->fan);
    return n;
}

typedef struct Ask
{
    GnnSubgraph *sub;
    int64_t     first;          /* of those asked, in the order found */
    int64_t     end;
    int64_t     step;
} Ask;

static int32_t
draw_neighbours(int32_t *drawn, float *value, const Ask *ask, int32_t v)
{
    const GnnSubgraph *sub = ask->sub;
    const GnnCsr *a = sub->visited != NULL ? &sub->visited->rows : &sub->adjacency->a;
    GnnRng      rng = gnn_rng(sub->whole->config->seed, GNN_STREAM_NEIGHBOURS,
                              (uint64_t) (ask->step * sub->graph->n_nodes + v));

    if (a->ptr[v + 1] - a->ptr[v] <= sub->fan)
        return take_row(drawn, value, a, v);
    if (sub->whole->config->sampling == GNN_SAMPLING_WALKS)
        return draw_by_weight(drawn, value, sub, v, &rng);
    return draw_evenly(drawn, value, sub, v, &rng);
}

static void
ask_block(void *arg, int64_t block, int thread)
{
    const Ask  *ask = arg;
    GnnSubgraph *sub = ask->sub;

    for (int64_t i = ask->first + block * BLOCK; i < ask->end && i < ask->first + (block + 1) * BLOCK; i++)
        sub->n_drawn[i] = draw_neighbours(sub->drawn + i * sub->fan, sub->value + i * sub->fan, ask, sub->found[i]);
}

/* ---- finding nodes ---- */

static void
find(GnnSubgraph *sub, int64_t v)
{
    if (sub->place[v] >= 0)
        return;
    sub->place[v] = (int32_t) sub->n_found;
    sub->found[sub->n_found++] = (int32_t) v;
}

/* items of a user, up to fanout, as edges of the whole's by_user */
static int32_t
draw_positives(int32_t *edge, const GnnSubgraph *sub, int32_t user, int64_t step)
{
    const GnnTask *w = sub->whole;
    int64_t     n = w->by_user.ptr[user + 1] - w->by_user.ptr[user];
    int32_t     wanted = (int32_t) at_most(n, w->config->fanout);
    GnnRng      rng = gnn_rng(w->config->seed, GNN_STREAM_POSITIVES, (uint64_t) (step * w->users.n + user));

    draw_distinct(edge, wanted, n, &rng);
    return wanted;
}

static void
draw_pool(GnnSubgraph *sub, int64_t step)
{
    GnnRng      rng = gnn_rng(sub->whole->config->seed, GNN_STREAM_POOL, (uint64_t) step);

    for (int64_t i = 0; i < pool_size(sub); i++)
        sub->pool[i] = gnn_alias_draw(&sub->negatives, &rng);
}

static void
find_seeds(GnnSubgraph *sub, int64_t step)
{
    const GnnTask *w = sub->whole;
    int32_t     edge[GNN_MAX_FANOUT];

    gnn_user_sample_draw(&sub->users, w, step);
    draw_pool(sub, step);
    for (int64_t i = 0; i < sub->users.n; i++)
    {
        int32_t     user = sub->users.user[i];
        int32_t     n = draw_positives(edge, sub, user, step);

        find(sub, w->users.first + user);
        for (int32_t e = 0; e < n; e++)
            find(sub, w->items.first + w->by_user.idx[w->by_user.ptr[user] + edge[e]]);
    }
    for (int64_t i = 0; i < pool_size(sub); i++)
        find(sub, w->items.first + sub->pool[i]);
}

static void
find_neighbours(GnnSubgraph *sub, int64_t step)
{
    Ask         ask = {.sub = sub, .first = sub->n_asked, .end = sub->n_found, .step = step};

    gnn_team_run(sub->whole->team, gnn_blocks(ask.end - ask.first, BLOCK), ask_block, &ask);
    for (int64_t i = ask.first; i < ask.end; i++)
        for (int32_t k = 0; k < sub->n_drawn[i]; k++)
            find(sub, sub->drawn[i * sub->fan + k]);
    sub->n_asked = ask.end;
}

/* ---- numbering ---- */

static void
forget(GnnSubgraph *sub)
{
    for (int64_t i = 0; i < sub->n_found; i++)
        sub->place[sub->node[i]] = -1;
    sub->n_found = sub->n_asked = 0;
}

/* nodes of the whole in their order; `found` keeps which of those asked each is */
static void
number_nodes(GnnSubgraph *sub)
{
    int64_t     n = 0;

    for (int t = 0; t < sub->graph->n_types; t++)
    {
        const GnnNodes *whole = &sub->graph->types[t];
        GnnNodes   *nodes = &sub->shape.types[t];

        nodes->first = n;
        for (int64_t v = whole->first; v < whole->first + whole->n; v++)
            if (sub->place[v] >= 0)
            {
                sub->found[n] = sub->place[v];
                sub->place[v] = (int32_t) n;
                sub->node[n++] = (int32_t) v;
            }
        nodes->n = (int32_t) (n - nodes->first);
    }
    sub->shape.n_nodes = n;
}

/* ---- the matrix ---- */

static void
fill_rows(GnnSubgraph *sub)
{
    GnnCsr     *rows = &sub->drawn_by.rows;
    int64_t     at = 0;

    rows->n = rows->n_cols = (int32_t) sub->shape.n_nodes;
    for (int64_t v = 0; v < rows->n; v++)
    {
        int64_t     asked = sub->found[v];

        for (int64_t k = 0; asked < sub->n_asked && k < sub->n_drawn[asked]; k++)
        {
            rows->idx[at] = sub->place[sub->drawn[asked * sub->fan + k]];
            rows->val[at++] = sub->value[asked * sub->fan + k];
        }
        rows->ptr[v + 1] = at;
    }
}

static void
fill_matrix(GnnSubgraph *sub)
{
    const GnnCsr *whole = &sub->adjacency->a;

    fill_rows(sub);
    gnn_directed_turn(&sub->drawn_by);
    if (sub->visited == NULL)
        gnn_directed_join(&sub->sampled, &sub->drawn_by);
    else
        sub->sampled.a.n = sub->sampled.a.n_cols = (int32_t) sub->shape.n_nodes;
    for (int64_t v = 0; v < sub->shape.n_nodes; v++)
    {
        sub->sampled.degree[v] = sub->adjacency->degree[sub->node[v]];
        sub->sampled.n_edges[v] = (int32_t) (whole->ptr[sub->node[v] + 1] - whole->ptr[sub->node[v]]);
    }
}

/* ---- features ---- */

/* those that nodes of the type in the sample have, in the order of the whole */
static void
number_features(GnnSubgraph *sub, int type, int64_t first)
{
    const GnnCsr *whole = &sub->graph->features[type];
    const GnnNodes *nodes = &sub->shape.types[type];
    int32_t    *column = sub->column + sub->all.first[type];
    int32_t     n = 0;

    for (int64_t v = nodes->first; v < nodes->first + nodes->n; v++)
    {
        int64_t     row = sub->node[v] - sub->graph->types[type].first;

        for (int64_t e = whole->ptr[row]; e < whole->ptr[row + 1]; e++)
            column[whole->idx[e]] = 0;
    }
    for (int32_t i = 0; i < whole->n_cols; i++)
        if (column[i] >= 0)
        {
            column[i] = n;
            sub->feature[first + n++] = (int32_t) sub->all.first[type] + i;
        }
    sub->shape.features[type].n_cols = n;
}

static void
fill_type_features(GnnSubgraph *sub, int type)
{
    const GnnCsr *whole = &sub->graph->features[type];
    const GnnNodes *nodes = &sub->shape.types[type];
    GnnCsr     *f = &sub->shape.features[type];
    int64_t     at = 0;

    f->n = nodes->n;
    for (int64_t i = 0; i < nodes->n; i++)
    {
        int64_t     row = sub->node[nodes->first + i] - sub->graph->types[type].first;

        for (int64_t e = whole->ptr[row]; e < whole->ptr[row + 1]; e++, at++)
        {
            f->idx[at] = sub->column[sub->all.first[type] + whole->idx[e]];
            f->val[at] = whole->val != NULL ? whole->val[e] : 1;
        }
        f->ptr[i + 1] = at;
    }
}

static void
fill_features(GnnSubgraph *sub)
{
    int64_t     n = 0;

    for (int t = 0; t < sub->graph->n_types; t++)
        if (gnn_type_has_features(sub->graph, t))
        {
            number_features(sub, t, n);
            fill_type_features(sub, t);
            n += sub->shape.features[t].n_cols;
        }
    for (int64_t i = 0; i < n; i++)
        sub->column[sub->feature[i]] = -1;
    gnn_features_number(&sub->features);
    gnn_features_fill(&sub->features);
}

/* ---- the task ---- */

/* rows of users that are not in the step are empty; a user's items that were not drawn count by those that were */
static void
fill_by_user(GnnSubgraph *sub, int64_t step)
{
    const GnnCsr *whole = &sub->whole->by_user;
    GnnTask    *t = &sub->task;
    int32_t     edge[GNN_MAX_FANOUT];
    int64_t     at = 0;
    int64_t     next = 0;       /* in the step's users */

    for (int64_t u = 0; u < t->users.n; u++)
    {
        int32_t     user = (int32_t) (sub->node[t->users.first + u] - sub->whole->users.first);
        int32_t     n = 0;

        if (next < sub->users.n && sub->users.user[next] == user)
        {
            n = draw_positives(edge, sub, user, step);
            next++;
        }
        for (int32_t k = 0; k < n; k++)
        {
            int64_t     e = whole->ptr[user] + edge[k];

            t->by_user.idx[at] = (int32_t) (sub->place[sub->whole->items.first + whole->idx[e]] - t->items.first);
            t->by_user.val[at++] = whole->val != NULL ? whole->val[e] : 1;
        }
        t->by_user.ptr[u + 1] = at;
        sub->user_factor[u] = n > 0 ? (double) (whole->ptr[user + 1] - whole->ptr[user]) / n : 0;
    }
    t->n_edges = at;
}

static void
fill_task(GnnSubgraph *sub, int64_t step)
{
    GnnTask    *t = &sub->task;
    const GnnRelation *learned = &sub->graph->relations[0];

    t->users = sub->shape.types[learned->from];
    t->items = sub->shape.types[learned->to];
    t->n_nodes = sub->shape.n_nodes;
    t->by_user.n = t->by_item.n_cols = t->users.n;
    t->by_user.n_cols = t->by_item.n = t->items.n;
    fill_by_user(sub, step);
    gnn_csr_transpose_into(&t->by_item, &t->by_user);
    memset(sub->negative_weight, 0, t->items.n * sizeof(double));
    for (int64_t i = 0; i < pool_size(sub); i++)
        sub->negative_weight[sub->place[sub->whole->items.first + sub->pool[i]] - t->items.first] += 1;
}

void
gnn_subgraph_draw(GnnSubgraph *sub, int64_t step)
{
    forget(sub);
    find_seeds(sub, step);
    for (int l = 0; l < sub->whole->config->layers; l++)
        find_neighbours(sub, step);
    number_nodes(sub);
    fill_matrix(sub);
    fill_features(sub);
    fill_task(sub, step);
}
