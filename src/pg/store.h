/*
 * store.h: a trained run into the model's tables.
 */
#ifndef GNNREC_PG_STORE_H
#define GNNREC_PG_STORE_H

#include "postgres.h"

#include "pg/catalog.h"
#include "pg/idmap.h"
#include "train/fit.h"

/* what training made, by node type, and the interactions users have seen */
typedef struct GnnrecTrained
{
    const GnnrecModel *model;
    int64       run_id;
    int         dim;
    const GnnrecIdMap *ids;     /* [type], keys in the order of numbers */
    const GnnFit *fit;
    const GnnCsr *seen;         /* users x items: relation 0, weights <= 0 included */
    const GnnCsr *hidden;       /* those of seen that hide the item from the user; NULL: all do */
    int         fold_in_width;  /* floats of an item's fold_in */
    const double *interactions; /* of each item: the sum of the weights above zero of seen; gnnrec_store_run() sees to it */
} GnnrecTrained;

/* ERROR where a table of the model is gone: better before the training than after it */
extern void gnnrec_store_check(const GnnrecModel *model);

/* writes the rows of a run, in the current transaction, as the owner of each table */
extern void gnnrec_store_run(const GnnrecTrained *trained);

/* a one-dimensional array of elements of 4 bytes, without NULLs, in the current memory context */
extern Datum gnnrec_store_array(Oid element, const void *data, int64 n);

/* deletes the rows of all runs but those named (a run whose number is not in keep) */
extern void gnnrec_store_delete_others(const GnnrecModel *model, const int64 *keep, int n_keep);

#endif
