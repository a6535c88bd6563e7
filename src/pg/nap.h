/*
 * nap.h: a pause in which this process still listens: to its latch, to interrupts, and to the postmaster's end.
 */
#ifndef GNNREC_PG_NAP_H
#define GNNREC_PG_NAP_H

#include "postgres.h"

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

static inline void
gnnrec_nap(long milliseconds)
{
    (void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

#endif
