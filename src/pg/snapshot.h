/*
 * snapshot.h: a run as serving reads it: a flat image of its embedding tables, mapped read-only.
 *
 * A snapshot is a cache keyed by the run, and a run never changes, so there is nothing to invalidate. Nodes are numbered by
 * their keys' order (keys.h), type by type. All pointers lie in the image, all counts were checked when it was mapped. The arrays
 * are under a checksum that is not looked at each time (snapshot_file.h): the functions below check every number that is used as
 * an index, and whoever walks the lists of popular, cold or isolated nodes does too (gnnrec_snapshot_damaged), so that a bit that
 * the disk flipped is an error and no crash.
 *
 * A node is known, if it has edges or a vector that is not zero. Of the known ones the popular have interactions (or, of types
 * that do not take part in these, edges); the cold ones have not, and are known by other edges or by features alone. The others
 * are isolated: the run knows nothing of them.
 *
 * Lifetime: a snapshot stays mapped at least until the transaction ends, also when another run goes live meanwhile.
 */
#ifndef GNNREC_PG_SNAPSHOT_H
#define GNNREC_PG_SNAPSHOT_H

#include "postgres.h"

#include "core/graph.h"
#include "core/topk.h"
#include "model/config.h"
#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/keys.h"

/* the nodes of one type; an optional array is NULL where the run has none */
typedef struct GnnrecSnapshotNodes
{
    const char *name;           /* 'user', 'item' */
    Oid         table;          /* SELECT on it is the right to be answered from it */
    GnnrecKeyType key;
    int32       n;
    int32       dim;
    const int64 *numbers;       /* n keys, ascending, where keys are numbers; otherwise */
    const char *bytes;          /* key i is bytes[offsets[i]] .. bytes[offsets[i + 1]], ascending */
    const int64 *offsets;       /* n + 1 */
    int64       n_bytes;
    const float *embedding;     /* n x dim */
    int32       fold_in_width;
    const float *fold_in;       /* n x width, optional: what this node has to say for a new node's vector, see train/fit.h */
    const float *inverse_norm;  /* n; 0 for a zero vector */
    const void *quantised;      /* the embedding in 4 bits, see core/quantise.h; NULL where the dimension is too high for it */
    const float *degree;        /* n: sum of the weights of all edges */
    const float *popularity;    /* n: sum of those of the interactions or, where the table does not tell, the degree */
    const float *log_popularity;    /* n: log(1 + popularity) */
    int32       n_popular;
    int32       n_cold;
    int32       n_isolated;
    const int32 *popular;       /* by popularity, highest first, then by number */
    const int32 *cold;          /* ascending */
    const int32 *isolated;      /* ascending: their vectors are zero and mean nothing */
    const int32 *unpopular;     /* ascending: the last two together */
} GnnrecSnapshotNodes;

/* the edges of the interactions, by the node they start from */
typedef struct GnnrecSnapshotEdges
{
    int         from_type;
    int         to_type;
    int64       n;
    const int64 *ptr;           /* n_from + 1 */
    const int32 *idx;           /* ascending within a row */
    const float *val;           /* NULL: all 1; > 0 an edge, 0 seen but no edge, < 0 disliked */
    const uint8 *shown;         /* is it recommended though it was seen? NULL: none is */
} GnnrecSnapshotEdges;

typedef struct GnnrecSnapshot
{
    int32       model_id;
    int64       run_id;
    int32       dim;
    bool        explainable;    /* GnnrecRun.explainable */
    const GnnConfig *config;    /* the run's, where the model is inductive, or features of users fold in; otherwise NULL */
    int64       n_weights;
    const float *weights;       /* of the model's layers, as gnn_induct or gnn_tower takes them; NULL: fold_in is added up */
    int         n_types;
    GnnrecSnapshotNodes types[GNN_MAX_TYPES];
    GnnrecSnapshotEdges interactions;
    GnnrecSnapshotEdges reverse;    /* the same edges by the node they lead to; without val */
} GnnrecSnapshot;

/* one node's edges */
typedef struct GnnrecSnapshotRow
{
    int64       n;
    const int32 *idx;           /* ascending, each a node of the edges' to_type */
    const float *val;           /* NULL: all 1 */
    const uint8 *shown;         /* NULL: all 0 */
} GnnrecSnapshotRow;

/*
 * Says whether the current role may be answered from a model, of which it is told the names, tables and id types of the nodes.
 * It is asked at every look-up, and before a run is looked for: who has no right neither learns whether there is one, nor makes
 * the server build its file. No is false, or an ERROR.
 */
typedef bool (*GnnrecSnapshotGuard) (const GnnrecSnapshot *described, void *arg);

/* the live run of a model; NULL: the guard says no; ERROR, with a hint, where it has none or there is no such model */
extern const GnnrecSnapshot *gnnrec_snapshot_live(int32 model_id, GnnrecSnapshotGuard guard, void *arg);

/* the same, of the model whose item table it is; ERROR, with a hint, where it is no model's */
extern const GnnrecSnapshot *gnnrec_snapshot_of_table(Oid item_table, GnnrecSnapshotGuard guard, void *arg);

/* makes the file of a run that was just published, so that the first query finds it; needs an active snapshot that sees it */
extern void gnnrec_snapshot_warm(const GnnrecModel *model, int64 run_id);

/* removes the file of a run that was deleted (after its commit; may be called where no error may be thrown) */
extern void gnnrec_snapshot_remove(Oid database, Oid catalog, int64 run_id);

/* the number of the node with the given key; -1: no such node */
extern int32 gnnrec_snapshot_find(const GnnrecSnapshot *snapshot, int type, GnnrecKey key);

/* the id of a node as a datum of the id type; text and uuid are made in the current memory context */
extern Datum gnnrec_snapshot_id(const GnnrecSnapshot *snapshot, int type, int32 node);

/* the interactions of a user */
extern void gnnrec_snapshot_row(GnnrecSnapshotRow *out, const GnnrecSnapshot *snapshot, int32 user);

/* the users whose interactions are with an item; what they say stands in the users' rows */
extern void gnnrec_snapshot_reverse_row(GnnrecSnapshotRow *out, const GnnrecSnapshot *snapshot, int32 item);

/* ERROR data_corrupted; the file goes, and the next question has it built afresh */
pg_noreturn extern void gnnrec_snapshot_damaged(const GnnrecSnapshot *snapshot);

static inline const float *
gnnrec_snapshot_vector(const GnnrecSnapshotNodes *nodes, int32 node)
{
    return nodes->embedding + (int64) node * nodes->dim;
}

/* does the run know anything of a node? */
static inline bool
gnnrec_snapshot_knows(const GnnrecSnapshotNodes *nodes, int32 node)
{
    return nodes->degree[node] > 0 || nodes->inverse_norm[node] > 0;
}

/* the vectors of a type as top-k takes them: by inner product, where the popular are likely, or by cosine of length 1 queries */
static inline GnnRows
gnnrec_snapshot_rows(const GnnrecSnapshotNodes *nodes, bool cosine)
{
    GnnRows     rows = {.rows = nodes->embedding, .scale = cosine ? nodes->inverse_norm : NULL, .n = nodes->n,
                        .dim = nodes->dim, .log_degree = nodes->log_popularity, .quantised = nodes->quantised,
                        .likely = cosine ? NULL : nodes->popular, .n_likely = nodes->n_popular};

    return rows;
}

#endif
