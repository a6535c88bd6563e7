/*
 * subgraph.h: a small graph around a few users, drawn anew each step: what a step looks at, where the whole is too much.
 *
 * Users are drawn, of each some of her interactions, and items as negatives: the seeds. `layers` times, each node reached takes
 * up to `fanout` of its neighbours along. The sample's nodes are numbered as in the whole graph, without the gaps, so that a node
 * type is a range of them too.
 *
 * Row v of the sampled matrix has the neighbours that v drew itself, at A_hat_vu over the chance to be drawn: on average,
 * whatever the rest of the sample, it is row v of A_hat. The matrix is not symmetric, then: that u was drawn by v is no chance at
 * all for a row of u. Nodes reached last have empty rows; by then nobody asks what their neighbours say. Features are those of
 * the sample's nodes, numbered likewise.
 *
 * How a node draws is what `sampling` says. One with no more than `fanout` edges takes all of them, as they are. 'neighbours'
 * takes some, each as likely as any, none twice (GraphSAGE: Hamilton et al., NIPS 2017). With 'walks', `fanout` random walkers
 * leave the node, each by an edge chosen by its weight, and an edge counts by how many took it, over the chance of that (Hansen
 * and Hurwitz, 1943): what a seed draws are random walks of `layers` steps that branch at every node. The walkers' shares of
 * a row add up to 1, whatever was drawn; with even draws they do so on average only, the less surely the more uneven weights are.
 *
 * GraphSAINT's random walks (Zeng et al., ICLR 2020) do not branch, and its sample is all edges among the nodes they came by. The
 * chances of these are estimated, a number an edge, on many samples before training, and how many there will be is not known.
 * Here chances are known, and so is the most that a sample can have.
 *
 * Memory follows from the configuration, not from the graph, but for two numbers a node and, where nodes have features, for as
 * much as these take: a few nodes may have most of them. What is drawn depends on seed, step and node alone.
 */
#ifndef GNN_TRAIN_SUBGRAPH_H
#define GNN_TRAIN_SUBGRAPH_H

#include "core/directed.h"
#include "core/features.h"
#include "core/walk.h"
#include "train/sample.h"
#include "train/user_sample.h"

typedef struct GnnSubgraph
{
    /* the whole */
    const GnnGraph *graph;
    const GnnAdjacency *adjacency;
    const GnnDirected *visited; /* a node's neighbours are those of its row; NULL: they are drawn from those it has edges to */
    const GnnTask *whole;
    GnnWalker   walker;         /* where sampling is 'walks' */

    /* what of it is drawn; nodes in the order they are found */
    GnnUserSample users;
    GnnAlias    negatives;      /* items, by their weight as negatives */
    int32_t    *pool;           /* items drawn so */
    int32_t    *found;          /* [nodes] numbers in the whole */
    int64_t     n_found;
    int64_t     n_asked;        /* of them, those that drew neighbours */
    int32_t    *n_drawn;        /* [asked] how many neighbours */
    int32_t    *drawn;          /* [asked] x fan: numbers in the whole, ascending */
    float      *value;          /* [asked] x fan */
    int64_t     fan;
    int32_t    *place;          /* [whole graph] order in which a node was found, then number in the sample; -1: not in it */
    GnnFeatures all;            /* features of the whole: their numbers alone */
    int32_t    *column;         /* [all features] number within the sample's of the type; -1: not in it */

    /* the sample */
    int64_t     max_nodes;
    int32_t    *node;           /* [nodes] numbers in the whole, ascending */
    GnnGraph    shape;          /* node types and features alone */
    int32_t    *feature;        /* [features] numbers in the whole, ascending */
    GnnFeatures features;
    GnnDirected drawn_by;       /* the sampled matrix and its transpose */
    GnnAdjacency sampled;       /* both on one structure; a graph of no edges where there is `visited` */
    GnnTask     task;
    double     *user_factor;    /* [users of the sample] */
    double     *negative_weight;        /* [items of the sample] */
} GnnSubgraph;

/* memory for the largest sample; adjacency, visited (NULL or not) and whole of their shapes only */
extern void gnn_subgraph_allocate(GnnSubgraph *sub, GnnArena *arena, const GnnGraph *graph, const GnnAdjacency *adjacency,
                                  const GnnDirected *visited, const GnnTask *whole);

/* reads the graph and the task */
extern void gnn_subgraph_open(GnnSubgraph *sub);

/* the sample of a step: node, shape, feature, features, drawn_by, sampled and task are of it from then on */
extern void gnn_subgraph_draw(GnnSubgraph *sub, int64_t step);

#endif
