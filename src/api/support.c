/*
 * support.c: what the planner is told about the functions that answer with lists: how many rows they return.
 *
 * One support function for all of them: it looks at the argument that is called k, wherever that stands. The wrappers in a
 * model's schema are inlined, so the planner asks about the core functions, with the caller's own arguments.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "pg/snapshot.h"

PG_FUNCTION_INFO_V1(gnnrec_list_support);

/* the value a call's argument of that name will have; NULL: it has none, or it is not known before the call */
static Const *
argument(PlannerInfo *root, const FuncExpr *call, const char *name)
{
    HeapTuple   row = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
    Oid        *types;
    char      **names;
    char       *modes;
    int         n;
    Const      *found = NULL;

    if (!HeapTupleIsValid(row))
        return NULL;
    n = get_func_arg_info(row, &types, &names, &modes);
    ReleaseSysCache(row);
    for (int i = 0; names != NULL && i < Min(n, list_length(call->args)); i++)
        if (strcmp(names[i], name) == 0)
        {
            Node       *value = estimate_expression_value(root, list_nth(call->args, i));

            found = IsA(value, Const) ? (Const *) value : NULL;
        }
    return found;
}

/* what is to be counted: the nodes of the type that is named, or items */
typedef struct Count
{
    const Const *type;
    int         number;         /* of the type */
} Count;

/* a GnnrecSnapshotGuard: the planner tells nobody how many rows there are in a table that the role may not read */
static bool
may_count(const GnnrecSnapshot *described, void *arg)
{
    Count      *count = arg;

    count->number = GNNREC_ITEM;
    if (count->type != NULL && !count->type->constisnull
        && strcmp(TextDatumGetCString(count->type->constvalue), described->types[GNNREC_USER].name) == 0)
        count->number = GNNREC_USER;
    return gnnrec_may_read(described->types[count->number].table);
}

/* the nodes of a type in the model's live run: of items, unless one is named; -1: there is no run, or the role may not know */
static double
n_nodes(const Const *model, const Const *type)
{
    Count       count = {type};
    const GnnrecSnapshot *snapshot;
    int32       model_id;

    if (model == NULL || model->constisnull || model->consttype != REGCLASSOID || !ActiveSnapshotSet())
        return -1;
    model_id = gnnrec_model_of_table(DatumGetObjectId(model->constvalue));
    if (gnnrec_live_run(model_id) == 0)
        return -1;
    snapshot = gnnrec_snapshot_live(model_id, may_count, &count);
    return snapshot == NULL ? -1 : snapshot->types[count.number].n;
}

/* how many rows there could be; -1: who knows */
static double
n_rankable(PlannerInfo *root, const FuncExpr *call)
{
    const Const *candidates = argument(root, call, "candidates");

    if (candidates != NULL && !candidates->constisnull)
    {
        const ArrayType *array = DatumGetArrayTypeP(candidates->constvalue);

        return ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
    }
    return n_nodes(argument(root, call, "model"), argument(root, call, "node_type"));
}

/* -1: as the function is declared */
static double
n_rows(PlannerInfo *root, const FuncExpr *call)
{
    const Const *k = argument(root, call, "k");
    double      rankable;

    if (k == NULL)
        return -1;
    rankable = n_rankable(root, call);
    if (k->constisnull)
        return rankable;
    return rankable < 0 ? DatumGetInt32(k->constvalue) : Min(rankable, DatumGetInt32(k->constvalue));
}

/* gnnrec.list_support(internal) */
Datum
gnnrec_list_support(PG_FUNCTION_ARGS)
{
    Node       *request = (Node *) PG_GETARG_POINTER(0);
    double      rows = -1;

    if (IsA(request, SupportRequestRows))
    {
        SupportRequestRows *asked = (SupportRequestRows *) request;

        if (asked->node != NULL && IsA(asked->node, FuncExpr))
            rows = n_rows(asked->root, (FuncExpr *) asked->node);
        asked->rows = rows;
    }
    PG_RETURN_POINTER(rows < 0 ? NULL : request);
}
