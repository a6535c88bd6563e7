/*
 * adam.h: Adam (Kingma and Ba, 2015), bias-corrected, over one block of parameters.
 */
#ifndef GNN_TRAIN_ADAM_H
#define GNN_TRAIN_ADAM_H

#include "core/team.h"

#define GNN_ADAM_BETA1 0.9
#define GNN_ADAM_BETA2 0.999

typedef struct GnnAdam
{
    int64_t     n;
    int64_t     step;           /* steps taken */
    double      rate;
    double      epsilon;
    real       *mean;           /* running mean of the gradient ... */
    real       *square;         /* ... and of its square */
} GnnAdam;

extern void gnn_adam_allocate(GnnAdam *adam, GnnArena *arena, int64_t n, double rate, double epsilon);

/* one step: value -= rate mean^ / (sqrt(square^) + epsilon) */
extern void gnn_adam_step(GnnAdam *adam, GnnTeam *team, real *value, const real *grad);

#endif
