/*
 * schema.c: what a model's schema holds; see schema.h.
 *
 * The functions are `LANGUAGE sql` with a parsed body, STABLE, no SET clause: the planner inlines them, and sees the id types of
 * the interactions. They name the model by its item table, which makes them depend on it.
 */
#include "postgres.h"

#include "api/schema.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/compat.h"
#include "pg/role.h"
#include "pg/source.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * Statements with {words} to fill in, see Names
 * ------------------------------------------------------------------------------------------------------------------ */

/* by type number */
static const char *const tables[] = {"user_embedding", "item_embedding"};

static const char *const table_statements[] = {
    "CREATE TABLE {schema}.item_embedding (item_id {item} NOT NULL, run_id bigint NOT NULL, item_no integer NOT NULL, "
    "embedding gnnrec.embedding NOT NULL, fold_in gnnrec.embedding NOT NULL, degree real NOT NULL, "
    "interactions real NOT NULL, PRIMARY KEY (item_id, run_id))",
    "CREATE TABLE {schema}.user_embedding (user_id {user} NOT NULL, run_id bigint NOT NULL, "
    "embedding gnnrec.embedding NOT NULL, degree real NOT NULL, seen integer[] NOT NULL, seen_weight real[], "
    "shown integer[], "
    "PRIMARY KEY (user_id, run_id))",
    "COMMENT ON TABLE {schema}.item_embedding IS 'gnnrec: the items of a run and their vectors'",
    "COMMENT ON COLUMN {schema}.item_embedding.run_id IS 'the run that made the row; gnnrec.model.live_run is served'",
    "COMMENT ON COLUMN {schema}.item_embedding.item_no IS 'number of the item within the run, from 0, in the order of ids'",
    "COMMENT ON COLUMN {schema}.item_embedding.embedding IS 'the item''s vector z: a score is the inner product with a user''s'",
    "COMMENT ON COLUMN {schema}.item_embedding.fold_in IS 'what the item has to say for the vector of a user unknown to the run: "
    "z_u = sum over items of w / sqrt(D_u * degree) * fold_in; where layers that look at items fold in, what it sends in these'",
    "COMMENT ON COLUMN {schema}.item_embedding.degree IS 'sum of the weights of all the item''s edges'",
    "COMMENT ON COLUMN {schema}.item_embedding.interactions IS "
    "'sum of the weights of the item''s interactions; 0: it is cold, known by other edges or by features alone'",
    "COMMENT ON TABLE {schema}.user_embedding IS 'gnnrec: the users of a run, their vectors and the items they have seen'",
    "COMMENT ON COLUMN {schema}.user_embedding.run_id IS 'the run that made the row; gnnrec.model.live_run is served'",
    "COMMENT ON COLUMN {schema}.user_embedding.embedding IS 'the user''s vector z'",
    "COMMENT ON COLUMN {schema}.user_embedding.degree IS 'sum of the weights of all the user''s edges'",
    "COMMENT ON COLUMN {schema}.user_embedding.seen IS 'item_no of the items the user has seen, ascending'",
    "COMMENT ON COLUMN {schema}.user_embedding.seen_weight IS "
    "'their weights, below zero for a disliked item; NULL where all are 1'",
    "COMMENT ON COLUMN {schema}.user_embedding.shown IS "
    "'those of seen that are recommended all the same, as no event of seen_events is among theirs; NULL where there are none'",
};

/* the same of a further node type */
static const char *const type_table_statements[] = {
    "CREATE TABLE {schema}.{table} ({id} {id_type} NOT NULL, run_id bigint NOT NULL, {no} integer NOT NULL, "
    "embedding gnnrec.embedding NOT NULL, degree real NOT NULL, PRIMARY KEY ({id}, run_id))",
    "COMMENT ON TABLE {schema}.{table} IS 'gnnrec: the nodes of one type of a run and their vectors'",
    "COMMENT ON COLUMN {schema}.{table}.run_id IS 'the run that made the row; gnnrec.model.live_run is served'",
    "COMMENT ON COLUMN {schema}.{table}.{no} IS 'number of the node within its type and the run, from 0, in the order of ids'",
    "COMMENT ON COLUMN {schema}.{table}.embedding IS 'the node''s audience: sqrt(W) times the mean of the vectors of the users "
    "that relations lead to it from, by weight, W their sum; without such users the model''s vector. A score is the inner "
    "product with a user''s'",
    "COMMENT ON COLUMN {schema}.{table}.degree IS 'sum of the weights of the node''s edges'",
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
    "diversity, 0 to 1: leave out what is like a better item; " \
    "popularity_penalty: score - popularity_penalty * log(1 + interactions); " \
    "cold_share, 0 to 1: keep this share of the list for items without interactions"

static const Function functions[] = {
    {"recommend", "{user}, integer, {item}[], {item}[], boolean, boolean, real, real, real",
     "(user_id {user}, k integer DEFAULT 10, candidates {item}[] DEFAULT NULL, exclude {item}[] DEFAULT NULL, "
     "exclude_seen boolean DEFAULT true, fresh boolean DEFAULT true, "
     "diversity real DEFAULT 0, popularity_penalty real DEFAULT 0, cold_share real DEFAULT 0) "
     "RETURNS TABLE (item_id {item}, score real, rank integer, source pg_catalog.text)" READING_TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.item_id, r.score, r.rank, r.source "
     "FROM gnnrec.recommend_core({model}, $1, NULL::{item}, $2, $3, $4, $5, $6, $7, $8, $9) r; END",
     "The k items with the highest score for a user, best first; candidates: rank only these; exclude: leave these out; "
     "exclude_seen: leave out what the user has seen; fresh: count the user's interactions after the run too; " ORDER_COMMENT},
    {"recommend_for", "{item}[], real[], integer, {item}[], {item}[], real, real, real",
     "(items {item}[], weights real[] DEFAULT NULL, k integer DEFAULT 10, candidates {item}[] DEFAULT NULL, "
     "exclude {item}[] DEFAULT NULL, diversity real DEFAULT 0, popularity_penalty real DEFAULT 0, cold_share real DEFAULT 0) "
     "RETURNS TABLE (item_id {item}, score real, rank integer, source pg_catalog.text)" TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.item_id, r.score, r.rank, r.source "
     "FROM gnnrec.recommend_for_core({model}, $1, $2, $3, $4, $5, $6, $7, $8) r; END",
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

/* and of a further node type */
static const Function type_functions[] = {
    {"{recommend}", "{user}, integer, {id_type}[], {id_type}[], boolean",
     "(user_id {user}, k integer DEFAULT 10, candidates {id_type}[] DEFAULT NULL, exclude {id_type}[] DEFAULT NULL, "
     "fresh boolean DEFAULT true) "
     "RETURNS TABLE ({id} {id_type}, score real, rank integer, source pg_catalog.text)" READING_TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.node_id, r.score, r.rank, r.source "
     "FROM gnnrec.recommend_type_core({model}, {type}, $1, NULL::{id_type}, $2, $3, $4, $5) r; END",
     "The k nodes of the type with the highest score for a user, best first; candidates: rank only these; exclude: leave these "
     "out; fresh: count the user's interactions after the run too"},
    {"{similar}", "{id_type}, integer",
     "({id} {id_type}, k integer DEFAULT 10) RETURNS TABLE ({id} {id_type}, score real, rank integer)" TABLE_FUNCTION
     "BEGIN ATOMIC SELECT r.similar_id, r.score, r.rank FROM gnnrec.similar_core({model}, {type}, $1, $2) r; END",
     "The k nodes of the type most similar to one of it, by the cosine of their vectors"},
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Filling them in
 * ------------------------------------------------------------------------------------------------------------------ */

#define MAX_NAMES 12

/* what the words of a statement stand for, as SQL; NULL: a type that was dropped */
typedef struct Names
{
    int         n;
    struct
    {
        const char *word;
        const char *sql;
    }           name[MAX_NAMES];
} Names;

static void
add_name(Names *names, const char *word, const char *sql)
{
    Assert(names->n < MAX_NAMES);
    names->name[names->n].word = word;
    names->name[names->n++].sql = sql;
}

/* DROP DOMAIN CASCADE leaves a model whose id columns are gone: nothing can be made for it any more */
static const char *
there(const char *sql)
{
    if (sql == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("the type of the model's ids does not exist any more"),
                 errhint("Drop the model with gnnrec.drop_model and create it again.")));
    return sql;
}

static char *
filled(const char *statement, const Names *names)
{
    StringInfoData s;

    initStringInfo(&s);
    while (*statement != '\0')
    {
        size_t      length = 0;

        for (int i = 0; i < names->n && length == 0; i++)
            if (strncmp(statement, names->name[i].word, strlen(names->name[i].word)) == 0)
            {
                appendStringInfoString(&s, there(names->name[i].sql));
                length = strlen(names->name[i].word);
            }
        if (length == 0)
            appendStringInfoChar(&s, *statement);
        statement += Max(length, 1);
    }
    return s.data;
}

static char *
qualified_type(Oid type)
{
    return format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY | FORMAT_TYPE_INVALID_AS_NULL);
}

static Names
names_of(const char *schema, Oid user_type, Oid item_type)
{
    Names       names = {0};

    add_name(&names, "{schema}", pstrdup(quote_identifier(schema)));
    add_name(&names, "{user}", qualified_type(user_type));
    add_name(&names, "{item}", qualified_type(item_type));
    add_name(&names, "{model}", psprintf("%s::pg_catalog.regclass",
                                         quote_literal_cstr(quote_qualified_identifier(schema, tables[GNNREC_ITEM]))));
    return names;
}

static char *
quoted(const char *format, const char *type)
{
    return pstrdup(quote_identifier(psprintf(format, type)));
}

/* those of a model, and of a further type of it */
static Names
names_of_type(const char *schema, const GnnrecModel *m, const char *type, Oid id_type)
{
    Names       names = names_of(schema, m->types[GNNREC_USER].id_type, m->types[GNNREC_ITEM].id_type);

    add_name(&names, "{type}", quote_literal_cstr(type));
    add_name(&names, "{id_type}", qualified_type(id_type));
    add_name(&names, "{table}", quoted("%s_embedding", type));
    add_name(&names, "{id}", quoted("%s_id", type));
    add_name(&names, "{no}", quoted("%s_no", type));
    add_name(&names, "{recommend}", quoted("recommend_%s", type));
    add_name(&names, "{similar}", quoted("similar_%s", type));
    return names;
}

/* one statement as the current role */
static void
execute(const char *sql)
{
    SPI_connect();
    if (SPI_execute(sql, false, 0) < 0)
        elog(ERROR, "could not execute \"%s\"", sql);
    SPI_finish();
    CommandCounterIncrement();
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

/* ---------------------------------------------------------------------------------------------------------------------
 * Making
 * ------------------------------------------------------------------------------------------------------------------ */

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

bool
gnnrec_schema_make(const char *schema, bool named)
{
    bool        made = make_schema(schema, named);

    check_schema(schema);
    return made;
}

static void
make_tables(const char *const *statements, int n, const Names *names)
{
    for (int i = 0; i < n; i++)
        execute(filled(statements[i], names));
}

static void
make_functions(const Function *f, int n, const Names *names)
{
    for (int i = 0; i < n; i++)
    {
        execute(filled(psprintf("CREATE FUNCTION {schema}.%s%s", f[i].name, f[i].definition), names));
        execute(psprintf("%s IS %s", filled(psprintf("COMMENT ON FUNCTION {schema}.%s(%s)", f[i].name, f[i].arguments), names),
                         quote_literal_cstr(psprintf("gnnrec: %s", f[i].comment))));
    }
}

void
gnnrec_schema_make_objects(Oid made[2], const char *schema, Oid user_type, Oid item_type)
{
    Names       names = names_of(schema, user_type, item_type);

    make_tables(table_statements, lengthof(table_statements), &names);
    make_functions(functions, lengthof(functions), &names);
    for (int t = 0; t < lengthof(tables); t++)
        made[t] = get_relname_relid(tables[t], get_namespace_oid(schema, false));
}

/* no other function and no other column has a name that is made of the type's */
static void
check_names_are_free(const char *type)
{
    bool        is_taken = strcmp(type, "run") == 0;

    for (int i = 0; i < lengthof(functions); i++)
        is_taken |= strcmp(functions[i].name, psprintf("recommend_%s", type)) == 0
            || strcmp(functions[i].name, psprintf("similar_%s", type)) == 0;
    if (is_taken)
        ereport(ERROR,
                (errcode(ERRCODE_RESERVED_NAME),
                 errmsg("\"%s\" cannot be the name of a node type", type),
                 errdetail("What is made for a type of that name would be mistaken for what every model has.")));
}

Oid
gnnrec_schema_add_type(const GnnrecModel *m, const char *type, Oid id_type)
{
    Oid         items = m->types[GNNREC_ITEM].table;
    Oid         owner = gnnrec_relation_owner(items);
    char       *schema = get_namespace_name(get_rel_namespace(items));
    Names       names = names_of_type(schema, m, type, id_type);
    GnnrecRoleBefore before;

    check_names_are_free(type);
    before = gnnrec_role_become(owner);
    make_tables(type_table_statements, lengthof(type_table_statements), &names);
    make_functions(type_functions, lengthof(type_functions), &names);
    gnnrec_role_return(before);
    return get_relname_relid(psprintf("%s_embedding", type), get_namespace_oid(schema, false));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Dropping
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
    for (int i = 0; i < names->n; i++)
        if (names->name[i].sql == NULL && strstr(f->arguments, names->name[i].word) != NULL)
            return true;
    return false;
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
drop_functions(const GnnrecModel *m, const Function *f, int n, const Names *names, bool cascade)
{
    for (int i = 0; i < n; i++)
    {
        char       *function;

        if (went_with_its_type(&f[i], names))
            continue;
        function = filled(psprintf("{schema}.%s(%s)", f[i].name, f[i].arguments), names);
        if (is_of_model(function, m))
            execute(psprintf("DROP FUNCTION %s %s", function, cascade ? "CASCADE" : "RESTRICT"));
    }
}

static void
drop_table(Oid table, bool cascade)
{
    if (get_rel_name(table) != NULL)
        execute(psprintf("DROP TABLE %s %s", gnnrec_relation_name(table), cascade ? "CASCADE" : "RESTRICT"));
}

void
gnnrec_schema_drop_type(const GnnrecModel *m, int type, bool cascade)
{
    const GnnrecNodeType *dropped = &m->types[type];
    Oid         items = m->types[GNNREC_ITEM].table;

    if (get_rel_name(items) != NULL)
    {
        Names       names = names_of_type(get_namespace_name(get_rel_namespace(items)), m, dropped->name, dropped->id_type);

        drop_functions(m, type_functions, lengthof(type_functions), &names, cascade);
    }
    drop_table(dropped->table, cascade);
}

static void
drop_objects(const GnnrecModel *m, const char *schema, bool cascade)
{
    Names       names = names_of(schema, m->types[GNNREC_USER].id_type, m->types[GNNREC_ITEM].id_type);

    for (int t = GNNREC_ITEM + 1; t < m->n_types; t++)
        gnnrec_schema_drop_type(m, t, cascade);
    drop_functions(m, functions, lengthof(functions), &names, cascade);
    for (int t = 0; t <= GNNREC_ITEM; t++)
        drop_table(m->types[t].table, cascade);
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

void
gnnrec_schema_drop(const GnnrecModel *m, bool cascade)
{
    Oid         table = table_of(m);
    Oid         schema;
    char       *name;
    bool        made_schema;

    if (!OidIsValid(table))
        return;
    schema = get_rel_namespace(table);
    name = get_namespace_name(schema);
    made_schema = m->made_schema && is_of_owner(schema, gnnrec_relation_owner(table));
    drop_objects(m, name, cascade);
    if (made_schema && schema_is_empty(schema))
        execute(psprintf("DROP SCHEMA %s", quote_identifier(name)));
}
