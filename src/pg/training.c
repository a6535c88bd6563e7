/*
 * training.c: one run of one model, from its rows to its publication.
 *
 * read -> fit -> store -> snapshot. Rows are read in one transaction, which is committed before the numbers start: an hour's
 * training holds no snapshot and no lock but the advisory one that says so. Vectors are stored, old runs deleted and live_run is
 * switched in one more. Progress goes to gnnrec.run in small transactions of its own, about once a second. Whatever goes wrong,
 * nothing of the run is left but its row.
 *
 * Rows are read as the role that asked (for a superuser as the model's owner, see gnnrec_model_reader); the model's tables are
 * written as their owner, the catalogue as the extension's.
 */
#include "postgres.h"

#include "pg/worker.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/pmsignal.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "model/induct.h"
#include "pg/config.h"
#include "pg/idmap.h"
#include "pg/isolate.h"
#include "pg/memory.h"
#include "pg/role.h"
#include "pg/snapshot.h"
#include "pg/source.h"
#include "pg/store.h"

PGDLLEXPORT void gnnrec_training_main(Datum arg);

const GnnrecTask gnnrec_training = {"training", "gnnrec_training_main"};

/* everything a training knows; its phases' memory is the worker's */
typedef struct Training
{
    GnnrecWorker *w;
    GnnConfig   config;
    GnnrecIdMap ids[GNN_MAX_TYPES];
    GnnrecReadCounts counts;
    double      newest_event;   /* of relation 0; NaN: it has no time column */
    char       *warning;        /* what the run's row says though it succeeded */
    GnnGraph    graph;
    GnnCsr     *hidden;         /* the edges of relation 0 that hide an item; NULL: all do */
    GnnrecFitting fitting;
    double      seconds[3];     /* of reading, fitting, storing */
} Training;

enum {READING, FITTING, STORING};

/* ---------------------------------------------------------------------------------------------------------------------
 * Steps
 * ------------------------------------------------------------------------------------------------------------------ */

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
write_steps(Training *t)
{
    const GnnStep *steps;
    int         n = gnnrec_isolate_new_steps(&t->fitting, &steps);
    Oid         types[] = {INT8OID, INT4OID, FLOAT8OID, FLOAT8ARRAYOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
    Datum       values[lengthof(types)];
    bool        isnull;

    if (n == 0)
        return;
    values[0] = Int64GetDatum(t->w->order.run_id);
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
    gnnrec_worker_report(t->w, psprintf("fitting, step %d of %d, loss %.4f", steps[n - 1].step, t->config.steps,
                                        steps[n - 1].loss));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Reading
 * ------------------------------------------------------------------------------------------------------------------ */

/* a query looks for signals and not for the postmaster, without which no server can start again while it reads */
static void
check_postmaster(void)
{
    if (!PostmasterIsAlive())
        proc_exit(1);
}

static void
report_rows(void *arg, int64 rows)
{
    Training   *t = arg;

    check_postmaster();
    /* it is this process that reads, and no child: the out-of-memory killer would take the server's sessions along */
    gnnrec_check_reading_memory(t->w->context, t->w->order.memory);
    if (gnnrec_worker_report_is_due(t->w))
        gnnrec_worker_report(t->w, psprintf("reading, " INT64_FORMAT " rows", rows));
}

static void
renumber(int32 *nodes, int64 n, const int32 *numbers)
{
    for (int64 i = 0; i < n; i++)
        nodes[i] = numbers[nodes[i]];
}

static void
init_ids(Training *t)
{
    for (int type = 0; type < t->w->model->n_types; type++)
    {
        GnnrecKeyType key;

        gnnrec_key_type(&key, t->w->model->types[type].id_type);
        gnnrec_idmap_init(&t->ids[type], &key);
    }
}

/* for the run's row; wait() says it after "run 1 of model ..." */
static void
warn(Training *t, char *text)
{
    t->warning = MemoryContextStrdup(t->w->context, t->warning == NULL ? text : psprintf("%s, and %s", t->warning, text));
}

static void
note_counts(Training *t, const GnnrecInteractions *rows)
{
    const GnnrecReadCounts *c = &rows->counts;

    t->counts.rows += c->rows;
    t->counts.null_ids += c->null_ids;
    t->counts.unknown_events += c->unknown_events;
    t->counts.bad_values += c->bad_values;
    t->w->rows_read = t->counts.rows;
    if (rows->unknown_events != NULL)
        warn(t, psprintf("skipped " INT64_FORMAT " interactions of kinds that event_weights does not name: %s",
                         c->unknown_events, rows->unknown_events));
    if (c->future > 0)
        warn(t, psprintf("took " INT64_FORMAT " interactions with a time in the future for new ones", c->future));
}

/* rows of all relations; ids are renumbered when all of them have been seen */
static void
read_relations(Training *t, GnnrecInteractions *rows)
{
    for (int i = 0; i < t->w->model->n_relations; i++)
    {
        const GnnrecRelation *r = &t->w->model->relations[i];

        gnnrec_source_read(&rows[i], r, &t->ids[r->from_type], &t->ids[r->to_type], report_rows, t);
        note_counts(t, &rows[i]);
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
build_hidden(const Training *t, GnnrecInteractions *rows, const GnnrecRelation *r)
{
    GnnArena    arena = gnnrec_arena(t->w->context);
    GnnEdges    edges = {0, rows->from, rows->to, NULL, NULL};
    GnnCsr     *hidden = MemoryContextAlloc(t->w->context, sizeof(GnnCsr));

    for (int64 i = 0; i < rows->n; i++)
        if (rows->hides[i])
        {
            rows->from[edges.n] = rows->from[i];
            rows->to[edges.n++] = rows->to[i];
        }
    gnn_csr_build(hidden, &arena, &edges, t->ids[r->from_type].n, t->ids[r->to_type].n);
    return hidden;
}

/* for what the default budget has room for no step takes more than a second or two: to listen in between is often enough */
static void
build_graph(Training *t, GnnrecInteractions *rows)
{
    GnnArena    arena = gnnrec_arena(t->w->context);
    int32      *numbers[GNN_MAX_TYPES];

    for (int type = 0; type < t->w->model->n_types; type++)
    {
        CHECK_FOR_INTERRUPTS();
        numbers[type] = gnnrec_idmap_sort(&t->ids[type]);
        gnn_graph_add_nodes(&t->graph, t->w->model->types[type].name, t->ids[type].n);
    }
    for (int i = 0; i < t->w->model->n_relations; i++)
    {
        const GnnrecRelation *r = &t->w->model->relations[i];
        GnnEdges    edges = {rows[i].n, rows[i].from, rows[i].to, rows[i].weight, rows[i].time};
        GnnCsr      csr;

        renumber(rows[i].from, rows[i].n, numbers[r->from_type]);
        renumber(rows[i].to, rows[i].n, numbers[r->to_type]);
        CHECK_FOR_INTERRUPTS();
        gnn_csr_build(&csr, &arena, &edges, t->ids[r->from_type].n, t->ids[r->to_type].n);
        gnn_graph_add_relation(&t->graph, r->name, r->from_type, r->to_type, &csr);
    }
    t->newest_event = newest_time(&rows[0]);
    CHECK_FOR_INTERRUPTS();
    if (rows[0].hides != NULL)
        t->hidden = build_hidden(t, &rows[0], &t->w->model->relations[0]);
}

/* in the reading transaction: the role's name is looked up */
static void
check_not_empty(const Training *t, const GnnrecInteractions *learned)
{
    if (learned->n > 0)
        return;
    ereport(ERROR,
            (errcode(ERRCODE_NO_DATA),
             errmsg("there are no interactions to learn from"),
             errdetail("Rows read: " INT64_FORMAT ", with a NULL id: " INT64_FORMAT ", of unknown kinds: " INT64_FORMAT
                       ", with a NULL or infinite value or time: " INT64_FORMAT ".",
                       t->counts.rows, t->counts.null_ids, t->counts.unknown_events, t->counts.bad_values),
             errhint("Check the interaction table, and whether role \"%s\" may see its rows.",
                     GetUserNameFromId(GetUserId(), false))));
}

static void
read_phase(Training *t)
{
    MemoryContext rows_context = AllocSetContextCreate(t->w->context, "gnnrec rows", ALLOCSET_DEFAULT_SIZES);
    GnnrecInteractions *rows = MemoryContextAllocZero(rows_context, sizeof(GnnrecInteractions) * t->w->model->n_relations);
    GnnrecRoleBefore before;

    gnnrec_worker_begin();
    gnnrec_store_check(t->w->model);
    before = gnnrec_role_become(gnnrec_model_reader(t->w->model, t->w->order.role));
    MemoryContextSwitchTo(t->w->context);
    init_ids(t);
    MemoryContextSwitchTo(rows_context);
    read_relations(t, rows);
    check_not_empty(t, &rows[0]);
    gnnrec_role_return(before);
    gnnrec_worker_commit(t->w);
    build_graph(t, rows);
    MemoryContextDelete(rows_context);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Fitting
 * ------------------------------------------------------------------------------------------------------------------ */

static void
check_budget(const Training *t)
{
    GnnPart     parts[GNN_MAX_PARTS];
    int         n_parts;
    int64       edges[GNN_MAX_RELATIONS] = {0};
    int64       need;

    for (int i = 0; i < t->graph.n_relations; i++)
        edges[i] = t->graph.relations[i].edges.ptr[t->graph.relations[i].edges.n];
    need = gnn_fit_estimate(parts, &n_parts, &t->graph, edges, &t->config, t->w->order.threads);
    if (need > (int64) t->w->order.memory * 1024)
        ereport(ERROR,
                (errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
                 errmsg("training needs about " INT64_FORMAT " MB, more than gnnrec.train_memory (%d MB)",
                        need / (1024 * 1024) + 1, t->w->order.memory / 1024),
                 errhint("A superuser can raise gnnrec.train_memory; a smaller dim, or since, needs less. "
                         "gnnrec.estimate shows the parts.")));
}

static void
poll(void *arg)
{
    Training   *t = arg;

    if (!gnnrec_worker_report_is_due(t->w))
        return;
    gnnrec_worker_begin();
    write_steps(t);
    gnnrec_worker_commit(t->w);
}

static void
fit_phase(Training *t)
{
    GnnrecFitting *f = &t->fitting;

    check_budget(t);
    f->graph = &t->graph;
    f->config = &t->config;
    f->threads = t->w->order.threads;
    f->nice = t->w->order.nice;
    f->memory = (int64) t->w->order.memory * 1024;
    f->isolate = t->w->order.isolate;
    f->peak_memory = &t->w->peak_memory;
    gnnrec_isolate_init(f);
    gnnrec_isolate_run(f, poll, t);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Storing and publishing
 * ------------------------------------------------------------------------------------------------------------------ */

static Jsonb *
metrics(const Training *t)
{
    const GnnFit *fit = t->fitting.fit;
    StringInfoData s;

    initStringInfo(&s);
    appendStringInfo(&s, "{\"users\": %d, \"items\": %d, \"interactions\": " INT64_FORMAT,
                     t->ids[GNNREC_USER].n, t->ids[GNNREC_ITEM].n, t->graph.relations[0].edges.ptr[t->ids[GNNREC_USER].n]);
    appendStringInfo(&s, ", \"steps\": %d, \"best_step\": %d", fit->steps, fit->best_step);
    appendStringInfo(&s, ", \"read_seconds\": %.3f, \"fit_seconds\": %.3f, \"store_seconds\": %.3f",
                     t->seconds[READING], t->seconds[FITTING], t->seconds[STORING]);
    if (!isnan(fit->recall))
        appendStringInfo(&s, ", \"recall@20\": %.5f, \"ndcg@20\": %.5f", fit->recall, fit->ndcg);
    appendStringInfoChar(&s, '}');
    return gnnrec_jsonb(s.data);
}

static void
store_rows(const Training *t)
{
    GnnrecTrained trained = {t->w->model, t->w->order.run_id, t->config.dim, t->ids, t->fitting.fit,
                             &t->graph.relations[0].edges, t->hidden, (int) gnn_fold_in_width(&t->config)};

    gnnrec_store_run(&trained);
}

/* marks this run stored, with its weights where serving runs the model's layers */
static void
mark_stored(const Training *t)
{
    int64       n_weights = gnn_n_weights(&t->config);
    Oid         types[] = {INT4OID, INT8OID, BOOLOID, FLOAT4ARRAYOID};
    Datum       values[] = {Int32GetDatum(t->w->model->model_id), Int64GetDatum(t->w->order.run_id),
                            BoolGetDatum(gnn_fit_is_explainable(&t->config)),
                            n_weights == 0 ? (Datum) 0 : gnnrec_store_array(FLOAT4OID, t->fitting.fit->weights, n_weights)};
    char        nulls[] = {' ', ' ', ' ', n_weights == 0 ? 'n' : ' ', '\0'};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET stored = true, explainable = $3, weights = $4 WHERE run_id = $2 AND model_id = $1",
                         lengthof(types), types, values, nulls, &isnull);
}

/* marks superfluous runs not stored, and deletes their rows */
static void
delete_superfluous(const Training *t)
{
    Oid         types[] = {INT4OID, INT8OID};
    Datum       values[] = {Int32GetDatum(t->w->model->model_id), Int64GetDatum(t->w->order.run_id)};
    bool        isnull;
    int         n;
    int64      *kept;

    gnnrec_catalog_write("UPDATE gnnrec.run r SET stored = false, weights = NULL WHERE model_id = $1 AND stored AND run_id NOT IN ("
                         "SELECT k.run_id FROM gnnrec.run k JOIN gnnrec.model m USING (model_id) "
                         "WHERE k.model_id = $1 AND k.stored "
                         "ORDER BY k.run_id = $2 DESC, coalesce(k.run_id = m.live_run, false) DESC, k.run_id DESC "
                         "LIMIT (SELECT keep_runs FROM gnnrec.model WHERE model_id = $1))",
                         2, types, values, NULL, &isnull);
    kept = gnnrec_stored_runs(t->w->model->model_id, &n);
    gnnrec_store_delete_others(t->w->model, kept, n);
}

static void
publish(Training *t)
{
    Oid         types[] = {INT8OID, INT4OID, JSONBOID, FLOAT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, FLOAT8OID};
    Datum       values[] = {Int64GetDatum(t->w->order.run_id), Int32GetDatum(t->w->model->model_id),
                            JsonbPGetDatum(metrics(t)),
                            Float8GetDatum(t->fitting.fit->loss), Int64GetDatum(t->counts.rows),
                            Int64GetDatum(t->counts.null_ids + t->counts.unknown_events + t->counts.bad_values),
                            Int64GetDatum(t->w->peak_memory),
                            t->warning == NULL ? (Datum) 0 : CStringGetTextDatum(t->warning),
                            Float8GetDatum(t->newest_event)};
    char        nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', t->warning == NULL ? 'n' : ' ',
                           isnan(t->newest_event) ? 'n' : ' ', '\0'};
    bool        isnull;

    /* the snapshot's file must not outlive the run: a crash might lose an asynchronous commit, and give its number away again */
    ForceSyncCommit();
    gnnrec_catalog_write("UPDATE gnnrec.model SET live_run = $1 WHERE model_id = $2", 2, types, values, NULL, &isnull);
    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'succeeded', phase = NULL, metrics = $3, loss = $4, rows_read = $5, "
                         "rows_skipped = $6, peak_memory = $7, message = $8, newest_event = $9, "
                         "finished_at = pg_catalog.clock_timestamp() "
                         "WHERE run_id = $1 AND $2 IS NOT NULL",
                         lengthof(types), types, values, nulls, &isnull);
}

/* one transaction: vectors in, old runs out, live_run switched */
static void
store_phase(Training *t)
{
    instr_time  start;

    INSTR_TIME_SET_CURRENT(start);
    gnnrec_worker_begin();
    gnnrec_worker_lock_model(t->w);
    write_steps(t);
    store_rows(t);
    mark_stored(t);
    delete_superfluous(t);
    t->seconds[STORING] = gnnrec_seconds_since(start);
    publish(t);
    gnnrec_worker_commit(t->w);
    gnnrec_isolate_free(&t->fitting);
}

/* the run is live; that its file could not be made is no failure: the first query makes it */
static void
snapshot_phase(Training *t)
{
    gnnrec_worker_begin();
    gnnrec_worker_report(t->w, "writing the snapshot");
    gnnrec_snapshot_warm(t->w->model, t->w->order.run_id);
    gnnrec_worker_commit(t->w);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The run
 * ------------------------------------------------------------------------------------------------------------------ */

static void
timed(Training *t, const char *name, int phase, void (*work) (Training *t))
{
    instr_time  start;

    gnnrec_worker_enter(t->w, name);
    INSTR_TIME_SET_CURRENT(start);
    work(t);
    t->seconds[phase] = gnnrec_seconds_since(start);
}

static void
train(GnnrecWorker *w)
{
    Training   *t = palloc0(sizeof(Training));

    t->w = w;
    gnn_config_defaults(&t->config);
    gnnrec_config_apply(&t->config, w->params);
    w->steps = t->config.steps;
    timed(t, "reading", READING, read_phase);
    if (t->warning != NULL)
        ereport(WARNING, (errmsg("gnnrec: model \"%s\": %s", w->model->name, t->warning)));
    timed(t, "fitting", FITTING, fit_phase);
    timed(t, "storing", STORING, store_phase);
    snapshot_phase(t);
}

void
gnnrec_training_main(Datum arg)
{
    gnnrec_worker_run(arg, train);
}
