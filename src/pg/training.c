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
#include "utils/json.h"
#include "utils/memutils.h"

#include "model/induct.h"
#include "model/tower.h"
#include "pg/config.h"
#include "pg/estimate.h"
#include "pg/isolate.h"
#include "pg/memory.h"
#include "pg/reading.h"
#include "pg/role.h"
#include "pg/run_features.h"
#include "pg/snapshot.h"
#include "pg/store.h"

PGDLLEXPORT void gnnrec_training_main(Datum arg);

const GnnrecTask gnnrec_training = {"training", "gnnrec_training_main"};

/* everything a training knows; its phases' memory is the worker's */
typedef struct Training
{
    GnnrecWorker *w;
    GnnConfig   config;
    GnnrecReading reading;
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
read_phase(Training *t)
{
    MemoryContext old = MemoryContextSwitchTo(t->w->context);
    GnnrecRoleBefore before;

    gnnrec_worker_begin();
    gnnrec_store_check(t->w->model);
    before = gnnrec_role_become(gnnrec_model_reader(t->w->model, t->w->order.role));
    MemoryContextSwitchTo(t->w->context);
    gnnrec_reading_open(&t->reading, t->w->model, report_rows, t);
    t->reading.keeps_codes = gnn_has_tower(&t->config);
    gnnrec_reading_rows(&t->reading);
    t->w->rows_read = t->reading.n_rows;
    gnnrec_reading_check_not_empty(&t->reading);
    gnnrec_role_return(before);
    gnnrec_worker_commit(t->w);
    gnnrec_reading_build(&t->reading);
    MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Fitting
 * ------------------------------------------------------------------------------------------------------------------ */

static void
check_budget(const Training *t)
{
    GnnPart     parts[GNN_MAX_PARTS];
    int         n_parts;
    int64       edges[GNN_MAX_RELATIONS];
    int64       need;

    gnnrec_config_check(&t->config, &t->reading.graph);
    gnnrec_reading_edges(edges, &t->reading.graph);
    need = gnnrec_estimate_training(parts, &n_parts, &t->reading.graph, edges, gnnrec_reading_memory(&t->reading), &t->config,
                                    t->w->order.threads);
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
    f->graph = &t->reading.graph;
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

/* how many nodes of each type: a snapshot is not made of tables that have yet to arrive */
static void
append_nodes(StringInfo s, const GnnGraph *graph)
{
    appendStringInfoString(s, ", \"nodes\": {");
    for (int t = 0; t < graph->n_types; t++)
    {
        appendStringInfoString(s, t == 0 ? "" : ", ");
        escape_json(s, graph->types[t].name);
        appendStringInfo(s, ": %d", graph->types[t].n);
    }
    appendStringInfoChar(s, '}');
}

/* and how many edges each relation of the graph has */
static void
append_edges(StringInfo s, const GnnGraph *graph)
{
    int64       n_edges[GNN_MAX_RELATIONS];

    gnnrec_reading_edges(n_edges, graph);
    appendStringInfoString(s, ", \"edges\": {");
    for (int r = 0; r < graph->n_relations; r++)
    {
        appendStringInfoString(s, r == 0 ? "" : ", ");
        escape_json(s, graph->relations[r].name);
        appendStringInfo(s, ": " INT64_FORMAT, n_edges[r]);
    }
    appendStringInfoChar(s, '}');
}

static Jsonb *
metrics(const Training *t)
{
    const GnnFit *fit = t->fitting.fit;
    StringInfoData s;

    initStringInfo(&s);
    appendStringInfo(&s, "{\"users\": %d, \"items\": %d, \"interactions\": " INT64_FORMAT,
                     t->reading.ids[GNNREC_USER].n, t->reading.ids[GNNREC_ITEM].n, t->reading.seen.ptr[t->reading.seen.n]);
    append_nodes(&s, &t->reading.graph);
    append_edges(&s, &t->reading.graph);
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
    GnnrecTrained trained = {t->w->model, t->w->order.run_id, t->config.dim, t->reading.ids, t->fitting.fit,
                             &t->reading.seen, t->reading.hidden, (int) gnn_fold_in_width(&t->config)};

    gnnrec_store_run(&trained);
}

/* what users that come later get a vector from, where the model has a tower for them */
static void
store_features(const Training *t)
{
    if (gnn_keeps_tower(&t->config, &t->reading.graph))
        gnnrec_run_features_store(t->w->order.run_id, t->reading.codes, t->reading.n_codes,
                                  &t->reading.graph.features[GNNREC_USER], t->fitting.fit->features, t->config.dim);
}

/* marks this run stored, with its weights where serving runs the model's layers */
static void
mark_stored(const Training *t)
{
    int64       n_weights = gnn_keeps_weights(&t->config, &t->reading.graph) ? gnn_n_weights(&t->config) : 0;
    Oid         types[] = {INT4OID, INT8OID, BOOLOID, FLOAT4ARRAYOID};
    Datum       values[] = {Int32GetDatum(t->w->model->model_id), Int64GetDatum(t->w->order.run_id),
                            BoolGetDatum(gnn_fit_is_explainable(&t->config)),
                            n_weights == 0 ? (Datum) 0 : gnnrec_store_array(FLOAT4OID, t->fitting.fit->weights, n_weights)};
    char        nulls[] = {' ', ' ', ' ', n_weights == 0 ? 'n' : ' ', '\0'};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET stored = true, explainable = $3, weights = $4 "
                         "WHERE run_id = $2 AND model_id = $1",
                         lengthof(types), types, values, nulls, &isnull);
}

/* of runs that are not stored */
static void
delete_features(const Training *t)
{
    static const char *const tables[] = {"run_feature_column", "run_feature"};
    Oid         types[] = {INT4OID};
    Datum       values[] = {Int32GetDatum(t->w->model->model_id)};
    bool        isnull;

    for (int i = 0; i < lengthof(tables); i++)
        gnnrec_catalog_write(psprintf("DELETE FROM gnnrec.%s WHERE run_id IN "
                                      "(SELECT run_id FROM gnnrec.run WHERE model_id = $1 AND NOT stored)", tables[i]),
                             1, types, values, NULL, &isnull);
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

    gnnrec_catalog_write("UPDATE gnnrec.run r SET stored = false, weights = NULL "
                         "WHERE model_id = $1 AND stored AND run_id NOT IN ("
                         "SELECT k.run_id FROM gnnrec.run k JOIN gnnrec.model m USING (model_id) "
                         "WHERE k.model_id = $1 AND k.stored "
                         "ORDER BY k.run_id = $2 DESC, coalesce(k.run_id = m.live_run, false) DESC, k.run_id DESC "
                         "LIMIT (SELECT keep_runs FROM gnnrec.model WHERE model_id = $1))",
                         2, types, values, NULL, &isnull);
    delete_features(t);
    kept = gnnrec_stored_runs(t->w->model->model_id, &n);
    gnnrec_store_delete_others(t->w->model, kept, n);
}

static void
publish(Training *t)
{
    Oid         types[] = {INT8OID, INT4OID, JSONBOID, FLOAT8OID, INT8OID, INT8OID, INT8OID, TEXTOID, FLOAT8OID};
    Datum       values[] = {Int64GetDatum(t->w->order.run_id), Int32GetDatum(t->w->model->model_id),
                            JsonbPGetDatum(metrics(t)),
                            Float8GetDatum(t->fitting.fit->loss), Int64GetDatum(t->reading.n_rows),
                            Int64GetDatum(t->reading.n_skipped),
                            Int64GetDatum(t->w->peak_memory),
                            t->reading.warning == NULL ? (Datum) 0 : CStringGetTextDatum(t->reading.warning),
                            Float8GetDatum(t->reading.newest_event)};
    char        nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', t->reading.warning == NULL ? 'n' : ' ',
                           isnan(t->reading.newest_event) ? 'n' : ' ', '\0'};
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
    store_features(t);
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
    if (t->reading.warning != NULL)
        ereport(WARNING, (errmsg("gnnrec: model \"%s\": %s", w->model->name, t->reading.warning)));
    timed(t, "fitting", FITTING, fit_phase);
    timed(t, "storing", STORING, store_phase);
    snapshot_phase(t);
}

void
gnnrec_training_main(Datum arg)
{
    gnnrec_worker_run(arg, train);
}
