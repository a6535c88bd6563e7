/*
 * similar.c: how alike two nodes are, and who is most alike: the cosine of their vectors. And the score of a user and an item.
 *
 * Cosine, because a length is how popular a node is, and alike is not popular. A node without edges has a zero vector, which
 * points nowhere: it is like nothing, and nothing is like it.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "api/serve.h"

PG_FUNCTION_INFO_V1(gnnrec_similar_core);
PG_FUNCTION_INFO_V1(gnnrec_similar_items);
PG_FUNCTION_INFO_V1(gnnrec_similarity_core);
PG_FUNCTION_INFO_V1(gnnrec_score_core);

/* rounding may carry the cosine of two equal directions past 1 */
static float
clamped(float cosine)
{
    return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

/* the vector of a node times a factor */
static float *
scaled(const GnnrecSnapshotNodes *nodes, int32 node, float factor)
{
    const float *vector = gnnrec_snapshot_vector(nodes, node);
    float      *out = palloc(nodes->dim * sizeof(float));

    for (int32 c = 0; c < nodes->dim; c++)
        out[c] = factor * vector[c];
    return out;
}

/* a node's place among the ascending ones without edges, as a list to skip: these, and the node */
static const int32 *
others(const GnnrecSnapshotNodes *nodes, int32 node, int64 *n)
{
    int32      *skip = palloc(((Size) nodes->n_isolated + 1) * sizeof(int32));
    int32       i = 0;

    for (; i < nodes->n_isolated && nodes->isolated[i] < node; i++)
        skip[i] = nodes->isolated[i];
    skip[i] = node;
    for (; i < nodes->n_isolated; i++)
        skip[i + 1] = nodes->isolated[i];
    *n = (int64) nodes->n_isolated + 1;
    return skip;
}

/* the k nodes most like one; -1 is like none */
static void
answer_similar(GnnrecAnswer *answer, int32 node, int32 k)
{
    const GnnrecSnapshotNodes *nodes = &answer->snapshot->types[answer->type];
    GnnRows     rows = gnnrec_snapshot_rows(nodes, true);
    const int32 *skip;
    int64       n_skip;
    GnnHit     *hits;
    int32       n;

    if (node < 0 || nodes->inverse_norm[node] == 0)
        return;
    skip = others(nodes, node, &n_skip);
    hits = MemoryContextAllocHuge(CurrentMemoryContext, k * sizeof(GnnHit));
    n = gnn_topk(hits, k, &rows, scaled(nodes, node, nodes->inverse_norm[node]), skip, n_skip);
    for (int32 i = 0; i < n; i++)
        hits[i].score = clamped(hits[i].score);
    gnnrec_answer_add(answer, hits, n, (Datum) 0);
    pfree(hits);
}

/* gnnrec.similar_core(model, node_type, id, k) */
Datum
gnnrec_similar_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve_kept(fcinfo, GNNREC_FROM_ARGUMENT);
    int         type = gnnrec_serve_type(fcinfo, snapshot);
    const GnnrecSnapshotNodes *nodes = &snapshot->types[type];
    GnnrecAnswer answer;

    gnnrec_serve_check_id(fcinfo, 2, nodes);
    gnnrec_answer_begin(&answer, fcinfo, snapshot, type, false);
    answer_similar(&answer, gnnrec_serve_node(fcinfo, 2, snapshot, type), gnnrec_serve_k(fcinfo, 3, nodes->n));
    return (Datum) 0;
}

/* gnnrec.similar_items(model, item_id, k): ids as text */
Datum
gnnrec_similar_items(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve_named(fcinfo, GNNREC_FROM_ITEMS);
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];
    GnnrecAnswer answer;
    int32       node = -1;

    if (!PG_ARGISNULL(1))
        node = gnnrec_snapshot_find(snapshot, GNNREC_ITEM, gnnrec_key_of(&items->key, gnnrec_serve_parse_id(fcinfo, 1, items)));
    gnnrec_answer_begin(&answer, fcinfo, snapshot, GNNREC_ITEM, true);
    answer_similar(&answer, node, gnnrec_serve_k(fcinfo, 2, items->n));
    return (Datum) 0;
}

/* gnnrec.similarity_core(model, node_type, a, b) */
Datum
gnnrec_similarity_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve(fcinfo, GNNREC_FROM_ARGUMENT);
    int         type = gnnrec_serve_type(fcinfo, snapshot);
    const GnnrecSnapshotNodes *nodes = &snapshot->types[type];
    int32       a;
    int32       b;

    gnnrec_serve_check_id(fcinfo, 2, nodes);
    gnnrec_serve_check_id(fcinfo, 3, nodes);
    a = gnnrec_serve_node(fcinfo, 2, snapshot, type);
    b = gnnrec_serve_node(fcinfo, 3, snapshot, type);
    if (a < 0 || b < 0 || nodes->inverse_norm[a] == 0 || nodes->inverse_norm[b] == 0)
        PG_RETURN_NULL();
    PG_RETURN_FLOAT4(clamped(gnn_dot(gnnrec_snapshot_vector(nodes, a), gnnrec_snapshot_vector(nodes, b), nodes->dim)
                             * nodes->inverse_norm[a] * nodes->inverse_norm[b]));
}

/* gnnrec.score_core(model, user_id, item_id) */
Datum
gnnrec_score_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve(fcinfo, GNNREC_FROM_BOTH);
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];
    int32       user;
    int32       item;

    gnnrec_serve_check_id(fcinfo, 1, users);
    gnnrec_serve_check_id(fcinfo, 2, items);
    user = gnnrec_serve_node(fcinfo, 1, snapshot, GNNREC_USER);
    item = gnnrec_serve_node(fcinfo, 2, snapshot, GNNREC_ITEM);
    if (user < 0 || item < 0)
        PG_RETURN_NULL();
    PG_RETURN_FLOAT4(gnn_dot(gnnrec_snapshot_vector(users, user), gnnrec_snapshot_vector(items, item), snapshot->dim));
}
