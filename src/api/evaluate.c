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
 * Metrics are averaged over the users who have something left in the truth. Users go through gnn_topk_many in blocks of as
 * many as it scores in one pass over the items; a block's memory is freed before the next one, and a cancel is heeded between.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "api/evaluation.h"
#include "api/nodes.h"
#include "api/serve.h"
#include "pg/compat.h"

PG_FUNCTION_INFO_V1(gnnrec_evaluate);

#define INTERACTIONS 0          /* the relation of users to items */
#define BLOCK_USERS 32
#define BLOCK_HITS (4 * 1024 * 1024)

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
    GnnrecNodes seen;
    GnnrecNodes truth;          /* of the items of the run */
    int64       n_truth;        /* those that are not in the run included */
    int32       query;          /* number of the user's vector in the block; -1: there is none */
} Subject;

typedef struct Block
{
    MemoryContext context;      /* reset after each block: masks and truths */
    int32       room;
    int32       n;
    int32       n_queries;
    Subject    *subjects;
    float      *queries;        /* n_queries x dim, */
    const int32 **skip;         /* with what they leave out */
    int64      *n_skip;
    GnnHit     *hits;           /* and their answers, length each */
    int32      *n_hits;
    int32      *list;           /* of one subject */
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
    const GnnrecRelation *trained = &gnnrec_model_by_id(t->snapshot->model_id)->relations[INTERACTIONS];
    GnnrecRelation r = {.source = test, .from_column = trained->from_column, .to_column = trained->to_column};
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

/* what is to be found for a user, and what is not a question */
static void
read_truth(Test *t, Subject *s, int32 user)
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
        else if (gnnrec_nodes_contain(s->seen, node))
            n_seen++;
        else
            truth[n_known++] = node;
    }
    s->truth = (GnnrecNodes) {truth, n_known};
    s->n_truth = n_known + n_unknown;
    t->misfits.unknown_items += n_unknown;
    t->misfits.seen_pairs += n_seen;
}

/* -------------------------------------------------------------------------------------------------------------------
 * a block of users
 * ------------------------------------------------------------------------------------------------------------------- */

static void
init_block(Block *b, const Test *t)
{
    b->room = Max(1, Min(BLOCK_USERS, BLOCK_HITS / Max(t->length, 1)));
    b->context = AllocSetContextCreate(CurrentMemoryContext, "gnnrec evaluation", ALLOCSET_DEFAULT_SIZES);
    b->subjects = palloc(sizeof(Subject) * b->room);
    b->queries = palloc(sizeof(float) * b->room * t->items->dim);
    b->skip = palloc(sizeof(int32 *) * b->room);
    b->n_skip = palloc(sizeof(int64) * b->room);
    b->hits = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(GnnHit) * b->room * (Size) t->length);
    b->n_hits = palloc(sizeof(int32) * b->room);
    b->list = palloc(sizeof(int32) * t->length);
    b->hit = palloc(sizeof(bool) * t->length);
}

/* the user's vector; false: recommend() would not have one either */
static bool
read_vector(float *out, const Test *t, int32 node, const GnnrecSnapshotRow *row)
{
    const GnnrecSnapshotNodes *users = &t->snapshot->types[GNNREC_USER];

    if (t->folded)
        return gnnrec_serve_fold_in(out, t->items, row);
    if (users->degree[node] <= 0)
        return false;
    memcpy(out, gnnrec_snapshot_vector(users, node), sizeof(float) * users->dim);
    return true;
}

/* a user of the truth becomes a subject of the block, if there is a question left */
static void
add_subject(Block *b, Test *t, int32 user)
{
    Subject    *s = &b->subjects[b->n];
    int32       node = t->user_node[user];
    GnnrecSnapshotRow row = {0};
    GnnrecNodes skip;

    if (node >= 0)
        gnnrec_snapshot_row(&row, t->snapshot, INTERACTIONS, node);
    s->seen = gnnrec_serve_hidden(&row, true);
    s->query = -1;
    read_truth(t, s, user);
    if (s->n_truth == 0)
        return;
    b->n++;
    t->misfits.unknown_users += node < 0;
    if (node < 0 || !read_vector(b->queries + (int64) b->n_queries * t->items->dim, t, node, &row))
        return;
    skip = gnnrec_nodes_merge(s->seen, (GnnrecNodes) {t->items->isolated, t->items->n_isolated});
    b->skip[b->n_queries] = skip.node;
    b->n_skip[b->n_queries] = skip.n;
    s->query = b->n_queries++;
}

/* appends what is not seen to a list of n; returns how many it has then */
static int32
append(int32 *list, int32 n, const Test *t, const int32 *nodes, int32 n_nodes, GnnrecNodes seen)
{
    for (int32 i = 0; i < n_nodes && n < t->length; i++)
    {
        if (nodes[i] < 0 || nodes[i] >= t->items->n)
            gnnrec_snapshot_damaged(t->snapshot);
        if (!gnnrec_nodes_contain(seen, nodes[i]))
            list[n++] = nodes[i];
    }
    return n;
}

/* both kinds of list end with the items without edges, as those of recommend() do */
static int32
list_model(int32 *list, const Test *t, const Block *b, const Subject *s)
{
    const GnnHit *hits = b->hits + (int64) s->query * t->length;
    int32       n = b->n_hits[s->query];

    for (int32 i = 0; i < n; i++)
        list[i] = hits[i].row;
    return append(list, n, t, t->items->isolated, t->items->n_isolated, s->seen);
}

static int32
list_popular(int32 *list, const Test *t, const Subject *s)
{
    int32       n = append(list, 0, t, t->items->popular, t->items->n_popular, s->seen);

    return append(list, n, t, t->items->isolated, t->items->n_isolated, s->seen);
}

/* the list of n in the block is what the subject is shown */
static void
tally(Lists *lists, Block *b, const Subject *s, int32 n)
{
    for (int32 i = 0; i < n; i++)
    {
        b->hit[i] = gnnrec_nodes_contain(s->truth, b->list[i]);
        lists->best_place[b->list[i]] = Min(lists->best_place[b->list[i]], i);
    }
    gnnrec_tally_add(&lists->tally, b->hit, n, s->n_truth);
}

static void
measure_block(Test *t, Block *b)
{
    GnnRows     rows = gnnrec_snapshot_rows(t->items, false);

    gnn_topk_many(b->hits, b->n_hits, t->length, &rows, b->queries, b->n_queries, b->skip, b->n_skip);
    for (int32 i = 0; i < b->n; i++)
    {
        const Subject *s = &b->subjects[i];
        int32       n = list_popular(b->list, t, s);

        tally(&t->popular, b, s, n);
        if (s->query >= 0)
            n = list_model(b->list, t, b, s);
        tally(&t->model, b, s, n);
    }
}

static void
measure(Test *t)
{
    int32       user = 0;
    Block       b = {0};

    init_block(&b, t);
    while (user < t->truth.users.n)
    {
        MemoryContext old = MemoryContextSwitchTo(b.context);

        CHECK_FOR_INTERRUPTS();
        b.n = b.n_queries = 0;
        while (user < t->truth.users.n && b.n < b.room)
            add_subject(&b, t, user++);
        measure_block(t, &b);
        MemoryContextSwitchTo(old);
        MemoryContextReset(b.context);
    }
    MemoryContextDelete(b.context);
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

    gnnrec_evaluation_required(fcinfo, E_MODEL, "model");
    gnnrec_evaluation_required(fcinfo, E_TEST, "test");
    gnnrec_cutoffs_argument(&t.cutoffs, fcinfo, E_K);
    t.folded = is_folded(fcinfo);
    t.snapshot = gnnrec_snapshot_live(gnnrec_model_by_name(text_to_cstring(PG_GETARG_TEXT_PP(E_MODEL)), false)->model_id);
    t.items = &t.snapshot->types[GNNREC_ITEM];
    gnnrec_serve_check_right(t.items);
    gnnrec_serve_check_right(&t.snapshot->types[GNNREC_USER]);
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
