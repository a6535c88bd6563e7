/*
 * adam.c: the optimiser is one loop, because all parameters lie in one block.
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

/* rate and epsilon come with the bias correction in them */
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
void
gnn_adam_step(GnnAdam *adam, GnnTeam *team, real *value, const real *grad)
{
    double      c1 = 1 - pow(GNN_ADAM_BETA1, (double) ++adam->step);
    double      c2 = 1 - pow(GNN_ADAM_BETA2, (double) adam->step);
    Work        work = {.adam = adam, .value = value, .grad = grad, .rate = (real) (adam->rate * sqrt(c2) / c1),
                        .epsilon = (real) (adam->epsilon * sqrt(c2))};

    gnn_team_run(team, gnn_blocks(adam->n, BLOCK), update_block, &work);
}
