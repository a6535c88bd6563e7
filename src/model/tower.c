/*
 * tower.c: a vector for a user that training did not know, by their features alone; see tower.h.
 */
#include "model/tower.h"

#include "core/features.h"
#include "core/kernel.h"
#include "core/ops.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

#define USERS 0                 /* by convention of train/fit.h */

bool
gnn_has_tower(const GnnConfig *config)
{
    const GnnModel *model = gnn_models[config->model];

    return model->tower != NULL && (config->layers > 0 || !model->linear);
}

bool
gnn_keeps_tower(const GnnConfig *config, const GnnGraph *graph)
{
    return gnn_has_tower(config) && gnn_type_has_features(graph, USERS);
}

static int64_t
encoder_size(const GnnConfig *config)
{
    return config->encoder == GNN_ENCODER_MLP ? (int64_t) config->dim * config->dim : 0;
}

int64_t
gnn_tower_size(const GnnConfig *config)
{
    bool        has_layers = gnn_models[config->model]->tower_layers != NULL;

    return gnn_has_tower(config) ? encoder_size(config) + (has_layers ? (int64_t) config->layers * config->dim * config->dim : 0)
        : 0;
}

/* the step that features come in by */
static const GnnPlanStep *
encoding(const GnnPlan *plan)
{
    const GnnPlanStep *step = plan->steps;

    while (step->op != &gnn_encode)
        step++;
    return step;
}

int
gnn_tower_weights(const GnnMat *weights[GNN_MAX_LAYERS + 1], const GnnPlan *plan, const GnnConfig *config)
{
    int         n = 0;

    if (encoder_size(config) > 0)
        weights[n++] = encoding(plan)->with[0];
    if (gnn_models[config->model]->tower_layers == NULL)
        return n;
    gnn_models[config->model]->tower_layers(weights + n, plan, config);
    return n + config->layers;
}

const real *
gnn_tower_features(const GnnPlan *plan)
{
    const GnnMat *e = encoding(plan)->weight;

    return e->val + plan->features->first[USERS] * e->dim;
}

bool
gnn_tower(real *out, real *sum, const GnnConfig *config, const real *weights, double degree)
{
    int64_t     dim = config->dim;
    real        h0[GNN_MAX_DIM];
    double      norm;

    gnn_input_of_features(h0, sum, encoder_size(config) > 0 ? weights : NULL, dim);
    gnn_models[config->model]->tower(out, h0, weights + encoder_size(config), config, degree);
    norm = gnn_inner(out, out, dim);
    if (norm > 0 && isfinite(norm))
        return true;
    memset(out, 0, dim * sizeof(real));
    return false;
}
