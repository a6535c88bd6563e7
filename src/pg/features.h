/*
 * features.h: the features of a node type's nodes, read from its catalogue into a matrix; what becomes of a column tells
 * feature_column.h.
 */
#ifndef GNNREC_PG_FEATURES_H
#define GNNREC_PG_FEATURES_H

#include "postgres.h"

#include "core/csr.h"
#include "pg/catalog.h"
#include "pg/idmap.h"
#include "pg/source.h"

/* what was read of a type's features, by nodes as they were numbered then; memory of the context current at the call */
typedef struct GnnrecFeatureRows GnnrecFeatureRows;

/*
 * Reads the features given, all of the type, in one query, as the current role; ids get numbers. ERROR where an id has several
 * rows, or a vector another length than those before.
 */
extern GnnrecFeatureRows *gnnrec_features_read(const GnnrecNodeType *type, const GnnrecFeature *const *features, int n,
                                               GnnrecIdMap *ids, GnnrecReadTick tick, void *tick_arg);

/*
 * Their matrix, n_nodes x columns, in the arena; numbers: what those nodes are called now. Features in which there is nothing to
 * tell nodes apart by are left out and, for a message, listed in *empty (NULL: there are none).
 */
extern void gnnrec_features_build(GnnCsr *out, GnnArena *arena, GnnrecFeatureRows *rows, const int32 *numbers, int32 n_nodes,
                                  char **empty);

#endif
