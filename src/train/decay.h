/*
 * decay.h: the part of the loss that keeps parameters small: weight / 2 times their squared norm.
 */
#ifndef GNN_TRAIN_DECAY_H
#define GNN_TRAIN_DECAY_H

#include "core/plan.h"

typedef struct GnnDecay
{
    double      weight;         /* 0: no part, and nothing is done */
    double     *sums;           /* of a block of a parameter */
} GnnDecay;

extern void gnn_decay_allocate(GnnDecay *decay, GnnArena *arena, const GnnPlan *plan, double weight);

/* adds to the parameters' gradient; returns the part */
extern double gnn_decay_run(const GnnDecay *decay, const GnnPlan *plan);

#endif
