/*
 * evaluation.h: what evaluate() and evaluate_table() share: the cutoffs k, the columns of ids, the truth, the sums.
 *
 * Everything is palloc'd in the current memory context. Sums are formed in double in the order of user ids, so that the same
 * rows give the same figures however they were scanned.
 */
#ifndef GNNREC_API_EVALUATION_H
#define GNNREC_API_EVALUATION_H

#include "postgres.h"

#include "fmgr.h"

#include "core/csr.h"
#include "core/metric.h"
#include "pg/idmap.h"
#include "pg/source.h"

/* the k of each metric@k, as the caller gave them */
typedef struct GnnrecCutoffs
{
    int         n;
    int32      *k;
    int32       largest;
} GnnrecCutoffs;

/* ERROR unless an array of 1 to 100 numbers from 1 to ten million */
extern void gnnrec_cutoffs_argument(GnnrecCutoffs *out, FunctionCallInfo fcinfo, int argument);

/* ERROR where an argument is NULL */
extern void gnnrec_evaluation_required(FunctionCallInfo fcinfo, int argument, const char *what);

/*
 * The type of the ids in a column, which must be that of `expected` underneath (NULL: any). ERROR where it is not, where there
 * is no such relation or column, or where it cannot hold ids.
 */
extern void gnnrec_id_column(GnnrecKeyType *out, Oid relation, const char *column, const GnnrecKeyType *expected);

/* the pairs of ids in two columns of a relation, with what stands in value_column; a NOTICE where an id is NULL */
extern void gnnrec_pairs_read(GnnrecInteractions *out, const GnnrecRelation *relation, GnnrecIdMap *users, GnnrecIdMap *items);

/* what each user should be recommended */
typedef struct GnnrecTruth
{
    GnnrecIdMap users;          /* keys ascending */
    GnnrecIdMap items;          /* keys ascending */
    GnnCsr      items_of;       /* users x items, each pair once; a user may have none */
} GnnrecTruth;

/*
 * Sorts out->users and out->items, and makes items_of from pairs whose ends they number. new_user and new_item (NULL: not
 * wanted) get what number an old one became.
 */
extern void gnnrec_truth_build(GnnrecTruth *out, const GnnrecInteractions *pairs, int32 **new_user, int32 **new_item);

/* the sums of the metrics over users, for each cutoff */
typedef struct GnnrecTally
{
    const GnnrecCutoffs *cutoffs;
    double      (*sum)[GNN_N_METRICS];
    int64       n_users;
} GnnrecTally;

extern void gnnrec_tally_init(GnnrecTally *out, const GnnrecCutoffs *cutoffs);

/* one more user: whether each place of the list holds an item of the truth, which has n_truth of them */
extern void gnnrec_tally_add(GnnrecTally *tally, const bool *hit, int32 n_listed, int64 n_truth);

#endif
