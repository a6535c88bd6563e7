/*
 * worker.c: the background worker, whatever its job; see worker.h.
 *
 * The worker connects as the session user who asked and can act as the role that was current then. A job holds no transaction but
 * those it begins.
 *
 * Whatever goes wrong is written to the run's row, in two places. After an ERROR that is done as everything else is: it waits for
 * locks, and can be interrupted. On the way out of the process nothing can be, so there it does not wait; a run whose row stays
 * locked all that time is lost, which is what its free job lock says.
 */
#include "postgres.h"

#include "pg/worker.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define PROGRESS_SECONDS 1.0
#define LOCK_TIMEOUT "30s"
#define LAST_TRIES 50
#define LAST_NAP 20000L         /* microseconds */

/* ---------------------------------------------------------------------------------------------------------------------
 * Launching
 * ------------------------------------------------------------------------------------------------------------------ */

/* the worker connects as the session user: before 17 that fails, where nobody reads it, for a role that may not log in */
static void
check_login(Oid session_user, const GnnrecTask *task)
{
#if PG_VERSION_NUM < 170000
    HeapTuple   role = SearchSysCache1(AUTHOID, ObjectIdGetDatum(session_user));
    bool        may_log_in = HeapTupleIsValid(role) && ((Form_pg_authid) GETSTRUCT(role))->rolcanlogin;

    if (HeapTupleIsValid(role))
        ReleaseSysCache(role);
    if (!may_log_in)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
                 errmsg("role \"%s\" is not permitted to log in, which the worker of a %s would do",
                        GetUserNameFromId(session_user, false), task->name),
                 errhint("SET ROLE instead of SET SESSION AUTHORIZATION, or give the role LOGIN.")));
#endif
}

void
gnnrec_worker_launch(const GnnrecJobOrder *order, const GnnrecTask *task)
{
    BackgroundWorker worker = {0};
    BackgroundWorkerHandle *handle;

    StaticAssertStmt(sizeof(GnnrecJobOrder) <= BGW_EXTRALEN, "a job order must fit bgw_extra");
    check_login(order->session_user, task);
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    strlcpy(worker.bgw_library_name, "gnnrec", sizeof(worker.bgw_library_name));
    strlcpy(worker.bgw_function_name, task->entry, sizeof(worker.bgw_function_name));
    snprintf(worker.bgw_name, BGW_MAXLEN, "gnnrec %s, run " INT64_FORMAT, task->name, order->run_id);
    snprintf(worker.bgw_type, BGW_MAXLEN, "gnnrec %s", task->name);
    memcpy(worker.bgw_extra, order, sizeof(*order));
    if (!RegisterDynamicBackgroundWorker(&worker, &handle))
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                 errmsg("no background worker slot is free for %s", task->name),
                 errhint("Wait for other workers to end, or raise max_worker_processes and restart the server.")));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Transactions, phases, roles
 * ------------------------------------------------------------------------------------------------------------------ */

void
gnnrec_worker_begin(void)
{
    if (ConfigReloadPending)
    {
        ConfigReloadPending = false;
        ProcessConfigFile(PGC_SIGHUP);
    }
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
}

void
gnnrec_worker_commit(const GnnrecWorker *w)
{
    PopActiveSnapshot();
    CommitTransactionCommand();
    MemoryContextSwitchTo(w->context);
}

void
gnnrec_worker_report(const GnnrecWorker *w, const char *doing)
{
    pgstat_report_activity(STATE_RUNNING, psprintf("gnnrec: model %s, run " INT64_FORMAT ", %s",
                                                   w->model->name, w->order.run_id, doing));
}

bool
gnnrec_worker_report_is_due(GnnrecWorker *w)
{
    if (gnnrec_seconds_since(w->last_report) < PROGRESS_SECONDS)
        return false;
    INSTR_TIME_SET_CURRENT(w->last_report);
    return true;
}

/* a run may be called off, or dropped with its model, until this has written that it is running */
static void
set_phase(const GnnrecWorker *w, const char *phase)
{
    Oid         types[] = {INT8OID, TEXTOID, INT4OID, INT4OID};
    Datum       values[] = {Int64GetDatum(w->order.run_id), CStringGetTextDatum(phase),
                            Int32GetDatum(MyProcPid), Int32GetDatum(w->steps)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'running', phase = $2, pid = $3, steps = $4, "
                         "started_at = coalesce(started_at, pg_catalog.clock_timestamp()) "
                         "WHERE run_id = $1 AND status IN ('starting', 'running') RETURNING run_id",
                         4, types, values, NULL, &isnull);
    if (isnull)
        ereport(ERROR,
                (errcode(ERRCODE_QUERY_CANCELED),
                 errmsg("run " INT64_FORMAT " was called off", w->order.run_id)));
    gnnrec_worker_report(w, phase);
}

void
gnnrec_worker_enter(GnnrecWorker *w, const char *phase)
{
    gnnrec_worker_begin();
    set_phase(w, phase);
    gnnrec_worker_commit(w);
    INSTR_TIME_SET_CURRENT(w->last_report);
}

void
gnnrec_worker_lock_model(const GnnrecWorker *w)
{
    if (!gnnrec_model_lock(w->model->model_id))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("the model was dropped in the meantime")));
}

double
gnnrec_seconds_since(instr_time start)
{
    instr_time  now;

    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_SUBTRACT(now, start);
    return INSTR_TIME_GET_DOUBLE(now);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The order
 * ------------------------------------------------------------------------------------------------------------------ */

/* waits for the transaction that asked to end; false: the run is not to be: rolled back, or cancelled meanwhile */
static bool
take_order(GnnrecWorker *w)
{
    GnnrecRun   run;
    bool        accepted;

    StartTransactionCommand();
    pgstat_report_activity(STATE_RUNNING, "gnnrec: waiting for the transaction that asked for the job");
    XactLockTableWait(w->order.launcher, NULL, NULL, XLTW_None);
    CommitTransactionCommand();
    gnnrec_worker_begin();
    MemoryContextSwitchTo(w->context);
    accepted = gnnrec_run_by_id(&run, w->order.run_id, GetActiveSnapshot()) && strcmp(run.status, "starting") == 0;
    if (accepted)
    {
        w->model = gnnrec_model_by_id(run.model_id);
        w->params = run.params;
    }
    gnnrec_worker_commit(w);
    return accepted;
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
write_end(const GnnrecWorker *w)
{
    Oid         types[] = {INT8OID, TEXTOID, TEXTOID, INT8OID, INT8OID};
    Datum       values[] = {Int64GetDatum(w->order.run_id), CStringGetTextDatum(w->end), CStringGetTextDatum(w->message),
                            Int64GetDatum(w->rows_read), Int64GetDatum(w->peak_memory)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = $2, message = $3, phase = NULL, rows_read = $4, "
                         "peak_memory = nullif($5, 0), finished_at = pg_catalog.clock_timestamp() "
                         "WHERE run_id = $1 AND status IN ('starting', 'running')",
                         lengthof(types), types, values, NULL, &isnull);
}

/* DROP EXTENSION takes the runs along */
static Oid
run_table(void)
{
    Oid         schema = get_namespace_oid("gnnrec", true);

    return OidIsValid(schema) ? get_relname_relid("run", schema) : InvalidOid;
}

/* called in PG_CATCH: says in the log and in the run's row what went wrong */
static void
record_failure(GnnrecWorker *w)
{
    ErrorData  *error;
    bool        cancelled;

    MemoryContextSwitchTo(w->context);
    error = CopyErrorData();
    EmitErrorReport();
    FlushErrorState();
    cancelled = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
    w->message = cancelled ? "cancelled on request" : with_detail_and_hint(error);
    w->end = cancelled ? "cancelled" : "failed";
    AbortOutOfAnyTransaction();
    gnnrec_worker_begin();
    if (OidIsValid(run_table()))
        write_end(w);
    gnnrec_worker_commit(w);
}

/* locks the table and the row, to the end of the transaction, if that can be done without waiting; false: it cannot */
static bool
lock_row_at_once(const GnnrecWorker *w, Oid table)
{
    Oid         types[] = {INT8OID};
    Datum       values[] = {Int64GetDatum(w->order.run_id)};
    bool        isnull;
    GnnrecRun   run;

    if (!ConditionalLockRelationOid(table, RowExclusiveLock))
        return false;
    if (!gnnrec_run_by_id(&run, w->order.run_id, GetActiveSnapshot()))
        return true;            /* rolled back, or dropped with its model: nothing to wait for */
    gnnrec_catalog_write("SELECT run_id FROM gnnrec.run WHERE run_id = $1 FOR NO KEY UPDATE SKIP LOCKED",
                         1, types, values, NULL, &isnull);
    return !isnull;
}

/* true: there is no more to be tried */
static bool
write_end_at_once(const GnnrecWorker *w)
{
    Oid         table;
    bool        done;

    gnnrec_worker_begin();
    table = run_table();
    done = !OidIsValid(table) || lock_row_at_once(w, table);
    if (done && OidIsValid(table))
        write_end(w);
    gnnrec_worker_commit(w);
    return done;
}

/*
 * Before a process that was terminated exits: pg_terminate_backend, a fast shutdown, DROP DATABASE WITH (FORCE). They must not
 * arrive as an ERROR: functions of the source's views run in this process, and could catch that and go on.
 */
static void
last_word(int code, Datum worker)
{
    GnnrecWorker *w = (GnnrecWorker *) DatumGetPointer(worker);

    if (code == 0)
        return;
    if (w->end == NULL)
    {
        w->message = "the worker was terminated";
        w->end = "cancelled";
    }
    AbortOutOfAnyTransaction();
    for (int i = 0; i < LAST_TRIES && !write_end_at_once(w); i++)
        pg_usleep(LAST_NAP);
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
    set_option("lock_timeout", "0");    /* until it is our turn, which may take its time */
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
lock_model(const GnnrecWorker *w, bool wait)
{
    bool        locked;

    StartTransactionCommand();
    locked = gnnrec_job_begin(w->order.model_id, wait);
    CommitTransactionCommand();
    return locked;
}

/*
 * The lock is taken before the launching transaction ends, so that no one takes the run for lost when it appears. Another worker
 * may still hold it: one whose run is live and which makes its snapshot, or one of a run that the same transaction took back with
 * a savepoint. Both end by themselves, the second when that transaction does.
 */
static void
work(GnnrecWorker *w, void (*job) (GnnrecWorker *w))
{
    bool        locked = lock_model(w, false);

    if (!take_order(w))
        return;
    if (!locked)
        lock_model(w, true);
    set_option("lock_timeout", LOCK_TIMEOUT);
    MemoryContextSwitchTo(w->context);
    job(w);
}

void
gnnrec_worker_run(Datum arg, void (*job) (GnnrecWorker *w))
{
    GnnrecWorker *w = MemoryContextAllocZero(TopMemoryContext, sizeof(GnnrecWorker));

    memcpy(&w->order, MyBgworkerEntry->bgw_extra, sizeof(w->order));
    w->context = AllocSetContextCreate(TopMemoryContext, "gnnrec job", ALLOCSET_DEFAULT_SIZES);
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    connect_to_database(&w->order);
    set_options();
    before_shmem_exit(last_word, PointerGetDatum(w));
    MemoryContextSwitchTo(w->context);
    PG_TRY();
    {
        work(w, job);
    }
    PG_CATCH();
    {
        record_failure(w);
    }
    PG_END_TRY();
    proc_exit(0);
}
