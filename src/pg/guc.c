/*
 * guc.c: gnnrec.train_memory, gnnrec.threads, gnnrec.nice, gnnrec.isolate; gnnrec.fresh_max_events, gnnrec.fresh_max_scan;
 * see guc.h.
 *
 * Only a superuser sets the first four: anyone who owns a model may train it, and these say how much of the machine that may
 * take. gnnrec.train() hands the values of the calling session to the worker. The others bound a query of the caller's own.
 */
#include "postgres.h"

#include "pg/guc.h"

#include <limits.h>

#include "utils/guc.h"

#define DEFAULT_TRAIN_MEMORY (1024 * 1024)

int         gnnrec_train_memory = DEFAULT_TRAIN_MEMORY;
int         gnnrec_threads = 0;
int         gnnrec_nice = 0;
bool        gnnrec_isolate_training = true;
int         gnnrec_fresh_max_events = 1000;
int         gnnrec_fresh_max_scan = 1024;

void
gnnrec_guc_define(void)
{
    DefineCustomIntVariable("gnnrec.train_memory",
                            "Memory a training may take.",
                            "A training that is estimated to need more is refused before it starts.",
                            &gnnrec_train_memory, DEFAULT_TRAIN_MEMORY, 16 * 1024, MAX_KILOBYTES,
                            PGC_SUSET, GUC_UNIT_KB, NULL, NULL, NULL);
    DefineCustomIntVariable("gnnrec.threads",
                            "Threads a training may use; 0 is one a core.",
                            "The result does not depend on it.",
                            &gnnrec_threads, 0, 0, 1024,
                            PGC_SUSET, 0, NULL, NULL, NULL);
    DefineCustomIntVariable("gnnrec.nice",
                            "How far the training process steps back behind others when processors are short.",
                            "0 is a process like every other, 19 runs only when nothing else does.",
                            &gnnrec_nice, 0, 0, 19,
                            PGC_SUSET, 0, NULL, NULL, NULL);
    DefineCustomBoolVariable("gnnrec.isolate",
                             "Train in a child of the background worker, which can crash without harm.",
                             "Off trains in the worker itself: for debugging, and for platforms that lack what it takes.",
                             &gnnrec_isolate_training, true,
                             PGC_SUSET, 0, NULL, NULL, NULL);
    DefineCustomIntVariable("gnnrec.fresh_max_events",
                            "Interactions newer than the run that recommend() reads of a user, the newest first.",
                            "0 reads none.",
                            &gnnrec_fresh_max_events, 1000, 0, 1000000,
                            PGC_USERSET, 0, NULL, NULL, NULL);
    DefineCustomIntVariable("gnnrec.fresh_max_scan",
                            "Size up to which recommend() looks for fresh events in a table without an index on its users.",
                            "The events of a larger table count when there is an index, or with the next training.",
                            &gnnrec_fresh_max_scan, 1024, 0, MAX_KILOBYTES,
                            PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
#if PG_VERSION_NUM >= 150000
    MarkGUCPrefixReserved("gnnrec");
#else
    EmitWarningsOnPlaceholders("gnnrec");
#endif
}
