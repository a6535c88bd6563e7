/*
 * unit.h: vectors brought to length 1, and back through that: what losses on cosines share.
 */
#ifndef GNN_TRAIN_UNIT_H
#define GNN_TRAIN_UNIT_H

#include "core/kernel.h"

#include <math.h>

#define GNN_SMALLEST_NORM 1e-18 /* a vector shorter than this has no direction */

/* h = z / |z|; returns |z|. Without a direction both are 0 */
static inline real
gnn_unit(real *h, const real *z, int64_t dim)
{
    real        norm = (real) sqrt(gnn_inner(z, z, dim));

    memset(h, 0, dim * sizeof(real));
    if (norm <= GNN_SMALLEST_NORM)
        return 0;
    gnn_add_scaled(h, isinf(norm) ? NAN : 1 / norm, z, dim);    /* diverged: the loss shall tell */
    return norm;
}

/* dh becomes dz = (dh - (dh.h) h) / |z|; without a direction there is none to change */
static inline void
gnn_through_unit(real *dh, const real *h, real norm, int64_t dim)
{
    if (norm > 0)
    {
        gnn_add_scaled(dh, -gnn_inner(dh, h, dim), h, dim);
        gnn_scale(dh, 1 / norm, dim);
    }
    else
        memset(dh, 0, dim * sizeof(real));
}

#endif
