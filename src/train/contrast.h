/*
 * contrast.h: a part of the loss that asks two views of one node to be alike, and those of different nodes not.
 */
#ifndef GNN_TRAIN_CONTRAST_H
#define GNN_TRAIN_CONTRAST_H

#include "core/plan.h"
#include "model/config.h"

/* the drawn nodes of one type */
typedef struct GnnContrastSide
{
    GnnNodes    nodes;
    int64_t     room;           /* at most so many are drawn */
    int64_t     n;              /* so many are: all that have edges, where they are fewer */
    int64_t     n_connected;
    int32_t    *order;          /* [nodes] those that have edges, shuffled a little more with every draw: the first n are drawn */
    real       *other;          /* room x dim: h' of the drawn, in the second view */
} GnnContrastSide;

typedef struct GnnContrast
{
    const GnnConfig *config;
    double      weight;         /* the configuration's, or the loss's own */
    GnnPlan    *plan;           /* NULL: there is nothing to contrast */
    const GnnMat *z;
    const GnnAdjacency *whole;
    GnnAdjacency view;          /* with 'edges': the whole without some of its edges */
    const GnnDirected *visited; /* the same of what walks visit, NULL where the plan does not ask */
    GnnDirected visited_view;
    const GnnTyped *typed;      /* likewise, where the plan reads it */
    GnnTyped    typed_view;
    GnnContrastSide sides[2];   /* users, items */
    const GnnContrastSide *side;        /* in work */
    real       *unit;           /* room x dim: h */
    real       *unit_grad;
    real       *norm;           /* [room] |z| */
    real       *column;         /* [room] log of the sum of a column of exp(S) */
    real       *score;          /* thread x (slice + 1) x room */
    double     *loss;           /* one a slice */
} GnnContrast;

/* noise that the plan is to be written with */
extern real gnn_contrast_noise(const GnnConfig *config);

/* from shapes alone, of a plan that is written; where no step goes along edges, takes nothing. The weight is set after it */
extern void gnn_contrast_allocate(GnnContrast *c, GnnArena *arena, const GnnConfig *config, const GnnGraph *graph,
                                  const int64_t n_edges[GNN_MAX_RELATIONS], GnnPlan *plan, const GnnMat *z);

/* reads degrees of the plan's adjacency, which is whole */
extern void gnn_contrast_open(GnnContrast *c);

/* before the forward pass of a step of training: runs the second view, and lets the plan see the first */
extern void gnn_contrast_look(GnnContrast *c, int64_t step);

/* after the loss has set z's gradient: adds the part's, and returns the part */
extern double gnn_contrast_run(GnnContrast *c);

#endif
