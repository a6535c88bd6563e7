/*
 * models.c: the list of all models, and what several of them share. Parameters, tests and documentation walk it.
 */
#include "model/model.h"

#include <math.h>

const GnnModel *const gnn_models[] = {&gnn_lightgcn, &gnn_gcn, &gnn_mf, &gnn_ngcf, &gnn_graphsage, &gnn_gat, &gnn_ggnn,
                                      &gnn_pinsage, &gnn_rgcn, &gnn_kgat, &gnn_dnn};
const int   gnn_n_models = sizeof(gnn_models) / sizeof(gnn_models[0]);

void
gnn_fold_in_mean(float *out, const GnnPlan *plan, const GnnMat *z, const GnnNodes *nodes)
{
    for (int64_t i = 0; i < nodes->n; i++)
        for (int64_t c = 0; c < z->dim; c++)
            out[i * z->dim + c] = (float) (sqrt(plan->adjacency->degree[nodes->first + i]) *
                                           z->val[(nodes->first + i) * z->dim + c]);
}
