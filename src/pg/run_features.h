/*
 * run_features.h: what a run made of the features of its users, kept in gnnrec.run_feature and run_feature_column for those who
 * come later. A user's row of the catalogue as it is now, by the columns of then, is what model/tower.h starts from.
 *
 * There is a row for each column of the matrix that some user had, keyed by the feature and the column's number within it; so a
 * call looks a few rows up, however many there are, and holds none of them.
 */
#ifndef GNNREC_PG_RUN_FEATURES_H
#define GNNREC_PG_RUN_FEATURES_H

#include "postgres.h"

#include "pg/features.h"

/* writes what is kept of a run, as the owner of the extension: n features, their matrix, and of each of its columns dim floats */
extern void gnnrec_run_features_store(int64 run_id, const GnnrecFeatureCode *codes, int n, const GnnCsr *matrix,
                                      const float *vectors, int dim);

/*
 * sum = of the vectors of what the catalogue, read with the rights of the model's owner, says of a user now; false: it says
 * nothing that the run knows. Values that no user had in the training say nothing.
 */
extern bool gnnrec_run_features_sum(float *sum, int dim, int32 model_id, int64 run_id, Datum user_id);

#endif
