/*
 * definition.c: a model's definition as it is written; see definition.h.
 */
#include "postgres.h"

#include "api/definition.h"

#include "access/sysattr.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "pg/job.h"
#include "pg/source.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * Arguments
 * ------------------------------------------------------------------------------------------------------------------ */

char *
gnnrec_name_argument(FunctionCallInfo fcinfo, int n)
{
    return PG_ARGISNULL(n) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(n)));
}

char *
gnnrec_text_argument(FunctionCallInfo fcinfo, int n)
{
    return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

void
gnnrec_required_argument(FunctionCallInfo fcinfo, int n, const char *what)
{
    if (PG_ARGISNULL(n))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("%s must not be NULL", what)));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------------------------------------------------ */

GnnrecModel *
gnnrec_definition_lock(const GnnrecModel *m)
{
    GnnrecModel *now;

    gnnrec_model_check_owner(m);
    gnnrec_job_lock_model(m);
    PushActiveSnapshot(GetLatestSnapshot());
    if (!gnnrec_model_exists(m->model_id, GetActiveSnapshot()))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("model \"%s\" was dropped in the meantime", m->name)));
    now = gnnrec_model_by_id(m->model_id);
    PopActiveSnapshot();
    return now;
}

GnnrecModel *
gnnrec_definition_open(const char *model)
{
    return gnnrec_definition_lock(gnnrec_model_by_name(model, false));
}

GnnrecRoleBefore
gnnrec_definition_become_reader(const GnnrecModel *m)
{
    return gnnrec_role_become(gnnrec_model_reader(m, GetUserId()));
}

void
gnnrec_definition_touch(int32 model_id)
{
    Oid         types[] = {INT4OID};
    Datum       values[] = {Int32GetDatum(model_id)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.model SET name = name WHERE model_id = $1", 1, types, values, NULL, &isnull);
}

static Datum
name_or_zero(const char *value)
{
    return value == NULL ? (Datum) 0 : DirectFunctionCall1(namein, CStringGetDatum(value));
}

static Datum
text_or_zero(const char *value)
{
    return value == NULL ? (Datum) 0 : CStringGetTextDatum(value);
}

static char
null_if(bool isnull)
{
    return isnull ? 'n' : ' ';
}

void
gnnrec_definition_write_type(int32 model_id, const GnnrecNodeType *type)
{
    Oid         types[] = {INT4OID, INT4OID, TEXTOID, OIDOID, OIDOID, OIDOID, NAMEOID};
    Datum       values[] = {Int32GetDatum(model_id), Int32GetDatum(type->type_no), CStringGetTextDatum(type->name),
                            ObjectIdGetDatum(type->id_type), ObjectIdGetDatum(type->table),
                            ObjectIdGetDatum(type->catalogue), name_or_zero(type->catalogue_id)};
    char        nulls[] = {' ', ' ', ' ', ' ', ' ', null_if(!OidIsValid(type->catalogue)), null_if(type->catalogue_id == NULL),
                           '\0'};
    bool        isnull;

    gnnrec_catalog_write("INSERT INTO gnnrec.node_type (model_id, type_no, name, id_type, embedding_table, catalogue, "
                         "catalogue_id) VALUES ($1, $2, $3, $4, $5, $6, $7) "
                         "ON CONFLICT (model_id, type_no) DO UPDATE SET catalogue = $6, catalogue_id = $7",
                         lengthof(types), types, values, nulls, &isnull);
}

void
gnnrec_definition_write_relation(int32 model_id, const GnnrecRelation *r, const GnnrecNodeType *node_types)
{
    Oid         types[] = {INT4OID, INT4OID, TEXTOID, OIDOID, INT4OID, NAMEOID, INT4OID, NAMEOID,
                           NAMEOID, JSONBOID, NAMEOID, NAMEOID, INTERVALOID, TIMESTAMPTZOID, TEXTARRAYOID,
                           NAMEOID, FLOAT4OID, TEXTOID, TEXTOID};
    Datum       values[] = {Int32GetDatum(model_id), Int32GetDatum(r->relation_no), CStringGetTextDatum(r->name),
                            ObjectIdGetDatum(r->source), Int32GetDatum(node_types[r->from_type].type_no),
                            name_or_zero(r->from_column), Int32GetDatum(node_types[r->to_type].type_no),
                            name_or_zero(r->to_column), name_or_zero(r->event_column),
                            PointerGetDatum(r->event_weights), name_or_zero(r->value_column), name_or_zero(r->time_column),
                            PointerGetDatum(r->half_life), TimestampTzGetDatum(r->since), PointerGetDatum(r->seen_events),
                            name_or_zero(r->relation_column), Float4GetDatum(r->weight),
                            CStringGetTextDatum(r->separate ? "separate" : "merged"), text_or_zero(r->target_event)};
    char        nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ',
                           null_if(r->event_column == NULL), null_if(r->event_weights == NULL), null_if(r->value_column == NULL),
                           null_if(r->time_column == NULL), null_if(r->half_life == NULL), null_if(!r->has_since),
                           null_if(r->seen_events == NULL), null_if(r->relation_column == NULL), ' ', ' ',
                           null_if(r->target_event == NULL), '\0'};
    bool        isnull;

    StaticAssertStmt(lengthof(nulls) == lengthof(values) + 1, "a mark for each value");
    gnnrec_catalog_write(
        "INSERT INTO gnnrec.relation (model_id, relation_no, name, source, from_type, from_column, to_type, to_column, "
        "event_column, event_weights, value_column, time_column, half_life, since, seen_events, relation_column, weight, "
        "behaviours, target_event) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) "
        "ON CONFLICT (model_id, relation_no) DO UPDATE SET source = $4, from_column = $6, to_column = $8, event_column = $9, "
        "event_weights = $10, value_column = $11, time_column = $12, half_life = $13, since = $14, seen_events = $15, "
        "relation_column = $16, weight = $17, behaviours = $18, target_event = $19",
        lengthof(values), types, values, nulls, &isnull);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Catalogues
 * ------------------------------------------------------------------------------------------------------------------ */

/* NULL: there is none, or it has several columns */
static char *
primary_key_column(Oid table)
{
    Oid         constraint;
    Bitmapset  *columns = get_primary_key_attnos(table, true, &constraint);

    if (bms_membership(columns) != BMS_SINGLETON)
        return NULL;
    return get_attname(table, bms_singleton_member(columns) + FirstLowInvalidHeapAttributeNumber, false);
}

static char *
default_id_column(Oid source, const char *like_column)
{
    return get_attnum(source, like_column) > 0 ? pstrdup(like_column) : primary_key_column(source);
}

void
gnnrec_definition_set_catalogue(GnnrecNodeType *type, Oid source, const char *id_column, const char *like_column)
{
    type->catalogue = source;
    type->catalogue_id = id_column != NULL ? pstrdup(id_column) : default_id_column(source, like_column);
    if (type->catalogue_id == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("which column of \"%s\" holds the ids of node type \"%s\" cannot be told", get_rel_name(source),
                        type->name),
                 errdetail("It has no column \"%s\", and no primary key of one column.", like_column),
                 errhint("gnnrec.set_catalogue(model, '%s', source, id_column => ...) names the column.", type->name)));
    gnnrec_source_check_catalogue(type);
}
