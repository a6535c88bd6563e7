/*
 * directed.c: the rows of matrix and transpose are sorted, so a row of the two joined is a merge.
 */
#include "core/directed.h"

static void
allocate(GnnCsr *a, GnnArena *arena, int64_t n, int64_t n_entries)
{
    *a = (GnnCsr) {.n = (int32_t) n, .n_cols = (int32_t) n};
    a->ptr = gnn_alloc(arena, n + 1, sizeof(int64_t));
    a->idx = gnn_alloc(arena, n_entries, sizeof(int32_t));
    a->val = gnn_alloc(arena, n_entries, sizeof(float));
}

void
gnn_directed_allocate(GnnDirected *matrix, GnnArena *arena, int64_t n, int64_t n_entries)
{
    allocate(&matrix->rows, arena, n, n_entries);
    allocate(&matrix->columns, arena, n, n_entries);
}

void
gnn_directed_turn(GnnDirected *matrix)
{
    gnn_csr_transpose_into(&matrix->columns, &matrix->rows);
}

void
gnn_directed_drop(GnnDirected *out, const GnnDirected *matrix, double share, GnnRng rng)
{
    const GnnCsr *from = &matrix->rows;
    GnnCsr     *to = &out->rows;
    int64_t     n = 0;

    for (int32_t row = 0; row < from->n; row++)
    {
        for (int64_t e = from->ptr[row]; e < from->ptr[row + 1]; e++)
            if (gnn_rng_uniform(&rng) >= share)
            {
                to->idx[n] = from->idx[e];
                to->val[n++] = (float) (from->val[e] / (1 - share));
            }
        to->ptr[row + 1] = n;
    }
    gnn_directed_turn(out);
}

/* column of an entry; past the row's end, one beyond all */
static inline int32_t
column(const GnnCsr *a, int32_t row, int64_t at)
{
    return at < a->ptr[row + 1] ? a->idx[at] : a->n_cols;
}

/* one row of both, from `out` on; returns where it ends */
static int64_t
join_row(GnnAdjacency *joined, const GnnDirected *matrix, int32_t row, int64_t out)
{
    const GnnCsr *to = &matrix->rows;
    const GnnCsr *from = &matrix->columns;
    int64_t     at_to = to->ptr[row];
    int64_t     at_from = from->ptr[row];

    while (at_to < to->ptr[row + 1] || at_from < from->ptr[row + 1])
    {
        int32_t     column_to = column(to, row, at_to);
        int32_t     column_from = column(from, row, at_from);

        joined->a.idx[out] = column_to < column_from ? column_to : column_from;
        joined->a.val[out] = column_to <= column_from ? to->val[at_to++] : 0;
        joined->back[out++] = column_from <= column_to ? from->val[at_from++] : 0;
    }
    return out;
}

void
gnn_directed_join(GnnAdjacency *out, const GnnDirected *matrix)
{
    out->a.n = out->a.n_cols = matrix->rows.n;
    out->a.ptr[0] = 0;
    for (int32_t row = 0; row < out->a.n; row++)
        out->a.ptr[row + 1] = join_row(out, matrix, row, out->a.ptr[row]);
}
