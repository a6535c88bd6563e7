/*
 * evaluate.c: how good the model's recommendations are for interactions that it was not trained on, beside those of a list that
 * is the same for all: the most popular items.
 *
 * The protocol is that of the published benchmarks. Every user of the test relation is shown the list that recommend() gives,
 * of all items of the run but those the user has seen, and the popular items under the same mask. So
 *
 *   a pair of the test relation that the user has seen in training is no question: it is left out of the truth;
 *   an item the run does not know stays in the truth, and nobody can find it;
 *   a user the run does not know is shown the popular items, in both lists, and counts like any other.
 *
 * Metrics are averaged over the users who have something left in the truth. Users are ranked a batch at a
 * time (batch.h), and a cancel is heeded between.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "api/batch.h"
#include "api/evaluation.h"
#include "api/nodes.h"
#include "api/serve.h"
#include "pg/compat.h"

PG_FUNCTION_INFO_V1(gnnrec_evaluate);

/* one of the two lists that every user is shown */
typedef struct Lists
{
    GnnrecTally tally;
    int32      *best_place;     /* of each item in anybody's list, from 0; PG_INT32_MAX: in none */
} Lists;

/* what does not fit the run */
typedef struct Misfits
{
    int64       seen_pairs;
    int64       unknown_items;  /* pairs of them */
    int64       unknown_users;
} Misfits;

typedef struct Test
{
    const GnnrecSnapshot *snapshot;
    const GnnrecSnapshotNodes *items;
    bool        folded;         /* vectors of users are folded in, though they have trained ones */
    GnnrecCutoffs cutoffs;
    int32       length;         /* of a list */
    GnnrecTruth truth;
    int32      *user_node;      /* of each user of the truth; -1: not in the run */
    int32      *item_node;      /* of each item of the truth; ascending but for the -1s, as both are in the order of keys */
    Lists       model;
    Lists       popular;
    Misfits     misfits;
} Test;

/* a user who is shown lists */
typedef struct Subject
{
    GnnrecNodes truth;          /* of the items of the run */
    int64       n_truth;        /* those that are not in the run included */
} Subject;

typedef struct Block
{
    GnnrecBatch batch;
    Subject    *subjects;       /* the users of the batch */
    GnnHit     *list;           /* of one subject */
    bool       *hit;            /* is its item in the truth? */
} Block;

/* -------------------------------------------------------------------------------------------------------------------
 * the test relation
 * ------------------------------------------------------------------------------------------------------------------- */

/* the nodes that ids are in the run */
static int32 *
nodes_of_ids(const GnnrecSnapshot *snapshot, int type, const GnnrecIdMap *ids)
{
    int32      *node = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * (Size) Max(ids->n, 1));

    for (int32 i = 0; i < ids->n; i++)
        node[i] = gnnrec_snapshot_find(snapshot, type, ids->keys[i]);
    return node;
}

static void
read_test(Test *t, Oid test)
{
    const GnnrecRelation *trained = &gnnrec_model_by_id(t->snapshot->model_id)->relations[GNNREC_INTERACTIONS];
    GnnrecRelation r = {.source = test, .from_column = trained->from_column, .to_column = trained->to_column, .weight = 1};
    GnnrecKeyType user;
    GnnrecKeyType item;
    GnnrecInteractions pairs;

    gnnrec_id_column(&user, test, r.from_column, &t->snapshot->types[GNNREC_USER].key);
    gnnrec_id_column(&item, test, r.to_column, &t->items->key);
    gnnrec_idmap_init(&t->truth.users, &user);
    gnnrec_idmap_init(&t->truth.items, &item);
    gnnrec_pairs_read(&pairs, &r, &t->truth.users, &t->truth.items);
    gnnrec_truth_build(&t->truth, &pairs, NULL, NULL);
    t->user_node = nodes_of_ids(t->snapshot, GNNREC_USER, &t->truth.users);
    t->item_node = nodes_of_ids(t->snapshot, GNNREC_ITEM, &t->truth.items);
}

/* what is to be found for a user who has seen some items, and what is not a question */
static void
read_truth(Subject *out, Test *t, int32 user, GnnrecNodes seen)
{
    const GnnCsr *items_of = &t->truth.items_of;
    int64       n_pairs = items_of->ptr[user + 1] - items_of->ptr[user];
    const int32 *pair = items_of->idx + items_of->ptr[user];
    int32      *truth = palloc(sizeof(int32) * n_pairs);
    int64       n_known = 0;
    int64       n_unknown = 0;
    int64       n_seen = 0;

    for (int64 i = 0; i < n_pairs; i++)
    {
        int32       node = t->item_node[pair[i]];

        if (node < 0)
            n_unknown++;
        else if (gnnrec_nodes_contain(seen, node))
            n_seen++;
        else
            truth[n_known++] = node;
    }
    out->truth = (GnnrecNodes) {truth, n_known};
    out->n_truth = n_known + n_unknown;
    t->misfits.unknown_items += n_unknown;
    t->misfits.seen_pairs += n_seen;
}

/* -------------------------------------------------------------------------------------------------------------------
 * a block of users
 * ------------------------------------------------------------------------------------------------------------------- */

static void
init_block(Block *b, const Test *t)
{
    gnnrec_batch_init(&b->batch, t->snapshot, t->length, t->folded, GNNREC_BATCH_USERS);
    b->subjects = palloc(sizeof(Subject) * b->batch.room);
    b->list = palloc(sizeof(GnnHit) * t->length);
    b->hit = palloc(sizeof(bool) * t->length);
}

/* a user of the truth becomes a subject of the block, if there is a question left */
static void
add_subject(Block *b, Test *t, int32 user)
{
    Subject    *s = &b->subjects[b->batch.n];
    int32       node = t->user_node[user];
    GnnrecSnapshotRow seen = {0};

    if (node >= 0)
        gnnrec_snapshot_row(&seen, t->snapshot, node);
    read_truth(s, t, user, gnnrec_serve_hidden(&seen, true));
    if (s->n_truth == 0)
        return;
    t->misfits.unknown_users += node < 0;
    gnnrec_batch_add(&b->batch, node, &seen);
}

/* the list of n in the block is what the subject is shown */
static void
tally(Lists *lists, Block *b, const Subject *s, int32 n)
{
    for (int32 i = 0; i < n; i++)
    {
        int32       item = b->list[i].row;

        b->hit[i] = gnnrec_nodes_contain(s->truth, item);
        lists->best_place[item] = Min(lists->best_place[item], i);
    }
    gnnrec_tally_add(&lists->tally, b->hit, n, s->n_truth);
}

static void
measure_block(Test *t, Block *b)
{
    gnnrec_batch_rank(&b->batch);
    for (int32 i = 0; i < b->batch.n; i++)
    {
        const Subject *s = &b->subjects[i];

        tally(&t->popular, b, s, gnnrec_batch_popular(b->list, &b->batch, i));
        tally(&t->model, b, s, gnnrec_batch_list(b->list, &b->batch, i));
    }
}

static void
measure(Test *t)
{
    int32       user = 0;
    Block       b;

    init_block(&b, t);
    while (user < t->truth.users.n)
    {
        MemoryContext old = MemoryContextSwitchTo(b.batch.context);

        CHECK_FOR_INTERRUPTS();
        while (user < t->truth.users.n && !gnnrec_batch_is_full(&b.batch))
            add_subject(&b, t, user++);
        measure_block(t, &b);
        MemoryContextSwitchTo(old);
        gnnrec_batch_clear(&b.batch);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * the answer
 * ------------------------------------------------------------------------------------------------------------------- */

static void
init_lists(Lists *out, const Test *t)
{
    int32       n = t->items->n;

    gnnrec_tally_init(&out->tally, &t->cutoffs);
    out->best_place = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * (Size) Max(n, 1));
    for (int32 i = 0; i < n; i++)
        out->best_place[i] = PG_INT32_MAX;
}

/* the share of the items that somebody was shown at one of the first k places */
static double
coverage(const Lists *lists, const Test *t, int32 k)
{
    int32       n = 0;

    for (int32 i = 0; i < t->items->n; i++)
        n += lists->best_place[i] < k;
    return (double) n / Max(t->items->n, 1);
}

/* the row of one metric at one cutoff; without users there is nothing to average */
static void
put_row(ReturnSetInfo *result, const Test *t, const char *metric, int cutoff, double value, double popular)
{
    int64       n_users = t->model.tally.n_users;
    Datum       values[6] = {CStringGetTextDatum(metric), Int32GetDatum(t->cutoffs.k[cutoff]), Float8GetDatum(value),
                             Float8GetDatum(popular), Float8GetDatum(popular == 0 ? 0 : value / popular), Int64GetDatum(n_users)};
    bool        nulls[6] = {[2] = n_users == 0, [3] = n_users == 0, [4] = n_users == 0 || popular == 0};

    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void
put_rows(ReturnSetInfo *result, const Test *t)
{
    double      n_users = Max(t->model.tally.n_users, 1);

    for (int m = 0; m < GNN_N_METRICS; m++)
        for (int i = 0; i < t->cutoffs.n; i++)
            put_row(result, t, gnn_metric_names[m], i, t->model.tally.sum[i][m] / n_users, t->popular.tally.sum[i][m] / n_users);
    for (int i = 0; i < t->cutoffs.n; i++)
        put_row(result, t, "coverage", i, coverage(&t->model, t, t->cutoffs.k[i]), coverage(&t->popular, t, t->cutoffs.k[i]));
}

static void
tell_misfits(const Misfits *m, Oid test)
{
    const struct {int64 n; const char *what;} parts[] = {
        {m->seen_pairs, "pairs seen in training, left out"},
        {m->unknown_items, "pairs whose item the run does not know, which no list can hold"},
        {m->unknown_users, "users the run does not know, who are shown the popular items"},
    };
    StringInfoData detail;

    initStringInfo(&detail);
    for (int i = 0; i < lengthof(parts); i++)
        if (parts[i].n > 0)
            appendStringInfo(&detail, "%s" INT64_FORMAT " %s", detail.len == 0 ? "" : "; ", parts[i].n, parts[i].what);
    if (detail.len > 0)
        ereport(NOTICE,
                (errmsg("not all rows of \"%s\" fit the run", get_rel_name(test)),
                 errdetail("%s.", detail.data)));
}

/* -------------------------------------------------------------------------------------------------------------------
 * the function
 * ------------------------------------------------------------------------------------------------------------------- */

enum {E_MODEL, E_TEST, E_K, E_USER_VECTORS};

static bool
is_folded(FunctionCallInfo fcinfo)
{
    char       *vectors;

    gnnrec_evaluation_required(fcinfo, E_USER_VECTORS, "user_vectors");
    vectors = text_to_cstring(PG_GETARG_TEXT_PP(E_USER_VECTORS));
    if (strcmp(vectors, "trained") != 0 && strcmp(vectors, "folded") != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("user_vectors must be 'trained' or 'folded', not %s", quote_literal_cstr(vectors))));
    return vectors[0] == 'f';
}

static void
check_fold_in(const Test *t)
{
    if (t->folded && t->items->fold_in == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("the live run of the model cannot fold users in"),
                 errdetail("Its items have no vectors for that.")));
}

/* gnnrec.evaluate(model, test, k, user_vectors) */
Datum
gnnrec_evaluate(PG_FUNCTION_ARGS)
{
    Test        t = {0};

    gnnrec_evaluation_required(fcinfo, E_TEST, "test");
    gnnrec_cutoffs_argument(&t.cutoffs, fcinfo, E_K);
    t.folded = is_folded(fcinfo);
    t.snapshot = gnnrec_serve_named(fcinfo, GNNREC_FROM_BOTH);
    t.items = &t.snapshot->types[GNNREC_ITEM];
    check_fold_in(&t);
    t.length = Min(t.cutoffs.largest, t.items->n);
    read_test(&t, PG_GETARG_OID(E_TEST));
    init_lists(&t.model, &t);
    init_lists(&t.popular, &t);
    measure(&t);
    tell_misfits(&t.misfits, PG_GETARG_OID(E_TEST));
    gnnrec_materialize(fcinfo);
    put_rows((ReturnSetInfo *) fcinfo->resultinfo, &t);
    return (Datum) 0;
}
