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
    const GnnMat *mat;
} Work;

/* part = weight/2 sum x^2, so dx += weight x */
static void
decay_block(void *arg, int64_t block, int thread)
{
    const Work *w = arg;
    int64_t     at = block * BLOCK;
    int64_t     n = w->mat->n * w->mat->dim - at < BLOCK ? w->mat->n * w->mat->dim - at : BLOCK;

    w->decay->sums[block] = gnn_inner(w->mat->val + at, w->mat->val + at, n);
    gnn_add_scaled(w->mat->grad + at, (real) w->decay->weight, w->mat->val + at, n);
}

static double
decay_parameter(const GnnDecay *decay, GnnTeam *team, const GnnMat *mat)
{
    Work        work = {.decay = decay, .mat = mat};
    int64_t     n_blocks = gnn_blocks(mat->n * mat->dim, BLOCK);
    double      sum = 0;

    gnn_team_run(team, n_blocks, decay_block, &work);
    for (int64_t b = 0; b < n_blocks; b++)
        sum += decay->sums[b];
    return decay->weight / 2 * sum;
}

double
gnn_decay_run(const GnnDecay *decay, const GnnPlan *plan)
{
    double      sum = 0;

    for (int i = 0; i < plan->n_parameters && decay->weight != 0; i++)
        sum += decay_parameter(decay, plan->team, plan->parameters[i].mat);
    return sum;
}
