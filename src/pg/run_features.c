/*
 * run_features.c: what a run made of the features of its users; see run_features.h.
 *
 * The values of a dictionary are numbered in the order of their bytes, so the number of one is found by bisection, through the
 * key that all columns have: an index on values would not take long ones.
 */
#include "postgres.h"

#include "pg/run_features.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "core/kernel.h"
#include "pg/compat.h"
#include "pg/embedding.h"
#include "pg/role.h"
#include "pg/writer.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * Keeping
 * ------------------------------------------------------------------------------------------------------------------ */

/* which columns some user has */
static bool *
columns_in_use(const GnnCsr *matrix)
{
    bool       *in_use = MemoryContextAllocExtended(CurrentMemoryContext, Max(matrix->n_cols, 1),
                                                    MCXT_ALLOC_ZERO | MCXT_ALLOC_HUGE);

    for (int64 e = 0; e < matrix->ptr[matrix->n]; e++)
        in_use[matrix->idx[e]] = true;
    return in_use;
}

static void
write_features(int64 run_id, const GnnrecFeatureCode *codes, int n)
{
    static const Oid types[] = {INT8OID, INT4OID, NAMEOID, TEXTOID, INT4OID};
    GnnrecWriter writer;

    gnnrec_writer_begin(&writer, gnnrec_catalog_table("run_feature"), "run_id, feature_no, column_name, kind, size", types,
                        lengthof(types));
    for (int i = 0; i < n; i++)
    {
        const GnnrecFeature *f = &codes[i].definition;
        MemoryContext old = MemoryContextSwitchTo(writer.row_context);
        Datum       values[] = {Int64GetDatum(run_id), Int32GetDatum(f->feature_no),
                                DirectFunctionCall1(namein, CStringGetDatum(f->column)), CStringGetTextDatum(f->kind),
                                Int32GetDatum(f->size)};
        bool        nulls[] = {false, false, false, false, f->size == 0};

        MemoryContextSwitchTo(old);
        gnnrec_writer_add(&writer, values, nulls);
    }
    gnnrec_writer_end(&writer);
}

static Datum
value_of(const GnnrecFeatureCode *code, int32 column)
{
    return PointerGetDatum(cstring_to_text_with_len(code->value[column].bytes, code->value[column].len));
}

static void
write_column(GnnrecWriter *writer, int64 run_id, const GnnrecFeatureCode *code, int32 column, const float *vector, int dim)
{
    MemoryContext old = MemoryContextSwitchTo(writer->row_context);
    bool        has_value = code->value != NULL;
    bool        is_number = column < code->n_numbers;
    Datum       values[] = {Int64GetDatum(run_id), Int32GetDatum(code->definition.feature_no), Int32GetDatum(column),
                            has_value ? value_of(code, column) : (Datum) 0,
                            is_number ? Float8GetDatum(code->mean[column]) : (Datum) 0,
                            is_number ? Float8GetDatum(code->deviation[column]) : (Datum) 0,
                            PointerGetDatum(gnnrec_embedding_make(vector, dim))};
    bool        nulls[] = {false, false, false, !has_value, !is_number, !is_number, false};

    MemoryContextSwitchTo(old);
    gnnrec_writer_add(writer, values, nulls);
}

static void
write_columns(int64 run_id, const GnnrecFeatureCode *codes, int n, const bool *in_use, const float *vectors, int dim)
{
    Oid         embedding = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("embedding"),
                                            ObjectIdGetDatum(get_namespace_oid("gnnrec", false)));
    Oid         types[] = {INT8OID, INT4OID, INT4OID, TEXTOID, FLOAT8OID, FLOAT8OID, embedding};
    GnnrecWriter writer;

    gnnrec_writer_begin(&writer, gnnrec_catalog_table("run_feature_column"),
                        "run_id, feature_no, column_no, value, mean, deviation, embedding", types, lengthof(types));
    for (int i = 0; i < n; i++)
        for (int32 c = 0; c < codes[i].n_columns; c++)
            if (in_use[codes[i].first + c])
                write_column(&writer, run_id, &codes[i], c, vectors + (int64) (codes[i].first + c) * dim, dim);
    gnnrec_writer_end(&writer);
}

void
gnnrec_run_features_store(int64 run_id, const GnnrecFeatureCode *codes, int n, const GnnCsr *matrix, const float *vectors,
                          int dim)
{
    GnnrecRoleBefore before = gnnrec_role_become(gnnrec_relation_owner(gnnrec_catalog_table("model")));
    bool       *in_use = columns_in_use(matrix);

    SPI_connect();
    write_features(run_id, codes, n);
    write_columns(run_id, codes, n, in_use, vectors, dim);
    SPI_finish();
    gnnrec_role_return(before);
    pfree(in_use);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Looking up
 * ------------------------------------------------------------------------------------------------------------------ */

/* the column of a value; false: the run knows none */
static bool
find_value(GnnrecRunColumn *out, int64 run_id, int32 feature_no, GnnrecKey value)
{
    int32       from = 0;
    int32       to;

    if (!gnnrec_run_column(out, run_id, feature_no, -1))
        return false;
    to = out->column_no;
    while (from <= to)
    {
        int32       middle = from + (to - from) / 2;
        int         order;

        if (!gnnrec_run_column(out, run_id, feature_no, middle) || out->value == NULL)
            return false;
        order = gnnrec_key_compare(GNNREC_KEY_TEXT, value, (GnnrecKey) {.bytes = out->value, .len = out->n_bytes});
        if (order == 0)
            return true;
        if (order < 0)
            to = middle - 1;
        else
            from = middle + 1;
    }
    return false;
}

/* adds what one cell says, if the run knows of it; it is scaled as in the matrix of the training */
static bool
add_cell(float *sum, int dim, int64 run_id, const GnnrecFeature *f, const GnnrecFeatureCell *cell)
{
    GnnrecRunColumn column;
    double      number = cell->number;

    if (cell->column < 0 ? !find_value(&column, run_id, f->feature_no, cell->value)
        : !gnnrec_run_column(&column, run_id, f->feature_no, cell->column))
        return false;
    if (column.embedding->dim != dim)
        ereport(ERROR,
                (errcode(ERRCODE_DATA_CORRUPTED),
                 errmsg("table gnnrec.run_feature_column does not hold run " INT64_FORMAT " as it was trained", run_id),
                 errdetail("A vector has %d dimensions, and the run's embeddings have %d.", column.embedding->dim, dim),
                 errhint("Train the model again with gnnrec.train().")));
    if (column.is_number)
        number = gnnrec_feature_scaled(number, column.mean, column.deviation, f->size);
    gnn_add_scaled(sum, (float) number, column.embedding->x, dim);
    return true;
}

static bool
add_cells(float *sum, int dim, int64 run_id, const GnnrecFeature *features, const GnnrecFeatureCell *cells, int64 n)
{
    MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "gnnrec feature", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(work);
    bool        any = false;

    memset(sum, 0, dim * sizeof(float));
    for (int64 i = 0; i < n; i++)
    {
        CHECK_FOR_INTERRUPTS(); /* an array may have a million values, each looked for among all of the run's */
        any |= add_cell(sum, dim, run_id, &features[cells[i].feature], &cells[i]);
        MemoryContextReset(work);
    }
    MemoryContextSwitchTo(old);
    MemoryContextDelete(work);
    return any;
}

static GnnrecFeatureCell *
read_cells(int64 *n_cells, int32 model_id, const GnnrecFeature *features, int n, Datum user_id)
{
    const GnnrecModel *model = gnnrec_model_by_id(model_id);
    GnnrecRoleBefore before = gnnrec_role_become(gnnrec_relation_owner(model->types[GNNREC_ITEM].table));
    GnnrecFeatureCell *cells = gnnrec_features_of_node(n_cells, &model->types[GNNREC_USER], features, n, user_id);

    gnnrec_role_return(before);
    return cells;
}

bool
gnnrec_run_features_sum(float *sum, int dim, int32 model_id, int64 run_id, Datum user_id)
{
    MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "gnnrec features", ALLOCSET_DEFAULT_SIZES);
    MemoryContext old = MemoryContextSwitchTo(work);
    int         n;
    GnnrecFeature *features = gnnrec_run_features(run_id, &n);
    GnnrecFeatureCell *cells = NULL;
    int64       n_cells;
    bool        any;

    if (n > 0)
        cells = read_cells(&n_cells, model_id, features, n, user_id);
    any = cells != NULL && add_cells(sum, dim, run_id, features, cells, n_cells);
    MemoryContextSwitchTo(old);
    MemoryContextDelete(work);
    return any;
}
