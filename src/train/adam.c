/*
 * adam.c: the optimiser is one loop, because all parameters lie in one block; and a loop over rows where they wait their turn.
 *
 * With decay it is AdamW (Loshchilov and Hutter, ICLR 2019): a value shrinks by a share of itself that the gradient's size has no
 * part in, where a squared norm in the loss would be divided by sqrt(square^) with the rest of the gradient. Clipping multiplies
 * the gradient on its way in; the norm is what it costs, one pass more, a sum a block and then the blocks in order.
 */
#include "train/adam.h"

#include "core/kernel.h"

#include <tgmath.h>

#define BLOCK 16384

void
gnn_adam_allocate(GnnAdam *adam, GnnArena *arena, int64_t n, double rate, double epsilon)
{
    *adam = (GnnAdam) {.n = n, .rate = rate, .epsilon = epsilon};
    adam->mean = gnn_alloc(arena, n, sizeof(real));
    adam->square = gnn_alloc(arena, n, sizeof(real));
    adam->sums = gnn_alloc(arena, gnn_blocks(n, BLOCK), sizeof(double));
}

/* one step's numbers; rate and epsilon come corrected for the means' start at 0 */
typedef struct Work
{
    GnnAdam    *adam;
    real       *value;
    const real *grad;
    int64_t     n_grad;
    real        rate;
    real        epsilon;
    real        keep;           /* what decay leaves of a value */
    real        share;          /* what clipping leaves of the gradient */
} Work;

static GNN_CLONES void
update(const Work *w, int64_t at, int64_t n)
{
    const real  beta1 = (real) GNN_ADAM_BETA1;
    const real  beta2 = (real) GNN_ADAM_BETA2;
    const real  rate = w->rate;
    const real  epsilon = w->epsilon;
    const real  keep = w->keep;
    const real  share = w->share;
    real *restrict value = w->value + at;
    real *restrict mean = w->adam->mean + at;
    real *restrict square = w->adam->square + at;
    const real *restrict grad = w->grad + at;

    for (int64_t i = 0; i < n; i++)
    {
        real        g = share * grad[i];

        mean[i] = beta1 * mean[i] + (1 - beta1) * g;
        square[i] = beta2 * square[i] + (1 - beta2) * g * g;
        value[i] = keep * value[i] - rate * mean[i] / (sqrt(square[i]) + epsilon);
    }
}

static int64_t
block_size(int64_t n, int64_t block)
{
    return n - block * BLOCK < BLOCK ? n - block * BLOCK : BLOCK;
}

static void
update_block(void *arg, int64_t block, int thread)
{
    const Work *w = arg;

    update(w, block * BLOCK, block_size(w->adam->n, block));
}

static void
sum_block(void *arg, int64_t block, int thread)
{
    const Work *w = arg;
    const real *grad = w->grad + block * BLOCK;

    w->adam->sums[block] = gnn_inner(grad, grad, block_size(w->n_grad, block));
}

/* what brings a gradient that is longer than clip_norm down to it */
static double
share_of_gradient(Work *w, GnnTeam *team, int64_t n_grad)
{
    int64_t     n_blocks = gnn_blocks(n_grad, BLOCK);
    double      sum = 0;

    w->n_grad = n_grad;
    if (w->adam->clip_norm == 0)
        return 1;
    gnn_team_run(team, n_blocks, sum_block, w);
    for (int64_t b = 0; b < n_blocks; b++)
        sum += w->adam->sums[b];
    return sqrt(sum) <= w->adam->clip_norm ? 1 : w->adam->clip_norm / sqrt(sum);
}

/* mean^ = mean / c1, square^ = square / c2: multiplied through by sqrt(c2), both go into two numbers */
static void
correct(Work *w, int64_t step)
{
    double      c1 = 1 - pow(GNN_ADAM_BETA1, (double) step);
    double      c2 = 1 - pow(GNN_ADAM_BETA2, (double) step);

    w->rate = (real) (w->adam->rate * sqrt(c2) / c1);
    w->epsilon = (real) (w->adam->epsilon * sqrt(c2));
}

static Work
work_of(GnnAdam *adam, real *value, const real *grad)
{
    return (Work) {.adam = adam, .value = value, .grad = grad, .keep = (real) (1 - adam->rate * adam->weight_decay), .share = 1};
}

void
gnn_adam_step(GnnAdam *adam, GnnTeam *team, real *value, const real *grad)
{
    Work        work = work_of(adam, value, grad);

    correct(&work, ++adam->step);
    work.share = (real) share_of_gradient(&work, team, adam->n);
    gnn_team_run(team, gnn_blocks(adam->n, BLOCK), update_block, &work);
}

/* ---- some rows ---- */

#define ROWS 256                /* of a block */

void
gnn_row_adam_allocate(GnnRowAdam *adam, GnnArena *arena, int64_t n_rows, int64_t dim, double rate)
{
    gnn_adam_allocate(&adam->adam, arena, n_rows * dim, rate, 0);
    adam->dim = dim;
    adam->steps = gnn_alloc(arena, n_rows, sizeof(int32_t));
}

typedef struct RowWork
{
    Work        all;            /* grad is of the rows in the step alone */
    GnnRowAdam *rows;
    const int32_t *row;
    int64_t     n;
} RowWork;

static void
update_rows(void *arg, int64_t block, int thread)
{
    const RowWork *w = arg;
    int64_t     dim = w->rows->dim;

    for (int64_t i = block * ROWS; i < (block + 1) * ROWS && i < w->n; i++)
    {
        Work        row = w->all;
        int64_t     at = w->row[i] * dim;

        row.grad += (i - w->row[i]) * dim;      /* at `at`, it is row i */
        correct(&row, ++w->rows->steps[w->row[i]]);
        update(&row, at, dim);
    }
}

void
gnn_row_adam_step(GnnRowAdam *adam, GnnTeam *team, real *value, const int32_t *row, int64_t n, const real *grad)
{
    RowWork     work = {.all = work_of(&adam->adam, value, grad), .rows = adam, .row = row, .n = n};

    work.all.share = (real) share_of_gradient(&work.all, team, n * adam->dim);
    gnn_team_run(team, gnn_blocks(n, ROWS), update_rows, &work);
}
