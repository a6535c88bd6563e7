/*
 * sample.h: drawing items by weight in constant time, by Walker's alias method.
 */
#ifndef GNN_TRAIN_SAMPLE_H
#define GNN_TRAIN_SAMPLE_H

#include "core/rng.h"

typedef struct GnnAlias
{
    int32_t     n;
    double     *weight;         /* put here before gnn_alias_fill, which overwrites them */
    double     *keep;           /* chance that column i stands for i ... */
    int32_t    *other;          /* ... and not for other[i] */
} GnnAlias;

extern void gnn_alias_allocate(GnnAlias *alias, GnnArena *arena, int32_t n);

/* weights >= 0, at least one above 0; those of 0 are never drawn */
extern void gnn_alias_fill(GnnAlias *alias);

/* one number gives both the column and the coin */
static inline int32_t
gnn_alias_draw(const GnnAlias *alias, GnnRng *rng)
{
    unsigned __int128 x = (unsigned __int128) gnn_rng_next(rng) * (uint64_t) alias->n;
    int32_t     column = (int32_t) (x >> 64);
    double      coin = (double) ((uint64_t) x >> 11) * 0x1p-53;

    return coin < alias->keep[column] ? column : alias->other[column];
}

#endif
