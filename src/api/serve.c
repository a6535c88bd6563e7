/*
 * serve.c: what the functions that answer from a snapshot share; see serve.h.
 *
 * Everything here runs at every call, a hundred thousand times in a LATERAL join: it takes a few look-ups in the system cache and
 * leaves no memory behind but what the rows need.
 */
#include "postgres.h"

#include "api/serve.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rls.h"
#include "utils/tuplestore.h"

#include "api/edges.h"
#include "model/induct.h"
#include "model/tower.h"
#include "pg/compat.h"
#include "pg/run_features.h"

/* an array argument and the nodes of a type that it names */
typedef struct KeptList
{
    int         argument;
    int         type;
    ArrayType  *array;          /* NULL: none yet */
    GnnrecNodes nodes;
} KeptList;

#define MAX_LISTS 2

/* what a call of a set-returning function keeps for the next one of the same query */
typedef struct Kept
{
    Oid         model;          /* its item table */
    const GnnrecSnapshot *snapshot; /* stays mapped until the transaction ends, which ends the query */
    int         n_lists;
    KeptList    lists[MAX_LISTS];
} Kept;

/* NULL: no set is asked for. Other calls may be repeated by another query with the same FmgrInfo, as PL/pgSQL does it */
static Kept *
kept(FunctionCallInfo fcinfo)
{
    if (fcinfo->resultinfo == NULL || !IsA(fcinfo->resultinfo, ReturnSetInfo))
        return NULL;
    if (fcinfo->flinfo->fn_extra == NULL)
        fcinfo->flinfo->fn_extra = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Kept));
    return fcinfo->flinfo->fn_extra;
}

/* -------------------------------------------------------------------------------------------------------------------
 * the model and the right to be answered from it
 * ------------------------------------------------------------------------------------------------------------------- */

static void
check_model(FunctionCallInfo fcinfo)
{
    if (PG_ARGISNULL(0))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("model must not be NULL")));
}

/* the model's item table */
static Oid
model_argument(FunctionCallInfo fcinfo)
{
    check_model(fcinfo);
    return PG_GETARG_OID(0);
}

static void
check_right(const GnnrecSnapshot *described, int type)
{
    const GnnrecSnapshotNodes *nodes = &described->types[type];
    bool        is_missing = false;
    AclResult   acl = pg_class_aclcheck_ext(nodes->table, GetUserId(), ACL_SELECT, &is_missing);

    if (is_missing)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("the table of the model's %s embeddings does not exist", nodes->name),
                 type <= GNNREC_ITEM ? errhint("Drop the model with gnnrec.drop_model() and create it again.")
                 : errhint("Drop its relations with gnnrec.drop_relation() and add them again.")));
    if (acl != ACLCHECK_OK)
        aclcheck_error(acl, OBJECT_TABLE, get_rel_name(nodes->table));
    if (check_enable_rls(nodes->table, InvalidOid, true) == RLS_ENABLED)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("row security is in force on table \"%s\"", get_rel_name(nodes->table)),
                 errdetail("Recommendations are made from all rows of the table."),
                 errhint("Let the owner of the table ask: for example by a SECURITY DEFINER function that checks its caller.")));
}

/* -1: the model has no such type */
static int
named_type(FunctionCallInfo fcinfo, const GnnrecSnapshot *described)
{
    char       *name;
    int         found = -1;

    if (PG_ARGISNULL(1))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("node_type must not be NULL")));
    name = text_to_cstring(PG_GETARG_TEXT_PP(1));
    for (int t = 0; t < described->n_types; t++)
        if (strcmp(described->types[t].name, name) == 0)
            found = t;
    pfree(name);
    return found;
}

static char *
type_names(const GnnrecSnapshot *snapshot)
{
    StringInfoData s;

    initStringInfo(&s);
    for (int t = 0; t < snapshot->n_types; t++)
        appendStringInfo(&s, "%s%s", t == 0 ? "" : ", ", snapshot->types[t].name);
    return s.data;
}

int
gnnrec_serve_type(FunctionCallInfo fcinfo, const GnnrecSnapshot *snapshot)
{
    int         type = named_type(fcinfo, snapshot);

    if (type < 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("the model has no node type \"%s\"", text_to_cstring(PG_GETARG_TEXT_PP(1))),
                 errhint("Its node types are %s.", type_names(snapshot))));
    return type;
}

/* what is asked of a model, for the check of rights */
typedef struct Asked
{
    FunctionCallInfo fcinfo;
    int         types;
} Asked;

/* a GnnrecSnapshotGuard. Who asks for a type that there is not needs a right, too, to be told so */
static bool
check_rights(const GnnrecSnapshot *described, void *arg)
{
    const Asked *asked = arg;
    int         types = asked->types;

    if ((types & GNNREC_FROM_ARGUMENT) != 0)
        types |= 1 << Max(named_type(asked->fcinfo, described), 0);
    for (int t = 0; t < described->n_types; t++)
        if ((types & (1 << t)) != 0)
            check_right(described, t);
    return true;
}

const GnnrecSnapshot *
gnnrec_serve(FunctionCallInfo fcinfo, int types)
{
    Asked       asked = {fcinfo, types};

    return gnnrec_snapshot_of_table(model_argument(fcinfo), check_rights, &asked);
}

const GnnrecSnapshot *
gnnrec_serve_kept(FunctionCallInfo fcinfo, int types)
{
    Asked       asked = {fcinfo, types};
    Oid         model = model_argument(fcinfo);
    Kept       *before = kept(fcinfo);

    if (before == NULL)
        return gnnrec_serve(fcinfo, types);
    if (before->snapshot != NULL && before->model == model)
        check_rights(before->snapshot, &asked);     /* the role may have changed since the call before */
    else
    {
        memset(before, 0, sizeof(*before));
        before->snapshot = gnnrec_snapshot_of_table(model, check_rights, &asked);
        before->model = model;
    }
    return before->snapshot;
}

const GnnrecSnapshot *
gnnrec_serve_named(FunctionCallInfo fcinfo, int types)
{
    check_model(fcinfo);
    return gnnrec_serve_model(gnnrec_model_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)), false)->model_id, types);
}

const GnnrecSnapshot *
gnnrec_serve_model(int32 model_id, int types)
{
    Asked       asked = {NULL, types};

    return gnnrec_snapshot_live(model_id, check_rights, &asked);
}

/* -------------------------------------------------------------------------------------------------------------------
 * arguments
 * ------------------------------------------------------------------------------------------------------------------- */

GnnrecElements
gnnrec_serve_elements(ArrayType *array)
{
    GnnrecElements e;
    int16       length;
    bool        by_value;
    char        align;

    get_typlenbyvalalign(ARR_ELEMTYPE(array), &length, &by_value, &align);
    deconstruct_array(array, ARR_ELEMTYPE(array), length, by_value, align, &e.value, &e.is_null, &e.n);
    return e;
}

/* the numbers of an array's elements, in the current memory context */
static GnnrecNodes
nodes_of(ArrayType *array, const GnnrecSnapshot *snapshot, int type)
{
    const GnnrecSnapshotNodes *nodes = &snapshot->types[type];
    GnnrecElements e = gnnrec_serve_elements(array);
    int32      *node = MemoryContextAllocHuge(CurrentMemoryContext, Max(e.n, 1) * sizeof(int32));
    int64       n = 0;

    for (int i = 0; i < e.n; i++)
    {
        int32       found = e.is_null[i] ? -1 : gnnrec_snapshot_find(snapshot, type, gnnrec_key_of(&nodes->key, e.value[i]));

        CHECK_FOR_INTERRUPTS();
        if (found >= 0)
            node[n++] = found;
    }
    pfree(e.value);
    pfree(e.is_null);
    return n < nodes->n / 32 ? gnnrec_nodes_make(node, n) : gnnrec_nodes_make_dense(node, n, nodes->n);
}

/* the list that is kept for an argument; NULL: nothing can be kept */
static KeptList *
kept_list(FunctionCallInfo fcinfo, int argument)
{
    Kept       *before = kept(fcinfo);

    if (before == NULL)
        return NULL;
    for (int i = 0; i < before->n_lists; i++)
        if (before->lists[i].argument == argument)
            return &before->lists[i];
    if (before->n_lists == MAX_LISTS)
        return NULL;
    before->lists[before->n_lists] = (KeptList) {.argument = argument};
    return &before->lists[before->n_lists++];
}

static bool
is_kept(const KeptList *list, const ArrayType *array, int type)
{
    return list->array != NULL && list->type == type
        && VARSIZE(list->array) == VARSIZE(array) && memcmp(list->array, array, VARSIZE(array)) == 0;
}

static void
keep(KeptList *list, const ArrayType *array, int type, GnnrecNodes nodes, MemoryContext context)
{
    Size        bytes = Max(nodes.n, 1) * sizeof(int32);

    if (list->array != NULL)
    {
        pfree(list->array);
        pfree((int32 *) list->nodes.node);
    }
    list->type = type;
    list->array = memcpy(MemoryContextAllocHuge(context, VARSIZE(array)), array, VARSIZE(array));
    list->nodes.node = memcpy(MemoryContextAllocHuge(context, bytes), nodes.node, bytes);
    list->nodes.n = nodes.n;
}

GnnrecNodes
gnnrec_serve_nodes(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshot *snapshot, int type)
{
    KeptList   *list;
    ArrayType  *array;
    GnnrecNodes nodes;

    gnnrec_serve_check_ids(fcinfo, argument, &snapshot->types[type]);
    if (PG_ARGISNULL(argument))
        return (GnnrecNodes) {NULL, 0};
    array = PG_GETARG_ARRAYTYPE_P(argument);
    list = kept_list(fcinfo, argument);
    if (list == NULL)
        return nodes_of(array, snapshot, type);
    if (is_kept(list, array, type))
        return list->nodes;
    nodes = nodes_of(array, snapshot, type);
    keep(list, array, type, nodes, fcinfo->flinfo->fn_mcxt);
    return nodes;
}

bool
gnnrec_serve_flag(FunctionCallInfo fcinfo, int argument)
{
    return PG_ARGISNULL(argument) || PG_GETARG_BOOL(argument);
}

/* a value of the type given is to be read as an id: the types must be the same, or the same underneath */
static void
check_type(Oid type, const GnnrecSnapshotNodes *nodes)
{
    if (type == nodes->key.type || (OidIsValid(type) && getBaseType(type) == nodes->key.base))
        return;
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH),
             errmsg("%s ids of the model are of type %s, not %s", nodes->name,
                    format_type_be(nodes->key.type), OidIsValid(type) ? format_type_be(type) : "unknown"),
             errhint("Call the functions in the model's own schema: their arguments have the right types.")));
}

void
gnnrec_serve_check_id(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshotNodes *nodes)
{
    check_type(get_fn_expr_argtype(fcinfo->flinfo, argument), nodes);
}

void
gnnrec_serve_check_ids(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshotNodes *nodes)
{
    check_type(get_base_element_type(get_fn_expr_argtype(fcinfo->flinfo, argument)), nodes);
}

int32
gnnrec_serve_k(FunctionCallInfo fcinfo, int argument, int32 n)
{
    int32       k;

    if (PG_ARGISNULL(argument))
        return n;
    k = PG_GETARG_INT32(argument);
    if (k < 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("k must not be negative"),
                 errdetail("It is %d.", k),
                 errhint("NULL asks for the whole ranking.")));
    return Min(k, n);
}

int32
gnnrec_serve_node(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshot *snapshot, int type)
{
    if (PG_ARGISNULL(argument))
        return -1;
    return gnnrec_snapshot_find(snapshot, type, gnnrec_key_of(&snapshot->types[type].key, PG_GETARG_DATUM(argument)));
}

Datum
gnnrec_serve_parse_id(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshotNodes *nodes)
{
    Oid         input;
    Oid         parameter;

    getTypeInputInfo(nodes->key.type, &input, &parameter);
    return OidInputFunctionCall(input, text_to_cstring(PG_GETARG_TEXT_PP(argument)), parameter, -1);
}

static bool
add_up(float *out, const GnnrecSnapshotNodes *items, const GnnrecSnapshotRow *row, double others)
{
    double      degree = gnnrec_edges_degree(items, row);

    if (degree == 0)
        return false;
    degree += others;
    memset(out, 0, items->dim * sizeof(float));
    for (int64 i = 0; i < row->n; i++)
    {
        const float *fold_in = items->fold_in + (int64) row->idx[i] * items->dim;
        double      weight = gnnrec_edges_weight(items, row, i);
        float       share;

        if (weight == 0)
            continue;
        share = weight / sqrt(degree * items->degree[row->idx[i]]);
        for (int32 c = 0; c < items->dim; c++)
            out[c] += share * fold_in[c];
    }
    return true;
}

static bool
induct(float *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row)
{
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];
    int32      *idx = MemoryContextAllocHuge(CurrentMemoryContext, Max(row->n, 1) * sizeof(int32));
    float      *weight = MemoryContextAllocHuge(CurrentMemoryContext, Max(row->n, 1) * sizeof(float));
    GnnInduct   node = {.config = snapshot->config, .weights = snapshot->weights, .messages = items->fold_in,
                        .idx = idx, .weight = weight};
    bool        is_vector;

    for (int64 i = 0; i < row->n; i++)
    {
        idx[node.n] = row->idx[i];
        weight[node.n] = gnnrec_edges_weight(items, row, i);
        node.n += weight[node.n] > 0;
    }
    is_vector = gnn_induct(out, &node);
    pfree(idx);
    pfree(weight);
    return is_vector;
}

bool
gnnrec_serve_fold_in(float *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row, double others)
{
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];

    if (items->fold_in == NULL)
        return false;
    return snapshot->weights != NULL && gnn_is_inductive(snapshot->config) ? induct(out, snapshot, row)
        : add_up(out, items, row, others);
}

/* a run whose users had no features has no weights and, where a tower has no layers and so no weights, no features */
bool
gnnrec_serve_features(float *out, const GnnrecSnapshot *snapshot, Datum user_id, double degree)
{
    const GnnConfig *config = snapshot->config;
    float      *sum;
    bool        is_vector;

    if (config == NULL || !gnn_has_tower(config) || snapshot->dim != config->dim || snapshot->n_weights != gnn_n_weights(config))
        return false;
    sum = palloc(snapshot->dim * sizeof(float));
    is_vector = gnnrec_run_features_sum(sum, snapshot->dim, snapshot->model_id, snapshot->run_id, user_id)
        && gnn_tower(out, sum, config, snapshot->weights, degree);
    pfree(sum);
    return is_vector;
}

GnnrecNodes
gnnrec_serve_hidden(const GnnrecSnapshotRow *row, bool exclude_seen)
{
    int32      *node;
    int64       n = 0;

    if (exclude_seen && row->shown == NULL)
        return (GnnrecNodes) {row->idx, row->n};
    if (!exclude_seen && row->val == NULL)
        return (GnnrecNodes) {NULL, 0};
    node = MemoryContextAllocHuge(CurrentMemoryContext, Max(row->n, 1) * sizeof(int32));
    for (int64 i = 0; i < row->n; i++)
        if ((row->val != NULL && row->val[i] < 0) || (exclude_seen && !(row->shown != NULL && row->shown[i])))
            node[n++] = row->idx[i];
    return (GnnrecNodes) {node, n};
}

void
gnnrec_answer_begin(GnnrecAnswer *out, FunctionCallInfo fcinfo, const GnnrecSnapshot *snapshot, int type, bool as_text)
{
    gnnrec_materialize_as(fcinfo, true);
    out->snapshot = snapshot;
    out->type = type;
    out->result = (ReturnSetInfo *) fcinfo->resultinfo;
    out->as_text = as_text;
    out->rank = 0;
    if (as_text)
    {
        Oid         output;
        bool        is_varlena;

        getTypeOutputInfo(snapshot->types[type].key.type, &output, &is_varlena);
        fmgr_info(output, &out->output);
    }
}

static Datum
as_text(GnnrecAnswer *answer, Datum id)
{
    char       *string = OutputFunctionCall(&answer->output, id);
    Datum       text = CStringGetTextDatum(string);

    pfree(string);
    return text;
}

void
gnnrec_answer_add(GnnrecAnswer *answer, const GnnHit *hits, int32 n, Datum source)
{
    bool        by_reference = answer->snapshot->types[answer->type].key.kind != GNNREC_KEY_INT;

    for (int32 i = 0; i < n; i++)
    {
        Datum       id = gnnrec_snapshot_id(answer->snapshot, answer->type, hits[i].row);
        Datum       text = answer->as_text ? as_text(answer, id) : (Datum) 0;
        Datum       values[4] = {answer->as_text ? text : id, Float4GetDatum(hits[i].score),
                                 Int32GetDatum(++answer->rank), source};
        bool        nulls[4] = {false};

        tuplestore_putvalues(answer->result->setResult, answer->result->setDesc, values, nulls);
        if (by_reference)
            pfree(DatumGetPointer(id));
        if (answer->as_text)
            pfree(DatumGetPointer(text));
    }
}
