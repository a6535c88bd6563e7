/*
 * pairs.h: what losses share that look at one interaction and a few drawn negatives at a time.
 */
#ifndef GNN_TRAIN_PAIRS_H
#define GNN_TRAIN_PAIRS_H

#include "train/loss.h"

#include <math.h>

typedef struct GnnPairLoss
{
    /*
     * x comes with the scores of an edge, its own and those of n negatives, and leaves with the loss's derivatives by them;
     * the loss, which is returned, counts `share`. target is what the edge's own score should be, 1 where nobody says.
     */
    double      (*edge)(real *x, int64_t n, double share, double target);
    bool        weight_is_target;
} GnnPairLoss;

/* GnnLoss's allocate (but for `how`, which must outlive the state), open and run */
extern void *gnn_pairs_allocate(GnnArena *arena, const GnnTask *task, const GnnPairLoss *how);
extern void gnn_pairs_open(void *state, const GnnTask *task);
extern double gnn_pairs_run(void *state, const GnnMat *z, int64_t pass);

/* -log sigmoid(x), without overflow */
static inline double
gnn_minus_log_sigmoid(double x)
{
    return x > 0 ? log1p(exp(-x)) : log1p(exp(x)) - x;
}

#endif
