/*
 * snapshot.c: which runs this backend has mapped, and how to get at what is in them; see snapshot.h.
 *
 * A mapping is a memory context below TopMemoryContext that holds the description and owns the image. It is made below the
 * current transaction's context and moved up once complete, so an error on the way unmaps and removes whatever was there.
 * Mappings that are no longer wanted (another run of their model is live, or the model is gone) are freed when the
 * transaction ends: an older run may be in use by a query around the one that found the newer.
 *
 * A run from tables that this very transaction has written to is not shared: that may yet roll back, or be joined by more. Its
 * mapping holds for one command and is built again for the next.
 *
 * Builders of one run queue on an advisory lock, (database, run, 0x676F): the first one builds, the others find its file. Members
 * of one parallel query do not block each other and may build twice; the later file replaces the earlier one, which is the same.
 */
#include "postgres.h"

#include "pg/snapshot.h"

#include "access/xact.h"
#include "lib/ilist.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/uuid.h"

#include "model/induct.h"
#include "pg/config.h"
#include "pg/snapshot_build.h"
#include "pg/snapshot_file.h"

#define LOCK_CLASS 0x676F

typedef struct Mapping
{
    dlist_node  node;
    MemoryContext context;      /* this struct, all it points to, and the image */
    GnnrecImage *image;         /* what the snapshot's arrays lie in */
    Oid         catalog;        /* OID of gnnrec.model */
    bool        own;            /* with what this transaction has done, as of this command */
    CommandId   command;
    SubTransactionId subtransaction;    /* a savepoint's rollback takes back what was done, and counts no command */
    GnnrecModelVersion version; /* of the model, whose node types the snapshot describes */
    TimestampTz looked_at;      /* the statement in which the file was last seen to be as it was */
    bool        retired;        /* to be freed at the end of the transaction, unless it is asked for again */
    GnnrecSnapshot snapshot;
} Mapping;

/* a backend serves few models: a list is the quickest map */
static dlist_head mappings = DLIST_STATIC_INIT(mappings);
static bool any_retired = false;

static void
free_retired(XactEvent event, void *arg)
{
    dlist_mutable_iter iter;

    if (!any_retired || event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT
        || event == XACT_EVENT_PRE_PREPARE)
        return;
    any_retired = false;
    dlist_foreach_modify(iter, &mappings)
    {
        Mapping    *m = dlist_container(Mapping, node, iter.cur);

        if (!m->retired)
            continue;
        dlist_delete(&m->node);
        MemoryContextDelete(m->context);
    }
}

static void
retire(Mapping *m)
{
    m->retired = true;
    any_retired = true;
}

/* does a mapping answer for this run, now? */
static bool
answers(const Mapping *m, Oid catalog, int32 model_id, int64 run_id)
{
    return m->snapshot.run_id == run_id && m->snapshot.model_id == model_id && m->catalog == catalog
        && !m->image->damaged
        && (!m->own || (m->command == GetActiveSnapshot()->curcid && m->subtransaction == GetCurrentSubTransactionId()));
}

/* once a statement: has somebody written to its file? */
static bool
is_intact(Mapping *m)
{
    TimestampTz now = GetCurrentStatementStartTimestamp();

    if (m->looked_at != now && !gnnrec_image_is_untouched(m->image))
        m->image->damaged = true;
    m->looked_at = now;
    return !m->image->damaged;
}

static Mapping *
find(Oid catalog, int32 model_id, int64 run_id)
{
    dlist_iter  iter;

    dlist_foreach(iter, &mappings)
    {
        Mapping    *m = dlist_container(Mapping, node, iter.cur);

        if (!answers(m, catalog, model_id, run_id) || !is_intact(m))
            continue;
        m->retired = m->own;
        return m;
    }
    return NULL;
}

/* before a run is mapped: the mappings of this backend that nobody will ask for again */
static void
retire_stale(Oid catalog)
{
    dlist_iter  iter;

    dlist_foreach(iter, &mappings)
    {
        Mapping    *m = dlist_container(Mapping, node, iter.cur);

        if (m->image->damaged || m->catalog != catalog || gnnrec_live_run(m->snapshot.model_id) != m->snapshot.run_id)
            retire(m);
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * mapping a run
 * ------------------------------------------------------------------------------------------------------------------- */

static void
describe(GnnrecSnapshot *out, const GnnrecModel *model, int64 run_id)
{
    out->model_id = model->model_id;
    out->run_id = run_id;
    out->n_types = model->n_types;
    for (int t = 0; t < model->n_types; t++)
    {
        out->types[t].name = pstrdup(model->types[t].name);
        out->types[t].table = model->types[t].table;
        gnnrec_key_type(&out->types[t].key, model->types[t].id_type);
    }
    out->interactions.from_type = out->reverse.to_type = model->relations[GNNREC_INTERACTIONS].from_type;
    out->interactions.to_type = out->reverse.from_type = model->relations[GNNREC_INTERACTIONS].to_type;
}

static Mapping *
new_mapping(const GnnrecModel *model, int64 run_id, Oid catalog)
{
    MemoryContext context = AllocSetContextCreate(CurTransactionContext, "gnnrec snapshot", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);
    Mapping    *m = palloc0(sizeof(Mapping));

    m->context = context;
    m->catalog = catalog;
    describe(&m->snapshot, model, run_id);
    MemoryContextSwitchTo(old);
    return m;
}

/* is what folding in will read as long as it takes it for? The configuration is the catalogue's, the rest the image's */
static bool
weights_fit(const GnnrecSnapshot *s)
{
    const GnnrecSnapshotNodes *items = &s->types[GNNREC_ITEM];
    int64       width = s->dim;

    if (s->weights != NULL)
    {
        if (s->config == NULL || s->dim != s->config->dim || s->n_weights != gnn_n_weights(s->config))
            return false;
        width = gnn_fold_in_width(s->config);
    }
    return items->fold_in == NULL || items->n == 0 || items->fold_in_width == width;
}

/* an image in a context of its own, so that an unsound one can be let go of */
static bool
attach(Mapping *m)
{
    MemoryContext context = AllocSetContextCreate(m->context, "gnnrec image", ALLOCSET_SMALL_SIZES);
    MemoryContext old = MemoryContextSwitchTo(context);

    m->image = gnnrec_image_open(m->catalog, m->snapshot.model_id, m->snapshot.run_id);
    MemoryContextSwitchTo(old);
    if (m->image != NULL && gnnrec_image_read(&m->snapshot, (const GnnrecImageHeader *) m->image->base)
        && weights_fit(&m->snapshot))
        return true;
    MemoryContextDelete(context);
    return false;
}

static void
build(Mapping *m)
{
    m->image = gnnrec_snapshot_build(&m->snapshot, m->catalog, &m->own);
    m->command = GetActiveSnapshot()->curcid;
    m->subtransaction = GetCurrentSubTransactionId();
    gnnrec_image_publish(m->image);
    if (m->own)
        retire(m);
    ereport(DEBUG1,
            (errmsg_internal("built the snapshot of run " INT64_FORMAT ": %zu bytes", m->snapshot.run_id, m->image->size)));
}

static void
attach_or_build(Mapping *m)
{
    int64       run_id = m->snapshot.run_id;
    LOCKTAG     tag;

    if (attach(m))
        return;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (run_id >> 32), (uint32) run_id, LOCK_CLASS);
    (void) LockAcquire(&tag, ExclusiveLock, false, false);
    if (!attach(m))
        build(m);
    LockRelease(&tag, ExclusiveLock, false);
}

/* what the row of the run says, once a mapping: it stays true. A run without one was not written by a worker */
static void
describe_run(Mapping *m)
{
    GnnrecRun   run;
    GnnConfig   config;

    if (!gnnrec_run_by_id(&run, m->snapshot.run_id, GetActiveSnapshot()))
        return;
    m->snapshot.explainable = run.explainable;
    if (!gnnrec_config_of_layers(&config, run.params))
        return;
    m->snapshot.config = memcpy(MemoryContextAlloc(m->context, sizeof(GnnConfig)), &config, sizeof(GnnConfig));
}

static Mapping *
map_run(const GnnrecModel *model, int64 run_id, Oid catalog)
{
    static bool registered = false;
    Mapping    *m;
    MemoryContext old;

    if (!registered)
        RegisterXactCallback(free_retired, NULL);
    registered = true;
    retire_stale(catalog);
    m = new_mapping(model, run_id, catalog);
    describe_run(m);
    old = MemoryContextSwitchTo(m->context);
    attach_or_build(m);
    MemoryContextSwitchTo(old);
    m->looked_at = GetCurrentStatementStartTimestamp();
    MemoryContextSetParent(m->context, TopMemoryContext);
    dlist_push_head(&mappings, &m->node);
    return m;
}

static void
check_trained(const GnnrecModel *model, int64 run_id)
{
    if (run_id == 0)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("model \"%s\" has not been trained", model->name),
                 errhint("Run gnnrec.train(%s) first.", quote_literal_cstr(model->name))));
}

/* the run is not mapped: the guard is told what the catalogue says */
static const GnnrecSnapshot *
live_unmapped(int32 model_id, const GnnrecModelVersion *version, GnnrecSnapshotGuard guard, void *arg)
{
    const GnnrecModel *model = gnnrec_model_by_id(model_id);
    GnnrecSnapshot *described = palloc0(sizeof(GnnrecSnapshot));
    Mapping    *m;

    describe(described, model, version->live_run);
    if (!guard(described, arg))
        return NULL;
    check_trained(model, version->live_run);
    m = map_run(model, version->live_run, version->catalog);
    m->version = *version;
    return &m->snapshot;
}

/* are the node types of a mapping those of the model? It can get further types, and lose them */
static bool
describes(const Mapping *m, const GnnrecModel *model)
{
    if (m->snapshot.n_types != model->n_types)
        return false;
    for (int t = 0; t < model->n_types; t++)
        if (m->snapshot.types[t].table != model->types[t].table || strcmp(m->snapshot.types[t].name, model->types[t].name) != 0)
            return false;
    return true;
}

/* does a mapping know the model as it is now? One that is out of date is retired */
static bool
is_up_to_date(Mapping *m, const GnnrecModelVersion *version)
{
    if (gnnrec_same_version(&m->version, version))
        return true;
    if (!describes(m, gnnrec_model_by_id(m->snapshot.model_id)))
    {
        retire(m);
        return false;
    }
    m->version = *version;
    return true;
}

const GnnrecSnapshot *
gnnrec_snapshot_live(int32 model_id, GnnrecSnapshotGuard guard, void *arg)
{
    GnnrecModelVersion version;
    Mapping    *m;

    (void) gnnrec_model_version(&version, model_id);
    m = find(version.catalog, model_id, version.live_run);
    if (m == NULL || !is_up_to_date(m, &version))
        return live_unmapped(model_id, &version, guard, arg);
    return guard(&m->snapshot, arg) ? &m->snapshot : NULL;
}

/* a table is one model's for as long as there are both: what is mapped tells which, without a look into the catalogue */
static int32
model_of_table(Oid item_table, Oid catalog)
{
    dlist_iter  iter;

    dlist_foreach(iter, &mappings)
    {
        const Mapping *m = dlist_container(Mapping, node, iter.cur);

        if (m->catalog == catalog && m->snapshot.types[GNNREC_ITEM].table == item_table)
            return m->snapshot.model_id;
    }
    return gnnrec_model_of_table(item_table);
}

static void
complain_of_table(Oid table)
{
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             get_rel_name(table) == NULL ? errmsg("table with OID %u is no model's item table", table)
             : errmsg("table \"%s\" is no model's item table", get_rel_name(table)),
             errhint("Its model was dropped, or its schema was restored without the extension's own tables. "
                     "Create the model with gnnrec.create_model() and train it.")));
}

const GnnrecSnapshot *
gnnrec_snapshot_of_table(Oid item_table, GnnrecSnapshotGuard guard, void *arg)
{
    int32       model_id = model_of_table(item_table, gnnrec_catalog_table("model"));

    if (model_id == 0)
        complain_of_table(item_table);
    return gnnrec_snapshot_live(model_id, guard, arg);
}

void
gnnrec_snapshot_warm(const GnnrecModel *model, int64 run_id)
{
    Oid         catalog = gnnrec_catalog_table("model");

    if (find(catalog, model->model_id, run_id) == NULL)
        (void) map_run(model, run_id, catalog);
}

void
gnnrec_snapshot_remove(Oid database, Oid catalog, int64 run_id)
{
    gnnrec_image_unlink(database, catalog, run_id);
}

/* -------------------------------------------------------------------------------------------------------------------
 * what is in a run
 * ------------------------------------------------------------------------------------------------------------------- */

void
gnnrec_snapshot_damaged(const GnnrecSnapshot *snapshot)
{
    dlist_iter  iter;

    dlist_foreach(iter, &mappings)
    {
        Mapping    *m = dlist_container(Mapping, node, iter.cur);

        if (&m->snapshot == snapshot)
            gnnrec_image_damaged(m->image);
    }
    elog(ERROR, "run " INT64_FORMAT " is damaged, and not mapped", snapshot->run_id);
}

static GnnrecKey
key_at(const GnnrecSnapshot *snapshot, int type, int32 node)
{
    const GnnrecSnapshotNodes *nodes = &snapshot->types[type];
    GnnrecKey   key = {0};
    int64       begin;
    int64       end;

    if (nodes->numbers != NULL)
    {
        key.number = nodes->numbers[node];
        return key;
    }
    begin = nodes->offsets[node];
    end = nodes->offsets[node + 1];
    if (begin < 0 || begin > end || end > nodes->n_bytes || end - begin > PG_INT32_MAX
        || (nodes->key.kind == GNNREC_KEY_UUID && end - begin != UUID_LEN))
        gnnrec_snapshot_damaged(snapshot);
    key.bytes = nodes->bytes + begin;
    key.len = end - begin;
    return key;
}

/* keys that are numbers: often all from the first to the last, and then the place is known */
static int32
find_number(const GnnrecSnapshotNodes *nodes, int64 number)
{
    const int64 *numbers = nodes->numbers;
    int32       low = 0;
    int32       high = nodes->n;
    uint64      guess;

    if (nodes->n == 0 || number < numbers[0] || number > numbers[nodes->n - 1])
        return -1;
    guess = (uint64) number - (uint64) numbers[0];
    if (guess < nodes->n && numbers[guess] == number)
        return guess;
    while (high - low > 1)
    {
        int32       middle = low + (high - low) / 2;

        if (numbers[middle] <= number)
            low = middle;
        else
            high = middle;
    }
    return numbers[low] == number ? low : -1;
}

int32
gnnrec_snapshot_find(const GnnrecSnapshot *snapshot, int type, GnnrecKey key)
{
    GnnrecKeyKind kind = snapshot->types[type].key.kind;
    int32       low = 0;
    int32       high = snapshot->types[type].n;

    if (kind == GNNREC_KEY_INT)
        return find_number(&snapshot->types[type], key.number);
    while (low < high)
    {
        int32       middle = low + (high - low) / 2;
        int         order = gnnrec_key_compare(kind, key_at(snapshot, type, middle), key);

        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

Datum
gnnrec_snapshot_id(const GnnrecSnapshot *snapshot, int type, int32 node)
{
    if (node < 0 || node >= snapshot->types[type].n)
        gnnrec_snapshot_damaged(snapshot);
    return gnnrec_key_datum(&snapshot->types[type].key, key_at(snapshot, type, node));
}

static void
row_of(GnnrecSnapshotRow *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotEdges *edges, int32 node)
{
    int32       n_to = snapshot->types[edges->to_type].n;
    int64       begin;

    memset(out, 0, sizeof(*out));
    begin = edges->ptr[node];
    if (begin < 0 || begin > edges->ptr[node + 1] || edges->ptr[node + 1] > edges->n)
        gnnrec_snapshot_damaged(snapshot);
    out->n = edges->ptr[node + 1] - begin;
    out->idx = edges->idx + begin;
    out->val = edges->val == NULL ? NULL : edges->val + begin;
    out->shown = edges->shown == NULL ? NULL : edges->shown + begin;
    for (int64 i = 0; i < out->n; i++)
        if (out->idx[i] < (i == 0 ? 0 : out->idx[i - 1] + 1) || out->idx[i] >= n_to)
            gnnrec_snapshot_damaged(snapshot);
}

void
gnnrec_snapshot_row(GnnrecSnapshotRow *out, const GnnrecSnapshot *snapshot, int32 user)
{
    row_of(out, snapshot, &snapshot->interactions, user);
}

void
gnnrec_snapshot_reverse_row(GnnrecSnapshotRow *out, const GnnrecSnapshot *snapshot, int32 item)
{
    row_of(out, snapshot, &snapshot->reverse, item);
}
