/*
 * features.c: the blocks of F, numbered and transposed; see features.h.
 */
#include "core/features.h"

void
gnn_features_open(GnnFeatures *features, const GnnGraph *graph)
{
    *features = (GnnFeatures) {.graph = graph};
    for (int t = 0; t < graph->n_types; t++)
    {
        features->first[t] = features->n;
        features->n += graph->features[t].n_cols;
    }
}

void
gnn_features_fill(GnnFeatures *features, GnnArena *arena)
{
    for (int t = 0; t < features->graph->n_types; t++)
        if (gnn_type_has_features(features->graph, t))
            gnn_csr_transpose(&features->transposed[t], arena, &features->graph->features[t]);
}

int64_t
gnn_features_bytes(const GnnFeatures *features)
{
    const GnnGraph *g = features->graph;
    int64_t     bytes = 0;

    for (int t = 0; t < g->n_types; t++)
        if (gnn_type_has_features(g, t))
            bytes += g->n_feature_values[t] * (int64_t) (sizeof(int32_t) + sizeof(float))
                + ((int64_t) g->features[t].n_cols + 1) * (int64_t) sizeof(int64_t);
    return bytes;
}
