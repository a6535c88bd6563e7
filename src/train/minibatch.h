/*
 * minibatch.h: a step of training on a sample of the graph, where one on the whole would take too much memory or too long.
 *
 * There are two plans of one model: of the whole graph, which only goes forwards and holds what is learned, and of the sample.
 * A step copies the rows of the nodes in the sample, and of their features, goes forwards and back on the plan of the sample, and
 * moves those rows and the weights, which both plans share. Of what is as large as the graph there are the learned rows and their
 * two running means.
 */
#ifndef GNN_TRAIN_MINIBATCH_H
#define GNN_TRAIN_MINIBATCH_H

#include "model/model.h"
#include "train/adam.h"
#include "train/decay.h"
#include "train/subgraph.h"

typedef struct GnnMinibatch
{
    const GnnPlan *whole;
    const GnnLoss *loss;
    GnnSubgraph sub;
    GnnPlan     plan;           /* of the sample */
    GnnMat     *z;
    void       *loss_state;
    double      decay_weight;   /* a node */
    GnnDecay    decay;
    GnnRowAdam  rows[GNN_MAX_MATS];         /* by parameter: of those with a row a node or feature ... */
    GnnAdam     weights[GNN_MAX_MATS];      /* ... and of the others */
} GnnMinibatch;

/* memory, from shapes alone; rate as it is, decay_weight of all nodes; each parameter is clipped by itself */
extern void gnn_minibatch_allocate_optimiser(GnnMinibatch *batch, GnnArena *arena, const GnnConfig *config,
                                             const GnnPlan *whole, double rate, double decay_weight);
extern void gnn_minibatch_allocate(GnnMinibatch *batch, GnnArena *arena, const GnnModel *model, const GnnLoss *loss,
                                   const GnnGraph *graph, const GnnPlan *whole, const GnnTask *task);

/* reads graph and task */
extern void gnn_minibatch_open(GnnMinibatch *batch);

/* returns the loss of the sample */
extern double gnn_minibatch_step(GnnMinibatch *batch, int64_t step);

#endif
