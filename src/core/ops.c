/*
 * ops.c: the list of all steps. A test that walks it fails until a new one is in its cases too.
 */
#include "core/ops.h"

const GnnOp *const gnn_ops[] = {
    &gnn_propagate, &gnn_propagate_mean, &gnn_neighbour_mean, &gnn_neighbour_max, &gnn_visited_sum, &gnn_attend, &gnn_edge_prior,
    &gnn_dense, &gnn_join, &gnn_interact, &gnn_bi_interact, &gnn_mean, &gnn_sized_mean, &gnn_gru, &gnn_relation_sum,
    &gnn_relation_attention, &gnn_weighted_sum, &gnn_transr, &gnn_encode, &gnn_perturb,
};
const int   gnn_n_ops = sizeof(gnn_ops) / sizeof(gnn_ops[0]);
