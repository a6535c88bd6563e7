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
#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "storage/bufmgr.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/pg_locale.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/guc.h"
#include "pg/role.h"

#define ROWS_A_TICK 65536
#define FIRST_ROWS 65536
#define MAX_UNKNOWN_NAMED 5

/* clocks and time zones may differ by that much, seconds */
#define SLACK SECS_PER_DAY

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

/* the row is not before a time, given as an SQL expression of seconds since 1970; an index on the column can find such rows */
static char *
time_condition(const GnnrecRelation *r, const char *seconds)
{
    Oid         type = getBaseType(gnnrec_source_column_type(r->source, r->time_column));
    const char *column = quote_identifier(r->time_column);

    if (is_calendar_type(type))
        return psprintf("s.%s OPERATOR(pg_catalog.>=) pg_catalog.to_timestamp(%s)", column, seconds);
    return psprintf("s.%s::pg_catalog.float8 OPERATOR(pg_catalog.>=) %s", column, seconds);
}

static char *
since_condition(const GnnrecRelation *r)
{
    return time_condition(r, psprintf("%.17g", gnnrec_unix_seconds(r->since)));
}

/* the relation as a query */
static char *
build_query(const GnnrecRelation *r)
{
    StringInfoData q;

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
    if (r->has_since)
        appendStringInfo(&q, " WHERE %s", since_condition(r));
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
    bool        hides;
} EventWeight;

typedef struct EventWeights
{
    int         n;
    EventWeight *kinds;
    bool        others_hide;    /* rows without a kind hide their item */
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
read_weights(EventWeights *out, const Jsonb *weights)
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

/* few kinds, so a linear search is faster than a hash */
static const EventWeight *
find_kind(const EventWeights *weights, const char *kind, int len)
{
    for (int i = 0; i < weights->n; i++)
        if (weights->kinds[i].len == len && memcmp(weights->kinds[i].kind, kind, len) == 0)
            return &weights->kinds[i];
    return NULL;
}

static void
note_seen_event(EventWeights *weights, Datum kind, bool isnull)
{
    char       *name = isnull ? "NULL" : TextDatumGetCString(kind);

    for (int i = 0; i < weights->n; i++)
        if (!isnull && strcmp(weights->kinds[i].kind, name) == 0)
        {
            weights->kinds[i].hides = true;
            return;
        }
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("seen_events names a kind of event that event_weights does not: \"%s\"", name),
             errhint("Interactions of other kinds are not read. Give it a weight: 0 is seen, but no sign of interest.")));
}

/* the weight of each kind of event, and whether it hides the item */
static void
read_event_weights(EventWeights *out, const GnnrecRelation *r)
{
    Datum      *kinds;
    bool       *nulls;
    int         n;

    memset(out, 0, sizeof(*out));
    if (r->event_weights != NULL)
        read_weights(out, r->event_weights);
    out->others_hide = r->seen_events == NULL;
    if (r->seen_events == NULL)
        for (int i = 0; i < out->n; i++)
            out->kinds[i].hides = true;
    else
    {
        deconstruct_array(r->seen_events, TEXTOID, -1, false, TYPALIGN_INT, &kinds, &nulls, &n);
        for (int i = 0; i < n; i++)
            note_seen_event(out, kinds[i], nulls[i]);
    }
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Rows to interactions
 * ------------------------------------------------------------------------------------------------------------------ */

/* what one row says, once its columns are checked */
typedef struct Row
{
    float       weight;
    double      time;
    bool        hides;          /* the item from the user */
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

/* what the row's kind of event says; NULL: to be skipped */
static const EventWeight *
kind_of_event(Reader *reader, Datum value, bool isnull)
{
    const EventWeight *known;
    struct varlena *kind;

    if (isnull)
    {
        note_unknown_event(reader, "NULL", 4);
        return NULL;
    }
    kind = PG_DETOAST_DATUM_PACKED(value);
    known = find_kind(&reader->weights, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind));
    if (known == NULL)
        note_unknown_event(reader, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind));
    return known;
}

/* the optional columns of a row, in the order of build_query; false: the row is to be skipped, and has been counted */
static bool
read_row(Reader *reader, Row *row, const Datum *values, const bool *nulls)
{
    const GnnrecRelation *r = reader->relation;
    int         column = 2;
    double      weight = 1.0;

    row->time = 0;
    row->hides = reader->weights.others_hide;
    if (r->event_column != NULL)
    {
        const EventWeight *kind = kind_of_event(reader, values[column], nulls[column]);

        if (kind == NULL)
            return false;
        weight = kind->weight;
        row->hides = kind->hides;
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
    if (r->seen_events != NULL)
        out->hides = grown(reader, out->hides, sizeof(bool));
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
    if (out->hides != NULL)
        out->hides[out->n] = row->hides;
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

/* before a query is made: of a column that is gone it would say less; of the time column, making it says as much */
static void
check_columns(const GnnrecRelation *r, Oid from_wanted, Oid to_wanted)
{
    if (r->event_column != NULL)
        gnnrec_source_column_type(r->source, r->event_column);
    if (r->value_column != NULL)
        gnnrec_source_column_type(r->source, r->value_column);
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
 * normalised graph, so this needs no "now" and the same rows give the same model tomorrow. A row of the future is as old as
 * if it were of now: one mistyped year would leave nothing of all the others. Returns how many of those there are.
 */
static int64
decay(float *weight, const double *time, int64 n, double half_life)
{
    double      latest = gnnrec_unix_seconds(GetCurrentTimestamp()) + SLACK;
    double      newest = -INFINITY;
    int64       future = 0;

    for (int64 i = 0; i < n; i++)
    {
        newest = Max(newest, Min(time[i], latest));
        future += time[i] > latest;
    }
    for (int64 i = 0; i < n; i++)
        weight[i] *= (float) exp2((Min(time[i], latest) - newest) / half_life);
    return future;
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
    check_columns(r, from_ids->type.type, to_ids->type.type);
    reader.relation = r;
    reader.out = out;
    reader.from_ids = from_ids;
    reader.to_ids = to_ids;
    reader.tick = tick;
    reader.tick_arg = tick_arg;
    reader.result = CurrentMemoryContext;
    reader.row = AllocSetContextCreate(CurrentMemoryContext, "gnnrec row", ALLOCSET_DEFAULT_SIZES);
    read_event_weights(&reader.weights, r);
    grow(&reader);
    execute(&reader, sql, params);
    if (r->half_life != NULL)
        out->counts.future = decay(out->weight, out->time, out->n, half_life_seconds(r->half_life));
    out->unknown_events = joined(reader.unknown);
    MemoryContextDelete(reader.row);
}

void
gnnrec_source_read(GnnrecInteractions *out, const GnnrecRelation *r, GnnrecIdMap *from_ids, GnnrecIdMap *to_ids,
                   GnnrecReadTick tick, void *tick_arg)
{
    read_rows(out, r, from_ids, to_ids, tick, tick_arg, build_query(r), NULL);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * One user's rows
 *
 * A backend keeps, for each model, what it takes to read a user's rows: the definition, the query's plan, and what the live run
 * has read already. The row of the model tells whether that has changed (each change of the definition and each new run makes
 * a new version of it), the relation cache whether the source has, the name of a schema included.
 *
 * Without an index on the user column a call would scan the whole table: too much for a query that takes a tenth of a
 * millisecond otherwise, so it is done up to gnnrec.fresh_max_scan only. Of a view or a foreign table we cannot tell: it is
 * read.
 * ------------------------------------------------------------------------------------------------------------------ */

/* rows may come in later than their time says, or be committed later: we look back that far, seconds */
#define LATE 3600.0

/* weights of new rows double with each half-life: 2^this is where we stop */
#define MAX_DOUBLINGS 64.0

typedef struct UserReader
{
    int32       model_id;       /* hash key */
    bool        is_valid;
    bool        is_busy;        /* its plan is running */
    GnnrecModelVersion version;
    int64       run_id;
    int         max_events;     /* gnnrec.fresh_max_events then */
    MemoryContext context;      /* of what follows */
    const GnnrecRelation *relation;
    Oid         owner_table;    /* the model's owner is that table's */
    EventWeights weights;
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
same_version(const GnnrecModelVersion *a, const GnnrecModelVersion *b)
{
    return a->catalog == b->catalog && a->xmin == b->xmin && ItemPointerEquals((ItemPointer) &a->place, (ItemPointer) &b->place);
}

/* is it a whole, valid index that finds rows by the column? */
static bool
is_index_on(Oid index, AttrNumber column)
{
    Relation    rel = index_open(index, AccessShareLock);
    bool        found = rel->rd_index->indisvalid && rel->rd_index->indkey.values[0] == column
        && heap_attisnull(rel->rd_indextuple, Anum_pg_index_indpred, NULL)
        && (rel->rd_rel->relam == BTREE_AM_OID || rel->rd_rel->relam == HASH_AM_OID);

    index_close(rel, AccessShareLock);
    return found;
}

bool
gnnrec_source_has_index(const GnnrecRelation *r, const char *id_column)
{
    AttrNumber  column = get_attnum(r->source, id_column);
    Relation    source;
    ListCell   *cell;
    bool        found = false;

    if (strchr("rpm", get_rel_relkind(r->source)) == NULL)
        return true;
    source = table_open(r->source, AccessShareLock);
    foreach(cell, RelationGetIndexList(source))
        found |= is_index_on(lfirst_oid(cell), column);
    table_close(source, AccessShareLock);
    return found;
}

/* the relation, its partitions and what inherits from it are small enough to be scanned at a call */
static bool
is_small(Oid source)
{
    int64       room = (int64) gnnrec_fresh_max_scan * 1024 / BLCKSZ;
    ListCell   *cell;

    foreach(cell, find_all_inheritors(source, AccessShareLock, NULL))
    {
        Relation    rel = table_open(lfirst_oid(cell), NoLock);

        if (rel->rd_rel->relkind == RELKIND_RELATION || rel->rd_rel->relkind == RELKIND_MATVIEW)
            room -= RelationGetNumberOfBlocks(rel);
        else if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
            room = -1;          /* a foreign partition */
        table_close(rel, NoLock);
    }
    return room >= 0;
}

/* are the source and its columns still there? What was learned is served without them */
static bool
is_there(const GnnrecRelation *r)
{
    const char *columns[] = {r->from_column, r->to_column, r->event_column, r->value_column, r->time_column};

    if (get_rel_name(r->source) == NULL)
        return false;
    for (int i = 0; i < lengthof(columns); i++)
        if (columns[i] != NULL && get_attnum(r->source, columns[i]) <= 0)
            return false;
    return true;
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
    appendStringInfo(&q, "%s%ss.%s OPERATOR(pg_catalog.=) $1", build_query(r), r->has_since ? " AND " : " WHERE ",
                     quote_identifier(r->from_column));
    if (r->time_column != NULL)
        appendStringInfo(&q, " AND %s ORDER BY s.%s DESC", time_condition(r, "$2"), quote_identifier(r->time_column));
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
    EventWeights weights = {0};
    SPIPlanPtr  plan = NULL;

    read_event_weights(&weights, r);
    MemoryContextSwitchTo(old);
    reader->is_valid = true;    /* unless an invalidation comes in while we plan */
    reader->relation = NULL;
    reader->user_type = model->types[r->from_type].id_type;
    reader->item_type = model->types[r->to_type].id_type;
    if (is_there(r) && has_types(r, reader->user_type, reader->item_type))
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
    reader->has_index = plan != NULL && gnnrec_source_has_index(r, r->from_column);
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
    GnnrecInteractions counts = {0};
    Reader      rows = {.relation = r, .out = &counts, .result = CurrentMemoryContext, .weights = reader->weights};
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
        Row         row;
        MemoryContext old;

        heap_deform_tuple(SPI_tuptable->vals[i], desc, values, nulls);
        if (nulls[1] || !read_row(&rows, &row, values, nulls))
            continue;
        if (isnan(newest))
            newest = row.time;  /* rows come newest first: nothing but a common factor */
        old = MemoryContextSwitchTo(result);
        out->item[out->n] = datumCopy(values[1], item->attbyval, item->attlen);
        MemoryContextSwitchTo(old);
        out->weight[out->n] = r->half_life == NULL ? row.weight
            : decayed(row.weight, row.time, newest, half_life_seconds(r->half_life));
        out->hides[out->n] = row.hides;
        out->is_later[out->n++] = row.time > reader->newest;
    }
}

static void
execute_user_query(GnnrecUserEvents *out, UserReader *reader, Datum user_id, bool is_known, MemoryContext result)
{
    Datum       values[] = {user_id, Float8GetDatum(is_known ? reader->from : -INFINITY)};

    reader->is_busy = true;
    PG_TRY();
    {
        if (SPI_execute_plan(reader->plan, values, NULL, true, 0) != SPI_OK_SELECT)
            elog(ERROR, "could not read the interactions of a user");
        check_id_types(reader->relation, SPI_gettypeid(SPI_tuptable->tupdesc, 1), SPI_gettypeid(SPI_tuptable->tupdesc, 2),
                       reader->user_type, reader->item_type);
        collect_user_events(out, reader, result);
    }
    PG_FINALLY();
    {
        reader->is_busy = false;
    }
    PG_END_TRY();
}

void
gnnrec_source_user_events(GnnrecUserEvents *out, int32 model_id, int64 run_id, Datum user_id, bool is_known)
{
    UserReader *reader = find_user_reader(model_id);
    MemoryContext result = CurrentMemoryContext;
    GnnrecModelVersion version;
    bool        is_current;
    GnnrecRoleBefore before;

    memset(out, 0, sizeof(*out));
    if (gnnrec_fresh_max_events == 0 || !gnnrec_model_version(&version, model_id))
        return;
    if (reader->is_busy)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_RECURSION),
                 errmsg("the interactions of model number %d are made from its own recommendations", model_id)));
    is_current = reader->is_valid && reader->relation != NULL && reader->max_events == gnnrec_fresh_max_events
        && same_version(&reader->version, &version);
    before = gnnrec_role_become(gnnrec_relation_owner(is_current ? reader->owner_table
                                                      : gnnrec_model_by_id(model_id)->types[GNNREC_ITEM].table));
    SPI_connect();
    if (!is_current)
        renew(reader, &version, run_id);
    else if (reader->run_id != run_id)
        learn_run(reader, reader->relation, run_id);
    if (reader->plan == NULL && !is_known && is_there(reader->relation))
        check_columns(reader->relation, reader->user_type, reader->item_type);
    if (reader->plan != NULL && (reader->has_index || is_small(reader->relation->source)))
        execute_user_query(out, reader, user_id, is_known, result);
    SPI_finish();
    gnnrec_role_return(before);
}

void
gnnrec_source_advise(const GnnrecRelation *r)
{
    if (gnnrec_source_has_index(r, r->from_column))
        return;
    ereport(NOTICE,
            (errmsg("no index of \"%s\" begins with column \"%s\"", get_rel_name(r->source), r->from_column),
             errdetail("What users do after a training counts before the next one only while the table is smaller than "
                       "gnnrec.fresh_max_scan (%d kB).", gnnrec_fresh_max_scan),
             errhint("CREATE INDEX ON %s (%s);", gnnrec_relation_name(r->source), quote_identifier(r->from_column))));
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
    GnnrecRoleBefore before;

    memset(out, 0, sizeof(*out));
    if (!gnnrec_source_has_index(r, r->to_column) && !is_small(r->source))
        return;
    params->params[0] = (ParamExternData) {.value = item_id, .pflags = PARAM_FLAG_CONST,
                                           .ptype = gnnrec_source_column_type(r->source, r->to_column)};
    sql = psprintf("%s %s s.%s OPERATOR(pg_catalog.=) $1", build_query(r), r->has_since ? "AND" : "WHERE",
                   quote_identifier(r->to_column));
    before = gnnrec_role_become(gnnrec_relation_owner(model->types[GNNREC_ITEM].table));
    read_rows(out, r, user_ids, item_ids, NULL, NULL, sql, params);
    gnnrec_role_return(before);
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
    EventWeights ignored;

    check_kind(r->source);
    check_options(r);
    check_id_column(r->source, r->from_column);
    check_id_column(r->source, r->to_column);
    if (r->event_column != NULL)
        gnnrec_source_column_type(r->source, r->event_column);
    read_event_weights(&ignored, r);
    if (r->value_column != NULL)
        check_numeric_column(r->source, r->value_column, "value_column", false);
    if (r->time_column != NULL)
        check_numeric_column(r->source, r->time_column, "time_column", true);

    /* the server checks the rest, privileges included, when it plans and starts the query */
    SPI_connect();
    if (SPI_execute(psprintf("%s LIMIT 0", build_query(r)), true, 0) != SPI_OK_SELECT)
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
