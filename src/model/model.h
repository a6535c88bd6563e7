/*
 * model.h: what a model is: a function that writes a plan, and the second vectors that serving folds in.
 */
#ifndef GNN_MODEL_MODEL_H
#define GNN_MODEL_MODEL_H

#include "core/plan.h"
#include "model/config.h"

typedef struct GnnModel
{
    const char *name;
    const char *what;           /* one sentence */
    const char *paper;          /* authors, where, when */
    int         uses;           /* GnnUse, or-ed */
    double      learning_rate;  /* where the configuration leaves it to the model */

    /*
     * With layers, a node's vector is a share of its own plus, exactly, w / sqrt(D_u D_i) fold_in_i from each
     * neighbour. Without linear, fold_in is an approximation.
     */
    bool        linear;

    /* the plan's steps read `typed`: the graph with its relations apart */
    bool        typed;

    /* writes the plan, from shapes alone; returns the matrix of all nodes' embeddings, n_nodes x dim */
    GnnMat     *(*build)(GnnPlan *plan, const GnnGraph *graph, const GnnConfig *config);

    /*
     * What a neighbour adds to a new node's vector, for the rows of one node type (see GnnFit.fold_in
     * in train/fit.h). Runs after a forward pass of the plan; z is that pass's result.
     */
    void        (*fold_in)(float *out, const GnnPlan *plan, const GnnMat *z, const GnnNodes *nodes);
} GnnModel;

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
extern void gnn_fold_in_mean(float *out, const GnnPlan *plan, const GnnMat *z, const GnnNodes *nodes);

#endif
