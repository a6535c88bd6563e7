/*
 * dnn.c: two towers over features (Covington et al., RecSys 2016; Yi et al., RecSys 2019), the yardstick without a graph.
 *
 *     H_0 = F E, or X for a type without features;   H_{l+1} = drop(f(H_l W_l,type));   Z = D^0.2 H_L / |H_L|
 *
 * Users and items have a tower of `layers` dense layers each, f being a leaky ReLU (slope 0.2), the identity in the last layer. A
 * node of a type with features is what these say: it has no learned vector, so an item that nobody has seen is as good as any.
 * Covington et al. have a tower for users and a vector an item, Yi et al. two towers and vectors of length 1. Where we differ:
 * features' vectors are added up, not put side by side; users' histories are no features; there are no biases, and how often an
 * item is drawn as a negative is not corrected for; lengths follow from the degree, as other models' do (see core/ops_mean.c).
 * Weights start near the identity. Node types that are neither users nor items have no tower, and embeddings of zeros. A user who
 * comes later goes through the same tower (model/tower.h).
 */
#include "model/model.h"

#include "core/ops.h"

#include <string.h>

#define SLOPE 0.2
#define SIZE 0.2                /* power of the degree that is a result's length */

/* the two ends of what is learned */
static bool
has_tower(const GnnGraph *g, int type)
{
    return g->n_relations > 0 && (type == g->relations[0].from || type == g->relations[0].to);
}

static GnnMat *
layer(GnnPlan *p, const GnnGraph *g, const GnnConfig *c, GnnMat *h, bool last)
{
    GnnMat     *out = gnn_plan_mat(p, h->n, c->dim);

    for (int t = 0; t < g->n_types; t++)
    {
        const GnnNodes *nodes = &g->types[t];

        if (has_tower(g, t))
            gnn_op_dense_into(p, gnn_plan_rows(p, out, nodes->first, nodes->n), gnn_plan_rows(p, h, nodes->first, nodes->n),
                              gnn_model_weight(p, c),
                              last ? 1 : SLOPE, c->dropout);
    }
    return out;
}

static GnnMat *
dnn_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *h = gnn_model_features(p, g, c);

    for (int l = 0; l < c->layers; l++)
        h = layer(p, g, c, h, l == c->layers - 1);
    return gnn_op_sized_mean(p, &h, 1, SIZE);
}

/* a layer's steps are one a tower, by type: the users' comes first */
static void
dnn_tower_layers(const GnnMat **layers, const GnnPlan *p, const GnnConfig *c)
{
    int         n = 0;          /* steps seen, of both towers */

    for (int i = 0; n < 2 * c->layers; i++)
    {
        if (p->steps[i].op != &gnn_dense)
            continue;
        if (n % 2 == 0)
            layers[n / 2] = p->steps[i].weight;
        n++;
    }
}

static void
dnn_tower(real *out, const real *h0, const real *layers, const GnnConfig *c, double degree)
{
    int64_t     dim = c->dim;
    real        h[GNN_MAX_DIM];

    memcpy(h, h0, dim * sizeof(real));
    for (int l = 0; l < c->layers; l++)
    {
        memset(out, 0, dim * sizeof(real));
        gnn_add_product(out, h, layers + l * dim * dim, dim, dim);
        gnn_activate(out, l == c->layers - 1 ? 1 : SLOPE, dim);
        memcpy(h, out, dim * sizeof(real));
    }
    gnn_sized(out, h, dim, degree, SIZE);
}

const GnnModel gnn_dnn = {
    .name = "dnn",
    .what = "Two towers of dense layers over the features of users and items, without a graph, to compare with",
    .paper = "Yi, Yang, Hong et al.: Sampling-bias-corrected neural modeling for large corpus item recommendations, RecSys 2019",
    .uses = GNN_USE_LAYERS | GNN_USE_DROPOUT,
    .learning_rate = 0.02,
    .linear = false,
    .build = dnn_build,
    .fold_in = gnn_fold_in_mean,
    .tower = dnn_tower,
    .tower_layers = dnn_tower_layers,
};
