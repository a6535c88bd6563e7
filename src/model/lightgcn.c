/*
 * lightgcn.c: LightGCN (He et al., SIGIR 2020).
 *
 *     Z = 1/(L+1) sum_{l=0..L} A_hat^l X
 *
 * X, a vector a node, is all that is learned; A_hat is the symmetrically normalised adjacency. As in the paper:
 * no weights, no activation, no self loops, layers weigh the same. We differ in that edges may carry
 * weights (D is their sum) and that the graph may hold more than users and items.
 *
 * The model is linear, so a new node needs no training. With S = sum_{l=0..L-1} A_hat^l X,
 * Z = (X + A_hat S) / (L+1): a new user, whose x is 0, gets sum_i w_ui / sqrt(D_u D_i) s_i / (L+1). With features H_0 takes the
 * place of X, and what these say of the user, over L+1, is added.
 */
#include "model/model.h"

#include "core/ops.h"

static GnnMat *
lightgcn_build(GnnPlan *p, const GnnGraph *g, const GnnConfig *c)
{
    GnnMat     *x = gnn_model_input(p, g, c);

    return gnn_op_propagate_mean(p, x, c->layers);
}

/* s_i / (L+1); without layers there is no s, and items' vectors are all there is to go by */
static void
lightgcn_fold_in(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node)
{
    const GnnPlanStep *step = &plan->steps[plan->n_steps - 1];
    const real *s;

    if (step->count == 0)
    {
        gnn_fold_in_mean(out, plan, z, node);
        return;
    }
    s = gnn_propagate_mean_inner(step) + node * z->dim;
    for (int64_t c = 0; c < z->dim; c++)
        out[c] = s[c] / (step->count + 1);
}

/* a new user's H_0 / (L+1) */
static void
lightgcn_tower(real *out, const real *h0, const real *layers, const GnnConfig *c, double degree)
{
    for (int64_t i = 0; i < c->dim; i++)
        out[i] = h0[i] / (c->layers + 1);
}

const GnnModel gnn_lightgcn = {
    .name = "lightgcn",
    .what = "LightGCN: the mean of propagated embeddings, linear, without weights",
    .paper = "He, Deng, Wang, Li, Zhang and Wang: LightGCN, SIGIR 2020",
    .uses = GNN_USE_EDGES,
    .learning_rate = 0.1,
    .linear = true,
    .build = lightgcn_build,
    .fold_in = lightgcn_fold_in,
    .tower = lightgcn_tower,
};
