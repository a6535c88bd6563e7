/*
 * worker.c: the background worker: one run of one model, from its order to its publication.
 *
 * read -> fit -> store -> snapshot. Rows are read in one transaction, which is committed before the numbers start: an hour's
 * training holds no snapshot and no lock but the advisory one that says so. Vectors are stored, old runs deleted and live_run is
 * switched in one more. Progress goes to gnnrec.run in small transactions of its own, about once a second. Whatever goes wrong
 * is written to the run's row, and nothing of the run is left.
 *
 * The worker connects as the session user who asked and acts as the role that was current then: its privileges and row
 * security hold while rows are read. The model's tables are written as their owner, the catalogue as the extension's.
 */
#include "postgres.h"

#include "pg/job.h"

#include <math.h>
#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/compat.h"
#include "pg/config.h"
#include "pg/guc.h"
#include "pg/idmap.h"
#include "pg/isolate.h"
#include "pg/memory.h"
#include "pg/snapshot.h"
#include "pg/source.h"
#include "pg/store.h"

#define PROGRESS_SECONDS 1.0
#define LOCK_TIMEOUT "30s"

PGDLLEXPORT void gnnrec_worker_main(Datum arg);

/* everything a run knows; lives in the worker's top context, its phases' memory in `context` */
typedef struct Worker
{
    GnnrecJobOrder order;
    MemoryContext context;
    GnnrecModel *model;
    GnnConfig   config;
    GnnrecIdMap ids[GNN_MAX_TYPES];
    GnnrecReadCounts counts;
    double      newest_event;   /* of relation 0; NaN: it has no time column */
    char       *warning;        /* what the run's row says though it succeeded */
    GnnGraph    graph;
    GnnCsr     *hidden;         /* the edges of relation 0 that hide an item; NULL: all do */
    GnnrecTraining training;
    double      seconds[3];     /* of reading, fitting, storing */
    instr_time  last_report;
} Worker;

enum {READING, FITTING, STORING};

/* ---------------------------------------------------------------------------------------------------------------------
 * Launching
 * ------------------------------------------------------------------------------------------------------------------ */

void
gnnrec_worker_launch(const GnnrecJobOrder *order)
{
    BackgroundWorker worker = {0};
    BackgroundWorkerHandle *handle;

    StaticAssertStmt(sizeof(GnnrecJobOrder) <= BGW_EXTRALEN, "a job order must fit bgw_extra");
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "gnnrec", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, "gnnrec_worker_main", sizeof(worker.bgw_function_name));
    snprintf(worker.bgw_name, BGW_MAXLEN, "gnnrec training, run " INT64_FORMAT, order->run_id);
    strlcpy(worker.bgw_type, "gnnrec training", BGW_MAXLEN);
    memcpy(worker.bgw_extra, order, sizeof(*order));
    if (!RegisterDynamicBackgroundWorker(&worker, &handle))
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                 errmsg("no background worker slot is free for training"),
                 errhint("Wait for other workers to end, or raise max_worker_processes and restart the server.")));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Transactions and the run's row
 * ------------------------------------------------------------------------------------------------------------------ */

static void
begin(void)
{
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
    PopActiveSnapshot();
    CommitTransactionCommand();
}

/* pg_stat_activity says what we are doing; the row of the run says it too when it is next written */
static void
report(const Worker *w, const char *doing)
{
    pgstat_report_activity(STATE_RUNNING, psprintf("gnnrec: model %s, run " INT64_FORMAT ", %s",
                                                   w->model->name, w->order.run_id, doing));
}

/* a run may be called off, or dropped with its model, until this has written that it is running */
static void
set_phase(Worker *w, const char *phase)
{
    Oid         types[] = {INT8OID, TEXTOID, INT4OID, INT4OID};
    Datum       values[] = {Int64GetDatum(w->order.run_id), CStringGetTextDatum(phase),
                            Int32GetDatum(MyProcPid), Int32GetDatum(w->config.steps)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'running', phase = $2, pid = $3, steps = $4, "
                         "started_at = coalesce(started_at, pg_catalog.clock_timestamp()) "
                         "WHERE run_id = $1 AND status IN ('starting', 'running') RETURNING run_id",
                         4, types, values, NULL, &isnull);
    if (isnull)
        ereport(ERROR,
                (errcode(ERRCODE_QUERY_CANCELED),
                 errmsg("run " INT64_FORMAT " was called off", w->order.run_id)));
    report(w, phase);
}

static double
seconds_since(instr_time start)
{
    instr_time  now;

    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_SUBTRACT(now, start);
    return INSTR_TIME_GET_DOUBLE(now);
}

static ArrayType *
float8_array(const GnnStep *steps, int n, size_t offset)
{
    Datum      *values = palloc(sizeof(Datum) * n);
    bool       *nulls = palloc(sizeof(bool) * n);
    int         lower = 1;

    for (int i = 0; i < n; i++)
    {
        double      value = *(const double *) ((const char *) &steps[i] + offset);

        nulls[i] = isnan(value);
        values[i] = Float8GetDatum(value);
    }
    return construct_md_array(values, nulls, 1, &n, &lower, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

/* the steps finished since the last report, to run and run_step; in the current transaction */
static void
write_steps(Worker *w)
{
    const GnnStep *steps;
    int         n = gnnrec_isolate_new_steps(&w->training, &steps);
    Oid         types[] = {INT8OID, INT4OID, FLOAT8OID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
    Datum       values[lengthof(types)];
    bool        isnull;

    if (n == 0)
        return;
    values[0] = Int64GetDatum(w->order.run_id);
    values[1] = Int32GetDatum(steps[n - 1].step);
    values[2] = Float8GetDatum(steps[n - 1].loss);
    values[3] = PointerGetDatum(float8_array(steps, n, offsetof(GnnStep, loss)));
    values[4] = PointerGetDatum(float8_array(steps, n, offsetof(GnnStep, seconds)));
    values[5] = PointerGetDatum(float8_array(steps, n, offsetof(GnnStep, metric)));
    gnnrec_catalog_write("UPDATE gnnrec.run SET step = $2, loss = $3 WHERE run_id = $1", 3, types, values, NULL, &isnull);
    gnnrec_catalog_write("INSERT INTO gnnrec.run_step (run_id, step, loss, seconds, ndcg) "
                         "SELECT $1, $2 - pg_catalog.cardinality($4) + n, loss, seconds, ndcg "
                         "FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6)) "
                         "WITH ORDINALITY AS s(loss, seconds, ndcg, n)",
                         lengthof(types), types, values, NULL, &isnull);
    report(w, psprintf("fitting, step %d of %d, loss %.4f", steps[n - 1].step, w->config.steps, steps[n - 1].loss));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------------------------------------------------ */

/* it is this process that reads, and no child: the out-of-memory killer would take the server's sessions along */
static void
check_reading_memory(const Worker *w)
{
    if (MemoryContextMemAllocated(w->context, true) > (Size) w->order.memory * 1024)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                 errmsg("reading the interactions takes more than gnnrec.train_memory (%d MB)", w->order.memory / 1024),
                 errhint("A superuser can raise gnnrec.train_memory; since reads fewer rows.")));
}

static void
report_rows(void *arg, int64 rows)
{
    Worker     *w = arg;

    check_reading_memory(w);
    if (seconds_since(w->last_report) < PROGRESS_SECONDS)
        return;
    INSTR_TIME_SET_CURRENT(w->last_report);
    report(w, psprintf("reading, " INT64_FORMAT " rows", rows));
}

static void
renumber(int32 *nodes, int64 n, const int32 *numbers)
{
    for (int64 i = 0; i < n; i++)
        nodes[i] = numbers[nodes[i]];
}

static void
init_ids(Worker *w)
{
    for (int t = 0; t < w->model->n_types; t++)
    {
        GnnrecKeyType type;

        gnnrec_key_type(&type, w->model->types[t].id_type);
        gnnrec_idmap_init(&w->ids[t], &type);
    }
}

static void
note_counts(Worker *w, const GnnrecInteractions *rows)
{
    const GnnrecReadCounts *c = &rows->counts;

    w->counts.rows += c->rows;
    w->counts.null_ids += c->null_ids;
    w->counts.unknown_events += c->unknown_events;
    w->counts.bad_values += c->bad_values;
    if (rows->unknown_events != NULL)
    {
        char       *text = psprintf("skipped " INT64_FORMAT " interactions of kinds that event_weights does not name: %s",
                                    c->unknown_events, rows->unknown_events);

        w->warning = MemoryContextStrdup(w->context, text);
    }
}

/* rows of all relations; ids are renumbered when all of them have been seen */
static void
read_relations(Worker *w, GnnrecInteractions *rows)
{
    for (int i = 0; i < w->model->n_relations; i++)
    {
        const GnnrecRelation *r = &w->model->relations[i];

        gnnrec_source_read(&rows[i], r, &w->ids[r->from_type], &w->ids[r->to_type], report_rows, w);
        note_counts(w, &rows[i]);
    }
}

/* NaN: no times */
static double
newest_time(const GnnrecInteractions *rows)
{
    double      newest = NAN;

    for (int64 i = 0; rows->time != NULL && i < rows->n; i++)
        newest = fmax(newest, rows->time[i]);
    return newest;
}

/* the rows that hide their item, as edges; from and to are packed for it and hold nothing of use afterwards */
static GnnCsr *
build_hidden(const Worker *w, GnnrecInteractions *rows, const GnnrecRelation *r)
{
    GnnArena    arena = gnnrec_arena(w->context);
    GnnEdges    edges = {0, rows->from, rows->to, NULL, NULL};
    GnnCsr     *hidden = MemoryContextAlloc(w->context, sizeof(GnnCsr));

    for (int64 i = 0; i < rows->n; i++)
        if (rows->hides[i])
        {
            rows->from[edges.n] = rows->from[i];
            rows->to[edges.n++] = rows->to[i];
        }
    gnn_csr_build(hidden, &arena, &edges, w->ids[r->from_type].n, w->ids[r->to_type].n);
    return hidden;
}

static void
build_graph(Worker *w, GnnrecInteractions *rows)
{
    GnnArena    arena = gnnrec_arena(w->context);
    int32      *numbers[GNN_MAX_TYPES];

    for (int t = 0; t < w->model->n_types; t++)
    {
        numbers[t] = gnnrec_idmap_sort(&w->ids[t]);
        gnn_graph_add_nodes(&w->graph, w->model->types[t].name, w->ids[t].n);
    }
    for (int i = 0; i < w->model->n_relations; i++)
    {
        const GnnrecRelation *r = &w->model->relations[i];
        GnnEdges    edges = {rows[i].n, rows[i].from, rows[i].to, rows[i].weight, rows[i].time};
        GnnCsr      csr;

        renumber(rows[i].from, rows[i].n, numbers[r->from_type]);
        renumber(rows[i].to, rows[i].n, numbers[r->to_type]);
        gnn_csr_build(&csr, &arena, &edges, w->ids[r->from_type].n, w->ids[r->to_type].n);
        gnn_graph_add_relation(&w->graph, r->name, r->from_type, r->to_type, &csr);
    }
    w->newest_event = newest_time(&rows[0]);
    if (rows[0].hides != NULL)
        w->hidden = build_hidden(w, &rows[0], &w->model->relations[0]);
}

/* in the reading transaction: the role's name is looked up */
static void
check_not_empty(const Worker *w, const GnnrecInteractions *learned)
{
    if (learned->n > 0)
        return;
    ereport(ERROR,
            (errcode(ERRCODE_NO_DATA),
             errmsg("there are no interactions to learn from"),
             errdetail("Rows read: " INT64_FORMAT ", with a NULL id: " INT64_FORMAT ", of unknown kinds: " INT64_FORMAT
                       ", with a NULL or infinite value or time: " INT64_FORMAT ".",
                       w->counts.rows, w->counts.null_ids, w->counts.unknown_events, w->counts.bad_values),
             errhint("Check the interaction table, and whether role \"%s\" may see its rows.",
                     GetUserNameFromId(w->order.role, false))));
}

static void
read_phase(Worker *w)
{
    MemoryContext rows_context = AllocSetContextCreate(w->context, "gnnrec rows", ALLOCSET_DEFAULT_SIZES);
    GnnrecInteractions *rows = MemoryContextAllocZero(rows_context, sizeof(GnnrecInteractions) * w->model->n_relations);
    Oid         user;
    int         context;

    begin();
    GetUserIdAndSecContext(&user, &context);
    SetUserIdAndSecContext(w->order.role, context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    gnnrec_store_check(w->model);
    MemoryContextSwitchTo(w->context);
    init_ids(w);
    MemoryContextSwitchTo(rows_context);
    read_relations(w, rows);
    check_not_empty(w, &rows[0]);
    SetUserIdAndSecContext(user, context);
    commit();
    MemoryContextSwitchTo(w->context);
    build_graph(w, rows);
    MemoryContextDelete(rows_context);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Fitting
 * ------------------------------------------------------------------------------------------------------------------ */

static void
check_budget(const Worker *w)
{
    GnnPart     parts[GNN_MAX_PARTS];
    int         n_parts;
    int64       edges[GNN_MAX_RELATIONS];
    int64       need;

    for (int i = 0; i < w->graph.n_relations; i++)
        edges[i] = w->graph.relations[i].edges.ptr[w->graph.relations[i].edges.n];
    need = gnn_fit_estimate(parts, &n_parts, &w->graph, edges, &w->config, w->order.threads);
    if (need > (int64) w->order.memory * 1024)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                 errmsg("training needs about " INT64_FORMAT " MB, more than gnnrec.train_memory (%d MB)",
                        need / (1024 * 1024) + 1, w->order.memory / 1024),
                 errhint("A superuser can raise gnnrec.train_memory; a smaller dim, or since, needs less. "
                         "gnnrec.estimate shows the parts.")));
}

static void
poll(void *arg)
{
    Worker     *w = arg;

    if (seconds_since(w->last_report) < PROGRESS_SECONDS)
        return;
    INSTR_TIME_SET_CURRENT(w->last_report);
    begin();
    write_steps(w);
    commit();
}

static void
fit_phase(Worker *w)
{
    GnnrecTraining *t = &w->training;

    check_budget(w);
    t->graph = &w->graph;
    t->config = &w->config;
    t->threads = w->order.threads;
    t->nice = w->order.nice;
    t->memory = (int64) w->order.memory * 1024;
    t->isolate = w->order.isolate;
    gnnrec_isolate_init(t);
    gnnrec_isolate_run(t, poll, w);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Storing and publishing
 * ------------------------------------------------------------------------------------------------------------------ */

static Jsonb *
metrics(const Worker *w)
{
    const GnnFit *fit = w->training.fit;
    StringInfoData s;

    initStringInfo(&s);
    appendStringInfo(&s, "{\"users\": %d, \"items\": %d, \"interactions\": " INT64_FORMAT,
                     w->ids[GNNREC_USER].n, w->ids[GNNREC_ITEM].n, w->graph.relations[0].edges.ptr[w->ids[GNNREC_USER].n]);
    appendStringInfo(&s, ", \"steps\": %d, \"best_step\": %d", fit->steps, fit->best_step);
    appendStringInfo(&s, ", \"read_seconds\": %.3f, \"fit_seconds\": %.3f, \"store_seconds\": %.3f",
                     w->seconds[READING], w->seconds[FITTING], w->seconds[STORING]);
    if (!isnan(fit->recall))
        appendStringInfo(&s, ", \"recall@20\": %.5f, \"ndcg@20\": %.5f", fit->recall, fit->ndcg);
    appendStringInfoChar(&s, '}');
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(s.data)));
}

/* the row of the model is locked first, so that drop_model and rollback wait here and not in the middle */
static void
lock_model_row(const Worker *w)
{
    if (!gnnrec_model_lock(w->model->model_id))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("the model was dropped while it was being trained")));
}

static void
store_rows(const Worker *w)
{
    GnnrecTrained trained = {w->model, w->order.run_id, w->config.dim, w->ids, w->training.fit, &w->graph.relations[0].edges,
                             w->hidden};

    gnnrec_store_run(&trained);
}

/* marks this run stored and the superfluous ones not; the runs that stay */
static int
choose_kept(const Worker *w, Datum **kept)
{
    Oid         types[] = {INT4OID, INT8OID, BOOLOID};
    Datum       values[] = {Int32GetDatum(w->model->model_id), Int64GetDatum(w->order.run_id),
                            BoolGetDatum(gnn_fit_is_explainable(&w->config))};
    bool        isnull;
    int         n;
    Datum       runs;

    gnnrec_catalog_write("UPDATE gnnrec.run SET stored = true, explainable = $3 WHERE run_id = $2 AND model_id = $1",
                         3, types, values, NULL, &isnull);
    gnnrec_catalog_write("UPDATE gnnrec.run r SET stored = false WHERE model_id = $1 AND stored AND run_id NOT IN ("
                         "SELECT k.run_id FROM gnnrec.run k JOIN gnnrec.model m USING (model_id) "
                         "WHERE k.model_id = $1 AND k.stored "
                         "ORDER BY k.run_id = $2 DESC, coalesce(k.run_id = m.live_run, false) DESC, k.run_id DESC "
                         "LIMIT (SELECT keep_runs FROM gnnrec.model WHERE model_id = $1))",
                         2, types, values, NULL, &isnull);
    runs = gnnrec_catalog_write("SELECT pg_catalog.array_agg(run_id) FROM gnnrec.run WHERE model_id = $1 AND stored",
                                1, types, values, NULL, &isnull);
    deconstruct_array(DatumGetArrayTypeP(runs), INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, kept, NULL, &n);
    return n;
}

static void
delete_superfluous(const Worker *w)
{
    Datum      *kept;
    int         n = choose_kept(w, &kept);
    int64      *keep = palloc(sizeof(int64) * n);

    for (int i = 0; i < n; i++)
        keep[i] = DatumGetInt64(kept[i]);
    gnnrec_store_delete_others(w->model, keep, n);
}

static void
publish(Worker *w)
{
    Oid         types[] = {INT8OID, INT4OID, JSONBOID, FLOAT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, FLOAT8OID};
    Datum       values[] = {Int64GetDatum(w->order.run_id), Int32GetDatum(w->model->model_id), JsonbPGetDatum(metrics(w)),
                            Float8GetDatum(w->training.fit->loss), Int64GetDatum(w->counts.rows),
                            Int64GetDatum(w->counts.null_ids + w->counts.unknown_events + w->counts.bad_values),
                            Int64GetDatum(w->training.peak_memory),
                            w->warning == NULL ? (Datum) 0 : CStringGetTextDatum(w->warning),
                            Float8GetDatum(w->newest_event)};
    char        nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', w->warning == NULL ? 'n' : ' ',
                           isnan(w->newest_event) ? 'n' : ' ', '\0'};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.model SET live_run = $1 WHERE model_id = $2", 2, types, values, NULL, &isnull);
    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'succeeded', phase = NULL, metrics = $3, loss = $4, rows_read = $5, "
                         "rows_skipped = $6, peak_memory = $7, message = $8, newest_event = $9, "
                         "finished_at = pg_catalog.clock_timestamp() "
                         "WHERE run_id = $1 AND $2 IS NOT NULL",
                         lengthof(types), types, values, nulls, &isnull);
}

/* one transaction: vectors in, old runs out, live_run switched */
static void
store_phase(Worker *w)
{
    instr_time  start;

    INSTR_TIME_SET_CURRENT(start);
    begin();
    lock_model_row(w);
    write_steps(w);
    store_rows(w);
    delete_superfluous(w);
    w->seconds[STORING] = seconds_since(start);
    publish(w);
    commit();
    gnnrec_isolate_free(&w->training);
}

/* the run is live; that its file could not be made is no failure: the first query makes it */
static void
snapshot_phase(Worker *w)
{
    begin();
    report(w, "writing the snapshot");
    gnnrec_snapshot_warm(w->model, w->order.run_id);
    commit();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The run
 * ------------------------------------------------------------------------------------------------------------------ */

/* waits for the transaction that asked to end; false: the run is not to be: rolled back, or cancelled meanwhile */
static bool
take_order(Worker *w)
{
    GnnrecRun   run;
    bool        accepted;

    StartTransactionCommand();
    pgstat_report_activity(STATE_RUNNING, "gnnrec: waiting for the transaction that asked for the training");
    XactLockTableWait(w->order.launcher, NULL, NULL, XLTW_None);
    CommitTransactionCommand();
    begin();
    MemoryContextSwitchTo(w->context);
    accepted = gnnrec_run_by_id(&run, w->order.run_id, GetActiveSnapshot()) && strcmp(run.status, "starting") == 0;
    if (accepted)
    {
        w->model = gnnrec_model_by_id(run.model_id);
        gnn_config_defaults(&w->config);
        gnnrec_config_apply(&w->config, run.params);
    }
    commit();
    MemoryContextSwitchTo(w->context);
    return accepted;
}

static void
enter_phase(Worker *w, const char *name)
{
    begin();
    set_phase(w, name);
    commit();
    MemoryContextSwitchTo(w->context);
    INSTR_TIME_SET_CURRENT(w->last_report);
}

static void
timed(Worker *w, const char *name, int phase, void (*work) (Worker *w))
{
    instr_time  start;

    enter_phase(w, name);
    INSTR_TIME_SET_CURRENT(start);
    work(w);
    w->seconds[phase] = seconds_since(start);
    MemoryContextSwitchTo(w->context);
}

static void
run_training(Worker *w)
{
    timed(w, "reading", READING, read_phase);
    if (w->warning != NULL)
        ereport(WARNING, (errmsg("gnnrec: model \"%s\": %s", w->model->name, w->warning)));
    timed(w, "fitting", FITTING, fit_phase);
    timed(w, "storing", STORING, store_phase);
    snapshot_phase(w);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The process
 * ------------------------------------------------------------------------------------------------------------------ */

static char *
with_detail_and_hint(const ErrorData *error)
{
    StringInfoData s;

    initStringInfo(&s);
    appendStringInfoString(&s, error->message);
    if (error->detail != NULL)
        appendStringInfo(&s, "\nDETAIL:  %s", error->detail);
    if (error->hint != NULL)
        appendStringInfo(&s, "\nHINT:  %s", error->hint);
    return s.data;
}

/* in the current transaction; a run that is over already, or was called off, keeps what it says */
static void
write_end(const Worker *w, const char *status, const char *message)
{
    Oid         types[] = {INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID};
    Datum       values[] = {Int64GetDatum(w->order.run_id), CStringGetTextDatum(status), CStringGetTextDatum(message),
                            Int64GetDatum(w->counts.rows), Int64GetDatum(w->training.peak_memory)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = $2, message = $3, phase = NULL, rows_read = $4, "
                         "peak_memory = nullif($5, 0), finished_at = pg_catalog.clock_timestamp() "
                         "WHERE run_id = $1 AND status IN ('starting', 'running')",
                         lengthof(types), types, values, NULL, &isnull);
}

/* called in PG_CATCH: says in the log and in the run's row what went wrong */
static void
record_failure(Worker *w)
{
    ErrorData  *error;
    bool        cancelled;

    MemoryContextSwitchTo(w->context);
    error = CopyErrorData();
    EmitErrorReport();
    FlushErrorState();
    HOLD_INTERRUPTS();
    AbortOutOfAnyTransaction();
    QueryCancelPending = false;
    cancelled = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
    begin();
    write_end(w, cancelled ? "cancelled" : "failed", cancelled ? "cancelled on request" : with_detail_and_hint(error));
    commit();
    RESUME_INTERRUPTS();
}

/*
 * Before a process that was terminated exits: pg_terminate_backend, a fast shutdown, DROP DATABASE WITH (FORCE). They must not
 * arrive as an ERROR: functions of the source's views run in this process, and could catch that and go on.
 */
static void
last_word(int code, Datum worker)
{
    if (code == 0)
        return;
    AbortOutOfAnyTransaction();
    begin();
    write_end((const Worker *) DatumGetPointer(worker), "cancelled", "the worker was terminated");
    commit();
}

static void
set_option(const char *name, const char *value)
{
    SetConfigOption(name, value, PGC_USERSET, PGC_S_SESSION);
}

/* a role's own settings were applied when we connected; these must not be theirs */
static void
set_options(void)
{
    set_option("search_path", "pg_catalog, pg_temp");
    set_option("row_security", "on");
    set_option("lock_timeout", "0");    /* until the launching transaction has ended, which may take its time */
    set_option("default_transaction_isolation", "read committed");
    set_option("default_transaction_read_only", "off");
#if PG_VERSION_NUM >= 170000
    set_option("transaction_timeout", "0");
#endif
    set_option("application_name", "gnnrec");
}

static void
connect_to_database(const GnnrecJobOrder *order)
{
#if PG_VERSION_NUM >= 170000
    BackgroundWorkerInitializeConnectionByOid(order->database, order->session_user, BGWORKER_BYPASS_ROLELOGINCHECK);
#else
    BackgroundWorkerInitializeConnectionByOid(order->database, order->session_user, 0);
#endif
}

static bool
lock_training(const Worker *w)
{
    bool        locked;

    StartTransactionCommand();
    locked = gnnrec_job_begin_training(w->order.model_id);
    CommitTransactionCommand();
    return locked;
}

/*
 * The lock is taken before the launching transaction ends, so that no one takes the run for lost when it appears. The lock may
 * be held by a run of the same transaction that went back to a savepoint; its worker ends with that transaction, as we see it.
 */
static void
work(Worker *w)
{
    bool        locked = lock_training(w);

    if (!take_order(w))
        return;
    set_option("lock_timeout", LOCK_TIMEOUT);
    if (!locked && !lock_training(w))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_IN_USE),
                 errmsg("another run of model \"%s\" is going on", w->model->name)));
    run_training(w);
}

void
gnnrec_worker_main(Datum arg)
{
    Worker     *w = MemoryContextAllocZero(TopMemoryContext, sizeof(Worker));

    memcpy(&w->order, MyBgworkerEntry->bgw_extra, sizeof(w->order));
    w->context = AllocSetContextCreate(TopMemoryContext, "gnnrec training", ALLOCSET_DEFAULT_SIZES);
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    connect_to_database(&w->order);
    set_options();
    before_shmem_exit(last_word, PointerGetDatum(w));
    MemoryContextSwitchTo(w->context);
    PG_TRY();
    {
        work(w);
    }
    PG_CATCH();
    {
        record_failure(w);
    }
    PG_END_TRY();
    proc_exit(0);
}
