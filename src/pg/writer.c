/*
 * writer.c: many rows into a table; see writer.h.
 *
 * The SELECT of the one prepared INSERT reads a tuplestore registered under a name, which is filled BATCH rows at a time.
 */
#include "postgres.h"

#include "pg/writer.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/source.h"

#define BATCH 8192
#define BATCH_MEMORY_KB (64 * 1024)
#define NAME "gnnrec_batch"

static TupleDesc
row_type(const Oid *types, int n_columns)
{
    TupleDesc   desc = CreateTemplateTupleDesc(n_columns);

    for (int c = 0; c < n_columns; c++)
        TupleDescInitEntry(desc, c + 1, psprintf("c%d", c + 1), types[c], -1, 0);
    return desc;
}

void
gnnrec_writer_begin(GnnrecWriter *out, Oid table, const char *columns, const Oid *types, int n_columns)
{
    memset(out, 0, sizeof(*out));
    out->batch.md = (EphemeralNamedRelationMetadataData) {.name = NAME, .enrtype = ENR_NAMED_TUPLESTORE, .enrtuples = BATCH,
                                                          .tupdesc = row_type(types, n_columns)};
    if (SPI_register_relation(&out->batch) != SPI_OK_REL_REGISTER)
        elog(ERROR, "could not register a batch of rows");
    out->sql = psprintf("INSERT INTO %s (%s) SELECT * FROM " NAME, gnnrec_relation_name(table), columns);
    out->plan = SPI_prepare(out->sql, 0, NULL);
    if (out->plan == NULL)
        elog(ERROR, "could not prepare \"%s\"", out->sql);
    out->row_context = AllocSetContextCreate(CurrentMemoryContext, "gnnrec batch", ALLOCSET_DEFAULT_SIZES);
}

static void
flush(GnnrecWriter *w)
{
    w->batch.reldata = w->rows;
    if (SPI_execute_plan(w->plan, NULL, NULL, false, 0) != SPI_OK_INSERT)
        elog(ERROR, "could not execute \"%s\"", w->sql);
    tuplestore_end(w->rows);
    MemoryContextReset(w->row_context);
    w->rows = NULL;
    w->n = 0;
    CHECK_FOR_INTERRUPTS();
}

void
gnnrec_writer_add(GnnrecWriter *w, const Datum *values, const bool *nulls)
{
    if (w->rows == NULL)
        w->rows = tuplestore_begin_heap(false, false, BATCH_MEMORY_KB);
    tuplestore_putvalues(w->rows, w->batch.md.tupdesc, (Datum *) values, (bool *) nulls);
    if (++w->n == BATCH)
        flush(w);
}

void
gnnrec_writer_end(GnnrecWriter *w)
{
    if (w->n > 0)
        flush(w);
    SPI_freeplan(w->plan);
    SPI_unregister_relation(NAME);
    MemoryContextDelete(w->row_context);
}
