/*
 * cold.h: the cold nodes' part of a list: those that are known by relations or features and have no interactions yet.
 *
 * Scores of cold nodes and of popular ones do not compare: a length is how popular a node is. So cold ones are ranked among
 * themselves. They come after all popular ones, or share the list with them, spread evenly over it.
 */
#ifndef GNNREC_API_COLD_H
#define GNNREC_API_COLD_H

#include "postgres.h"

#include "api/nodes.h"
#include "core/topk.h"
#include "pg/snapshot.h"

/* the cold nodes of a type but for those to be skipped, in the current memory context */
extern GnnrecNodes gnnrec_cold_nodes(const GnnrecSnapshot *snapshot, int type, GnnrecNodes skip);

/* the k of some cold nodes that have the highest score; returns how many */
extern int32 gnnrec_cold_rank(GnnHit *out, int32 k, const GnnrecSnapshotNodes *nodes, GnnrecNodes cold, const float *vector);

/* how many places a share of a list of k is */
extern int32 gnnrec_cold_places(int32 k, float share);

/* the place, from 0, of cold node i of n in a list of so many: in the middle of the i-th of n equal parts */
extern int32 gnnrec_cold_place(int32 i, int32 n, int32 length);

#endif
