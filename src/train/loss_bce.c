/*
 * loss_bce.c: cross entropy of "has it, has it not", on drawn negatives (as in He et al., WWW 2017).
 *
 *     l = -log sigmoid(x) + 1/n sum_k -log sigmoid(-x_k)
 *
 *     dl/dx = -sigmoid(-x);  dl/dx_k = 1/n sigmoid(x_k)
 *
 * The paper adds the negatives up; we take their mean, so that as much is said for as against, whatever n is.
 */
#include "train/pairs.h"

static double
bce_edge(real *x, int64_t n, double share, double target)
{
    double      loss = share * gnn_minus_log_sigmoid(x[0]);

    x[0] = (real) (-share / (1 + exp((double) x[0])));
    for (int64_t k = 1; k <= n; k++)
    {
        loss += share / (double) n * gnn_minus_log_sigmoid(-x[k]);
        x[k] = (real) (share / (double) n / (1 + exp(-(double) x[k])));
    }
    return loss;
}

static const GnnPairLoss pairs = {.edge = bce_edge, .weight_is_target = false};

static void *
bce_allocate(GnnArena *arena, const GnnTask *task)
{
    return gnn_pairs_allocate(arena, task, &pairs);
}

const GnnLoss gnn_bce = {
    .name = "bce",
    .what = "cross entropy: the user has this item, and has not the drawn ones, on inner products",
    .negatives = 4,
    .reg_weight = 0.01,
    .contrast_weight = 0.02,
    .allocate = bce_allocate,
    .open = gnn_pairs_open,
    .run = gnn_pairs_run,
};
