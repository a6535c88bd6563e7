/*
 * adam.c: the optimiser is one loop, because all parameters lie in one block; and a loop over rows where they wait their turn.
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
}

/* rate and epsilon come corrected for the means' start at 0 */
static GNN_CLONES void
update(real *restrict value, real *restrict mean, real *restrict square, const real *restrict grad, int64_t n,
       real rate, real epsilon)
{
    const real  beta1 = (real) GNN_ADAM_BETA1;
    const real  beta2 = (real) GNN_ADAM_BETA2;

    for (int64_t i = 0; i < n; i++)
    {
        mean[i] = beta1 * mean[i] + (1 - beta1) * grad[i];
        square[i] = beta2 * square[i] + (1 - beta2) * grad[i] * grad[i];
        value[i] -= rate * mean[i] / (sqrt(square[i]) + epsilon);
    }
}

typedef struct Work
{
    GnnAdam    *adam;
    real       *value;
    const real *grad;
    real        rate;
    real        epsilon;
} Work;

static void
update_block(void *arg, int64_t block, int thread)
{
    const Work *w = arg;
    int64_t     at = block * BLOCK;
    int64_t     n = w->adam->n - at < BLOCK ? w->adam->n - at : BLOCK;

    update(w->value + at, w->adam->mean + at, w->adam->square + at, w->grad + at, n, w->rate, w->epsilon);
}

/* mean^ = mean / c1, square^ = square / c2: multiplied through by sqrt(c2), both go into two numbers */
typedef struct Corrected
{
    real        rate;
    real        epsilon;
} Corrected;

static Corrected
correct(const GnnAdam *adam, int64_t step)
{
    double      c1 = 1 - pow(GNN_ADAM_BETA1, (double) step);
    double      c2 = 1 - pow(GNN_ADAM_BETA2, (double) step);

    return (Corrected) {.rate = (real) (adam->rate * sqrt(c2) / c1), .epsilon = (real) (adam->epsilon * sqrt(c2))};
}

void
gnn_adam_step(GnnAdam *adam, GnnTeam *team, real *value, const real *grad)
{
    Corrected   by = correct(adam, ++adam->step);
    Work        work = {.adam = adam, .value = value, .grad = grad, .rate = by.rate, .epsilon = by.epsilon};

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
    GnnRowAdam *rows;
    real       *value;
    const int32_t *row;
    int64_t     n;
    const real *grad;
} RowWork;

static void
update_rows(void *arg, int64_t block, int thread)
{
    const RowWork *w = arg;
    GnnAdam    *adam = &w->rows->adam;
    int64_t     dim = w->rows->dim;

    for (int64_t i = block * ROWS; i < (block + 1) * ROWS && i < w->n; i++)
    {
        int64_t     at = w->row[i] * dim;
        Corrected   by = correct(adam, ++w->rows->steps[w->row[i]]);

        update(w->value + at, adam->mean + at, adam->square + at, w->grad + i * dim, dim, by.rate, by.epsilon);
    }
}

void
gnn_row_adam_step(GnnRowAdam *adam, GnnTeam *team, real *value, const int32_t *row, int64_t n, const real *grad)
{
    RowWork     work = {.rows = adam, .value = value, .row = row, .n = n, .grad = grad};

    gnn_team_run(team, gnn_blocks(n, ROWS), update_rows, &work);
}
