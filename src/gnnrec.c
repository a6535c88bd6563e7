/*
 * gnnrec.c: what the server sees first: the module's magic block.
 */
#include "postgres.h"

#include "fmgr.h"

#include "pg/compat.h"

PG_MODULE_MAGIC;
