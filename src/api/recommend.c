/*
 * recommend.c: what to show a user, or the holder of a basket: the k items with the highest score.
 *
 * Every answer has two parts. First the items that have edges, by the inner product of their vectors with the user's; a user
 * of whom nothing is known has no vector, and gets them by their degree. Then, so that an answer is not short while there
 * are items, those without edges: the model knows nothing of them. Both leave out what is to be skipped, and both are
 * stable: equal scores are in the order of items.
 *
 * A user's vector is that of the run, brought up to date with what they have done since (fresh.h) or, for one the run does not
 * know, folded in from the items of a basket: by the model's own layers where it is inductive (model/induct.h), and else z_u =
 * sum over items of w / sqrt(D_u * D_i) * fold_in_i, with D_u the sum of the weights w above zero.
 *
 * A popularity penalty is part of the score: the answer is the k with the highest penalised one. Diversity is not: it chooses k,
 * and their order, from the first part's DIVERSITY_POOL * k with the highest score (core/mmr.h).
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "api/edges.h"
#include "api/fresh.h"
#include "api/nodes.h"
#include "api/serve.h"
#include "core/mmr.h"

PG_FUNCTION_INFO_V1(gnnrec_recommend_core);
PG_FUNCTION_INFO_V1(gnnrec_recommend_for_core);
PG_FUNCTION_INFO_V1(gnnrec_recommend);

#define DIVERSITY_POOL 5

/* where answers are taken from: the items with edges, by popularity where that matters, and those without, ascending */
typedef struct Pool
{
    GnnrecNodes popular;
    GnnrecNodes isolated;
    bool        is_chosen;      /* by the caller, who named candidates; nothing to skip is in it */
} Pool;

typedef struct Question
{
    const GnnrecSnapshot *snapshot;
    const GnnrecSnapshotNodes *items;
    int32       k;
    const float *vector;        /* of who asks; NULL: nothing is known */
    const char *source;         /* of the vector */
    float       diversity;      /* 0 .. 1 */
    float       penalty;        /* of popularity, from 0 */
    GnnrecNodes skip;
    Pool        pool;
} Question;

/* -------------------------------------------------------------------------------------------------------------------
 * arguments
 * ------------------------------------------------------------------------------------------------------------------- */

static int
by_popularity(const void *a, const void *b, void *degree)
{
    float       of_a = ((const float *) degree)[*(const int32 *) a];
    float       of_b = ((const float *) degree)[*(const int32 *) b];

    return of_a != of_b ? (of_a < of_b) - (of_a > of_b) : gnnrec_nodes_compare(a, b);
}

/* the candidates that are not to be skipped, in the order a pool has; who has a vector does not go by popularity */
static Pool
chosen_pool(const Question *q, GnnrecNodes candidates)
{
    int32      *popular = MemoryContextAllocHuge(CurrentMemoryContext, Max(candidates.n, 1) * sizeof(int32));
    int32      *isolated = MemoryContextAllocHuge(CurrentMemoryContext, Max(candidates.n, 1) * sizeof(int32));
    int64       n_popular = 0;
    int64       n_isolated = 0;
    int64       s = 0;

    for (int64 i = 0; i < candidates.n; i++)
    {
        int32       node = candidates.node[i];

        while (s < q->skip.n && q->skip.node[s] < node)
            s++;
        if (s < q->skip.n && q->skip.node[s] == node)
            continue;
        if (q->items->degree[node] > 0)
            popular[n_popular++] = node;
        else
            isolated[n_isolated++] = node;
    }
    if (q->vector == NULL)
        qsort_arg(popular, n_popular, sizeof(int32), by_popularity, (void *) q->items->degree);
    return (Pool) {{popular, n_popular}, {isolated, n_isolated}, true};
}

static Pool
whole_pool(const Question *q)
{
    return (Pool) {{q->items->popular, q->items->n_popular}, {q->items->isolated, q->items->n_isolated}, false};
}

/* sets skip, which holds what the asker's own history rules out, and pool by the arguments k, candidates, exclude */
static void
read_limits(Question *q, FunctionCallInfo fcinfo, int k, int candidates, int exclude)
{
    q->k = gnnrec_serve_k(fcinfo, k, q->items->n);
    q->skip = gnnrec_nodes_merge(q->skip, gnnrec_serve_items(fcinfo, exclude, q->snapshot));
    q->pool = PG_ARGISNULL(candidates) ? whole_pool(q) : chosen_pool(q, gnnrec_serve_items(fcinfo, candidates, q->snapshot));
}

/* sets diversity and penalty; NULL is none */
static void
read_order(Question *q, FunctionCallInfo fcinfo, int diversity, int penalty)
{
    q->diversity = PG_ARGISNULL(diversity) ? 0 : PG_GETARG_FLOAT4(diversity);
    q->penalty = PG_ARGISNULL(penalty) ? 0 : PG_GETARG_FLOAT4(penalty);
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
                 errhint("An item's score is lowered by popularity_penalty * log(1 + degree); 0 leaves it as it is.")));
}

/* -------------------------------------------------------------------------------------------------------------------
 * who asks
 * ------------------------------------------------------------------------------------------------------------------- */

/* the vector of who has a basket; NULL where nothing in it says anything */
static const float *
folded_in(const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *basket)
{
    float      *vector = palloc(snapshot->dim * sizeof(float));

    return gnnrec_serve_fold_in(vector, snapshot, basket) ? vector : NULL;
}

/* who is not of the run, by a row of their own */
static void
ask_by_row(Question *q, const GnnrecSnapshotRow *row, bool exclude_seen)
{
    q->vector = folded_in(q->snapshot, row);
    q->source = "fold_in";
    q->skip = gnnrec_serve_hidden(row, exclude_seen);
}

/* a user of the run, whose row was then and is now */
static void
ask_by_node(Question *q, int32 user, const GnnrecSnapshotRow *then, const GnnrecSnapshotRow *now, bool changed, bool exclude_seen)
{
    const GnnrecSnapshotNodes *users = &q->snapshot->types[GNNREC_USER];

    q->source = changed ? "fresh" : "model";
    if (changed)
        q->vector = gnnrec_fresh_vector(q->snapshot, user, then, now);
    else if (users->degree[user] > 0)
        q->vector = gnnrec_snapshot_vector(users, user);
    q->skip = gnnrec_serve_hidden(now, exclude_seen);
}

/* user -1: the run does not know the id */
static void
ask(Question *q, int32 user, Datum id, bool exclude_seen, bool fresh)
{
    GnnrecSnapshotRow then = {0};
    GnnrecSnapshotRow now;
    bool        changed = false;

    if (user >= 0)
        gnnrec_snapshot_row(&then, q->snapshot, GNNREC_INTERACTIONS, user);
    now = then;
    if (fresh)
        changed = gnnrec_fresh_row(&now, q->snapshot, &then, user, id) && q->items->fold_in != NULL;
    if (user >= 0)
        ask_by_node(q, user, &then, &now, changed, exclude_seen);
    else
        ask_by_row(q, &now, exclude_seen);
}

/* -------------------------------------------------------------------------------------------------------------------
 * answering
 * ------------------------------------------------------------------------------------------------------------------- */

/* appends up to k items of a list in its order, with their degrees for scores; returns how many */
static int32
take(GnnHit *hits, int32 k, GnnrecNodes list, const Question *q)
{
    int32       n = 0;

    for (int64 i = 0; i < list.n && n < k; i++)
    {
        int32       node = list.node[i];

        if (node < 0 || node >= q->items->n)
            gnnrec_snapshot_damaged(q->snapshot);
        if (q->pool.is_chosen || !gnnrec_nodes_contain(q->skip, node))
            hits[n++] = (GnnHit) {q->items->degree[node], node};
    }
    return n;
}

/* the k items with edges that have the highest score, by the asker's vector */
static int32
rank(GnnHit *hits, int32 k, const Question *q)
{
    GnnRows     rows = gnnrec_snapshot_rows(q->items, false);
    GnnrecNodes skip;

    rows.penalty = q->penalty;
    if (q->pool.is_chosen)
        return gnn_topk_among(hits, k, &rows, q->vector, q->pool.popular.node, q->pool.popular.n);
    skip = gnnrec_nodes_merge(q->skip, q->pool.isolated);
    return gnn_topk(hits, k, &rows, q->vector, skip.node, skip.n);
}

/* how many to rank for an answer of k */
static int32
n_to_rank(const Question *q)
{
    return q->diversity > 0 ? Min((int64) q->k * DIVERSITY_POOL, q->items->n) : q->k;
}

/* of n hits by score, the k that repeat each other least; returns how many */
static int32
diversify(GnnHit *hits, int32 n, const Question *q)
{
    GnnRows     rows = gnnrec_snapshot_rows(q->items, true);
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

static void
answer(const Question *q, FunctionCallInfo fcinfo, bool as_text)
{
    GnnHit     *hits = MemoryContextAllocHuge(CurrentMemoryContext, n_to_rank(q) * sizeof(GnnHit));
    int32       n_ranked = 0;
    int32       n = 0;
    GnnrecAnswer rows;

    gnnrec_answer_begin(&rows, fcinfo, q->snapshot, GNNREC_ITEM, as_text);
    if (q->vector != NULL)
    {
        n_ranked = rank(hits, n_to_rank(q), q);
        if (q->diversity > 0)
            n_ranked = diversify(hits, n_ranked, q);
        n = n_ranked;
    }
    else
        n = take(hits, q->k, q->pool.popular, q);
    n += take(hits + n, q->k - n, q->pool.isolated, q);
    if (n_ranked > 0)
        gnnrec_answer_add(&rows, hits, n_ranked, CStringGetTextDatum(q->source));
    if (n > n_ranked)
        gnnrec_answer_add(&rows, hits + n_ranked, n - n_ranked, CStringGetTextDatum("popular"));
    pfree(hits);
}

static void
begin(Question *q, const GnnrecSnapshot *snapshot)
{
    memset(q, 0, sizeof(*q));
    q->snapshot = snapshot;
    q->items = &snapshot->types[GNNREC_ITEM];
}

static bool
true_or_null(FunctionCallInfo fcinfo, int argument)
{
    return PG_ARGISNULL(argument) || PG_GETARG_BOOL(argument);
}

enum {R_MODEL, R_USER, R_ITEM_TYPE, R_K, R_CANDIDATES, R_EXCLUDE, R_EXCLUDE_SEEN, R_FRESH,
      R_DIVERSITY, R_POPULARITY_PENALTY};

/*
 * gnnrec.recommend_core(model, user_id, item_type, k, candidates, exclude, exclude_seen, fresh, diversity,
 *                       popularity_penalty)
 */
Datum
gnnrec_recommend_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve_kept(fcinfo, GNNREC_FROM_BOTH);
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    Question    q;

    begin(&q, snapshot);
    gnnrec_serve_check_id(fcinfo, R_USER, users);
    gnnrec_serve_check_id(fcinfo, R_ITEM_TYPE, q.items);
    if (!PG_ARGISNULL(R_USER))
        ask(&q, gnnrec_serve_node(fcinfo, R_USER, snapshot, GNNREC_USER), PG_GETARG_DATUM(R_USER),
            true_or_null(fcinfo, R_EXCLUDE_SEEN), true_or_null(fcinfo, R_FRESH));
    read_limits(&q, fcinfo, R_K, R_CANDIDATES, R_EXCLUDE);
    read_order(&q, fcinfo, R_DIVERSITY, R_POPULARITY_PENALTY);
    answer(&q, fcinfo, false);
    return (Datum) 0;
}

enum {F_MODEL, F_ITEMS, F_WEIGHTS, F_K, F_CANDIDATES, F_EXCLUDE, F_DIVERSITY, F_POPULARITY_PENALTY};

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

/* gnnrec.recommend_for_core(model, items, weights, k, candidates, exclude, diversity, popularity_penalty) */
Datum
gnnrec_recommend_for_core(PG_FUNCTION_ARGS)
{
    GnnrecElements    items = {0};
    GnnrecSnapshotRow basket;
    Question    q;

    begin(&q, gnnrec_serve_kept(fcinfo, GNNREC_FROM_ITEMS));
    gnnrec_serve_check_ids(fcinfo, F_ITEMS, q.items);
    if (!PG_ARGISNULL(F_ITEMS))
        items = gnnrec_serve_elements(PG_GETARG_ARRAYTYPE_P(F_ITEMS));
    basket = gnnrec_edges_row(q.snapshot, GNNREC_ITEM, items.value, items.is_null, weights_argument(fcinfo, F_WEIGHTS, items.n),
                              items.n);
    ask_by_row(&q, &basket, true);
    read_limits(&q, fcinfo, F_K, F_CANDIDATES, F_EXCLUDE);
    read_order(&q, fcinfo, F_DIVERSITY, F_POPULARITY_PENALTY);
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

    begin(&q, snapshot);
    if (!PG_ARGISNULL(1))
    {
        Datum       id = gnnrec_serve_parse_id(fcinfo, 1, users);

        ask(&q, gnnrec_snapshot_find(snapshot, GNNREC_USER, gnnrec_key_of(&users->key, id)), id, true, true);
    }
    q.k = gnnrec_serve_k(fcinfo, 2, q.items->n);
    q.pool = whole_pool(&q);
    answer(&q, fcinfo, true);
    return (Datum) 0;
}
