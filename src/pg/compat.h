/*
 * compat.h: what differs between the PostgreSQL versions we build for (14 to 18), hidden once, here.
 *
 * Include it after postgres.h and before anything that declares an exported function.
 */
#ifndef GNNREC_PG_COMPAT_H
#define GNNREC_PG_COMPAT_H

#include "fmgr.h"

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#endif

/*
 * Everything is built with -fvisibility=hidden. Before 16 PGDLLEXPORT says nothing on ELF, and the
 * server would find neither the magic block nor a function.
 */
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT __attribute__((visibility("default")))
#endif

/* Soft errors, which an input function saves instead of throwing, exist since 16; before, every error is thrown. */
#if PG_VERSION_NUM < 160000
#define errsave(escontext, ...) do { (void) (escontext); ereport(ERROR, __VA_ARGS__); } while (0)
#endif

#endif
