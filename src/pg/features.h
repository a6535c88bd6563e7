/*
 * features.h: the columns of a catalogue that are features of its nodes, read and made numbers.
 *
 *     category    a column a value, 1 where the node has it; of an array each element is a value
 *     number      one column, brought to mean 0 and deviation 1 over the catalogue; another tells the missing
 *     text        tokens, hashed to `size` columns
 *     vector      a column a dimension, each as a number, times 1 / sqrt(dimensions); another tells the missing
 *
 * What comes in pieces, n tokens or n elements, weighs 1 / sqrt(n) each: a long text says no more than a short one.
 */
#ifndef GNNREC_PG_FEATURES_H
#define GNNREC_PG_FEATURES_H

#include "postgres.h"

#include "core/csr.h"
#include "pg/catalog.h"
#include "pg/idmap.h"
#include "pg/source.h"

#define GNNREC_DEFAULT_BUCKETS 16384    /* columns of a text whose feature has no size */
#define GNNREC_MAX_BUCKETS 1048576

/* what was read of a type's features, by nodes as they were numbered then; memory of the context current at the call */
typedef struct GnnrecFeatureRows GnnrecFeatureRows;

/* the kind of feature that a column of the type is where nobody says; 'category' where nothing else fits */
extern const char *gnnrec_feature_default_kind(Oid type);

/* of the feature's column; ERROR where the type has no catalogue, or that no such column */
extern Oid  gnnrec_feature_column_type(const GnnrecNodeType *type, const GnnrecFeature *feature);

/* the same, and ERROR where the kind is none for the column's type, or takes no size or another one */
extern void gnnrec_feature_check(const GnnrecNodeType *type, const GnnrecFeature *feature, bool has_size);

/*
 * Reads the features given, all of the type, in one query, as the current role; ids get numbers. ERROR where an id has several rows,
 * or a vector another length than those before.
 */
extern GnnrecFeatureRows *gnnrec_features_read(const GnnrecNodeType *type, const GnnrecFeature *const *features, int n,
                                               GnnrecIdMap *ids, GnnrecReadTick tick, void *tick_arg);

/*
 * Their matrix, n_nodes x columns, in the arena; numbers: what those nodes are called now. Columns in which there is nothing to tell
 * nodes apart by are left out and, for a message, listed in *empty (NULL: there are none).
 */
extern void gnnrec_features_build(GnnCsr *out, GnnArena *arena, GnnrecFeatureRows *rows, const int32 *numbers, int32 n_nodes,
                                  char **empty);

/* how many columns and entries a feature has at most, counted by the server */
extern void gnnrec_feature_count(int64 *n_columns, int64 *n_values, const GnnrecNodeType *type, const GnnrecFeature *feature);

#endif
