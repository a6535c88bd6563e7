/*
 * worker.h: a background worker that does one job of one model, from its order to the last word in the run's row.
 *
 * What is the same for every job is here: connecting, taking the order, phases and progress in the run's row, and what is written
 * there when the job ends badly. A job is a function that does its work and writes its success itself, in the transaction that
 * publishes its result.
 */
#ifndef GNNREC_PG_WORKER_H
#define GNNREC_PG_WORKER_H

#include "postgres.h"

#include "portability/instr_time.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/job.h"

typedef struct GnnrecWorker
{
    GnnrecJobOrder order;
    MemoryContext context;      /* of what the job keeps; it is current when the job and each phase begins */
    GnnrecModel *model;
    Jsonb      *params;         /* of the run's row */
    int         steps;          /* as the run's row is to have them, */
    int64       rows_read;      /* these two also if the job fails */
    int64       peak_memory;
    instr_time  last_report;

    /* private */
    const char *end;            /* how a job that failed is to be remembered; NULL: it has not failed */
    char       *message;
} GnnrecWorker;

/* the body of a worker's entry point; does not return */
pg_noreturn extern void gnnrec_worker_run(Datum arg, void (*job) (GnnrecWorker *w));

/* one transaction with an active snapshot; the memory context is the transaction's meanwhile, and w->context after it */
extern void gnnrec_worker_begin(void);
extern void gnnrec_worker_commit(const GnnrecWorker *w);

/* a phase begins: the run's row says so; ERROR where the run was called off, or dropped with its model */
extern void gnnrec_worker_enter(GnnrecWorker *w, const char *phase);

/* pg_stat_activity says what we are doing */
extern void gnnrec_worker_report(const GnnrecWorker *w, const char *doing);

/* is it time to report again? About once a second */
extern bool gnnrec_worker_report_is_due(GnnrecWorker *w);

/* Locks the model's row, so that drop_model and rollback wait here and not in the middle; ERROR where it is gone */
extern void gnnrec_worker_lock_model(const GnnrecWorker *w);

extern double gnnrec_seconds_since(instr_time start);

#endif
