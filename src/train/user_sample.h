/*
 * user_sample.h: the users whose interactions a step of training looks at: all, or some, drawn anew each step.
 *
 * A sum over users becomes `factor` times the sum over the sample, which is the same on average, and so is its gradient. Who is
 * drawn depends on seed and step alone.
 */
#ifndef GNN_TRAIN_USER_SAMPLE_H
#define GNN_TRAIN_USER_SAMPLE_H

#include "train/loss.h"

typedef struct GnnUserSample
{
    int64_t     limit;          /* no step has more */
    int64_t     n_active;       /* users with edges */
    int64_t     n;              /* in the step drawn last */
    double      factor;
    int32_t    *user;           /* [n], ascending */
} GnnUserSample;

/* from the task's numbers alone */
extern void gnn_user_sample_allocate(GnnUserSample *sample, GnnArena *arena, const GnnTask *task);

extern void gnn_user_sample_open(GnnUserSample *sample, const GnnTask *task);

/* config's users_per_step of the users with edges, or all where there are no more */
extern void gnn_user_sample_draw(GnnUserSample *sample, const GnnTask *task, int64_t step);

#endif
