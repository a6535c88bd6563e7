/*
 * reading.h: everything a model is made of, from its sources to a graph.
 *
 * Two steps: the rows of all relations, the ids of all catalogues and features are read in one transaction, as the role that may
 * read them; then, without one, ids are numbered in their order and rows become the relations of a graph, see parts.h. All memory
 * is that of one context, the caller's.
 */
#ifndef GNNREC_PG_READING_H
#define GNNREC_PG_READING_H

#include "postgres.h"

#include "core/graph.h"
#include "pg/catalog.h"
#include "pg/features.h"
#include "pg/idmap.h"
#include "pg/source.h"

typedef struct GnnrecReading
{
    const GnnrecModel *model;
    MemoryContext context;
    GnnrecReadTick tick;        /* NULL: none */
    void       *tick_arg;
    bool        keeps_codes;    /* what becomes of users' features is wanted: before gnnrec_reading_build */

    /* by gnnrec_reading_rows */
    GnnrecIdMap ids[GNN_MAX_TYPES];
    int32       n_active[GNN_MAX_TYPES];    /* of the ids, those that interactions mention: the first, until they are sorted */
    int32       n_known[GNN_MAX_TYPES];     /* those that interactions or a catalogue mention: the next ones */
    int64       n_null[GNN_MAX_TYPES];      /* rows of its catalogue that have no id */
    MemoryContext rows_context;
    GnnrecInteractions *rows;   /* by place of the relation in the model; gone after gnnrec_reading_build */
    GnnrecFeatureRows *features[GNN_MAX_TYPES];     /* so are these; NULL: the type has none */
    int64       n_rows;         /* of all sources */
    int64       n_skipped;
    double      newest_event;   /* of the interactions; NaN: they have no time */
    char       *warning;        /* what a run says though it succeeded; NULL: nothing */

    /* by gnnrec_reading_build */
    GnnGraph    graph;          /* types as the model's; relation 0 is what is learned */
    GnnCsr      seen;           /* the interactions of all kinds together */
    char       *empty_features; /* columns of catalogues in which there is nothing to tell nodes apart by; NULL: none */
    int         n_codes;        /* features of users, and */
    GnnrecFeatureCode *codes;   /* what has become of them; NULL: there are none, or nobody wants to know */
    GnnCsr     *hidden;         /* those that hide their item from the user; NULL: all do */
} GnnrecReading;

/* bytes */
typedef struct GnnrecReadingMemory
{
    int64       held;           /* what a reading leaves behind for the training */
    int64       peak;           /* what it takes on the way, that included */
} GnnrecReadingMemory;

/* for the model, into the current memory context */
extern void gnnrec_reading_open(GnnrecReading *r, const GnnrecModel *model, GnnrecReadTick tick, void *tick_arg);

/* needs a transaction with an active snapshot; reads as the current role */
extern void gnnrec_reading_rows(GnnrecReading *r);

/* ERROR where there is nothing to learn from; the role's name is looked up, which needs the transaction */
extern void gnnrec_reading_check_not_empty(const GnnrecReading *r);

/* listens for interrupts in between */
extern void gnnrec_reading_build(GnnrecReading *r);

/* how many edges each relation of a graph has */
extern void gnnrec_reading_edges(int64 n_edges[GNN_MAX_RELATIONS], const GnnGraph *graph);

/* of one that is done, whose peak has passed */
extern GnnrecReadingMemory gnnrec_reading_memory(const GnnrecReading *r);

/*
 * The shape of the graph that a reading would make, with the numbers of its edges, counted by the server, and what it would take:
 * nothing is read into memory. Like gnnrec_reading_rows it needs a transaction and goes by the current role's rights.
 * keeps_codes: as in GnnrecReading.
 */
extern void gnnrec_reading_count(GnnGraph *graph, int64 n_edges[GNN_MAX_RELATIONS], GnnrecReadingMemory *memory,
                                 const GnnrecModel *model, bool keeps_codes);

#endif
