/*
 * distance.h: inner product and distances of two vectors of floats.
 *
 * Terms are formed and added in double, in an order that depends on dim alone: no finite input overflows,
 * and every x86 machine answers with the same bits. dim >= 0; a and b may be the same.
 */
#ifndef GNN_CORE_DISTANCE_H
#define GNN_CORE_DISTANCE_H

#include "core/types.h"

/* sum of a * b */
extern double gnn_inner_product(const float *a, const float *b, int32_t dim);

/* sum of (a - b)^2 */
extern double gnn_l2_squared(const float *a, const float *b, int32_t dim);

/* sum of |a - b| */
extern double gnn_l1(const float *a, const float *b, int32_t dim);

/* cosine of the angle between a and b, -1 .. 1; NaN where either is zero, as it has no direction */
extern double gnn_cosine(const float *a, const float *b, int32_t dim);

#endif
