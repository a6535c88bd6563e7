/*
 * loss_bpr.c: Bayesian personalised ranking (Rendle et al., UAI 2009), over all interactions at once.
 *
 *     l = 1/n sum_k -log sigmoid(x - x_k)
 *
 *     with c_k = 1/n sigmoid(x_k - x):  dl/dx_k = c_k;  dl/dx = -sum c_k
 *
 * What an interaction counts and where its negatives come from is train/pairs.c's; the squared norm of the paper train/decay.c's.
 */
#include "train/pairs.h"

static double
bpr_edge(real *x, int64_t n, double share, double target)
{
    real        own = x[0];
    double      sum = 0;
    double      loss = 0;

    for (int64_t k = 1; k <= n; k++)
    {
        double      ahead = own - x[k];
        double      c = share / (double) n / (1 + exp(ahead));

        loss += share / (double) n * gnn_minus_log_sigmoid(ahead);
        x[k] = (real) c;
        sum += c;
    }
    x[0] = (real) -sum;
    return loss;
}

static const GnnPairLoss pairs = {.edge = bpr_edge, .weight_is_target = false};

static void *
bpr_allocate(GnnArena *arena, const GnnTask *task)
{
    return gnn_pairs_allocate(arena, task, &pairs);
}

const GnnLoss gnn_bpr = {
    .name = "bpr",
    .what = "Bayesian personalised ranking: an item of the user's against drawn ones she has not, on inner products",
    .negatives = 4,
    .reg_weight = 0.01,
    .contrast_weight = 0.02,
    .allocate = bpr_allocate,
    .open = gnn_pairs_open,
    .run = gnn_pairs_run,
};
