/*
 * features.h: the features of a node type's nodes, read from its catalogue into a matrix; and, once it is made, of one more node
 * by the same columns. What becomes of a column of the catalogue tells feature_column.h.
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

/* which columns of the matrix a feature has become, and by what */
typedef struct GnnrecFeatureCode
{
    GnnrecFeature definition;   /* size: columns it is hashed to, or numbers it has; 0: as many as the dictionary has values */
    int32       first;          /* column of the matrix */
    int32       n_columns;      /* 0: it has none, and nothing of the following */
    int32       n_numbers;      /* the first columns, where they are of numbers */
    double     *mean;
    double     *deviation;
    GnnrecKey  *value;          /* of a dictionary, one a column, in their order; NULL: the feature has none */
} GnnrecFeatureCode;

/*
 * Their matrix, n_nodes x columns, in the arena; numbers: what those nodes are called now. Features in which there is nothing to
 * tell nodes apart by are left out and, for a message, listed in *empty (NULL: there are none). codes: NULL, or room for what has
 * become of each feature, in the arena as well.
 */
extern void gnnrec_features_build(GnnCsr *out, GnnArena *arena, GnnrecFeatureRows *rows, const int32 *numbers, int32 n_nodes,
                                  char **empty, GnnrecFeatureCode *codes);

/* how many features were read */
extern int  gnnrec_features_count(const GnnrecFeatureRows *rows);

/* something that one node has in a column of a feature */
typedef struct GnnrecFeatureCell
{
    int         feature;        /* its place */
    int32       column;         /* within the feature; -1: that of a value */
    GnnrecKey   value;
    double      number;
} GnnrecFeatureCell;

/*
 * What the catalogue has of one node now: the cells of its row, as gnnrec_features_build would have them but for the scale of
 * numbers, read as the current role. Features are as a training has coded them; what a training would refuse is missing. NULL:
 * the catalogue has no row of the node, or several; or no such columns any more; or no index to find it by, and is large.
 */
extern GnnrecFeatureCell *gnnrec_features_of_node(int64 *n_cells, const GnnrecNodeType *type, const GnnrecFeature *features,
                                                  int n, Datum id);

/* the scale of a number, of which its feature has so many */
extern double gnnrec_feature_scaled(double number, double mean, double deviation, int32 n_numbers);

#endif
