/*
 * guc.h: the settings of the server that bound what training may take.
 */
#ifndef GNNREC_PG_GUC_H
#define GNNREC_PG_GUC_H

#include "postgres.h"

extern int  gnnrec_train_memory;    /* kilobytes */
extern int  gnnrec_threads;         /* 0: one a core */
extern int  gnnrec_nice;
extern bool gnnrec_isolate_training;

extern void gnnrec_guc_define(void);

#endif
