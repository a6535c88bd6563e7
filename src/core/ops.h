/*
 * ops.h: the steps a model can be written with. Each function adds one to a plan and returns its result.
 */
#ifndef GNN_CORE_OPS_H
#define GNN_CORE_OPS_H

#include "core/plan.h"

extern const GnnOp gnn_propagate;
extern const GnnOp gnn_propagate_mean;
extern const GnnOp gnn_dense;
extern const GnnOp gnn_join;
extern const GnnOp gnn_interact;
extern const GnnOp gnn_bi_interact;
extern const GnnOp gnn_mean;
extern const GnnOp gnn_sized_mean;
extern const GnnOp gnn_neighbour_mean;
extern const GnnOp gnn_neighbour_max;
extern const GnnOp gnn_visited_sum;
extern const GnnOp gnn_attend;
extern const GnnOp gnn_edge_prior;
extern const GnnOp gnn_gru;
extern const GnnOp gnn_encode;
extern const GnnOp gnn_relation_sum;
extern const GnnOp gnn_relation_attention;
extern const GnnOp gnn_weighted_sum;
extern const GnnOp gnn_transr;
extern const GnnOp gnn_perturb;

/* all of them, so that tests can leave none out */
extern const GnnOp *const gnn_ops[];
extern const int gnn_n_ops;

/*
 * What a step that goes along edges hands out instead of its result x: x, or where the plan has noise the result of one more step
 * that adds it; see core/ops_noise.c. A fused step of several layers perturbs them itself, from 0 on.
 */
extern GnnMat *gnn_op_along_edges(GnnPlan *plan, GnnMat *x);
extern void gnn_perturb_layer(const GnnPlan *plan, const GnnPlanStep *step, int layer, real *rows);

/* own x + across A_hat x */
extern GnnMat *gnn_op_propagate(GnnPlan *plan, GnnMat *x, double own, double across);

/* the mean of x, A_hat x, ... A_hat^layers x */
extern GnnMat *gnn_op_propagate_mean(GnnPlan *plan, GnnMat *x, int layers);

/*
 * The inner sum of that step, x + A_hat x + ... A_hat^(layers - 1) x, as its last forward pass left it;
 * layers >= 1. A backward pass overwrites it.
 */
extern const real *gnn_propagate_mean_inner(const GnnPlanStep *step);

/*
 * Products with weights. f(y) is y where y > 0, slope y elsewhere: slope 1 is no activation, 0 is ReLU. In training, a number of
 * the result is 0 with probability `dropout`, else divided by 1 - dropout.
 *
 *     dense: f(x w);  join: f(x w + a v);  interact: f((x + a) w + (x * a) v), * element by element;
 *     bi_interact: f((x + a) w) + f((x * a) v)
 */
extern GnnMat *gnn_op_dense(GnnPlan *plan, GnnMat *x, GnnMat *w, double slope, double dropout);
extern void gnn_op_dense_into(GnnPlan *plan, GnnMat *out, GnnMat *x, GnnMat *w, double slope, double dropout);
extern GnnMat *gnn_op_join(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout);
extern GnnMat *gnn_op_interact(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout);
extern GnnMat *gnn_op_bi_interact(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *a, GnnMat *v, double slope, double dropout);

/* the mean of n matrices, n <= GNN_MAX_INPUTS; of one several times, if it is there so often */
extern GnnMat *gnn_op_mean(GnnPlan *plan, GnnMat *const *x, int n);

/* the same, each row brought to length degree^power; see core/ops_mean.c */
extern GnnMat *gnn_op_sized_mean(GnnPlan *plan, GnnMat *const *x, int n, double power);

/* D^-1 A x, the mean over neighbours by weight */
extern GnnMat *gnn_op_neighbour_mean(GnnPlan *plan, GnnMat *x);

/* number by number, the largest that a neighbour has in f(x w); 0 without neighbours */
extern GnnMat *gnn_op_neighbour_max(GnnPlan *plan, GnnMat *x, GnnMat *w, double slope);

/* the sum, by the shares of the plan's `visited`, of f(x w) */
extern GnnMat *gnn_op_visited_sum(GnnPlan *plan, GnnMat *x, GnnMat *w, double slope);

/* f(x w) of either step, a row a node, as its last forward pass left them; a backward pass spoils them */
extern const real *gnn_pool_terms(const GnnPlanStep *step);

/*
 * f of the attention of each head's columns over neighbours and node; att is 2 x dim, slope > 0; see core/ops_attend.c. Edges
 * count by weight, or all alike (even). The typed form has them from the typed graph: prior is what each counts; bias, a row a
 * directed relation (there may be more rows) of a number a head, is what its relation adds to the exponent.
 */
extern GnnMat *gnn_op_attend(GnnPlan *plan, GnnMat *h, GnnMat *att, int heads, double slope, bool even);
extern GnnMat *gnn_op_attend_typed(GnnPlan *plan, GnnMat *h, GnnMat *att, GnnMat *prior, GnnMat *bias, int heads, double slope);
extern GnnMat *gnn_op_edge_prior(GnnPlan *plan);

/* heads there are of so many wanted: each has a column */
extern int  gnn_attend_heads(int heads, int64_t dim);

/* the next state, from state h and message m; w and u are dim x 3 dim: candidate, update and reset gate; see core/ops_gru.c */
extern GnnMat *gnn_op_gru(GnnPlan *plan, GnnMat *h, GnnMat *m, GnnMat *w, GnnMat *u, double dropout);

/*
 * Learned vectors x plus what features say: F e, or f(F e) w where there is a w; F is plan->features, which has to be there. x of
 * a node without edges is left out. alone: features stand alone for types that have some, and x has the rows of the other types
 * only; see core/ops_encode.c.
 */
extern GnnMat *gnn_op_encode(GnnPlan *plan, GnnMat *x, GnnMat *e, GnnMat *w, double slope, bool alone);

/*
 * f(x w_0 + sum of D_r^-1 A_r x w_r), w_r = sum of mix_rb v_b, over the directed relations r of the typed graph; w has w_0 and
 * the bases v one below the other, mix a row a directed relation; see core/ops_relation.c
 */
extern GnnMat *gnn_op_relation_sum(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *mix, double slope, double dropout);

/*
 * On the typed graph, with matrices w (one a directed relation, one below the other, each x's dim square) and rows b (likewise):
 * what each edge weighs among its node's, from what relates its ends (see core/ops_attend_relation.c), a constant; the sum over
 * neighbours by such weights; and TransR's objective, 1 x 1, times `weight` (see core/ops_transr.c).
 */
extern GnnMat *gnn_op_relation_attention(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *b);
extern GnnMat *gnn_op_weighted_sum(GnnPlan *plan, GnnMat *x, GnnMat *weight);
extern GnnMat *gnn_op_transr(GnnPlan *plan, GnnMat *x, GnnMat *w, GnnMat *b, double weight);

#endif
