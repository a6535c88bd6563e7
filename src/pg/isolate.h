/*
 * isolate.h: the numbers of a training in a process of their own.
 *
 * Results and progress come back in memory that the child and we share: mapped here before the fork, given back by
 * gnnrec_isolate_free.
 */
#ifndef GNNREC_PG_ISOLATE_H
#define GNNREC_PG_ISOLATE_H

#include "postgres.h"

#include "train/fit.h"

typedef struct GnnrecFitting
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
    int64      *peak_memory;    /* gets the larger of the child's and this process's, bytes, also where a child fails */

    /* private */
    struct GnnrecSharedArea *area;
    int         steps_taken;    /* how many the caller has seen */
} GnnrecFitting;

/* the bytes of the area, by numbers of nodes and parameters alone */
extern int64 gnnrec_isolate_result(const GnnGraph *graph, const GnnConfig *config);

/* maps the area: results of all node types, progress, a message */
extern void gnnrec_isolate_init(GnnrecFitting *t);

/*
 * Trains; poll is called some twenty times a second and may raise, which ends the child. ERROR where the training fails: out of
 * memory, a crash, or what gnn_fit says.
 */
extern void gnnrec_isolate_run(GnnrecFitting *t, void (*poll) (void *arg), void *arg);

/* the steps finished since the last call: their number; *steps points to the first */
extern int  gnnrec_isolate_new_steps(GnnrecFitting *t, const GnnStep **steps);

extern void gnnrec_isolate_free(GnnrecFitting *t);

#endif
