/*
 * pairs.c: all interactions at once, each with n drawn negatives, on inner products x = z_u.z_i.
 *
 *     loss = sum over edges (u,i) of a_ui l(x_ui; x_uj1 ... x_ujn),   a_ui = w_ui D_u^(g-1) / sum_v D_v^g
 *
 * a_ui is 1/E where all weights and g are 1. Where the weight is what l is to meet, it does not count as well: a user's edges
 * then share what they count together evenly, and the target is the weight over the mean of all weights. The negatives of an
 * edge are drawn by degree^alpha from the items the user has not (of one who has nearly all, now and then one she has).
 *
 *     with c_k = a_ui dl/dx_k:  dz_u += c_k z_k;  dz_k += c_k z_u
 *
 * Where a step takes a sample of users (see train/user_sample.h), the sum runs over their edges, times a factor. Those edges,
 * one user after the other, go in waves of a fixed number. A wave is first turned into contributions (user, item, coefficient),
 * one for i and one for each j; these are then scattered twice, to users from items and to items from users.
 */
#include "train/pairs.h"

#include "core/kernel.h"
#include "core/scatter.h"
#include "train/sample.h"
#include "train/user_sample.h"

#include <math.h>

#define BLOCK 256               /* edges of a block */
#define MAX_WAVE 256            /* blocks of a wave */
#define WAVE_CONTRIBUTIONS (1 << 20)        /* of a wave, where its bounds allow */
#define ROWS 1024               /* nodes of a block when the gradient is cleared */
#define TRIES 8                 /* for a negative that the user has not */

typedef struct Pairs
{
    const GnnPairLoss *how;
    const GnnTask *task;
    const GnnMat *z;
    int64_t     dim;
    int64_t     negatives;
    int64_t     wave;           /* edges of a wave */
    int64_t     pass;
    int64_t     first;          /* edge of the wave, of those of the step */
    GnnUserSample sample;       /* whose edges the step has */
    int64_t    *start;          /* [sample + 1] number of a user's first edge among those of the step */
    GnnAlias    alias;
    double     *pull;           /* [users] what an edge of weight 1, or any edge, counts */
    double      mean_weight;    /* of all edges */
    double     *loss;           /* one a block of edges */
    int32_t    *user;           /* wave x (1 + negatives): contributions */
    int32_t    *item;
    real       *coef;
    int32_t    *order;
} Pairs;

static int64_t
wave_size(int64_t n_edges, int64_t negatives)
{
    int64_t     blocks = WAVE_CONTRIBUTIONS / (BLOCK * (1 + negatives));
    int64_t     wave = BLOCK * (blocks > MAX_WAVE ? MAX_WAVE : blocks < 1 ? 1 : blocks);

    return wave < n_edges ? wave : n_edges;
}

void *
gnn_pairs_allocate(GnnArena *arena, const GnnTask *task, const GnnPairLoss *how)
{
    Pairs      *state = gnn_alloc(arena, 1, sizeof(Pairs));
    Pairs       b = {.how = how, .task = task, .dim = task->config->dim, .negatives = task->negatives};
    int64_t     n;

    b.wave = wave_size(task->n_edges, b.negatives);
    n = b.wave * (1 + b.negatives);
    gnn_user_sample_allocate(&b.sample, arena, task);
    b.start = gnn_alloc(arena, b.sample.limit + 1, sizeof(int64_t));
    gnn_alias_allocate(&b.alias, arena, task->items.n);
    b.pull = gnn_alloc(arena, task->users.n, sizeof(double));
    b.loss = gnn_alloc(arena, gnn_blocks(task->n_edges, BLOCK), sizeof(double));
    b.user = gnn_alloc(arena, n, sizeof(int32_t));
    b.item = gnn_alloc(arena, n, sizeof(int32_t));
    b.coef = gnn_alloc(arena, n, sizeof(real));
    b.order = gnn_alloc(arena, n, sizeof(int32_t));
    if (state != NULL)
        *state = b;
    return state;
}

/* a user's edges share evenly what they count together */
static void
spread_pulls(Pairs *b, const GnnTask *task)
{
    for (int32_t u = 0; u < task->users.n; u++)
    {
        int64_t     n = task->by_user.ptr[u + 1] - task->by_user.ptr[u];

        b->pull[u] *= n > 0 ? gnn_row_weight(&task->by_user, u) / (double) n : 0;
    }
    b->mean_weight = gnn_mean_weight(task);
}

void
gnn_pairs_open(void *state, const GnnTask *task)
{
    Pairs      *b = state;

    gnn_user_pulls(b->pull, task);
    if (b->how->weight_is_target)
        spread_pulls(b, task);
    gnn_user_sample_open(&b->sample, task);
    b->alias.n = task->items.n;
    gnn_negative_weights(b->alias.weight, task);
    gnn_alias_fill(&b->alias);
}

/* the user, of those of the step, who has an edge: the last whose edges start at or before it; in the sample, all have some */
static int64_t
holder_of(const Pairs *b, int64_t edge)
{
    int64_t     low = 0;
    int64_t     high = b->sample.n - 1;

    while (low < high)
    {
        int64_t     middle = low + (high - low + 1) / 2;

        if (b->start[middle] <= edge)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static int32_t
draw(const Pairs *b, GnnRng *rng, int32_t user)
{
    int32_t     item = gnn_alias_draw(&b->alias, rng);

    for (int i = 1; i < TRIES && gnn_csr_has(&b->task->by_user, user, item); i++)
        item = gnn_alias_draw(&b->alias, rng);
    return item;
}

/* an edge becomes 1 + negatives contributions, from `at` on; returns its part of the loss */
static double
run_edge(const Pairs *b, GnnRng *rng, int32_t user, int64_t edge, int64_t at)
{
    const GnnCsr *edges = &b->task->by_user;
    const real *z_items = b->z->val + b->task->items.first * b->dim;
    const real *z_user = b->z->val + (b->task->users.first + user) * b->dim;
    double      weight = edges->val != NULL ? edges->val[edge] : 1;
    double      pull = b->sample.factor * b->pull[user];

    for (int64_t k = at; k <= at + b->negatives; k++)
    {
        b->user[k] = user;
        b->item[k] = k == at ? edges->idx[edge] : draw(b, rng, user);
        b->coef[k] = gnn_inner(z_user, z_items + b->item[k] * b->dim, b->dim);
    }
    if (b->how->weight_is_target)
        return b->how->edge(b->coef + at, b->negatives, pull, weight / b->mean_weight);
    return b->how->edge(b->coef + at, b->negatives, pull * weight, 1);
}

static int64_t
edges_of_step(const Pairs *b)
{
    return b->start[b->sample.n];
}

static void
run_block(void *arg, int64_t number, int thread)
{
    Pairs      *b = arg;
    const GnnTask *t = b->task;
    int64_t     edge = b->first + number * BLOCK;
    int64_t     end = edge + BLOCK < edges_of_step(b) ? edge + BLOCK : edges_of_step(b);
    int64_t     block = edge / BLOCK;
    int64_t     holder = holder_of(b, edge);
    GnnRng      rng = gnn_rng(t->config->seed, GNN_STREAM_NEGATIVES,
                              (uint64_t) (b->pass * gnn_blocks(t->n_edges, BLOCK) + block));

    b->loss[block] = 0;
    for (; edge < end; edge++)
    {
        int32_t     user;

        while (edge >= b->start[holder + 1])
            holder++;
        user = b->sample.user[holder];
        b->loss[block] += run_edge(b, &rng, user, t->by_user.ptr[user] + edge - b->start[holder],
                                   (edge - b->first) * (1 + b->negatives));
    }
}

/* the contributions of n edges, both ways */
static void
scatter_wave(const Pairs *b, int64_t n)
{
    const GnnTask *t = b->task;
    int64_t     users = t->users.first * b->dim;
    int64_t     items = t->items.first * b->dim;
    GnnScatter  to_users = {.to = b->z->grad + users, .n_to = t->users.n, .from = b->z->val + items, .dim = b->dim,
                            .n = n * (1 + b->negatives), .target = b->user, .source = b->item, .coef = b->coef,
                            .order = b->order};
    GnnScatter  to_items = {.to = b->z->grad + items, .n_to = t->items.n, .from = b->z->val + users, .dim = b->dim,
                            .n = n * (1 + b->negatives), .target = b->item, .source = b->user, .coef = b->coef,
                            .order = b->order};

    gnn_scatter_run(t->team, &to_users);
    gnn_scatter_run(t->team, &to_items);
}

static void
clear_nodes(void *arg, int64_t block, int thread)
{
    const Pairs *b = arg;
    int64_t     n = b->z->n - block * ROWS < ROWS ? b->z->n - block * ROWS : ROWS;

    memset(b->z->grad + block * ROWS * b->dim, 0, n * b->dim * sizeof(real));
}

/* who is in this step, and where her edges are */
static void
sample_users(Pairs *b)
{
    const int64_t *ptr = b->task->by_user.ptr;

    gnn_user_sample_draw(&b->sample, b->task, b->pass);
    for (int64_t i = 0; i < b->sample.n; i++)
        b->start[i + 1] = b->start[i] + ptr[b->sample.user[i] + 1] - ptr[b->sample.user[i]];
}

double
gnn_pairs_run(void *state, const GnnMat *z, int64_t pass)
{
    Pairs      *b = state;
    int64_t     n_edges;
    double      loss = 0;

    b->z = z;
    b->pass = pass;
    sample_users(b);
    n_edges = edges_of_step(b);
    gnn_team_run(b->task->team, gnn_blocks(z->n, ROWS), clear_nodes, b);
    for (b->first = 0; b->first < n_edges; b->first += b->wave)
    {
        int64_t     n = n_edges - b->first < b->wave ? n_edges - b->first : b->wave;

        gnn_team_run(b->task->team, gnn_blocks(n, BLOCK), run_block, b);
        scatter_wave(b, n);
    }
    for (int64_t block = 0; block < gnn_blocks(n_edges, BLOCK); block++)
        loss += b->loss[block];
    return loss;
}
