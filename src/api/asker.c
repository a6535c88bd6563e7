/*
 * asker.c: who asks for recommendations; see asker.h.
 */
#include "postgres.h"

#include "api/asker.h"

#include "api/edges.h"
#include "api/fresh.h"
#include "api/serve.h"
#include "core/kernel.h"
#include "model/model.h"

/* the vector of who has a basket; NULL where nothing in it says anything */
static const float *
folded_in(const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *basket)
{
    float      *vector = palloc(snapshot->dim * sizeof(float));

    return gnnrec_serve_fold_in(vector, snapshot, basket, 0) ? vector : NULL;
}

void
gnnrec_asker_row(GnnrecAsker *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row, bool exclude_seen)
{
    out->vector = folded_in(snapshot, row);
    out->source = "fold_in";
    out->hidden = gnnrec_serve_hidden(row, exclude_seen);
}

/* vector += what the items say, where the model is linear; where it is not, features are all that it looks at */
static void
add_items(float *vector, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row)
{
    const float *items = gnn_models[snapshot->config->model]->linear ? folded_in(snapshot, row) : NULL;

    if (items != NULL)
        gnn_add_scaled(vector, 1, items, snapshot->dim);
}

/* who is not of the run but of the catalogue, with the row of a basket; false: their features say nothing */
static bool
ask_by_features(GnnrecAsker *out, const GnnrecSnapshot *snapshot, Datum id, const GnnrecSnapshotRow *row, bool exclude_seen)
{
    float      *vector = palloc(snapshot->dim * sizeof(float));

    if (!gnnrec_serve_features(vector, snapshot, id, gnnrec_edges_degree(&snapshot->types[GNNREC_ITEM], row)))
        return false;
    add_items(vector, snapshot, row);
    out->vector = vector;
    out->source = "fold_in";
    out->hidden = gnnrec_serve_hidden(row, exclude_seen);
    return true;
}

/* a user of the run, whose row was then and is now */
static void
ask_by_node(GnnrecAsker *out, const GnnrecSnapshot *snapshot, int32 user, const GnnrecSnapshotRow *then,
            const GnnrecSnapshotRow *now, bool changed, bool exclude_seen)
{
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];

    out->vector = NULL;
    out->source = changed ? "fresh" : "model";
    if (changed)
        out->vector = gnnrec_fresh_vector(snapshot, user, then, now);
    else if (gnnrec_snapshot_knows(users, user))
        out->vector = gnnrec_snapshot_vector(users, user);
    out->hidden = gnnrec_serve_hidden(now, exclude_seen);
}

void
gnnrec_asker_user(GnnrecAsker *out, const GnnrecSnapshot *snapshot, Datum id, bool exclude_seen, bool fresh)
{
    int32       user = gnnrec_snapshot_find(snapshot, GNNREC_USER, gnnrec_key_of(&snapshot->types[GNNREC_USER].key, id));
    GnnrecSnapshotRow then = {0};
    GnnrecSnapshotRow now;
    bool        changed = false;

    if (user >= 0)
        gnnrec_snapshot_row(&then, snapshot, user);
    now = then;
    if (fresh)
        changed = gnnrec_fresh_row(&now, snapshot, &then, user, id) && snapshot->types[GNNREC_ITEM].fold_in != NULL;
    if (user >= 0)
        ask_by_node(out, snapshot, user, &then, &now, changed, exclude_seen);
    else if (!fresh || !ask_by_features(out, snapshot, id, &now, exclude_seen))
        gnnrec_asker_row(out, snapshot, &now, exclude_seen);
}
