/*
 * train.c: train, wait, retrain, cancel, rollback, estimate: the SQL side of a job.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "model/tower.h"
#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/config.h"
#include "pg/estimate.h"
#include "pg/guc.h"
#include "pg/job.h"
#include "pg/nap.h"
#include "pg/reading.h"
#include "pg/role.h"

PG_FUNCTION_INFO_V1(gnnrec_train);
PG_FUNCTION_INFO_V1(gnnrec_wait);
PG_FUNCTION_INFO_V1(gnnrec_retrain);
PG_FUNCTION_INFO_V1(gnnrec_cancel_model);
PG_FUNCTION_INFO_V1(gnnrec_cancel_run);
PG_FUNCTION_INFO_V1(gnnrec_rollback);
PG_FUNCTION_INFO_V1(gnnrec_estimate);

/* between looks at a run, milliseconds: a short one is not kept waiting for long, a long one not looked at often */
#define FIRST_NAP 4
#define LONGEST_NAP 64

static GnnrecModel *
own_model(text *name)
{
    GnnrecModel *m = gnnrec_model_by_name(text_to_cstring(name), false);

    gnnrec_model_check_owner(m);
    return m;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * train
 * ------------------------------------------------------------------------------------------------------------------ */

/* defaults, then the model's own parameters, then this call's */
static Jsonb *
run_params(const GnnrecModel *m, const Jsonb *params)
{
    GnnConfig   config;

    gnn_config_defaults(&config);
    gnnrec_config_apply(&config, m->params);
    gnnrec_config_apply(&config, params);
    gnnrec_config_check(&config, NULL);
    return gnnrec_config_to_jsonb(&config);
}

static bool
skip_if_running(text *if_running)
{
    char       *choice = text_to_cstring(if_running);

    if (strcmp(choice, "skip") != 0 && strcmp(choice, "error") != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("if_running must be 'skip' or 'error'")));
    return strcmp(choice, "skip") == 0;
}

static void
check_can_train(void)
{
    if (RecoveryInProgress())
        ereport(ERROR,
                (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
                 errmsg("a model cannot be trained on a standby"),
                 errhint("Train on the primary: the run arrives here by replication and is served here too.")));
    PreventCommandIfReadOnly("gnnrec.train()");
}

/* params: all of the run's */
static int64
request(const GnnrecModel *m, Jsonb *params, bool skip)
{
    GnnrecJobOrder order = {0};

    return gnnrec_job_request(&order, &gnnrec_training, m, params, skip);
}

/* train(model, params, if_running) -> run id; the worker starts when the transaction commits */
Datum
gnnrec_train(PG_FUNCTION_ARGS)
{
    GnnrecModel *m;
    bool        skip;

    check_can_train();
    m = own_model(PG_GETARG_TEXT_PP(0));
    skip = skip_if_running(PG_GETARG_TEXT_PP(2));
    PG_RETURN_INT64(request(m, run_params(m, PG_GETARG_JSONB_P(1)), skip));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * wait
 * ------------------------------------------------------------------------------------------------------------------ */

static bool
is_training(const GnnrecRun *run)
{
    return strcmp(run->task, gnnrec_training.name) == 0;
}

/* what a run that is over has to say: nothing, a WARNING of what it left out, or an ERROR */
static void
check_outcome(const char *model, const GnnrecRun *run, const char *state)
{
    bool        cancelled = strcmp(state, "cancelled") == 0;
    bool        succeeded = strcmp(state, "succeeded") == 0;

    if (succeeded && run->message != NULL)
        ereport(WARNING, (errmsg("run " INT64_FORMAT " of model \"%s\" %s", run->run_id, model, run->message)));
    if (!gnnrec_job_is_over(state) || succeeded)
        return;
    ereport(ERROR,
            (errcode(cancelled ? ERRCODE_QUERY_CANCELED : ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
             errmsg("%s of model \"%s\" %s%s: run " INT64_FORMAT, run->task, model,
                    cancelled ? "was " : strcmp(state, "lost") == 0 ? "was " : "", state, run->run_id),
             run->message != NULL ? errdetail("%s", run->message) : 0,
             is_training(run) ? errhint("The run's row in gnnrec.runs tells more.")
             : errhint("Nothing was written. Ask again with gnnrec.materialize; the run's row in gnnrec.runs tells more.")));
}

/* asked for by this very transaction, so it starts when that commits */
static bool
is_ours(const GnnrecRun *run)
{
    return TransactionIdIsCurrentTransactionId(run->xmin) && strcmp(run->status, "starting") == 0;
}

/* what a look finds lies here until the next one: who waits for hours looks often */
static MemoryContext
looks(void)
{
    return AllocSetContextCreate(CurrentMemoryContext, "gnnrec wait", ALLOCSET_SMALL_SIZES);
}

/* the row of a run by a snapshot of this moment, and its state */
static const char *
read_run(GnnrecRun *run, int64 run_id)
{
    if (!gnnrec_run_by_id(run, run_id, GetLatestSnapshot()))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("run " INT64_FORMAT " does not exist any more", run_id)));
    return gnnrec_job_state(run->model_id, run->status, run->requested_at);
}

/* the state of a run as of now; a worker that ends right after its row was read is not lost: its last word is there by then */
static const char *
look(GnnrecRun *run, int64 run_id, MemoryContext context)
{
    MemoryContext old = MemoryContextSwitchTo(context);
    const char *state;

    MemoryContextReset(context);
    state = read_run(run, run_id);
    if (strcmp(state, "lost") == 0)
        state = read_run(run, run_id);
    MemoryContextSwitchTo(old);
    return state;
}

static TimestampTz
deadline(const Interval *timeout)
{
    Datum       now = TimestampTzGetDatum(GetCurrentTimestamp());

    return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, now, PointerGetDatum(timeout)));
}

/* wait(model, timeout) -> the state of its newest run: 'succeeded', or what it is when time is up */
Datum
gnnrec_wait(PG_FUNCTION_ARGS)
{
    GnnrecModel *m;
    GnnrecRun   run;
    bool        limited = !PG_ARGISNULL(1);
    TimestampTz end = limited ? deadline(PG_GETARG_INTERVAL_P(1)) : 0;
    MemoryContext context = looks();
    const char *state;

    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    m = own_model(PG_GETARG_TEXT_PP(0));
    if (!gnnrec_run_newest(&run, m->model_id, GetLatestSnapshot()))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("model \"%s\" has no run to wait for", m->name),
                 errhint("Run gnnrec.train(%s) first.", quote_literal_cstr(m->name))));
    if (is_ours(&run))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("run " INT64_FORMAT " starts when this transaction commits", run.run_id),
                 is_training(&run)
                 ? errhint("Call gnnrec.wait in a transaction of its own, or CALL gnnrec.retrain, which commits in between.")
                 : errhint("Call gnnrec.wait in a transaction of its own.")));
    for (long nap = FIRST_NAP;; nap = Min(nap * 2, LONGEST_NAP))
    {
        state = look(&run, run.run_id, context);
        if (gnnrec_job_is_over(state) || (limited && GetCurrentTimestamp() >= end))
            break;
        gnnrec_nap(nap);
    }
    check_outcome(m->name, &run, state);
    PG_RETURN_TEXT_P(cstring_to_text(state));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * retrain
 * ------------------------------------------------------------------------------------------------------------------ */

static bool
may_commit(FunctionCallInfo fcinfo)
{
    return fcinfo->context != NULL && IsA(fcinfo->context, CallContext) && !castNode(CallContext, fcinfo->context)->atomic;
}

/* until a run is over, whose row and state it returns; between looks no transaction holds the horizon of vacuum back */
static const char *
wait_between_transactions(GnnrecRun *run, int64 run_id)
{
    MemoryContext context = looks();

    for (long nap = FIRST_NAP;; nap = Min(nap * 2, LONGEST_NAP))
    {
        const char *state;

        PushActiveSnapshot(GetTransactionSnapshot());
        state = look(run, run_id, context);
        PopActiveSnapshot();
        if (gnnrec_job_is_over(state))
            return state;
        SPI_commit();
        gnnrec_nap(nap);
    }
}

/* a training, in a transaction of its own: a new one or that which is going on; 0: *other is going on, which has to end first */
static int64
request_unless_busy(GnnrecRun *other, text *name, const Jsonb *params)
{
    GnnrecModel *m;
    Jsonb      *all;
    int64       run_id = 0;

    PushActiveSnapshot(GetTransactionSnapshot());
    m = own_model(name);
    all = run_params(m, params);    /* what is wrong with them is said before a wait */
    if (!gnnrec_job_of_other_task(other, &gnnrec_training, m))
        run_id = request(m, all, true);
    else
        ereport(NOTICE, (errmsg("model \"%s\" has a %s going on: waiting for run " INT64_FORMAT " to end",
                                m->name, other->task, other->run_id)));
    PopActiveSnapshot();
    SPI_commit();
    return run_id;
}

/* CALL retrain(model, params): train, as soon as nothing else is done for the model, commit, wait; ERROR when the run fails */
Datum
gnnrec_retrain(PG_FUNCTION_ARGS)
{
    GnnrecRun   run;
    const char *state;
    text       *name;
    Jsonb      *params;
    int64       run_id;

    check_can_train();
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1))     /* a procedure cannot be strict */
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("%s must not be NULL", PG_ARGISNULL(0) ? "model" : "params")));
    if (!may_commit(fcinfo))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_TRANSACTION_STATE),
                 errmsg("gnnrec.retrain cannot run inside a transaction block: it commits"),
                 errhint("Inside a transaction call gnnrec.train, and gnnrec.wait after COMMIT.")));
    name = PG_GETARG_TEXT_PP(0);
    params = PG_GETARG_JSONB_P(1);
    SPI_connect_ext(SPI_OPT_NONATOMIC);
    while ((run_id = request_unless_busy(&run, name, params)) == 0)
        (void) wait_between_transactions(&run, run.run_id);
    state = wait_between_transactions(&run, run_id);
    check_outcome(text_to_cstring(name), &run, state);
    SPI_finish();
    PG_RETURN_VOID();
}

/* ---------------------------------------------------------------------------------------------------------------------
 * cancel
 * ------------------------------------------------------------------------------------------------------------------ */

/* cancel(model) -> whether there was a run to stop */
Datum
gnnrec_cancel_model(PG_FUNCTION_ARGS)
{
    GnnrecModel *m = own_model(PG_GETARG_TEXT_PP(0));
    GnnrecRun   run;

    PreventCommandDuringRecovery("gnnrec.cancel()");
    PG_RETURN_BOOL(gnnrec_run_newest(&run, m->model_id, GetLatestSnapshot()) && gnnrec_job_cancel(&run));
}

/* another's runs are as good as none: their numbers are nobody else's business */
static bool
find_own_run(GnnrecRun *run, int64 run_id)
{
    return gnnrec_run_by_id(run, run_id, GetLatestSnapshot())
        && gnnrec_model_is_owned(gnnrec_model_by_id(run->model_id));
}

/* cancel(run) */
Datum
gnnrec_cancel_run(PG_FUNCTION_ARGS)
{
    GnnrecRun   run;

    PreventCommandDuringRecovery("gnnrec.cancel()");
    if (!find_own_run(&run, PG_GETARG_INT64(0)))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("run " INT64_FORMAT " does not exist", PG_GETARG_INT64(0)),
                 errhint("gnnrec.runs lists the runs of your models.")));
    PG_RETURN_BOOL(gnnrec_job_cancel(&run));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * rollback
 * ------------------------------------------------------------------------------------------------------------------ */

/* rollback(model, run) -> the run that is live now: the one named, or the newest kept one before the live one */
Datum
gnnrec_rollback(PG_FUNCTION_ARGS)
{
    GnnrecModel *m;
    Oid         types[] = {INT4OID, INT8OID};
    Datum       values[2];
    bool        isnull;
    Datum       run;

    if (PG_ARGISNULL(0))
        PG_RETURN_NULL();
    PreventCommandDuringRecovery("gnnrec.rollback()");
    m = own_model(PG_GETARG_TEXT_PP(0));
    gnnrec_job_lock_model(m);
    gnnrec_model_lock(m->model_id);     /* a worker that publishes deletes old runs: to be seen by the next statement */
    values[0] = Int32GetDatum(m->model_id);
    values[1] = PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1);
    run = gnnrec_catalog_write("UPDATE gnnrec.model m SET live_run = r.run_id FROM gnnrec.run r "
                               "WHERE m.model_id = $1 AND r.run_id = (SELECT pg_catalog.max(k.run_id) FROM gnnrec.run k "
                               "WHERE k.model_id = $1 AND k.stored "
                               "AND CASE WHEN $2 IS NULL THEN k.run_id < m.live_run ELSE k.run_id = $2 END) "
                               "RETURNING m.live_run",
                               2, types, values, PG_ARGISNULL(1) ? " n" : "  ", &isnull);
    if (isnull)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 PG_ARGISNULL(1) ? errmsg("model \"%s\" has no earlier run to go back to", m->name)
                 : errmsg("model \"%s\" does not keep run " INT64_FORMAT, m->name, PG_GETARG_INT64(1)),
                 errhint("The kept runs are those of gnnrec.runs with stored; keep_runs (now %d) says how many.", m->keep_runs)));
    PG_RETURN_DATUM(run);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * estimate
 * ------------------------------------------------------------------------------------------------------------------ */

static void
put_part(ReturnSetInfo *result, const char *part, int64 bytes)
{
    Datum       values[2] = {CStringGetTextDatum(part), Int64GetDatum(bytes)};
    bool        nulls[2] = {false, false};

    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

/* estimate(model, params) -> the parts of the memory a training would take, in bytes, and their total; counts the interactions */
Datum
gnnrec_estimate(PG_FUNCTION_ARGS)
{
    GnnrecModel *m = own_model(PG_GETARG_TEXT_PP(0));
    GnnrecRoleBefore before;
    GnnConfig   config;
    GnnPart     parts[GNN_MAX_PARTS];
    int         n_parts;
    GnnGraph    graph;
    int64       n_edges[GNN_MAX_RELATIONS];
    GnnrecReadingMemory reading;
    int64       total;

    gnn_config_defaults(&config);
    gnnrec_config_apply(&config, m->params);
    gnnrec_config_apply(&config, PG_GETARG_JSONB_P(1));
    before = gnnrec_role_become(gnnrec_model_reader(m, GetUserId()));
    gnnrec_reading_count(&graph, n_edges, &reading, m, gnn_has_tower(&config));
    gnnrec_role_return(before);
    gnnrec_config_check(&config, &graph);
    total = gnnrec_estimate_training(parts, &n_parts, &graph, n_edges, reading, &config, gnnrec_threads);
    gnnrec_materialize(fcinfo);
    for (int i = 0; i < n_parts; i++)
        put_part((ReturnSetInfo *) fcinfo->resultinfo, parts[i].part, parts[i].bytes);
    put_part((ReturnSetInfo *) fcinfo->resultinfo, "total", total);
    return (Datum) 0;
}
