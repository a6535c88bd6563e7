/*
 * catalog.h: models, node types, relations and runs, as the rest of the server's side sees them.
 *
 * The rows live in the tables gnnrec.model, node_type, relation, feature, run and those named after it. Everybody's backend reads
 * them through the catalogue scan API (no privilege needed, no plan); they are written by gnnrec_catalog_write and, many at once,
 * run_features.c alone, as the owner of the extension, after the caller has checked the rights. Structs returned are palloc'd in
 * the current memory context.
 */
#ifndef GNNREC_PG_CATALOG_H
#define GNNREC_PG_CATALOG_H

#include "postgres.h"

#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "core/graph.h"
#include "pg/embedding.h"

/* type numbers of every model, by convention of train/fit.h */
#define GNNREC_USER 0
#define GNNREC_ITEM 1

/* the relation of every model that is learned and ranked: from users to items */
#define GNNREC_INTERACTIONS 0

typedef struct GnnrecNodeType
{
    int32       type_no;        /* its row's; types that were dropped leave gaps */
    char       *name;           /* 'user', 'item', 'brand' */
    Oid         id_type;
    Oid         table;          /* of its embeddings; may have been dropped */
    Oid         catalogue;      /* the table whose rows are nodes of the type; InvalidOid: there is none. May have been dropped */
    char       *catalogue_id;   /* its id column; NULL where there is none */
} GnnrecNodeType;

typedef struct GnnrecRelation
{
    int32       relation_no;    /* its row's; relations that were dropped leave gaps */
    char       *name;
    Oid         source;         /* table, view, ... ; may have been dropped */
    int         from_type;      /* places in the model's types */
    int         to_type;
    char       *from_column;
    char       *to_column;
    char       *event_column;   /* NULL: none; so are the next ones */
    Jsonb      *event_weights;
    char       *value_column;
    char       *time_column;
    Interval   *half_life;
    TimestampTz since;
    bool        has_since;
    ArrayType  *seen_events;    /* text[]: the kinds of event that hide an item from who has seen it; NULL: all do */
    char       *relation_column;    /* makes one relation of the graph a value; NULL: all rows are one */
    float       weight;         /* of all rows */
    bool        separate;       /* one relation of the graph a kind of event, of which target_event is learned and ranked */
    char       *target_event;   /* NULL: the kind of largest weight */
} GnnrecRelation;

#define GNNREC_MAX_FEATURES 64  /* of a model */

/* a column of a catalogue that says something of its nodes; see features.h */
typedef struct GnnrecFeature
{
    int32       feature_no;     /* its row's */
    int         type;           /* place in the model's types */
    char       *column;
    char       *kind;
    int32       size;           /* 0: as the kind has it */
} GnnrecFeature;

/* a column of the matrix of features that a run was trained with */
typedef struct GnnrecRunColumn
{
    int32       column_no;      /* within its feature */
    const char *value;          /* of a dictionary, n_bytes of text; NULL: the feature has none */
    int32       n_bytes;
    bool        is_number;      /* then the next two are what it was scaled by */
    double      mean;
    double      deviation;
    const GnnrecEmbedding *embedding;   /* what it adds to a user's vector */
} GnnrecRunColumn;

typedef struct GnnrecModel
{
    int32       model_id;
    char       *name;
    Jsonb      *params;
    int32       keep_runs;
    int64       live_run;       /* 0: none */
    bool        made_schema;    /* create_model made the schema */
    int         n_types;
    int         n_relations;
    GnnrecNodeType types[GNN_MAX_TYPES];
    GnnrecRelation relations[GNN_MAX_RELATIONS];
} GnnrecModel;

typedef struct GnnrecRun
{
    int64       run_id;
    int32       model_id;
    char       *task;           /* GnnrecTask.name */
    char       *status;
    Jsonb      *metrics;        /* may be NULL, as may the next one */
    char       *message;
    Jsonb      *params;
    bool        stored;         /* the tables hold its embeddings */
    int         pid;            /* of its worker; 0: none yet */
    TimestampTz requested_at;
    bool        explainable;    /* a score is the sum of a share of each interaction */
    TransactionId xmin;         /* of the row's version, to tell our own uncommitted rows */
    double      reading_at;     /* when it began to read, seconds since 1970; NaN: not known */
    double      newest_event;   /* time of the newest interaction it read, seconds since 1970; NaN: none has a time */
} GnnrecRun;

/* tells whether a model's definition may have changed: each change of it, and each new run, makes a new version of its row */
typedef struct GnnrecModelVersion
{
    Oid         catalog;        /* OID of gnnrec.model */
    TransactionId xmin;
    ItemPointerData place;
    int64       live_run;
} GnnrecModelVersion;

/*
 * ERROR undefined_object, with a hint, where there is none (by name: unless missing_ok, then NULL). A model that the current role
 * may not see has no name: to ask for it is to ask for one that there is not.
 */
extern GnnrecModel *gnnrec_model_by_name(const char *name, bool missing_ok);
extern GnnrecModel *gnnrec_model_by_id(int32 model_id);

/* the features of a model's nodes in the order of their numbers: of which only definitions and trainings know */
extern GnnrecFeature *gnnrec_model_features(const GnnrecModel *model, int *n);

/* has any model the name, seen or not? Names are unique in a database */
extern bool gnnrec_model_name_is_taken(const char *name);

/* the model whose item table it is, as the active snapshot sees it; 0: it is no model's */
extern int32 gnnrec_model_of_table(Oid item_table);

/* the live run as the active snapshot sees it; 0: the model has none, or there is no such model */
extern int64 gnnrec_live_run(int32 model_id);

/* of the model's row as the active snapshot sees it; false: there is no such model. With its live run, 0: none */
extern bool gnnrec_model_version(GnnrecModelVersion *out, int32 model_id);
extern bool gnnrec_same_version(const GnnrecModelVersion *a, const GnnrecModelVersion *b);

/* locks the model's row to the end of the transaction: who makes another run live, or deletes one; false: no such row any more */
extern bool gnnrec_model_lock(int32 model_id);

/* for who has waited for others and asks again, with a new snapshot */
extern bool gnnrec_model_exists(int32 model_id, Snapshot snapshot);

/*
 * Rights go by tables: who may read all rows of an embedding table is answered from it; who owns the item table, or is a member
 * of its owner, owns the model. One or the other makes a role see the model. What is left of a model whose tables were dropped
 * by hand is nobody's, so that whoever needs the name can drop it; the views show it to superusers.
 */
extern bool gnnrec_may_read(Oid embedding_table);
extern bool gnnrec_may_own(Oid item_table);
extern bool gnnrec_may_see(Oid item_table);
extern bool gnnrec_model_is_owned(const GnnrecModel *model);

/* ERROR unless the current role owns the model; to who does not see it, it does not exist */
extern void gnnrec_model_check_owner(const GnnrecModel *model);

/* the numbers, an int4[], of the models of whose item tables something holds */
extern ArrayType *gnnrec_models_where(bool (*holds) (Oid item_table));

/*
 * The role that reads a model's interactions when one has asked for it: that role itself, but for a superuser the model's owner.
 * The source may be a view whose functions do as they like with who reads it, and what row security hides from the owner would
 * be in the owner's model.
 */
extern Oid  gnnrec_model_reader(const GnnrecModel *model, Oid asker);

/* a run as the snapshot given sees it; false: no such row. by model: its newest run */
extern bool gnnrec_run_by_id(GnnrecRun *out, int64 run_id, Snapshot snapshot);
extern bool gnnrec_run_newest(GnnrecRun *out, int32 model_id, Snapshot snapshot);

/* the weights of the model's layers, a real[], that are stored with a run; NULL: none are */
extern ArrayType *gnnrec_run_weights(int64 run_id, Snapshot snapshot);

/*
 * The features of users that are stored with a run, in the order of their numbers, their size as GnnrecFeatureCode has it; and a
 * column of one, the last one for column_no -1. False: it has no such column, as training saw none
 */
extern GnnrecFeature *gnnrec_run_features(int64 run_id, int *n);
extern bool gnnrec_run_column(GnnrecRunColumn *out, int64 run_id, int32 feature_no, int32 column_no);

/* the runs of a model whose embeddings its tables hold; palloc'd */
extern int64 *gnnrec_stored_runs(int32 model_id, int *n);

/* times as the interactions have them: seconds since 1970 */
extern double gnnrec_unix_seconds(TimestampTz t);

/* OID of a table of the extension's schema, e.g. "model"; it also tells one CREATE EXTENSION from the next */
extern Oid  gnnrec_catalog_table(const char *name);

/*
 * One statement over the catalogue, as its owner: SPI with parameters ($1 ..); result = the first column of the first row
 * (0 and *isnull where there is none). The caller has checked the rights.
 */
extern Datum gnnrec_catalog_write(const char *sql, int n_args, Oid *types, Datum *values, const char *nulls, bool *isnull);

/* a query over the catalogue, as its owner, with one parameter, an int4[]: all its rows, which have the type given */
extern void gnnrec_catalog_read(Tuplestorestate *out, TupleDesc type, const char *sql, ArrayType *models);

#endif
