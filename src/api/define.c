/*
 * define.c: create_model, alter_model, drop_model: a model is a schema with two tables and typed functions.
 *
 * All of a model's objects are made by SQL, as the calling user: ordinary objects, whose rights and dependencies the server
 * looks after. The rows that describe the model are written to the extension's catalogue after the checks. The functions are
 * `LANGUAGE sql` with a parsed body, STABLE, no SET clause: the planner inlines them, and sees the id types of the interactions.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/config.h"
#include "pg/doomed.h"
#include "pg/job.h"
#include "pg/keys.h"
#include "pg/snapshot.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(gnnrec_create_model);
PG_FUNCTION_INFO_V1(gnnrec_alter_model);
PG_FUNCTION_INFO_V1(gnnrec_drop_model);
PG_FUNCTION_INFO_V1(gnnrec_forget_files);
PG_FUNCTION_INFO_V1(gnnrec_parameters);

/* ---------------------------------------------------------------------------------------------------------------------
 * What a model's schema holds
 * ------------------------------------------------------------------------------------------------------------------ */

/* Statements with {schema} (quoted), {user} and {item} (id types) and {model} (its item table, as a constant) to fill in. */

/* by type number */
static const char *const tables[] = {"user_embedding", "item_embedding"};

static const char *const table_statements[] = {
    "CREATE TABLE {schema}.item_embedding (item_id {item} NOT NULL, run_id bigint NOT NULL, item_no integer NOT NULL, "
    "embedding gnnrec.embedding NOT NULL, fold_in gnnrec.embedding NOT NULL, degree real NOT NULL, "
    "PRIMARY KEY (item_id, run_id))",
    "CREATE TABLE {schema}.user_embedding (user_id {user} NOT NULL, run_id bigint NOT NULL, "
    "embedding gnnrec.embedding NOT NULL, degree real NOT NULL, seen integer[] NOT NULL, seen_weight real[], "
    "shown integer[], "
    "PRIMARY KEY (user_id, run_id))",
    "COMMENT ON TABLE {schema}.item_embedding IS 'gnnrec: the items of a run and their vectors'",
    "COMMENT ON COLUMN {schema}.item_embedding.run_id IS 'the run that made the row; gnnrec.model.live_run is served'",
    "COMMENT ON COLUMN {schema}.item_embedding.item_no IS 'number of the item within the run, from 0, in the order of ids'",
    "COMMENT ON COLUMN {schema}.item_embedding.embedding IS 'the item''s vector z: a score is the inner product with a user''s'",
    "COMMENT ON COLUMN {schema}.item_embedding.fold_in IS 'what the item adds to the vector of a user unknown to the run: "
    "z_u = sum over items of w / sqrt(D_u * degree) * fold_in'",
    "COMMENT ON COLUMN {schema}.item_embedding.degree IS 'sum of the weights of the item''s interactions'",
    "COMMENT ON TABLE {schema}.user_embedding IS 'gnnrec: the users of a run, their vectors and the items they have seen'",
    "COMMENT ON COLUMN {schema}.user_embedding.run_id IS 'the run that made the row; gnnrec.model.live_run is served'",
    "COMMENT ON COLUMN {schema}.user_embedding.embedding IS 'the user''s vector z'",
    "COMMENT ON COLUMN {schema}.user_embedding.degree IS 'sum of the weights of the user''s interactions'",
    "COMMENT ON COLUMN {schema}.user_embedding.seen IS 'item_no of the items the user has seen, ascending'",
    "COMMENT ON COLUMN {schema}.user_embedding.seen_weight IS "
    "'their weights, below zero for a disliked item; NULL where all are 1'",
    "COMMENT ON COLUMN {schema}.user_embedding.shown IS "
    "'those of seen that are recommended all the same, as no event of seen_events is among theirs; NULL where there are none'",
};

typedef struct Function
{
    const char *name;
    const char *arguments;      /* types: what tells the function from its namesakes */
    const char *definition;     /* parameters .. body */
    const char *comment;
} Function;

#define TABLE_FUNCTION " LANGUAGE sql STABLE PARALLEL SAFE ROWS 10 COST 10000 "
/* it may read interactions, through whatever view they are: not in a parallel worker */
#define READING_TABLE_FUNCTION " LANGUAGE sql STABLE PARALLEL RESTRICTED ROWS 10 COST 10000 "
#define SCALAR_FUNCTION " LANGUAGE sql STABLE PARALLEL SAFE COST 100 "

#define ORDER_COMMENT \
    "diversity, 0 to 1: leave out what is like a better item; popularity_penalty: score - popularity_penalty * log(1 + degree)"

static const Function functions[] = {
    {"recommend", "{user}, integer, {item}[], {item}[], boolean, boolean, real, real",
     "(user_id {user}, k integer DEFAULT 10, candidates {item}[] DEFAULT NULL, exclude {item}[] DEFAULT NULL, "
     "exclude_seen boolean DEFAULT true, fresh boolean DEFAULT true, "
     "diversity real DEFAULT 0, popularity_penalty real DEFAULT 0) "
     "RETURNS TABLE (item_id {item}, score real, rank integer, source pg_catalog.text)" READING_TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.item_id, r.score, r.rank, r.source "
     "FROM gnnrec.recommend_core({model}, $1, NULL::{item}, $2, $3, $4, $5, $6, $7, $8) r; END",
     "The k items with the highest score for a user, best first; candidates: rank only these; exclude: leave these out; "
     "exclude_seen: leave out what the user has seen; fresh: count the user's interactions after the run too; " ORDER_COMMENT},
    {"recommend_for", "{item}[], real[], integer, {item}[], {item}[], real, real",
     "(items {item}[], weights real[] DEFAULT NULL, k integer DEFAULT 10, candidates {item}[] DEFAULT NULL, "
     "exclude {item}[] DEFAULT NULL, diversity real DEFAULT 0, popularity_penalty real DEFAULT 0) "
     "RETURNS TABLE (item_id {item}, score real, rank integer, source pg_catalog.text)" TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.item_id, r.score, r.rank, r.source "
     "FROM gnnrec.recommend_for_core({model}, $1, $2, $3, $4, $5, $6, $7) r; END",
     "The k items that go best with a basket or an anonymous session; weights: one for each item, 1 by default; " ORDER_COMMENT},
    {"recommend_users", "{item}, integer, boolean",
     "(item_id {item}, k integer DEFAULT 10, exclude_existing boolean DEFAULT true) "
     "RETURNS TABLE (user_id {user}, score real, rank integer)" READING_TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.user_id, r.score, r.rank FROM gnnrec.recommend_users_core({model}, $1, NULL::{user}, $2, $3) r; END",
     "The audience of an item: the k users with the highest score for it, best first; exclude_existing: leave out who has it"},
    /* the core is called in a select list, to be asked for a row at a time */
    {"recommend_all", "integer, {user}[]",
     "(k integer DEFAULT 10, users {user}[] DEFAULT NULL) "
     "RETURNS TABLE (user_id {user}, item_id {item}, score real, rank integer) "
     "LANGUAGE sql STABLE PARALLEL SAFE ROWS 100000 COST 10000000 "
     "BEGIN ATOMIC SELECT (a.r).user_id, (a.r).item_id, (a.r).score, (a.r).rank "
     "FROM (SELECT gnnrec.recommend_all_core({model}, NULL::{item}, $1, $2) AS r) a; END",
     "What recommend(user, k, fresh => false) answers for every user of the run, in the order of ids, or for each of an array"},
    {"similar_items", "{item}, integer",
     "(item_id {item}, k integer DEFAULT 10) RETURNS TABLE (item_id {item}, score real, rank integer)" TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.similar_id, r.score, r.rank FROM gnnrec.similar_core({model}, 'item', $1, $2) r; END",
     "The k items most similar to an item, by the cosine of their vectors"},
    {"similar_users", "{user}, integer",
     "(user_id {user}, k integer DEFAULT 10) RETURNS TABLE (user_id {user}, score real, rank integer)" TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.similar_id, r.score, r.rank FROM gnnrec.similar_core({model}, 'user', $1, $2) r; END",
     "The k users most similar to a user, by the cosine of their vectors"},
    {"similarity", "{item}, {item}",
     "(a {item}, b {item}) RETURNS real" SCALAR_FUNCTION
     "BEGIN ATOMIC SELECT gnnrec.similarity_core({model}, 'item', $1, $2); END",
     "The cosine of two items' vectors; NULL where the run does not know one of them"},
    {"score", "{user}, {item}",
     "(user_id {user}, item_id {item}) RETURNS real" SCALAR_FUNCTION
     "BEGIN ATOMIC SELECT gnnrec.score_core({model}, $1, $2); END",
     "The inner product of a user's and an item's vectors; NULL where the run does not know one of them"},
    {"explain", "{user}, {item}, integer",
     "(user_id {user}, item_id {item}, k integer DEFAULT 10) RETURNS TABLE (because_item_id {item}, contribution real)"
     READING_TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.because_item_id, r.contribution FROM gnnrec.explain_core({model}, $1, $2, $3) r; END",
     "Why a user gets an item: the k of the user's items that contribute most to the score, and in the last row, without an "
     "item, what the user's own vector contributes; with k => NULL contributions sum to the score"},
};

typedef struct Names
{
    char       *schema;         /* quoted */
    char       *user_type;      /* NULL: it was dropped */
    char       *item_type;      /* the same */
    char       *model;
} Names;

static bool
starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static char *
filled(const char *statement, const Names *names)
{
    const struct {const char *key, *value;} fields[] = {
        {"{schema}", names->schema}, {"{user}", names->user_type}, {"{item}", names->item_type}, {"{model}", names->model},
    };
    StringInfoData s;

    initStringInfo(&s);
    while (*statement != '\0')
    {
        bool        replaced = false;

        for (int i = 0; i < lengthof(fields) && !replaced; i++)
            if (*statement == '{' && starts_with(statement, fields[i].key))
            {
                appendStringInfoString(&s, fields[i].value);
                statement += strlen(fields[i].key);
                replaced = true;
            }
        if (!replaced)
            appendStringInfoChar(&s, *statement++);
    }
    return s.data;
}

/* one statement as the calling user */
static void
execute(const char *sql)
{
    SPI_connect();
    if (SPI_execute(sql, false, 0) < 0)
        elog(ERROR, "could not execute \"%s\"", sql);
    SPI_finish();
    CommandCounterIncrement();
}

static char *
qualified_type(Oid type)
{
    return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_INVALID_AS_NULL);
}

static void
names_of(Names *out, const char *schema, Oid user_type, Oid item_type)
{
    out->schema = pstrdup(quote_identifier(schema));
    out->user_type = qualified_type(user_type);
    out->item_type = qualified_type(item_type);
    out->model = psprintf("%s::pg_catalog.regclass",
                          quote_literal_cstr(quote_qualified_identifier(schema, tables[GNNREC_ITEM])));
}

static void
make_tables(const Names *names)
{
    for (int i = 0; i < lengthof(table_statements); i++)
        execute(filled(table_statements[i], names));
}

static void
make_functions(const Names *names)
{
    for (int i = 0; i < lengthof(functions); i++)
    {
        const Function *f = &functions[i];

        execute(psprintf("CREATE FUNCTION %s.%s%s", names->schema, f->name, filled(f->definition, names)));
        execute(psprintf("COMMENT ON FUNCTION %s.%s(%s) IS %s", names->schema, f->name, filled(f->arguments, names),
                         quote_literal_cstr(psprintf("gnnrec: %s", f->comment))));
    }
}

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

/* a schema has room for one model, and a model outlives sessions */
static void
check_schema(const char *schema)
{
    if (isAnyTempNamespace(get_namespace_oid(schema, false)))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_SCHEMA_NAME),
                 errmsg("schema \"%s\" is temporary", schema),
                 errdetail("The worker that trains is another session, which cannot use it.")));
    for (int t = 0; t < lengthof(tables); t++)
        if (OidIsValid(get_relname_relid(tables[t], get_namespace_oid(schema, false))))
            ereport(ERROR,
                    (errcode(ERRCODE_DUPLICATE_TABLE),
                     errmsg("schema \"%s\" already has a table \"%s\"", schema, tables[t]),
                     errhint("A schema has room for one model: leave schema out to get one of its own.")));
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

/* makes the model's schema unless one was named; tells whether it did */
static bool
make_schema(const char *schema, bool named)
{
    if (OidIsValid(get_namespace_oid(schema, true)))
    {
        if (!named)
            ereport(ERROR,
                    (errcode(ERRCODE_DUPLICATE_SCHEMA),
                     errmsg("schema \"%s\" already exists", schema),
                     errhint("To put the model into it, say so: gnnrec.create_model(..., schema => %s).",
                             quote_literal_cstr(schema))));
        return false;
    }
    execute(psprintf("CREATE SCHEMA %s", quote_identifier(schema)));
    execute(psprintf("COMMENT ON SCHEMA %s IS 'gnnrec: a model, its tables and functions'", quote_identifier(schema)));
    return true;
}

enum {C_MODEL, C_SOURCE, C_USER_COLUMN, C_ITEM_COLUMN, C_EVENT_COLUMN, C_EVENT_WEIGHTS, C_VALUE_COLUMN, C_TIME_COLUMN,
      C_HALF_LIFE, C_SINCE, C_PARAMS, C_SCHEMA, C_KEEP_RUNS, C_SEEN_EVENTS};

Datum
gnnrec_create_model(PG_FUNCTION_ARGS)
{
    GnnrecRelation r = {.name = "interaction", .from_type = GNNREC_USER, .to_type = GNNREC_ITEM, .weight = 1};
    char       *model;
    char       *schema;
    Oid         id_types[2];
    int32       model_id;
    bool        made_schema;
    Names       names;

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

    made_schema = make_schema(schema, !PG_ARGISNULL(C_SCHEMA));
    check_schema(schema);
    model_id = insert_model(model, PG_GETARG_JSONB_P(C_PARAMS), PG_GETARG_INT32(C_KEEP_RUNS), made_schema);
    names_of(&names, schema, id_types[GNNREC_USER], id_types[GNNREC_ITEM]);
    make_tables(&names);
    for (int t = 0; t < lengthof(tables); t++)
        insert_node_type(model_id, t, t == GNNREC_USER ? "user" : "item", id_types[t],
                         get_relname_relid(tables[t], get_namespace_oid(schema, false)));
    write_relation(model_id, 0, &r);
    make_functions(&names);
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

/* whichever of the model's tables is still there; InvalidOid: none is */
static Oid
table_of(const GnnrecModel *m)
{
    for (int t = 0; t < m->n_types; t++)
        if (get_rel_name(m->types[t].table) != NULL)
            return m->types[t].table;
    return InvalidOid;
}

/* DROP DOMAIN CASCADE has taken the functions along whose arguments are of that type */
static bool
went_with_its_type(const Function *f, const Names *names)
{
    return (names->user_type == NULL && strstr(f->arguments, "{user}") != NULL)
        || (names->item_type == NULL && strstr(f->arguments, "{item}") != NULL);
}

/* does a query about the catalogues find something? */
static bool
finds(const char *sql)
{
    bool        found;

    SPI_connect();
    if (SPI_execute(sql, false, 1) != SPI_OK_SELECT)
        elog(ERROR, "could not execute \"%s\"", sql);
    found = SPI_processed > 0;
    SPI_finish();
    return found;
}

/*
 * A function of the model's names the item table in its body, which is a dependency. One of its name that does not is another's:
 * the owner of a model may have moved the tables into a schema where there is such a one, and a superuser's DROP would take it.
 */
static bool
is_of_model(const char *function, const GnnrecModel *m)
{
    return finds(psprintf("SELECT 1 FROM pg_catalog.pg_depend "
                          "WHERE classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass "
                          "AND objid OPERATOR(pg_catalog.=) pg_catalog.to_regprocedure(%s)::pg_catalog.oid "
                          "AND refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
                          "AND refobjid OPERATOR(pg_catalog.=) %u", quote_literal_cstr(function), m->types[GNNREC_ITEM].table));
}

static void
drop_objects(const GnnrecModel *m, const char *schema, bool cascade)
{
    const char *behaviour = cascade ? "CASCADE" : "RESTRICT";
    Names       names;

    names_of(&names, schema, m->types[GNNREC_USER].id_type, m->types[GNNREC_ITEM].id_type);
    for (int i = 0; i < lengthof(functions); i++)
    {
        char       *function;

        if (went_with_its_type(&functions[i], &names))
            continue;
        function = psprintf("%s.%s(%s)", names.schema, functions[i].name, filled(functions[i].arguments, &names));
        if (is_of_model(function, m))
            execute(psprintf("DROP FUNCTION %s %s", function, behaviour));
    }
    for (int t = 0; t < m->n_types; t++)
        if (get_rel_name(m->types[t].table) != NULL)
            execute(psprintf("DROP TABLE %s %s", gnnrec_relation_name(m->types[t].table), behaviour));
}

static bool
schema_is_empty(Oid schema)
{
    return !finds(psprintf("SELECT 1 FROM pg_catalog.pg_depend "
                           "WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass "
                           "AND refobjid OPERATOR(pg_catalog.=) %u LIMIT 1", schema));
}

/* the schema that create_model made, unless the tables were moved into another one since */
static bool
is_of_owner(Oid schema, Oid owner)
{
    return finds(psprintf("SELECT 1 FROM pg_catalog.pg_namespace WHERE oid OPERATOR(pg_catalog.=) %u "
                          "AND nspowner OPERATOR(pg_catalog.=) %u", schema, owner));
}

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
    Oid         table;

    if (m == NULL)
    {
        ereport(NOTICE, (errmsg("model \"%s\" does not exist, skipping", name)));
        PG_RETURN_VOID();
    }
    gnnrec_model_check_owner(m);
    gnnrec_job_lock_model(m);
    gnnrec_job_stop(m->model_id);
    gnnrec_doom_model(m->model_id);
    table = table_of(m);
    if (OidIsValid(table))
    {
        Oid         schema = get_rel_namespace(table);
        char       *schema_name = get_namespace_name(schema);
        bool        made_schema = m->made_schema && is_of_owner(schema, gnnrec_relation_owner(table));

        drop_objects(m, schema_name, PG_GETARG_BOOL(2));
        if (made_schema && schema_is_empty(schema))
            execute(psprintf("DROP SCHEMA %s", quote_identifier(schema_name)));
    }
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

/* ---------------------------------------------------------------------------------------------------------------------
 * gnnrec.parameters
 * ------------------------------------------------------------------------------------------------------------------ */

static char *
joined_choices(const GnnParam *p)
{
    StringInfoData s;

    initStringInfo(&s);
    for (int i = 0; p->choices[i] != NULL; i++)
        appendStringInfo(&s, "%s%s", i == 0 ? "" : ", ", p->choices[i]);
    return s.data;
}

static const char *
kind_name(GnnParamKind kind)
{
    return kind == GNN_PARAM_CHOICE ? "text" : kind == GNN_PARAM_REAL ? "real" : "integer";
}

/* one row a parameter: name, type, default, what is allowed, what it does */
Datum
gnnrec_parameters(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result;
    GnnConfig   defaults;

    gnnrec_materialize(fcinfo);
    result = (ReturnSetInfo *) fcinfo->resultinfo;
    gnn_config_defaults(&defaults);
    for (int i = 0; i < gnn_n_params; i++)
    {
        const GnnParam *p = &gnn_params[i];
        Datum       values[5];
        bool        nulls[5] = {false};

        values[0] = CStringGetTextDatum(p->name);
        values[1] = CStringGetTextDatum(kind_name(p->kind));
        values[2] = CStringGetTextDatum(gnnrec_param_text(p, &defaults));
        values[3] = CStringGetTextDatum(p->kind == GNN_PARAM_CHOICE ? joined_choices(p)
                                        : psprintf("%.16g to %.16g", p->min, p->max));
        values[4] = CStringGetTextDatum(p->what);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum) 0;
}
