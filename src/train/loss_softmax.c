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
 * Blocks of users run in waves of a fixed number: each block has its own buffer for dH_c, and after a wave the
 * buffers are added to the items they were drawn for in the order of blocks (see core/scatter.h).
 */
#include "train/loss.h"

#include "core/blas.h"
#include "core/kernel.h"
#include "core/scatter.h"
#include "train/sample.h"
#include "train/unit.h"

#define BLOCK 512               /* users that share their negatives */
#define SLICE 128               /* users of a block whose scores are in cache at once */
#define ROWS 128                /* nodes of a block in the passes over nodes */
#define MAX_WAVE 32
#define MIN_WAVE 4
#define WAVE_REALS (1 << 23)    /* a wave's buffers, where its bounds allow */

typedef struct Softmax
{
    const GnnTask *task;
    const GnnMat *z;
    int64_t     dim;
    int64_t     m;              /* negatives */
    int64_t     n_blocks;
    int64_t     wave;           /* blocks of a wave */
    int64_t     wave_first;     /* its first block */
    int64_t     pass;
    GnnAlias    alias;
    double     *share;          /* [users] D_u^g / W */
    double     *pull;           /* [users] D_u^(g-1) / (W t) */
    float      *pull_user;      /* a_ui, edges by user */
    float      *pull_item;      /* a_ui, edges by item */
    real       *unit;           /* h, n_nodes x dim */
    real       *norm;           /* |z|, 0 where there is no direction */
    int32_t    *drawn;          /* wave x m */
    int32_t    *order;          /* wave x m: scratch of scatter */
    real       *drawn_grad;     /* wave x m x dim: dH_c */
    real       *drawn_unit;     /* thread x m x dim: H_c */
    real       *score;          /* thread x SLICE x m */
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

    s.n_blocks = gnn_blocks(task->users.n, BLOCK);
    s.wave = wave_size(s.n_blocks, s.m, s.dim);
    gnn_alias_allocate(&s.alias, arena, task->items.n);
    s.share = gnn_alloc(arena, task->users.n, sizeof(double));
    s.pull = gnn_alloc(arena, task->users.n, sizeof(double));
    s.pull_user = gnn_alloc(arena, task->n_edges, sizeof(float));
    s.pull_item = gnn_alloc(arena, task->n_edges, sizeof(float));
    s.unit = gnn_alloc(arena, task->n_nodes * s.dim, sizeof(real));
    s.norm = gnn_alloc(arena, task->n_nodes, sizeof(real));
    s.drawn = gnn_alloc(arena, s.wave * s.m, sizeof(int32_t));
    s.order = gnn_alloc(arena, s.wave * s.m, sizeof(int32_t));
    s.drawn_grad = gnn_alloc(arena, s.wave * s.m * s.dim, sizeof(real));
    s.drawn_unit = gnn_alloc(arena, threads * s.m * s.dim, sizeof(real));
    s.score = gnn_alloc(arena, threads * SLICE * s.m, sizeof(real));
    s.loss = gnn_alloc(arena, s.n_blocks, sizeof(double));
    s.node_loss = gnn_alloc(arena, gnn_blocks(task->users.n, ROWS), sizeof(double));
    if (state != NULL)
        *state = s;
    return state;
}

static void
fill_pulls(Softmax *s, const GnnTask *task)
{
    const GnnCsr *by_user = &task->by_user;
    const GnnCsr *by_item = &task->by_item;

    for (int32_t u = 0; u < task->users.n; u++)
        for (int64_t e = by_user->ptr[u]; e < by_user->ptr[u + 1]; e++)
            s->pull_user[e] = (float) (s->pull[u] * (by_user->val != NULL ? by_user->val[e] : 1));
    for (int64_t e = 0; e < task->n_edges; e++)
        s->pull_item[e] = (float) (s->pull[by_item->idx[e]] * (by_item->val != NULL ? by_item->val[e] : 1));
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
    fill_pulls(s, task);
    gnn_negative_weights(s->alias.weight, task);
    gnn_alias_fill(&s->alias);
}

/* ---- unit vectors ---- */

static int64_t
block_end(int64_t block, int64_t size, int64_t n)
{
    return (block + 1) * size < n ? (block + 1) * size : n;
}

/* h and |z| of a block of nodes; their gradient starts at 0 */
static void
normalise_nodes(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;

    for (int64_t v = block * ROWS; v < block_end(block, ROWS, s->z->n); v++)
    {
        s->norm[v] = gnn_unit(s->unit + v * s->dim, s->z->val + v * s->dim, s->dim);
        memset(s->z->grad + v * s->dim, 0, s->dim * sizeof(real));
    }
}

/* ---- negatives ---- */

static void
draw(Softmax *s, int64_t block, int32_t *drawn, real *drawn_unit)
{
    GnnRng      rng = gnn_rng(s->task->config->seed, GNN_STREAM_NEGATIVES, (uint64_t) (s->pass * s->n_blocks + block));

    for (int64_t j = 0; j < s->m; j++)
    {
        drawn[j] = gnn_alias_draw(&s->alias, &rng);
        memcpy(drawn_unit + j * s->dim, s->unit + (s->task->items.first + drawn[j]) * s->dim, s->dim * sizeof(real));
    }
}

/* scores of a user become her row of P; returns her part of the loss */
static double
softmax_row(const Softmax *s, real *score, int64_t user)
{
    double      share = s->share[user];
    real        top;
    real        sum = gnn_exp_row(score, s->m, &top);

    gnn_scale(score, (real) (share / (s->task->config->temperature * sum)), s->m);
    return share * (top + log(sum / (double) s->m));
}

/* a slice of a block's users against the block's negatives */
static double
run_slice(Softmax *s, int64_t first, int64_t n, const real *drawn_unit, real *drawn_grad, real *score, bool start)
{
    const real *h = s->unit + (s->task->users.first + first) * s->dim;
    real       *dh = s->z->grad + (s->task->users.first + first) * s->dim;
    double      loss = 0;

    gnn_gemm(score, s->m, n, s->m, s->dim, (real) (1 / s->task->config->temperature), gnn_plain(h, s->dim),
             gnn_transposed(drawn_unit, s->dim), 0);
    for (int64_t i = 0; i < n; i++)
        loss += softmax_row(s, score + i * s->m, first + i);
    gnn_gemm(dh, s->dim, n, s->dim, s->m, 1, gnn_plain(score, s->m), gnn_plain(drawn_unit, s->dim), 0);
    gnn_gemm(drawn_grad, s->dim, s->m, s->dim, n, 1, gnn_transposed(score, s->m), gnn_plain(h, s->dim),
             start ? 0 : 1);
    return loss;
}

static void
run_block(void *arg, int64_t number, int thread)
{
    Softmax    *s = arg;
    int64_t     block = s->wave_first + number;
    int64_t     end = block_end(block, BLOCK, s->task->users.n);
    real       *drawn_unit = s->drawn_unit + thread * s->m * s->dim;
    double      loss = 0;

    draw(s, block, s->drawn + number * s->m, drawn_unit);
    for (int64_t first = block * BLOCK; first < end; first += SLICE)
        loss += run_slice(s, first, end - first < SLICE ? end - first : SLICE, drawn_unit,
                          s->drawn_grad + number * s->m * s->dim, s->score + thread * SLICE * s->m,
                          first == block * BLOCK);
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
    for (s->wave_first = 0; s->wave_first < s->n_blocks; s->wave_first += s->wave)
    {
        int64_t     n = s->n_blocks - s->wave_first < s->wave ? s->n_blocks - s->wave_first : s->wave;

        gnn_team_run(s->task->team, n, run_block, s);
        scatter_wave(s, n);
    }
}

/* ---- positives, and back through the normalisation ---- */

/* a row of users or items: dh -= sum a h of the other end; returns h times that sum */
static double
pull_row(Softmax *s, const GnnCsr *edges, const float *pull, int64_t node, int32_t row, int64_t other_first)
{
    real        sum[GNN_MAX_DIM];
    int64_t     start = edges->ptr[row];
    real       *dh = s->z->grad + node * s->dim;
    const real *h = s->unit + node * s->dim;

    gnn_gather_rows(sum, edges->idx + start, pull + start, edges->ptr[row + 1] - start, 1,
                    s->unit + other_first * s->dim, s->dim);
    gnn_add_scaled(dh, -1, sum, s->dim);
    gnn_through_unit(dh, h, s->norm[node], s->dim);
    return gnn_inner(h, sum, s->dim);
}

static void
pull_users(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;
    const GnnTask *t = s->task;

    s->node_loss[block] = 0;
    for (int64_t u = block * ROWS; u < block_end(block, ROWS, t->users.n); u++)
        s->node_loss[block] -= pull_row(s, &t->by_user, s->pull_user, t->users.first + u, (int32_t) u, t->items.first);
}

static void
pull_items(void *arg, int64_t block, int thread)
{
    Softmax    *s = arg;
    const GnnTask *t = s->task;

    for (int64_t i = block * ROWS; i < block_end(block, ROWS, t->items.n); i++)
        (void) pull_row(s, &t->by_item, s->pull_item, t->items.first + i, (int32_t) i, t->users.first);
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
    int64_t     user_blocks = gnn_blocks(s->task->users.n, ROWS);

    s->z = z;
    s->pass = pass;
    gnn_team_run(team, gnn_blocks(z->n, ROWS), normalise_nodes, s);
    run_waves(s);
    gnn_team_run(team, user_blocks, pull_users, s);
    gnn_team_run(team, gnn_blocks(s->task->items.n, ROWS), pull_items, s);
    return sum_of(s->loss, s->n_blocks) + sum_of(s->node_loss, user_blocks);
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
