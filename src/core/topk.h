/*
 * topk.h: the k rows of a matrix with the largest inner product with a vector, exactly.
 *
 * Order: score descending, then row ascending, so that answers are stable and page. Rows are float32
 * in every build: this is what is served. No memory is taken: the caller brings `out`.
 */
#ifndef GNN_CORE_TOPK_H
#define GNN_CORE_TOPK_H

#include "core/types.h"

typedef struct GnnHit
{
    float       score;
    int32_t     row;
} GnnHit;

/*
 * The rows to rank: row i is rows + i * dim, times scale[i] where scale is given (cosine). With a penalty, a score is the inner
 * product less penalty * log_degree[i], rounded once. A product that is no number counts as minus infinity, -0 as 0.
 */
typedef struct GnnRows
{
    const float *rows;
    const float *scale;         /* NULL: 1 */
    int32_t     n;
    int32_t     dim;
    const float *log_degree;    /* log(1 + degree); read with a penalty only */
    float       penalty;        /* from 0 */
    const void *quantised;      /* the rows once more, see quantise.h: the same answers, sooner; NULL: none */
    const int32_t *likely;      /* rows worth to be looked at first, each once; NULL: no idea. Numbers that are no rows' are */
    int32_t     n_likely;       /* passed over */
} GnnRows;

/* out[0 .. result) gets the top k of all rows but those in skip (ascending, may repeat) */
extern int32_t gnn_topk(GnnHit *out, int32_t k, const GnnRows *rows, const float *query,
                        const int32_t *skip, int64_t n_skip);

/* the same over the given rows only (any order; a row given twice is answered twice) */
extern int32_t gnn_topk_among(GnnHit *out, int32_t k, const GnnRows *rows, const float *query,
                              const int32_t *among, int64_t n_among);

/*
 * Many queries at once, a tile of rows against a block of queries: for query q (row q of queries,
 * n_queries x dim) out[q * k ..] gets its top k, n_out[q] their number; skip[q], n_skip[q] as above
 * (skip NULL: nothing is skipped). Same order and same scores as gnn_topk to the last bit.
 */
extern void gnn_topk_many(GnnHit *out, int32_t *n_out, int32_t k, const GnnRows *rows,
                          const float *queries, int32_t n_queries,
                          const int32_t *const *skip, const int64_t *n_skip);

/* inner product and squared norm with the summation order of the functions above */
extern float gnn_dot(const float *a, const float *b, int32_t dim);

#endif
