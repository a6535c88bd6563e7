/*
 * quantise.h: rows in 4 bits beside those in float32, and an upper bound on each score for a seventh of the memory traffic.
 *
 * The copy is one array of blocks, GNN_BLOCK rows each; rows that do not fill a block are not in it. A block of width
 * gnn_quantised_width(dim) bytes holds, rows side by side,
 *
 *     uint32_t of_row[GNN_BLOCK]
 *     uint8_t  codes[ceil(dim / 8)][GNN_BLOCK][4]
 *
 * The upper 16 bits of of_row[r] are those of a float called error, the lower 16 the upper ones of a float called scale. Byte j of
 * codes[g][r] holds the codes of dimensions 8 g + j, in its lower half, and 8 g + 4 + j. Row r stands for the vector
 * scale * (2 * code - 15), which is no further than error from the true one. The codes of 16 rows in 8 dimensions are 64 bytes: a
 * vector instruction keeps the sum of one row in each lane. Nothing read from a block is used as an index, so a damaged one leads
 * to wrong answers and to nothing worse.
 *
 * Why 4 bits: a trained vector is then known to 8 % or so of its length, and of Gowalla's 41,000 items 95 reach the bound of
 * a top 40, where with 8 bits it were 42, at twice the memory. A query is quantised to 8 bits. No memory is taken here.
 */
#ifndef GNN_CORE_QUANTISE_H
#define GNN_CORE_QUANTISE_H

#include "core/types.h"

#define GNN_BLOCK 16            /* rows of a block */
#define GNN_SHARED 4            /* queries that share the reading of a block */

/* a query, quantised; 0 from dim on */
typedef struct GnnQuantisedQuery
{
    int32_t     groups;         /* of 8 dimensions */
    int32_t     offset;         /* 15 times the sum of whole: what the codes' offset adds to every sum */
    float       step;           /* query = step * whole, nearly */
    float       by_scale;       /* a row's bound is its product plus scale times this */
    float       by_error;       /* plus error times this */
    int8_t      whole[GNN_MAX_DIM];
} GnnQuantisedQuery;

/*
 * What is bounded: the score of row i is fmaf(-penalty, log_degree[i], p) with p = gnn_dot(row, query), times scale[i] where scale
 * is given; log_degree NULL: it is p.
 */
typedef struct GnnQuantisedRows
{
    const void *blocks;
    const float *scale;
    const float *log_degree;
    float       penalty;        /* from 0 */
} GnnQuantisedRows;

/* bytes of a block; 0: rows of this dimension are not quantised */
static inline int64_t
gnn_quantised_width(int32_t dim)
{
    return dim > GNN_MAX_DIM ? 0 : GNN_BLOCK * (4 + ((int64_t) dim + 7) / 8 * 4);
}

/* whole blocks of n rows */
static inline int64_t
gnn_quantised_blocks(int64_t n)
{
    return n / GNN_BLOCK;
}

/* fills n_blocks blocks from as many times GNN_BLOCK rows */
extern void gnn_quantise(void *blocks, const float *rows, int64_t n_blocks, int32_t dim);

/*
 * False: bounds are of no use, because the query is zero, or so large or small that its products may leave the range where they
 * are proven, or because this processor is quicker without them.
 */
extern bool gnn_quantise_query(GnnQuantisedQuery *out, const float *query, int32_t dim);

/*
 * The rows of n blocks from `from` on whose score may exceed a bar, as bits, for up to GNN_SHARED queries of one dimension:
 * found[q * n + b] are those of block from + b and query q, which has bar[q]. A row that is not among them does not exceed
 * it, a row whose score is not a number may be anything.
 */
extern void gnn_quantised_find(uint16_t *found, const GnnQuantisedQuery *const *queries, const float *bar, int n_queries,
                               const GnnQuantisedRows *rows, int64_t from, int64_t n);

/*
 * The ways to scan a block, by name, NULL at the end. The quickest that this processor has is used, unless another is chosen;
 * the plain one, which any has, runs only when chosen: scores in float32 are quicker.
 */
extern const char *const gnn_quantised_kernels[];

/* false: this processor, or this build, does not have it */
extern bool gnn_quantised_choose(int kernel);

#endif
