/*
 * evaluation.c: what evaluate() and evaluate_table() share; see evaluation.h.
 */
#include "postgres.h"

#include "api/evaluation.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/memory.h"

#define MAX_CUTOFFS 100
#define MAX_K 10000000

void
gnnrec_evaluation_required(FunctionCallInfo fcinfo, int argument, const char *what)
{
    if (PG_ARGISNULL(argument))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("%s must not be NULL", what)));
}

static int32
checked_k(Datum value, bool isnull)
{
    int32       k = isnull ? 0 : DatumGetInt32(value);

    if (k < 1 || k > MAX_K)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("each k must be a number from 1 to %d", MAX_K),
                 isnull ? errdetail("One is NULL.") : errdetail("One is %d.", k)));
    return k;
}

void
gnnrec_cutoffs_argument(GnnrecCutoffs *out, FunctionCallInfo fcinfo, int argument)
{
    Datum      *values;
    bool       *nulls;

    gnnrec_evaluation_required(fcinfo, argument, "k");
    deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), INT4OID, sizeof(int32), true, TYPALIGN_INT, &values, &nulls, &out->n);
    if (out->n < 1 || out->n > MAX_CUTOFFS)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("k must have 1 to %d elements", MAX_CUTOFFS),
                 errdetail("It has %d.", out->n)));
    out->k = palloc(sizeof(int32) * out->n);
    out->largest = 0;
    for (int i = 0; i < out->n; i++)
    {
        out->k[i] = checked_k(values[i], nulls[i]);
        out->largest = Max(out->largest, out->k[i]);
    }
}

void
gnnrec_id_column(GnnrecKeyType *out, Oid relation, const char *column, const GnnrecKeyType *expected)
{
    char       *name = get_rel_name(relation);
    AttrNumber  number = get_attnum(relation, column);

    if (name == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("relation with OID %u does not exist", relation)));
    if (number <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", column, name),
                 errhint("A view can give a column another name.")));
    gnnrec_key_type(out, get_atttype(relation, number));
    if (expected != NULL && out->base != expected->base)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("ids in column \"%s\" of \"%s\" must be of type %s, not %s", column, name,
                        format_type_be(expected->type), format_type_be(out->type)),
                 errhint("A view can cast the column.")));
}

void
gnnrec_pairs_read(GnnrecInteractions *out, const GnnrecRelation *relation, GnnrecIdMap *users, GnnrecIdMap *items)
{
    gnnrec_source_read(out, relation, users, items, NULL, NULL);
    if (out->counts.null_ids > 0)
        ereport(NOTICE,
                (errmsg("rows of \"%s\" in which an id is NULL are skipped", get_rel_name(relation->source)),
                 errdetail("Skipped: " INT64_FORMAT ".", out->counts.null_ids)));
}

static int32 *
renumbered(const int32 *numbers, int64 n, const int32 *renumber)
{
    int32      *result = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * Max(n, 1));

    for (int64 i = 0; i < n; i++)
        result[i] = renumber[numbers[i]];
    return result;
}

void
gnnrec_truth_build(GnnrecTruth *out, const GnnrecInteractions *pairs, int32 **new_user, int32 **new_item)
{
    GnnArena    arena = gnnrec_arena(CurrentMemoryContext);
    int32      *user = gnnrec_idmap_sort(&out->users);
    int32      *item = gnnrec_idmap_sort(&out->items);
    GnnEdges    edges = {.n = pairs->n, .from = renumbered(pairs->from, pairs->n, user),
                         .to = renumbered(pairs->to, pairs->n, item)};

    gnn_csr_build(&out->items_of, &arena, &edges, out->users.n, out->items.n);
    if (new_user != NULL)
        *new_user = user;
    if (new_item != NULL)
        *new_item = item;
}

void
gnnrec_tally_init(GnnrecTally *out, const GnnrecCutoffs *cutoffs)
{
    out->cutoffs = cutoffs;
    out->sum = palloc0(sizeof(out->sum[0]) * cutoffs->n);
    out->n_users = 0;
}

void
gnnrec_tally_add(GnnrecTally *tally, const bool *hit, int32 n_listed, int64 n_truth)
{
    for (int i = 0; i < tally->cutoffs->n; i++)
        gnn_metric_add(tally->sum[i], hit, n_listed, tally->cutoffs->k[i], n_truth);
    tally->n_users++;
}
