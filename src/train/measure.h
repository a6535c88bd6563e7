/*
 * measure.h: ranking all items for users and comparing with what was held out, while training.
 */
#ifndef GNN_TRAIN_MEASURE_H
#define GNN_TRAIN_MEASURE_H

#include "core/csr.h"
#include "core/metric.h"
#include "core/team.h"

#define GNN_MEASURE_K 20

typedef struct GnnMeasure
{
    const GnnCsr *held;         /* what should be found */
    const GnnCsr *known;        /* what is not ranked: all that training knows, disliked items too */
    int64_t     dim;
    int32_t     n_users;
    int32_t    *users;          /* who is measured, ascending */
    double     *sums;           /* a block of users x GNN_N_METRICS */
} GnnMeasure;

extern void gnn_measure_allocate(GnnMeasure *m, GnnArena *arena, int32_t n_users, int64_t dim);

/*
 * Chooses the users: all that have something held out, or, where ranking them all would cost more than a
 * few steps of training, a sample of them that depends on the seed only.
 */
extern void gnn_measure_open(GnnMeasure *m, const GnnCsr *held, const GnnCsr *known, int64_t seed);

/* means over the users; NaN where there are none */
extern void gnn_measure_run(double mean[GNN_N_METRICS], const GnnMeasure *m, GnnTeam *team,
                            const float *users, const float *items);

#endif
