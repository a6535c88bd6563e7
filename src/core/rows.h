/*
 * rows.h: the rows of a matrix in a fixed number of parts, for steps that sum over all of them.
 *
 * A weight's gradient is such a sum. Each part, a run of rows, has buffers of its own and goes through its rows a slice at a
 * time; the parts are added up in their order. So the bits do not depend on who does which part.
 */
#ifndef GNN_CORE_ROWS_H
#define GNN_CORE_ROWS_H

#include "core/kernel.h"

#define GNN_MAX_PARTS_OF_ROWS 16
#define GNN_SLICE 64

/* how many parts n rows make: of a few rows one, whatever the number of threads */
static inline int64_t
gnn_parts(int64_t n)
{
    return n < GNN_MAX_PARTS_OF_ROWS * GNN_SLICE ? n / GNN_SLICE + 1 : GNN_MAX_PARTS_OF_ROWS;
}

/* first row of a part of n rows; that of part gnn_parts(n) is n */
static inline int64_t
gnn_part_start(int64_t n, int64_t part)
{
    return n * part / gnn_parts(n);
}

/* rows of the slice of a part that starts at `row`; 0 at the part's end */
static inline int64_t
gnn_slice_rows(int64_t n, int64_t part, int64_t row)
{
    int64_t     left = gnn_part_start(n, part + 1) - row;

    return left < GNN_SLICE ? left : GNN_SLICE;
}

/* grad += what each part of n rows has at `at`, `stride` from one part to the next */
static inline void
gnn_add_parts(real *grad, int64_t n, const real *at, int64_t stride, int64_t size)
{
    for (int64_t part = 0; part < gnn_parts(n); part++)
        gnn_add_scaled(grad, 1, at + part * stride, size);
}

#endif
