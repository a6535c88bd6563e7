/*
 * explain.c: which of a user's items carry a score.
 *
 * A linear model has z_u = own_u + sum over the user's items i of w_ui / sqrt(D_u * D_i) * fold_in_i. So a score z_u . z_j is,
 * exactly, the sum of a share of each item, w_ui / sqrt(D_u * D_i) * fold_in_i . z_j, and one of the user's own vector: what is
 * left of the score. A user whom the run does not know has of an own vector what the catalogue's features say of them, if
 * anything, and interactions as of now in the place of the run's.
 *
 * Shares are computed in double and rounded once, so they sum to what score() answers but for the rounding of reals.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "api/edges.h"
#include "api/fresh.h"
#include "api/serve.h"
#include "core/distance.h"
#include "pg/compat.h"

PG_FUNCTION_INFO_V1(gnnrec_explain_core);


typedef struct Share
{
    int32       item;
    double      value;
} Share;

/* an explanation: the shares of the items, and the user's own */
typedef struct Explanation
{
    Share      *share;
    int64       n;
    double      own;
} Explanation;

static void
check_explainable(const GnnrecSnapshot *snapshot)
{
    if (!snapshot->explainable)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("the scores of run " INT64_FORMAT " of model \"%s\" cannot be explained", snapshot->run_id,
                        gnnrec_model_by_id(snapshot->model_id)->name),
                 errdetail("They are not sums of one share for each of a user's interactions."),
                 errhint("Train model \"lightgcn\" with 1 layer or more and without a holdout.")));
}

/* sets the shares of a row's items in the score of an item with vector z; degree: of whose row it is */
static void
share_out(Explanation *out, const GnnrecSnapshotNodes *items, const GnnrecSnapshotRow *row, double degree, const float *z)
{
    out->share = MemoryContextAllocHuge(CurrentMemoryContext, row->n * sizeof(Share));
    out->n = 0;
    if (degree <= 0 || items->fold_in == NULL)
        return;
    for (int64 i = 0; i < row->n; i++)
    {
        int32       item = row->idx[i];
        double      weight = gnnrec_edges_weight(items, row, i);

        if (weight > 0)
            out->share[out->n++] = (Share) {item, weight / sqrt(degree * items->degree[item])
                                            * gnn_inner_product(items->fold_in + (int64) item * items->dim, z, items->dim)};
    }
}

/* a user of the run */
static void
explain_node(Explanation *out, const GnnrecSnapshot *snapshot, int32 user, const float *z)
{
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    GnnrecSnapshotRow row;

    gnnrec_snapshot_row(&row, snapshot, user);
    share_out(out, &snapshot->types[GNNREC_ITEM], &row, users->degree[user], z);
    out->own = gnn_inner_product(gnnrec_snapshot_vector(users, user), z, snapshot->dim);
    for (int64 i = 0; i < out->n; i++)
        out->own -= out->share[i].value;
}

/* the own share of a user the run does not know */
static double
share_of_features(const GnnrecSnapshot *snapshot, Datum user, double degree, const float *z)
{
    float      *vector = palloc(snapshot->dim * sizeof(float));
    double      share = 0;

    if (gnnrec_serve_features(vector, snapshot, user, degree))
        share = gnn_inner_product(vector, z, snapshot->dim);
    pfree(vector);
    return share;
}

/* a user the run does not know; false: nobody knows anything, and there is no score */
static bool
explain_newcomer(Explanation *out, const GnnrecSnapshot *snapshot, Datum user, const float *z)
{
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];
    const GnnrecSnapshotRow nothing = {0};
    GnnrecSnapshotRow row;
    double      degree;

    gnnrec_fresh_row(&row, snapshot, &nothing, -1, user);
    degree = gnnrec_edges_degree(items, &row);
    share_out(out, items, &row, degree, z);
    out->own = share_of_features(snapshot, user, degree, z);
    return out->n > 0 || out->own != 0;
}

/* largest first, then by item */
static int
by_value(const void *a, const void *b)
{
    const Share *x = a;
    const Share *y = b;

    return x->value != y->value ? (x->value < y->value) - (x->value > y->value) : (x->item > y->item) - (x->item < y->item);
}

/* the k largest shares, and the user's own */
static void
put_rows(ReturnSetInfo *result, const GnnrecSnapshot *snapshot, const Explanation *e, int64 k)
{
    Datum       values[2] = {0};
    bool        nulls[2] = {false};

    qsort(e->share, e->n, sizeof(Share), by_value);
    for (int64 i = 0; i < Min(k, e->n); i++)
    {
        values[0] = gnnrec_snapshot_id(snapshot, GNNREC_ITEM, e->share[i].item);
        values[1] = Float4GetDatum((float4) e->share[i].value);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    nulls[0] = true;
    values[1] = Float4GetDatum((float4) e->own);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* gnnrec.explain_core(model, user_id, item_id, k) */
Datum
gnnrec_explain_core(PG_FUNCTION_ARGS)
{
    const GnnrecSnapshot *snapshot = gnnrec_serve(fcinfo, GNNREC_FROM_BOTH);
    const GnnrecSnapshotNodes *users = &snapshot->types[GNNREC_USER];
    const GnnrecSnapshotNodes *items = &snapshot->types[GNNREC_ITEM];
    int32       k;
    int32       user;
    int32       item;
    const float *z;
    Explanation explanation;

    gnnrec_serve_check_id(fcinfo, 1, users);
    gnnrec_serve_check_id(fcinfo, 2, items);
    check_explainable(snapshot);
    gnnrec_materialize_as(fcinfo, true);
    k = gnnrec_serve_k(fcinfo, 3, items->n);
    user = gnnrec_serve_node(fcinfo, 1, snapshot, GNNREC_USER);
    item = gnnrec_serve_node(fcinfo, 2, snapshot, GNNREC_ITEM);
    if (item < 0 || PG_ARGISNULL(1))
        return (Datum) 0;
    z = gnnrec_snapshot_vector(items, item);
    if (user >= 0)
        explain_node(&explanation, snapshot, user, z);
    else if (!explain_newcomer(&explanation, snapshot, PG_GETARG_DATUM(1), z))
        return (Datum) 0;
    put_rows((ReturnSetInfo *) fcinfo->resultinfo, snapshot, &explanation, k);
    return (Datum) 0;
}
