/*
 * evaluate_table.c: how good a table of recommendations is, whoever made it, beside a table of what should have been recommended.
 *
 * The rank is the place in the list: the first is 1, and metrics at k look at ranks up to k. So a place that a table leaves
 * empty, and one that repeats an item of an earlier place, is a miss and moves nothing up; two items at one place are an error.
 * Users of the truth are averaged, whether they were recommended anything or not.
 *
 * Coverage is not among the metrics: its denominator is the catalogue, which neither table tells.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "api/evaluation.h"
#include "api/nodes.h"
#include "pg/compat.h"

PG_FUNCTION_INFO_V1(gnnrec_evaluate_table);

/* a row of the recommendations */
typedef struct Place
{
    int32       user;
    int32       rank;
    int32       item;
} Place;

/* the recommendations for users of the truth, up to the largest cutoff, by user, rank, item */
typedef struct Places
{
    Place      *place;
    int64       n;
} Places;

typedef struct Marking
{
    const GnnrecTruth *truth;
    GnnrecTally tally;
    bool       *hit;            /* by rank, from 0 */
    int32      *found_for;      /* of each item, the last user who was given it and should be; -1: nobody */
} Marking;

/* -------------------------------------------------------------------------------------------------------------------
 * reading
 * ------------------------------------------------------------------------------------------------------------------- */

static void
check_rank_column(Oid recs, const char *column)
{
    AttrNumber  number = get_attnum(recs, column);
    Oid         type;

    if (number <= 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("column \"%s\" of \"%s\" does not exist", column, get_rel_name(recs)),
                 errhint("Name the column of ranks: rank_column => 'position'.")));
    type = getBaseType(get_atttype(recs, number));
    if (type != INT2OID && type != INT4OID && type != INT8OID)
        ereport(ERROR,
                (errcode(ERRCODE_DATATYPE_MISMATCH),
                 errmsg("ranks in column \"%s\" of \"%s\" must be integers, not %s", column, get_rel_name(recs),
                        format_type_be(get_atttype(recs, number)))));
}

/* ranks come as the weights of interactions: reals, and so exact as far as cutoffs go */
static void
check_ranks(const GnnrecInteractions *recs, const GnnrecRelation *relation)
{
    float       least = 1;

    for (int64 i = 0; i < recs->n; i++)
        least = Min(least, recs->weight[i]);
    if (recs->counts.bad_values > 0 || least < 1)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("ranks in column \"%s\" of \"%s\" must be numbers from 1 on", relation->value_column,
                        get_rel_name(relation->source)),
                 recs->counts.bad_values > 0 ? errdetail("One is NULL.") : errdetail("One is %.0f.", least)));
}

static int
compare_places(const void *a, const void *b)
{
    const Place *x = a;
    const Place *y = b;

    if (x->user != y->user)
        return x->user < y->user ? -1 : 1;
    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static bool
is_averaged(const GnnrecTruth *truth, int32 user)
{
    return truth->items_of.ptr[user + 1] > truth->items_of.ptr[user];
}

static void
sort_places(Places *out, const GnnrecInteractions *recs, const GnnrecTruth *truth, const int32 *new_user, const int32 *new_item,
            int32 largest)
{
    out->place = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Place) * Max(recs->n, 1));
    out->n = 0;
    for (int64 i = 0; i < recs->n; i++)
    {
        int32       user = new_user[recs->from[i]];

        if (recs->weight[i] <= largest && is_averaged(truth, user))
            out->place[out->n++] = (Place) {user, (int32) recs->weight[i], new_item[recs->to[i]]};
    }
    qsort(out->place, out->n, sizeof(Place), compare_places);
}

/* -------------------------------------------------------------------------------------------------------------------
 * marking
 * ------------------------------------------------------------------------------------------------------------------- */

static void
complain_of_tie(const GnnrecTruth *truth, const Place *place)
{
    const GnnrecKeyType *type = &truth->users.type;
    Oid         output;
    bool        is_varlena;

    getTypeOutputInfo(type->type, &output, &is_varlena);
    ereport(ERROR,
            (errcode(ERRCODE_CARDINALITY_VIOLATION),
             errmsg("two items stand at one rank of a user's list"),
             errdetail("It is rank %d of user %s.", place->rank,
                       OidOutputFunctionCall(output, gnnrec_key_datum(type, truth->users.keys[place->user]))),
             errhint("row_number() gives every item a rank of its own, rank() does not.")));
}

/* one user's places, by rank */
static void
mark_user(Marking *m, int32 user, const Place *place, int64 n)
{
    const int64 *ptr = m->truth->items_of.ptr;
    GnnrecNodes truth = {m->truth->items_of.idx + ptr[user], ptr[user + 1] - ptr[user]};
    int32       n_listed = n == 0 ? 0 : place[n - 1].rank;

    memset(m->hit, 0, sizeof(bool) * n_listed);
    for (int64 i = 0; i < n; i++)
    {
        int32       item = place[i].item;

        if (i > 0 && place[i].rank == place[i - 1].rank && item != place[i - 1].item)
            complain_of_tie(m->truth, &place[i]);
        if (m->found_for[item] == user || !gnnrec_nodes_contain(truth, item))
            continue;
        m->hit[place[i].rank - 1] = true;
        m->found_for[item] = user;
    }
    gnnrec_tally_add(&m->tally, m->hit, n_listed, truth.n);
}

static void
init_marking(Marking *out, const GnnrecTruth *truth, const GnnrecCutoffs *cutoffs)
{
    out->truth = truth;
    out->hit = palloc(sizeof(bool) * cutoffs->largest);
    out->found_for = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * (Size) Max(truth->items.n, 1));
    for (int32 i = 0; i < truth->items.n; i++)
        out->found_for[i] = -1;
    gnnrec_tally_init(&out->tally, cutoffs);
}

static void
mark(Marking *m, const Places *places)
{
    int64       i = 0;

    for (int32 user = 0; user < m->truth->users.n; user++)
    {
        int64       first = i;

        CHECK_FOR_INTERRUPTS();
        while (i < places->n && places->place[i].user == user)
            i++;
        if (is_averaged(m->truth, user))
            mark_user(m, user, places->place + first, i - first);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * the function
 * ------------------------------------------------------------------------------------------------------------------- */

static void
put_rows(ReturnSetInfo *result, const GnnrecTally *tally)
{
    for (int m = 0; m < GNN_N_METRICS; m++)
        for (int i = 0; i < tally->cutoffs->n; i++)
        {
            Datum       values[4] = {CStringGetTextDatum(gnn_metric_names[m]), Int32GetDatum(tally->cutoffs->k[i]),
                                     Float8GetDatum(tally->sum[i][m] / Max(tally->n_users, 1)), Int64GetDatum(tally->n_users)};
            bool        nulls[4] = {[2] = tally->n_users == 0};

            tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        }
}

/* the id columns, of one type in both tables, and what is in them: the truth's pairs first, so that they number the ids */
static void
read_tables(GnnrecInteractions *pairs, GnnrecInteractions *recs, GnnrecTruth *truth, const GnnrecRelation *true_pairs,
            const GnnrecRelation *recommended)
{
    GnnrecKeyType user;
    GnnrecKeyType item;
    GnnrecKeyType same;

    gnnrec_id_column(&user, true_pairs->source, true_pairs->from_column, NULL);
    gnnrec_id_column(&item, true_pairs->source, true_pairs->to_column, NULL);
    gnnrec_id_column(&same, recommended->source, recommended->from_column, &user);
    gnnrec_id_column(&same, recommended->source, recommended->to_column, &item);
    check_rank_column(recommended->source, recommended->value_column);
    gnnrec_idmap_init(&truth->users, &user);
    gnnrec_idmap_init(&truth->items, &item);
    gnnrec_pairs_read(pairs, true_pairs, &truth->users, &truth->items);
    gnnrec_pairs_read(recs, recommended, &truth->users, &truth->items);
    check_ranks(recs, recommended);
}

enum {T_RECS, T_TRUTH, T_USER_COLUMN, T_ITEM_COLUMN, T_RANK_COLUMN, T_K};

/* gnnrec.evaluate_table(recs, truth, user_column, item_column, rank_column, k) */
Datum
gnnrec_evaluate_table(PG_FUNCTION_ARGS)
{
    static const char *const names[] = {"recs", "truth", "user_column", "item_column", "rank_column"};
    GnnrecRelation recommended = {.weight = 1};
    GnnrecRelation true_pairs = {.weight = 1};
    GnnrecInteractions pairs;
    GnnrecInteractions recs;
    GnnrecTruth truth;
    GnnrecCutoffs cutoffs;
    int32      *new_user;
    int32      *new_item;
    Places      places;
    Marking     marking;

    for (int i = 0; i < lengthof(names); i++)
        gnnrec_evaluation_required(fcinfo, i, names[i]);
    gnnrec_cutoffs_argument(&cutoffs, fcinfo, T_K);
    recommended.source = PG_GETARG_OID(T_RECS);
    true_pairs.source = PG_GETARG_OID(T_TRUTH);
    recommended.from_column = true_pairs.from_column = NameStr(*PG_GETARG_NAME(T_USER_COLUMN));
    recommended.to_column = true_pairs.to_column = NameStr(*PG_GETARG_NAME(T_ITEM_COLUMN));
    recommended.value_column = NameStr(*PG_GETARG_NAME(T_RANK_COLUMN));
    read_tables(&pairs, &recs, &truth, &true_pairs, &recommended);
    gnnrec_truth_build(&truth, &pairs, &new_user, &new_item);
    sort_places(&places, &recs, &truth, new_user, new_item, cutoffs.largest);
    init_marking(&marking, &truth, &cutoffs);
    mark(&marking, &places);
    gnnrec_materialize(fcinfo);
    put_rows((ReturnSetInfo *) fcinfo->resultinfo, &marking.tally);
    return (Datum) 0;
}
