/*
 * model.h: what a model is: a function that writes a plan, and how a node gets a vector that training did not know.
 *
 * Such a node is folded in from what is stored of its neighbours, in one of three ways. Exact, where the model is linear: a sum
 * of one vector for each. Inductive, where the model's layers look at a node's neighbours and share their weights among all
 * nodes: the layers are run for the new node (model/induct.h). Else the mean of its neighbours' vectors. A model that looks at
 * features alone needs no neighbours: a new node with features goes through its layers (model/tower.h). In a linear model they
 * are a summand beside that of the neighbours.
 */
#ifndef GNN_MODEL_MODEL_H
#define GNN_MODEL_MODEL_H

#include "core/plan.h"
#include "model/config.h"
#include "model/induct.h"

typedef struct GnnModel
{
    const char *name;
    const char *what;           /* one sentence */
    const char *paper;          /* authors, where, when */
    int         uses;           /* GnnUse, or-ed */
    double      learning_rate;  /* where the configuration leaves it to the model */

    /*
     * With layers, a node's vector is a share of its own plus, exactly, w / sqrt(D_u D_i) fold_in_i from each
     * neighbour. Where a model is neither linear nor inductive, fold_in is an approximation.
     */
    bool        linear;

    /* do the plan's steps read `typed`, the graph with its relations apart? NULL: they never do. Called by gnn_model_is_typed */
    bool        (*typed)(const GnnConfig *config);

    /* writes the plan, from shapes alone; returns the matrix of all nodes' embeddings, n_nodes x dim */
    GnnMat     *(*build)(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config);

    /*
     * What a neighbour, a node of the graph, has to say for a new node's vector: gnn_fold_in_width reals. Runs after a forward
     * pass of the plan; z is that pass's result.
     */
    void        (*fold_in)(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node);

    /* the layers for a new node, with one layer or more; NULL: the model is not inductive. Called by gnn_induct alone */
    void        (*induct)(real *out, const GnnInduct *in);

    /* rows of dim that are stored of a node for that */
    int         (*n_messages)(const GnnConfig *config);

    /* reals of the weights that takes: the last ones of a plan, behind all that belongs to its input */
    int64_t     (*n_weights)(const GnnConfig *config);

    /*
     * The layers of the tower that users go through, from H_0 on, for a new one, whose degree may be 0; NULL: the model has no
     * towers. A linear model's has no layers and gives what is added to the sum that folds the user in. Called by gnn_tower alone
     */
    void        (*tower)(real *out, const real *h0, const real *layers, const GnnConfig *config, double degree);

    /* the weights of those layers, dim x dim each, in a plan, in their order; NULL: there are none */
    void        (*tower_layers)(const GnnMat **layers, const GnnPlan *plan, const GnnConfig *config);
} GnnModel;

typedef enum GnnFoldIn
{
    GNN_FOLD_IN_EXACT,
    GNN_FOLD_IN_INDUCTIVE,
    GNN_FOLD_IN_FEATURES,       /* and as the next where there are none */
    GNN_FOLD_IN_MEAN
} GnnFoldIn;

/* how a model folds in, and what that is called */
extern GnnFoldIn gnn_model_folds_in(const GnnModel *model);
extern const char *gnn_fold_in_name(GnnFoldIn how);

/* does the plan of a configuration's model read the typed graph? And the function of those models that always do */
extern bool gnn_model_is_typed(const GnnConfig *config);
extern bool gnn_model_always_typed(const GnnConfig *config);

/* deviation of a weight's noise at the start, times 1 / sqrt(dim): that of a product's row is this share */
#define GNN_MODEL_NOISE 0.1

/* the weight of a layer that is to begin near doing nothing: dim x dim, the identity and noise */
extern GnnMat *gnn_model_weight(GnnPlan *plan, const GnnConfig *config);

/* H_0 of one node, dim reals, of the sum of its features' rows of E, which is used up; w: the encoder's weight, or NULL */
extern void gnn_input_of_features(real *out, real *sum, const real *w, int64_t dim);

/* what a model starts from: n_nodes x dim; see model/input.c */
extern GnnMat *gnn_model_input(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config);

/* the same with features alone for the types that have some */
extern GnnMat *gnn_model_features(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config);

extern const GnnModel gnn_lightgcn;
extern const GnnModel gnn_gcn;
extern const GnnModel gnn_mf;
extern const GnnModel gnn_ngcf;
extern const GnnModel gnn_graphsage;
extern const GnnModel gnn_gat;
extern const GnnModel gnn_ggnn;
extern const GnnModel gnn_pinsage;
extern const GnnModel gnn_rgcn;
extern const GnnModel gnn_kgat;
extern const GnnModel gnn_dnn;

extern const GnnModel *const gnn_models[];
extern const int gnn_n_models;

/*
 * fold_in for a model that is not linear, or has no layers: sqrt(D_i) z_i. Then the sum that folds a user
 * in, sum w_ui / sqrt(D_u D_i) fold_in_i, is sqrt(D_u) times the weighted mean of the vectors of her
 * items: the direction is what ranks.
 */
extern void gnn_fold_in_mean(real *out, const GnnPlan *plan, const GnnMat *z, int64_t node);

#endif
