/*
 * guc.h: the settings that bound what training may take and what serving may read.
 */
#ifndef GNNREC_PG_GUC_H
#define GNNREC_PG_GUC_H

#include "postgres.h"

extern int  gnnrec_train_memory;    /* kilobytes */
extern int  gnnrec_threads;         /* 0: one a core */
extern int  gnnrec_nice;
extern bool gnnrec_isolate_training;
extern int  gnnrec_fresh_max_events;
extern int  gnnrec_fresh_max_scan;  /* kilobytes */

extern void gnnrec_guc_define(void);

#endif
