/*
 * csr.h: a sparse matrix by rows.
 *
 * The rows of a CSR are sorted by column and hold no column twice: top-k skips seen items by
 * merging, and the order makes every sum over a row the same sum on every run.
 */
#ifndef GNN_CORE_CSR_H
#define GNN_CORE_CSR_H

#include "core/types.h"

typedef struct GnnCsr
{
    int32_t     n;              /* rows */
    int32_t     n_cols;
    int64_t    *ptr;            /* n + 1: row i is ptr[i] .. ptr[i + 1] */
    int32_t    *idx;            /* columns, ascending within a row */
    float      *val;            /* weights; NULL where all are 1 */
    double     *time;           /* newest time of each entry; NULL where there is none */
} GnnCsr;

/* interactions as they were read: arrays of n */
typedef struct GnnEdges
{
    int64_t     n;
    const int32_t *from;
    const int32_t *to;
    const float *weight;        /* NULL: all 1 */
    const double *time;         /* NULL: none */
} GnnEdges;

/*
 * Edges to CSR: duplicates are merged here and nowhere else, their weights summed (in ascending
 * order of weight, so that the order in which rows were read does not show), their time the
 * newest. Without weights a duplicate counts as often as it was read. val is NULL when every
 * merged weight is exactly 1.
 */
extern void gnn_csr_build(GnnCsr *out, GnnArena *arena, const GnnEdges *edges, int32_t n_rows, int32_t n_cols);

/* rows become columns; val and time go along */
extern void gnn_csr_transpose(GnnCsr *out, GnnArena *arena, const GnnCsr *a);

/* the same into memory that `out` brings: ptr for a's columns, idx and, where a has weights, val; times are left out */
extern void gnn_csr_transpose_into(GnnCsr *out, const GnnCsr *a);

/* only the entries with a weight above zero (a itself where nothing is dropped) */
extern void gnn_csr_positive(GnnCsr *out, GnnArena *arena, const GnnCsr *a);

/* is there such an entry? */
extern bool gnn_csr_has(const GnnCsr *a, int32_t row, int32_t column);

#endif
