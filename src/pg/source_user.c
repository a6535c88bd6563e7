/*
 * source_user.c: the interactions of one user as they are now; see source.h.
 *
 * A backend keeps, for each model, what it takes to read a user's rows: the definition, the query's plan, and what the live run
 * has read already. The row of the model tells whether that has changed (each change of the definition and each new run makes
 * a new version of it), the relation cache whether the source has, the name of a schema included.
 *
 * Without an index on the user column a call would scan the whole table: too much for a query that takes a tenth of a
 * millisecond otherwise, so it is done up to gnnrec.fresh_max_scan only. Of a view or a foreign table we cannot tell: it is
 * read.
 */
#include "postgres.h"

#include "pg/source.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/role.h"
#include "pg/source_rows.h"

/* rows may come in later than their time says, or be committed later: we look back that far, seconds */
#define LATE 3600.0

/* weights of new rows double with each half-life: 2^this is where we stop */
#define MAX_DOUBLINGS 64.0

typedef struct UserReader
{
    int32       model_id;       /* hash key */
    bool        is_valid;
    bool        is_busy;        /* its plan is being made, or is running */
    GnnrecModelVersion version;
    int64       run_id;
    int         max_events;     /* gnnrec.fresh_max_events then */
    MemoryContext context;      /* of what follows */
    const GnnrecRelation *relation;
    Oid         owner_table;    /* the model's owner is that table's */
    GnnrecEventWeights weights;
    double      newest;         /* time of the newest row that the run read; NaN: not known */
    double      from;           /* rows before this are the run's */
    bool        has_index;
    Oid         user_type;      /* of the model's ids */
    Oid         item_type;
    SPIPlanPtr  plan;           /* NULL: the source is gone, or holds ids of other types */
} UserReader;

static HTAB *user_readers = NULL;

/* relcache: InvalidOid means all */
static void
forget_source(Datum arg, Oid relation)
{
    HASH_SEQ_STATUS scan;
    UserReader *reader;

    hash_seq_init(&scan, user_readers);
    while ((reader = hash_seq_search(&scan)) != NULL)
        if (!OidIsValid(relation) || reader->relation == NULL || reader->relation->source == relation)
            reader->is_valid = false;
}

/* syscache: the query names schemas */
static void
forget_schemas(Datum arg, int cache, uint32 hash)
{
    forget_source(arg, InvalidOid);
}

static void
free_user_reader(UserReader *reader)
{
    if (reader->plan != NULL)
        SPI_freeplan(reader->plan);
    if (reader->context != NULL)
        MemoryContextDelete(reader->context);
    hash_search(user_readers, &reader->model_id, HASH_REMOVE, NULL);
}

/* before a reader is made: those of models that nobody will ask for again */
static void
forget_dropped_models(void)
{
    HASH_SEQ_STATUS scan;
    UserReader *reader;

    hash_seq_init(&scan, user_readers);
    while ((reader = hash_seq_search(&scan)) != NULL)
        if (!reader->is_busy && !gnnrec_model_exists(reader->model_id, GetActiveSnapshot()))
            free_user_reader(reader);
}

static UserReader *
find_user_reader(int32 model_id)
{
    UserReader *reader;

    if (user_readers == NULL)
    {
        HASHCTL     control = {.keysize = sizeof(int32), .entrysize = sizeof(UserReader), .hcxt = TopMemoryContext};

        user_readers = hash_create("gnnrec user readers", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
        CacheRegisterRelcacheCallback(forget_source, (Datum) 0);
        CacheRegisterSyscacheCallback(NAMESPACEOID, forget_schemas, (Datum) 0);
    }
    reader = hash_search(user_readers, &model_id, HASH_FIND, NULL);
    if (reader != NULL)
        return reader;
    forget_dropped_models();
    reader = hash_search(user_readers, &model_id, HASH_ENTER, NULL);
    memset((char *) reader + sizeof(int32), 0, sizeof(UserReader) - sizeof(int32));
    return reader;
}

static bool
has_types(const GnnrecRelation *r, Oid user_type, Oid item_type)
{
    return gnnrec_source_column_type(r->source, r->from_column) == user_type
        && gnnrec_source_column_type(r->source, r->to_column) == item_type;
}

/* $1: the user, $2: the time rows are read from, where there is a time column */
static char *
user_query(const GnnrecRelation *r, int max_events)
{
    StringInfoData q;

    initStringInfo(&q);
    appendStringInfo(&q, "%s%ss.%s OPERATOR(pg_catalog.=) $1", gnnrec_source_query(r), r->has_since ? " AND " : " WHERE ",
                     quote_identifier(r->from_column));
    if (r->time_column != NULL)
        appendStringInfo(&q, " AND %s ORDER BY s.%s DESC", gnnrec_source_time_condition(r, "$2"),
                         quote_identifier(r->time_column));
    appendStringInfo(&q, " LIMIT %d", max_events);
    return q.data;
}

/* the plan is the same for all users: planning anew for each would take longer than reading */
static SPIPlanPtr
prepare_user_query(const GnnrecRelation *r, int max_events)
{
    Oid         types[] = {gnnrec_source_column_type(r->source, r->from_column), FLOAT8OID};
    char       *sql = user_query(r, max_events);
    SPIPlanPtr  plan = SPI_prepare_cursor(sql, r->time_column != NULL ? 2 : 1, types, CURSOR_OPT_GENERIC_PLAN);

    if (plan == NULL || SPI_keepplan(plan) != 0)
        elog(ERROR, "could not prepare \"%s\"", sql);
    return plan;
}

/* what the run has read: rows up to `newest` were there, or are late */
static void
learn_run(UserReader *reader, const GnnrecRelation *r, int64 run_id)
{
    GnnrecRun   run;

    reader->run_id = run_id;
    reader->newest = NAN;
    reader->from = -INFINITY;
    if (r->time_column == NULL || !gnnrec_run_by_id(&run, run_id, GetActiveSnapshot()))
        return;
    reader->newest = run.newest_event;
    if (!isnan(run.newest_event))
        reader->from = fmin(run.newest_event, run.reading_at) - LATE;
}

/* SPI is connected, as the model's owner; an error leaves the reader to be renewed by the next call */
static void
renew(UserReader *reader, const GnnrecModelVersion *version, int64 run_id)
{
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "gnnrec user reader", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    GnnrecModel *model = gnnrec_model_by_id(reader->model_id);
    const GnnrecRelation *r = &model->relations[0];
    GnnrecEventWeights weights = {0};
    SPIPlanPtr  plan = NULL;

    gnnrec_event_weights_read(&weights, r);
    MemoryContextSwitchTo(old);
    reader->is_valid = true;    /* unless an invalidation comes in while we plan */
    reader->relation = NULL;
    reader->user_type = model->types[r->from_type].id_type;
    reader->item_type = model->types[r->to_type].id_type;
    if (gnnrec_source_is_there(r) && has_types(r, reader->user_type, reader->item_type))
        plan = prepare_user_query(r, gnnrec_fresh_max_events);
    if (reader->plan != NULL)
        SPI_freeplan(reader->plan);
    reader->plan = plan;
    if (reader->context != NULL)
        MemoryContextDelete(reader->context);
    MemoryContextSetParent(context, TopMemoryContext);
    reader->context = context;
    reader->owner_table = model->types[GNNREC_ITEM].table;
    reader->weights = weights;
    reader->max_events = gnnrec_fresh_max_events;
    reader->version = *version;
    reader->has_index = plan != NULL && gnnrec_source_has_index(r->source, r->from_column);
    learn_run(reader, r, run_id);
    reader->relation = r;
}

/* weight, doubled with each half-life after the run's newest row */
static float
decayed(float weight, double time, double newest, double half_life)
{
    return weight * (float) exp2(fmin((time - newest) / half_life, MAX_DOUBLINGS));
}

/* the rows in SPI's table, checked and weighed like those of a training */
static void
collect_user_events(GnnrecUserEvents *out, UserReader *reader, MemoryContext result)
{
    const GnnrecRelation *r = reader->relation;
    GnnrecRowReader rows = {.relation = r, .context = CurrentMemoryContext, .weights = reader->weights};
    TupleDesc   desc = SPI_tuptable->tupdesc;
    Form_pg_attribute item = TupleDescAttr(desc, 1);
    int64       n = SPI_processed;
    double      newest = reader->newest;

    out->is_whole = r->time_column == NULL && n < reader->max_events;
    out->item = MemoryContextAlloc(result, sizeof(Datum) * Max(n, 1));
    out->weight = MemoryContextAlloc(result, sizeof(float) * Max(n, 1));
    out->hides = MemoryContextAlloc(result, sizeof(bool) * Max(n, 1));
    out->is_later = MemoryContextAlloc(result, sizeof(bool) * Max(n, 1));
    for (int64 i = 0; i < n; i++)
    {
        Datum       values[8];
        bool        nulls[8];
        GnnrecRow   row;
        MemoryContext old;

        heap_deform_tuple(SPI_tuptable->vals[i], desc, values, nulls);
        if (nulls[1] || !gnnrec_row_read(&rows, &row, values, nulls))
            continue;
        if (isnan(newest))
            newest = row.time;  /* rows come newest first: nothing but a common factor */
        old = MemoryContextSwitchTo(result);
        out->item[out->n] = datumCopy(values[1], item->attbyval, item->attlen);
        MemoryContextSwitchTo(old);
        out->weight[out->n] = r->half_life == NULL ? row.weight
            : decayed(row.weight, row.time, newest, gnnrec_half_life_seconds(r->half_life));
        out->hides[out->n] = row.hides;
        out->is_later[out->n++] = row.time > reader->newest;
    }
}

static void
execute_user_query(GnnrecUserEvents *out, UserReader *reader, Datum user_id, bool is_known, MemoryContext result)
{
    Datum       values[] = {user_id, Float8GetDatum(is_known ? reader->from : -INFINITY)};

    if (SPI_execute_plan(reader->plan, values, NULL, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not read the interactions of a user");
    gnnrec_source_check_types(reader->relation, SPI_gettypeid(SPI_tuptable->tupdesc, 1),
                              SPI_gettypeid(SPI_tuptable->tupdesc, 2), reader->user_type, reader->item_type);
    collect_user_events(out, reader, result);
}

/* SPI is connected, as the model's owner; version: NULL where the reader is current */
static void
read_events(GnnrecUserEvents *out, UserReader *reader, const GnnrecModelVersion *version, int64 run_id, Datum user_id,
            bool is_known, MemoryContext result)
{
    if (version != NULL)
        renew(reader, version, run_id);
    else if (reader->run_id != run_id)
        learn_run(reader, reader->relation, run_id);
    if (reader->plan == NULL && !is_known && gnnrec_source_is_there(reader->relation))
        gnnrec_source_check_columns(reader->relation, reader->user_type, reader->item_type);
    if (reader->plan != NULL && (reader->has_index || gnnrec_source_is_small(reader->relation->source)))
        execute_user_query(out, reader, user_id, is_known, result);
}

/* the lock that we may have to wait for brings the news of what has become of the source meanwhile */
static bool
is_current(const UserReader *reader, const GnnrecModelVersion *version)
{
    return reader->is_valid && reader->relation != NULL && reader->max_events == gnnrec_fresh_max_events
        && gnnrec_same_version(&reader->version, version) && gnnrec_source_lock(reader->relation->source) && reader->is_valid;
}

void
gnnrec_source_user_events(GnnrecUserEvents *out, int32 model_id, int64 run_id, Datum user_id, bool is_known)
{
    UserReader *volatile reader = find_user_reader(model_id);
    MemoryContext result = CurrentMemoryContext;
    GnnrecModelVersion version;
    bool        is_new;
    GnnrecRoleBefore before;

    memset(out, 0, sizeof(*out));
    if (gnnrec_fresh_max_events == 0 || !gnnrec_model_version(&version, model_id))
        return;
    if (reader->is_busy)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_RECURSION),
                 errmsg("the interactions of model number %d are made from its own recommendations", model_id)));
    is_new = !is_current(reader, &version);
    before = gnnrec_role_become(gnnrec_relation_owner(is_new ? gnnrec_model_by_id(model_id)->types[GNNREC_ITEM].table
                                                      : reader->owner_table));
    SPI_connect();
    reader->is_busy = true;
    PG_TRY();
    {
        read_events(out, reader, is_new ? &version : NULL, run_id, user_id, is_known, result);
    }
    PG_FINALLY();
    {
        reader->is_busy = false;
    }
    PG_END_TRY();
    SPI_finish();
    gnnrec_role_return(before);
}
