/*
 * feature_column.h: columns of catalogues as features: which will do as what, and how the server is asked for them.
 *
 *     category    a column of the matrix a value, 1 where the node has it; of an array each element is a value
 *     number      one column, brought to mean 0 and deviation 1 over the catalogue; another tells the missing
 *     text        words, hashed to `size` columns
 *     vector      a column a dimension, each as a number, times 1 / sqrt(dimensions); another tells the missing
 *
 * What comes in pieces, n words or n elements, weighs 1 / sqrt(n) each: a long text says no more than a short one.
 */
#ifndef GNNREC_PG_FEATURE_COLUMN_H
#define GNNREC_PG_FEATURE_COLUMN_H

#include "postgres.h"

#include "pg/catalog.h"

#define GNNREC_DEFAULT_BUCKETS 16384    /* columns of a text whose feature has no size */
#define GNNREC_MAX_BUCKETS 1048576

typedef enum GnnrecFeatureKind
{
    GNNREC_CATEGORY,
    GNNREC_NUMBER,
    GNNREC_TEXT,
    GNNREC_VECTOR
} GnnrecFeatureKind;

/* ERROR where it is none */
extern GnnrecFeatureKind gnnrec_feature_kind(const GnnrecFeature *feature);

/* the kind that a column of the type is where nobody says; 'category' where nothing else fits */
extern const char *gnnrec_feature_default_kind(Oid type);

/* of the feature's column; ERROR where the node type has no catalogue, or that no such column */
extern Oid  gnnrec_feature_column_type(const GnnrecNodeType *type, const GnnrecFeature *feature);
extern bool gnnrec_feature_is_array(const GnnrecNodeType *type, const GnnrecFeature *feature);

/* the same, and ERROR where the kind is none for the column's type, or takes no size or another one */
extern void gnnrec_feature_check(const GnnrecNodeType *type, const GnnrecFeature *feature, bool has_size);

/* can the column still be a feature of that kind? Not where it is gone */
extern bool gnnrec_feature_fits(const GnnrecNodeType *type, const GnnrecFeature *feature);

/* what is in it, of row s of the catalogue, as text, text[], float8 or float8[] */
extern char *gnnrec_feature_expression(const GnnrecNodeType *type, const GnnrecFeature *feature);

/* counted by the server */
typedef struct GnnrecFeatureCount
{
    int64       n_columns;      /* at most */
    int64       n_values;       /* entries of the matrix, at most */
    int64       n_bytes;        /* of the dictionary: all its values */
    bool        has_dictionary; /* of n_columns values */
} GnnrecFeatureCount;

extern void gnnrec_feature_count(GnnrecFeatureCount *out, const GnnrecNodeType *type, const GnnrecFeature *feature);

#endif
