/*
 * adam.h: Adam (Kingma and Ba, 2015), bias-corrected, over one block of parameters; with decay AdamW.
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
    double      weight_decay;   /* 0: none */
    double      clip_norm;      /* the longest gradient there is; 0: any */
    real       *mean;           /* running mean of the gradient ... */
    real       *square;         /* ... and of its square */
    double     *sums;           /* of a block of the gradient */
} GnnAdam;

/* without decay and clipping, which are set after it */
extern void gnn_adam_allocate(GnnAdam *adam, GnnArena *arena, int64_t n, double rate, double epsilon);

/* one step, the gradient clipped: value -= rate mean^ / (sqrt(square^) + epsilon) + rate weight_decay value */
extern void gnn_adam_step(GnnAdam *adam, GnnTeam *team, real *value, const real *grad);

#endif
