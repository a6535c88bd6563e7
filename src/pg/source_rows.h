/*
 * source_rows.h: the source of a relation as a query, and what one of its rows says: for who reads them all, and for who reads
 * one user's. Only source*.c, and reading.c, which puts them together, include this.
 */
#ifndef GNNREC_PG_SOURCE_ROWS_H
#define GNNREC_PG_SOURCE_ROWS_H

#include "postgres.h"

#include "nodes/params.h"
#include "nodes/pg_list.h"
#include "tcop/dest.h"

#include "pg/catalog.h"
#include "pg/source.h"

typedef struct GnnrecEventWeight
{
    char       *kind;
    int         len;
    float       weight;
    bool        hides;
} GnnrecEventWeight;

typedef struct GnnrecEventWeights
{
    int         n;
    GnnrecEventWeight *kinds;
    bool        others_hide;    /* rows without a kind hide their item */
} GnnrecEventWeights;

/* what one row says, once its columns are checked */
typedef struct GnnrecRow
{
    float       weight;
    double      time;
    bool        hides;          /* the item from the user */
    int32       kind;           /* of event, as the weights number them; or the value of relation_column, as the reader does */
} GnnrecRow;

typedef struct GnnrecRowReader
{
    const GnnrecRelation *relation;
    GnnrecEventWeights weights;
    GnnrecReadCounts counts;    /* of what was left out */
    GnnrecIdMap *values;        /* of relation_column; NULL where there is none */
    List       *unknown;        /* names of unknown kinds, the first few, in */
    MemoryContext context;
} GnnrecRowReader;

/* do rows of a relation differ in weight? The others weigh 1 */
static inline bool
gnnrec_rows_have_weights(const GnnrecRelation *r)
{
    return r->event_column != NULL || r->value_column != NULL || r->half_life != NULL || r->weight != 1;
}

/*
 * SELECT of the id columns as they are, then the kind of event as text, the value and the time (seconds) as float8, and the
 * relation as text, each only where the relation has it; the source is s. It ends with a WHERE where there is a since.
 */
extern char *gnnrec_source_query(const GnnrecRelation *r);

/* the row is not before a time, given as an SQL expression of seconds since 1970; an index on the column can find such rows */
extern char *gnnrec_source_time_condition(const GnnrecRelation *r, const char *seconds);
extern char *gnnrec_source_since_condition(const GnnrecRelation *r);

/* runs a query, qualified throughout, whose rows go to dest: its receiveSlot and rStartup are the caller's */
extern void gnnrec_source_execute(DestReceiver *dest, const char *sql, ParamListInfo params);

/* timestamptz, timestamp or date; a number. Of base types */
extern bool gnnrec_is_calendar_type(Oid type);
extern bool gnnrec_is_number_type(Oid type);

/* the weight of each kind of event, and whether it hides the item; ERROR where they make no sense */
extern void gnnrec_event_weights_read(GnnrecEventWeights *out, const GnnrecRelation *r);

/* where behaviours are separate: the number of the kind that is learned; ERROR where there is none, or it weighs nothing */
extern int  gnnrec_event_target(const GnnrecEventWeights *weights, const GnnrecRelation *r);

/* seconds; a month has 30 days */
extern double gnnrec_half_life_seconds(const Interval *half_life);

/* the optional columns of a row of the query; false: the row is to be skipped, and has been counted */
extern bool gnnrec_row_read(GnnrecRowReader *reader, GnnrecRow *row, const Datum *values, const bool *nulls);

/* ERROR where the source of a relation is gone */
extern void gnnrec_source_check_exists(const GnnrecRelation *r);

/* the same, and where it lacks a column that the relation names */
extern void gnnrec_source_check_there(const GnnrecRelation *r);

/* ids are read as what the model's types say: ERROR where the source has others by now */
extern void gnnrec_source_check_types(const GnnrecRelation *r, Oid from, Oid to, Oid from_wanted, Oid to_wanted);

/* the same before a query is made: of a column that is gone it would say less; of the time column, making it says as much */
extern void gnnrec_source_check_columns(const GnnrecRelation *r, Oid from_wanted, Oid to_wanted);

/* the catalogue of a node type: SELECT of its ids; ERROR where it, or its id column, is gone or of another type by now */
extern char *gnnrec_source_catalogue_query(const GnnrecNodeType *type);
extern void gnnrec_source_check_catalogue_there(const GnnrecNodeType *type);
extern void gnnrec_source_check_catalogue_type(const GnnrecNodeType *type, Oid is);

/* locks what is read from, so that it stays as it is looked at until the transaction ends; false: it does not exist any more */
extern bool gnnrec_source_lock(Oid source);

/* the same, and has it all of the relation's columns? What was learned is served without them */
extern bool gnnrec_source_is_there(const GnnrecRelation *r);

/* is the source, with its partitions and what inherits from it, small enough to be scanned at a call? */
extern bool gnnrec_source_is_small(Oid source);

#endif
