/*
 * gnnrec.c: what the server sees first: the module's magic block, and its settings.
 */
#include "postgres.h"

#include "fmgr.h"

#include "pg/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
    gnnrec_guc_define();
}
