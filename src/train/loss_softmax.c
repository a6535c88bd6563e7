/*
 * loss_softmax.c: the sampled softmax, a row per user.
 *
 * With h_v = z_v / |z_v|, temperature t, edge weights w_ui, D_u = sum_i w_ui, W = sum_u D_u^g:
 *
 *     loss = 1/W sum_u D_u^(g-1) [ - sum_i w_ui h_u.h_i / t  +  D_u log mean_{j in C} exp(h_u.h_j / t) ]
 *
 * C is M items drawn with replacement by degree^alpha, shared by a block of users. For weights of 1 and g = 1 this is
 * 1/E sum over interactions of the softmax loss: within a step all of a user's interactions see the same negatives, so they
 * share one row of the softmax, and a step can afford the gradient of all of them. g is `user_weight`.
 *
 *     S = H_u H_c' / t;  P = row softmax of S, times D_u^g / (W t)
 *     dH_u = P H_c - sum_i a_ui h_i;  dH_c = P' H_u;  dH_i -= sum_u a_ui h_u;  a_ui = w_ui D_u^(g-1) / (W t)
 *     dz = (dh - (dh.h) h) / |z|
 *
 * Where a step takes a sample of users (see train/user_sample.h), the sums over u run over it, times a factor: all that is kept
 * by user follows the sample.
 *
 * Blocks of users run in waves of a fixed number: each block has its own buffer for dH_c, and after a wave the
 * buffers are added to the items they were drawn for in the order of blocks (see core/scatter.h).
 */
#include "train/loss.h"

#include "core/blas.h"
#include "core/kernel.h"
#include "core/scatter.h"
#include "train/sample.h"
#include "train/unit.h"
#include "train/user_sample.h"

#define BLOCK 512               /* users that share their negatives */
#define SLICE 128               /* users of a block whose scores are in cache at once */
#define ROWS 128                /* nodes of a block in the passes over nodes */
#define EDGES 256               /* of a node that are gathered at once */
#define MAX_WAVE 32
#define MIN_WAVE 4
#define WAVE_REALS (1 << 23)    /* a wave's buffers, where its bounds allow */

typedef struct Softmax
{
    const GnnTask *task;
    const GnnMat *z;
    int64_t     dim;
    int64_t     m;              /* negatives */
    int64_t     wave;           /* blocks of a wave */
    int64_t     wave_first;     /* its first block */
    int64_t     pass;
    GnnUserSample sample;       /* whose rows the step has */
    GnnAlias    alias;
    double     *share;          /* [users] D_u^g / W */
    double     *pull;           /* [users] D_u^(g-1) / (W t) */
    int32_t    *place;          /* [users] number in the sample, -1 where she is not in it */
    real       *unit;           /* h: the sample's users, then, from row sample.limit on, all items; x dim */
    real       *norm;           /* |z| of the same, 0 where there is no direction */
    int32_t    *drawn;          /* wave x m */
    int32_t    *order;          /* wave x m: scratch of scatter */
    real       *drawn_grad;     /* wave x m x dim: dH_c */
    real       *drawn_unit;     /* thread x m x dim: H_c */
    real       *score;          /* thread x SLICE x m */
    real       *user_grad;      /* thread x SLICE x dim: P H_c */
    double     *loss;           /* one a block */
    double     *node_loss;      /* one a block of ROWS users */
} Softmax;

/* ---- memory and edges ---- */

static int64_t
wave_size(int64_t n_blocks, int64_t m, int64_t dim)
{
    int64_t     wave = WAVE_REALS / (m * dim);

    wave = wave > MAX_WAVE ? MAX_WAVE : wave < MIN_WAVE ? MIN_WAVE : wave;
    return wave < n_blocks ? wave : n_blocks;
}

static void *
softmax_allocate(GnnArena *arena, const GnnTask *task)
{
    Softmax    *state = gnn_alloc(arena, 1, sizeof(Softmax));
    Softmax     s = {.task = task, .dim = task->config->dim, .m = task->negatives};
    int64_t     threads = task->team->threads;
    int64_t     n_blocks;
    int64_t     n_rows;

    gnn_user_sample_allocate(&s.sample, arena, task);
    n_blocks = gnn_blocks(s.sample.limit, BLOCK);
    n_rows = s.sample.limit + task->items.n;
    s.wave = wave_size(n_blocks, s.m, s.dim);
    gnn_alias_allocate(&s.alias, arena, task->items.n);
    s.share = gnn_alloc(arena, task->users.n, sizeof(double));
    s.pull = gnn_alloc(arena, task->users.n, sizeof(double));
    s.place = gnn_alloc(arena, task->users.n, sizeof(int32_t));
    s.unit = gnn_alloc(arena, n_rows * s.dim, sizeof(real));
    s.norm = gnn_alloc(arena, n_rows, sizeof(real));
    s.drawn = gnn_alloc(arena, s.wave * s.m, sizeof(int32_t));
    s.order = gnn_alloc(arena, s.wave * s.m, sizeof(int32_t));
    s.drawn_grad = gnn_alloc(arena, s.wave * s.m * s.dim, sizeof(real));
    s.drawn_unit = gnn_alloc(arena, threads * s.m * s.dim, sizeof(real));
    s.score = gnn_alloc(arena, threads * SLICE * s.m, sizeof(real));
    s.user_grad = gnn_alloc(arena, threads * SLICE * s.dim, sizeof(real));
    s.loss = gnn_alloc(arena, n_blocks, sizeof(double));
    s.node_loss = gnn_alloc(arena, gnn_blocks(s.sample.limit, ROWS), sizeof(double));
    if (state != NULL)
        *state = s;
    return state;
}

static void
softmax_open(void *state, const GnnTask *task)
{
    Softmax    *s = state;

    gnn_user_pulls(s->pull, task);
    for (int32_t u = 0; u < task->users.n; u++)
    {
        s->share[u] = s->pull[u] * gnn_row_weight(&task->by_user, u);
        s->pull[u] /= task->config->temperature;
    }
    gnn_user_sample_open(&s->sample, task);
    s->alias.n = task->items.n;
    gnn_negative_weights(s->alias.weight, task);
    gnn_alias_fill(&s->alias);
}

/* ---- unit vectors ---- */

static int64_t
block_end(int64_t block, int64_t size, int64_t n)
{
    return (block + 1) * size < n ? (block + 1) * size : n;
}

/* a row of `unit` and its node */
typedef struct Row
{
    int64_t     number;
    int64_t     node;
} Row;

static inline Row
user_row(const Softmax *s, int64_t number)
{
    return (Row) {.number = number, .node = s->task->users.first + s->sample.user[number]};
}

static inline Row
item_row(const Softmax *s, int64_t item)
{
    return (Row) {.number = s->sample.limit + item, .node = s->task->items.first + item};
}

/* h and |z| */
static void
normalise(Softmax *s, Row row)
{
    s->norm[row.number] = gnn_unit(s->unit + row.number * s->dim, s->z->val + row.node * s->dim, s->dim);
}

static void
normalise_users(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;

    for (int64_t i = block * ROWS; i < block_end(block, ROWS, s->sample.n); i++)
        normalise(s, user_row(s, i));
}

static void
normalise_items(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;

    for (int64_t i = block * ROWS; i < block_end(block, ROWS, s->task->items.n); i++)
        normalise(s, item_row(s, i));
}

static void
clear_gradient(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;
    int64_t     start = block * ROWS;

    memset(s->z->grad + start * s->dim, 0, (block_end(block, ROWS, s->z->n) - start) * s->dim * sizeof(real));
}

/* ---- negatives ---- */

static void
draw(Softmax *s, int64_t block, int32_t *drawn, real *drawn_unit)
{
    uint64_t    number = (uint64_t) (s->pass * gnn_blocks(s->sample.limit, BLOCK) + block);
    GnnRng      rng = gnn_rng(s->task->config->seed, GNN_STREAM_NEGATIVES, number);

    for (int64_t j = 0; j < s->m; j++)
    {
        drawn[j] = gnn_alias_draw(&s->alias, &rng);
        memcpy(drawn_unit + j * s->dim, s->unit + item_row(s, drawn[j]).number * s->dim, s->dim * sizeof(real));
    }
}

/* scores of a user become her row of P; returns her part of the loss */
static double
softmax_row(const Softmax *s, real *score, int64_t user)
{
    double      share = s->share[user] * s->sample.factor;
    real        top;
    real        sum = gnn_exp_row(score, s->m, &top);

    gnn_scale(score, (real) (share / (s->task->config->temperature * sum)), s->m);
    return share * (top + log(sum / (double) s->m));
}

/* a slice of a block's users against the block's negatives */
static double
run_slice(Softmax *s, int64_t first, int64_t n, const real *drawn_unit, real *drawn_grad, int thread, bool start)
{
    const real *h = s->unit + first * s->dim;
    real       *score = s->score + thread * SLICE * s->m;
    real       *dh = s->user_grad + thread * SLICE * s->dim;
    double      loss = 0;

    gnn_gemm(score, s->m, n, s->m, s->dim, (real) (1 / s->task->config->temperature), gnn_plain(h, s->dim),
             gnn_transposed(drawn_unit, s->dim), 0);
    for (int64_t i = 0; i < n; i++)
        loss += softmax_row(s, score + i * s->m, s->sample.user[first + i]);
    gnn_gemm(dh, s->dim, n, s->dim, s->m, 1, gnn_plain(score, s->m), gnn_plain(drawn_unit, s->dim), 0);
    gnn_gemm(drawn_grad, s->dim, s->m, s->dim, n, 1, gnn_transposed(score, s->m), gnn_plain(h, s->dim),
             start ? 0 : 1);
    for (int64_t i = 0; i < n; i++)
        memcpy(s->z->grad + user_row(s, first + i).node * s->dim, dh + i * s->dim, s->dim * sizeof(real));
    return loss;
}

static void
run_block(void *arg, int64_t number, int thread)
{
    Softmax    *s = arg;
    int64_t     block = s->wave_first + number;
    int64_t     end = block_end(block, BLOCK, s->sample.n);
    real       *drawn_unit = s->drawn_unit + thread * s->m * s->dim;
    double      loss = 0;

    draw(s, block, s->drawn + number * s->m, drawn_unit);
    for (int64_t first = block * BLOCK; first < end; first += SLICE)
        loss += run_slice(s, first, end - first < SLICE ? end - first : SLICE, drawn_unit,
                          s->drawn_grad + number * s->m * s->dim, thread, first == block * BLOCK);
    s->loss[block] = loss;
}

/* adds a wave's buffers to the items they were drawn for */
static void
scatter_wave(Softmax *s, int64_t n_blocks)
{
    GnnScatter  scatter = {.to = s->z->grad + s->task->items.first * s->dim, .n_to = s->task->items.n,
                           .from = s->drawn_grad, .dim = s->dim, .n = n_blocks * s->m, .target = s->drawn,
                           .order = s->order};

    gnn_scatter_run(s->task->team, &scatter);
}

static void
run_waves(Softmax *s)
{
    int64_t     n_blocks = gnn_blocks(s->sample.n, BLOCK);

    for (s->wave_first = 0; s->wave_first < n_blocks; s->wave_first += s->wave)
    {
        int64_t     n = n_blocks - s->wave_first < s->wave ? n_blocks - s->wave_first : s->wave;

        gnn_team_run(s->task->team, n, run_block, s);
        scatter_wave(s, n);
    }
}

/* ---- positives, and back through the normalisation ---- */

/* edges as they are gathered: rows of `unit`, and a_ui */
typedef struct Pulls
{
    int64_t     n;
    int32_t     row[EDGES];
    float       a[EDGES];
} Pulls;

static inline void
add_pull(Pulls *pulls, const Softmax *s, const GnnCsr *edges, int64_t edge, int32_t user, int64_t row)
{
    pulls->row[pulls->n] = (int32_t) row;
    pulls->a[pulls->n++] = (float) (s->sample.factor * s->pull[user] * (edges->val != NULL ? edges->val[edge] : 1));
}

static void
pulls_of_user(Pulls *pulls, const Softmax *s, int32_t user, int64_t start, int64_t end)
{
    const GnnCsr *edges = &s->task->by_user;

    for (int64_t e = start; e < end; e++)
        add_pull(pulls, s, edges, e, user, s->sample.limit + edges->idx[e]);
}

/* from users in the sample alone */
static void
pulls_of_item(Pulls *pulls, const Softmax *s, int32_t item, int64_t start, int64_t end)
{
    const GnnCsr *edges = &s->task->by_item;

    for (int64_t e = start; e < end; e++)
        if (s->place[edges->idx[e]] >= 0)
            add_pull(pulls, s, edges, e, edges->idx[e], s->place[edges->idx[e]]);
}

typedef void (*CollectPulls)(Pulls *pulls, const Softmax *s, int32_t node, int64_t start, int64_t end);

/* a user or item: dh -= sum a h of the other end; returns h times that sum */
static double
pull_row(Softmax *s, Row row, int32_t number, const GnnCsr *edges, CollectPulls collect)
{
    real       *dh = s->z->grad + row.node * s->dim;
    const real *h = s->unit + row.number * s->dim;
    double      along = 0;

    for (int64_t e = edges->ptr[number]; e < edges->ptr[number + 1]; e += EDGES)
    {
        Pulls       pulls = {.n = 0};
        real        sum[GNN_MAX_DIM];

        collect(&pulls, s, number, e, e + EDGES < edges->ptr[number + 1] ? e + EDGES : edges->ptr[number + 1]);
        gnn_gather_rows(sum, pulls.row, pulls.a, pulls.n, 1, s->unit, s->dim);
        gnn_add_scaled(dh, -1, sum, s->dim);
        along += gnn_inner(h, sum, s->dim);
    }
    gnn_through_unit(dh, h, s->norm[row.number], s->dim);
    return along;
}

static void
pull_users(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;

    s->node_loss[block] = 0;
    for (int64_t i = block * ROWS; i < block_end(block, ROWS, s->sample.n); i++)
        s->node_loss[block] -= pull_row(s, user_row(s, i), s->sample.user[i], &s->task->by_user, pulls_of_user);
}

static void
pull_items(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;

    for (int64_t i = block * ROWS; i < block_end(block, ROWS, s->task->items.n); i++)
        (void) pull_row(s, item_row(s, i), (int32_t) i, &s->task->by_item, pulls_of_item);
}

/* who is in this step */
static void
sample_users(Softmax *s)
{
    gnn_user_sample_draw(&s->sample, s->task, s->pass);
    for (int32_t u = 0; u < s->task->users.n; u++)
        s->place[u] = -1;
    for (int64_t i = 0; i < s->sample.n; i++)
        s->place[s->sample.user[i]] = (int32_t) i;
}

static double
sum_of(const double *x, int64_t n)
{
    double      sum = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    return sum;
}

static double
softmax_run(void *state, const GnnMat *z, int64_t pass)
{
    Softmax    *s = state;
    GnnTeam    *team = s->task->team;
    int64_t     user_blocks;
    int64_t     item_blocks = gnn_blocks(s->task->items.n, ROWS);

    s->z = z;
    s->pass = pass;
    sample_users(s);
    user_blocks = gnn_blocks(s->sample.n, ROWS);
    gnn_team_run(team, gnn_blocks(z->n, ROWS), clear_gradient, s);
    gnn_team_run(team, user_blocks, normalise_users, s);
    gnn_team_run(team, item_blocks, normalise_items, s);
    run_waves(s);
    gnn_team_run(team, user_blocks, pull_users, s);
    gnn_team_run(team, item_blocks, pull_items, s);
    return sum_of(s->loss, gnn_blocks(s->sample.n, BLOCK)) + sum_of(s->node_loss, user_blocks);
}

const GnnLoss gnn_softmax = {
    .name = "softmax",
    .what = "softmax over an item of the user's and negatives shared by a block of users, on cosines",
    .negatives = 2048,
    .reg_weight = 0,
    .contrast_weight = 0.1,
    .allocate = softmax_allocate,
    .open = softmax_open,
    .run = softmax_run,
};
