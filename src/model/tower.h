/*
 * tower.h: a vector for a user that training did not know, by their features alone: the users' tower of a model that has two; or
 * what features are of the vector, where the model is linear and they and the user's items each add their share.
 *
 * A feature is a row of E, and a user starts from the sum of the rows of what is known of them; what follows is weights that all
 * users share. So it takes no neighbours. Stored with the run are the users' rows of E and these weights.
 *
 * Part of serving, as model/induct.h is: nothing here takes memory, calls BLAS or a thread.
 */
#ifndef GNN_MODEL_TOWER_H
#define GNN_MODEL_TOWER_H

#include "core/plan.h"
#include "model/config.h"

/* does the model have towers? And does a training on the graph make what gnn_tower needs? */
extern bool gnn_has_tower(const GnnConfig *config);
extern bool gnn_keeps_tower(const GnnConfig *config, const GnnGraph *graph);

/* reals of the weights: the encoder's, where it has one, and then those of the layers; 0 where the model has no towers */
extern int64_t gnn_tower_size(const GnnConfig *config);

/* the matrices of these weights, in their order, in a plan that has been allocated; returns how many there are */
extern int  gnn_tower_weights(const GnnMat *weights[GNN_MAX_LAYERS + 1], const GnnPlan *plan, const GnnConfig *config);

/* the rows of E that are the users' features */
extern const real *gnn_tower_features(const GnnPlan *plan);

/*
 * out = the vector of a user of that degree, dim reals; sum: of the rows of E of their features, each by its number; it is used
 * up. False, and zeros: no finite vector with a direction comes of it.
 */
extern bool gnn_tower(real *out, real *sum, const GnnConfig *config, const real *weights, double degree);

#endif
