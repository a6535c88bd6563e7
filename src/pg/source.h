/*
 * source.h: the table (or view, ...) of a relation or of a node type's catalogue, read into memory.
 *
 * gnnrec_source_read takes everything, for training: one statement, one snapshot, rows handed over one by one. It runs as the
 * current user: privileges and row security hold. gnnrec_source_user_events takes one user's rows as they are now, for serving,
 * with the model owner's rights, as a view would.
 */
#ifndef GNNREC_PG_SOURCE_H
#define GNNREC_PG_SOURCE_H

#include "postgres.h"

#include "pg/catalog.h"
#include "pg/idmap.h"

/* what was read, and what was left out and why */
typedef struct GnnrecReadCounts
{
    int64       rows;           /* rows the source returned */
    int64       null_ids;       /* or a NULL in relation_column */
    int64       loops;          /* from a node to itself: what a node is to itself says nothing */
    int64       unknown_events; /* kinds that event_weights does not name, or NULL */
    int64       bad_values;     /* value or time NULL, NaN or infinite */
    int64       future;         /* later than now by more than a day: read as if they were of the newest time there is */
} GnnrecReadCounts;

/* the interactions, or the rows of another relation: arrays of n, not merged; memory of the context current at the call */
typedef struct GnnrecInteractions
{
    int64       n;
    int32      *from;
    int32      *to;
    float      *weight;         /* NULL: all 1 */
    double     *time;           /* seconds since 1970; NULL: the relation has no time column */
    bool       *hides;          /* does it hide the item from the user? NULL: all do */
    int32      *kind;           /* GnnrecRow.kind; NULL: all are one relation of the graph */
    GnnrecIdMap values;         /* numbers the kinds where there is a relation_column */
    GnnrecReadCounts counts;
    char       *unknown_events; /* the first few kinds skipped, for a warning; NULL: none */
} GnnrecInteractions;

/* called now and then while rows come in; may raise */
typedef void (*GnnrecReadTick) (void *arg, int64 rows);

/*
 * Reads relation r of the model; from_ids and to_ids number the ids (both initialised by the caller). Weights: event weight times
 * value times half-life decay counted back from the newest row. A transaction with an active snapshot is needed.
 */
extern void gnnrec_source_read(GnnrecInteractions *out, const GnnrecRelation *r, GnnrecIdMap *from_ids, GnnrecIdMap *to_ids,
                               GnnrecReadTick tick, void *tick_arg);

/*
 * The ids of a node type's catalogue get numbers, as nodes that relations need not mention. Returns how many rows it has, and how
 * many have no id.
 */
extern void gnnrec_source_read_catalogue(int64 *n_rows, int64 *n_null, const GnnrecNodeType *type, GnnrecIdMap *ids,
                                         GnnrecReadTick tick, void *tick_arg);

/*
 * The same of one item, as it is now, with the model owner's rights, as a view would: whoever may ask for an audience need not be
 * allowed to read interactions. Nothing is read where that would scan a table larger than gnnrec.fresh_max_scan, or where the
 * table or a column of it is gone.
 */
extern void gnnrec_source_item_read(GnnrecInteractions *out, const GnnrecModel *model, GnnrecIdMap *user_ids,
                                    GnnrecIdMap *item_ids, Datum item_id);

/* one user's interactions as they are now, not merged */
typedef struct GnnrecUserEvents
{
    int64       n;
    Datum      *item;           /* of the item column's type */
    float      *weight;         /* as the run's, decay included */
    bool       *hides;
    bool       *is_later;       /* later than all that the run read */
    bool        is_whole;       /* these are all the user has, those that the run read included */
} GnnrecUserEvents;

/*
 * The interactions of a user of which a run may not know, at most gnnrec.fresh_max_events, the newest where there is a time
 * column. is_known: the run knows the user, so that what is surely older than it can be left out. None where reading them would
 * mean to scan a large table: see source_user.c.
 */
extern void gnnrec_source_user_events(GnnrecUserEvents *out, int32 model_id, int64 run_id, Datum user_id, bool is_known);

/* a NOTICE where gnnrec_source_user_events lacks an index */
extern void gnnrec_source_advise(const GnnrecRelation *r);

/* may the rows of one id be found without reading all? Of what is no table it cannot tell, and says yes */
extern bool gnnrec_source_has_index(Oid source, const char *id_column);

/* checks at definition time: relation kind, columns, their types, that the caller may read them; ERROR with the rule broken */
extern void gnnrec_source_check(const GnnrecRelation *r);

/* the same of a catalogue, whose ids have to be of the type given */
extern void gnnrec_source_check_catalogue(const GnnrecNodeType *type);

/* the quoted, qualified name of a relation; ERROR where it does not exist any more */
extern char *gnnrec_relation_name(Oid relation);

/* the type of a column of the source; ERROR where there is none */
extern Oid  gnnrec_source_column_type(Oid source, const char *column);

#endif
