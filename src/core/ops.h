/*
 * ops.h: the steps a model can be written with. Each function adds one to a plan and returns its result.
 */
#ifndef GNN_CORE_OPS_H
#define GNN_CORE_OPS_H

#include "core/plan.h"

extern const GnnOp gnn_propagate;
extern const GnnOp gnn_propagate_mean;
extern const GnnOp gnn_matmul;
extern const GnnOp gnn_leaky_relu;
extern const GnnOp gnn_dropout;

/* all of them, so that tests can leave none out */
extern const GnnOp *const gnn_ops[];
extern const int gnn_n_ops;

/* own x + across A_hat x */
extern GnnMat *gnn_op_propagate(GnnPlan *plan, GnnMat *x, double own, double across);

/* the mean of x, A_hat x, ... A_hat^layers x */
extern GnnMat *gnn_op_propagate_mean(GnnPlan *plan, GnnMat *x, int layers);

/*
 * The inner sum of that step, x + A_hat x + ... A_hat^(layers - 1) x, as its last forward pass left it;
 * layers >= 1. A backward pass overwrites it.
 */
extern const real *gnn_propagate_mean_inner(const GnnPlanStep *step);

/* x w */
extern GnnMat *gnn_op_matmul(GnnPlan *plan, GnnMat *x, GnnMat *w);

/* x where x > 0, slope x elsewhere; slope 0 is ReLU */
extern GnnMat *gnn_op_leaky_relu(GnnPlan *plan, GnnMat *x, double slope);

/* in training: 0 with this probability, else x / (1 - probability); otherwise x */
extern GnnMat *gnn_op_dropout(GnnPlan *plan, GnnMat *x, double probability);

#endif
