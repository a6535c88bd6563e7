/*
 * models.c: the list of all models, and what several of them share. Parameters, tests and documentation walk it.
 */
#include "model/model.h"

#include <math.h>

const GnnModel *const gnn_models[] = {&gnn_lightgcn, &gnn_gcn, &gnn_mf, &gnn_ngcf, &gnn_graphsage, &gnn_gat, &gnn_ggnn,
                                      &gnn_pinsage, &gnn_rgcn, &gnn_kgat, &gnn_dnn};
const int   gnn_n_models = sizeof(gnn_models) / sizeof(gnn_models[0]);

GnnFoldIn
gnn_model_folds_in(const GnnModel *model)
{
    return model->linear ? GNN_FOLD_IN_EXACT : model->induct != NULL ? GNN_FOLD_IN_INDUCTIVE
        : model->tower != NULL ? GNN_FOLD_IN_FEATURES : GNN_FOLD_IN_MEAN;
}

const char *
gnn_fold_in_name(GnnFoldIn how)
{
    static const char *const names[] = {"exact", "inductive", "features", "mean"};

    return names[how];
}

bool
gnn_model_is_typed(const GnnConfig *config)
{
    const GnnModel *model = gnn_models[config->model];

    return model->typed != NULL && model->typed(config);
}

bool
gnn_model_always_typed(const GnnConfig *config)
{
    return true;
}

void
gnn_fold_in_mean(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node)
{
    real        size = (real) sqrt(plan->adjacency->degree[node]);

    for (int64_t c = 0; c < z->dim; c++)
        out[c] = size * z->val[node * z->dim + c];
}

GnnMat *
gnn_model_weight(GnnPlan *plan, const GnnConfig *config)
{
    return gnn_plan_parameter(plan, config->dim, config->dim, GNN_START_IDENTITY, GNN_MODEL_NOISE / sqrt(config->dim));
}
