/*
 * graph.c: putting a graph together. The graph owns nothing: its CSRs stay their maker's.
 */
#include "core/graph.h"

#include <assert.h>

int
gnn_graph_add_nodes(GnnGraph *g, const char *name, int32_t n)
{
    assert(g->n_types < GNN_MAX_TYPES && n >= 0);
    g->types[g->n_types] = (GnnNodes) {.name = name, .n = n, .first = g->n_nodes};
    g->n_nodes += n;
    return g->n_types++;
}

int
gnn_graph_add_relation(GnnGraph *g, const char *name, int from, int to, const GnnCsr *edges)
{
    assert(g->n_relations < GNN_MAX_RELATIONS);
    assert(from >= 0 && from < g->n_types && to >= 0 && to < g->n_types);
    assert(edges->n == g->types[from].n && edges->n_cols == g->types[to].n);
    g->relations[g->n_relations] = (GnnRelation) {.name = name, .from = from, .to = to, .edges = *edges};
    return g->n_relations++;
}

void
gnn_graph_set_features(GnnGraph *g, int type, const GnnCsr *features)
{
    assert(type >= 0 && type < g->n_types && features->n == g->types[type].n);
    g->features[type] = *features;
    g->n_feature_values[type] = features->ptr[features->n];
}
