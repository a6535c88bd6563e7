/*
 * loss_bpr.c: Bayesian personalised ranking (Rendle et al., UAI 2009), over all interactions at once.
 *
 *     loss = sum over edges (u,i) of a_ui 1/n sum_{k=1..n} -log sigmoid(x_k),  x_k = z_u.z_i - z_u.z_jk
 *
 * a_ui = w_ui D_u^(g-1) / sum_v D_v^g: 1/E where all weights and g are 1. The n negatives of an edge are drawn by
 * degree^alpha from the items the user has not (of one who has nearly all, now and then one she has).
 *
 *     with c_k = -a_ui/n sigmoid(-x_k):  dz_u += c_k (z_i - z_jk);  dz_i += c_k z_u;  dz_jk -= c_k z_u
 *
 * Edges go in waves of a fixed number. A wave is first turned into contributions (user, item, coefficient), one for i
 * and one for each j; these are then scattered twice, to users from items and to items from users.
 * The squared norm of the paper is train/decay.c's.
 */
#include "train/loss.h"

#include "core/kernel.h"
#include "core/scatter.h"
#include "train/sample.h"

#include <math.h>

#define BLOCK 256               /* edges of a block */
#define MAX_WAVE 256            /* blocks of a wave */
#define WAVE_CONTRIBUTIONS (1 << 20)        /* of a wave, where its bounds allow */
#define ROWS 1024               /* nodes of a block when the gradient is cleared */
#define TRIES 8                 /* for a negative that the user has not */

typedef struct Bpr
{
    const GnnTask *task;
    const GnnMat *z;
    int64_t     dim;
    int64_t     negatives;
    int64_t     wave;           /* edges of a wave */
    int64_t     pass;
    int64_t     first;          /* edge of the wave */
    GnnAlias    alias;
    double     *pull;           /* [users] */
    double     *loss;           /* one a block of edges */
    int32_t    *user;           /* wave x (1 + negatives): contributions */
    int32_t    *item;
    real       *coef;
    int32_t    *order;
} Bpr;

static int64_t
wave_size(int64_t n_edges, int64_t negatives)
{
    int64_t     blocks = WAVE_CONTRIBUTIONS / (BLOCK * (1 + negatives));
    int64_t     wave = BLOCK * (blocks > MAX_WAVE ? MAX_WAVE : blocks < 1 ? 1 : blocks);

    return wave < n_edges ? wave : n_edges;
}

static void *
bpr_allocate(GnnArena *arena, const GnnTask *task)
{
    Bpr        *state = gnn_alloc(arena, 1, sizeof(Bpr));
    Bpr         b = {.task = task, .dim = task->config->dim, .negatives = task->negatives};
    int64_t     n;

    b.wave = wave_size(task->n_edges, b.negatives);
    n = b.wave * (1 + b.negatives);
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

static void
bpr_open(void *state, const GnnTask *task)
{
    Bpr        *b = state;

    gnn_user_pulls(b->pull, task);
    gnn_negative_weights(b->alias.weight, task);
    gnn_alias_fill(&b->alias);
}

/* the row that holds an edge: the last that starts at or before it */
static int32_t
row_of(const GnnCsr *a, int64_t edge)
{
    int32_t     low = 0;
    int32_t     high = a->n - 1;

    while (low < high)
    {
        int32_t     middle = low + (high - low + 1) / 2;

        if (a->ptr[middle] <= edge)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static int32_t
draw(const Bpr *b, GnnRng *rng, int32_t user)
{
    int32_t     item = gnn_alias_draw(&b->alias, rng);

    for (int i = 1; i < TRIES && gnn_csr_has(&b->task->by_user, user, item); i++)
        item = gnn_alias_draw(&b->alias, rng);
    return item;
}

/* -log sigmoid(x), without overflow */
static double
minus_log_sigmoid(double x)
{
    return x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
}

/* an edge becomes 1 + negatives contributions; returns its part of the loss */
static double
run_edge(const Bpr *b, GnnRng *rng, int32_t user, int64_t edge)
{
    const GnnCsr *edges = &b->task->by_user;
    const real *z_items = b->z->val + b->task->items.first * b->dim;
    const real *z_user = b->z->val + (b->task->users.first + user) * b->dim;
    int32_t     positive = edges->idx[edge];
    double      share = b->pull[user] * (edges->val != NULL ? edges->val[edge] : 1) / (double) b->negatives;
    real        score = gnn_inner(z_user, z_items + positive * b->dim, b->dim);
    int64_t     at = (edge - b->first) * (1 + b->negatives);
    double      sum = 0;
    double      loss = 0;

    b->user[at] = user;
    b->item[at] = positive;
    for (int64_t k = at + 1; k <= at + b->negatives; k++)
    {
        int32_t     negative = draw(b, rng, user);
        double      x = score - gnn_inner(z_user, z_items + negative * b->dim, b->dim);
        double      c = -share / (1 + exp(x));

        b->user[k] = user;
        b->item[k] = negative;
        b->coef[k] = (real) -c;
        sum += c;
        loss += share * minus_log_sigmoid(x);
    }
    b->coef[at] = (real) sum;
    return loss;
}

static void
run_block(void *arg, int64_t number, int thread)
{
    Bpr        *b = arg;
    const GnnTask *t = b->task;
    int64_t     edge = b->first + number * BLOCK;
    int64_t     end = edge + BLOCK < t->n_edges ? edge + BLOCK : t->n_edges;
    int64_t     block = edge / BLOCK;
    int32_t     user = row_of(&t->by_user, edge);
    GnnRng      rng = gnn_rng(t->config->seed, GNN_STREAM_NEGATIVES,
                              (uint64_t) (b->pass * gnn_blocks(t->n_edges, BLOCK) + block));

    b->loss[block] = 0;
    for (; edge < end; edge++)
    {
        while (edge >= t->by_user.ptr[user + 1])
            user++;
        b->loss[block] += run_edge(b, &rng, user, edge);
    }
}

/* the contributions of n edges, both ways */
static void
scatter_wave(const Bpr *b, int64_t n)
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
    const Bpr  *b = arg;
    int64_t     n = b->z->n - block * ROWS < ROWS ? b->z->n - block * ROWS : ROWS;

    memset(b->z->grad + block * ROWS * b->dim, 0, n * b->dim * sizeof(real));
}

static double
bpr_run(void *state, const GnnMat *z, int64_t pass)
{
    Bpr        *b = state;
    int64_t     n_edges = b->task->n_edges;
    double      loss = 0;

    b->z = z;
    b->pass = pass;
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

const GnnLoss gnn_bpr = {
    .name = "bpr",
    .what = "Bayesian personalised ranking: an item of the user's against drawn ones she has not, on inner products",
    .negatives = 4,
    .reg_weight = 0.01,
    .allocate = bpr_allocate,
    .open = bpr_open,
    .run = bpr_run,
};
