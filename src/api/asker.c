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

/*
 * The vector of who is not of the run but of the catalogue, with the row of a basket; NULL where their features say nothing. In a
 * linear model what the items say is added; where it is not, features are all that it looks at.
 */
static const float *
by_features(const GnnrecSnapshot *snapshot, Datum id, const GnnrecSnapshotRow *basket)
{
    float      *vector = palloc(snapshot->dim * sizeof(float));
    const float *items = NULL;

    if (!gnnrec_serve_features(vector, snapshot, id, gnnrec_edges_degree(&snapshot->types[GNNREC_ITEM], basket)))
        return NULL;
    if (gnn_models[snapshot->config->model]->linear)
        items = folded_in(snapshot, basket);
    if (items != NULL)
        gnn_add_scaled(vector, 1, items, snapshot->dim);
    return vector;
}

/* who is not of the run, with a vector and the row of a basket */
static void
ask_by_vector(GnnrecAsker *out, const float *vector, const GnnrecSnapshotRow *basket, bool exclude_seen)
{
    out->vector = vector;
    out->source = "fold_in";
    out->hidden = gnnrec_serve_hidden(basket, exclude_seen);
}

void
gnnrec_asker_row(GnnrecAsker *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row, bool exclude_seen)
{
    ask_by_vector(out, folded_in(snapshot, row), row, exclude_seen);
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
    const float *vector = NULL;
    bool        changed = false;

    if (user >= 0)
        gnnrec_snapshot_row(&then, snapshot, user);
    now = then;
    if (fresh)
        changed = gnnrec_fresh_row(&now, snapshot, &then, user, id) && snapshot->types[GNNREC_ITEM].fold_in != NULL;
    if (user >= 0)
    {
        ask_by_node(out, snapshot, user, &then, &now, changed, exclude_seen);
        return;
    }
    if (fresh)
        vector = by_features(snapshot, id, &now);
    ask_by_vector(out, vector != NULL ? vector : folded_in(snapshot, &now), &now, exclude_seen);
}
