/*
 * fresh.h: what a user has done since the run, and what that makes of their vector.
 *
 * A user's row is as the snapshot has it: known items, ascending, with one weight each. All of it is made in the current memory
 * context; a row that nothing was added to is the one of the snapshot.
 */
#ifndef GNNREC_API_FRESH_H
#define GNNREC_API_FRESH_H

#include "postgres.h"

#include "pg/snapshot.h"
#include "pg/source.h"

/* a user's row now, from that of the run and events it may not know; true: an edge is new or weighs something else */
extern bool gnnrec_fresh_add(GnnrecSnapshotRow *now, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *then,
                             const GnnrecUserEvents *events);

/* the same with the events read; node -1: a user the run does not know, and then is empty */
extern bool gnnrec_fresh_row(GnnrecSnapshotRow *now, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *then,
                             int32 node, Datum user_id);

/*
 * The vector of a user of the run whose row was then and is now:
 *
 *     z' = z - sum_{i in then} w_ui / sqrt(D_u  D_i) fold_in_i  +  sum_{i in now} w'_ui / sqrt(D_u' D_i) fold_in_i
 *
 * The first two terms are what the run learned of the user beside their items (LightGCN: x_u / (L + 1), exactly), and stay; the
 * share of the items is what it would be with the degree they have now: each old one is rescaled by sqrt(D_u / D_u'). What the
 * user's degree has of other relations is in both.
 *
 * Where the model's layers fold in, both sums are what those make of the items. (To go by the layers alone, from all items there
 * are now, finds less: README, what it computes.)
 */
extern const float *gnnrec_fresh_vector(const GnnrecSnapshot *snapshot, int32 node, const GnnrecSnapshotRow *then,
                                        const GnnrecSnapshotRow *now);

#endif
