/*
 * audience.c: whom to show an item: the k users with the highest score for it, by the same exact top-k as recommend's.
 *
 * Users without edges have no vector and no score, and are nobody's audience. Left out are those who have the item, if so
 * asked, and always those who dislike it: the run's edges by item say who, the rows of the users how.
 *
 * An item that the run does not know is folded in from the users it has by now. The propagation would give it
 * z_i = sum over users of w / sqrt(D_i * D_u) * fold_in_u, but the run keeps fold_in of items only: a vector a user is a high
 * price for a question that is asked of new items. sqrt(D_u) * z_u takes its place, under every model, as it does in folding
 * users in where a model is neither linear nor inductive (model/model.h). So z_i is sqrt(D_i) times the weighted mean of the
 * vectors of its users: D_i scales all scores alike.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"

#include "api/edges.h"
#include "api/nodes.h"
#include "api/serve.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(gnnrec_recommend_users_core);


enum {U_MODEL, U_ITEM, U_USER_TYPE, U_K, U_EXCLUDE_EXISTING};

typedef struct Audience
{
    const GnnrecSnapshot *snapshot;
    const GnnrecSnapshotNodes *users;
    const float *vector;        /* of the item; NULL: nothing is known of it */
    GnnrecNodes skip;
} Audience;

/* is an item, which is among those the user has seen, hidden from the user? Disliked ones are, whatever exclude_seen says */
static bool
is_hidden(const GnnrecSnapshot *snapshot, int32 user, int32 item, bool exclude_seen)
{
    GnnrecSnapshotRow seen;
    const int32 *place;

    gnnrec_snapshot_row(&seen, snapshot, user);
    place = bsearch(&item, seen.idx, seen.n, sizeof(int32), gnnrec_nodes_compare);
    if (place == NULL)
        gnnrec_snapshot_damaged(snapshot);
    if (seen.val != NULL && seen.val[place - seen.idx] < 0)
        return true;
    return exclude_seen && (seen.shown == NULL || !seen.shown[place - seen.idx]);
}

/* the users from whom an item of the run is hidden */
static GnnrecNodes
users_of(const GnnrecSnapshot *snapshot, int32 item, bool exclude_seen)
{
    const GnnrecSnapshotEdges *edges = &snapshot->interactions;
    GnnrecSnapshotRow row;
    int32      *user;
    int64       n = 0;

    gnnrec_snapshot_reverse_row(&row, snapshot, item);
    if (exclude_seen && edges->shown == NULL)
        return (GnnrecNodes) {row.idx, row.n};
    if (!exclude_seen && edges->val == NULL)
        return (GnnrecNodes) {NULL, 0};
    user = palloc(row.n * sizeof(int32));
    for (int64 i = 0; i < row.n; i++)
        if (is_hidden(snapshot, row.idx[i], item, exclude_seen))
            user[n++] = row.idx[i];
    return (GnnrecNodes) {user, n};
}

static void
ask_by_node(Audience *a, int32 item, bool exclude_existing)
{
    const GnnrecSnapshotNodes *items = &a->snapshot->types[GNNREC_ITEM];

    if (gnnrec_snapshot_knows(items, item))
        a->vector = gnnrec_snapshot_vector(items, item);
    a->skip = users_of(a->snapshot, item, exclude_existing);
}

/* the users of an item that the run does not know, as a row of the snapshot would have them */
static GnnrecSnapshotRow
read_users(const GnnrecSnapshot *snapshot, Datum item)
{
    GnnrecIdMap user_ids;
    GnnrecIdMap item_ids;
    GnnrecInteractions found;
    int32      *node;

    gnnrec_idmap_init(&user_ids, &snapshot->types[GNNREC_USER].key);
    gnnrec_idmap_init(&item_ids, &snapshot->types[GNNREC_ITEM].key);
    gnnrec_source_item_read(&found, gnnrec_model_by_id(snapshot->model_id), &user_ids, &item_ids, item);
    node = MemoryContextAllocHuge(CurrentMemoryContext, found.n * sizeof(int32));
    for (int64 i = 0; i < found.n; i++)
        node[i] = gnnrec_snapshot_find(snapshot, GNNREC_USER, user_ids.keys[found.from[i]]);
    return gnnrec_edges_of_nodes(node, found.weight, found.n);
}

/* sum over users of w / sqrt(D_i) * z_u; NULL where nobody likes it */
static const float *
folded_in(const GnnrecSnapshotNodes *users, const GnnrecSnapshotRow *row)
{
    double      degree = gnnrec_edges_degree(users, row);
    float      *vector;

    if (degree == 0)
        return NULL;
    vector = palloc0(users->dim * sizeof(float));
    for (int64 i = 0; i < row->n; i++)
    {
        const float *z = gnnrec_snapshot_vector(users, row->idx[i]);
        float       share = gnnrec_edges_weight(users, row, i) / sqrt(degree);

        for (int32 c = 0; c < users->dim; c++)
            vector[c] += share * z[c];
    }
    return vector;
}

static void
ask_by_interactions(Audience *a, Datum item, bool exclude_existing)
{
    GnnrecSnapshotRow row = read_users(a->snapshot, item);
    int32      *user = MemoryContextAllocHuge(CurrentMemoryContext, row.n * sizeof(int32));
    int64       n = 0;

    a->vector = folded_in(a->users, &row);
    for (int64 i = 0; i < row.n; i++)
        if (exclude_existing || row.val[i] < 0)
            user[n++] = row.idx[i];
    a->skip = (GnnrecNodes) {user, n};
}

static void
answer(GnnrecAnswer *rows, const Audience *a, int32 k)
{
    GnnRows     vectors = gnnrec_snapshot_rows(a->users, false);
    GnnrecNodes skip = gnnrec_nodes_merge(a->skip, (GnnrecNodes) {a->users->isolated, a->users->n_isolated});
    GnnHit     *hits = MemoryContextAllocHuge(CurrentMemoryContext, k * sizeof(GnnHit));

    gnnrec_answer_add(rows, hits, gnn_topk(hits, k, &vectors, a->vector, skip.node, skip.n), (Datum) 0);
    pfree(hits);
}

/* gnnrec.recommend_users_core(model, item_id, user_type, k, exclude_existing) */
Datum
gnnrec_recommend_users_core(PG_FUNCTION_ARGS)
{
    Audience    a = {.snapshot = gnnrec_serve(fcinfo, GNNREC_FROM_BOTH)};
    const GnnrecSnapshotNodes *items = &a.snapshot->types[GNNREC_ITEM];
    bool        exclude_existing = PG_ARGISNULL(U_EXCLUDE_EXISTING) || PG_GETARG_BOOL(U_EXCLUDE_EXISTING);
    GnnrecAnswer rows;
    int32       item;
    int32       k;

    a.users = &a.snapshot->types[GNNREC_USER];
    gnnrec_serve_check_id(fcinfo, U_ITEM, items);
    gnnrec_serve_check_id(fcinfo, U_USER_TYPE, a.users);
    k = gnnrec_serve_k(fcinfo, U_K, a.users->n);
    item = gnnrec_serve_node(fcinfo, U_ITEM, a.snapshot, GNNREC_ITEM);
    if (item >= 0)
        ask_by_node(&a, item, exclude_existing);
    else if (!PG_ARGISNULL(U_ITEM))
        ask_by_interactions(&a, PG_GETARG_DATUM(U_ITEM), exclude_existing);
    gnnrec_answer_begin(&rows, fcinfo, a.snapshot, GNNREC_USER, false);
    if (a.vector != NULL)
        answer(&rows, &a, k);
    return (Datum) 0;
}
