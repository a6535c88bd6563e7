/*
 * source.h: the interaction table (or view, ...) of a relation, read into memory.
 *
 * gnnrec_source_read takes everything, for training: one statement, one snapshot, rows handed over one by one. It runs as the
 * current user: privileges and row security hold. gnnrec_source_user_edges takes one user's rows as they are now, for serving,
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
    int64       null_ids;
    int64       unknown_events; /* kinds that event_weights does not name, or NULL */
    int64       bad_values;     /* value or time NULL, NaN or infinite */
} GnnrecReadCounts;

/* the interactions: arrays of n, not merged; memory of the context current at the call */
typedef struct GnnrecInteractions
{
    int64       n;
    int32      *from;
    int32      *to;
    float      *weight;         /* NULL: all 1 */
    double     *time;           /* seconds since 1970; NULL: the relation has no time column */
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
 * The same of one item, as it is now, with the model owner's rights, as a view would: whoever may ask for an audience need not be
 * allowed to read interactions. An index on the item column saves reading all of them.
 */
extern void gnnrec_source_item_read(GnnrecInteractions *out, const GnnrecModel *model, GnnrecIdMap *user_ids,
                                    GnnrecIdMap *item_ids, Datum item_id);

/* one user's interactions, not merged, the same weights up to a common factor */
typedef struct GnnrecUserEdges
{
    int64       n;
    Datum      *item;           /* of the item column's type */
    float      *weight;
} GnnrecUserEdges;

extern void gnnrec_source_user_edges(GnnrecUserEdges *out, const GnnrecModel *model, Datum user_id);

/* checks at definition time: relation kind, columns, their types, that the caller may read them; ERROR with the rule broken */
extern void gnnrec_source_check(const GnnrecRelation *r);

/* the weight of each kind of event, from jsonb; ERROR unless an object of finite numbers */
extern void gnnrec_source_check_event_weights(const Jsonb *weights);

/* the quoted, qualified name of a relation; ERROR where it does not exist any more */
extern char *gnnrec_relation_name(Oid relation);

/* the type of a column of the source; ERROR where there is none */
extern Oid  gnnrec_source_column_type(Oid source, const char *column);

/* how many interactions, users and items the source holds, counted */
extern void gnnrec_source_count(const GnnrecRelation *r, int64 *n_rows, int64 *n_from, int64 *n_to);

#endif
