/*
 * walk.h: random walks along edges, and whom they visit most.
 *
 * A walk goes from a node to a neighbour with the chance that is the edge's share of the node's weight. Where a node's walks go
 * depends on seed and node alone.
 */
#ifndef GNN_CORE_WALK_H
#define GNN_CORE_WALK_H

#include "core/directed.h"
#include "core/rng.h"

typedef struct GnnWalker
{
    const GnnAdjacency *adjacency;
    float      *heaviest;       /* [n_nodes] of the values a node's edges are chosen by */
} GnnWalker;

extern void gnn_walker_allocate(GnnWalker *walker, GnnArena *arena, int64_t n_nodes);
extern void gnn_walker_open(GnnWalker *walker, GnnTeam *team, const GnnAdjacency *adjacency);

/* one step from a node that has edges */
extern int32_t gnn_walker_step(const GnnWalker *walker, int32_t node, GnnRng *rng);

/* for every node, the nodes that its walks visit most, itself left out, by their share of the visits to those kept */
typedef struct GnnVisits
{
    int         walks;          /* from each node */
    int         length;         /* steps of a walk, after which the next starts at the node again */
    int         kept;           /* nodes, at most */
    int64_t     seed;
    GnnWalker   walker;
    GnnDirected shares;         /* what comes of it */
    struct GnnVisit *visits;    /* thread x walks x length */
} GnnVisits;

/* walks, length, kept and seed come filled in */
extern void gnn_visits_allocate(GnnVisits *visits, GnnArena *arena, int64_t n_nodes, int threads);
extern void gnn_visits_fill(GnnVisits *visits, GnnTeam *team, const GnnAdjacency *adjacency);

#endif
