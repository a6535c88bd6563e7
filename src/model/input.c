/*
 * input.c: what every model starts from: the rows H_0 of all nodes, n_nodes x dim.
 *
 *     H_0 = own X + F E    or, where `encoder` is 'mlp',    own X + f(F E) W
 *
 * X is a learned vector a node, F its features, where nodes have any; own is 0 for a node without edges (see core/ops_encode.c).
 * f is a leaky ReLU, slope 0.2. X and E start small beside what the learning rate moves them in a few steps, W near the identity.
 * E has a row a feature, those of all types one after the other. To leave learned vectors out at random, as DropoutNet does
 * (Volkovs et al., NIPS 2017), was tried: items without edges were found no better.
 */
#include "model/model.h"

#include "core/ops.h"

#include <string.h>

#define START 0.1
#define SLOPE 0.2

/* nodes of types without features */
static int64_t
n_without_features(const GnnGraph *g)
{
    int64_t     n = 0;

    for (int t = 0; t < g->n_types; t++)
        if (!gnn_type_has_features(g, t))
            n += g->types[t].n;
    return n;
}

/* the rows of X; of a sample of the graph, n_nodes is the number that tells how large it may be */
static GnnMat *
learned(GnnPlan *p, const GnnGraph *g, const GnnConfig *c, bool alone)
{
    if (alone)
        return gnn_plan_parameter(p, n_without_features(g), c->dim, GNN_START_NORMAL, START);
    return gnn_plan_rows_parameter(p, GNN_ROWS_OF_NODES, g->n_nodes, c->dim, GNN_START_NORMAL, START);
}

static GnnMat *
input(GnnPlan *p, const GnnGraph *g, const GnnConfig *c, bool alone)
{
    GnnMat     *x = learned(p, g, c, alone && p->features != NULL);
    GnnMat     *e;
    GnnMat     *w = NULL;

    if (p->features == NULL)
        return x;
    e = gnn_plan_rows_parameter(p, GNN_ROWS_OF_FEATURES, p->features->n, c->dim, GNN_START_NORMAL, START);
    if (c->encoder == GNN_ENCODER_MLP)
        w = gnn_model_weight(p, c);
    return gnn_op_encode(p, x, e, w, SLOPE, alone);
}

void
gnn_input_of_features(real *out, real *sum, const real *w, int64_t dim)
{
    if (w == NULL)
    {
        memcpy(out, sum, dim * sizeof(real));
        return;
    }
    gnn_activate(sum, SLOPE, dim);
    memset(out, 0, dim * sizeof(real));
    gnn_add_product(out, sum, w, dim, dim);
}

GnnMat *
gnn_model_input(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config)
{
    return input(plan, graph, config, false);
}

GnnMat *
gnn_model_features(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config)
{
    return input(plan, graph, config, true);
}
