/*
 * source_check.c: whether a source will do, and how it can be read; see source.h.
 */
#include "postgres.h"

#include "pg/source.h"

#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "pg/guc.h"
#include "pg/source_rows.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * How it can be read
 * ------------------------------------------------------------------------------------------------------------------ */

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
gnnrec_source_has_index(Oid source, const char *id_column)
{
    AttrNumber  column = get_attnum(source, id_column);
    Relation    rel;
    ListCell   *cell;
    bool        found = false;

    if (strchr("rpm", get_rel_relkind(source)) == NULL)
        return true;
    rel = table_open(source, AccessShareLock);
    foreach(cell, RelationGetIndexList(rel))
        found |= is_index_on(lfirst_oid(cell), column);
    table_close(rel, AccessShareLock);
    return found;
}

bool
gnnrec_source_lock(Oid source)
{
    Relation    rel = OidIsValid(source) ? try_relation_open(source, AccessShareLock) : NULL;

    if (rel == NULL)
        return false;
    relation_close(rel, NoLock);
    return true;
}

bool
gnnrec_source_is_there(const GnnrecRelation *r)
{
    const char *columns[] = {r->from_column, r->to_column, r->event_column, r->value_column, r->time_column};

    if (!gnnrec_source_lock(r->source))
        return false;
    for (int i = 0; i < lengthof(columns); i++)
        if (columns[i] != NULL && get_attnum(r->source, columns[i]) <= 0)
            return false;
    return true;
}

/* the relation, its partitions and what inherits from it are small enough to be scanned at a call */
bool
gnnrec_source_is_small(Oid source)
{
    int64       room = (int64) gnnrec_fresh_max_scan * 1024 / BLCKSZ;
    ListCell   *cell;

    LockRelationOid(source, AccessShareLock);   /* find_all_inheritors locks the others */
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

void
gnnrec_source_advise(const GnnrecRelation *r)
{
    if (gnnrec_source_has_index(r->source, r->from_column))
        return;
    ereport(NOTICE,
            (errmsg("no index of \"%s\" begins with column \"%s\"", get_rel_name(r->source), r->from_column),
             errdetail("What users do after a training counts before the next one only while the table is smaller than "
                       "gnnrec.fresh_max_scan (%d kB).", gnnrec_fresh_max_scan),
             errhint("CREATE INDEX ON %s (%s);", gnnrec_relation_name(r->source), quote_identifier(r->from_column))));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Checks at definition time
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

    if (gnnrec_is_number_type(type) || (calendar && gnnrec_is_calendar_type(type)))
        return;
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH),
             errmsg("%s \"%s\" has type %s", option, column, format_type_be(type)),
             calendar ? errhint("It must be timestamptz, timestamp, date, or a number of seconds since 1970.")
             : errhint("It must be a number.")));
}

static void
check_behaviours(const GnnrecRelation *r)
{
    GnnrecEventWeights weights;

    if (r->target_event != NULL && !r->separate)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("target_event needs behaviours => 'separate'"),
                 errdetail("Merged kinds of event are learned together.")));
    if (!r->separate)
        return;
    if (r->event_column == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("behaviours => 'separate' needs event_column"),
                 errhint("Name the column that holds the kind of event: event_column => 'event'.")));
    gnnrec_event_weights_read(&weights, r);
    gnnrec_event_target(&weights, r);
}

static void
check_weight(float weight)
{
    if (!isfinite(weight) || weight < 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("weight must be a finite number, 0 or above, not %g", weight)));
}

static void
check_options(const GnnrecRelation *r)
{
    check_weight(r->weight);
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
    if (r->half_life != NULL && gnnrec_half_life_seconds(r->half_life) <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("half_life must be longer than zero")));
    if (r->has_since && TIMESTAMP_NOT_FINITE(r->since))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("since must be a finite time")));
}

/* the server checks the rest, privileges included, when it plans and starts the query */
static void
check_readable(const char *query)
{
    SPI_connect();
    if (SPI_execute(psprintf("%s LIMIT 0", query), true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not read the source");
    SPI_finish();
}

void
gnnrec_source_check(const GnnrecRelation *r)
{
    GnnrecEventWeights ignored;

    gnnrec_source_check_exists(r);
    check_kind(r->source);
    check_options(r);
    gnnrec_source_check_there(r);
    check_id_column(r->source, r->from_column);
    check_id_column(r->source, r->to_column);
    gnnrec_event_weights_read(&ignored, r);
    check_behaviours(r);
    if (r->value_column != NULL)
        check_numeric_column(r->source, r->value_column, "value_column", false);
    if (r->time_column != NULL)
        check_numeric_column(r->source, r->time_column, "time_column", true);
    check_readable(gnnrec_source_query(r));
}

void
gnnrec_source_check_catalogue(const GnnrecNodeType *type)
{
    gnnrec_source_check_catalogue_there(type);
    check_kind(type->catalogue);
    check_id_column(type->catalogue, type->catalogue_id);
    check_readable(gnnrec_source_catalogue_query(type));
}
