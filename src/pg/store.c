/*
 * store.c: a trained run into the model's tables; see store.h.
 *
 * The tables are ordinary tables of the model's owner, and only the owner's rights are used.
 */
#include "postgres.h"

#include "pg/store.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "pg/compat.h"
#include "pg/embedding.h"
#include "pg/role.h"
#include "pg/source.h"
#include "pg/writer.h"

#define MAX_COLUMNS 8

/* fills one row of a table: node i of the type */
typedef void (*RowMaker) (const GnnrecTrained *t, int type, int32 i, Datum *values, bool *nulls);

typedef struct TableRows
{
    const char *columns;        /* in the order RowMaker fills them */
    int         n_columns;
    Oid         types[MAX_COLUMNS]; /* InvalidOid: the id type; gnnrec.embedding is filled in at run time */
    RowMaker    make_row;
} TableRows;

static Datum
vector(const float *rows, int32 i, int dim)
{
    return PointerGetDatum(gnnrec_embedding_make(rows + (int64) i * dim, dim));
}

/* a sum of weights of a node of a type; a run that cannot be served must not go live */
static Datum
checked_sum(const GnnrecTrained *t, int type, double weights)
{
    float       sum = (float) weights;

    if (!isfinite(sum))
        ereport(ERROR,
                (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                 errmsg("the weights of one %s's interactions add up to more than a real can hold", t->model->types[type].name),
                 errhint("Smaller event_weights, or a view that divides the values, make the same model.")));
    return Float4GetDatum(sum);
}

static Datum
degree(const GnnrecTrained *t, int type, int32 i)
{
    return checked_sum(t, type, t->fit->degree[type][i]);
}

static Datum
id(const GnnrecTrained *t, int type, int32 i)
{
    return gnnrec_key_datum(&t->ids[type].type, t->ids[type].keys[i]);
}

static void
make_item(const GnnrecTrained *t, int type, int32 i, Datum *values, bool *nulls)
{
    values[0] = id(t, type, i);
    values[1] = Int64GetDatum(t->run_id);
    values[2] = Int32GetDatum(i);
    values[3] = vector(t->fit->embedding[type], i, t->dim);
    values[4] = vector(t->fit->fold_in[type], i, t->fold_in_width);
    values[5] = degree(t, type, i);
    values[6] = checked_sum(t, type, t->interactions[i]);
}

Datum
gnnrec_store_array(Oid element, const void *data, int64 n)
{
    Size        bytes = ARR_OVERHEAD_NONULLS(1) + n * 4;
    ArrayType  *array;

    if (n == 0)
        return PointerGetDatum(construct_empty_array(element));
    if (!AllocSizeIsValid(bytes))
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("a list is too long to be stored: " INT64_FORMAT " elements", n)));
    array = palloc(bytes);
    SET_VARSIZE(array, bytes);
    array->ndim = 1;
    array->dataoffset = 0;
    array->elemtype = element;
    ARR_DIMS(array)[0] = (int) n;
    ARR_LBOUND(array)[0] = 1;
    memcpy(ARR_DATA_PTR(array), data, n * 4);
    return PointerGetDatum(array);
}

static bool
all_one(const float *weight, int64 n)
{
    for (int64 e = 0; e < n; e++)
        if (weight[e] != 1.0f)
            return false;
    return true;
}

/* what is in row i of seen and not in that of hidden: both are ascending */
static Datum
shown(const GnnrecTrained *t, int32 i, bool *isnull)
{
    const int32 *seen = t->seen->idx + t->seen->ptr[i];
    int64       n = t->seen->ptr[i + 1] - t->seen->ptr[i];
    const int32 *hidden;
    const int32 *end;
    int32      *out;
    int64       n_out = 0;

    *isnull = true;
    if (t->hidden == NULL)
        return (Datum) 0;
    hidden = t->hidden->idx + t->hidden->ptr[i];
    end = t->hidden->idx + t->hidden->ptr[i + 1];
    out = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * Max(n, 1));
    for (int64 e = 0; e < n; e++)
    {
        while (hidden < end && *hidden < seen[e])
            hidden++;
        if (hidden == end || *hidden != seen[e])
            out[n_out++] = seen[e];
    }
    *isnull = n_out == 0;
    return *isnull ? (Datum) 0 : gnnrec_store_array(INT4OID, out, n_out);
}

static void
make_user(const GnnrecTrained *t, int type, int32 i, Datum *values, bool *nulls)
{
    int64       first = t->seen->ptr[i];
    int64       n = t->seen->ptr[i + 1] - first;

    values[0] = id(t, type, i);
    values[1] = Int64GetDatum(t->run_id);
    values[2] = vector(t->fit->embedding[type], i, t->dim);
    values[3] = degree(t, type, i);
    values[4] = gnnrec_store_array(INT4OID, t->seen->idx + first, n);
    nulls[5] = t->seen->val == NULL || all_one(t->seen->val + first, n);
    values[5] = nulls[5] ? (Datum) 0 : gnnrec_store_array(FLOAT4OID, t->seen->val + first, n);
    values[6] = shown(t, i, &nulls[6]);
}

/* of any further type */
static void
make_node(const GnnrecTrained *t, int type, int32 i, Datum *values, bool *nulls)
{
    values[0] = id(t, type, i);
    values[1] = Int64GetDatum(t->run_id);
    values[2] = Int32GetDatum(i);
    values[3] = vector(t->fit->embedding[type], i, t->dim);
    values[4] = degree(t, type, i);
}

#define ID_TYPE InvalidOid
#define VECTOR_TYPE UNKNOWNOID

static const TableRows tables[] = {
    [GNNREC_USER] = {"user_id, run_id, embedding, degree, seen, seen_weight, shown", 7,
                     {ID_TYPE, INT8OID, VECTOR_TYPE, FLOAT4OID, INT4ARRAYOID, FLOAT4ARRAYOID, INT4ARRAYOID}, make_user},
    [GNNREC_ITEM] = {"item_id, run_id, item_no, embedding, fold_in, degree, interactions", 7,
                     {ID_TYPE, INT8OID, INT4OID, VECTOR_TYPE, VECTOR_TYPE, FLOAT4OID, FLOAT4OID}, make_item},
};

/* users and items have tables of their own kind, further types one that is named like them */
static TableRows
rows_of(const GnnrecModel *model, int type)
{
    const char *name = model->types[type].name;

    if (type <= GNNREC_ITEM)
        return tables[type];
    return (TableRows) {
        psprintf("%s, run_id, %s, embedding, degree", quote_identifier(psprintf("%s_id", name)),
                 quote_identifier(psprintf("%s_no", name))),
        5, {ID_TYPE, INT8OID, INT4OID, VECTOR_TYPE, FLOAT4OID}, make_node
    };
}

static Oid
vector_type(void)
{
    return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("embedding"),
                           ObjectIdGetDatum(get_namespace_oid("gnnrec", false)));
}

static void
column_types(Oid *out, const TableRows *rows, Oid id_type)
{
    for (int c = 0; c < rows->n_columns; c++)
        out[c] = rows->types[c] == ID_TYPE ? id_type : rows->types[c] == VECTOR_TYPE ? vector_type() : rows->types[c];
}

/* the rows of one node type; SPI is connected */
static void
write_rows(const GnnrecTrained *t, int type)
{
    TableRows   rows = rows_of(t->model, type);
    Oid         types[MAX_COLUMNS];
    GnnrecWriter writer;

    column_types(types, &rows, t->ids[type].type.type);
    gnnrec_writer_begin(&writer, t->model->types[type].table, rows.columns, types, rows.n_columns);
    for (int32 i = 0; i < t->ids[type].n; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(writer.row_context);
        Datum       values[MAX_COLUMNS];
        bool        nulls[MAX_COLUMNS] = {false};

        rows.make_row(t, type, i, values, nulls);
        MemoryContextSwitchTo(old);
        gnnrec_writer_add(&writer, values, nulls);
    }
    gnnrec_writer_end(&writer);
}

void
gnnrec_store_check(const GnnrecModel *model)
{
    for (int type = 0; type < model->n_types; type++)
        if (get_rel_name(model->types[type].table) == NULL)
            ereport(ERROR,
                    (errcode(ERRCODE_UNDEFINED_TABLE),
                     errmsg("the table of the %s embeddings of model \"%s\" does not exist any more",
                            model->types[type].name, model->name),
                     type <= GNNREC_ITEM ? errhint("Drop the model with gnnrec.drop_model and create it again.")
                     : errhint("Drop its relations with gnnrec.drop_relation and add them again.")));
}

/* runs work(arg, type) for each node type, connected to SPI, as the owner of the type's table */
static void
as_owners(const GnnrecModel *model, void (*work) (const void *arg, int type), const void *arg)
{
    for (int type = 0; type < model->n_types; type++)
    {
        GnnrecRoleBefore before = gnnrec_role_become(gnnrec_relation_owner(model->types[type].table));

        SPI_connect();
        work(arg, type);
        SPI_finish();
        gnnrec_role_return(before);
    }
}

static void
write_type(const void *arg, int type)
{
    write_rows(arg, type);
}

/* the weights above zero, column by column */
static const double *
interactions_of_items(const GnnCsr *seen, int32 n_items)
{
    double     *sum = MemoryContextAllocExtended(CurrentMemoryContext, sizeof(double) * Max(n_items, 1),
                                                 MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);

    for (int64 e = 0; e < seen->ptr[seen->n]; e++)
        sum[seen->idx[e]] += seen->val == NULL ? 1 : Max(seen->val[e], 0);
    return sum;
}

void
gnnrec_store_run(const GnnrecTrained *trained)
{
    GnnrecTrained t = *trained;

    gnnrec_store_check(t.model);
    t.interactions = interactions_of_items(t.seen, t.ids[GNNREC_ITEM].n);
    as_owners(t.model, write_type, &t);
}

typedef struct Deletion
{
    const GnnrecModel *model;
    char       *keep;           /* an array literal of run numbers */
} Deletion;

static void
delete_type(const void *arg, int type)
{
    const Deletion *d = arg;
    char       *sql = psprintf("DELETE FROM %s WHERE run_id OPERATOR(pg_catalog.<>) ALL (%s::pg_catalog.int8[])",
                               gnnrec_relation_name(d->model->types[type].table), quote_literal_cstr(d->keep));

    if (SPI_execute(sql, false, 0) != SPI_OK_DELETE)
        elog(ERROR, "could not execute \"%s\"", sql);
}

void
gnnrec_store_delete_others(const GnnrecModel *model, const int64 *keep, int n_keep)
{
    StringInfoData list;
    Deletion    deletion = {.model = model};

    initStringInfo(&list);
    for (int i = 0; i < n_keep; i++)
        appendStringInfo(&list, "%s" INT64_FORMAT, i == 0 ? "{" : ",", keep[i]);
    appendStringInfoString(&list, n_keep == 0 ? "{}" : "}");
    deletion.keep = list.data;
    as_owners(model, delete_type, &deletion);
}
