/*
 * job.c: what background workers do for models; see job.h.
 */
#include "postgres.h"

#include "pg/job.h"

#include <signal.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "pg/guc.h"
#include "pg/nap.h"

/* advisory locks have a class in their fourth field: the server uses 1 and 2 */
#define LOCK_CLASS 0x676E
#define STARTING_SECONDS 30
#define STOP_SECONDS 30
#define TRIES_A_SECOND 50

enum {LOCK_JOB, LOCK_REQUEST};

static LOCKTAG
lock_tag(int32 model_id, int kind)
{
    LOCKTAG     tag;

    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) model_id, kind, LOCK_CLASS);
    return tag;
}

void
gnnrec_job_lock_model(const GnnrecModel *model)
{
    LOCKTAG     tag = lock_tag(model->model_id, LOCK_REQUEST);

    (void) LockAcquire(&tag, ExclusiveLock, false, false);
    if (!gnnrec_model_exists(model->model_id, GetLatestSnapshot()))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_OBJECT),
                 errmsg("the model has been dropped in the meantime")));
    gnnrec_model_check_owner(model);
}

/* the model whose job this process does; 0: it is no worker */
static int32 own_job = 0;

/* others take the lock for a moment to see whether it is free, so one refusal proves nothing */
bool
gnnrec_job_begin(int32 model_id, bool wait)
{
    LOCKTAG     tag = lock_tag(model_id, LOCK_JOB);

    for (int i = 0; own_job == 0 && i < (wait ? 1 : TRIES_A_SECOND / 2); i++)
    {
        if (i > 0)
            gnnrec_nap(1000 / TRIES_A_SECOND);
        if (LockAcquire(&tag, ExclusiveLock, true, !wait) != LOCKACQUIRE_NOT_AVAIL)
            own_job = model_id;
    }
    return own_job != 0;
}

static bool
has_job(int32 model_id)
{
    LOCKTAG     tag = lock_tag(model_id, LOCK_JOB);

    if (own_job == model_id)
        return true;            /* our own lock would not keep us out */
    if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
        return true;
    LockRelease(&tag, ShareLock, false);
    return false;
}

/* the process that holds the job lock; 0: none does */
static pid_t
job_worker(int32 model_id)
{
    LOCKTAG     tag = lock_tag(model_id, LOCK_JOB);
    LockData   *locks = GetLockStatusData();

    for (int i = 0; i < locks->nelements; i++)
    {
        const LockInstanceData *l = &locks->locks[i];

        if (memcmp(&l->locktag, &tag, sizeof(tag)) == 0 && (l->holdMask & LOCKBIT_ON(ExclusiveLock)) != 0)
            return l->pid;
    }
    return 0;
}

bool
gnnrec_job_is_over(const char *state)
{
    return strcmp(state, "starting") != 0 && strcmp(state, "running") != 0;
}

/* a worker needs a moment from its registration to its lock, which a standby cannot see */
const char *
gnnrec_job_state(int32 model_id, const char *status, TimestampTz requested_at)
{
    if (gnnrec_job_is_over(status) || RecoveryInProgress() || has_job(model_id))
        return status;
    if (strcmp(status, "starting") == 0 &&
        !TimestampDifferenceExceeds(requested_at, GetCurrentTimestamp(), STARTING_SECONDS * 1000))
        return status;
    return "lost";
}

/* runs of the model that died with their worker */
static void
mark_lost(int32 model_id)
{
    Oid         types[] = {INT4OID};
    Datum       values[] = {Int32GetDatum(model_id)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'lost', phase = NULL, finished_at = pg_catalog.clock_timestamp(), "
                         "message = 'the worker ended without a word: the server was restarted, or it was killed' "
                         "WHERE model_id = $1 AND status IN ('starting', 'running')",
                         1, types, values, NULL, &isnull);
}

static int64
insert_run(const GnnrecTask *task, const GnnrecModel *model, Jsonb *params)
{
    Oid         types[] = {INT4OID, JSONBOID, TEXTOID, TEXTOID};
    Datum       values[] = {Int32GetDatum(model->model_id), JsonbPGetDatum(params),
                            CStringGetTextDatum(GetUserNameFromId(GetUserId(), false)), CStringGetTextDatum(task->name)};
    bool        isnull;

    return DatumGetInt64(gnnrec_catalog_write(
        "INSERT INTO gnnrec.run (model_id, status, params, trained_by, task) "
        "VALUES ($1, 'starting', $2, $3, $4) RETURNING run_id",
        4, types, values, NULL, &isnull));
}

/* the job of the model that is going on, if there is one */
static bool
find_running(GnnrecRun *run, const GnnrecModel *model)
{
    if (!gnnrec_run_newest(run, model->model_id, GetLatestSnapshot()))
        return false;
    return !gnnrec_job_is_over(gnnrec_job_state(run->model_id, run->status, run->requested_at));
}

static int64
launch(GnnrecJobOrder *order, const GnnrecTask *task, const GnnrecModel *model, Jsonb *params)
{
    order->run_id = insert_run(task, model, params);
    order->model_id = model->model_id;
    order->database = MyDatabaseId;
    order->session_user = GetSessionUserId();
    order->role = GetUserId();
    order->launcher = GetTopTransactionId();
    order->threads = gnnrec_threads;
    order->memory = gnnrec_train_memory;
    order->nice = gnnrec_nice;
    order->isolate = gnnrec_isolate_training;
    gnnrec_worker_launch(order, task);
    return order->run_id;
}

int64
gnnrec_job_request(GnnrecJobOrder *order, const GnnrecTask *task, const GnnrecModel *model, Jsonb *params, bool skip)
{
    GnnrecRun   running;

    gnnrec_job_lock_model(model);
    if (find_running(&running, model))
    {
        ereport(skip && strcmp(running.task, task->name) == 0 ? NOTICE : ERROR,
                (errcode(ERRCODE_OBJECT_IN_USE),
                 strcmp(running.task, gnnrec_training.name) == 0
                 ? errmsg("model \"%s\" is being trained already: run " INT64_FORMAT, model->name, running.run_id)
                 : errmsg("model \"%s\" has a %s going on: run " INT64_FORMAT, model->name, running.task, running.run_id),
                 errhint("gnnrec.wait waits for it, gnnrec.cancel ends it.")));
        return running.run_id;
    }
    mark_lost(model->model_id);
    return launch(order, task, model, params);
}

bool
gnnrec_job_of_other_task(GnnrecRun *out, const GnnrecTask *task, const GnnrecModel *model)
{
    gnnrec_job_lock_model(model);
    return find_running(out, model) && strcmp(out->task, task->name) != 0;
}

/* a run that has not been picked up yet is called off in its row; the worker looks there first; false: it has been picked up */
static bool
call_off(int64 run_id)
{
    Oid         types[] = {INT8OID};
    Datum       values[] = {Int64GetDatum(run_id)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'cancelled', finished_at = pg_catalog.clock_timestamp(), "
                         "message = 'cancelled before it started' WHERE run_id = $1 AND status = 'starting' RETURNING run_id",
                         1, types, values, NULL, &isnull);
    return !isnull;
}

/* a row may name a process of before a crash, whose number is another's by now: it must hold the lock, too */
static bool
interrupt_worker(const GnnrecRun *run)
{
    return run->pid != 0 && run->pid == job_worker(run->model_id) && kill(run->pid, SIGINT) == 0;
}

bool
gnnrec_job_cancel(const GnnrecRun *run)
{
    const char *state = gnnrec_job_state(run->model_id, run->status, run->requested_at);
    GnnrecRun   now = *run;

    if (gnnrec_job_is_over(state))
        return false;
    if (strcmp(state, "starting") == 0)
    {
        if (call_off(run->run_id))
            return true;
        if (!gnnrec_run_by_id(&now, run->run_id, GetLatestSnapshot()))
            return false;
    }
    return interrupt_worker(&now);
}

/*
 * The worker is found by its lock: its run may be one that no one sees, because this transaction asked for it or went back to a
 * savepoint before it. And its row is left alone: the worker has a last word to write there before it ends.
 */
void
gnnrec_job_stop(int32 model_id)
{
    for (int i = 0; has_job(model_id); i++)
    {
        pid_t       worker = i % TRIES_A_SECOND == 0 ? job_worker(model_id) : 0;

        if (worker != 0)
            kill(worker, SIGINT);
        if (i > STOP_SECONDS * TRIES_A_SECOND)
            ereport(ERROR,
                    (errcode(ERRCODE_OBJECT_IN_USE),
                     errmsg("the model has a job going on that does not stop"),
                     errhint("End its worker (pg_stat_activity, backend_type 'gnnrec ...') with pg_terminate_backend.")));
        gnnrec_nap(1000 / TRIES_A_SECOND);
    }
}
