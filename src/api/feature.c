/*
 * feature.c: add_feature, drop_feature: the columns of catalogues that are features of a model's nodes.
 *
 * Both change the definition alone: features are read with the next training, see pg/features.h.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "api/definition.h"
#include "pg/catalog.h"
#include "pg/feature_column.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(gnnrec_add_feature);
PG_FUNCTION_INFO_V1(gnnrec_drop_feature);

/* ERROR where there is none of that name */
static int
type_of_name(const GnnrecModel *m, const char *name)
{
    for (int t = 0; t < m->n_types; t++)
        if (strcmp(m->types[t].name, name) == 0)
            return t;
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("model \"%s\" has no node type \"%s\"", m->name, name),
             errhint("gnnrec.node_types lists the node types.")));
}

/* as they are now that nobody else changes them, and our own statement may have */
static GnnrecFeature *
features_now(const GnnrecModel *m, int *n)
{
    GnnrecFeature *features;

    PushActiveSnapshot(GetLatestSnapshot());
    features = gnnrec_model_features(m, n);
    PopActiveSnapshot();
    return features;
}

/* NULL: there is none */
static const GnnrecFeature *
find_feature(const GnnrecFeature *features, int n, int type, const char *column)
{
    for (int i = 0; i < n; i++)
        if (features[i].type == type && strcmp(features[i].column, column) == 0)
            return &features[i];
    return NULL;
}

static void
check_is_new(const GnnrecModel *m, const GnnrecFeature *features, int n, int type, const char *column)
{
    if (find_feature(features, n, type, column) != NULL)
        ereport(ERROR,
                (errcode(ERRCODE_DUPLICATE_OBJECT),
                 errmsg("column \"%s\" is a feature of node type \"%s\" already", column, m->types[type].name),
                 errhint("gnnrec.drop_feature takes it out.")));
    if (n >= GNNREC_MAX_FEATURES)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("a model cannot have more than %d features", GNNREC_MAX_FEATURES)));
}

static void
insert_feature(const GnnrecModel *m, const GnnrecFeature *f)
{
    Oid         types[] = {INT4OID, INT4OID, INT4OID, TEXTOID, TEXTOID, INT4OID};
    Datum       values[] = {Int32GetDatum(m->model_id), Int32GetDatum(f->feature_no), Int32GetDatum(m->types[f->type].type_no),
                            CStringGetTextDatum(f->column), CStringGetTextDatum(f->kind), Int32GetDatum(f->size)};
    char        nulls[] = {' ', ' ', ' ', ' ', ' ', f->size == 0 ? 'n' : ' ', '\0'};
    bool        isnull;

    gnnrec_catalog_write("INSERT INTO gnnrec.feature (model_id, feature_no, type_no, column_name, kind, size) "
                         "VALUES ($1, $2, $3, $4, $5, $6)", lengthof(types), types, values, nulls, &isnull);
    gnnrec_definition_touch(m->model_id);
}

/* the server checks that the caller may read it, when it plans and starts the query */
static void
check_readable(const GnnrecModel *m, const GnnrecFeature *f)
{
    char       *sql = psprintf("SELECT %s FROM %s LIMIT 0", quote_identifier(f->column),
                               gnnrec_relation_name(m->types[f->type].catalogue));
    GnnrecRoleBefore before = gnnrec_definition_become_reader(m);

    SPI_connect();
    if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not execute \"%s\"", sql);
    SPI_finish();
    gnnrec_role_return(before);
}

enum {F_MODEL, F_NODE_TYPE, F_COLUMN, F_KIND, F_SIZE};

/* add_feature(model, node_type, column_name, kind, size) */
Datum
gnnrec_add_feature(PG_FUNCTION_ARGS)
{
    static const char *const names[] = {"model", "node_type", "column_name"};
    GnnrecModel *m;
    GnnrecFeature *features;
    GnnrecFeature f = {0};
    int         n;

    for (int i = 0; i < lengthof(names); i++)
        gnnrec_required_argument(fcinfo, i, names[i]);
    m = gnnrec_definition_open(gnnrec_text_argument(fcinfo, F_MODEL));
    f.type = type_of_name(m, gnnrec_text_argument(fcinfo, F_NODE_TYPE));
    f.column = gnnrec_name_argument(fcinfo, F_COLUMN);
    features = features_now(m, &n);
    check_is_new(m, features, n, f.type, f.column);
    f.feature_no = n == 0 ? 0 : features[n - 1].feature_no + 1;
    f.kind = gnnrec_text_argument(fcinfo, F_KIND);
    if (f.kind == NULL)
        f.kind = pstrdup(gnnrec_feature_default_kind(gnnrec_feature_column_type(&m->types[f.type], &f)));
    f.size = PG_ARGISNULL(F_SIZE) ? 0 : PG_GETARG_INT32(F_SIZE);
    gnnrec_feature_check(&m->types[f.type], &f, !PG_ARGISNULL(F_SIZE));
    check_readable(m, &f);
    insert_feature(m, &f);
    PG_RETURN_VOID();
}

/* drop_feature(model, node_type, column_name) */
Datum
gnnrec_drop_feature(PG_FUNCTION_ARGS)
{
    GnnrecModel *m = gnnrec_definition_open(gnnrec_text_argument(fcinfo, F_MODEL));
    int         type = type_of_name(m, gnnrec_text_argument(fcinfo, F_NODE_TYPE));
    char       *column = gnnrec_name_argument(fcinfo, F_COLUMN);
    int         n;
    GnnrecFeature *features = features_now(m, &n);
    const GnnrecFeature *f = find_feature(features, n, type, column);
    Oid         types[] = {INT4OID, INT4OID};
    Datum       values[2];
    bool        isnull;

    if (f == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("column \"%s\" is no feature of node type \"%s\"", column, m->types[type].name),
                 errhint("gnnrec.features lists the features.")));
    values[0] = Int32GetDatum(m->model_id);
    values[1] = Int32GetDatum(f->feature_no);
    gnnrec_catalog_write("DELETE FROM gnnrec.feature WHERE model_id = $1 AND feature_no = $2", 2, types, values, NULL, &isnull);
    gnnrec_definition_touch(m->model_id);
    PG_RETURN_VOID();
}
