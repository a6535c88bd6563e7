/*
 * relate.c: add_relation, drop_relation, set_catalogue: what else a model's graph is made of, beside the interactions.
 *
 * A node type comes with the first relation that mentions it, and with it its table and functions (schema.h), and goes with the
 * last one. All of it takes effect with the next training; until then the live run answers as before.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "api/definition.h"
#include "api/schema.h"
#include "pg/catalog.h"
#include "pg/job.h"
#include "pg/parts.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(gnnrec_add_relation);
PG_FUNCTION_INFO_V1(gnnrec_drop_relation);
PG_FUNCTION_INFO_V1(gnnrec_set_catalogue);

/* of a node type's name, which is part of those of functions, tables and columns */
#define MAX_TYPE_NAME 40

static int
place_of_relation(const GnnrecModel *m, const char *name)
{
    for (int i = 0; i < m->n_relations; i++)
        if (strcmp(m->relations[i].name, name) == 0)
            return i;
    return -1;
}

static int
place_of_type(const GnnrecModel *m, const char *name)
{
    for (int t = 0; t < m->n_types; t++)
        if (strcmp(m->types[t].name, name) == 0)
            return t;
    return -1;
}

static bool
mentions(const GnnrecRelation *r, int type)
{
    return r->from_type == type || r->to_type == type;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * add_relation
 * ------------------------------------------------------------------------------------------------------------------ */

enum {R_MODEL, R_RELATION, R_SOURCE, R_FROM_TYPE, R_FROM_COLUMN, R_TO_TYPE, R_TO_COLUMN, R_RELATION_COLUMN, R_WEIGHT,
      R_VALUE_COLUMN, R_TIME_COLUMN, R_HALF_LIFE, R_SINCE};

static void
check_relation_name(const GnnrecModel *m, const char *name)
{
    if (name[0] == '\0' || strlen(name) >= NAMEDATALEN)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_NAME),
                 errmsg("a relation's name must have 1 to %d bytes", NAMEDATALEN - 1)));
    if (place_of_relation(m, name) >= 0)
        ereport(ERROR,
                (errcode(ERRCODE_DUPLICATE_OBJECT),
                 errmsg("model \"%s\" already has a relation \"%s\"", m->name, name),
                 errhint("gnnrec.drop_relation drops it.")));
    if (m->n_relations >= GNN_MAX_RELATIONS)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("a model cannot have more than %d relations", GNN_MAX_RELATIONS)));
}

static void
check_type_name(const char *name)
{
    bool        good = name[0] != '\0' && strlen(name) <= MAX_TYPE_NAME && !(name[0] >= '0' && name[0] <= '9');

    for (const char *c = name; *c != '\0'; c++)
        good &= (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
    if (!good)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_NAME),
                 errmsg("\"%s\" cannot be the name of a node type", name),
                 errdetail("It has to be of lower-case letters, digits and underscores, not begin with a digit, and have 1 to %d "
                           "bytes: there will be functions recommend_NAME and similar_NAME.", MAX_TYPE_NAME)));
}

/* a type that the relation brings along, at the end of the model's; its table is not made yet */
static int
append_type(GnnrecModel *m, const char *name, Oid id_type)
{
    int32       type_no = 0;

    check_type_name(name);
    if (m->n_types >= GNN_MAX_TYPES)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("a model cannot have more than %d node types", GNN_MAX_TYPES)));
    for (int t = 0; t < m->n_types; t++)
        type_no = Max(type_no, m->types[t].type_no + 1);
    m->types[m->n_types] = (GnnrecNodeType) {.type_no = type_no, .name = pstrdup(name), .id_type = id_type};
    return m->n_types++;
}

/* the type at one end of a relation, whose ids are in a column of the source */
static int
type_of_end(GnnrecModel *m, const char *name, Oid source, const char *column)
{
    Oid         id_type = gnnrec_source_column_type(source, column);
    int         t = place_of_type(m, name);

    if (t < 0)
        return append_type(m, name, id_type);
    if (m->types[t].id_type != id_type)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("column \"%s\" has type %s, but the ids of node type \"%s\" have type %s", column,
                        format_type_be(id_type), name, format_type_be(m->types[t].id_type)),
                 errhint("A view can cast the column.")));
    return t;
}

static int32
next_relation_no(const GnnrecModel *m)
{
    int32       relation_no = 0;

    for (int i = 0; i < m->n_relations; i++)
        relation_no = Max(relation_no, m->relations[i].relation_no + 1);
    return relation_no;
}

/* what the call says of the relation, but for its ends' types */
static GnnrecRelation
relation_of_call(FunctionCallInfo fcinfo, const GnnrecModel *m)
{
    return (GnnrecRelation) {
        .relation_no = next_relation_no(m),
        .name = gnnrec_text_argument(fcinfo, R_RELATION),
        .source = PG_GETARG_OID(R_SOURCE),
        .from_column = gnnrec_name_argument(fcinfo, R_FROM_COLUMN),
        .to_column = gnnrec_name_argument(fcinfo, R_TO_COLUMN),
        .relation_column = gnnrec_name_argument(fcinfo, R_RELATION_COLUMN),
        .weight = PG_GETARG_FLOAT4(R_WEIGHT),
        .value_column = gnnrec_name_argument(fcinfo, R_VALUE_COLUMN),
        .time_column = gnnrec_name_argument(fcinfo, R_TIME_COLUMN),
        .half_life = PG_ARGISNULL(R_HALF_LIFE) ? NULL : PG_GETARG_INTERVAL_P(R_HALF_LIFE),
        .has_since = !PG_ARGISNULL(R_SINCE),
        .since = PG_ARGISNULL(R_SINCE) ? 0 : PG_GETARG_TIMESTAMPTZ(R_SINCE),
    };
}

/* add_relation(model, relation, source, from_type, from_column, to_type, to_column, ...) */
Datum
gnnrec_add_relation(PG_FUNCTION_ARGS)
{
    static const char *const names[] = {"model", "relation", "source", "from_type", "from_column", "to_type", "to_column"};
    GnnrecModel *m;
    GnnrecRelation *r;
    int         n_types;
    GnnrecRoleBefore before;

    for (int i = 0; i < lengthof(names); i++)
        gnnrec_required_argument(fcinfo, i, names[i]);
    gnnrec_required_argument(fcinfo, R_WEIGHT, "weight");
    m = gnnrec_definition_open(gnnrec_text_argument(fcinfo, R_MODEL));
    check_relation_name(m, gnnrec_text_argument(fcinfo, R_RELATION));
    n_types = m->n_types;
    r = &m->relations[m->n_relations];
    *r = relation_of_call(fcinfo, m);
    before = gnnrec_definition_become_reader(m);
    gnnrec_source_check(r);
    gnnrec_role_return(before);
    r->from_type = type_of_end(m, gnnrec_text_argument(fcinfo, R_FROM_TYPE), r->source, r->from_column);
    r->to_type = type_of_end(m, gnnrec_text_argument(fcinfo, R_TO_TYPE), r->source, r->to_column);
    m->n_relations++;
    gnnrec_parts_check(m);

    for (int t = n_types; t < m->n_types; t++)
    {
        m->types[t].table = gnnrec_schema_add_type(m, m->types[t].name, m->types[t].id_type);
        gnnrec_definition_write_type(m->model_id, &m->types[t]);
    }
    gnnrec_definition_write_relation(m->model_id, r, m->types);
    gnnrec_definition_touch(m->model_id);
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * drop_relation
 * ------------------------------------------------------------------------------------------------------------------ */

/* users and items are there without it; any other type only as long as a relation mentions it */
static bool
goes_with(const GnnrecModel *m, int relation, int type)
{
    if (type <= GNNREC_ITEM || !mentions(&m->relations[relation], type))
        return false;
    for (int i = 0; i < m->n_relations; i++)
        if (i != relation && mentions(&m->relations[i], type))
            return false;
    return true;
}

static void
delete_row(const char *sql, int32 model_id, int32 number)
{
    Oid         types[] = {INT4OID, INT4OID};
    Datum       values[] = {Int32GetDatum(model_id), Int32GetDatum(number)};
    bool        isnull;

    gnnrec_catalog_write(sql, 2, types, values, NULL, &isnull);
}

/* runs have no nodes of the type any more, also when another of its name is made */
static void
forget_nodes(const GnnrecModel *m, const char *type)
{
    Oid         types[] = {INT4OID, TEXTOID};
    Datum       values[] = {Int32GetDatum(m->model_id), CStringGetTextDatum(type)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET metrics = metrics OPERATOR(pg_catalog.#-) ARRAY['nodes', $2] WHERE model_id = $1",
                         2, types, values, NULL, &isnull);
}

/* a training that is going on would store vectors of the type: it is cancelled, as where a model is dropped */
static void
drop_type(const GnnrecModel *m, int type, bool cascade)
{
    gnnrec_job_stop(m->model_id);
    gnnrec_schema_drop_type(m, type, cascade);
    delete_row("DELETE FROM gnnrec.feature WHERE model_id = $1 AND type_no = $2", m->model_id, m->types[type].type_no);
    forget_nodes(m, m->types[type].name);
    delete_row("DELETE FROM gnnrec.node_type WHERE model_id = $1 AND type_no = $2", m->model_id, m->types[type].type_no);
}

/* -1: there is none, which is all right */
static int
relation_to_drop(const GnnrecModel *m, const char *name, bool if_exists)
{
    int         i = place_of_relation(m, name);

    if (i == GNNREC_INTERACTIONS)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("relation \"%s\" is what model \"%s\" learns, and cannot be dropped", name, m->name),
                 errhint("gnnrec.alter_model changes what it is made of, gnnrec.drop_model drops the model.")));
    if (i < 0)
        ereport(if_exists ? NOTICE : ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 if_exists ? errmsg("model \"%s\" has no relation \"%s\", skipping", m->name, name)
                 : errmsg("model \"%s\" has no relation \"%s\"", m->name, name),
                 if_exists ? 0 : errhint("gnnrec.relations lists the relations.")));
    return i;
}

/* drop_relation(model, relation, if_exists, cascade) */
Datum
gnnrec_drop_relation(PG_FUNCTION_ARGS)
{
    GnnrecModel *m = gnnrec_definition_open(gnnrec_text_argument(fcinfo, 0));
    int         relation = relation_to_drop(m, gnnrec_text_argument(fcinfo, 1), PG_GETARG_BOOL(2));

    if (relation < 0)
        PG_RETURN_VOID();
    for (int t = 0; t < m->n_types; t++)
        if (goes_with(m, relation, t))
            drop_type(m, t, PG_GETARG_BOOL(3));
    delete_row("DELETE FROM gnnrec.relation WHERE model_id = $1 AND relation_no = $2", m->model_id,
               m->relations[relation].relation_no);
    gnnrec_definition_touch(m->model_id);
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * set_catalogue
 * ------------------------------------------------------------------------------------------------------------------ */

/* what the ids of a type are called in the first relation that mentions it */
static const char *
id_column_of(const GnnrecModel *m, int type)
{
    for (int i = 0; i < m->n_relations; i++)
        if (mentions(&m->relations[i], type))
            return m->relations[i].from_type == type ? m->relations[i].from_column : m->relations[i].to_column;
    return m->types[type].name;
}

/* set_catalogue(model, node_type, source, id_column); source NULL: the type has none any more */
Datum
gnnrec_set_catalogue(PG_FUNCTION_ARGS)
{
    GnnrecModel *m;
    char       *name;
    int         type;
    GnnrecRoleBefore before;

    gnnrec_required_argument(fcinfo, 0, "model");
    gnnrec_required_argument(fcinfo, 1, "node_type");
    m = gnnrec_definition_open(gnnrec_text_argument(fcinfo, 0));
    name = gnnrec_text_argument(fcinfo, 1);
    type = place_of_type(m, name);
    if (type < 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("model \"%s\" has no node type \"%s\"", m->name, name),
                 errhint("It has user and item, and what gnnrec.add_relation brings along; gnnrec.node_types lists them.")));
    m->types[type].catalogue = InvalidOid;
    m->types[type].catalogue_id = NULL;
    before = gnnrec_definition_become_reader(m);
    if (!PG_ARGISNULL(2))
        gnnrec_definition_set_catalogue(&m->types[type], PG_GETARG_OID(2), gnnrec_name_argument(fcinfo, 3),
                                        id_column_of(m, type));
    gnnrec_role_return(before);
    gnnrec_definition_write_type(m->model_id, &m->types[type]);
    gnnrec_definition_touch(m->model_id);
    PG_RETURN_VOID();
}
