/*
 * mmr.h: a list that repeats itself less: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).
 *
 * Of the rows that are left, the next one is that with the largest
 *
 *     (1 - diversity) * (score - lowest) / (highest - lowest) - diversity * (largest cosine with a row chosen before)
 *
 * where highest and lowest are the scores of the list, which are of any size, made comparable with a cosine. The first is the
 * one with the highest score. Equal ones are taken by score, then row.
 */
#ifndef GNN_CORE_MMR_H
#define GNN_CORE_MMR_H

#include "core/topk.h"

typedef struct GnnMmr
{
    GnnHit     *hits;           /* those chosen, in the order of choice, and then those that are left */
    float      *closest;        /* of each of hits: the largest cosine with one chosen */
    int32_t     n;
    int32_t     n_chosen;
    double      diversity;
    double      lowest;
    double      span;           /* highest - lowest; 1 where that is 0 */
    const GnnRows *rows;
} GnnMmr;

/*
 * Begins with a list by score; hits and closest are arrays of n that the caller brings. rows: where the hits are from, with
 * 1 / length for scale; a zero vector has 0 there and is like nothing. diversity: 0 .. 1.
 */
extern void gnn_mmr_begin(GnnMmr *m, GnnHit *hits, float *closest, int32_t n, const GnnRows *rows, float diversity);

/* chooses one more: hits[n_chosen] is the next, and n_chosen one more; only while n_chosen < n. n * dim multiplications */
extern void gnn_mmr_next(GnnMmr *m);

#endif
