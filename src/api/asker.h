/*
 * asker.h: who asks for recommendations: the vector that ranks for them, where it is from, and what their own history rules out.
 *
 * A user's vector is that of the run, brought up to date with what they have done since (fresh.h) or, for one the run does not
 * know, folded in: from what the catalogue says of them, where the model has a tower for that (model/tower.h; where it is linear
 * the items are added); or from the items of a basket, by the model's own layers where it is inductive (model/induct.h), and else
 * z_u = sum over items of w / sqrt(D_u * D_i) * fold_in_i, with D_u the sum of the weights w above zero. What is not in the
 * snapshot is made in the current memory context.
 */
#ifndef GNNREC_API_ASKER_H
#define GNNREC_API_ASKER_H

#include "postgres.h"

#include "api/nodes.h"
#include "pg/snapshot.h"

typedef struct GnnrecAsker
{
    const float *vector;        /* NULL: nothing is known */
    const char *source;         /* of the vector */
    GnnrecNodes hidden;         /* items not to be shown: the disliked ones and, if seen ones are, those that hide */
} GnnrecAsker;

/* the user with an id, of the run or not; fresh: with what they have done after the run */
extern void gnnrec_asker_user(GnnrecAsker *out, const GnnrecSnapshot *snapshot, Datum id, bool exclude_seen, bool fresh);

/* who is not of the run, by a row of their own: a basket */
extern void gnnrec_asker_row(GnnrecAsker *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row, bool exclude_seen);

#endif
