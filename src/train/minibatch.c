/*
 * minibatch.c: rows there, a step, rows back.
 *
 * The loss is a mean over the sample's interactions, and a node's part in it larger than in one over all, as its steps are
 * fewer: decay and the optimiser's epsilon, which are of a node, go by the sample's number of nodes.
 */
#include "train/minibatch.h"

#include <assert.h>
#include <string.h>

#define ROWS 512                /* of a block */

void
gnn_minibatch_allocate_optimiser(GnnMinibatch *batch, GnnArena *arena, const GnnConfig *config, const GnnPlan *whole,
                                 double rate, double decay_weight)
{
    batch->decay_weight = decay_weight;
    for (int i = 0; i < whole->n_parameters; i++)
    {
        const GnnMat *mat = whole->parameters[i].mat;
        GnnAdam    *adam = mat->rows_of != GNN_ROWS_FIXED ? &batch->rows[i].adam : &batch->weights[i];

        if (mat->rows_of != GNN_ROWS_FIXED)
            gnn_row_adam_allocate(&batch->rows[i], arena, mat->n, mat->dim, rate);
        else
            gnn_adam_allocate(adam, arena, mat->n * mat->dim, rate, 0);
        adam->weight_decay = config->weight_decay;
        adam->clip_norm = config->clip_norm;
    }
}

void
gnn_minibatch_allocate(GnnMinibatch *batch, GnnArena *arena, const GnnModel *model, const GnnLoss *loss,
                       const GnnGraph *graph, const GnnPlan *whole, const GnnTask *task)
{
    batch->whole = whole;
    batch->loss = loss;
    gnn_subgraph_allocate(&batch->sub, arena, graph, whole->adjacency, whole->visited, task);
    gnn_plan_open(&batch->plan, &batch->sub.sampled, task->team, whole->seed);
    batch->plan.visited = &batch->sub.drawn_by;
    batch->plan.features = whole->features != NULL ? &batch->sub.features : NULL;
    batch->plan.training = true;
    batch->z = model->build(&batch->plan, &batch->sub.shape, task->config);
    assert(batch->plan.n_parameters == whole->n_parameters);    /* they are told apart by their numbers */
    gnn_plan_allocate(&batch->plan, arena);
    gnn_decay_allocate(&batch->decay, arena, &batch->plan, 0);
    batch->loss_state = loss->allocate(arena, &batch->sub.task);
}

void
gnn_minibatch_open(GnnMinibatch *batch)
{
    gnn_subgraph_open(&batch->sub);
    for (int i = 0; i < batch->plan.n_parameters; i++)
        if (batch->plan.parameters[i].mat->rows_of == GNN_ROWS_FIXED)
            batch->plan.parameters[i].mat->val = batch->whole->parameters[i].mat->val;
}

/* ---- a step ---- */

typedef struct Copy
{
    const GnnMat *to;
    const GnnMat *from;
    const int32_t *row;         /* of `from`, for each of `to` */
} Copy;

static void
copy_rows(void *arg, int64_t block, int thread)
{
    const Copy *c = arg;

    for (int64_t i = block * ROWS; i < (block + 1) * ROWS && i < c->to->n; i++)
        memcpy(c->to->val + i * c->to->dim, c->from->val + c->row[i] * c->to->dim, c->to->dim * sizeof(real));
}

/* which rows of the whole's a parameter has; NULL: all of them */
static const int32_t *
rows_of(const GnnMinibatch *batch, const GnnMat *mat)
{
    const int32_t *const rows[] = {[GNN_ROWS_FIXED] = NULL, [GNN_ROWS_OF_NODES] = batch->sub.node,
                                   [GNN_ROWS_OF_FEATURES] = batch->sub.feature};

    return rows[mat->rows_of];
}

static void
fetch_rows(GnnMinibatch *batch)
{
    for (int i = 0; i < batch->plan.n_parameters; i++)
    {
        Copy        copy = {.to = batch->plan.parameters[i].mat, .from = batch->whole->parameters[i].mat};

        copy.row = rows_of(batch, copy.to);
        if (copy.row != NULL)
            gnn_team_run(batch->plan.team, gnn_blocks(copy.to->n, ROWS), copy_rows, &copy);
    }
}

static void
move_parameters(GnnMinibatch *batch)
{
    GnnTeam    *team = batch->plan.team;
    double      epsilon = GNN_EPSILON_PER_NODE / (double) batch->sub.shape.n_nodes;

    for (int i = 0; i < batch->plan.n_parameters; i++)
    {
        const GnnMat *mat = batch->plan.parameters[i].mat;
        const int32_t *rows = rows_of(batch, mat);
        real       *value = batch->whole->parameters[i].mat->val;

        if (rows != NULL)
        {
            batch->rows[i].adam.epsilon = epsilon;
            gnn_row_adam_step(&batch->rows[i], team, value, rows, mat->n, mat->grad);
        }
        else
        {
            batch->weights[i].epsilon = epsilon;
            gnn_adam_step(&batch->weights[i], team, value, mat->grad);
        }
    }
}

double
gnn_minibatch_step(GnnMinibatch *batch, int64_t step)
{
    double      loss;

    gnn_subgraph_draw(&batch->sub, step);
    gnn_plan_resize(&batch->plan, GNN_ROWS_OF_NODES, batch->sub.shape.n_nodes);
    gnn_plan_resize(&batch->plan, GNN_ROWS_OF_FEATURES, batch->sub.features.n);
    batch->plan.pass = step;
    fetch_rows(batch);
    gnn_plan_forward(&batch->plan);
    batch->loss->open(batch->loss_state, &batch->sub.task);
    loss = batch->loss->run(batch->loss_state, batch->z, step);
    gnn_plan_backward(&batch->plan, batch->z);
    batch->decay.weight = batch->decay_weight / (double) batch->sub.shape.n_nodes;
    loss += gnn_decay_run(&batch->decay, &batch->plan);
    move_parameters(batch);
    return loss;
}
