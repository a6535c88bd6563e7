/*
 * quantise.h: rows in 8 bits beside those in float32, and an upper bound on each score that takes a quarter of the memory to read.
 *
 * The copy is one array of blocks, GNN_BLOCK rows each; rows that do not fill a block are not in it. A block of width
 * gnn_quantised_width(dim) bytes holds, rows side by side,
 *
 *     float   scale[GNN_BLOCK]
 *     float   error[GNN_BLOCK]
 *     uint8_t code[ceil(dim / 4)][GNN_BLOCK][4]
 *
 * and row r stands for the vector scale[r] * (code - 128), which is no further than error[r] from the true one. The codes of 16
 * rows in 4 dimensions are 64 bytes: a vector instruction keeps the sum of one row in each lane. Nothing read from a block is
 * used as an index, so a damaged one leads to wrong answers and to nothing worse.
 *
 * No memory is taken here. A query is quantised to 15 bits, which costs its bound next to nothing.
 */
#ifndef GNN_CORE_QUANTISE_H
#define GNN_CORE_QUANTISE_H

#include "core/types.h"

#define GNN_BLOCK 16            /* rows of a block */
#define GNN_DIGIT 128           /* of a query's number: GNN_DIGIT * high + low */

/* a query, quantised: 15 bits a number, whole and as two signed digits; 0 from dim on */
typedef struct GnnQuantisedQuery
{
    int32_t     groups;         /* of 4 dimensions */
    int32_t     offset;         /* 128 times the sum of whole: what the codes' offset adds to every sum */
    float       step;           /* query = step * whole, nearly */
    float       by_scale;       /* a row's bound is its product plus scale times this */
    float       by_error;       /* plus error times this */
    int16_t     whole[GNN_MAX_DIM];
    int8_t      high[GNN_MAX_DIM];
    int8_t      low[GNN_MAX_DIM];
} GnnQuantisedQuery;

/* bytes of a block; 0: rows of this dimension are not quantised */
static inline int64_t
gnn_quantised_width(int32_t dim)
{
    return dim > GNN_MAX_DIM ? 0 : GNN_BLOCK * (2 * (int64_t) sizeof(float) + ((int64_t) dim + 3) / 4 * 4);
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
 * The first block from `from` on that has rows whose score may exceed `bar`, and these rows as bits; `to` if there is none. A row
 * that is not among them does not exceed it, a row whose score is not a number may be anything.
 * The score of row r of block b is gnn_dot(row, query), times scale[b * GNN_BLOCK + r] where scale is given.
 */
extern int64_t gnn_quantised_next(uint32_t *rows, const GnnQuantisedQuery *query, const void *blocks, const float *scale,
                                  int64_t from, int64_t to, float bar);

/*
 * The ways to scan a block, by name, NULL at the end. The quickest that this processor has is used, unless another is chosen;
 * the plain one, which any has, runs only when chosen: scores in float32 are quicker.
 */
extern const char *const gnn_quantised_kernels[];

/* false: this processor, or this build, does not have it */
extern bool gnn_quantised_choose(int kernel);

#endif
