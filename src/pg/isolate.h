/*
 * isolate.h: the process that does the numbers.
 *
 * Training runs in a child forked from the background worker, so that a crash, the OOM killer or a memory overrun ends one
 * training and not every backend of the server. Results and progress come back in memory that both share: mapped here before
 * the fork, given back by gnnrec_isolate_free.
 */
#ifndef GNNREC_PG_ISOLATE_H
#define GNNREC_PG_ISOLATE_H

#include "postgres.h"

#include "train/fit.h"

typedef struct GnnrecTraining
{
    /* what to train */
    const GnnGraph *graph;
    const GnnConfig *config;
    int         threads;
    int         nice;
    int64       memory;         /* bytes the child may take */
    bool        isolate;        /* false: in this very process */

    /* what came of it; the arrays lie in the shared area */
    GnnFit     *fit;
    int64       peak_memory;    /* bytes: the larger of the child's and this process's */

    /* private */
    struct GnnrecSharedArea *area;
    int         steps_taken;    /* how many the caller has seen */
} GnnrecTraining;

/* maps the area: results of all node types, progress, a message */
extern void gnnrec_isolate_init(GnnrecTraining *t);

/*
 * Trains; poll is called some twenty times a second and may raise, which ends the child. ERROR where the training fails: out of
 * memory, a crash, or what gnn_fit says.
 */
extern void gnnrec_isolate_run(GnnrecTraining *t, void (*poll) (void *arg), void *arg);

/* the steps finished since the last call: their number; *steps points to the first */
extern int  gnnrec_isolate_new_steps(GnnrecTraining *t, const GnnStep **steps);

extern void gnnrec_isolate_free(GnnrecTraining *t);

#endif
