/*
 * define.c: create_model, alter_model, drop_model.
 *
 * A model is a schema with tables and functions, which schema.h makes as the calling user, and rows of the extension's catalogue,
 * which are written after the checks (definition.h).
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"

#include "api/definition.h"
#include "api/schema.h"
#include "pg/catalog.h"
#include "pg/config.h"
#include "pg/doomed.h"
#include "pg/job.h"
#include "pg/parts.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(gnnrec_create_model);
PG_FUNCTION_INFO_V1(gnnrec_alter_model);
PG_FUNCTION_INFO_V1(gnnrec_drop_model);
PG_FUNCTION_INFO_V1(gnnrec_forget_files);

/* ---------------------------------------------------------------------------------------------------------------------
 * create_model
 * ------------------------------------------------------------------------------------------------------------------ */

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
      C_HALF_LIFE, C_SINCE, C_PARAMS, C_SCHEMA, C_KEEP_RUNS, C_SEEN_EVENTS, C_ITEMS, C_USERS, C_BEHAVIOURS, C_TARGET_EVENT};

static int32
insert_model(const GnnrecModel *m)
{
    Oid         types[] = {TEXTOID, JSONBOID, INT4OID, BOOLOID};
    Datum       values[] = {CStringGetTextDatum(m->name), JsonbPGetDatum(m->params), Int32GetDatum(m->keep_runs),
                            BoolGetDatum(m->made_schema)};
    bool        isnull;

    return DatumGetInt32(gnnrec_catalog_write(
        "INSERT INTO gnnrec.model (name, params, keep_runs, made_schema) VALUES ($1, $2, $3, $4) RETURNING model_id",
        4, types, values, NULL, &isnull));
}

/* 'separate', or 'merged' */
static bool
are_separate(const char *behaviours)
{
    if (strcmp(behaviours, "merged") != 0 && strcmp(behaviours, "separate") != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("behaviours must be 'merged' or 'separate'"),
                 errdetail("Merged, all kinds of event are one relation; separate, each is one, and target_event is learned.")));
    return strcmp(behaviours, "separate") == 0;
}

/* users and items, as a relation between them has their ids; argument: of the call, the catalogue */
static GnnrecNodeType
type_of_column(FunctionCallInfo fcinfo, int type_no, char *name, const GnnrecRelation *r, const char *column, int argument)
{
    GnnrecNodeType type = {.type_no = type_no, .name = name, .id_type = gnnrec_source_column_type(r->source, column)};

    if (!PG_ARGISNULL(argument))
        gnnrec_definition_set_catalogue(&type, PG_GETARG_OID(argument), NULL, column);
    return type;
}

/* what the call says of the interactions */
static GnnrecRelation
interactions_of_call(FunctionCallInfo fcinfo)
{
    return (GnnrecRelation) {
        .relation_no = GNNREC_INTERACTIONS,
        .name = "interaction",
        .source = PG_GETARG_OID(C_SOURCE),
        .from_type = GNNREC_USER,
        .to_type = GNNREC_ITEM,
        .from_column = gnnrec_name_argument(fcinfo, C_USER_COLUMN),
        .to_column = gnnrec_name_argument(fcinfo, C_ITEM_COLUMN),
        .event_column = gnnrec_name_argument(fcinfo, C_EVENT_COLUMN),
        .event_weights = PG_ARGISNULL(C_EVENT_WEIGHTS) ? NULL : PG_GETARG_JSONB_P(C_EVENT_WEIGHTS),
        .value_column = gnnrec_name_argument(fcinfo, C_VALUE_COLUMN),
        .time_column = gnnrec_name_argument(fcinfo, C_TIME_COLUMN),
        .half_life = PG_ARGISNULL(C_HALF_LIFE) ? NULL : PG_GETARG_INTERVAL_P(C_HALF_LIFE),
        .has_since = !PG_ARGISNULL(C_SINCE),
        .since = PG_ARGISNULL(C_SINCE) ? 0 : PG_GETARG_TIMESTAMPTZ(C_SINCE),
        .seen_events = PG_ARGISNULL(C_SEEN_EVENTS) ? NULL : PG_GETARG_ARRAYTYPE_P(C_SEEN_EVENTS),
        .weight = 1,
        .separate = are_separate(gnnrec_text_argument(fcinfo, C_BEHAVIOURS)),
        .target_event = gnnrec_text_argument(fcinfo, C_TARGET_EVENT),
    };
}

/* the call's arguments that NULL makes no sense of */
static void
check_required(FunctionCallInfo fcinfo)
{
    static const struct {int argument; const char *name;} needed[] = {
        {C_MODEL, "model"}, {C_SOURCE, "source"}, {C_USER_COLUMN, "user_column"}, {C_ITEM_COLUMN, "item_column"},
        {C_PARAMS, "params"}, {C_KEEP_RUNS, "keep_runs"}, {C_BEHAVIOURS, "behaviours"},
    };

    for (int i = 0; i < lengthof(needed); i++)
        gnnrec_required_argument(fcinfo, needed[i].argument, needed[i].name);
}

Datum
gnnrec_create_model(PG_FUNCTION_ARGS)
{
    GnnrecModel m = {.n_types = 2, .n_relations = 1};
    GnnrecRelation *r = &m.relations[GNNREC_INTERACTIONS];
    GnnrecNodeType *users = &m.types[GNNREC_USER];
    GnnrecNodeType *items = &m.types[GNNREC_ITEM];
    char       *schema;
    Oid         tables[2];

    check_required(fcinfo);
    m.name = gnnrec_text_argument(fcinfo, C_MODEL);
    m.params = PG_GETARG_JSONB_P(C_PARAMS);
    m.keep_runs = PG_GETARG_INT32(C_KEEP_RUNS);
    schema = PG_ARGISNULL(C_SCHEMA) ? m.name : gnnrec_name_argument(fcinfo, C_SCHEMA);
    *r = interactions_of_call(fcinfo);

    check_model_name(m.name);
    check_keep_runs(m.keep_runs);
    check_params(m.params);
    check_name_is_free(m.name);
    gnnrec_source_check(r);
    gnnrec_parts_check(&m);
    *users = type_of_column(fcinfo, GNNREC_USER, "user", r, r->from_column, C_USERS);
    *items = type_of_column(fcinfo, GNNREC_ITEM, "item", r, r->to_column, C_ITEMS);

    m.made_schema = gnnrec_schema_make(schema, !PG_ARGISNULL(C_SCHEMA));
    m.model_id = insert_model(&m);
    gnnrec_schema_make_objects(tables, schema, users->id_type, items->id_type);
    for (int t = 0; t < lengthof(tables); t++)
    {
        m.types[t].table = tables[t];
        gnnrec_definition_write_type(m.model_id, &m.types[t]);
    }
    gnnrec_definition_write_relation(m.model_id, r, m.types);
    gnnrec_source_advise(r);
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * alter_model
 * ------------------------------------------------------------------------------------------------------------------ */

enum {A_MODEL, A_PARAMS, A_KEEP_RUNS, A_SOURCE, A_USER_COLUMN, A_ITEM_COLUMN, A_EVENT_COLUMN, A_EVENT_WEIGHTS, A_VALUE_COLUMN,
      A_TIME_COLUMN, A_HALF_LIFE, A_SINCE, A_RESET, A_NEW_NAME, A_SEEN_EVENTS, A_ITEMS, A_USERS, A_BEHAVIOURS,
      A_TARGET_EVENT};

static void
reset_behaviours(GnnrecRelation *r)
{
    r->separate = false;
    r->target_event = NULL;
}

static void
reset_catalogue(GnnrecNodeType *type)
{
    type->catalogue = InvalidOid;
    type->catalogue_id = NULL;
}

/* one option of the model that `reset` can take back */
static void
reset_option(GnnrecModel *m, const char *option)
{
    GnnrecRelation *r = &m->relations[GNNREC_INTERACTIONS];

    if (strcmp(option, "event_column") == 0 || strcmp(option, "event_weights") == 0)
    {
        r->event_column = NULL;
        r->event_weights = NULL;
        r->seen_events = NULL;
        reset_behaviours(r);
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
    else if (strcmp(option, "behaviours") == 0)
        reset_behaviours(r);
    else if (strcmp(option, "target_event") == 0)
        r->target_event = NULL;
    else if (strcmp(option, "items") == 0)
        reset_catalogue(&m->types[GNNREC_ITEM]);
    else if (strcmp(option, "users") == 0)
        reset_catalogue(&m->types[GNNREC_USER]);
    else if (strcmp(option, "params") == 0)
        m->params = gnnrec_jsonb("{}");
    else
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("option \"%s\" cannot be reset", option),
                 errhint("These can: event_column (with event_weights, seen_events and behaviours), value_column, "
                         "time_column (with half_life and since), half_life, since, seen_events, behaviours (with target_event), "
                         "target_event, items, users, params.")));
}

static void
reset_options(GnnrecModel *m, ArrayType *options)
{
    Datum      *values;
    bool       *nulls;
    int         n;

    deconstruct_array(options, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
    for (int i = 0; i < n; i++)
        if (!nulls[i])
            reset_option(m, TextDatumGetCString(values[i]));
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
update_model(const GnnrecModel *m)
{
    Oid         types[] = {INT4OID, TEXTOID, JSONBOID, INT4OID};
    Datum       values[] = {Int32GetDatum(m->model_id), CStringGetTextDatum(m->name), JsonbPGetDatum(m->params),
                            Int32GetDatum(m->keep_runs)};
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

/* what the call changes of the interactions */
static void
change_interactions(GnnrecRelation *r, FunctionCallInfo fcinfo)
{
    if (!PG_ARGISNULL(A_SOURCE))
        r->source = PG_GETARG_OID(A_SOURCE);
    if (!PG_ARGISNULL(A_USER_COLUMN))
        r->from_column = gnnrec_name_argument(fcinfo, A_USER_COLUMN);
    if (!PG_ARGISNULL(A_ITEM_COLUMN))
        r->to_column = gnnrec_name_argument(fcinfo, A_ITEM_COLUMN);
    if (!PG_ARGISNULL(A_EVENT_COLUMN))
        r->event_column = gnnrec_name_argument(fcinfo, A_EVENT_COLUMN);
    if (!PG_ARGISNULL(A_EVENT_WEIGHTS))
        r->event_weights = PG_GETARG_JSONB_P(A_EVENT_WEIGHTS);
    if (!PG_ARGISNULL(A_VALUE_COLUMN))
        r->value_column = gnnrec_name_argument(fcinfo, A_VALUE_COLUMN);
    if (!PG_ARGISNULL(A_TIME_COLUMN))
        r->time_column = gnnrec_name_argument(fcinfo, A_TIME_COLUMN);
    if (!PG_ARGISNULL(A_HALF_LIFE))
        r->half_life = PG_GETARG_INTERVAL_P(A_HALF_LIFE);
    if (!PG_ARGISNULL(A_SINCE))
    {
        r->has_since = true;
        r->since = PG_GETARG_TIMESTAMPTZ(A_SINCE);
    }
    if (!PG_ARGISNULL(A_SEEN_EVENTS))
        r->seen_events = PG_GETARG_ARRAYTYPE_P(A_SEEN_EVENTS);
    if (!PG_ARGISNULL(A_BEHAVIOURS))
    {
        r->separate = are_separate(gnnrec_text_argument(fcinfo, A_BEHAVIOURS));
        if (!r->separate)
            r->target_event = NULL;
    }
    if (!PG_ARGISNULL(A_TARGET_EVENT))
        r->target_event = gnnrec_text_argument(fcinfo, A_TARGET_EVENT);
}

/* and of the model itself */
static void
change_model(GnnrecModel *m, FunctionCallInfo fcinfo)
{
    if (!PG_ARGISNULL(A_PARAMS))
        m->params = merged_params(m->params, PG_GETARG_JSONB_P(A_PARAMS));
    if (!PG_ARGISNULL(A_KEEP_RUNS))
        m->keep_runs = PG_GETARG_INT32(A_KEEP_RUNS);
    if (!PG_ARGISNULL(A_NEW_NAME))
    {
        m->name = gnnrec_text_argument(fcinfo, A_NEW_NAME);
        check_model_name(m->name);
        check_name_is_free(m->name);
    }
}

Datum
gnnrec_alter_model(PG_FUNCTION_ARGS)
{
    GnnrecModel *m;
    GnnrecRelation *r;
    GnnrecRoleBefore before;

    gnnrec_required_argument(fcinfo, A_MODEL, "model");
    m = gnnrec_definition_open(gnnrec_text_argument(fcinfo, A_MODEL));
    r = &m->relations[GNNREC_INTERACTIONS];
    if (!PG_ARGISNULL(A_RESET))
        reset_options(m, PG_GETARG_ARRAYTYPE_P(A_RESET));
    change_interactions(r, fcinfo);
    change_model(m, fcinfo);
    check_keep_runs(m->keep_runs);
    check_params(m->params);
    before = gnnrec_definition_become_reader(m);
    gnnrec_source_check(r);
    gnnrec_parts_check(m);
    check_same_id_types(m, r);
    if (!PG_ARGISNULL(A_USERS))
        gnnrec_definition_set_catalogue(&m->types[GNNREC_USER], PG_GETARG_OID(A_USERS), NULL, r->from_column);
    if (!PG_ARGISNULL(A_ITEMS))
        gnnrec_definition_set_catalogue(&m->types[GNNREC_ITEM], PG_GETARG_OID(A_ITEMS), NULL, r->to_column);
    gnnrec_role_return(before);
    update_model(m);
    gnnrec_definition_write_relation(m->model_id, r, m->types);
    for (int t = GNNREC_USER; t <= GNNREC_ITEM; t++)
        gnnrec_definition_write_type(m->model_id, &m->types[t]);
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * drop_model
 * ------------------------------------------------------------------------------------------------------------------ */

static void
delete_rows(int32 model_id)
{
    static const char *const statements[] = {
        "DELETE FROM gnnrec.run_feature_column WHERE run_id IN (SELECT run_id FROM gnnrec.run WHERE model_id = $1)",
        "DELETE FROM gnnrec.run_feature WHERE run_id IN (SELECT run_id FROM gnnrec.run WHERE model_id = $1)",
        "DELETE FROM gnnrec.run WHERE model_id = $1",
        "DELETE FROM gnnrec.feature WHERE model_id = $1",
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
    m = gnnrec_definition_lock(m);
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
