/*
 * writer.h: many rows into a table, as INSERT ... SELECT puts them there: defaults, constraints, triggers, casts, row security
 * and replication hold, with the current role's rights.
 */
#ifndef GNNREC_PG_WRITER_H
#define GNNREC_PG_WRITER_H

#include "postgres.h"

#include "executor/spi.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

typedef struct GnnrecWriter
{
    MemoryContext row_context;  /* for the values of the row to be added; reset now and then by gnnrec_writer_add */

    /* private */
    char       *sql;
    SPIPlanPtr  plan;
    EphemeralNamedRelationData batch;
    Tuplestorestate *rows;
    int         n;              /* rows that wait in the batch */
} GnnrecWriter;

/* SPI is connected, and stays so to the end; columns: their quoted names, as SQL lists them */
extern void gnnrec_writer_begin(GnnrecWriter *out, Oid table, const char *columns, const Oid *types, int n_columns);

extern void gnnrec_writer_add(GnnrecWriter *w, const Datum *values, const bool *nulls);

/* writes what is left */
extern void gnnrec_writer_end(GnnrecWriter *w);

#endif
