/*
 * losses.c: the list of all losses, and what they share.
 */
#include "train/loss.h"

#include <math.h>

const GnnLoss *const gnn_losses[] = {&gnn_softmax, &gnn_bpr, &gnn_bce, &gnn_mse};
const int   gnn_n_losses = sizeof(gnn_losses) / sizeof(gnn_losses[0]);

double
gnn_row_weight(const GnnCsr *a, int32_t row)
{
    double      sum = 0;

    if (a->val == NULL)
        return (double) (a->ptr[row + 1] - a->ptr[row]);
    for (int64_t e = a->ptr[row]; e < a->ptr[row + 1]; e++)
        sum += a->val[e];
    return sum;
}

void
gnn_user_pulls(double *pull, const GnnTask *task)
{
    double      g = task->config->user_weight;
    double      total = 0;

    for (int32_t u = 0; u < task->users.n; u++)
    {
        double      factor = task->user_factor != NULL ? task->user_factor[u] : 1;
        double      degree = gnn_row_weight(&task->by_user, u);

        pull[u] = degree > 0 ? factor * pow(factor * degree, g - 1) : 0;
        total += pull[u] * degree;
    }
    for (int32_t u = 0; u < task->users.n; u++)
        pull[u] /= total;
}

double
gnn_mean_weight(const GnnTask *task)
{
    double      sum = 0;

    if (task->mean_weight > 0)
        return task->mean_weight;
    for (int32_t u = 0; u < task->users.n; u++)
        sum += gnn_row_weight(&task->by_user, u);
    return sum / (double) task->n_edges;
}

void
gnn_negative_weights(double *weight, const GnnTask *task)
{
    for (int32_t i = 0; i < task->items.n; i++)
    {
        double      degree = gnn_row_weight(&task->by_item, i);

        if (task->negative_weight != NULL)
            weight[i] = task->negative_weight[i];
        else
            weight[i] = degree > 0 ? pow(degree, task->config->negative_alpha) : 0;
    }
}
