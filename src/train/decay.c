/*
 * decay.c: LightGCN's paper adds the squared norm of the rows a batch draws to every batch; over whole passes
 * that is the squared norm of all rows, which is what we add. It belongs to the parameters, not to a loss.
 */
#include "train/decay.h"

#include "core/kernel.h"

#define BLOCK 65536

void
gnn_decay_allocate(GnnDecay *decay, GnnArena *arena, const GnnPlan *plan, double weight)
{
    decay->weight = weight;
    decay->sums = gnn_alloc(arena, gnn_blocks(plan->n_learned, BLOCK), sizeof(double));
}

typedef struct Work
{
    const GnnDecay *decay;
    const GnnPlan *plan;
} Work;

/* part = weight/2 sum x^2, so dx += weight x */
static void
decay_block(void *arg, int64_t block, int thread)
{
    const Work *w = arg;
    int64_t     at = block * BLOCK;
    int64_t     n = w->plan->n_learned - at < BLOCK ? w->plan->n_learned - at : BLOCK;

    w->decay->sums[block] = gnn_inner(w->plan->learned + at, w->plan->learned + at, n);
    gnn_add_scaled(w->plan->learned_grad + at, (real) w->decay->weight, w->plan->learned + at, n);
}

double
gnn_decay_run(const GnnDecay *decay, const GnnPlan *plan)
{
    Work        work = {.decay = decay, .plan = plan};
    int64_t     n_blocks = gnn_blocks(plan->n_learned, BLOCK);
    double      sum = 0;

    if (decay->weight == 0)
        return 0;
    gnn_team_run(plan->team, n_blocks, decay_block, &work);
    for (int64_t b = 0; b < n_blocks; b++)
        sum += decay->sums[b];
    return decay->weight / 2 * sum;
}
