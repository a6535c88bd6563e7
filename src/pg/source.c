/*
 * source.c: reading interactions; see source.h.
 *
 * One query text serves training and serving: id columns as they are, then the kind of event as text, the value and the
 * time (seconds) as float8, each only where the relation has it. All operators and functions in it are qualified: nothing
 * depends on the reader's search_path.
 */
#include "postgres.h"

#include "pg/source.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"

#define ROWS_A_TICK 65536
#define FIRST_ROWS 65536
#define MAX_UNKNOWN_NAMED 5

/* ---------------------------------------------------------------------------------------------------------------------
 * The query
 * ------------------------------------------------------------------------------------------------------------------ */

char *
gnnrec_relation_name(Oid relation)
{
    char       *name = get_rel_name(relation);

    if (name == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("the interaction table of this model does not exist any more"),
                 errhint("Point the model at another one: gnnrec.alter_model(model, source => 'schema.table').")));
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

Oid
gnnrec_source_column_type(Oid source, const char *column)
{
    AttrNumber  attno;

    gnnrec_relation_name(source);
    attno = get_attnum(source, column);
    if (attno <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", column, get_rel_name(source)),
                 errhint("Name the model's columns: user_column, item_column, event_column, value_column, time_column.")));
    return get_atttype(source, attno);
}

static bool
is_calendar_type(Oid type)
{
    return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

/* an SQL expression for the time column, in seconds since 1970 as float8 */
static char *
time_expression(const GnnrecRelation *r)
{
    Oid         type = getBaseType(gnnrec_source_column_type(r->source, r->time_column));
    const char *column = quote_identifier(r->time_column);

    if (is_calendar_type(type))
        return psprintf("pg_catalog.date_part('epoch', s.%s)", column);
    return psprintf("s.%s::pg_catalog.float8", column);
}

static double
unix_seconds(TimestampTz t)
{
    return (double) t / USECS_PER_SEC + ((double) POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

static char *
since_condition(const GnnrecRelation *r)
{
    Oid         type = getBaseType(gnnrec_source_column_type(r->source, r->time_column));
    const char *column = quote_identifier(r->time_column);

    if (is_calendar_type(type))
        return psprintf("s.%s OPERATOR(pg_catalog.>=) pg_catalog.to_timestamp(%.17g)", column, unix_seconds(r->since));
    return psprintf("s.%s::pg_catalog.float8 OPERATOR(pg_catalog.>=) %.17g", column, unix_seconds(r->since));
}

/* the relation as a query; for_user: only the rows whose from column is $1 */
static char *
build_query(const GnnrecRelation *r, bool for_user)
{
    StringInfoData q;
    const char *separator = " WHERE ";

    initStringInfo(&q);
    appendStringInfo(&q, "SELECT s.%s", quote_identifier(r->from_column));
    appendStringInfo(&q, ", s.%s", quote_identifier(r->to_column));
    if (r->event_column != NULL)
        appendStringInfo(&q, ", s.%s::pg_catalog.text", quote_identifier(r->event_column));
    if (r->value_column != NULL)
        appendStringInfo(&q, ", s.%s::pg_catalog.float8", quote_identifier(r->value_column));
    if (r->time_column != NULL)
        appendStringInfo(&q, ", %s", time_expression(r));
    appendStringInfo(&q, " FROM %s s", gnnrec_relation_name(r->source));
    if (for_user)
    {
        appendStringInfo(&q, "%ss.%s OPERATOR(pg_catalog.=) $1", separator, quote_identifier(r->from_column));
        separator = " AND ";
    }
    if (r->has_since)
        appendStringInfo(&q, "%s%s", separator, since_condition(r));
    return q.data;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Event weights
 * ------------------------------------------------------------------------------------------------------------------ */

typedef struct EventWeight
{
    char       *kind;
    int         len;
    float       weight;
} EventWeight;

typedef struct EventWeights
{
    int         n;
    EventWeight *kinds;
} EventWeights;

static float
weight_of_value(const JsonbValue *v, const char *kind)
{
    double      weight;

    if (v->type != jbvNumeric)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("the weight of event \"%s\" is not a number", kind),
                 errhint("event_weights looks like '{\"view\": 1, \"cart\": 3, \"buy\": 5, \"return\": -1}'.")));
    weight = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(v->val.numeric)));
    if (!isfinite((float) weight))
        ereport(ERROR,
                (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                 errmsg("the weight of event \"%s\" is not a finite real number", kind)));
    return (float) weight;
}

static void
read_event_weights(EventWeights *out, const Jsonb *weights)
{
    JsonbIterator *it = JsonbIteratorInit((JsonbContainer *) &weights->root);
    JsonbValue  v;
    JsonbIteratorToken token;
    int         n = 0;

    if (!JB_ROOT_IS_OBJECT(weights))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("event_weights must be a JSON object of event kinds and weights"),
                 errhint("For example '{\"view\": 1, \"cart\": 3, \"buy\": 5, \"return\": -1}'.")));
    out->n = JB_ROOT_COUNT(weights);
    out->kinds = palloc0(sizeof(EventWeight) * Max(out->n, 1));
    while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
        {
            out->kinds[n].kind = pnstrdup(v.val.string.val, v.val.string.len);
            out->kinds[n].len = v.val.string.len;
        }
        else if (token == WJB_VALUE)
        {
            out->kinds[n].weight = weight_of_value(&v, out->kinds[n].kind);
            n++;
        }
    }
}

void
gnnrec_source_check_event_weights(const Jsonb *weights)
{
    EventWeights ignored;

    read_event_weights(&ignored, weights);
}

/* few kinds, so a linear search is faster than a hash */
static const EventWeight *
find_kind(const EventWeights *weights, const char *kind, int len)
{
    for (int i = 0; i < weights->n; i++)
        if (weights->kinds[i].len == len && memcmp(weights->kinds[i].kind, kind, len) == 0)
            return &weights->kinds[i];
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Rows to interactions
 * ------------------------------------------------------------------------------------------------------------------ */

/* what one row says, once its columns are checked */
typedef struct Row
{
    float       weight;
    double      time;
} Row;

typedef struct Reader
{
    DestReceiver dest;          /* must be first */
    const GnnrecRelation *relation;
    GnnrecInteractions *out;
    GnnrecIdMap *from_ids;
    GnnrecIdMap *to_ids;
    GnnrecReadTick tick;
    void       *tick_arg;
    MemoryContext result;       /* holds the arrays */
    MemoryContext row;          /* reset after each row: detoasted ids */
    int64       capacity;
    EventWeights weights;
    List       *unknown;        /* names of unknown kinds, at most MAX_UNKNOWN_NAMED */
} Reader;

static void
note_unknown_event(Reader *reader, const char *kind, int len)
{
    ListCell   *cell;
    MemoryContext old;

    reader->out->counts.unknown_events++;
    if (list_length(reader->unknown) >= MAX_UNKNOWN_NAMED)
        return;
    foreach(cell, reader->unknown)
        if (strlen(lfirst(cell)) == len && memcmp(lfirst(cell), kind, len) == 0)
            return;
    old = MemoryContextSwitchTo(reader->result);
    reader->unknown = lappend(reader->unknown, pnstrdup(kind, len));
    MemoryContextSwitchTo(old);
}

/* the weight of the row's kind of event; false: to be skipped */
static bool
event_weight(Reader *reader, Datum value, bool isnull, float *weight)
{
    const EventWeight *known;
    struct varlena *kind;

    if (isnull)
    {
        note_unknown_event(reader, "NULL", 4);
        return false;
    }
    kind = PG_DETOAST_DATUM_PACKED(value);
    known = find_kind(&reader->weights, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind));
    if (known == NULL)
    {
        note_unknown_event(reader, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind));
        return false;
    }
    *weight = known->weight;
    return true;
}

/* the optional columns of a row, in the order of build_query; false: the row is to be skipped, and has been counted */
static bool
read_row(Reader *reader, Row *row, const Datum *values, const bool *nulls)
{
    const GnnrecRelation *r = reader->relation;
    int         column = 2;
    double      weight = 1.0;

    row->time = 0;
    if (r->event_column != NULL)
    {
        float       of_kind = 1.0f;

        if (!event_weight(reader, values[column], nulls[column], &of_kind))
            return false;
        weight = of_kind;
        column++;
    }
    if (r->value_column != NULL)
    {
        weight *= nulls[column] ? NAN : DatumGetFloat8(values[column]);
        column++;
    }
    if (r->time_column != NULL)
        row->time = nulls[column] ? NAN : DatumGetFloat8(values[column]);
    row->weight = (float) weight;
    if (!isfinite(row->weight) || !isfinite(row->time))
    {
        reader->out->counts.bad_values++;
        return false;
    }
    return true;
}

static void *
grown(Reader *reader, void *array, Size size)
{
    return array == NULL ? MemoryContextAllocHuge(reader->result, reader->capacity * size)
        : repalloc_huge(array, reader->capacity * size);
}

static void
grow(Reader *reader)
{
    GnnrecInteractions *out = reader->out;
    const GnnrecRelation *r = reader->relation;

    reader->capacity = reader->capacity == 0 ? FIRST_ROWS : reader->capacity + reader->capacity / 2;
    out->from = grown(reader, out->from, sizeof(int32));
    out->to = grown(reader, out->to, sizeof(int32));
    if (r->event_column != NULL || r->value_column != NULL || r->half_life != NULL)
        out->weight = grown(reader, out->weight, sizeof(float));
    if (r->time_column != NULL)
        out->time = grown(reader, out->time, sizeof(double));
}

static void
append_row(Reader *reader, Datum from, Datum to, const Row *row)
{
    GnnrecInteractions *out = reader->out;

    if (out->n == reader->capacity)
        grow(reader);
    out->from[out->n] = gnnrec_idmap_number(reader->from_ids, from);
    out->to[out->n] = gnnrec_idmap_number(reader->to_ids, to);
    if (out->weight != NULL)
        out->weight[out->n] = row->weight;
    if (out->time != NULL)
        out->time[out->n] = row->time;
    out->n++;
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
    Reader     *reader = (Reader *) self;
    GnnrecReadCounts *counts = &reader->out->counts;
    MemoryContext old = MemoryContextSwitchTo(reader->row);
    Row         row;

    slot_getallattrs(slot);
    counts->rows++;
    if (slot->tts_isnull[0] || slot->tts_isnull[1])
        counts->null_ids++;
    else if (read_row(reader, &row, slot->tts_values, slot->tts_isnull))
        append_row(reader, slot->tts_values[0], slot->tts_values[1], &row);
    MemoryContextSwitchTo(old);
    MemoryContextReset(reader->row);
    if (counts->rows % ROWS_A_TICK == 0 && reader->tick != NULL)
        reader->tick(reader->tick_arg, counts->rows);
    return true;
}

/* ids are read as what the model's types say: another type's would be read as pointers, or as parts of numbers */
static void
check_id_types(const GnnrecRelation *r, Oid from, Oid to, Oid from_wanted, Oid to_wanted)
{
    if (from != from_wanted || to != to_wanted)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("the id columns of %s have changed their type since the model was created",
                        gnnrec_relation_name(r->source)),
                 errhint("Drop the model and create it again.")));
}

/* before a query is made: of a column that is gone it would say less */
static void
check_id_columns(const GnnrecRelation *r, Oid from_wanted, Oid to_wanted)
{
    check_id_types(r, gnnrec_source_column_type(r->source, r->from_column),
                   gnnrec_source_column_type(r->source, r->to_column), from_wanted, to_wanted);
}

/* the source is locked by now, so its columns stay as they are here */
static void
startup(DestReceiver *self, int operation, TupleDesc row_type)
{
    const Reader *reader = (const Reader *) self;

    check_id_types(reader->relation, TupleDescAttr(row_type, 0)->atttypid, TupleDescAttr(row_type, 1)->atttypid,
                   reader->from_ids->type.type, reader->to_ids->type.type);
}

static void
nothing(DestReceiver *self)
{
}

static void
execute(Reader *reader, const char *sql, ParamListInfo params)
{
    SPIExecuteOptions options = {0};
    int         result;

    reader->dest.receiveSlot = receive;
    reader->dest.rStartup = startup;
    reader->dest.rShutdown = nothing;
    reader->dest.rDestroy = nothing;
    reader->dest.mydest = DestNone;
    options.params = params;
    options.read_only = true;
    options.dest = &reader->dest;
    SPI_connect();
    result = SPI_execute_extended(sql, &options);
    if (result != SPI_OK_SELECT && result != SPI_OK_UTILITY)
        elog(ERROR, "could not execute \"%s\"", sql);
    SPI_finish();
}

static double
half_life_seconds(const Interval *half_life)
{
    double      days = (double) half_life->month * DAYS_PER_MONTH + half_life->day;

    return days * SECS_PER_DAY + (double) half_life->time / USECS_PER_SEC;
}

/*
 * weight *= 2^(-age / half_life), age counted back from the newest row: a common factor changes nothing in the
 * normalised graph, so this needs no "now" and the same rows give the same model tomorrow.
 */
static void
decay(float *weight, const double *time, int64 n, double half_life)
{
    double      newest = -INFINITY;

    for (int64 i = 0; i < n; i++)
        newest = Max(newest, time[i]);
    for (int64 i = 0; i < n; i++)
        weight[i] *= (float) exp2((time[i] - newest) / half_life);
}

static char *
joined(List *names)
{
    StringInfoData s;
    ListCell   *cell;

    if (names == NIL)
        return NULL;
    initStringInfo(&s);
    foreach(cell, names)
        appendStringInfo(&s, "%s\"%s\"", s.len == 0 ? "" : ", ", (char *) lfirst(cell));
    return s.data;
}

/* the rows of a query, which build_query began */
static void
read_rows(GnnrecInteractions *out, const GnnrecRelation *r, GnnrecIdMap *from_ids, GnnrecIdMap *to_ids,
          GnnrecReadTick tick, void *tick_arg, const char *sql, ParamListInfo params)
{
    Reader      reader = {0};

    memset(out, 0, sizeof(*out));
    check_id_columns(r, from_ids->type.type, to_ids->type.type);
    reader.relation = r;
    reader.out = out;
    reader.from_ids = from_ids;
    reader.to_ids = to_ids;
    reader.tick = tick;
    reader.tick_arg = tick_arg;
    reader.result = CurrentMemoryContext;
    reader.row = AllocSetContextCreate(CurrentMemoryContext, "gnnrec row", ALLOCSET_DEFAULT_SIZES);
    if (r->event_weights != NULL)
        read_event_weights(&reader.weights, r->event_weights);
    grow(&reader);
    execute(&reader, sql, params);
    if (r->half_life != NULL)
        decay(out->weight, out->time, out->n, half_life_seconds(r->half_life));
    out->unknown_events = joined(reader.unknown);
    MemoryContextDelete(reader.row);
}

void
gnnrec_source_read(GnnrecInteractions *out, const GnnrecRelation *r, GnnrecIdMap *from_ids, GnnrecIdMap *to_ids,
                   GnnrecReadTick tick, void *tick_arg)
{
    read_rows(out, r, from_ids, to_ids, tick, tick_arg, build_query(r, false), NULL);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * One item's rows
 * ------------------------------------------------------------------------------------------------------------------ */

void
gnnrec_source_item_read(GnnrecInteractions *out, const GnnrecModel *model, GnnrecIdMap *user_ids, GnnrecIdMap *item_ids,
                        Datum item_id)
{
    const GnnrecRelation *r = &model->relations[0];
    ParamListInfo params = makeParamList(1);
    char       *sql;
    Oid         user;
    int         context;

    params->params[0] = (ParamExternData) {.value = item_id, .pflags = PARAM_FLAG_CONST,
                                           .ptype = gnnrec_source_column_type(r->source, r->to_column)};
    sql = psprintf("%s %s s.%s OPERATOR(pg_catalog.=) $1", build_query(r, false), r->has_since ? "AND" : "WHERE",
                   quote_identifier(r->to_column));
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(gnnrec_relation_owner(model->types[GNNREC_ITEM].table),
                           context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    read_rows(out, r, user_ids, item_ids, NULL, NULL, sql, params);
    SetUserIdAndSecContext(user, context);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * One user's rows
 * ------------------------------------------------------------------------------------------------------------------ */

/* a backend keeps one prepared plan a model; the text tells whether the definition has changed since */
typedef struct UserPlan
{
    int32       model_id;       /* hash key */
    char       *sql;
    Oid         user_type;
    SPIPlanPtr  plan;
} UserPlan;

static HTAB *user_plans = NULL;

static UserPlan *
find_user_plan(int32 model_id)
{
    UserPlan   *entry;
    bool        found;

    if (user_plans == NULL)
    {
        HASHCTL     control = {.keysize = sizeof(int32), .entrysize = sizeof(UserPlan), .hcxt = TopMemoryContext};

        user_plans = hash_create("gnnrec user plans", 16, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
    }
    entry = hash_search(user_plans, &model_id, HASH_ENTER, &found);
    if (!found)
    {
        entry->sql = NULL;
        entry->plan = NULL;
    }
    return entry;
}

static SPIPlanPtr
user_plan(const GnnrecModel *model, const char *sql, Oid user_type)
{
    UserPlan   *entry = find_user_plan(model->model_id);
    SPIPlanPtr  plan;

    if (entry->plan != NULL && entry->user_type == user_type && strcmp(entry->sql, sql) == 0)
        return entry->plan;
    plan = SPI_prepare(sql, 1, &user_type);
    if (plan == NULL || SPI_keepplan(plan) != 0)
        elog(ERROR, "could not prepare \"%s\"", sql);
    if (entry->plan != NULL)
        SPI_freeplan(entry->plan);
    if (entry->sql != NULL)
        pfree(entry->sql);
    entry->plan = NULL;
    entry->sql = MemoryContextStrdup(TopMemoryContext, sql);
    entry->user_type = user_type;
    entry->plan = plan;
    return plan;
}

/* the rows in SPI's table, checked and weighed like those of a training */
static void
collect_user_edges(GnnrecUserEdges *out, const GnnrecRelation *r, MemoryContext result)
{
    GnnrecInteractions counts = {0};
    Reader      reader = {.relation = r, .out = &counts, .result = CurrentMemoryContext};
    TupleDesc   desc = SPI_tuptable->tupdesc;
    Form_pg_attribute item = TupleDescAttr(desc, 1);
    int64       n = SPI_processed;
    double     *time = palloc(sizeof(double) * Max(n, 1));
    Datum       values[8];
    bool        nulls[8];
    MemoryContext old;

    if (r->event_weights != NULL)
        read_event_weights(&reader.weights, r->event_weights);
    out->item = MemoryContextAlloc(result, sizeof(Datum) * Max(n, 1));
    out->weight = MemoryContextAlloc(result, sizeof(float) * Max(n, 1));
    for (int64 i = 0; i < n; i++)
    {
        Row         row;

        heap_deform_tuple(SPI_tuptable->vals[i], desc, values, nulls);
        if (nulls[1] || !read_row(&reader, &row, values, nulls))
            continue;
        old = MemoryContextSwitchTo(result);
        out->item[out->n] = datumCopy(values[1], item->attbyval, item->attlen);
        MemoryContextSwitchTo(old);
        out->weight[out->n] = row.weight;
        time[out->n++] = row.time;
    }
    if (r->half_life != NULL)
        decay(out->weight, time, out->n, half_life_seconds(r->half_life));
}

void
gnnrec_source_user_edges(GnnrecUserEdges *out, const GnnrecModel *model, Datum user_id)
{
    const GnnrecRelation *r = &model->relations[0];
    Oid         user_type = model->types[r->from_type].id_type;
    Oid         item_type = model->types[r->to_type].id_type;
    MemoryContext result = CurrentMemoryContext;
    char       *sql;
    Oid         user;
    int         context;

    memset(out, 0, sizeof(*out));
    check_id_columns(r, user_type, item_type);
    sql = build_query(r, true);
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(gnnrec_relation_owner(model->types[GNNREC_ITEM].table),
                           context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    SPI_connect();
    if (SPI_execute_plan(user_plan(model, sql, user_type), &user_id, NULL, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not execute \"%s\"", sql);
    check_id_types(r, SPI_gettypeid(SPI_tuptable->tupdesc, 1), SPI_gettypeid(SPI_tuptable->tupdesc, 2), user_type, item_type);
    collect_user_edges(out, r, result);
    SPI_finish();
    SetUserIdAndSecContext(user, context);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Checks at definition time, and counting
 * ------------------------------------------------------------------------------------------------------------------ */

static void
check_kind(Oid source)
{
    char        kind = get_rel_relkind(source);

    if (strchr("rvmfp", kind) == NULL || kind == '\0')
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                 errmsg("%s is not a table, view, materialized view, foreign table or partitioned table",
                        gnnrec_relation_name(source))));
    if (get_rel_persistence(source) == RELPERSISTENCE_TEMP)
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                 errmsg("\"%s\" is temporary", get_rel_name(source)),
                 errdetail("The worker that trains is another session, which cannot read it.")));
}

/* two ids that are equal must have the same bytes, as every deterministic collation has it */
static void
check_id_column(Oid source, const char *column)
{
    GnnrecKeyType type;
    Oid         declared,
                collation;
    int32       typmod;

    gnnrec_key_type(&type, gnnrec_source_column_type(source, column));
    get_atttypetypmodcoll(source, get_attnum(source, column), &declared, &typmod, &collation);
    if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("column \"%s\" has a nondeterministic collation, which an id cannot have", column),
                 errhint("A view can give the column another collation: SELECT %s COLLATE \"C\" ...", column)));
}

static void
check_numeric_column(Oid source, const char *column, const char *option, bool calendar)
{
    Oid         type = getBaseType(gnnrec_source_column_type(source, column));

    if (calendar && is_calendar_type(type))
        return;
    switch (type)
    {
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case FLOAT4OID:
        case FLOAT8OID:
        case NUMERICOID:
            return;
    }
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH),
             errmsg("%s \"%s\" has type %s", option, column, format_type_be(type)),
             calendar ? errhint("It must be timestamptz, timestamp, date, or a number of seconds since 1970.")
             : errhint("It must be a number.")));
}

static void
check_options(const GnnrecRelation *r)
{
    if (r->event_weights != NULL && r->event_column == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("event_weights needs event_column"),
                 errhint("Name the column that holds the kind of event: event_column => 'event'.")));
    if (r->event_column != NULL && r->event_weights == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("event_column needs event_weights"),
                 errhint("Give each kind of event a weight: event_weights => '{\"view\": 1, \"buy\": 5}'.")));
    if ((r->half_life != NULL || r->has_since) && r->time_column == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("%s needs time_column", r->half_life != NULL ? "half_life" : "since"),
                 errhint("Name the column that holds the time of the event: time_column => 'created_at'.")));
    if (r->half_life != NULL && half_life_seconds(r->half_life) <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("half_life must be longer than zero")));
    if (r->has_since && TIMESTAMP_NOT_FINITE(r->since))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("since must be a finite time")));
}

void
gnnrec_source_check(const GnnrecRelation *r)
{
    check_kind(r->source);
    check_options(r);
    check_id_column(r->source, r->from_column);
    check_id_column(r->source, r->to_column);
    if (r->event_column != NULL)
        gnnrec_source_column_type(r->source, r->event_column);
    if (r->event_weights != NULL)
        gnnrec_source_check_event_weights(r->event_weights);
    if (r->value_column != NULL)
        check_numeric_column(r->source, r->value_column, "value_column", false);
    if (r->time_column != NULL)
        check_numeric_column(r->source, r->time_column, "time_column", true);

    /* the server checks the rest, privileges included, when it plans and starts the query */
    SPI_connect();
    if (SPI_execute(psprintf("%s LIMIT 0", build_query(r, false)), true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not read the source");
    SPI_finish();
}

void
gnnrec_source_count(const GnnrecRelation *r, int64 *n_rows, int64 *n_from, int64 *n_to)
{
    char       *sql = psprintf("SELECT pg_catalog.count(*), pg_catalog.count(DISTINCT s.%s), "
                               "pg_catalog.count(DISTINCT s.%s) FROM %s s%s%s",
                               quote_identifier(r->from_column), quote_identifier(r->to_column), gnnrec_relation_name(r->source),
                               r->has_since ? " WHERE " : "", r->has_since ? since_condition(r) : "");
    int64      *counts[] = {n_rows, n_from, n_to};
    bool        isnull;

    SPI_connect();
    if (SPI_execute(sql, true, 0) != SPI_OK_SELECT || SPI_processed != 1)
        elog(ERROR, "could not execute \"%s\"", sql);
    for (int i = 0; i < 3; i++)
        *counts[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &isnull));
    SPI_finish();
}
