/*
 * recommend.c: what to show a user, or the holder of a basket: the k items with the highest score.
 *
 * Every answer has three parts. First the popular items, those with interactions, by the inner product of their vectors with
 * the user's; a user of whom nothing is known has no vector, and gets them by their popularity. Then, so that an answer is not
 * short while there are items, the cold ones by their inner product (or, without a vector, in the order of items), and last the
 * isolated ones, of which the model knows nothing. All leave out what is to be skipped, and all are stable: equal scores are in
 * the order of items. A cold share moves cold items up: so many places of the list are theirs, spread evenly over it (cold.h).
 *
 * A popularity penalty is part of the score: the answer is the k with the highest penalised one. Diversity is not: it chooses k,
 * and their order, from the first part's DIVERSITY_POOL * k with the highest score (core/mmr.h).
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "api/asker.h"
#include "api/cold.h"
#include "api/edges.h"
#include "api/nodes.h"
#include "api/serve.h"
#include "core/mmr.h"

PG_FUNCTION_INFO_V1(gnnrec_recommend_core);
PG_FUNCTION_INFO_V1(gnnrec_recommend_for_core);
PG_FUNCTION_INFO_V1(gnnrec_recommend_type_core);
PG_FUNCTION_INFO_V1(gnnrec_recommend);

#define DIVERSITY_POOL 5

/* where answers are taken from, see pg/snapshot.h; the popular ones are by popularity where that matters */
typedef struct Pool
{
    GnnrecNodes popular;
    GnnrecNodes cold;
    GnnrecNodes isolated;
    bool        is_chosen;      /* by the caller, who named candidates; nothing to skip is in it */
} Pool;

typedef struct Question
{
    const GnnrecSnapshot *snapshot;
    int         type;           /* of what is ranked */
    const GnnrecSnapshotNodes *nodes;
    int32       k;
    GnnrecAsker asker;
    float       diversity;      /* 0 .. 1 */
    float       penalty;        /* of popularity, from 0 */
    float       cold_share;     /* 0 .. 1 */
    GnnrecNodes skip;
    Pool        pool;
} Question;

/* -------------------------------------------------------------------------------------------------------------------
 * arguments
 * ------------------------------------------------------------------------------------------------------------------- */

static int
by_popularity(const void *a, const void *b, void *popularity)
{
    float       of_a = ((const float *) popularity)[*(const int32 *) a];
    float       of_b = ((const float *) popularity)[*(const int32 *) b];

    return of_a != of_b ? (of_a < of_b) - (of_a > of_b) : gnnrec_nodes_compare(a, b);
}

/* the candidates that are not to be skipped, in the order a pool has; who has a vector does not go by popularity */
static Pool
chosen_pool(const Question *q, GnnrecNodes candidates)
{
    Size        bytes = Max(candidates.n, 1) * sizeof(int32);
    int32      *popular = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
    int32      *cold = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
    int32      *isolated = MemoryContextAllocHuge(CurrentMemoryContext, bytes);
    int64       n_popular = 0;
    int64       n_cold = 0;
    int64       n_isolated = 0;
    int64       s = 0;

    for (int64 i = 0; i < candidates.n; i++)
    {
        int32       node = candidates.node[i];

        while (s < q->skip.n && q->skip.node[s] < node)
            s++;
        if (s < q->skip.n && q->skip.node[s] == node)
            continue;
        if (!gnnrec_snapshot_knows(q->nodes, node))
            isolated[n_isolated++] = node;
        else if (q->nodes->popularity[node] > 0)
            popular[n_popular++] = node;
        else
            cold[n_cold++] = node;
    }
    if (q->asker.vector == NULL)
        qsort_arg(popular, n_popular, sizeof(int32), by_popularity, (void *) q->nodes->popularity);
    return (Pool) {{popular, n_popular}, {cold, n_cold}, {isolated, n_isolated}, true};
}

static Pool
whole_pool(const Question *q)
{
    return (Pool) {{q->nodes->popular, q->nodes->n_popular}, {q->nodes->cold, q->nodes->n_cold},
                   {q->nodes->isolated, q->nodes->n_isolated}, false};
}

/* sets k, skip, which holds what the asker's own history rules out, and pool by the arguments k, candidates, exclude */
static void
read_limits(Question *q, FunctionCallInfo fcinfo, int k, int candidates, int exclude)
{
    q->k = gnnrec_serve_k(fcinfo, k, q->nodes->n);
    q->skip = gnnrec_nodes_merge(q->skip, gnnrec_serve_nodes(fcinfo, exclude, q->snapshot, q->type));
    q->pool = PG_ARGISNULL(candidates) ? whole_pool(q)
        : chosen_pool(q, gnnrec_serve_nodes(fcinfo, candidates, q->snapshot, q->type));
}

static float
real_or_zero(FunctionCallInfo fcinfo, int argument)
{
    return PG_ARGISNULL(argument) ? 0 : PG_GETARG_FLOAT4(argument);
}

/* sets diversity, penalty and cold_share; NULL is none */
static void
read_order(Question *q, FunctionCallInfo fcinfo, int diversity, int penalty, int cold_share)
{
    q->diversity = real_or_zero(fcinfo, diversity);
    q->penalty = real_or_zero(fcinfo, penalty);
    q->cold_share = real_or_zero(fcinfo, cold_share);
    if (!(q->diversity >= 0 && q->diversity <= 1))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("diversity must be between 0 and 1"),
                 errdetail("It is %g.", q->diversity),
                 errhint("0 ranks by score alone, 1 by how little items are like those before them.")));
    if (!(q->penalty >= 0 && isfinite(q->penalty)))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("popularity_penalty must be a finite number from 0 on"),
                 errdetail("It is %g.", q->penalty),
                 errhint("An item's score is lowered by popularity_penalty * log(1 + interactions); 0 leaves it as it is.")));
    if (!(q->cold_share >= 0 && q->cold_share <= 1))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("cold_share must be between 0 and 1"),
                 errdetail("It is %g.", q->cold_share),
                 errhint("It is the share of the list that is kept for items without interactions.")));
}

/* -------------------------------------------------------------------------------------------------------------------
 * answering
 * ------------------------------------------------------------------------------------------------------------------- */

/* up to k items of a list in its order, with their popularity for scores; returns how many */
static int32
take(GnnHit *hits, int32 k, GnnrecNodes list, const Question *q)
{
    int32       n = 0;

    for (int64 i = 0; i < list.n && n < k; i++)
    {
        int32       node = list.node[i];

        if (node < 0 || node >= q->nodes->n)
            gnnrec_snapshot_damaged(q->snapshot);
        if (q->pool.is_chosen || !gnnrec_nodes_contain(q->skip, node))
            hits[n++] = (GnnHit) {q->nodes->popularity[node], node};
    }
    return n;
}

/* the k popular items that have the highest score, by the asker's vector */
static int32
rank(GnnHit *hits, int32 k, const Question *q)
{
    GnnRows     rows = gnnrec_snapshot_rows(q->nodes, false);
    GnnrecNodes skip;

    rows.penalty = q->penalty;
    if (q->pool.is_chosen)
        return gnn_topk_among(hits, k, &rows, q->asker.vector, q->pool.popular.node, q->pool.popular.n);
    skip = gnnrec_nodes_merge(q->skip, (GnnrecNodes) {q->nodes->unpopular, q->nodes->n - q->nodes->n_popular});
    return gnn_topk(hits, k, &rows, q->asker.vector, skip.node, skip.n);
}

/* how many to rank for an answer of k */
static int32
n_to_rank(const Question *q)
{
    return q->diversity > 0 ? Min((int64) q->k * DIVERSITY_POOL, q->nodes->n) : q->k;
}

/* of n hits by score, the k that repeat each other least; returns how many */
static int32
diversify(GnnHit *hits, int32 n, const Question *q)
{
    GnnRows     rows = gnnrec_snapshot_rows(q->nodes, true);
    float      *closest = MemoryContextAllocHuge(CurrentMemoryContext, n * sizeof(float));
    GnnMmr      mmr;

    gnn_mmr_begin(&mmr, hits, closest, n, &rows, q->diversity);
    while (mmr.n_chosen < Min(q->k, n))
    {
        CHECK_FOR_INTERRUPTS();
        gnn_mmr_next(&mmr);
    }
    pfree(closest);
    return mmr.n_chosen;
}

/* the k cold items that have the highest score */
static int32
rank_cold(GnnHit *hits, int32 k, const Question *q)
{
    return gnnrec_cold_rank(hits, k, q->nodes,
                            q->pool.is_chosen ? q->pool.cold : gnnrec_cold_nodes(q->snapshot, q->type, q->skip), q->asker.vector);
}

/* n popular items, and between them the first n_places of n_cold cold ones, each at its place; the others after them */
static void
put_spread(GnnrecAnswer *rows, const GnnHit *hits, int32 n, const char *source, const GnnHit *cold, int32 n_cold, int32 n_places)
{
    Datum       of_hits = CStringGetTextDatum(source);
    Datum       of_cold = CStringGetTextDatum("cold");
    int32       before = 0;

    for (int32 i = 0; i < n_places; i++)
    {
        int32       until = gnnrec_cold_place(i, n_places, n + n_places) - i;

        gnnrec_answer_add(rows, hits + before, until - before, of_hits);
        gnnrec_answer_add(rows, cold + i, 1, of_cold);
        before = until;
    }
    gnnrec_answer_add(rows, hits + before, n - before, of_hits);
    gnnrec_answer_add(rows, cold + n_places, n_cold - n_places, of_cold);
}

/* n popular items by score, and cold ones: at the places that are theirs, and where there are too few popular ones */
static void
answer_with_cold(GnnrecAnswer *rows, const Question *q, const GnnHit *hits, int32 n)
{
    int32       n_places = gnnrec_cold_places(q->k, q->cold_share);
    GnnHit     *cold = MemoryContextAllocHuge(CurrentMemoryContext, q->k * sizeof(GnnHit));
    int32       n_cold = rank_cold(cold, Max(n_places, q->k - n), q);

    n_places = Min(n_places, n_cold);
    n = Min(n, q->k - n_places);
    put_spread(rows, hits, n, q->asker.source, cold, Min(n_cold, q->k - n), n_places);
    pfree(cold);
}

static void
answer_by_vector(GnnrecAnswer *rows, const Question *q)
{
    GnnHit     *hits = MemoryContextAllocHuge(CurrentMemoryContext, n_to_rank(q) * sizeof(GnnHit));
    int32       n = rank(hits, n_to_rank(q), q);

    if (q->diversity > 0)
        n = diversify(hits, n, q);
    if (q->pool.cold.n > 0 && (q->cold_share > 0 || n < q->k))
        answer_with_cold(rows, q, hits, n);
    else
        gnnrec_answer_add(rows, hits, n, CStringGetTextDatum(q->asker.source));
    pfree(hits);
}

/* the items of a list, as far as there is room */
static void
answer_by_list(GnnrecAnswer *rows, const Question *q, GnnrecNodes list, const char *source)
{
    int32       room = Min(q->k - rows->rank, list.n);
    GnnHit     *hits;

    if (room == 0)
        return;
    hits = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(GnnHit));
    gnnrec_answer_add(rows, hits, take(hits, room, list, q), CStringGetTextDatum(source));
    pfree(hits);
}

static void
answer(const Question *q, FunctionCallInfo fcinfo, bool as_text)
{
    GnnrecAnswer rows;

    gnnrec_answer_begin(&rows, fcinfo, q->snapshot, q->type, as_text);
    if (q->asker.vector != NULL)
        answer_by_vector(&rows, q);
    else
    {
        answer_by_list(&rows, q, q->pool.popular, "popular");
        answer_by_list(&rows, q, q->pool.cold, "cold");
    }
    answer_by_list(&rows, q, q->pool.isolated, "popular");
}

static void
begin(Question *q, const GnnrecSnapshot *snapshot, int type)
{
    memset(q, 0, sizeof(*q));
    q->snapshot = snapshot;
    q->type = type;
    q->nodes = &snapshot->types[type];
}

enum {R_MODEL, R_USER, R_ITEM_TYPE, R_K, R_CANDIDATES, R_EXCLUDE, R_EXCLUDE_SEEN, R_FRESH,
      R_DIVERSITY, R_POPULARITY_PENALTY, R_COLD_SHARE};

/*
 * gnnrec.recommend_core(model, user_id, item_type, k, candidates, exclude, exclude_seen, fresh, diversity,
 *                       popularity_penalty, cold_share)
 */
Datum
gnnrec_recommend_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve_kept(fcinfo, GNNREC_FROM_BOTH);
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    Question    q;

    begin(&q, snapshot, GNNREC_ITEM);
    gnnrec_serve_check_id(fcinfo, R_USER, users);
    gnnrec_serve_check_id(fcinfo, R_ITEM_TYPE, q.nodes);
    if (!PG_ARGISNULL(R_USER))
        gnnrec_asker_user(&q.asker, snapshot, PG_GETARG_DATUM(R_USER), gnnrec_serve_flag(fcinfo, R_EXCLUDE_SEEN),
                          gnnrec_serve_flag(fcinfo, R_FRESH));
    q.skip = q.asker.hidden;
    read_limits(&q, fcinfo, R_K, R_CANDIDATES, R_EXCLUDE);
    read_order(&q, fcinfo, R_DIVERSITY, R_POPULARITY_PENALTY, R_COLD_SHARE);
    answer(&q, fcinfo, false);
    return (Datum) 0;
}

enum {F_MODEL, F_ITEMS, F_WEIGHTS, F_K, F_CANDIDATES, F_EXCLUDE, F_DIVERSITY, F_POPULARITY_PENALTY, F_COLD_SHARE};

/* the weights of a basket of n; NULL: all 1 */
static const float *
weights_argument(FunctionCallInfo fcinfo, int argument, int n)
{
    GnnrecElements    e;
    float      *weight;

    if (PG_ARGISNULL(argument))
        return NULL;
    e = gnnrec_serve_elements(PG_GETARG_ARRAYTYPE_P(argument));
    if (e.n != n)
        ereport(ERROR,
                (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
                 errmsg("items and weights must have the same number of elements"),
                 errdetail("They have %d and %d.", n, e.n)));
    weight = palloc(n * sizeof(float));
    for (int i = 0; i < n; i++)
    {
        weight[i] = e.is_null[i] ? NAN : DatumGetFloat4(e.value[i]);
        if (!isfinite(weight[i]))
            ereport(ERROR,
                    (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                     errmsg("weights must be finite numbers"),
                     errdetail("Element %d is not.", i + 1)));
    }
    return weight;
}

/* gnnrec.recommend_for_core(model, items, weights, k, candidates, exclude, diversity, popularity_penalty, cold_share) */
Datum
gnnrec_recommend_for_core(PG_FUNCTION_ARGS)
{
    GnnrecElements    items = {0};
    GnnrecSnapshotRow basket;
    Question    q;

    begin(&q, gnnrec_serve_kept(fcinfo, GNNREC_FROM_ITEMS), GNNREC_ITEM);
    gnnrec_serve_check_ids(fcinfo, F_ITEMS, q.nodes);
    if (!PG_ARGISNULL(F_ITEMS))
        items = gnnrec_serve_elements(PG_GETARG_ARRAYTYPE_P(F_ITEMS));
    basket = gnnrec_edges_row(q.snapshot, GNNREC_ITEM, items.value, items.is_null, weights_argument(fcinfo, F_WEIGHTS, items.n),
                              items.n);
    gnnrec_asker_row(&q.asker, q.snapshot, &basket, true);
    q.skip = q.asker.hidden;
    read_limits(&q, fcinfo, F_K, F_CANDIDATES, F_EXCLUDE);
    read_order(&q, fcinfo, F_DIVERSITY, F_POPULARITY_PENALTY, F_COLD_SHARE);
    answer(&q, fcinfo, false);
    return (Datum) 0;
}

enum {T_MODEL, T_NODE_TYPE, T_USER, T_ID_TYPE, T_K, T_CANDIDATES, T_EXCLUDE, T_FRESH};

/* gnnrec.recommend_type_core(model, node_type, user_id, id_type, k, candidates, exclude, fresh) */
Datum
gnnrec_recommend_type_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve_kept(fcinfo, GNNREC_FROM_BOTH | GNNREC_FROM_ARGUMENT);
    Question    q;

    begin(&q, snapshot, gnnrec_serve_type(fcinfo, snapshot));
    gnnrec_serve_check_id(fcinfo, T_USER, &snapshot->types[GNNREC_USER]);
    gnnrec_serve_check_id(fcinfo, T_ID_TYPE, q.nodes);
    if (!PG_ARGISNULL(T_USER))
        gnnrec_asker_user(&q.asker, snapshot, PG_GETARG_DATUM(T_USER), false, gnnrec_serve_flag(fcinfo, T_FRESH));
    read_limits(&q, fcinfo, T_K, T_CANDIDATES, T_EXCLUDE);
    answer(&q, fcinfo, false);
    return (Datum) 0;
}

/* gnnrec.recommend(model, user_id, k): ids as text */
Datum
gnnrec_recommend(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve_named(fcinfo, GNNREC_FROM_BOTH);
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    Question    q;

    begin(&q, snapshot, GNNREC_ITEM);
    if (!PG_ARGISNULL(1))
        gnnrec_asker_user(&q.asker, snapshot, gnnrec_serve_parse_id(fcinfo, 1, users), true, true);
    q.k = gnnrec_serve_k(fcinfo, 2, q.nodes->n);
    q.skip = q.asker.hidden;
    q.pool = whole_pool(&q);
    answer(&q, fcinfo, true);
    return (Datum) 0;
}
