/*
 * input.c: what every model starts from: the rows H_0 of all nodes, n_nodes x dim.
 *
 * A learned vector a node. It starts small beside what the learning rate moves it in a few steps.
 */
#include "model/model.h"

#define START 0.1

GnnMat *
gnn_model_input(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config)
{
    return gnn_plan_node_parameter(plan, graph->n_nodes, config->dim, GNN_START_NORMAL, START);
}
