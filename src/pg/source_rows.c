/*
 * source_rows.c: the source of a relation as a query, and what one of its rows says; see source_rows.h.
 *
 * One query text serves training and serving. All operators and functions in it are qualified: nothing depends on the reader's
 * search_path.
 */
#include "postgres.h"

#include "pg/source_rows.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#define MAX_UNKNOWN_NAMED 5

/* ---------------------------------------------------------------------------------------------------------------------
 * The query
 * ------------------------------------------------------------------------------------------------------------------ */

char *
gnnrec_relation_name(Oid relation)
{
    char       *name = get_rel_name(relation);

    if (name == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("the interaction table of this model does not exist any more"),
                 errhint("Point the model at another one: gnnrec.alter_model(model, source => 'schema.table').")));
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

Oid
gnnrec_source_column_type(Oid source, const char *column)
{
    AttrNumber  attno;

    gnnrec_relation_name(source);
    attno = get_attnum(source, column);
    if (attno <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", column, get_rel_name(source)),
                 errhint("Name the model's columns: user_column, item_column, event_column, value_column, time_column.")));
    return get_atttype(source, attno);
}

bool
gnnrec_is_calendar_type(Oid type)
{
    return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

bool
gnnrec_is_number_type(Oid type)
{
    switch (type)
    {
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case FLOAT4OID:
        case FLOAT8OID:
        case NUMERICOID:
            return true;
    }
    return false;
}

/* an SQL expression for the time column, in seconds since 1970 as float8 */
static char *
time_expression(const GnnrecRelation *r)
{
    Oid         type = getBaseType(gnnrec_source_column_type(r->source, r->time_column));
    const char *column = quote_identifier(r->time_column);

    if (gnnrec_is_calendar_type(type))
        return psprintf("pg_catalog.date_part('epoch', s.%s)", column);
    return psprintf("s.%s::pg_catalog.float8", column);
}

/* the row is not before a time, given as an SQL expression of seconds since 1970; an index on the column can find such rows */
char *
gnnrec_source_time_condition(const GnnrecRelation *r, const char *seconds)
{
    Oid         type = getBaseType(gnnrec_source_column_type(r->source, r->time_column));
    const char *column = quote_identifier(r->time_column);

    if (gnnrec_is_calendar_type(type))
        return psprintf("s.%s OPERATOR(pg_catalog.>=) pg_catalog.to_timestamp(%s)", column, seconds);
    return psprintf("s.%s::pg_catalog.float8 OPERATOR(pg_catalog.>=) %s", column, seconds);
}

char *
gnnrec_source_since_condition(const GnnrecRelation *r)
{
    return gnnrec_source_time_condition(r, psprintf("%.17g", gnnrec_unix_seconds(r->since)));
}

/* the relation as a query */
char *
gnnrec_source_query(const GnnrecRelation *r)
{
    StringInfoData q;

    initStringInfo(&q);
    appendStringInfo(&q, "SELECT s.%s", quote_identifier(r->from_column));
    appendStringInfo(&q, ", s.%s", quote_identifier(r->to_column));
    if (r->event_column != NULL)
        appendStringInfo(&q, ", s.%s::pg_catalog.text", quote_identifier(r->event_column));
    if (r->value_column != NULL)
        appendStringInfo(&q, ", s.%s::pg_catalog.float8", quote_identifier(r->value_column));
    if (r->time_column != NULL)
        appendStringInfo(&q, ", %s", time_expression(r));
    if (r->relation_column != NULL)
        appendStringInfo(&q, ", s.%s::pg_catalog.text", quote_identifier(r->relation_column));
    appendStringInfo(&q, " FROM %s s", gnnrec_relation_name(r->source));
    if (r->has_since)
        appendStringInfo(&q, " WHERE %s", gnnrec_source_since_condition(r));
    return q.data;
}

static void
nothing(DestReceiver *self)
{
}

void
gnnrec_source_execute(DestReceiver *dest, const char *sql, ParamListInfo params)
{
    SPIExecuteOptions options = {.params = params, .read_only = true, .dest = dest};
    int         result;

    dest->rShutdown = nothing;
    dest->rDestroy = nothing;
    dest->mydest = DestNone;
    SPI_connect();
    result = SPI_execute_extended(sql, &options);
    if (result != SPI_OK_SELECT && result != SPI_OK_UTILITY)
        elog(ERROR, "could not execute \"%s\"", sql);
    SPI_finish();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Event weights
 * ------------------------------------------------------------------------------------------------------------------ */

static float
weight_of_value(const JsonbValue *v, const char *kind)
{
    double      weight;

    if (v->type != jbvNumeric)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("the weight of event \"%s\" is not a number", kind),
                 errhint("event_weights looks like '{\"view\": 1, \"cart\": 3, \"buy\": 5, \"return\": -1}'.")));
    weight = DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(v->val.numeric)));
    if (!isfinite((float) weight))
        ereport(ERROR,
                (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                 errmsg("the weight of event \"%s\" is not a finite real number", kind)));
    return (float) weight;
}

static void
read_weights(GnnrecEventWeights *out, const Jsonb *weights)
{
    JsonbIterator *it = JsonbIteratorInit((JsonbContainer *) &weights->root);
    JsonbValue  v;
    JsonbIteratorToken token;
    int         n = 0;

    if (!JB_ROOT_IS_OBJECT(weights))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("event_weights must be a JSON object of event kinds and weights"),
                 errhint("For example '{\"view\": 1, \"cart\": 3, \"buy\": 5, \"return\": -1}'.")));
    out->n = JB_ROOT_COUNT(weights);
    out->kinds = palloc0(sizeof(GnnrecEventWeight) * Max(out->n, 1));
    while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
        {
            out->kinds[n].kind = pnstrdup(v.val.string.val, v.val.string.len);
            out->kinds[n].len = v.val.string.len;
        }
        else if (token == WJB_VALUE)
        {
            out->kinds[n].weight = weight_of_value(&v, out->kinds[n].kind);
            n++;
        }
    }
}

/* few kinds, so a linear search is faster than a hash */
static const GnnrecEventWeight *
find_kind(const GnnrecEventWeights *weights, const char *kind, int len)
{
    for (int i = 0; i < weights->n; i++)
        if (weights->kinds[i].len == len && memcmp(weights->kinds[i].kind, kind, len) == 0)
            return &weights->kinds[i];
    return NULL;
}

static void
note_seen_event(GnnrecEventWeights *weights, Datum kind, bool isnull)
{
    char       *name = isnull ? "NULL" : TextDatumGetCString(kind);

    for (int i = 0; i < weights->n; i++)
        if (!isnull && strcmp(weights->kinds[i].kind, name) == 0)
        {
            weights->kinds[i].hides = true;
            return;
        }
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("seen_events names a kind of event that event_weights does not: \"%s\"", name),
             errhint("Interactions of other kinds are not read. Give it a weight: 0 is seen, but no sign of interest.")));
}

/* the weight of each kind of event, and whether it hides the item */
void
gnnrec_event_weights_read(GnnrecEventWeights *out, const GnnrecRelation *r)
{
    Datum      *kinds;
    bool       *nulls;
    int         n;

    memset(out, 0, sizeof(*out));
    if (r->event_weights != NULL)
        read_weights(out, r->event_weights);
    out->others_hide = r->seen_events == NULL;
    if (r->seen_events == NULL)
        for (int i = 0; i < out->n; i++)
            out->kinds[i].hides = true;
    else
    {
        deconstruct_array(r->seen_events, TEXTOID, -1, false, TYPALIGN_INT, &kinds, &nulls, &n);
        for (int i = 0; i < n; i++)
            note_seen_event(out, kinds[i], nulls[i]);
    }
}

static int
target_by_name(const GnnrecEventWeights *weights, const char *kind)
{
    const GnnrecEventWeight *found = find_kind(weights, kind, strlen(kind));

    if (found == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("target_event is a kind of event that event_weights does not name: \"%s\"", kind),
                 errhint("Interactions of other kinds are not read. Give it a weight above zero.")));
    return (int) (found - weights->kinds);
}

int
gnnrec_event_target(const GnnrecEventWeights *weights, const GnnrecRelation *r)
{
    int         target = r->target_event != NULL ? target_by_name(weights, r->target_event) : 0;

    if (r->target_event == NULL)
        for (int i = 1; i < weights->n; i++)
            if (weights->kinds[i].weight > weights->kinds[target].weight)
                target = i;
    if (weights->n == 0 || !(weights->kinds[target].weight > 0))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("the kind of event that is learned must have a weight above zero"),
                 errhint("event_weights gives the weights; target_event names the kind, by default that of most weight.")));
    return target;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------------------------------------------------ */

static void
note_unknown_event(GnnrecRowReader *reader, const char *kind, int len)
{
    ListCell   *cell;
    MemoryContext old;

    reader->counts.unknown_events++;
    if (list_length(reader->unknown) >= MAX_UNKNOWN_NAMED)
        return;
    foreach(cell, reader->unknown)
        if (strlen(lfirst(cell)) == len && memcmp(lfirst(cell), kind, len) == 0)
            return;
    old = MemoryContextSwitchTo(reader->context);
    reader->unknown = lappend(reader->unknown, pnstrdup(kind, len));
    MemoryContextSwitchTo(old);
}

/* what the row's kind of event says; NULL: to be skipped */
static const GnnrecEventWeight *
kind_of_event(GnnrecRowReader *reader, Datum value, bool isnull)
{
    const GnnrecEventWeight *known;
    struct varlena *kind;

    if (isnull)
    {
        note_unknown_event(reader, "NULL", 4);
        return NULL;
    }
    kind = PG_DETOAST_DATUM_PACKED(value);
    known = find_kind(&reader->weights, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind));
    if (known == NULL)
        note_unknown_event(reader, VARDATA_ANY(kind), VARSIZE_ANY_EXHDR(kind));
    return known;
}

/* the optional columns of a row, in the order of gnnrec_source_query; false: the row is to be skipped, and has been counted */
bool
gnnrec_row_read(GnnrecRowReader *reader, GnnrecRow *row, const Datum *values, const bool *nulls)
{
    const GnnrecRelation *r = reader->relation;
    int         column = 2;
    double      weight = r->weight;

    row->time = 0;
    row->kind = 0;
    row->hides = reader->weights.others_hide;
    if (r->event_column != NULL)
    {
        const GnnrecEventWeight *kind = kind_of_event(reader, values[column], nulls[column]);

        if (kind == NULL)
            return false;
        weight *= kind->weight;
        row->hides = kind->hides;
        row->kind = (int32) (kind - reader->weights.kinds);
        column++;
    }
    if (r->value_column != NULL)
    {
        weight *= nulls[column] ? NAN : DatumGetFloat8(values[column]);
        column++;
    }
    if (r->time_column != NULL)
    {
        row->time = nulls[column] ? NAN : DatumGetFloat8(values[column]);
        column++;
    }
    row->weight = (float) weight;
    if (!isfinite(row->weight) || !isfinite(row->time))
    {
        reader->counts.bad_values++;
        return false;
    }
    if (r->relation_column != NULL)
    {
        if (nulls[column])
        {
            reader->counts.null_ids++;
            return false;
        }
        row->kind = gnnrec_idmap_number(reader->values, values[column]);
    }
    return true;
}

double
gnnrec_half_life_seconds(const Interval *half_life)
{
    double      days = (double) half_life->month * DAYS_PER_MONTH + half_life->day;

    return days * SECS_PER_DAY + (double) half_life->time / USECS_PER_SEC;
}

/* what the model's first relation is made of is named in its definition; a further one has a name of its own */
static bool
is_interactions(const GnnrecRelation *r)
{
    return r->relation_no == GNNREC_INTERACTIONS;
}

static void
check_column(const GnnrecRelation *r, const char *column)
{
    if (column == NULL)
        return;
    if (is_interactions(r))
        gnnrec_source_column_type(r->source, column);
    else if (get_attnum(r->source, column) <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", column, get_rel_name(r->source)),
                 errhint("from_column, to_column, relation_column, value_column and time_column of relation \"%s\" name columns.",
                         r->name)));
}

void
gnnrec_source_check_exists(const GnnrecRelation *r)
{
    if (is_interactions(r))
        gnnrec_relation_name(r->source);
    else if (get_rel_name(r->source) == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("the table of relation \"%s\" does not exist any more", r->name),
                 errhint("gnnrec.drop_relation drops the relation.")));
}

void
gnnrec_source_check_there(const GnnrecRelation *r)
{
    const char *columns[] = {r->event_column, r->value_column, r->from_column, r->to_column, r->relation_column};

    gnnrec_source_check_exists(r);
    for (int i = 0; i < lengthof(columns); i++)
        check_column(r, columns[i]);
    if (!is_interactions(r))
        check_column(r, r->time_column);
}

/* ids are read as what the model's types say: another type's would be read as pointers, or as parts of numbers */
void
gnnrec_source_check_types(const GnnrecRelation *r, Oid from, Oid to, Oid from_wanted, Oid to_wanted)
{
    if (from != from_wanted || to != to_wanted)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("the id columns of %s have changed their type since the %s was %s", gnnrec_relation_name(r->source),
                        is_interactions(r) ? "model" : "relation", is_interactions(r) ? "created" : "added"),
                 is_interactions(r) ? errhint("Drop the model and create it again.")
                 : errhint("Drop relation \"%s\" with gnnrec.drop_relation and add it again.", r->name)));
}

/* before a query is made: of a column that is gone it would say less; of the time column, making it says as much */
void
gnnrec_source_check_columns(const GnnrecRelation *r, Oid from_wanted, Oid to_wanted)
{
    gnnrec_source_check_there(r);
    gnnrec_source_check_types(r, gnnrec_source_column_type(r->source, r->from_column),
                              gnnrec_source_column_type(r->source, r->to_column), from_wanted, to_wanted);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Catalogues
 * ------------------------------------------------------------------------------------------------------------------ */

char *
gnnrec_source_catalogue_query(const GnnrecNodeType *type)
{
    return psprintf("SELECT s.%s FROM %s s", quote_identifier(type->catalogue_id), gnnrec_relation_name(type->catalogue));
}

void
gnnrec_source_check_catalogue_type(const GnnrecNodeType *type, Oid is)
{
    if (is != type->id_type)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("column \"%s\" of %s has type %s, but the model's %s ids have type %s", type->catalogue_id,
                        gnnrec_relation_name(type->catalogue), format_type_be(is), type->name, format_type_be(type->id_type)),
                 errhint("A view can cast the column.")));
}

void
gnnrec_source_check_catalogue_there(const GnnrecNodeType *type)
{
    if (get_rel_name(type->catalogue) == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("the catalogue of node type \"%s\" does not exist any more", type->name),
                 errhint("gnnrec.set_catalogue(model, '%s', ...) names another one, or with NULL none.", type->name)));
    if (get_attnum(type->catalogue, type->catalogue_id) <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", type->catalogue_id, get_rel_name(type->catalogue)),
                 errhint("gnnrec.set_catalogue(model, '%s', ..., id_column => ...) names the column that holds the ids.",
                         type->name)));
    gnnrec_source_check_catalogue_type(type, gnnrec_source_column_type(type->catalogue, type->catalogue_id));
}
