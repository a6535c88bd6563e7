/*
 * features.c: the blocks of F, numbered and transposed; see features.h.
 */
#include "core/features.h"

void
gnn_features_number(GnnFeatures *features)
{
    const GnnGraph *g = features->graph;

    features->n = 0;
    for (int t = 0; t < g->n_types; t++)
    {
        features->first[t] = features->n;
        features->n += g->features[t].n_cols;
    }
}

void
gnn_features_open(GnnFeatures *features, const GnnGraph *graph)
{
    *features = (GnnFeatures) {.graph = graph};
    gnn_features_number(features);
}

void
gnn_features_allocate(GnnFeatures *features, GnnArena *arena)
{
    const GnnGraph *g = features->graph;

    for (int t = 0; t < g->n_types; t++)
        if (gnn_type_has_features(g, t))
            features->transposed[t] = (GnnCsr) {.ptr = gnn_alloc(arena, (int64_t) g->features[t].n_cols + 1, sizeof(int64_t)),
                                                .idx = gnn_alloc(arena, g->n_feature_values[t], sizeof(int32_t)),
                                                .val = gnn_alloc(arena, g->n_feature_values[t], sizeof(float))};
}

void
gnn_features_fill(GnnFeatures *features)
{
    const GnnGraph *g = features->graph;

    for (int t = 0; t < g->n_types; t++)
        if (gnn_type_has_features(g, t))
            gnn_csr_transpose_into(&features->transposed[t], &g->features[t]);
}
