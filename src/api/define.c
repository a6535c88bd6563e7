/*
 * define.c: create_model, alter_model, drop_model.
 *
 * A model is a schema with tables and functions, which schema.h makes as the calling user, and rows of the extension's catalogue,
 * which are written here, after the checks.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "api/schema.h"
#include "pg/catalog.h"
#include "pg/config.h"
#include "pg/doomed.h"
#include "pg/job.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(gnnrec_create_model);
PG_FUNCTION_INFO_V1(gnnrec_alter_model);
PG_FUNCTION_INFO_V1(gnnrec_drop_model);
PG_FUNCTION_INFO_V1(gnnrec_forget_files);

/* ---------------------------------------------------------------------------------------------------------------------
 * Catalogue rows
 * ------------------------------------------------------------------------------------------------------------------ */

static Datum
null_or_text(const char *value)
{
    return value == NULL ? (Datum) 0 : DirectFunctionCall1(namein, CStringGetDatum(value));
}

static int32
insert_model(const char *name, Jsonb *params, int32 keep_runs, bool made_schema)
{
    Oid         types[] = {TEXTOID, JSONBOID, INT4OID, BOOLOID};
    Datum       values[] = {CStringGetTextDatum(name), JsonbPGetDatum(params), Int32GetDatum(keep_runs),
                            BoolGetDatum(made_schema)};
    bool        isnull;

    return DatumGetInt32(gnnrec_catalog_write(
        "INSERT INTO gnnrec.model (name, params, keep_runs, made_schema) VALUES ($1, $2, $3, $4) RETURNING model_id",
        4, types, values, NULL, &isnull));
}

static void
insert_node_type(int32 model_id, int type_no, const char *name, Oid id_type, Oid table)
{
    Oid         types[] = {INT4OID, INT4OID, TEXTOID, OIDOID, OIDOID};
    Datum       values[] = {Int32GetDatum(model_id), Int32GetDatum(type_no), CStringGetTextDatum(name),
                            ObjectIdGetDatum(id_type), ObjectIdGetDatum(table)};
    bool        isnull;

    gnnrec_catalog_write("INSERT INTO gnnrec.node_type (model_id, type_no, name, id_type, embedding_table) "
                         "VALUES ($1, $2, $3, $4, $5)",
                         5, types, values, NULL, &isnull);
}

/* the row of a relation: made, or changed where it is there already */
static void
write_relation(int32 model_id, int relation_no, const GnnrecRelation *r)
{
    Oid         types[] = {INT4OID, INT4OID, TEXTOID, OIDOID, INT4OID, NAMEOID, INT4OID, NAMEOID,
                           NAMEOID, JSONBOID, NAMEOID, NAMEOID, INTERVALOID, TIMESTAMPTZOID, TEXTARRAYOID};
    Datum       values[] = {Int32GetDatum(model_id), Int32GetDatum(relation_no), CStringGetTextDatum(r->name),
                            ObjectIdGetDatum(r->source), Int32GetDatum(r->from_type), null_or_text(r->from_column),
                            Int32GetDatum(r->to_type), null_or_text(r->to_column), null_or_text(r->event_column),
                            PointerGetDatum(r->event_weights), null_or_text(r->value_column), null_or_text(r->time_column),
                            PointerGetDatum(r->half_life), TimestampTzGetDatum(r->since),
                            PointerGetDatum(r->seen_events)};
    char        nulls[lengthof(values) + 1];
    bool        isnull;

    memset(nulls, ' ', sizeof(nulls));
    nulls[8] = r->event_column == NULL ? 'n' : ' ';
    nulls[9] = r->event_weights == NULL ? 'n' : ' ';
    nulls[10] = r->value_column == NULL ? 'n' : ' ';
    nulls[11] = r->time_column == NULL ? 'n' : ' ';
    nulls[12] = r->half_life == NULL ? 'n' : ' ';
    nulls[13] = r->has_since ? ' ' : 'n';
    nulls[14] = r->seen_events == NULL ? 'n' : ' ';
    nulls[15] = '\0';
    gnnrec_catalog_write(
        "INSERT INTO gnnrec.relation (model_id, relation_no, name, source, from_type, from_column, to_type, to_column, "
        "event_column, event_weights, value_column, time_column, half_life, since, "
        "seen_events) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) "
        "ON CONFLICT (model_id, relation_no) DO UPDATE SET source = $4, from_column = $6, to_column = $8, event_column = $9, "
        "event_weights = $10, value_column = $11, time_column = $12, half_life = $13, since = $14, "
        "seen_events = $15",
        lengthof(values), types, values, nulls, &isnull);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * create_model
 * ------------------------------------------------------------------------------------------------------------------ */

static char *
name_argument(FunctionCallInfo fcinfo, int n)
{
    return PG_ARGISNULL(n) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(n)));
}

static void
required(FunctionCallInfo fcinfo, int n, const char *what)
{
    if (PG_ARGISNULL(n))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("%s must not be NULL", what)));
}

static void
check_model_name(const char *name)
{
    if (name[0] == '\0' || strlen(name) >= NAMEDATALEN)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_NAME),
                 errmsg("a model's name must have 1 to %d bytes", NAMEDATALEN - 1)));
}

static void
check_name_is_free(const char *name)
{
    if (gnnrec_model_name_is_taken(name))
        ereport(ERROR,
                (errcode(ERRCODE_DUPLICATE_OBJECT),
                 errmsg("model \"%s\" already exists", name),
                 errhint("gnnrec.alter_model changes it, gnnrec.drop_model drops it.")));
}

static void
check_keep_runs(int32 keep_runs)
{
    if (keep_runs < 1)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("keep_runs must be at least 1"),
                 errdetail("The live run counts.")));
}

/* the names, ranges and combination are right, whatever else is set later */
static void
check_params(const Jsonb *params)
{
    GnnConfig   config;

    gnn_config_defaults(&config);
    gnnrec_config_apply(&config, params);
}

enum {C_MODEL, C_SOURCE, C_USER_COLUMN, C_ITEM_COLUMN, C_EVENT_COLUMN, C_EVENT_WEIGHTS, C_VALUE_COLUMN, C_TIME_COLUMN,
      C_HALF_LIFE, C_SINCE, C_PARAMS, C_SCHEMA, C_KEEP_RUNS, C_SEEN_EVENTS};

Datum
gnnrec_create_model(PG_FUNCTION_ARGS)
{
    GnnrecRelation r = {.name = "interaction", .from_type = GNNREC_USER, .to_type = GNNREC_ITEM};
    char       *model;
    char       *schema;
    Oid         id_types[2];
    int32       model_id;
    bool        made_schema;
    Oid         tables[2];

    required(fcinfo, C_MODEL, "model");
    required(fcinfo, C_SOURCE, "source");
    required(fcinfo, C_USER_COLUMN, "user_column");
    required(fcinfo, C_ITEM_COLUMN, "item_column");
    required(fcinfo, C_PARAMS, "params");
    required(fcinfo, C_KEEP_RUNS, "keep_runs");
    model = text_to_cstring(PG_GETARG_TEXT_PP(C_MODEL));
    schema = PG_ARGISNULL(C_SCHEMA) ? model : name_argument(fcinfo, C_SCHEMA);
    r.source = PG_GETARG_OID(C_SOURCE);
    r.from_column = name_argument(fcinfo, C_USER_COLUMN);
    r.to_column = name_argument(fcinfo, C_ITEM_COLUMN);
    r.event_column = name_argument(fcinfo, C_EVENT_COLUMN);
    r.event_weights = PG_ARGISNULL(C_EVENT_WEIGHTS) ? NULL : PG_GETARG_JSONB_P(C_EVENT_WEIGHTS);
    r.value_column = name_argument(fcinfo, C_VALUE_COLUMN);
    r.time_column = name_argument(fcinfo, C_TIME_COLUMN);
    r.half_life = PG_ARGISNULL(C_HALF_LIFE) ? NULL : PG_GETARG_INTERVAL_P(C_HALF_LIFE);
    r.has_since = !PG_ARGISNULL(C_SINCE);
    r.since = r.has_since ? PG_GETARG_TIMESTAMPTZ(C_SINCE) : 0;
    r.seen_events = PG_ARGISNULL(C_SEEN_EVENTS) ? NULL : PG_GETARG_ARRAYTYPE_P(C_SEEN_EVENTS);

    check_model_name(model);
    check_keep_runs(PG_GETARG_INT32(C_KEEP_RUNS));
    check_params(PG_GETARG_JSONB_P(C_PARAMS));
    check_name_is_free(model);
    gnnrec_source_check(&r);
    id_types[GNNREC_USER] = gnnrec_source_column_type(r.source, r.from_column);
    id_types[GNNREC_ITEM] = gnnrec_source_column_type(r.source, r.to_column);

    made_schema = gnnrec_schema_make(schema, !PG_ARGISNULL(C_SCHEMA));
    model_id = insert_model(model, PG_GETARG_JSONB_P(C_PARAMS), PG_GETARG_INT32(C_KEEP_RUNS), made_schema);
    gnnrec_schema_make_objects(tables, schema, id_types[GNNREC_USER], id_types[GNNREC_ITEM]);
    for (int t = 0; t < lengthof(tables); t++)
        insert_node_type(model_id, t, t == GNNREC_USER ? "user" : "item", id_types[t], tables[t]);
    write_relation(model_id, 0, &r);
    gnnrec_source_advise(&r);
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * alter_model
 * ------------------------------------------------------------------------------------------------------------------ */

enum {A_MODEL, A_PARAMS, A_KEEP_RUNS, A_SOURCE, A_USER_COLUMN, A_ITEM_COLUMN, A_EVENT_COLUMN, A_EVENT_WEIGHTS, A_VALUE_COLUMN,
      A_TIME_COLUMN, A_HALF_LIFE, A_SINCE, A_RESET, A_NEW_NAME, A_SEEN_EVENTS};

/* one option of the relation that `reset` can take back */
static void
reset_option(GnnrecRelation *r, Jsonb **params, const char *option)
{
    if (strcmp(option, "event_column") == 0 || strcmp(option, "event_weights") == 0)
    {
        r->event_column = NULL;
        r->event_weights = NULL;
        r->seen_events = NULL;
    }
    else if (strcmp(option, "value_column") == 0)
        r->value_column = NULL;
    else if (strcmp(option, "time_column") == 0)
    {
        r->time_column = NULL;
        r->half_life = NULL;
        r->has_since = false;
    }
    else if (strcmp(option, "half_life") == 0)
        r->half_life = NULL;
    else if (strcmp(option, "since") == 0)
        r->has_since = false;
    else if (strcmp(option, "seen_events") == 0)
        r->seen_events = NULL;
    else if (strcmp(option, "params") == 0)
        *params = gnnrec_jsonb("{}");
    else
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("option \"%s\" cannot be reset", option),
                 errhint("These can: event_column (with event_weights and seen_events), value_column, "
                         "time_column (with half_life and since), half_life, since, seen_events, params.")));
}

static void
reset_options(GnnrecRelation *r, Jsonb **params, ArrayType *options)
{
    Datum      *values;
    bool       *nulls;
    int         n;

    deconstruct_array(options, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
    for (int i = 0; i < n; i++)
        if (!nulls[i])
            reset_option(r, params, TextDatumGetCString(values[i]));
}

/* the id types are part of the model's functions and tables: another source must have the same */
static void
check_same_id_types(const GnnrecModel *m, const GnnrecRelation *r)
{
    const struct {const char *column; int type;} ends[] = {{r->from_column, r->from_type}, {r->to_column, r->to_type}};

    for (int i = 0; i < lengthof(ends); i++)
    {
        Oid         was = m->types[ends[i].type].id_type;
        Oid         is = gnnrec_source_column_type(r->source, ends[i].column);

        if (was != is)
            ereport(ERROR,
                    (errcode(ERRCODE_DATATYPE_MISMATCH),
                     errmsg("column \"%s\" has type %s, but the model's ids have type %s",
                            ends[i].column, format_type_be(is), format_type_be(was)),
                     errhint("A model's functions are made for its id types: create another model.")));
    }
}

static void
update_model(int32 model_id, const char *name, Jsonb *params, int32 keep_runs)
{
    Oid         types[] = {INT4OID, TEXTOID, JSONBOID, INT4OID};
    Datum       values[] = {Int32GetDatum(model_id), CStringGetTextDatum(name), JsonbPGetDatum(params), Int32GetDatum(keep_runs)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.model SET name = $2, params = $3, keep_runs = $4 WHERE model_id = $1",
                         4, types, values, NULL, &isnull);
}

/* a || b, keys of b whose value is null taken away */
static Jsonb *
merged_params(Jsonb *a, Jsonb *b)
{
    Datum       merged = DirectFunctionCall2(jsonb_concat, JsonbPGetDatum(a), JsonbPGetDatum(b));

    /* the second argument, of arrays, is there since 18 */
    return DatumGetJsonbP(DirectFunctionCall2(jsonb_strip_nulls, merged, BoolGetDatum(false)));
}

/* the model as it is now that nobody else changes it: who did may have committed after our statement began */
static GnnrecModel *
locked(const GnnrecModel *m)
{
    GnnrecModel *now;

    gnnrec_job_lock_model(m);
    PushActiveSnapshot(GetLatestSnapshot());
    now = gnnrec_model_by_id(m->model_id);
    PopActiveSnapshot();
    return now;
}

Datum
gnnrec_alter_model(PG_FUNCTION_ARGS)
{
    GnnrecModel *m;
    GnnrecRelation r;
    Jsonb      *params;

    required(fcinfo, A_MODEL, "model");
    m = gnnrec_model_by_name(text_to_cstring(PG_GETARG_TEXT_PP(A_MODEL)), false);
    gnnrec_model_check_owner(m);
    m = locked(m);
    r = m->relations[0];
    params = m->params;
    if (!PG_ARGISNULL(A_RESET))
        reset_options(&r, &params, PG_GETARG_ARRAYTYPE_P(A_RESET));
    if (!PG_ARGISNULL(A_PARAMS))
        params = merged_params(params, PG_GETARG_JSONB_P(A_PARAMS));
    if (!PG_ARGISNULL(A_KEEP_RUNS))
        m->keep_runs = PG_GETARG_INT32(A_KEEP_RUNS);
    if (!PG_ARGISNULL(A_SOURCE))
        r.source = PG_GETARG_OID(A_SOURCE);
    if (!PG_ARGISNULL(A_USER_COLUMN))
        r.from_column = name_argument(fcinfo, A_USER_COLUMN);
    if (!PG_ARGISNULL(A_ITEM_COLUMN))
        r.to_column = name_argument(fcinfo, A_ITEM_COLUMN);
    if (!PG_ARGISNULL(A_EVENT_COLUMN))
        r.event_column = name_argument(fcinfo, A_EVENT_COLUMN);
    if (!PG_ARGISNULL(A_EVENT_WEIGHTS))
        r.event_weights = PG_GETARG_JSONB_P(A_EVENT_WEIGHTS);
    if (!PG_ARGISNULL(A_VALUE_COLUMN))
        r.value_column = name_argument(fcinfo, A_VALUE_COLUMN);
    if (!PG_ARGISNULL(A_TIME_COLUMN))
        r.time_column = name_argument(fcinfo, A_TIME_COLUMN);
    if (!PG_ARGISNULL(A_HALF_LIFE))
        r.half_life = PG_GETARG_INTERVAL_P(A_HALF_LIFE);
    if (!PG_ARGISNULL(A_SINCE))
    {
        r.has_since = true;
        r.since = PG_GETARG_TIMESTAMPTZ(A_SINCE);
    }
    if (!PG_ARGISNULL(A_SEEN_EVENTS))
        r.seen_events = PG_GETARG_ARRAYTYPE_P(A_SEEN_EVENTS);
    if (!PG_ARGISNULL(A_NEW_NAME))
    {
        m->name = text_to_cstring(PG_GETARG_TEXT_PP(A_NEW_NAME));
        check_model_name(m->name);
        check_name_is_free(m->name);
    }
    check_keep_runs(m->keep_runs);
    check_params(params);
    gnnrec_source_check(&r);
    check_same_id_types(m, &r);
    update_model(m->model_id, m->name, params, m->keep_runs);
    write_relation(m->model_id, 0, &r);
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * drop_model
 * ------------------------------------------------------------------------------------------------------------------ */

static void
delete_rows(int32 model_id)
{
    static const char *const statements[] = {
        "DELETE FROM gnnrec.run WHERE model_id = $1",
        "DELETE FROM gnnrec.relation WHERE model_id = $1",
        "DELETE FROM gnnrec.node_type WHERE model_id = $1",
        "DELETE FROM gnnrec.model WHERE model_id = $1",
    };
    Oid         types[] = {INT4OID};
    Datum       values[] = {Int32GetDatum(model_id)};
    bool        isnull;

    for (int i = 0; i < lengthof(statements); i++)
        gnnrec_catalog_write(statements[i], 1, types, values, NULL, &isnull);
}

Datum
gnnrec_drop_model(PG_FUNCTION_ARGS)
{
    bool        if_exists = PG_GETARG_BOOL(1);
    char       *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    GnnrecModel *m = gnnrec_model_by_name(name, if_exists);

    if (m == NULL)
    {
        ereport(NOTICE, (errmsg("model \"%s\" does not exist, skipping", name)));
        PG_RETURN_VOID();
    }
    gnnrec_model_check_owner(m);
    gnnrec_job_lock_model(m);
    gnnrec_job_stop(m->model_id);
    gnnrec_doom_model(m->model_id);
    gnnrec_schema_drop(m, PG_GETARG_BOOL(2));
    delete_rows(m->model_id);
    PG_RETURN_VOID();
}

/* forget_files(): the extension is about to be dropped, perhaps; where it is not, nothing happens */
Datum
gnnrec_forget_files(PG_FUNCTION_ARGS)
{
    gnnrec_doom_extension();
    PG_RETURN_VOID();
}
