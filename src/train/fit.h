/*
 * fit.h: from a graph and a configuration to embeddings: the one door into training.
 */
#ifndef GNN_TRAIN_FIT_H
#define GNN_TRAIN_FIT_H

#include "core/graph.h"
#include "train/params.h"

/* what one step reports */
typedef struct GnnStep
{
    int         step;           /* 1 .. steps */
    int         steps;
    double      loss;
    double      seconds;        /* of this step */
    double      metric;         /* ndcg@20 on the held-out interactions; NaN where not measured at this step */
} GnnStep;

/*
 * Called between blocks on the main thread. done is NULL within a step and the finished step's
 * report after it. It may not come back (longjmp, _exit): fit holds nothing but arena memory.
 */
typedef struct GnnTick
{
    void        (*call)(void *arg, const GnnStep *done);
    void       *arg;
} GnnTick;

/*
 * Where the result goes: arrays the caller brings, [type] -> n x dim float32. fold_in is wanted for
 * type 1 (items) and is what a neighbour has to say for a new node's vector. Where the model is inductive these are, with the
 * weights, what gnn_induct reads. Else it is what the neighbour adds: a user with items B and
 * weights w has  z_u = sum_{i in B} w_ui / sqrt(D_u D_i) * fold_in_i,  D_u = sum of its w.
 * (For LightGCN that is s_i / (L + 1) of the paper's sum; see model/lightgcn.c.)
 */
typedef struct GnnFit
{
    float      *embedding[GNN_MAX_TYPES];   /* of further types what train/audience.h says, where they have an audience */
    float      *fold_in[GNN_MAX_TYPES];     /* n x gnn_fold_in_width; NULL where not wanted */
    float      *weights;        /* gnn_n_weights, where gnn_keeps_weights; NULL where not wanted */
    float      *features;       /* of each of the users' features dim, which gnn_tower adds up, where gnn_keeps_tower; the same */
    float      *degree[GNN_MAX_TYPES];      /* sum of edge weights of each node, infinite where no float holds it; 0: no edges,
                                             * and, where it has no features either, a zero vector */
    int         steps;          /* steps taken (early stopping) */
    int         best_step;      /* the step whose vectors these are */
    double      loss;           /* at best_step */
    double      recall;         /* @20 on the held-out interactions at best_step; NaN where nothing is held out */
    double      ndcg;
} GnnFit;

/*
 * Trains. Relation 0 of the graph (type 0 to type 1) is what is learned and ranked. threads: number
 * of OpenMP threads, 0 for one a core; the result's bits do not depend on it. Nodes' random starts
 * depend on seed and node number only. Returns NULL, or a sentence that says why it could not (e.g.
 * no edges at all), in static storage or the arena.
 */
extern const char *gnn_fit(GnnFit *out, GnnArena *arena, const GnnGraph *graph, const GnnConfig *config,
                           int threads, const GnnTick *tick);

/*
 * Whether a score is, exactly, the sum of a share of each of the user's edges and one of her own (see fold_in). With a holdout it
 * is not: the graph that vectors were propagated on lacks edges that the user has.
 */
extern bool gnn_fit_is_explainable(const GnnConfig *config);

/* what does not go together, and what to do instead */
typedef struct GnnRefusal
{
    const char *message;
    const char *hint;
} GnnRefusal;

/*
 * What of a configuration does not go together, with itself and with the graph (numbers of nodes and features alone; NULL: it is
 * not known yet), in static storage; NULL where all does. gnn_fit asks first, and whoever estimates has to.
 */
extern const GnnRefusal *gnn_fit_refusal(const GnnConfig *config, const GnnGraph *graph);

/* what a training takes, in bytes, before anything is allocated; n entries are written, total returned */
typedef struct GnnPart
{
    const char *part;           /* 'graph', 'features', 'parameters', 'gradients', 'plan', 'optimiser', 'loss' or 'sample',
                                 * 'contrast', 'audience', 'measure' */
    int64_t     bytes;
} GnnPart;

#define GNN_MAX_PARTS 16

/* of what gnn_fit_refusal lets pass. The graph needs numbers of nodes and edges only: ptr, idx, val of relations are not read */
extern int64_t gnn_fit_estimate(GnnPart parts[GNN_MAX_PARTS], int *n_parts, const GnnGraph *graph,
                                const int64_t n_edges[GNN_MAX_RELATIONS], const GnnConfig *config, int threads);

/* the entry point of gnnrec_train.so: gnn_fit under a name that dlsym finds */
GNN_EXPORT extern const char *gnn_train_main(GnnFit *out, GnnArena *arena, const GnnGraph *graph, const GnnConfig *config,
                                             int threads, const GnnTick *tick);
typedef const char *(*GnnTrainMain)(GnnFit *, GnnArena *, const GnnGraph *, const GnnConfig *, int, const GnnTick *);

#endif
