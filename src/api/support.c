/*
 * support.c: what the planner is told about the functions that answer with lists: how many rows they return, what a call costs.
 *
 * Arguments are found by name, wherever they stand: k, candidates, users. The wrappers in a model's schema are inlined, so the
 * planner asks about the core functions, with the caller's own arguments. What is not known before the call is taken for what
 * the functions are declared with, UNKNOWN rows a list; where there is no run, all of the answer is left to the declaration.
 *
 * A call's cost is that of reading the vectors. The planner's unit of work, cpu_operator_cost, is about 25 nanoseconds where it
 * takes 10 microseconds for a page; top-k passes a number of a vector in 0.008 (Gowalla, test/bench/topk_bench) and takes about
 * 100 for a candidate.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/primnodes.h"
#include "nodes/supportnodes.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "pg/snapshot.h"

PG_FUNCTION_INFO_V1(gnnrec_list_support);
PG_FUNCTION_INFO_V1(gnnrec_audience_support);
PG_FUNCTION_INFO_V1(gnnrec_all_support);
PG_FUNCTION_INFO_V1(gnnrec_explain_support);

#define UNKNOWN 10              /* rows of a list, or users of an array */
#define CALL_COST 100           /* operators that cost as much as what every call does */
#define CANDIDATE_COST 4        /* and as looking one candidate up */
#define NUMBERS_PER_OPERATOR 3000   /* numbers of vectors that are read in the time of one */

/* a call, as far as it is known when it is planned */
typedef struct Call
{
    PlannerInfo *root;
    const FuncExpr *expr;
    int         types;          /* whose nodes are counted, a bit each; 0: those of the one that node_type names */
    const GnnrecSnapshot *snapshot; /* of the model's live run */
} Call;

typedef struct Estimate
{
    double      rows;
    double      cost;           /* in operators */
} Estimate;

/* the value an argument of that name will have; NULL: there is none, or it is not known before the call */
static Const *
argument(const Call *call, const char *name)
{
    HeapTuple   row = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->expr->funcid));
    Oid        *types;
    char      **names;
    char       *modes;
    int         n;
    Const      *found = NULL;

    if (!HeapTupleIsValid(row))
        return NULL;
    n = get_func_arg_info(row, &types, &names, &modes);
    ReleaseSysCache(row);
    for (int i = 0; names != NULL && i < Min(n, list_length(call->expr->args)); i++)
        if (strcmp(names[i], name) == 0)
        {
            Node       *value = estimate_expression_value(call->root, list_nth(call->expr->args, i));

            found = IsA(value, Const) ? (Const *) value : NULL;
        }
    return found;
}

/* the node type an argument names, or items */
static int
type_of(const Call *call, const GnnrecSnapshot *described)
{
    const Const *type = argument(call, "node_type");

    if (type != NULL && !type->constisnull)
        for (int t = 0; t < described->n_types; t++)
            if (strcmp(TextDatumGetCString(type->constvalue), described->types[t].name) == 0)
                return t;
    return GNNREC_ITEM;
}

/* a GnnrecSnapshotGuard: the planner tells nobody how many rows there are in a table that the role may not read */
static bool
may_count(const GnnrecSnapshot *described, void *arg)
{
    const Call *call = arg;
    int         types = call->types != 0 ? call->types : 1 << type_of(call, described);

    for (int t = 0; t < described->n_types; t++)
        if ((types & (1 << t)) != 0 && !gnnrec_may_read(described->types[t].table))
            return false;
    return true;
}

/* the live run of the model that a call names by its item table, or by name; NULL: there is none, or who knows */
static const GnnrecSnapshot *
snapshot_of(Call *call)
{
    const Const *name = argument(call, "model");
    const GnnrecModel *model;
    int32       model_id;

    if (!ActiveSnapshotSet() || name == NULL || name->constisnull)
        return NULL;
    if (name->consttype == REGCLASSOID)
        model_id = gnnrec_model_of_table(DatumGetObjectId(name->constvalue));
    else if (name->consttype == TEXTOID && (model = gnnrec_model_by_name(TextDatumGetCString(name->constvalue), true)) != NULL)
        model_id = model->model_id;
    else
        return NULL;
    return gnnrec_live_run(model_id) != 0 ? gnnrec_snapshot_live(model_id, may_count, call) : NULL;
}

/* the elements of an array argument; all: where it is NULL */
static double
length_of(const Call *call, const char *name, double all)
{
    const Const *array = argument(call, name);
    const ArrayType *value;

    if (array == NULL)
        return UNKNOWN;
    if (array->constisnull)
        return all;
    value = DatumGetArrayTypeP(array->constvalue);
    return ArrayGetNItems(ARR_NDIM(value), ARR_DIMS(value));
}

/* what argument k leaves of the rows that there are */
static double
rows_of(const Call *call, double all)
{
    const Const *k = argument(call, "k");

    return k == NULL ? Min(all, UNKNOWN) : k->constisnull ? all : Min(all, Max(DatumGetInt32(k->constvalue), 0));
}

/* reading all vectors of a type, for one list */
static double
scan_cost(const GnnrecSnapshotNodes *nodes)
{
    return (double) nodes->n * nodes->dim / NUMBERS_PER_OPERATOR;
}

/* items that are like an item or go with a user, or nodes of the type that is named, or the candidates */
static Estimate
estimate_list(const Call *call)
{
    const Const *candidates = argument(call, "candidates");
    const GnnrecSnapshotNodes *nodes = &call->snapshot->types[type_of(call, call->snapshot)];
    double      n;

    if (candidates == NULL || candidates->constisnull)
        return (Estimate) {rows_of(call, nodes->n), CALL_COST + scan_cost(nodes)};
    n = length_of(call, "candidates", nodes->n);
    return (Estimate) {rows_of(call, Min(n, nodes->n)), CALL_COST + n * CANDIDATE_COST};
}

static Estimate
estimate_audience(const Call *call)
{
    const GnnrecSnapshotNodes *users = &call->snapshot->types[GNNREC_USER];

    return (Estimate) {rows_of(call, users->n), CALL_COST + scan_cost(users)};
}

static Estimate
estimate_all(const Call *call)
{
    const GnnrecSnapshotNodes *items = &call->snapshot->types[GNNREC_ITEM];
    double      n = length_of(call, "users", call->snapshot->types[GNNREC_USER].n);

    return (Estimate) {n * rows_of(call, items->n), CALL_COST + n * scan_cost(items)};
}

/* the items of a user as there are on average, and the row of the user's own share */
static Estimate
estimate_explanation(const Call *call)
{
    double      n = (double) call->snapshot->interactions.n / Max(call->snapshot->types[GNNREC_USER].n, 1);

    return (Estimate) {ceil(rows_of(call, n)) + 1, CALL_COST + n * CANDIDATE_COST};
}

/* answers a request of the planner, or leaves it to how the function is declared */
static Datum
support(FunctionCallInfo fcinfo, int types, Estimate (*estimate) (const Call *call))
{
    Node       *request = (Node *) PG_GETARG_POINTER(0);
    SupportRequestRows *rows = IsA(request, SupportRequestRows) ? (SupportRequestRows *) request : NULL;
    SupportRequestCost *cost = IsA(request, SupportRequestCost) ? (SupportRequestCost *) request : NULL;
    Node       *node = rows != NULL ? rows->node : cost != NULL ? cost->node : NULL;
    Call        call = {.types = types, .root = rows != NULL ? rows->root : cost != NULL ? cost->root : NULL};
    Estimate    e;

    if (node == NULL || !IsA(node, FuncExpr))
        PG_RETURN_POINTER(NULL);
    call.expr = (FuncExpr *) node;
    call.snapshot = snapshot_of(&call);
    if (call.snapshot == NULL)
        PG_RETURN_POINTER(NULL);
    e = estimate(&call);
    if (rows != NULL)
        rows->rows = e.rows;
    else
    {
        cost->startup = 0;
        cost->per_tuple = e.cost * cpu_operator_cost;
    }
    PG_RETURN_POINTER(request);
}

/* gnnrec.list_support(internal), and the three of other functions */
Datum
gnnrec_list_support(PG_FUNCTION_ARGS)
{
    return support(fcinfo, 0, estimate_list);
}

Datum
gnnrec_audience_support(PG_FUNCTION_ARGS)
{
    return support(fcinfo, 1 << GNNREC_USER, estimate_audience);
}

Datum
gnnrec_all_support(PG_FUNCTION_ARGS)
{
    return support(fcinfo, 1 << GNNREC_USER | 1 << GNNREC_ITEM, estimate_all);
}

Datum
gnnrec_explain_support(PG_FUNCTION_ARGS)
{
    return support(fcinfo, 1 << GNNREC_USER | 1 << GNNREC_ITEM, estimate_explanation);
}
