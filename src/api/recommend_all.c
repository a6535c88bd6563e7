/*
 * recommend_all.c: what to show to every user, in bounded memory.
 *
 * Users are ranked a batch at a time (batch.h), and rows are handed out one by one as they are asked for: a LIMIT or a cursor
 * that stops early has cost the batches it has seen, and a cancel is heeded before each. The wrapper in a model's schema calls
 * the function in a select list, where the executor takes rows as they come; in FROM it would first collect them all.
 *
 * State lives in the memory context of the calls, which goes with the last row, a rescan or the end of the query. The snapshot
 * stays mapped until the transaction ends; a cursor that outlives its transaction is read to its end before.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "api/batch.h"
#include "api/serve.h"

PG_FUNCTION_INFO_V1(gnnrec_recommend_all_core);

typedef struct Walk
{
    GnnrecBatch batch;
    int64       n_users;        /* to be listed: all of the run, or */
    GnnrecElements asked;       /* those asked for, where not NULL */
    int64       next_user;      /* the first that has not been in a batch */
    int64       first_user;     /* of the batch */
    int32       next_list;      /* of the batch: whose list comes next */
    Datum       user_id;        /* whose list is being returned */
    bool        user_is_null;
    GnnHit     *list;
    int32       n;
    int32       place;          /* in the list, from 0 */
} Walk;

/* -------------------------------------------------------------------------------------------------------------------
 * users, batches, lists
 * ------------------------------------------------------------------------------------------------------------------- */

/* the node of a user to be listed; -1: the run does not know the user */
static int32
node_of(const Walk *w, int64 user)
{
    const GnnrecSnapshot *snapshot = w->batch.snapshot;

    if (w->asked.value == NULL)
        return (int32) user;
    if (w->asked.is_null[user])
        return -1;
    return gnnrec_snapshot_find(snapshot, GNNREC_USER, gnnrec_key_of(&snapshot->types[GNNREC_USER].key, w->asked.value[user]));
}

/* ranks the next users; false: there are none */
static bool
next_batch(Walk *w)
{
    GnnrecBatch *b = &w->batch;

    CHECK_FOR_INTERRUPTS();
    gnnrec_batch_clear(b);
    w->first_user = w->next_user;
    w->next_list = 0;
    for (; w->next_user < w->n_users && !gnnrec_batch_is_full(b); w->next_user++)
    {
        int32       node = node_of(w, w->next_user);
        GnnrecSnapshotRow seen = {0};

        if (node >= 0)
            gnnrec_snapshot_row(&seen, b->snapshot, node);
        gnnrec_batch_add(b, node, &seen);
    }
    gnnrec_batch_rank(b);
    return b->n > 0;
}

/* an id of the run is made in the batch's memory */
static void
set_user(Walk *w, int64 user)
{
    MemoryContext old = MemoryContextSwitchTo(w->batch.context);

    w->user_is_null = w->asked.value != NULL && w->asked.is_null[user];
    w->user_id = w->asked.value != NULL ? w->asked.value[user] : gnnrec_snapshot_id(w->batch.snapshot, GNNREC_USER, (int32) user);
    MemoryContextSwitchTo(old);
}

/* lists the next user; false: there is none */
static bool
next_list(Walk *w)
{
    if (w->next_list == w->batch.n && !next_batch(w))
        return false;
    set_user(w, w->first_user + w->next_list);
    w->n = gnnrec_batch_list(w->list, &w->batch, w->next_list++);
    w->place = 0;
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * the function
 * ------------------------------------------------------------------------------------------------------------------- */

enum {A_MODEL, A_ITEM_TYPE, A_K, A_USERS};

static void
read_users(Walk *w, FunctionCallInfo fcinfo, const GnnrecSnapshotNodes *users)
{
    w->n_users = users->n;
    if (PG_ARGISNULL(A_USERS))
        return;
    w->asked = gnnrec_serve_elements(PG_GETARG_ARRAYTYPE_P_COPY(A_USERS));
    w->n_users = w->asked.n;
}

/* in the memory context of the calls */
static Walk *
start(FunctionCallInfo fcinfo)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve(fcinfo, GNNREC_FROM_BOTH);
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];
    int32       k = gnnrec_serve_k(fcinfo, A_K, items->n);
    Walk       *w = palloc0(sizeof(Walk));

    gnnrec_serve_check_id(fcinfo, A_ITEM_TYPE, items);
    gnnrec_serve_check_ids(fcinfo, A_USERS, users);
    read_users(w, fcinfo, users);
    gnnrec_batch_init(&w->batch, snapshot, k, false, GNNREC_BATCH_USERS);
    w->list = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(GnnHit) * (Size) k);
    return w;
}

static TupleDesc
row_type(FunctionCallInfo fcinfo)
{
    TupleDesc   desc;

    if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "recommend_all_core must return rows");
    return BlessTupleDesc(desc);
}

/* the row at the walk's place */
static Datum
row(Walk *w, TupleDesc desc)
{
    GnnHit      hit = w->list[w->place++];
    Datum       values[4] = {w->user_id, gnnrec_snapshot_id(w->batch.snapshot, GNNREC_ITEM, hit.row),
                             Float4GetDatum(hit.score), Int32GetDatum(w->place)};
    bool        nulls[4] = {w->user_is_null};

    return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));
}

/* gnnrec.recommend_all_core(model, item_type, k, users) */
Datum
gnnrec_recommend_all_core(PG_FUNCTION_ARGS)
{
    FuncCallContext *calls;
    Walk       *w;

    if (SRF_IS_FIRSTCALL())
    {
        MemoryContext old;

        calls = SRF_FIRSTCALL_INIT();
        old = MemoryContextSwitchTo(calls->multi_call_memory_ctx);
        calls->tuple_desc = row_type(fcinfo);
        calls->user_fctx = start(fcinfo);
        MemoryContextSwitchTo(old);
    }
    calls = SRF_PERCALL_SETUP();
    w = calls->user_fctx;
    while (w->place == w->n)
        if (!next_list(w))
            SRF_RETURN_DONE(calls);
    SRF_RETURN_NEXT(calls, row(w, calls->tuple_desc));
}
