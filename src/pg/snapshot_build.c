/*
 * snapshot_build.c: from the embedding tables of a run to the image that serves it.
 *
 * Every table is read twice with the same snapshot, in the same physical order: first keys and sizes, which number the nodes
 * and lay the image out; then each row's vectors straight to their place. So a build takes the memory of the image and of the
 * keys, however big the model, and needs no room to sort vectors in.
 *
 * The tables are read by the table access method, without a plan and without a privilege check: whoever asks has been checked
 * (or is, at each question), and it works on a standby. Columns are found by name, so users may add their own. Rows are
 * checked here, once, for all who serve from the image: dense numbers, equal dimensions, finite values, ordered edges.
 *
 * Work is done in a memory context of its own, freed at the end; an error leaves open relations to the resource owner.
 */
#include "postgres.h"

#include "pg/snapshot_build.h"

#include <math.h>

#include "access/detoast.h"
#include "access/parallel.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/quantise.h"
#include "model/induct.h"
#include "pg/embedding.h"

#define QUANTISE_AT_ONCE 1024   /* blocks, between two looks at interrupts */

/* what the first pass keeps of a row */
typedef struct Entry
{
    GnnrecKey   key;
    int32       position;       /* where the scan met it */
    int32       n_edges;
    float       degree;
    float       popularity;
    bool        is_known;       /* by an edge or its vector */
} Entry;

/* the table of one node type: its columns (0: it has none of that name), and what the first pass learned */
typedef struct Table
{
    const GnnrecSnapshotNodes *nodes;
    Relation    rel;            /* NULL: the table was dropped, and there are no rows */
    AttrNumber  id;
    AttrNumber  run;
    AttrNumber  number;         /* <type>_no: repeats the node's number, and is checked */
    AttrNumber  embedding;
    AttrNumber  fold_in;
    AttrNumber  degree;
    AttrNumber  interactions;   /* the popularity, where it is not the degree */
    AttrNumber  seen;           /* edges: nodes, ascending */
    AttrNumber  seen_weight;    /* NULL where all are 1 */
    AttrNumber  shown;          /* some of seen, ascending; NULL where none */
    int64       n;
    int64       room;
    Entry      *entries;        /* n, as scanned, then by key */
    int32      *number_of;      /* of the i-th row scanned */
    int64       n_bytes;        /* of all keys, where they are bytes */
    int64       n_popular;      /* known rows, with a popularity above zero */
    int64       n_cold;         /* and without */
    int64       n_edges;
    int64       n_weighted;     /* rows with seen_weight */
    int64       n_showing;      /* rows with shown */
    int64       n_fold_in;      /* rows with fold_in */
} Table;

typedef struct Build
{
    GnnrecSnapshot *out;
    Snapshot    snapshot;
    Oid         embedding_type;
    MemoryContext work;         /* until the build ends */
    MemoryContext row;          /* until the next row */
    int32       dim;            /* 0: no row seen yet */
    ArrayType  *weights;        /* of the model's layers; NULL: there are none, or nothing that would use them */
    bool        own;            /* this transaction may have changed a table */
    Table       tables[GNN_MAX_TYPES];
} Build;

typedef void (*RowReader) (Build *b, Table *t, TupleTableSlot *slot, int64 i);

pg_noreturn static void
complain(const Build *b, const Table *t, const char *rule)
{
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("table \"%s\" does not hold run " INT64_FORMAT " as it was trained",
                    RelationGetRelationName(t->rel), b->out->run_id),
             errdetail_internal("%s", rule),
             errhint("Train the model again with gnnrec.train().")));
}

/* -------------------------------------------------------------------------------------------------------------------
 * tables and columns
 * ------------------------------------------------------------------------------------------------------------------- */

/* the number of a column that has the given type underneath; 0 where there is none */
static AttrNumber
optional_column(const Build *b, const Table *t, const char *name, Oid type)
{
    AttrNumber  number = get_attnum(RelationGetRelid(t->rel), name);

    if (number <= 0)
        return 0;
    if (getBaseType(TupleDescAttr(RelationGetDescr(t->rel), number - 1)->atttypid) != type)
        complain(b, t, psprintf("Column \"%s\" is of another type.", name));
    return number;
}

static AttrNumber
column(const Build *b, const Table *t, const char *name, Oid type)
{
    AttrNumber  number = optional_column(b, t, name, type);

    if (number == 0)
        complain(b, t, psprintf("It has no column \"%s\".", name));
    return number;
}

/*
 * May this transaction have changed the table? Rows that it deleted are not to be seen, but the lock that this takes lasts as
 * long as it does. The leader of a parallel query holds its locks itself: its workers go by whether it has written anything.
 */
static bool
may_be_own(Relation rel)
{
    return IsParallelWorker() ? TransactionIdIsValid(GetTopTransactionIdIfAny())
        : CheckRelationLockedByMe(rel, RowExclusiveLock, true);
}

/*
 * Every answer is made of users and items. A further type whose table was dropped is there without nodes, and who asks for it is
 * told (api/serve.c); but if it is this transaction that drops it, it may come back, and nobody else is to see it gone.
 */
static void
note_missing(Build *b, const Table *t, int type)
{
    if (type <= GNNREC_ITEM)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("the table of the model's %s embeddings does not exist", t->nodes->name),
                 errhint("Drop the model with gnnrec.drop_model() and create it again.")));
    b->own |= TransactionIdIsValid(GetTopTransactionIdIfAny());
}

static void
open_table(Build *b, Table *t, int type)
{
    const GnnrecSnapshotNodes *nodes = &b->out->types[type];

    t->nodes = nodes;
    t->rel = try_relation_open(nodes->table, AccessShareLock);
    if (t->rel == NULL)
    {
        note_missing(b, t, type);
        return;
    }
    if (t->rel->rd_rel->relkind != RELKIND_RELATION)
        complain(b, t, "It is not an ordinary table.");
    b->own |= may_be_own(t->rel);
    t->id = column(b, t, psprintf("%s_id", nodes->name), nodes->key.base);
    t->run = column(b, t, "run_id", INT8OID);
    t->embedding = column(b, t, "embedding", b->embedding_type);
    t->degree = column(b, t, "degree", FLOAT4OID);
    t->fold_in = type == GNNREC_ITEM ? optional_column(b, t, "fold_in", b->embedding_type) : 0;
    t->number = optional_column(b, t, psprintf("%s_no", nodes->name), INT4OID);
    if (b->out->interactions.to_type == type)
        t->interactions = column(b, t, "interactions", FLOAT4OID);
    if (b->out->interactions.from_type != type)
        return;
    t->seen = column(b, t, "seen", INT4ARRAYOID);
    t->seen_weight = column(b, t, "seen_weight", FLOAT4ARRAYOID);
    t->shown = column(b, t, "shown", INT4ARRAYOID);
}

/* a column of the slot's row; *isnull may be NULL where the column may not be */
static Datum
value_of(const Build *b, const Table *t, TupleTableSlot *slot, AttrNumber number, bool *isnull)
{
    bool        null;
    Datum       value = slot_getattr(slot, number, &null);

    if (isnull != NULL)
        *isnull = null;
    else if (null)
        complain(b, t, "A column holds NULL that may not.");
    return value;
}

/* the type of the vectors; another extension's type of that name would be laid out otherwise */
static Oid
embedding_type(void)
{
    return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("embedding"),
                           ObjectIdGetDatum(get_namespace_oid("gnnrec", false)));
}

/* hands the rows of the run to a reader; both passes meet them in the same order, as scans are not synchronised */
static void
scan_run(Build *b, Table *t, RowReader read)
{
    TupleTableSlot *slot = table_slot_create(t->rel, NULL);
    TableScanDesc scan = table_beginscan_strat(t->rel, b->snapshot, 0, NULL, true, false);
    int64       i = 0;

    while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
    {
        CHECK_FOR_INTERRUPTS();
        if (DatumGetInt64(value_of(b, t, slot, t->run, NULL)) == b->out->run_id)
            read(b, t, slot, i++);
    }
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
}

/* -------------------------------------------------------------------------------------------------------------------
 * first pass: keys and sizes
 * ------------------------------------------------------------------------------------------------------------------- */

static GnnrecKey
copy_key(GnnrecKey key)
{
    char       *bytes;

    if (key.bytes == NULL)
        return key;
    bytes = palloc(key.len + 1);
    memcpy(bytes, key.bytes, key.len);
    key.bytes = bytes;
    return key;
}

/* room for one more row */
static Entry *
new_entry(Table *t)
{
    if (t->n >= PG_INT32_MAX - 1)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("table \"%s\" holds more nodes than a model may have", RelationGetRelationName(t->rel))));
    if (t->n == t->room)
    {
        t->room = Max(1024, t->room * 2);
        t->entries = t->entries == NULL ? palloc(t->room * sizeof(Entry))
            : repalloc_huge(t->entries, t->room * sizeof(Entry));
    }
    return &t->entries[t->n++];
}

/* elements of a one-dimensional array of 4-byte elements without NULLs, by its size: a long list is not detoasted for it */
static int64
list_length_of(Datum array)
{
    int64       bytes = (int64) toast_raw_datum_size(array) - ARR_OVERHEAD_NONULLS(1);

    return Max(bytes, 0) / 4;
}

static float
weight_of(const Build *b, const Table *t, TupleTableSlot *slot, AttrNumber number)
{
    float       weight = DatumGetFloat4(value_of(b, t, slot, number, NULL));

    if (!isfinite(weight) || weight < 0)
        complain(b, t, "A degree or a sum of interactions is not a number from 0 on.");
    return weight;
}

/* is there anything in a row's vector? Asked of nodes without edges only: a vector may have to be fetched and unpacked */
static bool
has_direction(const Build *b, const Table *t, TupleTableSlot *slot)
{
    MemoryContext old = MemoryContextSwitchTo(b->row);
    const GnnrecEmbedding *vector = DatumGetEmbedding(value_of(b, t, slot, t->embedding, NULL));
    bool        found = false;

    for (int i = 0; i < vector->dim && !found; i++)
        found = vector->x[i] != 0;
    MemoryContextSwitchTo(old);
    MemoryContextReset(b->row);
    return found;
}

/* whether the run knows the node, and how popular it is */
static void
classify(Build *b, Table *t, Entry *entry, TupleTableSlot *slot)
{
    entry->degree = weight_of(b, t, slot, t->degree);
    entry->popularity = t->interactions == 0 ? entry->degree : weight_of(b, t, slot, t->interactions);
    entry->is_known = entry->degree > 0 || has_direction(b, t, slot);
    t->n_popular += entry->is_known && entry->popularity > 0;
    t->n_cold += entry->is_known && entry->popularity == 0;
}

static void
measure_row(Build *b, Table *t, TupleTableSlot *slot, int64 i)
{
    MemoryContext old = MemoryContextSwitchTo(b->work);
    Entry      *entry = new_entry(t);
    bool        isnull;

    entry->key = copy_key(gnnrec_key_of(&t->nodes->key, value_of(b, t, slot, t->id, NULL)));
    entry->position = i;
    entry->n_edges = 0;
    classify(b, t, entry, slot);
    if (b->dim == 0)
        b->dim = DatumGetEmbedding(value_of(b, t, slot, t->embedding, NULL))->dim;
    if (t->fold_in != 0)
    {
        value_of(b, t, slot, t->fold_in, &isnull);
        t->n_fold_in += !isnull;
    }
    if (t->seen != 0)
    {
        entry->n_edges = list_length_of(value_of(b, t, slot, t->seen, NULL));
        value_of(b, t, slot, t->seen_weight, &isnull);
        t->n_weighted += !isnull;
        value_of(b, t, slot, t->shown, &isnull);
        t->n_showing += !isnull;
    }
    t->n_bytes += entry->key.len;
    t->n_edges += entry->n_edges;
    MemoryContextSwitchTo(old);
}

static int
by_key(const void *a, const void *b, void *kind)
{
    return gnnrec_key_compare(*(const GnnrecKeyKind *) kind, ((const Entry *) a)->key, ((const Entry *) b)->key);
}

static void
number_rows(Build *b, Table *t)
{
    GnnrecKeyKind kind = t->nodes->key.kind;

    if (t->n == 0)
        return;
    qsort_arg(t->entries, t->n, sizeof(Entry), by_key, &kind);
    t->number_of = MemoryContextAllocHuge(b->work, t->n * sizeof(int32));
    for (int64 i = 0; i < t->n; i++)
    {
        if (i > 0 && gnnrec_key_compare(kind, t->entries[i - 1].key, t->entries[i].key) == 0)
            complain(b, t, "An id occurs twice.");
        t->number_of[t->entries[i].position] = i;
    }
}

/* -------------------------------------------------------------------------------------------------------------------
 * layout
 * ------------------------------------------------------------------------------------------------------------------- */

/* does the model fold in by its layers, while the run has no weights? Then the mean of neighbours stands in, see model/model.h */
static bool
lacks_weights(const Build *b)
{
    return b->out->config != NULL && gnn_is_inductive(b->out->config) && b->weights == NULL;
}

static int64
fold_in_width(const Build *b)
{
    return b->weights == NULL ? b->dim : gnn_fold_in_width(b->out->config);
}

static void
lay_out_nodes(GnnrecImageHeader *h, const Build *b, int type)
{
    const Table *t = &b->tables[type];

    if (t->nodes->key.kind == GNNREC_KEY_INT)
        gnnrec_image_add(h, GNNREC_SECTION_NUMBERS, type, t->n);
    else
    {
        gnnrec_image_add(h, GNNREC_SECTION_OFFSETS, type, t->n + 1);
        gnnrec_image_add(h, GNNREC_SECTION_BYTES, type, t->n_bytes);
    }
    gnnrec_image_add(h, GNNREC_SECTION_EMBEDDING, type, t->n);
    if (t->n_fold_in > 0)
        gnnrec_image_add(h, GNNREC_SECTION_FOLD_IN, type, t->n * fold_in_width(b));
    if (gnn_quantised_width(h->dim) > 0)
        gnnrec_image_add(h, GNNREC_SECTION_QUANTISED, type, gnn_quantised_blocks(t->n));
    gnnrec_image_add(h, GNNREC_SECTION_INVERSE_NORM, type, t->n);
    gnnrec_image_add(h, GNNREC_SECTION_DEGREE, type, t->n);
    if (t->interactions != 0)
        gnnrec_image_add(h, GNNREC_SECTION_POPULARITY, type, t->n);
    gnnrec_image_add(h, GNNREC_SECTION_LOG_POPULARITY, type, t->n);
    gnnrec_image_add(h, GNNREC_SECTION_POPULAR, type, t->n_popular);
    gnnrec_image_add(h, GNNREC_SECTION_ISOLATED, type, t->n - t->n_popular - t->n_cold);
    if (t->n_cold > 0)
    {
        gnnrec_image_add(h, GNNREC_SECTION_COLD, type, t->n_cold);
        gnnrec_image_add(h, GNNREC_SECTION_UNPOPULAR, type, t->n - t->n_popular);
    }
    gnnrec_image_add(h, GNNREC_SECTION_TABLE, type, 1);
}

static void
lay_out_edges(GnnrecImageHeader *h, const Table *t, const Table *to)
{
    gnnrec_image_add(h, GNNREC_SECTION_PTR, GNNREC_EDGES, t->n + 1);
    gnnrec_image_add(h, GNNREC_SECTION_IDX, GNNREC_EDGES, t->n_edges);
    if (t->n_weighted > 0)
        gnnrec_image_add(h, GNNREC_SECTION_VAL, GNNREC_EDGES, t->n_edges);
    if (t->n_showing > 0)
        gnnrec_image_add(h, GNNREC_SECTION_SHOWN, GNNREC_EDGES, t->n_edges);
    gnnrec_image_add(h, GNNREC_SECTION_PTR, GNNREC_REVERSE, to->n + 1);
    gnnrec_image_add(h, GNNREC_SECTION_IDX, GNNREC_REVERSE, t->n_edges);
}

static GnnrecImageHeader *
lay_out(const Build *b, Oid catalog)
{
    GnnrecImageHeader *h = MemoryContextAllocZero(b->work, offsetof(GnnrecImageHeader, sections)
                                                  + GNNREC_MAX_SECTIONS * sizeof(GnnrecSection));

    h->database = MyDatabaseId;
    h->catalog = catalog;
    h->run_id = b->out->run_id;
    h->model_id = b->out->model_id;
    h->dim = b->dim;
    for (int t = 0; t < b->out->n_types; t++)
        lay_out_nodes(h, b, t);
    lay_out_edges(h, &b->tables[b->out->interactions.from_type], &b->tables[b->out->interactions.to_type]);
    if (b->weights != NULL)
        gnnrec_image_add(h, GNNREC_SECTION_WEIGHTS, 0, gnn_n_weights(b->out->config));
    return h;
}

/* -------------------------------------------------------------------------------------------------------------------
 * filling: out's arrays, read-only for everybody else, are written here and only here
 * ------------------------------------------------------------------------------------------------------------------- */

static void
fill_keys(GnnrecSnapshotNodes *out, const Table *t)
{
    int64       end = 0;

    for (int64 i = 0; i < t->n; i++)
    {
        GnnrecKey   key = t->entries[i].key;

        if (out->numbers != NULL)
            ((int64 *) out->numbers)[i] = key.number;
        else
        {
            ((int64 *) out->offsets)[i] = end;
            memcpy((char *) out->bytes + end, key.bytes, key.len);
            end += key.len;
        }
    }
    if (out->offsets != NULL)
        ((int64 *) out->offsets)[t->n] = end;
}

/* popularity descending, then number */
static int
by_popularity(const void *a, const void *b, void *popularity)
{
    int32       i = *(const int32 *) a;
    int32       j = *(const int32 *) b;
    float       of_i = ((const float *) popularity)[i];
    float       of_j = ((const float *) popularity)[j];

    return of_i != of_j ? (of_i < of_j) - (of_i > of_j) : (i > j) - (i < j);
}

static void
fill_popularity(GnnrecSnapshotNodes *out, const Table *t)
{
    for (int32 i = 0; i < out->n; i++)
    {
        ((float *) out->degree)[i] = t->entries[i].degree;
        ((float *) out->popularity)[i] = t->entries[i].popularity;
        ((float *) out->log_popularity)[i] = (float) log1p(t->entries[i].popularity);
    }
}

/* popularity is in place: the nodes that are popular, cold and isolated, each in the order of the list */
static void
fill_classes(GnnrecSnapshotNodes *out, const Table *t)
{
    int32      *popular = (int32 *) out->popular;
    int32      *cold = (int32 *) out->cold;
    int32      *isolated = (int32 *) out->isolated;
    int32      *unpopular = out->cold == NULL ? NULL : (int32 *) out->unpopular;

    for (int32 i = 0; i < out->n; i++)
    {
        const Entry *entry = &t->entries[i];
        bool        is_popular = entry->is_known && entry->popularity > 0;

        if (is_popular)
            *popular++ = i;
        else if (entry->is_known)
            *cold++ = i;
        else
            *isolated++ = i;
        if (!is_popular && unpopular != NULL)
            *unpopular++ = i;
    }
    qsort_arg((int32 *) out->popular, out->n_popular, sizeof(int32), by_popularity, (void *) out->popularity);
}

static void
fill_ptr(GnnrecSnapshotEdges *out, const Table *t)
{
    int64      *ptr = (int64 *) out->ptr;

    ptr[0] = 0;
    for (int64 i = 0; i < t->n; i++)
        ptr[i + 1] = ptr[i] + t->entries[i].n_edges;
}

/* -------------------------------------------------------------------------------------------------------------------
 * second pass: vectors and edges
 * ------------------------------------------------------------------------------------------------------------------- */

/* copies a vector to its row; returns its squared length, which is finite exactly if all its values are */
static double
place_vector(const Build *b, const Table *t, const float *to, int64 dim, Datum value)
{
    const GnnrecEmbedding *vector = DatumGetEmbedding(value);
    double      square = 0;

    if (vector->dim != dim)
        complain(b, t, psprintf("It holds vectors of %d and of %d dimensions.", (int) dim, vector->dim));
    memcpy((float *) to, vector->x, dim * sizeof(float));
    for (int64 i = 0; i < dim; i++)
        square += (double) vector->x[i] * vector->x[i];
    if (!isfinite(square))
        complain(b, t, "A vector holds a value that is not finite.");
    return square;
}

/* the elements of an array column, which has to be as long as the first pass found it */
static const void *
elements(const Build *b, const Table *t, Datum value, int64 n)
{
    const ArrayType *array = DatumGetArrayTypeP(value);

    if (ARR_NDIM(array) == 0 ? n != 0 : ARR_NDIM(array) != 1 || ARR_HASNULL(array) || ARR_DIMS(array)[0] != n)
        complain(b, t, "Columns seen, seen_weight and shown are not lists without NULL, the first two of the same length.");
    return ARR_DATA_PTR(array);
}

static void
place_edges(const Build *b, const Table *t, TupleTableSlot *slot, int32 number)
{
    const GnnrecSnapshotEdges *edges = &b->out->interactions;
    int32       n_to = b->out->types[edges->to_type].n;
    int64       n = edges->ptr[number + 1] - edges->ptr[number];
    int32      *idx = (int32 *) edges->idx + edges->ptr[number];
    float      *val = edges->val == NULL ? NULL : (float *) edges->val + edges->ptr[number];
    bool        all_one;
    Datum       weights = value_of(b, t, slot, t->seen_weight, &all_one);

    memcpy(idx, elements(b, t, value_of(b, t, slot, t->seen, NULL), n), n * sizeof(int32));
    for (int64 i = 0; i < n; i++)
        if (idx[i] < 0 || idx[i] >= n_to || (i > 0 && idx[i] <= idx[i - 1]))
            complain(b, t, "Column seen is not an ascending list of item numbers of the run.");
    if (val == NULL)
        return;
    if (!all_one)
        memcpy(val, elements(b, t, weights, n), n * sizeof(float));
    for (int64 i = 0; i < n; i++)
        if (all_one)
            val[i] = 1;
        else if (!isfinite(val[i]))
            complain(b, t, "Column seen_weight holds a value that is not finite.");
}

/* marks those of a row's n edges that column shown names; both lists are ascending */
static void
place_shown(const Build *b, const Table *t, TupleTableSlot *slot, int32 number)
{
    const GnnrecSnapshotEdges *edges = &b->out->interactions;
    int64       n = edges->ptr[number + 1] - edges->ptr[number];
    const int32 *idx = edges->idx + edges->ptr[number];
    uint8      *mark = (uint8 *) edges->shown + edges->ptr[number];
    bool        isnull;
    Datum       value = value_of(b, t, slot, t->shown, &isnull);
    int64       n_shown;
    const int32 *shown;
    int64       s = 0;

    if (isnull)
        return;
    n_shown = list_length_of(value);
    shown = elements(b, t, value, n_shown);
    for (int64 e = 0; e < n && s < n_shown; e++)
        if (idx[e] == shown[s])
        {
            mark[e] = 1;
            s++;
        }
    if (s < n_shown)
        complain(b, t, "Column shown is not an ascending list of items of column seen.");
}

/* fold_in = sqrt(D_i) z_i, as gnn_fold_in_mean has it */
static void
place_mean(const GnnrecSnapshotNodes *nodes, int32 number)
{
    const float *z = gnnrec_snapshot_vector(nodes, number);
    float      *fold_in = (float *) nodes->fold_in + (int64) number * nodes->dim;

    for (int i = 0; i < nodes->dim; i++)
        fold_in[i] = sqrt(nodes->degree[number]) * z[i];
}

static void
place_row(Build *b, Table *t, TupleTableSlot *slot, int64 i)
{
    const GnnrecSnapshotNodes *nodes = t->nodes;
    MemoryContext old = MemoryContextSwitchTo(b->row);
    int32       number = t->number_of[i];
    float       inverse;

    Assert(i < t->n);
    if (t->number != 0 && DatumGetInt32(value_of(b, t, slot, t->number, NULL)) != number)
        complain(b, t, "The nodes are not numbered from 0 on in the order of their ids.");
    inverse = 1 / sqrt(place_vector(b, t, gnnrec_snapshot_vector(nodes, number), b->dim,
                                    value_of(b, t, slot, t->embedding, NULL)));
    ((float *) nodes->inverse_norm)[number] = isfinite(inverse) ? inverse : 0;
    if (nodes->fold_in != NULL && lacks_weights(b))
        place_mean(nodes, number);
    else if (nodes->fold_in != NULL)
        place_vector(b, t, nodes->fold_in + number * fold_in_width(b), fold_in_width(b), value_of(b, t, slot, t->fold_in, NULL));
    if (t->seen != 0)
        place_edges(b, t, slot, number);
    if (t->n_showing > 0)
        place_shown(b, t, slot, number);
    MemoryContextSwitchTo(old);
    MemoryContextReset(b->row);
}

/* once all vectors of a type are in place */
static void
fill_quantised(GnnrecSnapshotNodes *out)
{
    int64       n_blocks = gnn_quantised_blocks(out->n);

    for (int64 first = 0; out->quantised != NULL && first < n_blocks; first += QUANTISE_AT_ONCE)
    {
        CHECK_FOR_INTERRUPTS();
        gnn_quantise((char *) out->quantised + first * gnn_quantised_width(out->dim),
                     gnnrec_snapshot_vector(out, first * GNN_BLOCK), Min(n_blocks - first, QUANTISE_AT_ONCE), out->dim);
    }
}

/* the edges by the node they lead to, in the order of rows: counted, summed up, placed; then ptr is a row ahead, and moved */
static void
fill_reverse(GnnrecSnapshotEdges *out, const GnnrecSnapshotEdges *edges, int32 n_from, int32 n_to)
{
    int64      *ptr = (int64 *) out->ptr;

    for (int64 e = 0; e < edges->n; e++)
        ptr[edges->idx[e] + 1]++;
    for (int32 i = 0; i < n_to; i++)
        ptr[i + 1] += ptr[i];
    for (int32 from = 0; from < n_from; from++)
        for (int64 e = edges->ptr[from]; e < edges->ptr[from + 1]; e++)
            ((int32 *) out->idx)[ptr[edges->idx[e]]++] = from;
    memmove(ptr + 1, ptr, n_to * sizeof(int64));
    ptr[0] = 0;
}

/* -------------------------------------------------------------------------------------------------------------------
 * the build
 * ------------------------------------------------------------------------------------------------------------------- */

/* the member of an object; NULL: it has none of that name */
static JsonbValue *
member(const JsonbContainer *object, const char *name, JsonbValue *out)
{
    return JsonContainerIsObject(object)
        ? getKeyJsonValueFromContainer((JsonbContainer *) object, name, strlen(name), out) : NULL;
}

/* did the training have nodes of the type? A run that was not written by a worker does not say */
static bool
had_nodes(const Build *b, const Table *t, int type)
{
    GnnrecRun   run;
    JsonbValue  value;
    JsonbValue *n;

    if (!gnnrec_run_by_id(&run, b->out->run_id, b->snapshot) || run.metrics == NULL)
        return false;
    if (type <= GNNREC_ITEM)
        n = member(&run.metrics->root, psprintf("%ss", t->nodes->name), &value);
    else
        n = member(&run.metrics->root, "nodes", &value) != NULL && value.type == jbvBinary
            ? member(value.val.binary.data, t->nodes->name, &value) : NULL;
    return n != NULL && n->type == jbvNumeric
        && DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(n->val.numeric))) > 0;
}

/*
 * A restore or the first copy of a subscription fills one table after the other: who asks in between must not make a file that
 * goes on answering without users. A type that is dropped, and perhaps made again, is taken out of the runs' metrics.
 */
static void
check_has_arrived(const Build *b, const Table *t, int type)
{
    if (t->n == 0 && had_nodes(b, t, type))
        complain(b, t, "It has no row of the run.");
}

pg_noreturn static void
complain_of_weights(const Build *b, const char *rule)
{
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("table gnnrec.run does not hold run " INT64_FORMAT " as it was trained", b->out->run_id),
             errdetail_internal("%s", rule),
             errhint("Train the model again with gnnrec.train().")));
}

/* the weights of the run's layers, which have to be what its parameters make them */
static void
read_weights(Build *b)
{
    const GnnConfig *config = b->out->config;
    const float *x;

    b->weights = config == NULL || gnn_n_weights(config) == 0 ? NULL : gnnrec_run_weights(b->out->run_id, b->snapshot);
    if (b->weights == NULL)
        return;
    if (ARR_NDIM(b->weights) != 1 || ARR_HASNULL(b->weights) || ARR_DIMS(b->weights)[0] != gnn_n_weights(config))
        complain_of_weights(b, psprintf("Its weights are not a list of " INT64_FORMAT " numbers.", gnn_n_weights(config)));
    x = (const float *) ARR_DATA_PTR(b->weights);
    for (int64 i = 0; i < gnn_n_weights(config); i++)
        if (!isfinite(x[i]))
            complain_of_weights(b, "A weight is not finite.");
    if (b->dim != config->dim)
        complain_of_weights(b, psprintf("Its embeddings have %d dimensions, and its parameters say %d.", b->dim, config->dim));
}

static void
measure(Build *b)
{
    for (int t = 0; t < b->out->n_types; t++)
    {
        open_table(b, &b->tables[t], t);
        if (b->tables[t].rel == NULL)
            continue;
        scan_run(b, &b->tables[t], measure_row);
        check_has_arrived(b, &b->tables[t], t);
        number_rows(b, &b->tables[t]);
    }
    if (b->dim == 0)
        complain(b, &b->tables[0], "Neither it nor the tables beside it have a row of the run.");
    read_weights(b);
    if (b->weights != NULL && b->tables[GNNREC_ITEM].n_fold_in == 0 && gnn_is_inductive(b->out->config))
        b->weights = NULL;
}

/* whose image it is: what gnnrec_image_read() looks at first */
static void
name_tables(const GnnrecImageHeader *image, const GnnrecSnapshot *described)
{
    for (int t = 0; t < described->n_types; t++)
        *(Oid *) gnnrec_image_table(image, t) = described->types[t].table;
}

static void
fill(Build *b)
{
    for (int t = 0; t < b->out->n_types; t++)
    {
        fill_keys(&b->out->types[t], &b->tables[t]);
        fill_popularity(&b->out->types[t], &b->tables[t]);
        fill_classes(&b->out->types[t], &b->tables[t]);
    }
    if (b->weights != NULL)
        memcpy((float *) b->out->weights, ARR_DATA_PTR(b->weights), b->out->n_weights * sizeof(float));
    fill_ptr(&b->out->interactions, &b->tables[b->out->interactions.from_type]);
    for (int t = 0; t < b->out->n_types; t++)
    {
        if (b->tables[t].rel == NULL)
            continue;
        scan_run(b, &b->tables[t], place_row);
        fill_quantised(&b->out->types[t]);
        relation_close(b->tables[t].rel, AccessShareLock);
    }
    fill_reverse(&b->out->reverse, &b->out->interactions, b->tables[b->out->interactions.from_type].n,
                 b->tables[b->out->interactions.to_type].n);
}

GnnrecImage *
gnnrec_snapshot_build(GnnrecSnapshot *out, Oid catalog, bool *own)
{
    MemoryContext owner = CurrentMemoryContext;
    MemoryContext work = AllocSetContextCreate(owner, "gnnrec snapshot build", ALLOCSET_DEFAULT_SIZES);
    Build      *b;
    GnnrecImage *image;
    GnnrecImageHeader *header;

    MemoryContextSwitchTo(work);
    b = palloc0(sizeof(Build));
    b->out = out;
    b->snapshot = GetActiveSnapshot();
    b->embedding_type = embedding_type();
    b->work = work;
    b->row = AllocSetContextCreate(work, "gnnrec snapshot row", ALLOCSET_DEFAULT_SIZES);
    measure(b);
    header = lay_out(b, catalog);
    MemoryContextSwitchTo(owner);
    image = gnnrec_image_create(header, !b->own);
    name_tables((const GnnrecImageHeader *) image->base, out);
    if (!gnnrec_image_read(out, (const GnnrecImageHeader *) image->base))
        elog(ERROR, "the layout of the snapshot of run " INT64_FORMAT " contradicts itself", out->run_id);
    MemoryContextSwitchTo(work);
    fill(b);
    *own = b->own;
    MemoryContextSwitchTo(owner);
    MemoryContextDelete(work);
    return image;
}
