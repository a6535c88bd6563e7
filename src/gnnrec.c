/*
 * gnnrec.c: what the server sees first: the module's magic block.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;
