/*
 * scatter.h: adding many rows to few, in parallel and in a fixed order.
 *
 * Contribution c adds coef[c] times row source[c] of `from` to row target[c] of `to`. Contributions are dealt to
 * ranges of targets, each range keeps their order and is one thread's at a time: no two threads write
 * one row, and every row is summed in the order of the contributions.
 */
#ifndef GNN_CORE_SCATTER_H
#define GNN_CORE_SCATTER_H

#include "core/team.h"

#define GNN_RANGES 64

typedef struct GnnScatter
{
    real       *to;
    int64_t     n_to;
    const real *from;
    int64_t     dim;
    int64_t     n;              /* contributions */
    const int32_t *target;
    const int32_t *source;      /* NULL: contribution c brings row c */
    const real *coef;           /* NULL: 1 */
    int32_t    *order;          /* scratch, n */
    int64_t     start[GNN_RANGES + 1];      /* of each range in `order` */
} GnnScatter;

extern void gnn_scatter_run(GnnTeam *team, GnnScatter *scatter);

#endif
