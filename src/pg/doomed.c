/*
 * doomed.c: snapshot files that go when the transaction commits; see doomed.h.
 *
 * A file is named by the run it serves, so nobody asks for it again once the run is gone. It could lie there until the next file
 * is made, which sweeps; but the files of a dropped extension would meet nobody who sweeps, and stay until the server restarts.
 *
 * What is to be removed is found before the commit, where an error is still an error, and removed after it. A prepared
 * transaction leaves its files to the sweep.
 */
#include "postgres.h"

#include "pg/doomed.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "pg/catalog.h"
#include "pg/snapshot.h"
#include "pg/snapshot_file.h"

typedef struct Doomed
{
    Oid         catalog;        /* OID of gnnrec.model */
    int64       run_id;
} Doomed;

static List *doomed = NIL;      /* of Doomed, in TopMemoryContext */
static Oid  doomed_catalog = InvalidOid;    /* gnnrec.model of an extension that may be gone at the commit */

static void
doom(Oid catalog, int64 run_id)
{
    MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);
    Doomed     *d = palloc(sizeof(Doomed));

    d->catalog = catalog;
    d->run_id = run_id;
    doomed = lappend(doomed, d);
    MemoryContextSwitchTo(old);
}

/* an extension that was not dropped after all keeps its files */
static void
doom_files_of_dropped_extension(void)
{
    int64      *runs;
    int         n;

    if (!OidIsValid(doomed_catalog) || SearchSysCacheExists1(RELOID, ObjectIdGetDatum(doomed_catalog)))
        return;
    runs = gnnrec_image_runs(doomed_catalog, &n);
    for (int i = 0; i < n; i++)
        doom(doomed_catalog, runs[i]);
    pfree(runs);
}

/* throws nothing */
static void
remove_files(void)
{
    ListCell   *cell;

    foreach(cell, doomed)
    {
        const Doomed *d = lfirst(cell);

        gnnrec_snapshot_remove(MyDatabaseId, d->catalog, d->run_id);
    }
}

static void
at_transaction_end(XactEvent event, void *arg)
{
    if (event == XACT_EVENT_PRE_COMMIT)
        doom_files_of_dropped_extension();
    if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
        return;
    if (event == XACT_EVENT_COMMIT)
        remove_files();
    list_free_deep(doomed);
    doomed = NIL;
    doomed_catalog = InvalidOid;
}

static void
watch_transaction(void)
{
    static bool registered = false;

    if (!registered)
        RegisterXactCallback(at_transaction_end, NULL);
    registered = true;
}

void
gnnrec_doom_model(int32 model_id)
{
    int         n;
    int64      *runs = gnnrec_stored_runs(model_id, &n);

    watch_transaction();
    for (int i = 0; i < n; i++)
        doom(gnnrec_catalog_table("model"), runs[i]);
}

void
gnnrec_doom_extension(void)
{
    watch_transaction();
    doomed_catalog = gnnrec_catalog_table("model");
}
