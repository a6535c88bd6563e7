/*
 * plan.h: a computation written down once, run forwards, and replayed from the end for its gradient.
 *
 * A matrix carries its gradient; an op is a forward and a backward pass; a model is a function that
 * writes a list of steps. The plan records shapes first and allocates once, so it knows its bytes before
 * it takes any. All parameters lie in one block and their gradients in another: the optimiser is one
 * loop. Gradients add; gnn_plan_backward clears those of a pass before it starts.
 */
#ifndef GNN_CORE_PLAN_H
#define GNN_CORE_PLAN_H

#include "core/adjacency.h"
#include "core/directed.h"
#include "core/features.h"
#include "core/rng.h"
#include "core/team.h"
#include "core/typed.h"

#define GNN_MAX_MATS 64
#define GNN_MAX_STEPS 64
#define GNN_MAX_INPUTS 9        /* of a step, beside its first and its weight */

/* what a matrix has a row of: where it is not a fixed number, a sample of the graph has its own each step */
typedef enum GnnRowsOf
{
    GNN_ROWS_FIXED,
    GNN_ROWS_OF_NODES,
    GNN_ROWS_OF_FEATURES
} GnnRowsOf;

typedef struct GnnMat
{
    int64_t     n;
    int64_t     dim;
    real       *val;            /* n x dim */
    real       *grad;           /* of the loss, by val; NULL where constant, and in a plan that only goes forwards */
    bool        constant;       /* a result that is taken for given: no gradient goes through it */
    GnnRowsOf   rows_of;
    struct GnnMat *of;          /* the matrix whose rows from `first` on these are; NULL: it is no part of another */
    int64_t     first;
    bool        is_learned;
} GnnMat;

struct GnnPlan;
struct GnnPlanStep;

typedef struct GnnOp
{
    const char *name;
    void        (*forward)(struct GnnPlan *plan, const struct GnnPlanStep *step);
    void        (*backward)(struct GnnPlan *plan, const struct GnnPlanStep *step);
    bool        borrows_grad;   /* forward works in its result's gradient, and wants one in any case */
} GnnOp;

typedef struct GnnPlanStep
{
    const GnnOp *op;
    GnnMat     *out;
    GnnMat     *in;             /* NULL where the op reads the graph alone */
    GnnMat     *weight;         /* second input, where the op has one ... */
    GnnMat     *with[GNN_MAX_INPUTS];       /* ... and further ones */
    real        scale;          /* what they mean is the op's to say */
    real        own;
    int         count;
    int         number;         /* of this step in the plan */
    int64_t     n_keep;
    real       *keep;           /* n_keep reals that last from forward to backward, or past it */
    int64_t     n_ints;
    int32_t    *ints;           /* likewise */
} GnnPlanStep;

/* how a parameter starts */
typedef enum GnnStart
{
    GNN_START_NORMAL,           /* normal, deviation `scale` */
    GNN_START_IDENTITY,         /* the identity plus normal noise, deviation `scale` */
    GNN_START_IDENTITIES        /* the same, again and again, one below the other */
} GnnStart;

typedef struct GnnParameter
{
    GnnMat     *mat;
    GnnStart    start;
    double      scale;
} GnnParameter;

typedef struct GnnPlan
{
    const GnnAdjacency *adjacency;
    const GnnDirected *visited;         /* shares of a node's random walks by where they went; NULL where no step asks */
    int         walk_length;    /* steps of those walks; set by a model that asks */
    const GnnFeatures *features;    /* NULL: no node has any */
    const GnnTyped *typed;      /* where the model needs it (see model/model.h) */
    GnnTeam    *team;
    int64_t     seed;
    int64_t     pass;           /* number of the step of training: dropout and noise draw by it */
    bool        training;       /* dropout drops, noise is added */
    real        noise;          /* on what went along edges, as a share of a row's length; set before the steps are written */
    bool        along_edges;    /* a step goes along edges */
    int         n_mats;
    int         n_parameters;
    int         n_steps;
    GnnMat      mats[GNN_MAX_MATS];
    GnnParameter parameters[GNN_MAX_MATS];
    GnnPlanStep steps[GNN_MAX_STEPS];
    int64_t     n_learned;      /* reals in the parameters */
    real       *learned;        /* all parameters, in order */
    real       *learned_grad;
    GnnMat     *objective;      /* 1 x 1: what the plan itself adds to the loss; NULL: nothing */
} GnnPlan;

/*
 * adjacency: of which gnn_plan_forward reads; its shape is enough before. Where nodes have features, plan->features is set
 * next.
 */
extern void gnn_plan_open(GnnPlan *plan, const GnnAdjacency *adjacency, GnnTeam *team, int64_t seed);

/* while writing a plan: a learned matrix, one with a row a node or feature, the result of a step or of several, a step */
extern GnnMat *gnn_plan_parameter(GnnPlan *plan, int64_t n, int64_t dim, GnnStart start, double scale);
extern GnnMat *gnn_plan_rows_parameter(GnnPlan *plan, GnnRowsOf rows_of, int64_t n, int64_t dim, GnnStart start,
                                       double scale);
extern GnnMat *gnn_plan_mat(GnnPlan *plan, int64_t n, int64_t dim);

/* rows first .. first + n - 1 of a matrix, as a matrix: steps on several of them may make up their matrix */
extern GnnMat *gnn_plan_rows(GnnPlan *plan, GnnMat *mat, int64_t first, int64_t n);

extern void gnn_plan_add(GnnPlan *plan, GnnPlanStep step);

/* a result of 1 x 1 becomes part of what is minimised */
extern void gnn_plan_minimise(GnnPlan *plan, GnnMat *objective);

/* all memory of the plan */
extern void gnn_plan_allocate(GnnPlan *plan, GnnArena *arena);

/* the same without gradients: such a plan has no backward pass */
extern void gnn_plan_allocate_forward(GnnPlan *plan, GnnArena *arena);

/* from now on the graph has so many nodes, or features, no more than when the plan was allocated */
extern void gnn_plan_resize(GnnPlan *plan, GnnRowsOf rows_of, int64_t n);

/* parameters to their start: depends on seed, parameter and row only */
extern void gnn_plan_start(GnnPlan *plan);

extern void gnn_plan_forward(GnnPlan *plan);

/* the plan's own part of the loss, as the last forward pass left it */
extern double gnn_plan_objective(const GnnPlan *plan);

/* clears all gradients but that of `from`, which a loss has set, and replays the steps from the end; `from` may be a parameter */
extern void gnn_plan_backward(GnnPlan *plan, const GnnMat *from);

#endif
