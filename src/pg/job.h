/*
 * job.h: what background workers do for models, trainings above all: asking for a job, following it, stopping it.
 *
 * The state of a job is its row in gnnrec.run and two advisory locks of our own class: the job lock of the model, which the
 * worker holds for as long as it lives, and the request lock, which a transaction that asks for, drops or rolls back holds to
 * its end. A run that says it is running while nobody holds the job lock is lost. A model has one job at a time.
 */
#ifndef GNNREC_PG_JOB_H
#define GNNREC_PG_JOB_H

#include "postgres.h"

#include "pg/catalog.h"

/* what there is to do */
typedef struct GnnrecTask
{
    const char *name;           /* a noun, as gnnrec.run.task has it */
    const char *entry;          /* the function its worker starts in */
} GnnrecTask;

extern const GnnrecTask gnnrec_training;

/* what the launching backend tells the worker; fits BackgroundWorker.bgw_extra */
typedef struct GnnrecJobOrder
{
    Oid         database;
    Oid         session_user;
    Oid         role;
    TransactionId launcher;     /* the worker begins when this transaction has committed */
    int64       run_id;
    int32       model_id;
    int         threads;
    int         memory;         /* kilobytes */
    int         nice;
    bool        isolate;
    Oid         target;         /* of a materialization: the table, */
    int32       k;              /* the length of its lists, */
    bool        merge;          /* and whether other users' rows stay there */
} GnnrecJobOrder;

/*
 * Asks for a run with these parameters, which its row will have: a worker starts at COMMIT. The order names what is particular
 * to the task and is filled here. Returns the run's number. Where the model has a job already: ERROR or, if that is of the same
 * task and may be skipped, a NOTICE and its number.
 */
extern int64 gnnrec_job_request(GnnrecJobOrder *order, const GnnrecTask *task, const GnnrecModel *model, Jsonb *params,
                                bool skip);

/* the run of another task that the model has going on; false: it has none, and will not to the end of the transaction */
extern bool gnnrec_job_of_other_task(GnnrecRun *out, const GnnrecTask *task, const GnnrecModel *model);

/* 'starting' .. 'lost', as it is now whatever the row says */
extern const char *gnnrec_job_state(int32 model_id, const char *status, TimestampTz requested_at);
extern bool gnnrec_job_is_over(const char *state);

/* the request lock, to the end of the transaction; ERROR where the model was dropped, or given away, while we waited for it */
extern void gnnrec_job_lock_model(const GnnrecModel *model);

/* the job lock, to the end of the process; false, where it is not to wait: another run of the model holds it */
extern bool gnnrec_job_begin(int32 model_id, bool wait);

/* tells the worker of a run to stop; false: it is over already */
extern bool gnnrec_job_cancel(const GnnrecRun *run);

/* cancels whatever run of the model is going and waits for its worker to end */
extern void gnnrec_job_stop(int32 model_id);

/* starts the worker (worker.c); ERROR where there is no free slot */
extern void gnnrec_worker_launch(const GnnrecJobOrder *order, const GnnrecTask *task);

#endif
