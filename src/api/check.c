/*
 * check.c: what is wrong or doubtful with a model's data and its surroundings, in plain words, before a training finds out.
 *
 * The interactions are read here as a training reads them, by the same code and as the role that would read then, so that what is
 * counted is what would be learned from. An error on the way is a finding: it is caught in a subtransaction. Nothing is changed.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/config.h"
#include "pg/guc.h"
#include "pg/idmap.h"
#include "pg/job.h"
#include "pg/memory.h"
#include "pg/role.h"
#include "pg/source.h"
#include "train/fit.h"

PG_FUNCTION_INFO_V1(gnnrec_check);

#define ERROR_LEVEL "error"     /* a training would fail */
#define WARNING_LEVEL "warning" /* it would not learn, or serve, what was meant */
#define NOTE_LEVEL "note"       /* good to know */

typedef struct Check
{
    ReturnSetInfo *result;
    const GnnrecModel *model;
    const GnnrecRelation *relation;
    Oid         reader;         /* the role that reads the interactions */
    GnnrecIdMap ids[2];         /* of users and items */
    GnnrecInteractions rows;
    GnnCsr      edges;
} Check;

/* count: -1 is none; hint: NULL is none */
static void
find(const Check *c, const char *level, int64 count, const char *finding, const char *hint)
{
    Datum       values[4] = {CStringGetTextDatum(level), CStringGetTextDatum(finding), Int64GetDatum(count),
                             hint == NULL ? (Datum) 0 : CStringGetTextDatum(hint)};
    bool        nulls[4] = {false, false, count < 0, hint == NULL};

    tuplestore_putvalues(c->result->setResult, c->result->setDesc, values, nulls);
}

/* the same where there are any */
static void
find_some(const Check *c, const char *level, int64 count, const char *finding, const char *hint)
{
    if (count > 0)
        find(c, level, count, finding, hint);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * What may fail
 * ------------------------------------------------------------------------------------------------------------------ */

/* does the work in a subtransaction, as the reader; an error is a finding, unless it is no one's fault; false: there was one */
static bool
succeeds(Check *c, void (*work) (Check *c))
{
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    ErrorData  *volatile error = NULL;

    BeginInternalSubTransaction(NULL);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        GnnrecRoleBefore before = gnnrec_role_become(c->reader);

        work(c);
        gnnrec_role_return(before);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    if (error == NULL)
        return true;
    if (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE
        || ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK)
        ReThrowError(error);
    find(c, ERROR_LEVEL, -1, error->message, error->hint);
    return false;
}

static void
check_definition(Check *c)
{
    gnnrec_source_check(c->relation);
}

static void
check_memory(void *context, int64 rows)
{
    gnnrec_check_reading_memory(context, gnnrec_train_memory);
}

static void
read_rows(Check *c)
{
    const GnnrecInteractions *rows = &c->rows;
    GnnArena    arena = gnnrec_arena(CurrentMemoryContext);
    GnnEdges    edges;

    for (int type = 0; type < 2; type++)
    {
        GnnrecKeyType key;

        gnnrec_key_type(&key, c->model->types[type].id_type);
        gnnrec_idmap_init(&c->ids[type], &key);
    }
    gnnrec_source_read(&c->rows, c->relation, &c->ids[GNNREC_USER], &c->ids[GNNREC_ITEM], check_memory, CurrentMemoryContext);
    edges = (GnnEdges) {rows->n, rows->from, rows->to, rows->weight, rows->time};
    gnn_csr_build(&c->edges, &arena, &edges, c->ids[GNNREC_USER].n, c->ids[GNNREC_ITEM].n);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * What is there
 * ------------------------------------------------------------------------------------------------------------------ */

/* false: the rest makes no sense */
static bool
check_tables(const Check *c)
{
    for (int type = 0; type < c->model->n_types; type++)
        if (get_rel_name(c->model->types[type].table) == NULL)
        {
            find(c, ERROR_LEVEL, -1,
                 psprintf("the table of the %s embeddings does not exist any more", c->model->types[type].name),
                 "Drop the model with gnnrec.drop_model and create it again.");
            return false;
        }
    return true;
}

static void
check_source(const Check *c)
{
    const GnnrecRelation *r = c->relation;

    if (strchr("vf", get_rel_relkind(r->source)) != NULL)
        find(c, NOTE_LEVEL, -1, psprintf("%s is no table: whether one user's rows are found quickly cannot be told",
                                         gnnrec_relation_name(r->source)),
             "recommend reads them at each call, unless with fresh => false.");
    else if (!gnnrec_source_has_index(r, r->from_column))
        find(c, WARNING_LEVEL, -1,
             psprintf("no index of %s begins with column \"%s\": what users do after a training counts only "
                      "while the table is small", gnnrec_relation_name(r->source), r->from_column),
             psprintf("CREATE INDEX ON %s (%s);", gnnrec_relation_name(r->source), quote_identifier(r->from_column)));
    if (check_enable_rls(r->source, c->reader, true) == RLS_ENABLED)
        find(c, NOTE_LEVEL, -1, psprintf("row security is in force on %s: you train on what its policies show you",
                                         gnnrec_relation_name(r->source)), NULL);
}

static void
check_rows(const Check *c)
{
    const GnnrecInteractions *rows = &c->rows;

    find(c, NOTE_LEVEL, rows->counts.rows, "interactions are read", NULL);
    find_some(c, WARNING_LEVEL, rows->counts.null_ids, "interactions have no user or no item and are skipped", NULL);
    find_some(c, WARNING_LEVEL, rows->counts.unknown_events,
              psprintf("interactions of kinds that event_weights does not name are skipped: %s",
                       rows->unknown_events == NULL ? "" : rows->unknown_events),
              "gnnrec.alter_model gives them a weight; 0 is seen, but no sign of interest.");
    find_some(c, WARNING_LEVEL, rows->counts.bad_values,
              "interactions with a value or time that is NULL, NaN or infinite are skipped", NULL);
    find_some(c, WARNING_LEVEL, rows->counts.future, "interactions lie in the future: they are taken for new ones", NULL);
    if (rows->counts.rows > 0 && rows->n == 0)
        find(c, ERROR_LEVEL, -1, "no interaction is left to learn from", NULL);
    else if (rows->n == 0)
        find(c, ERROR_LEVEL, -1, "there are no interactions to learn from", NULL);
    find_some(c, NOTE_LEVEL, rows->n - c->edges.ptr[c->edges.n],
              "interactions repeat a user and an item: their weights are added", NULL);
}

/* degrees of both ends: edges are what weighs more than zero */
static void
count_edges(const GnnCsr *edges, int64 *of_user, int64 *of_item)
{
    for (int32 u = 0; u < edges->n; u++)
        for (int64 e = edges->ptr[u]; e < edges->ptr[u + 1]; e++)
            if (edges->val == NULL || edges->val[e] > 0)
            {
                of_user[u]++;
                of_item[edges->idx[e]]++;
            }
}

static int64
count_equal(const int64 *degree, int32 n, int64 wanted)
{
    int64       count = 0;

    for (int32 i = 0; i < n; i++)
        count += degree[i] == wanted;
    return count;
}

static void
check_graph(const Check *c)
{
    int32       n_users = c->ids[GNNREC_USER].n;
    int32       n_items = c->ids[GNNREC_ITEM].n;
    int64      *of_user = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(n_users, 1));
    int64      *of_item = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(n_items, 1));

    memset(of_user, 0, sizeof(int64) * n_users);
    memset(of_item, 0, sizeof(int64) * n_items);
    count_edges(&c->edges, of_user, of_item);
    find(c, NOTE_LEVEL, n_users, "users have interactions", NULL);
    find(c, NOTE_LEVEL, n_items, "items have interactions", NULL);
    find_some(c, WARNING_LEVEL, count_equal(of_user, n_users, 0),
              "users have no edge, because nothing they did weighs more than zero: they are shown what is popular", NULL);
    find_some(c, WARNING_LEVEL, count_equal(of_item, n_items, 0),
              "items have no edge, because nothing done with them weighs more than zero: they end every list", NULL);
    find_some(c, NOTE_LEVEL, count_equal(of_user, n_users, 1), "users have one item: little is known of them", NULL);
    find_some(c, NOTE_LEVEL, count_equal(of_item, n_items, 1), "items have one user: little is known of them", NULL);
    pfree(of_user);
    pfree(of_item);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * What a training needs
 * ------------------------------------------------------------------------------------------------------------------ */

static void
check_budget(const Check *c)
{
    GnnConfig   config;
    GnnPart     parts[GNN_MAX_PARTS];
    int         n_parts;
    int64       need;

    gnn_config_defaults(&config);
    gnnrec_config_apply(&config, c->model->params);
    need = gnnrec_training_memory(parts, &n_parts, &config, c->ids[GNNREC_USER].n, c->ids[GNNREC_ITEM].n,
                                  c->edges.ptr[c->edges.n]) / (1024 * 1024) + 1;
    if (need > gnnrec_train_memory / 1024)
        find(c, ERROR_LEVEL, need, psprintf("MB are needed by a training, more than gnnrec.train_memory (%d MB)",
                                            gnnrec_train_memory / 1024),
             "A superuser can raise gnnrec.train_memory; a smaller dim, or since, needs less.");
}

/* what is no process of the server itself takes one of its worker slots */
static void
check_workers(const Check *c)
{
    bool        isnull;
    int64       busy = DatumGetInt64(gnnrec_catalog_write(
        "SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity WHERE backend_type <> ALL ('{autovacuum launcher,"
        "autovacuum worker,client backend,background writer,checkpointer,archiver,startup,walreceiver,walsender,walwriter,"
        "slotsync worker,walsummarizer,io worker,standalone backend}')", 0, NULL, NULL, NULL, &isnull));

    if (busy >= max_worker_processes)
        find(c, WARNING_LEVEL, busy, "background workers are busy, all that max_worker_processes allows: a training needs one",
             "Raise max_worker_processes and restart the server: 16 is a good start.");
}

/* of a message: details and hints follow it */
static char *
first_line(const char *message)
{
    return message == NULL ? "" : pnstrdup(message, strcspn(message, "\n"));
}

static void
check_runs(const Check *c)
{
    GnnrecRun   run;
    const char *state;

    if (c->model->live_run == 0)
        find(c, NOTE_LEVEL, -1, "the model has not been trained", psprintf("SELECT gnnrec.train(%s);",
                                                                         quote_literal_cstr(c->model->name)));
    if (!gnnrec_run_newest(&run, c->model->model_id, GetActiveSnapshot()))
        return;
    state = gnnrec_job_state(run.model_id, run.status, run.requested_at);
    if (strcmp(state, "failed") == 0 || strcmp(state, "lost") == 0)
        find(c, WARNING_LEVEL, -1, psprintf("the newest run, a %s, %s %s: %s", run.task, *state == 'l' ? "was" : "has", state,
                                            first_line(run.message)), "The run's row in gnnrec.runs tells more.");
}

static void
check_interactions(Check *c)
{
    c->reader = gnnrec_model_reader(c->model, GetUserId());
    if (!succeeds(c, check_definition))
        return;
    check_source(c);
    if (!succeeds(c, read_rows))
        return;
    check_rows(c);
    check_graph(c);
    check_budget(c);
}

/* gnnrec.check(model) -> level, finding, count, hint */
Datum
gnnrec_check(PG_FUNCTION_ARGS)
{
    Check      *c = palloc0(sizeof(Check));

    c->model = gnnrec_model_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
    c->relation = &c->model->relations[0];
    gnnrec_model_check_owner(c->model);
    gnnrec_materialize(fcinfo);
    c->result = (ReturnSetInfo *) fcinfo->resultinfo;
    if (check_tables(c))
        check_interactions(c);
    check_workers(c);
    check_runs(c);
    return (Datum) 0;
}
