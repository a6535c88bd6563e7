/*
 * induct.h: a vector for a node that training did not know, by the model's own layers.
 *
 * A layer of an inductive model makes a node's next state of its state and of what its neighbours send it, by weights that all
 * nodes share. So a new node needs no training: it goes through the layers with what its neighbours sent in the last pass of
 * the training, which is stored with them. It has learned no row of the input to start from: the mean of its neighbours' stands
 * in for that (of zeros less is found: README, what is measured). They do not hear of it: that is what it misses of a training.
 *
 * Part of serving: nothing here takes memory, calls BLAS or a thread. In gnnrec.so `real` is float, and what was stored is
 * read where it lies.
 */
#ifndef GNN_MODEL_INDUCT_H
#define GNN_MODEL_INDUCT_H

#include "core/plan.h"
#include "model/config.h"

/* the widest row that is stored of a neighbour: it fits on the stack */
#define GNN_MAX_WIDTH ((GNN_MAX_LAYERS + 1) * GNN_MAX_DIM)

/* what is known of a new node */
typedef struct GnnInduct
{
    const GnnConfig *config;
    const real *weights;        /* gnn_n_weights of them */
    const real *messages;       /* rows of gnn_fold_in_width: of each node the input's row, and what it sends in each layer */
    int64_t     n;              /* edges of the new node */
    const int32_t *idx;         /* where each leads: a row of messages */
    const float *weight;        /* of each, above zero; NULL: all 1 */
} GnnInduct;

/* does a training with this configuration make what gnn_induct needs? Not without layers */
extern bool gnn_is_inductive(const GnnConfig *config);

/*
 * Reals that are stored of a node for those that come later; and weights that are stored with the run, 0 where none are: those of
 * an inductive model, or of the users' tower (tower.h), where they have features
 */
extern int64_t gnn_fold_in_width(const GnnConfig *config);
extern int64_t gnn_n_weights(const GnnConfig *config);

/* does a training on the graph make these weights? */
extern bool gnn_keeps_weights(const GnnConfig *config, const GnnGraph *graph);

/* those of an inductive model, in a plan that has been written and allocated */
extern const real *gnn_plan_weights(const GnnPlan *plan, const GnnConfig *config);

/* out = the node's vector, dim reals; false, and zeros: there are no edges, or no finite vector with a direction comes of them */
extern bool gnn_induct(real *out, const GnnInduct *in);

/* ---- what models write their layers with ---- */

/* out = the node's row in the input, which is where the mean of all layers, the plan's last step, starts */
extern void gnn_input_row(real *out, const GnnPlan *plan, int64_t node);

/* out = the rows that a node has in the inputs of a plan's steps of one kind, side by side; returns how many there are */
extern int  gnn_step_inputs(real *out, const GnnPlan *plan, const GnnOp *op, int64_t node);

/* y += x w, x one row of n reals, w n x dim */
extern void gnn_add_product(real *y, const real *x, const real *w, int64_t n, int64_t dim);

/* x becomes f(x): x where x > 0, slope x elsewhere */
extern void gnn_activate(real *x, real slope, int64_t n);

/* the sum of the edges' weights */
extern double gnn_induct_degree(const GnnInduct *in);

static inline double
gnn_induct_weight(const GnnInduct *in, int64_t edge)
{
    return in->weight != NULL ? in->weight[edge] : 1;
}

/* what is stored of an edge's end */
static inline const real *
gnn_induct_row(const GnnInduct *in, int64_t edge)
{
    return in->messages + in->idx[edge] * gnn_fold_in_width(in->config);
}

/* out = the weighted mean of n numbers of those rows, from column `first` on */
extern void gnn_induct_mean(real *out, const GnnInduct *in, int64_t first, int64_t n);

/*
 * out = degree^power / |x| x, as the plan's op of that name ends (core/ops_mean.c); zeros where x has no direction, and of length
 * 1 where the degree is 0
 */
extern void gnn_sized(real *out, const real *x, int64_t dim, double degree, double power);
extern void gnn_induct_sized(real *out, const real *x, const GnnInduct *in, double power);

#endif
