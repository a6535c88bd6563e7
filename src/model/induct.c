/*
 * induct.c: a vector for a node that training did not know; see induct.h.
 */
#include "model/induct.h"

#include "core/kernel.h"
#include "model/model.h"
#include "model/tower.h"

#include <math.h>

#define SMALLEST_NORM 1e-18     /* a vector shorter than this has no direction */

bool
gnn_is_inductive(const GnnConfig *config)
{
    return gnn_models[config->model]->induct != NULL && config->layers > 0;
}

int64_t
gnn_fold_in_width(const GnnConfig *config)
{
    return (int64_t) config->dim * (gnn_is_inductive(config) ? gnn_models[config->model]->n_messages(config) : 1);
}

int64_t
gnn_n_weights(const GnnConfig *config)
{
    return gnn_is_inductive(config) ? gnn_models[config->model]->n_weights(config) : gnn_tower_size(config);
}

bool
gnn_keeps_weights(const GnnConfig *config, const GnnGraph *graph)
{
    return gnn_n_weights(config) > 0 && (gnn_is_inductive(config) || gnn_keeps_tower(config, graph));
}

const real *
gnn_plan_weights(const GnnPlan *plan, const GnnConfig *config)
{
    return plan->learned + plan->n_learned - gnn_n_weights(config);
}

double
gnn_induct_degree(const GnnInduct *in)
{
    double      degree = 0;

    for (int64_t e = 0; e < in->n; e++)
        degree += gnn_induct_weight(in, e);
    return degree;
}

bool
gnn_induct(real *out, const GnnInduct *in)
{
    int64_t     dim = in->config->dim;
    double      norm = 0;

    if (in->n > 0)
    {
        gnn_models[in->config->model]->induct(out, in);
        norm = gnn_inner(out, out, dim);
    }
    if (norm > 0 && isfinite(norm))
        return true;
    memset(out, 0, dim * sizeof(real));
    return false;
}

void
gnn_input_row(real *out, const GnnPlan *plan, int64_t node)
{
    const GnnMat *input = plan->steps[plan->n_steps - 1].with[0];

    memcpy(out, input->val + node * input->dim, input->dim * sizeof(real));
}

int
gnn_step_inputs(real *out, const GnnPlan *plan, const GnnOp *op, int64_t node)
{
    int         n = 0;

    for (int i = 0; i < plan->n_steps; i++)
    {
        const GnnMat *in = plan->steps[i].in;

        if (plan->steps[i].op == op)
            memcpy(out + n++ * in->dim, in->val + node * in->dim, in->dim * sizeof(real));
    }
    return n;
}

void
gnn_add_product(real *y, const real *x, const real *w, int64_t n, int64_t dim)
{
    for (int64_t i = 0; i < n; i++)
        gnn_add_scaled(y, x[i], w + i * dim, dim);
}

void
gnn_activate(real *x, real slope, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : slope * x[i];
}

void
gnn_induct_mean(real *out, const GnnInduct *in, int64_t first, int64_t n)
{
    double      degree = gnn_induct_degree(in);

    memset(out, 0, n * sizeof(real));
    for (int64_t e = 0; e < in->n; e++)
        gnn_add_scaled(out, (real) (gnn_induct_weight(in, e) / degree), gnn_induct_row(in, e) + first, n);
}

void
gnn_sized(real *out, const real *x, int64_t dim, double degree, double power)
{
    double      norm = sqrt(gnn_inner(x, x, dim));
    double      size = degree > 0 ? pow(degree, power) : 1;

    memcpy(out, x, dim * sizeof(real));
    gnn_scale(out, norm > SMALLEST_NORM ? (real) (size / norm) : 0, dim);
}

void
gnn_induct_sized(real *out, const real *x, const GnnInduct *in, double power)
{
    gnn_sized(out, x, in->config->dim, gnn_induct_degree(in), power);
}
