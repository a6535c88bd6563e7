/*
 * plan.c: writing, allocating and running a plan.
 */
#include "core/plan.h"

#include <assert.h>
#include <string.h>

#define START_ROWS 512          /* rows of a parameter that are started as one block */
#define CLEAR_REALS 65536

void
gnn_plan_open(GnnPlan *plan, const GnnAdjacency *adjacency, GnnTeam *team, int64_t seed)
{
    memset(plan, 0, sizeof(*plan));
    plan->adjacency = adjacency;
    plan->team = team;
    plan->seed = seed;
}

GnnMat *
gnn_plan_mat(GnnPlan *plan, int64_t n, int64_t dim)
{
    GnnMat     *mat = &plan->mats[plan->n_mats++];

    assert(plan->n_mats <= GNN_MAX_MATS);
    mat->n = n;
    mat->dim = dim;
    return mat;
}

GnnMat *
gnn_plan_parameter(GnnPlan *plan, int64_t n, int64_t dim, GnnStart start, double scale)
{
    GnnMat     *mat = gnn_plan_mat(plan, n, dim);

    mat->is_learned = true;
    plan->parameters[plan->n_parameters++] = (GnnParameter) {.mat = mat, .start = start, .scale = scale};
    plan->n_learned += n * dim;
    return mat;
}

GnnMat *
gnn_plan_rows_parameter(GnnPlan *plan, GnnRowsOf rows_of, int64_t n, int64_t dim, GnnStart start, double scale)
{
    GnnMat     *mat = gnn_plan_parameter(plan, n, dim, start, scale);

    mat->rows_of = rows_of;
    return mat;
}

GnnMat *
gnn_plan_rows(GnnPlan *plan, GnnMat *mat, int64_t first, int64_t n)
{
    GnnMat     *rows = gnn_plan_mat(plan, n, mat->dim);

    assert(mat->of == NULL && first >= 0 && first + n <= mat->n);
    rows->of = mat;
    rows->first = first;
    return rows;
}

void
gnn_plan_add(GnnPlan *plan, GnnPlanStep step)
{
    assert(plan->n_steps < GNN_MAX_STEPS);
    if (step.in != NULL && step.in->rows_of != GNN_ROWS_FIXED)
        step.out->rows_of = step.in->rows_of;
    step.number = plan->n_steps;
    plan->steps[plan->n_steps++] = step;
}

static void
point_into(GnnMat *rows)
{
    int64_t     at = rows->first * rows->dim;

    rows->val = rows->of->val + at;
    rows->grad = rows->of->grad != NULL ? rows->of->grad + at : NULL;
}

void
gnn_plan_minimise(GnnPlan *plan, GnnMat *objective)
{
    assert(plan->objective == NULL && objective->n == 1 && objective->dim == 1);
    plan->objective = objective;
}

static void
allocate(GnnPlan *plan, GnnArena *arena, bool gradients)
{
    int64_t     at = 0;

    plan->learned = gnn_alloc(arena, plan->n_learned, sizeof(real));
    plan->learned_grad = gradients ? gnn_alloc(arena, plan->n_learned, sizeof(real)) : NULL;
    for (int i = 0; i < plan->n_parameters; i++)
    {
        GnnMat     *mat = plan->parameters[i].mat;

        mat->val = plan->learned + at;
        mat->grad = gradients ? plan->learned_grad + at : NULL;
        at += mat->n * mat->dim;
    }
    for (int i = 0; i < plan->n_mats; i++)
    {
        GnnMat     *mat = &plan->mats[i];

        if (mat->is_learned || mat->of != NULL)
            continue;
        mat->val = gnn_alloc(arena, mat->n * mat->dim, sizeof(real));
        if (gradients && !mat->constant)
            mat->grad = gnn_alloc(arena, mat->n * mat->dim, sizeof(real));
    }
    for (int i = 0; i < plan->n_mats; i++)
        if (plan->mats[i].of != NULL)
            point_into(&plan->mats[i]);
    for (int i = 0; i < plan->n_steps; i++)
    {
        GnnPlanStep *step = &plan->steps[i];

        if (!gradients && step->op->borrows_grad)
            step->out->grad = gnn_alloc(arena, step->out->n * step->out->dim, sizeof(real));
        step->keep = gnn_alloc(arena, step->n_keep, sizeof(real));
        step->ints = gnn_alloc(arena, step->n_ints, sizeof(int32_t));
    }
}

void
gnn_plan_allocate(GnnPlan *plan, GnnArena *arena)
{
    allocate(plan, arena, true);
}

void
gnn_plan_allocate_forward(GnnPlan *plan, GnnArena *arena)
{
    allocate(plan, arena, false);
}

/* where a matrix lies does not change, nor how much there is for it */
void
gnn_plan_resize(GnnPlan *plan, GnnRowsOf rows_of, int64_t n)
{
    for (int i = 0; i < plan->n_mats; i++)
        if (plan->mats[i].rows_of == rows_of)
            plan->mats[i].n = n;
}

/* ---- parameters' start ---- */

typedef struct StartWork
{
    const GnnPlan *plan;
    int         number;         /* of the parameter */
} StartWork;

static void
start_rows(void *arg, int64_t block, int thread)
{
    const StartWork *w = arg;
    const GnnParameter *p = &w->plan->parameters[w->number];
    int64_t     end = (block + 1) * START_ROWS < p->mat->n ? (block + 1) * START_ROWS : p->mat->n;
    GnnRng      rng = gnn_rng(w->plan->seed, GNN_STREAM_INIT, w->number);

    for (int64_t row = block * START_ROWS; row < end; row++)
    {
        real       *val = p->mat->val + row * p->mat->dim;

        rng.counter = (uint64_t) (row * p->mat->dim) * 2;      /* a normal takes two numbers */
        for (int64_t c = 0; c < p->mat->dim; c++)
            val[c] = (real) (p->scale * gnn_rng_normal(&rng));
        if (p->start == GNN_START_IDENTITIES || (p->start == GNN_START_IDENTITY && row < p->mat->dim))
            val[row % p->mat->dim] += 1;
    }
}

void
gnn_plan_start(GnnPlan *plan)
{
    for (int i = 0; i < plan->n_parameters; i++)
    {
        StartWork   work = {.plan = plan, .number = i};

        gnn_team_run(plan->team, gnn_blocks(plan->parameters[i].mat->n, START_ROWS), start_rows, &work);
    }
}

/* ---- running ---- */

void
gnn_plan_forward(GnnPlan *plan)
{
    for (int i = 0; i < plan->n_steps; i++)
        plan->steps[i].op->forward(plan, &plan->steps[i]);
}

double
gnn_plan_objective(const GnnPlan *plan)
{
    return plan->objective != NULL ? plan->objective->val[0] : 0;
}

typedef struct ClearWork
{
    real       *val;
    int64_t     n;
} ClearWork;

static void
clear_block(void *arg, int64_t block, int thread)
{
    const ClearWork *w = arg;
    int64_t     start = block * CLEAR_REALS;

    memset(w->val + start, 0, (w->n - start < CLEAR_REALS ? w->n - start : CLEAR_REALS) * sizeof(real));
}

static void
clear(GnnTeam *team, const GnnMat *mat)
{
    ClearWork   work = {.val = mat->grad, .n = mat->n * mat->dim};

    gnn_team_run(team, gnn_blocks(work.n, CLEAR_REALS), clear_block, &work);
}

void
gnn_plan_backward(GnnPlan *plan, const GnnMat *from)
{
    for (int i = 0; i < plan->n_mats; i++)
        if (&plan->mats[i] != from && plan->mats[i].of == NULL && !plan->mats[i].constant)
            clear(plan->team, &plan->mats[i]);
    if (plan->objective != NULL)
        plan->objective->grad[0] = 1;
    for (int i = plan->n_steps - 1; i >= 0; i--)
        plan->steps[i].op->backward(plan, &plan->steps[i]);
}
