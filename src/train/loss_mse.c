/*
 * loss_mse.c: squared error, for ratings: the score shall be an interaction's weight, and 0 for drawn negatives.
 *
 *     l = 1/2 (x - t)^2 + 1/n sum_k 1/2 x_k^2;     dl/dx = x - t;  dl/dx_k = 1/n x_k
 *
 * t is the weight over the mean of all weights, so that a learning rate means the same whatever the unit: a score of 1 is a
 * rating like the mean. Without negatives a score of an item that was never rated would be free, and ranking would be by it.
 */
#include "train/pairs.h"

static double
mse_edge(real *x, int64_t n, double share, double target)
{
    double      off = x[0] - target;
    double      loss = share * off * off / 2;

    x[0] = (real) (share * off);
    for (int64_t k = 1; k <= n; k++)
    {
        loss += share / (double) n * x[k] * x[k] / 2;
        x[k] = (real) (share / (double) n * x[k]);
    }
    return loss;
}

static const GnnPairLoss pairs = {.edge = mse_edge, .weight_is_target = true};

static void *
mse_allocate(GnnArena *arena, const GnnTask *task)
{
    return gnn_pairs_allocate(arena, task, &pairs);
}

const GnnLoss gnn_mse = {
    .name = "mse",
    .what = "squared error: the score is the weight, such as a rating, over the mean weight, and 0 for drawn items",
    .negatives = 4,
    .reg_weight = 0.01,
    .contrast_weight = 0.02,
    .allocate = mse_allocate,
    .open = gnn_pairs_open,
    .run = gnn_pairs_run,
};
