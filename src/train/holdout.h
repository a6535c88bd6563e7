/*
 * holdout.h: keeping a share of each user's interactions out of training, to measure on.
 */
#ifndef GNN_TRAIN_HOLDOUT_H
#define GNN_TRAIN_HOLDOUT_H

#include "core/csr.h"

/*
 * Splits the edges above zero of `a` into what is trained on and what is held out: of each user with at
 * least two, `share` of them (rounded up or down by chance, so that the shares add up over users with few),
 * but never all; the latest where there are times, else by chance. Edges of zero or below stay in `train`.
 */
extern void gnn_holdout_split(GnnCsr *train, GnnCsr *held, GnnArena *arena, const GnnCsr *a, double share, int64_t seed);

/*
 * The edges of `a`, another relation between the same types, without the pairs that are held out, which it would give away. Where
 * `a` goes the other way, held has to be transposed.
 */
extern void gnn_holdout_drop(GnnCsr *out, GnnArena *arena, const GnnCsr *a, const GnnCsr *held);

#endif
