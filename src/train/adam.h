/*
 * adam.h: Adam (Kingma and Ba, 2015), bias-corrected, over one block of parameters; with decay AdamW.
 */
#ifndef GNN_TRAIN_ADAM_H
#define GNN_TRAIN_ADAM_H

#include "core/team.h"

#define GNN_ADAM_BETA1 0.9
#define GNN_ADAM_BETA2 0.999

/* epsilon, over the nodes, for a gradient of a mean over all interactions: what a node's share of it is compared with */
#define GNN_EPSILON_PER_NODE 1e-3

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

/*
 * The same for some rows of a matrix at a time: a row's means wait for its next turn, and how far they are corrected goes by the
 * row's own number of steps. Where every row has a gradient at every step, it is the same.
 */
typedef struct GnnRowAdam
{
    GnnAdam     adam;           /* of all rows; its step is not used */
    int64_t     dim;
    int32_t    *steps;          /* [rows] */
} GnnRowAdam;

extern void gnn_row_adam_allocate(GnnRowAdam *adam, GnnArena *arena, int64_t n_rows, int64_t dim, double rate);

/* row[i] of value has row i of grad, n of them, ascending */
extern void gnn_row_adam_step(GnnRowAdam *adam, GnnTeam *team, real *value, const int32_t *row, int64_t n, const real *grad);

#endif
