/*
 * check.c: what is wrong or doubtful with a model's data and its surroundings, in plain words, before a training finds out.
 *
 * Everything is read here as a training reads them, by the same code and as the role that would read then, so that what is
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
#include "pg/estimate.h"
#include "pg/guc.h"
#include "pg/job.h"
#include "pg/memory.h"
#include "pg/parts.h"
#include "pg/reading.h"
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
    Oid         reader;         /* the role that reads the sources */
    const GnnrecRelation *relation; /* whose definition is being looked at */
    const GnnrecNodeType *type; /* and whose catalogue */
    GnnrecReading reading;
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
check_relation(Check *c)
{
    gnnrec_source_check(c->relation);
}

static void
check_catalogue(Check *c)
{
    gnnrec_source_check_catalogue(c->type);
}

static void
check_relations_together(Check *c)
{
    gnnrec_parts_check(c->model);
}

/* of all sources, so that nobody is told of one at a time */
static bool
check_definitions(Check *c)
{
    bool        good = succeeds(c, check_relations_together);

    for (int i = 0; i < c->model->n_relations; i++)
    {
        c->relation = &c->model->relations[i];
        good &= succeeds(c, check_relation);
    }
    for (int t = 0; t < c->model->n_types; t++)
    {
        c->type = &c->model->types[t];
        good &= !OidIsValid(c->type->catalogue) || succeeds(c, check_catalogue);
    }
    return good;
}

static void
check_memory(void *context, int64 rows)
{
    gnnrec_check_reading_memory(context, gnnrec_train_memory);
}

static void
read_rows(Check *c)
{
    gnnrec_reading_open(&c->reading, c->model, check_memory, CurrentMemoryContext);
    c->reading.keeps_codes = true;      /* a training may want them */
    gnnrec_reading_rows(&c->reading);
}

static void
check_learned(Check *c)
{
    gnnrec_reading_check_not_empty(&c->reading);
}

static void
build(Check *c)
{
    gnnrec_reading_build(&c->reading);
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
                 type <= GNNREC_ITEM ? "Drop the model with gnnrec.drop_model and create it again."
                 : "Drop its relations with gnnrec.drop_relation and add them again.");
            return false;
        }
    return true;
}

static void
check_source(const Check *c)
{
    const GnnrecRelation *r = &c->model->relations[GNNREC_INTERACTIONS];

    if (strchr("vf", get_rel_relkind(r->source)) != NULL)
        find(c, NOTE_LEVEL, -1, psprintf("%s is no table: whether one user's rows are found quickly cannot be told",
                                         gnnrec_relation_name(r->source)),
             "recommend reads them at each call, unless with fresh => false.");
    else if (!gnnrec_source_has_index(r->source, r->from_column))
        find(c, WARNING_LEVEL, -1,
             psprintf("no index of %s begins with column \"%s\": what users do after a training counts only "
                      "while the table is small", gnnrec_relation_name(r->source), r->from_column),
             psprintf("CREATE INDEX ON %s (%s);", gnnrec_relation_name(r->source), quote_identifier(r->from_column)));
}

static void
check_row_security(const Check *c, Oid source)
{
    if (check_enable_rls(source, c->reader, true) == RLS_ENABLED)
        find(c, NOTE_LEVEL, -1, psprintf("row security is in force on %s: you train on what its policies show you",
                                         gnnrec_relation_name(source)), NULL);
}

static void
check_sources(const Check *c)
{
    check_source(c);
    for (int i = 0; i < c->model->n_relations; i++)
        check_row_security(c, c->model->relations[i].source);
    for (int t = 0; t < c->model->n_types; t++)
        if (OidIsValid(c->model->types[t].catalogue))
            check_row_security(c, c->model->types[t].catalogue);
}

static void
check_interactions(const Check *c)
{
    const GnnrecInteractions *rows = &c->reading.rows[GNNREC_INTERACTIONS];

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
}

/* of a type, those nodes that a relation mentions, at either end */
static bool *
mentioned(const Check *c, const GnnrecRelation *r, const GnnrecInteractions *rows, int type)
{
    bool       *met = MemoryContextAllocHuge(CurrentMemoryContext, Max(c->reading.ids[type].n, 1));

    memset(met, false, c->reading.ids[type].n);
    for (int64 i = 0; r->from_type == type && i < rows->n; i++)
        met[rows->from[i]] = true;
    for (int64 i = 0; r->to_type == type && i < rows->n; i++)
        met[rows->to[i]] = true;
    return met;
}

/* a relation's ids that neither the interactions nor a catalogue mention: if these are all, have they the same meaning? */
static void
check_strangers(const Check *c, const GnnrecRelation *r, const GnnrecInteractions *rows, int type)
{
    int32       n_known = c->reading.n_known[type];
    bool       *met = mentioned(c, r, rows, type);
    int64       n_met = 0;
    int64       n_strange = 0;

    for (int32 node = 0; node < c->reading.ids[type].n; node++)
    {
        n_met += met[node];
        n_strange += met[node] && node >= n_known;
    }
    pfree(met);
    if (n_known == 0)
        return;
    find_some(c, n_strange == n_met ? WARNING_LEVEL : NOTE_LEVEL, n_strange,
              psprintf("nodes of type \"%s\" are known by relation \"%s\" and not by interactions or a catalogue%s",
                       c->model->types[type].name, r->name,
                       n_strange == n_met ? ", all it has: do its ids mean the same?" : ""),
              NULL);
}

static void
check_rows(const Check *c, int i)
{
    const GnnrecRelation *r = &c->model->relations[i];
    const GnnrecInteractions *rows = &c->reading.rows[i];

    find(c, rows->n == 0 ? WARNING_LEVEL : NOTE_LEVEL, rows->counts.rows,
         psprintf("rows of relation \"%s\" are read%s", r->name, rows->n == 0 ? ", and none is left to learn from" : ""), NULL);
    find_some(c, WARNING_LEVEL, rows->counts.null_ids,
              psprintf("rows of relation \"%s\" have a NULL in %s and are skipped", r->name,
                       r->relation_column != NULL ? "an id or relation_column" : "an id"), NULL);
    find_some(c, WARNING_LEVEL, rows->counts.bad_values,
              psprintf("rows of relation \"%s\" with a value or time that is NULL, NaN or infinite are skipped", r->name), NULL);
    find_some(c, NOTE_LEVEL, rows->counts.loops,
              psprintf("rows of relation \"%s\" lead from a node to itself and are left out", r->name), NULL);
    check_strangers(c, r, rows, r->from_type);
    if (r->from_type != r->to_type)
        check_strangers(c, r, rows, r->to_type);
}

/* those of interactions come first among the numbers, then what a catalogue adds */
static void
check_nodes(const Check *c)
{
    for (int t = 0; t < c->model->n_types; t++)
    {
        const GnnrecReading *r = &c->reading;

        if (t > GNNREC_ITEM)
            find(c, NOTE_LEVEL, r->ids[t].n, psprintf("nodes are of type \"%s\"", c->model->types[t].name), NULL);
        else
            find_some(c, NOTE_LEVEL, r->n_known[t] - r->n_active[t],
                      psprintf("nodes of type \"%s\" are in the catalogue and have no interactions", c->model->types[t].name),
                      NULL);
        find_some(c, WARNING_LEVEL, r->n_null[t],
                  psprintf("rows of the catalogue of node type \"%s\" have no id and are skipped", c->model->types[t].name),
                  NULL);
    }
}

static void
check_relations(const Check *c)
{
    check_nodes(c);
    for (int i = GNNREC_INTERACTIONS + 1; i < c->model->n_relations; i++)
        check_rows(c, i);
}

/* of the users or of the items, by number */
typedef struct Degrees
{
    int32       n;
    int64      *seen;           /* interactions, merged: all of them, */
    int64      *liked;          /* and those above zero */
    int64      *edges;          /* above zero, of all relations */
} Degrees;

static int64 *
zeros(int32 n)
{
    int64      *array = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(n, 1));

    memset(array, 0, sizeof(int64) * n);
    return array;
}

static void
add_degrees(const GnnCsr *edges, bool positive, int64 *of_from, int64 *of_to)
{
    for (int32 from = 0; from < edges->n; from++)
        for (int64 e = edges->ptr[from]; e < edges->ptr[from + 1]; e++)
            if (!positive || edges->val == NULL || edges->val[e] > 0)
            {
                of_from[from]++;
                of_to[edges->idx[e]]++;
            }
}

static void
count_degrees(Degrees *degrees, const GnnrecReading *r)
{
    int64      *edges[GNN_MAX_TYPES];

    for (int t = 0; t < r->graph.n_types; t++)
        edges[t] = zeros(r->ids[t].n);
    for (int i = 0; i < r->graph.n_relations; i++)
        add_degrees(&r->graph.relations[i].edges, true, edges[r->graph.relations[i].from], edges[r->graph.relations[i].to]);
    for (int t = GNNREC_USER; t <= GNNREC_ITEM; t++)
        degrees[t] = (Degrees) {r->ids[t].n, zeros(r->ids[t].n), zeros(r->ids[t].n), edges[t]};
    add_degrees(&r->seen, false, degrees[GNNREC_USER].seen, degrees[GNNREC_ITEM].seen);
    add_degrees(&r->seen, true, degrees[GNNREC_USER].liked, degrees[GNNREC_ITEM].liked);
}

/* numbers of nodes */
typedef struct Tally
{
    int64       active;         /* with interactions */
    int64       unconnected;    /* of these, without any edge */
    int64       single;         /* with one edge of interactions */
} Tally;

static Tally
tally(const Degrees *d)
{
    Tally       count = {0};

    for (int32 i = 0; i < d->n; i++)
    {
        count.active += d->seen[i] > 0;
        count.unconnected += d->seen[i] > 0 && d->edges[i] == 0;
        count.single += d->liked[i] == 1;
    }
    return count;
}

static void
check_graph(const Check *c, int64 n_interactions)
{
    const GnnCsr *seen = &c->reading.seen;
    Degrees     degrees[2];
    Tally       users;
    Tally       items;

    count_degrees(degrees, &c->reading);
    users = tally(&degrees[GNNREC_USER]);
    items = tally(&degrees[GNNREC_ITEM]);
    find_some(c, NOTE_LEVEL, n_interactions - seen->ptr[seen->n],
              "interactions repeat a user and an item: their weights are added", NULL);
    find(c, NOTE_LEVEL, users.active, "users have interactions", NULL);
    find(c, NOTE_LEVEL, items.active, "items have interactions", NULL);
    find_some(c, WARNING_LEVEL, users.unconnected,
              "users have no edge, because nothing they did weighs more than zero: they are shown what is popular", NULL);
    find_some(c, WARNING_LEVEL, items.unconnected,
              "items have no edge, because nothing done with them weighs more than zero: they end every list", NULL);
    find_some(c, NOTE_LEVEL, users.single, "users have one item: little is known of them", NULL);
    find_some(c, NOTE_LEVEL, items.single, "items have one user: little is known of them", NULL);
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
    int64       n_edges[GNN_MAX_RELATIONS];
    int64       need;
    const GnnRefusal *refusal;

    gnn_config_defaults(&config);
    gnnrec_config_apply(&config, c->model->params);
    refusal = gnn_fit_refusal(&config, &c->reading.graph);
    if (refusal != NULL)
    {
        find(c, ERROR_LEVEL, -1, refusal->message, refusal->hint);
        return;
    }
    gnnrec_reading_edges(n_edges, &c->reading.graph);
    need = gnnrec_estimate_training(parts, &n_parts, &c->reading.graph, n_edges, gnnrec_reading_memory(&c->reading), &config,
                                    gnnrec_threads) / (1024 * 1024) + 1;
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
check_data(Check *c)
{
    int64       n_interactions;

    c->reader = gnnrec_model_reader(c->model, GetUserId());
    if (!check_definitions(c))
        return;
    check_sources(c);
    if (!succeeds(c, read_rows))
        return;
    n_interactions = c->reading.rows[GNNREC_INTERACTIONS].n;
    check_interactions(c);
    check_relations(c);
    if ((n_interactions > 0 && !succeeds(c, check_learned)) || !succeeds(c, build))
        return;
    check_graph(c, n_interactions);
    if (c->reading.empty_features != NULL)
        find(c, WARNING_LEVEL, -1, psprintf("features tell no nodes apart: %s", c->reading.empty_features),
             "All their values are missing, or the same.");
    check_budget(c);
}

/* gnnrec.check(model) -> level, finding, count, hint */
Datum
gnnrec_check(PG_FUNCTION_ARGS)
{
    Check      *c = palloc0(sizeof(Check));

    c->model = gnnrec_model_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
    gnnrec_model_check_owner(c->model);
    gnnrec_materialize(fcinfo);
    c->result = (ReturnSetInfo *) fcinfo->resultinfo;
    if (check_tables(c))
        check_data(c);
    check_workers(c);
    check_runs(c);
    return (Datum) 0;
}
