/*
 * loss.h: what training minimises: a function of the embeddings of all nodes.
 */
#ifndef GNN_TRAIN_LOSS_H
#define GNN_TRAIN_LOSS_H

#include "core/plan.h"
#include "model/config.h"

/* what is to be learned: which user took which item, and how heavily */
typedef struct GnnTask
{
    const GnnConfig *config;
    GnnTeam    *team;
    int         negatives;      /* config's, or the loss's own */
    GnnNodes    users;          /* type `from` of the graph's first relation */
    GnnNodes    items;          /* type `to` */
    GnnCsr      by_user;        /* edges above zero only */
    GnnCsr      by_item;        /* the same, transposed */
    int64_t     n_edges;
    int64_t     n_nodes;        /* of the whole graph */

    /* where the task is a sample of another, what that other says of it; else NULL and 0 */
    const double *user_factor;  /* [users] how many edges each of hers stands for */
    const double *negative_weight;      /* [items] */
    double      mean_weight;    /* of all edges */
} GnnTask;

typedef struct GnnLoss
{
    const char *name;
    const char *what;           /* one sentence */
    int         negatives;      /* where the configuration leaves it to the loss */
    double      reg_weight;     /* likewise */
    double      contrast_weight;        /* likewise */

    /* the loss's state and buffers, from the task's numbers alone: its edges are not read */
    void       *(*allocate)(GnnArena *arena, const GnnTask *task);

    /* reads the task's edges; the task must outlive the state */
    void        (*open)(void *state, const GnnTask *task);

    /* returns the loss at z and sets (does not add to) z->grad; `pass` numbers the draws of negatives */
    double      (*run)(void *state, const GnnMat *z, int64_t pass);
} GnnLoss;

extern const GnnLoss gnn_softmax;
extern const GnnLoss gnn_bpr;
extern const GnnLoss gnn_bce;
extern const GnnLoss gnn_mse;

extern const GnnLoss *const gnn_losses[];
extern const int gnn_n_losses;

/* sum of a user's or an item's weights */
extern double gnn_row_weight(const GnnCsr *a, int32_t row);

/* what an edge of weight 1 counts in the mean: D_u^(g-1) / sum_v D_v^g, D_u the user's sum of weights; into pull[users] */
extern void gnn_user_pulls(double *pull, const GnnTask *task);

/* mean weight of all edges */
extern double gnn_mean_weight(const GnnTask *task);

/* weight of each item as a negative: degree^alpha, or what the task says, 0 for items without edges; into weight[items] */
extern void gnn_negative_weights(double *weight, const GnnTask *task);

#endif
