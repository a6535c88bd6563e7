/*
 * catalog.c: reading and writing the tables that describe models and runs; see catalog.h.
 *
 * Reads go through the catalogue scan API with the snapshot the caller names: nothing is cached, so nothing can be stale.
 * Tables are found by name in the extension's own schema at every call; two look-ups in the system cache.
 */
#include "postgres.h"

#include "pg/catalog.h"

#include <math.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tstoreReceiver.h"
#include "miscadmin.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/role.h"

/* column numbers: the order in the install script */
enum {MODEL_ID = 1, MODEL_NAME, MODEL_PARAMS, MODEL_KEEP_RUNS, MODEL_LIVE_RUN, MODEL_MADE_SCHEMA};
enum {TYPE_MODEL = 1, TYPE_NO, TYPE_NAME, TYPE_ID_TYPE, TYPE_TABLE, TYPE_CATALOGUE, TYPE_CATALOGUE_ID};
enum {REL_MODEL = 1, REL_NO, REL_NAME, REL_SOURCE, REL_FROM_TYPE, REL_FROM_COLUMN, REL_TO_TYPE, REL_TO_COLUMN,
      REL_EVENT_COLUMN, REL_EVENT_WEIGHTS, REL_VALUE_COLUMN, REL_TIME_COLUMN, REL_HALF_LIFE, REL_SINCE, REL_SEEN_EVENTS,
      REL_RELATION_COLUMN, REL_WEIGHT, REL_BEHAVIOURS, REL_TARGET_EVENT};
enum {FEATURE_MODEL = 1, FEATURE_NO, FEATURE_TYPE, FEATURE_COLUMN, FEATURE_KIND, FEATURE_SIZE};
enum {RUN_FEATURE_RUN = 1, RUN_FEATURE_NO, RUN_FEATURE_COLUMN, RUN_FEATURE_KIND, RUN_FEATURE_SIZE};
enum {COLUMN_RUN = 1, COLUMN_FEATURE, COLUMN_NO, COLUMN_VALUE, COLUMN_MEAN, COLUMN_DEVIATION, COLUMN_EMBEDDING};
enum {RUN_ID = 1, RUN_MODEL, RUN_STATUS, RUN_METRICS = 8, RUN_MESSAGE, RUN_PARAMS, RUN_STORED, RUN_PID, RUN_REQUESTED_AT = 17,
      RUN_STARTED_AT, RUN_EXPLAINABLE = 20, RUN_NEWEST_EVENT, RUN_TASK, RUN_WEIGHTS};

/* more than any table has: ALTER EXTENSION UPDATE may add some while sessions have the library that knows none of them */
#define MAX_COLUMNS 64

/* what a scan hands each row to */
typedef void (*RowReader) (void *arg, HeapTuple row, Datum *values, bool *nulls);

Oid
gnnrec_catalog_table(const char *name)
{
    Oid         schema = get_namespace_oid("gnnrec", true);
    Oid         table = OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;

    if (!OidIsValid(table))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("table gnnrec.%s does not exist", name),
                 errhint("Run CREATE EXTENSION gnnrec in this database.")));
    return table;
}

/* a library may be newer than the tables: what comes after the last column it knows does not matter to it, what lacks does */
static void
check_columns(const char *table, int n_columns)
{
    static const struct
    {
        const char *table;
        int         last;
    }           known[] = {{"model", MODEL_MADE_SCHEMA}, {"node_type", TYPE_CATALOGUE_ID}, {"relation", REL_TARGET_EVENT},
                           {"feature", FEATURE_SIZE}, {"run", RUN_WEIGHTS}, {"run_feature", RUN_FEATURE_SIZE},
                           {"run_feature_column", COLUMN_EMBEDDING}};

    for (int i = 0; i < lengthof(known); i++)
        if (strcmp(known[i].table, table) == 0 && n_columns < known[i].last)
            ereport(ERROR,
                    (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                     errmsg("table gnnrec.%s is of an older version than the library", table),
                     errhint("Run ALTER EXTENSION gnnrec UPDATE in this database.")));
    if (n_columns > MAX_COLUMNS)
        elog(ERROR, "table gnnrec.%s has more than %d columns", table, MAX_COLUMNS);
}

/* hands the rows with the given key to a reader, in the order of the index; backwards and one only, where newest */
static int
scan(const char *table, const char *index, ScanKey key, int n_keys, Snapshot snapshot, bool newest, RowReader read, void *arg)
{
    Relation    rel = table_open(gnnrec_catalog_table(table), AccessShareLock);
    Relation    idx;
    Snapshot    held = IsMVCCSnapshot(snapshot) ? RegisterSnapshot(snapshot) : NULL;
    SysScanDesc sysscan;
    HeapTuple   row;
    Datum       values[MAX_COLUMNS];
    bool        nulls[MAX_COLUMNS];
    int         n = 0;

    check_columns(table, RelationGetDescr(rel)->natts);
    idx = index_open(gnnrec_catalog_table(index), AccessShareLock);
    sysscan = systable_beginscan_ordered(rel, idx, held != NULL ? held : snapshot, n_keys, key);
    while (HeapTupleIsValid(row = systable_getnext_ordered(sysscan, newest ? BackwardScanDirection : ForwardScanDirection)))
    {
        heap_deform_tuple(row, RelationGetDescr(rel), values, nulls);
        read(arg, row, values, nulls);
        n++;
        if (newest)
            break;
    }
    systable_endscan_ordered(sysscan);
    if (held != NULL)
        UnregisterSnapshot(held);
    index_close(idx, AccessShareLock);
    table_close(rel, AccessShareLock);
    return n;
}

static void
int4_key(ScanKey key, AttrNumber column, int32 value)
{
    ScanKeyInit(key, column, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(value));
}

static void
read_model(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    GnnrecModel *m = arg;

    m->model_id = DatumGetInt32(values[MODEL_ID - 1]);
    m->name = TextDatumGetCString(values[MODEL_NAME - 1]);
    m->params = DatumGetJsonbPCopy(values[MODEL_PARAMS - 1]);
    m->keep_runs = DatumGetInt32(values[MODEL_KEEP_RUNS - 1]);
    m->live_run = nulls[MODEL_LIVE_RUN - 1] ? 0 : DatumGetInt64(values[MODEL_LIVE_RUN - 1]);
    m->made_schema = DatumGetBool(values[MODEL_MADE_SCHEMA - 1]);
}

static char *
name_or_null(Datum value, bool isnull)
{
    return isnull ? NULL : pstrdup(NameStr(*DatumGetName(value)));
}

static void
read_node_type(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    GnnrecModel *m = arg;
    GnnrecNodeType *t;

    if (m->n_types >= GNN_MAX_TYPES)
        elog(ERROR, "model %d has more than %d node types", m->model_id, GNN_MAX_TYPES);
    t = &m->types[m->n_types++];
    t->type_no = DatumGetInt32(values[TYPE_NO - 1]);
    t->name = TextDatumGetCString(values[TYPE_NAME - 1]);
    t->id_type = DatumGetObjectId(values[TYPE_ID_TYPE - 1]);
    t->table = DatumGetObjectId(values[TYPE_TABLE - 1]);
    t->catalogue = nulls[TYPE_CATALOGUE - 1] ? InvalidOid : DatumGetObjectId(values[TYPE_CATALOGUE - 1]);
    t->catalogue_id = name_or_null(values[TYPE_CATALOGUE_ID - 1], nulls[TYPE_CATALOGUE_ID - 1]);
}

pg_noreturn static void incomplete(const GnnrecModel *m);

static void
incomplete(const GnnrecModel *m)
{
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("the definition of model \"%s\" is incomplete", m->name),
             errhint("Drop the model with gnnrec.drop_model and create it again.")));
}

/* types are read before relations */
static int
place_of_type(const GnnrecModel *m, int32 type_no)
{
    for (int t = 0; t < m->n_types; t++)
        if (m->types[t].type_no == type_no)
            return t;
    incomplete(m);
}

static void
read_relation(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    GnnrecModel *m = arg;
    GnnrecRelation *r;

    if (m->n_relations >= GNN_MAX_RELATIONS)
        elog(ERROR, "model %d has more than %d relations", m->model_id, GNN_MAX_RELATIONS);
    r = &m->relations[m->n_relations++];
    r->relation_no = DatumGetInt32(values[REL_NO - 1]);
    r->name = TextDatumGetCString(values[REL_NAME - 1]);
    r->source = DatumGetObjectId(values[REL_SOURCE - 1]);
    r->from_type = place_of_type(m, DatumGetInt32(values[REL_FROM_TYPE - 1]));
    r->from_column = name_or_null(values[REL_FROM_COLUMN - 1], false);
    r->to_type = place_of_type(m, DatumGetInt32(values[REL_TO_TYPE - 1]));
    r->to_column = name_or_null(values[REL_TO_COLUMN - 1], false);
    r->event_column = name_or_null(values[REL_EVENT_COLUMN - 1], nulls[REL_EVENT_COLUMN - 1]);
    r->event_weights = nulls[REL_EVENT_WEIGHTS - 1] ? NULL : DatumGetJsonbPCopy(values[REL_EVENT_WEIGHTS - 1]);
    r->value_column = name_or_null(values[REL_VALUE_COLUMN - 1], nulls[REL_VALUE_COLUMN - 1]);
    r->time_column = name_or_null(values[REL_TIME_COLUMN - 1], nulls[REL_TIME_COLUMN - 1]);
    if (!nulls[REL_HALF_LIFE - 1])
    {
        r->half_life = palloc(sizeof(Interval));
        *r->half_life = *DatumGetIntervalP(values[REL_HALF_LIFE - 1]);
    }
    r->has_since = !nulls[REL_SINCE - 1];
    r->since = r->has_since ? DatumGetTimestampTz(values[REL_SINCE - 1]) : 0;
    r->seen_events = nulls[REL_SEEN_EVENTS - 1] ? NULL : DatumGetArrayTypePCopy(values[REL_SEEN_EVENTS - 1]);
    r->relation_column = name_or_null(values[REL_RELATION_COLUMN - 1], nulls[REL_RELATION_COLUMN - 1]);
    r->weight = DatumGetFloat4(values[REL_WEIGHT - 1]);
    r->separate = strcmp(TextDatumGetCString(values[REL_BEHAVIOURS - 1]), "separate") == 0;
    r->target_event = nulls[REL_TARGET_EVENT - 1] ? NULL : TextDatumGetCString(values[REL_TARGET_EVENT - 1]);
}

/* a transaction's own view: its active snapshot, or a fresh one in a utility command that has none */
static Snapshot
active_snapshot(void)
{
    return ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot();
}

static void
read_live_run(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    if (!nulls[MODEL_LIVE_RUN - 1])
        *(int64 *) arg = DatumGetInt64(values[MODEL_LIVE_RUN - 1]);
}

static GnnrecModel *
read_whole_model(const char *index, ScanKey key)
{
    GnnrecModel *m = palloc0(sizeof(GnnrecModel));
    Snapshot    snapshot = active_snapshot();
    ScanKeyData by_id;

    if (scan("model", index, key, 1, snapshot, true, read_model, m) == 0)
        return NULL;
    int4_key(&by_id, TYPE_MODEL, m->model_id);
    scan("node_type", "node_type_pkey", &by_id, 1, snapshot, false, read_node_type, m);
    int4_key(&by_id, REL_MODEL, m->model_id);
    scan("relation", "relation_pkey", &by_id, 1, snapshot, false, read_relation, m);
    if (m->n_types <= GNNREC_ITEM || m->n_relations == 0)
        incomplete(m);
    return m;
}

/* what gnnrec_model_features has found */
typedef struct Features
{
    const GnnrecModel *model;
    int         n;
    GnnrecFeature *list;
} Features;

static void
read_feature(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    Features   *found = arg;

    if (found->n >= GNNREC_MAX_FEATURES)
        elog(ERROR, "model %d has more than %d features", found->model->model_id, GNNREC_MAX_FEATURES);
    found->list[found->n++] = (GnnrecFeature) {
        .feature_no = DatumGetInt32(values[FEATURE_NO - 1]),
        .type = place_of_type(found->model, DatumGetInt32(values[FEATURE_TYPE - 1])),
        .column = name_or_null(values[FEATURE_COLUMN - 1], false),
        .kind = TextDatumGetCString(values[FEATURE_KIND - 1]),
        .size = nulls[FEATURE_SIZE - 1] ? 0 : DatumGetInt32(values[FEATURE_SIZE - 1]),
    };
}

GnnrecFeature *
gnnrec_model_features(const GnnrecModel *model, int *n)
{
    Features    found = {.model = model, .list = palloc(sizeof(GnnrecFeature) * GNNREC_MAX_FEATURES)};
    ScanKeyData key;

    int4_key(&key, FEATURE_MODEL, model->model_id);
    scan("feature", "feature_pkey", &key, 1, active_snapshot(), false, read_feature, &found);
    *n = found.n;
    return found.list;
}

static void
name_key(ScanKey key, const char *name)
{
    ScanKeyEntryInitialize(key, 0, MODEL_NAME, BTEqualStrategyNumber, InvalidOid, DEFAULT_COLLATION_OID, F_TEXTEQ,
                           CStringGetTextDatum(name));
}

bool
gnnrec_model_name_is_taken(const char *name)
{
    ScanKeyData key;
    int64       run;

    name_key(&key, name);
    return scan("model", "model_name_key", &key, 1, active_snapshot(), true, read_live_run, &run) > 0;
}

GnnrecModel *
gnnrec_model_by_name(const char *name, bool missing_ok)
{
    ScanKeyData key;
    GnnrecModel *m;

    name_key(&key, name);
    m = read_whole_model("model_name_key", &key);
    if (m != NULL && (gnnrec_model_is_owned(m) || gnnrec_may_read(m->types[GNNREC_ITEM].table)))
        return m;
    if (!missing_ok)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("model \"%s\" does not exist", name),
                 errhint("gnnrec.models lists the models; gnnrec.create_model makes one.")));
    return NULL;
}

GnnrecModel *
gnnrec_model_by_id(int32 model_id)
{
    ScanKeyData key;
    GnnrecModel *m;

    int4_key(&key, MODEL_ID, model_id);
    m = read_whole_model("model_pkey", &key);
    if (m == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("model number %d does not exist", model_id),
                 errhint("The model was dropped, and this function is left over: drop it too.")));
    return m;
}

static void
read_model_of_items(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    if (DatumGetInt32(values[TYPE_NO - 1]) == GNNREC_ITEM)
        *(int32 *) arg = DatumGetInt32(values[TYPE_MODEL - 1]);
}

int32
gnnrec_model_of_table(Oid item_table)
{
    ScanKeyData key;
    int32       model_id = 0;

    ScanKeyInit(&key, TYPE_TABLE, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(item_table));
    scan("node_type", "node_type_embedding_table_idx", &key, 1, active_snapshot(), false, read_model_of_items, &model_id);
    return model_id;
}

int64
gnnrec_live_run(int32 model_id)
{
    ScanKeyData key;
    int64       run = 0;

    int4_key(&key, MODEL_ID, model_id);
    scan("model", "model_pkey", &key, 1, active_snapshot(), true, read_live_run, &run);
    return run;
}

static void
read_version(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    GnnrecModelVersion *version = arg;

    version->xmin = HeapTupleHeaderGetRawXmin(row->t_data);
    version->place = row->t_self;
    read_live_run(&version->live_run, row, values, nulls);
}

bool
gnnrec_model_version(GnnrecModelVersion *out, int32 model_id)
{
    ScanKeyData key;

    memset(out, 0, sizeof(*out));
    out->catalog = gnnrec_catalog_table("model");
    int4_key(&key, MODEL_ID, model_id);
    return scan("model", "model_pkey", &key, 1, active_snapshot(), true, read_version, out) > 0;
}

bool
gnnrec_same_version(const GnnrecModelVersion *a, const GnnrecModelVersion *b)
{
    return a->catalog == b->catalog && a->xmin == b->xmin && ItemPointerEquals((ItemPointer) &a->place, (ItemPointer) &b->place);
}

bool
gnnrec_model_exists(int32 model_id, Snapshot snapshot)
{
    ScanKeyData key;
    int64       run;

    int4_key(&key, MODEL_ID, model_id);
    return scan("model", "model_pkey", &key, 1, snapshot, true, read_live_run, &run) > 0;
}

bool
gnnrec_may_read(Oid embedding_table)
{
    bool        is_missing = false;

    return pg_class_aclcheck_ext(embedding_table, GetUserId(), ACL_SELECT, &is_missing) == ACLCHECK_OK && !is_missing
        && check_enable_rls(embedding_table, InvalidOid, true) != RLS_ENABLED;
}

bool
gnnrec_may_own(Oid item_table)
{
    if (superuser())
        return true;
    return get_rel_name(item_table) != NULL && gnnrec_owns_relation(item_table, GetUserId());
}

bool
gnnrec_may_see(Oid item_table)
{
    return gnnrec_may_own(item_table) || gnnrec_may_read(item_table);
}

bool
gnnrec_model_is_owned(const GnnrecModel *model)
{
    for (int i = 0; i < model->n_types; i++)
    {
        int         t = i == 0 ? GNNREC_ITEM : i == 1 ? GNNREC_USER : i;

        if (get_rel_name(model->types[t].table) != NULL)
            return gnnrec_may_own(model->types[t].table);
    }
    return true;
}

void
gnnrec_model_check_owner(const GnnrecModel *model)
{
    if (!gnnrec_model_is_owned(model))
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                 errmsg("must be owner of model \"%s\"", model->name),
                 errdetail("A model belongs to the owner of its item_embedding table.")));
}

/* what gnnrec_models_where is after, and has found */
typedef struct Sought
{
    bool        (*holds) (Oid item_table);
    ArrayBuildState *found;
} Sought;

static void
note_model(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    Sought     *sought = arg;

    if (DatumGetInt32(values[TYPE_NO - 1]) == GNNREC_ITEM && sought->holds(DatumGetObjectId(values[TYPE_TABLE - 1])))
        sought->found = accumArrayResult(sought->found, values[TYPE_MODEL - 1], false, INT4OID, CurrentMemoryContext);
}

ArrayType *
gnnrec_models_where(bool (*holds) (Oid item_table))
{
    Sought      sought = {holds, initArrayResult(INT4OID, CurrentMemoryContext, false)};

    scan("node_type", "node_type_pkey", NULL, 0, active_snapshot(), false, note_model, &sought);
    return DatumGetArrayTypeP(makeArrayResult(sought.found, CurrentMemoryContext));
}

Oid
gnnrec_model_reader(const GnnrecModel *model, Oid asker)
{
    return superuser_arg(asker) ? gnnrec_relation_owner(model->types[GNNREC_ITEM].table) : asker;
}

double
gnnrec_unix_seconds(TimestampTz t)
{
    return (double) t / USECS_PER_SEC + ((double) POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY;
}

static void
read_run(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    GnnrecRun  *run = arg;

    run->run_id = DatumGetInt64(values[RUN_ID - 1]);
    run->model_id = DatumGetInt32(values[RUN_MODEL - 1]);
    run->task = TextDatumGetCString(values[RUN_TASK - 1]);
    run->status = TextDatumGetCString(values[RUN_STATUS - 1]);
    run->metrics = nulls[RUN_METRICS - 1] ? NULL : DatumGetJsonbPCopy(values[RUN_METRICS - 1]);
    run->message = nulls[RUN_MESSAGE - 1] ? NULL : TextDatumGetCString(values[RUN_MESSAGE - 1]);
    run->params = DatumGetJsonbPCopy(values[RUN_PARAMS - 1]);
    run->stored = DatumGetBool(values[RUN_STORED - 1]);
    run->pid = nulls[RUN_PID - 1] ? 0 : DatumGetInt32(values[RUN_PID - 1]);
    run->requested_at = DatumGetTimestampTz(values[RUN_REQUESTED_AT - 1]);
    run->explainable = DatumGetBool(values[RUN_EXPLAINABLE - 1]);
    run->xmin = HeapTupleHeaderGetXmin(row->t_data);
    run->reading_at = nulls[RUN_STARTED_AT - 1] ? NAN : gnnrec_unix_seconds(DatumGetTimestampTz(values[RUN_STARTED_AT - 1]));
    run->newest_event = nulls[RUN_NEWEST_EVENT - 1] ? NAN : DatumGetFloat8(values[RUN_NEWEST_EVENT - 1]);
}

bool
gnnrec_run_by_id(GnnrecRun *out, int64 run_id, Snapshot snapshot)
{
    ScanKeyData key;

    ScanKeyInit(&key, RUN_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_id));
    return scan("run", "run_pkey", &key, 1, snapshot, true, read_run, out) > 0;
}

static void
read_weights(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    ArrayType **weights = arg;

    if (!nulls[RUN_WEIGHTS - 1])
        *weights = DatumGetArrayTypePCopy(values[RUN_WEIGHTS - 1]);
}

ArrayType *
gnnrec_run_weights(int64 run_id, Snapshot snapshot)
{
    ScanKeyData key;
    ArrayType  *weights = NULL;

    ScanKeyInit(&key, RUN_ID, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_id));
    scan("run", "run_pkey", &key, 1, snapshot, true, read_weights, &weights);
    return weights;
}

static void
read_run_feature(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    Features   *found = arg;

    if (found->n >= GNNREC_MAX_FEATURES)
        elog(ERROR, "a run has more than %d features", GNNREC_MAX_FEATURES);
    found->list[found->n++] = (GnnrecFeature) {
        .feature_no = DatumGetInt32(values[RUN_FEATURE_NO - 1]),
        .type = GNNREC_USER,
        .column = name_or_null(values[RUN_FEATURE_COLUMN - 1], false),
        .kind = TextDatumGetCString(values[RUN_FEATURE_KIND - 1]),
        .size = nulls[RUN_FEATURE_SIZE - 1] ? 0 : DatumGetInt32(values[RUN_FEATURE_SIZE - 1]),
    };
}

GnnrecFeature *
gnnrec_run_features(int64 run_id, int *n)
{
    Features    found = {.list = palloc(sizeof(GnnrecFeature) * GNNREC_MAX_FEATURES)};
    ScanKeyData key;

    ScanKeyInit(&key, RUN_FEATURE_RUN, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_id));
    scan("run_feature", "run_feature_pkey", &key, 1, active_snapshot(), false, read_run_feature, &found);
    *n = found.n;
    return found.list;
}

static void
read_run_column(void *arg, HeapTuple row, Datum *values, bool *nulls)
{
    GnnrecRunColumn *out = arg;

    *out = (GnnrecRunColumn) {.column_no = DatumGetInt32(values[COLUMN_NO - 1])};
    if (!nulls[COLUMN_VALUE - 1])
    {
        text       *value = DatumGetTextPCopy(values[COLUMN_VALUE - 1]);

        out->value = VARDATA(value);
        out->n_bytes = VARSIZE(value) - VARHDRSZ;
    }
    out->is_number = !nulls[COLUMN_MEAN - 1] && !nulls[COLUMN_DEVIATION - 1];
    if (out->is_number)
    {
        out->mean = DatumGetFloat8(values[COLUMN_MEAN - 1]);
        out->deviation = DatumGetFloat8(values[COLUMN_DEVIATION - 1]);
    }
    out->embedding = (const GnnrecEmbedding *) PG_DETOAST_DATUM_COPY(values[COLUMN_EMBEDDING - 1]);
}

bool
gnnrec_run_column(GnnrecRunColumn *out, int64 run_id, int32 feature_no, int32 column_no)
{
    ScanKeyData key[3];

    ScanKeyInit(&key[0], COLUMN_RUN, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run_id));
    int4_key(&key[1], COLUMN_FEATURE, feature_no);
    int4_key(&key[2], COLUMN_NO, column_no);
    return scan("run_feature_column", "run_feature_column_pkey", key, column_no < 0 ? 2 : 3, active_snapshot(), true,
                read_run_column, out) > 0;
}

bool
gnnrec_run_newest(GnnrecRun *out, int32 model_id, Snapshot snapshot)
{
    ScanKeyData key;

    int4_key(&key, RUN_MODEL, model_id);
    return scan("run", "run_model_idx", &key, 1, snapshot, true, read_run, out) > 0;
}

static GnnrecRoleBefore
become_owner(void)
{
    return gnnrec_role_become(gnnrec_relation_owner(gnnrec_catalog_table("model")));
}

Datum
gnnrec_catalog_write(const char *sql, int n_args, Oid *types, Datum *values, const char *nulls, bool *isnull)
{
    GnnrecRoleBefore before = become_owner();
    Datum       result = (Datum) 0;

    SPI_connect();
    if (SPI_execute_with_args(sql, n_args, types, values, nulls, false, 0) < 0)
        elog(ERROR, "could not execute \"%s\"", sql);
    *isnull = true;
    if (SPI_processed > 0 && SPI_tuptable != NULL)
    {
        result = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
        if (!*isnull)
            result = SPI_datumTransfer(result, TupleDescAttr(SPI_tuptable->tupdesc, 0)->attbyval,
                                       TupleDescAttr(SPI_tuptable->tupdesc, 0)->attlen);
    }
    SPI_finish();
    gnnrec_role_return(before);
    return result;
}

void
gnnrec_catalog_read(Tuplestorestate *out, TupleDesc type, const char *sql, ArrayType *models)
{
    GnnrecRoleBefore before = become_owner();
    DestReceiver *receiver = CreateDestReceiver(DestTuplestore);
    SPIExecuteOptions options = {.params = makeParamList(1), .read_only = true, .dest = receiver};
    int         result;

    options.params->params[0] = (ParamExternData) {.value = PointerGetDatum(models), .pflags = PARAM_FLAG_CONST,
                                                   .ptype = INT4ARRAYOID};
    SetTuplestoreDestReceiverParams(receiver, out, CurrentMemoryContext, false, type, "unexpected columns");
    SPI_connect();
    result = SPI_execute_extended(sql, &options);
    if (result != SPI_OK_SELECT && result != SPI_OK_UTILITY)
        elog(ERROR, "could not execute \"%s\"", sql);
    SPI_finish();
    gnnrec_role_return(before);
}

int64 *
gnnrec_stored_runs(int32 model_id, int *n)
{
    Oid         types[] = {INT4OID};
    Datum       values[] = {Int32GetDatum(model_id)};
    bool        isnull;
    Datum       runs = gnnrec_catalog_write("SELECT pg_catalog.array_agg(run_id) FROM gnnrec.run WHERE model_id = $1 AND stored",
                                            1, types, values, NULL, &isnull);
    Datum      *ids;
    int64      *out;

    *n = 0;
    if (isnull)
        return NULL;
    deconstruct_array(DatumGetArrayTypeP(runs), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &ids, NULL, n);
    out = palloc(sizeof(int64) * *n);
    for (int i = 0; i < *n; i++)
        out[i] = DatumGetInt64(ids[i]);
    return out;
}

bool
gnnrec_model_lock(int32 model_id)
{
    Oid         types[] = {INT4OID};
    Datum       values[] = {Int32GetDatum(model_id)};
    bool        isnull;

    gnnrec_catalog_write("SELECT model_id FROM gnnrec.model WHERE model_id = $1 FOR NO KEY UPDATE",
                         1, types, values, NULL, &isnull);
    return !isnull;
}
