/*
 * feature_column.c: which columns can be features, and how the server is asked for what is in them; see feature_column.h.
 */
#include "postgres.h"

#include "pg/feature_column.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/source.h"
#include "pg/source_rows.h"

/* in the order of GnnrecFeatureKind */
static const char *const kind_names[] = {"category", "number", "text", "vector"};

/* ---------------------------------------------------------------------------------------------------------------------
 * Which columns will do
 * ------------------------------------------------------------------------------------------------------------------ */

static bool
is_number_or_time(Oid type)
{
    return gnnrec_is_number_type(getBaseType(type)) || gnnrec_is_calendar_type(getBaseType(type));
}

static bool
is_string(Oid type)
{
    char        category;
    bool        preferred;

    get_type_category_preferred(getBaseType(type), &category, &preferred);
    return category == TYPCATEGORY_STRING;
}

/* InvalidOid: it is no array */
static Oid
element_of(Oid type)
{
    return get_base_element_type(type);
}

/* gnnrec.embedding, and whatever else has a cast to real[] */
static bool
is_vector(Oid type)
{
    Oid         function;

    return !OidIsValid(element_of(type))
        && find_coercion_pathway(FLOAT4ARRAYOID, getBaseType(type), COERCION_EXPLICIT, &function) == COERCION_PATH_FUNC;
}

static bool
is_array_of_numbers(Oid type)
{
    Oid         element = element_of(type);

    return OidIsValid(element) && gnnrec_is_number_type(getBaseType(element));
}

const char *
gnnrec_feature_default_kind(Oid type)
{
    Oid         element = element_of(type);

    if (is_vector(type) || element == FLOAT4OID || element == FLOAT8OID || element == NUMERICOID)
        return kind_names[GNNREC_VECTOR];
    if (OidIsValid(element))
        return kind_names[GNNREC_CATEGORY];
    return kind_names[is_number_or_time(type) ? GNNREC_NUMBER : is_string(type) ? GNNREC_TEXT : GNNREC_CATEGORY];
}

GnnrecFeatureKind
gnnrec_feature_kind(const GnnrecFeature *feature)
{
    for (int kind = 0; kind < lengthof(kind_names); kind++)
        if (strcmp(kind_names[kind], feature->kind) == 0)
            return kind;
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("a feature cannot be of kind \"%s\"", feature->kind),
             errhint("A kind is category, number, text or vector.")));
}

static bool
suits(GnnrecFeatureKind kind, Oid type)
{
    switch (kind)
    {
        case GNNREC_CATEGORY:
            return true;
        case GNNREC_NUMBER:
            return is_number_or_time(type);
        case GNNREC_TEXT:
            return is_string(type);
        case GNNREC_VECTOR:
            return is_vector(type) || is_array_of_numbers(type);
    }
    return false;
}

static void
check_size(const GnnrecFeature *feature, GnnrecFeatureKind kind)
{
    if (kind != GNNREC_CATEGORY && kind != GNNREC_TEXT)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("a feature of kind \"%s\" has no size", feature->kind),
                 errhint("size is the number of columns that the values of a category, or the words of a text, are hashed to.")));
    if (feature->size < 1 || feature->size > GNNREC_MAX_BUCKETS)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("size must be from 1 to %d", GNNREC_MAX_BUCKETS)));
}

Oid
gnnrec_feature_column_type(const GnnrecNodeType *type, const GnnrecFeature *feature)
{
    AttrNumber  column;

    if (!OidIsValid(type->catalogue))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("node type \"%s\" has no catalogue that could have a column \"%s\"", type->name, feature->column),
                 errhint("gnnrec.set_catalogue(model, '%s', source) names the table whose rows are its nodes.", type->name)));
    gnnrec_source_check_catalogue_there(type);
    column = get_attnum(type->catalogue, feature->column);
    if (column <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", feature->column, get_rel_name(type->catalogue)),
                 errhint("gnnrec.add_feature names columns of the catalogue, gnnrec.drop_feature takes one out.")));
    return get_atttype(type->catalogue, column);
}

void
gnnrec_feature_check(const GnnrecNodeType *type, const GnnrecFeature *feature, bool has_size)
{
    Oid         column = gnnrec_feature_column_type(type, feature);
    GnnrecFeatureKind kind = gnnrec_feature_kind(feature);

    if (!suits(kind, column))
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("column \"%s\" of \"%s\" has type %s and cannot be a feature of kind \"%s\"", feature->column,
                        get_rel_name(type->catalogue), format_type_be(column), feature->kind),
                 errhint("Numbers and times can be of kind number, character strings text, arrays of numbers and what has a cast "
                         "to real[] vector, and any type category.")));
    if (has_size)
        check_size(feature, kind);
}

bool
gnnrec_feature_fits(const GnnrecNodeType *type, const GnnrecFeature *feature)
{
    AttrNumber  column = get_attnum(type->catalogue, feature->column);

    return column > 0 && suits(gnnrec_feature_kind(feature), get_atttype(type->catalogue, column));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The query
 * ------------------------------------------------------------------------------------------------------------------ */

bool
gnnrec_feature_is_array(const GnnrecNodeType *type, const GnnrecFeature *feature)
{
    return OidIsValid(element_of(gnnrec_feature_column_type(type, feature)));
}

char *
gnnrec_feature_expression(const GnnrecNodeType *type, const GnnrecFeature *feature)
{
    Oid         column = gnnrec_feature_column_type(type, feature);
    const char *name = quote_identifier(feature->column);

    switch (gnnrec_feature_kind(feature))
    {
        case GNNREC_CATEGORY:
            return psprintf("s.%s::pg_catalog.text%s", name, OidIsValid(element_of(column)) ? "[]" : "");
        case GNNREC_NUMBER:
            return psprintf(gnnrec_is_calendar_type(getBaseType(column)) ? "pg_catalog.date_part('epoch', s.%s)"
                            : "s.%s::pg_catalog.float8", name);
        case GNNREC_TEXT:
            return psprintf("pg_catalog.lower(s.%s::pg_catalog.text)", name);
        case GNNREC_VECTOR:
            return psprintf("s.%s::pg_catalog.float%s8[]", name, is_vector(column) ? "4[]::pg_catalog.float" : "");
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Counting
 * ------------------------------------------------------------------------------------------------------------------ */

/* one row a value, whatever the column takes for equal */
static char *
count_of_values(const char *value, const char *source, bool is_array, int32 size)
{
    if (is_array)
        value = psprintf("pg_catalog.unnest(%s)", value);
    if (size > 0)
        return psprintf("SELECT %d::pg_catalog.int8, pg_catalog.count(v), 0::pg_catalog.int8 FROM (SELECT %s AS v FROM %s s) x",
                        size, value, source);
    return psprintf("SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(n), 0)::pg_catalog.int8, "
                    "coalesce(pg_catalog.sum(pg_catalog.octet_length(v)), 0)::pg_catalog.int8 "
                    "FROM (SELECT v, pg_catalog.count(*) AS n FROM (SELECT (%s) COLLATE pg_catalog.\"C\" AS v FROM %s s) x "
                    "WHERE v IS NOT NULL GROUP BY v) d", value, source);
}

/* regular expressions are not for nondeterministic collations, which a column may have */
static char *
count_of_words(const char *value, const char *source, int32 size)
{
    return psprintf("SELECT %d::pg_catalog.int8, coalesce(pg_catalog.sum(pg_catalog.cardinality("
                    "pg_catalog.regexp_split_to_array(%s COLLATE pg_catalog.\"default\", '[^[:alnum:]]+'))), 0)"
                    "::pg_catalog.int8, 0::pg_catalog.int8 FROM %s s",
                    size, value, source);
}

/* with a column for the missing */
static char *
count_of_vectors(const char *value, const char *source)
{
    return psprintf("SELECT coalesce(pg_catalog.max(pg_catalog.cardinality(%s)), 0)::pg_catalog.int8 "
                    "OPERATOR(pg_catalog.+) 1::pg_catalog.int8, "
                    "coalesce(pg_catalog.sum(pg_catalog.cardinality(%s)), 0)::pg_catalog.int8, 0::pg_catalog.int8 FROM %s s",
                    value, value, source);
}

/* a query for three bigints, columns, entries and bytes */
static char *
counts(const GnnrecNodeType *type, const GnnrecFeature *feature)
{
    char       *value = gnnrec_feature_expression(type, feature);
    char       *source = gnnrec_relation_name(type->catalogue);

    switch (gnnrec_feature_kind(feature))
    {
        case GNNREC_CATEGORY:
            return count_of_values(value, source, gnnrec_feature_is_array(type, feature), feature->size);
        case GNNREC_NUMBER:
            return psprintf("SELECT 2::pg_catalog.int8, pg_catalog.count(*), 0::pg_catalog.int8 FROM %s s", source);
        case GNNREC_TEXT:
            return count_of_words(value, source, feature->size > 0 ? feature->size : GNNREC_DEFAULT_BUCKETS);
        case GNNREC_VECTOR:
            return count_of_vectors(value, source);
    }
    return NULL;
}

static int64
counted(int column)
{
    bool        isnull;

    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
}

void
gnnrec_feature_count(GnnrecFeatureCount *out, const GnnrecNodeType *type, const GnnrecFeature *feature)
{
    char       *sql;

    gnnrec_feature_check(type, feature, feature->size > 0);
    sql = counts(type, feature);
    SPI_connect();
    if (SPI_execute(sql, true, 0) != SPI_OK_SELECT || SPI_processed != 1)
        elog(ERROR, "could not execute \"%s\"", sql);
    *out = (GnnrecFeatureCount) {.n_columns = counted(1), .n_values = counted(2), .n_bytes = counted(3)};
    out->has_dictionary = gnnrec_feature_kind(feature) == GNNREC_CATEGORY && feature->size == 0;
    SPI_finish();
}
