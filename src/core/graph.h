/*
 * graph.h: what is learned from: nodes by type, edges by relation, features of nodes.
 *
 * A node type is a number range of the whole graph, a relation a CSR between two types. Nothing
 * here knows "user" or "item": the first relation of a recommender goes from type 0 (users) to
 * type 1 (items), and that is a convention of train/, not of the graph.
 */
#ifndef GNN_CORE_GRAPH_H
#define GNN_CORE_GRAPH_H

#include "core/csr.h"

#define GNN_MAX_TYPES 16
#define GNN_MAX_RELATIONS 64

typedef struct GnnNodes
{
    const char *name;           /* 'user', 'item' */
    int32_t     n;
    int64_t     first;          /* node i of this type is node first + i of the graph */
} GnnNodes;

typedef struct GnnRelation
{
    const char *name;           /* 'interaction' */
    int         from;           /* node types */
    int         to;
    GnnCsr      edges;          /* rows: from, columns: to; weights <= 0 are kept, and are no edges */
} GnnRelation;

typedef struct GnnGraph
{
    int         n_types;
    int         n_relations;
    int64_t     n_nodes;        /* of all types together */
    GnnNodes    types[GNN_MAX_TYPES];
    GnnRelation relations[GNN_MAX_RELATIONS];
    GnnCsr      features[GNN_MAX_TYPES];    /* of the nodes of a type: n x n_features; n_cols = 0 where there are none */
    int64_t     n_feature_values[GNN_MAX_TYPES];    /* entries of those: what an estimate goes by */
} GnnGraph;

/* appends a node type / a relation; return its number */
extern int gnn_graph_add_nodes(GnnGraph *g, const char *name, int32_t n);
extern int gnn_graph_add_relation(GnnGraph *g, const char *name, int from, int to, const GnnCsr *edges);

/* the features of a type's nodes; a feature's number may be below zero */
extern void gnn_graph_set_features(GnnGraph *g, int type, const GnnCsr *features);

#endif
