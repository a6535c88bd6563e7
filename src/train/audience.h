/*
 * audience.h: what nodes of further types are ranked by for a user: the vectors of the users they reach.
 *
 * A brand's own vector says which items and brands are like it. Whether a user wants it is another question: a brand of many
 * items has a vector near their mean, which is near nothing in particular, however loved they are. So a node T is ranked for a
 * user by
 *
 *     a_T = 1/sqrt(W_T) sum_u W_uT z_u,  W_uT = sum over paths from u to T of the product of their weights,  W_T = sum_u W_uT,
 *
 * sqrt(W_T) times the weighted mean of its users' vectors, as for an item that came after the training. Paths are the shortest
 * ones there are between the types: user - item - brand, or user - brand where such a relation was given.
 */
#ifndef GNN_TRAIN_AUDIENCE_H
#define GNN_TRAIN_AUDIENCE_H

#include "core/graph.h"

typedef struct GnnAudience
{
    const GnnGraph *graph;
    int64_t     dim;
    int         distance[GNN_MAX_TYPES];    /* of a type from the users', in relations; -1: there is no way */
    double     *vector[GNN_MAX_TYPES];      /* [type] -> n x dim: a; NULL for users, and where there are no further types */
    double     *weight[GNN_MAX_TYPES];      /* [type] -> n: W */
} GnnAudience;

/* from the graph's shape alone; takes nothing where there are users and items only */
extern void gnn_audience_allocate(GnnAudience *a, GnnArena *arena, const GnnGraph *graph, int64_t dim);

/* reads the graph's edges, those with weights above zero; users: n x dim */
extern void gnn_audience_run(GnnAudience *a, const float *users);

/* has a node an audience, of a weight that a float can hold? */
extern bool gnn_audience_reaches(const GnnAudience *a, int type, int64_t node);

#endif
