/*
 * features.c: columns of a catalogue, made a sparse matrix; see features.h.
 *
 * One query reads all features of a type. What is kept while rows come in are entries: the node, the column within the feature,
 * the number. How wide a feature is, and where its columns begin, is known when all rows have been seen. Values of a category are
 * numbered in the order of their text, and sums go over nodes in the order of their ids: how a scan returned rows does not show.
 *
 * The row of one node goes the same way to its entries. There columns are not counted but looked up, by whoever asks.
 */
#include "postgres.h"

#include "pg/features.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "nodes/params.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "pg/feature_column.h"
#include "pg/source_rows.h"

#define ROWS_A_TICK 4096
#define FIRST_ENTRIES 1024      /* of one number each */

/* an array that grows */
typedef struct Entries
{
    int64       n;
    int64       capacity;
    int32      *node;
    int32      *column;         /* within the feature; NULL in what has a row a node */
    double     *number;         /* `width` an entry */
} Entries;

/* one feature while it is read */
typedef struct Feature
{
    const GnnrecFeature *definition;
    GnnrecFeatureKind kind;
    bool        is_array;       /* of values of a category */
    int32       width;          /* buckets, or numbers of a node; 0: not known yet, or as many as the dictionary has */
    bool        is_coded;       /* by a training: width is what it is */
    Entries     entries;        /* of values and tokens one each; of numbers and vectors one a node */
    Entries     missing;        /* nodes without a number or a vector */
    GnnrecIdMap dictionary;     /* of a category without a size */
} Feature;

struct GnnrecFeatureRows
{
    const GnnrecNodeType *type;
    MemoryContext context;
    int         n;
    Feature    *features;
    int32       n_seen;         /* room in seen */
    bool       *seen;           /* by node */
    GnnrecReadTick tick;        /* listens to signals, and looks whether there is memory left; NULL: nobody does */
    void       *tick_arg;
    int64       n_rows;         /* read */
    bool        has_grown;      /* since the last tick: a row may be a long vector */
};

/* ---------------------------------------------------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------------------------------------------------ */

typedef struct Reader
{
    DestReceiver dest;          /* must be first */
    GnnrecFeatureRows *rows;
    GnnrecIdMap *ids;
    MemoryContext row;          /* reset after each row */
    int64       n_rows;
} Reader;

static char *
query(const GnnrecFeatureRows *rows)
{
    const GnnrecNodeType *type = rows->type;
    StringInfoData q;

    initStringInfo(&q);
    appendStringInfo(&q, "SELECT s.%s", quote_identifier(type->catalogue_id));
    for (int i = 0; i < rows->n; i++)
        appendStringInfo(&q, ", %s", gnnrec_feature_expression(type, rows->features[i].definition));
    appendStringInfo(&q, " FROM %s s", gnnrec_relation_name(type->catalogue));
    return q.data;
}

static void *
grown(MemoryContext context, void *array, int64 capacity, Size size)
{
    return array == NULL ? MemoryContextAllocHuge(context, capacity * size) : repalloc_huge(array, capacity * size);
}

/* room for an entry of a node; returns its place */
static int64
append(GnnrecFeatureRows *rows, Entries *e, int32 node, bool has_column, int32 width)
{
    if (e->n == e->capacity)
    {
        e->capacity = e->capacity == 0 ? FIRST_ENTRIES / Max(width, 1) + 1 : e->capacity + e->capacity / 2 + 1;
        rows->has_grown = true;
        e->node = grown(rows->context, e->node, e->capacity, sizeof(int32));
        if (has_column)
            e->column = grown(rows->context, e->column, e->capacity, sizeof(int32));
        if (width > 0)
            e->number = grown(rows->context, e->number, e->capacity, sizeof(double) * width);
    }
    e->node[e->n] = node;
    return e->n++;
}

static void
append_value(GnnrecFeatureRows *rows, Feature *f, int32 node, int32 column, double weight)
{
    int64       at = append(rows, &f->entries, node, true, 1);

    f->entries.column[at] = column;
    f->entries.number[at] = weight;
}

static int32
bucket_of(const Feature *f, const char *bytes, int len)
{
    return hash_bytes((const unsigned char *) bytes, len) % (uint32) f->width;
}

/* a value of a category; text is in the row's memory */
static int32
value_number(Feature *f, Datum value)
{
    text       *packed = DatumGetTextPP(value);

    if (f->width == 0)
        return gnnrec_idmap_number(&f->dictionary, PointerGetDatum(packed));
    return bucket_of(f, VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed));
}

static void
read_values(GnnrecFeatureRows *rows, Feature *f, int32 node, Datum value)
{
    Datum      *values = &value;
    bool       *nulls = NULL;
    int         n = 1;
    int         n_values = 0;

    if (f->is_array)
        deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
    for (int i = 0; i < n; i++)
        n_values += nulls == NULL || !nulls[i];
    for (int i = 0; i < n; i++)
        if (nulls == NULL || !nulls[i])
            append_value(rows, f, node, value_number(f, values[i]), 1 / sqrt(n_values));
    rows->has_grown |= gnnrec_idmap_has_grown(&f->dictionary);
}

/* what is not ASCII counts as a letter, in whatever encoding: its bytes all have their highest bit set */
static bool
is_of_word(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

/* the next word at or after *at; its length, 0 at the end */
static int
next_word(const char **at, const char *end)
{
    const char *stop;

    while (*at < end && !is_of_word(**at))
        (*at)++;
    for (stop = *at; stop < end && is_of_word(*stop);)
        stop++;
    return stop - *at;
}

static void
read_text(GnnrecFeatureRows *rows, Feature *f, int32 node, Datum value)
{
    text       *packed = DatumGetTextPP(value);
    const char *start = VARDATA_ANY(packed);
    const char *end = start + VARSIZE_ANY_EXHDR(packed);
    const char *at;
    int         n_words = 0;
    int         len;

    for (at = start; (len = next_word(&at, end)) > 0; at += len)
        n_words++;
    for (at = start; (len = next_word(&at, end)) > 0; at += len)
        append_value(rows, f, node, bucket_of(f, at, len), 1 / sqrt(n_words));
}

/* a number that no float holds is none */
static bool
all_finite(const double *number, int n)
{
    for (int i = 0; i < n; i++)
        if (!isfinite((float) number[i]))
            return false;
    return true;
}

static void
read_numbers(GnnrecFeatureRows *rows, Feature *f, int32 node, const double *number, int n)
{
    if (n == 0 || !all_finite(number, n))
        append(rows, &f->missing, node, false, 0);
    else
    {
        int64       at = append(rows, &f->entries, node, false, n);

        memcpy(f->entries.number + at * n, number, n * sizeof(double));
    }
}

static char *
id_text(const GnnrecFeatureRows *rows, Datum id)
{
    Oid         output;
    bool        is_varlena;

    getTypeOutputInfo(rows->type->id_type, &output, &is_varlena);
    return OidOutputFunctionCall(output, id);
}

static void
read_vector(GnnrecFeatureRows *rows, Feature *f, int32 node, Datum value, Datum id)
{
    ArrayType  *array = DatumGetArrayTypeP(value);
    int         n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

    if (f->width == 0)
        f->width = n;
    if (f->is_coded && n != f->width)
        n = 0;
    if (n > 0 && n != f->width)
        ereport(ERROR,
                (errcode(ERRCODE_DATA_EXCEPTION),
                 errmsg("column \"%s\" of \"%s\" has %d dimensions for %s %s, and %d for others", f->definition->column,
                        get_rel_name(rows->type->catalogue), n, rows->type->name, id_text(rows, id), f->width)));
    read_numbers(rows, f, node, (const double *) ARR_DATA_PTR(array), array_contains_nulls(array) ? 0 : n);
}

static void
read_feature(GnnrecFeatureRows *rows, Feature *f, int32 node, Datum value, bool isnull, Datum id)
{
    double      number;

    switch (f->kind)
    {
        case GNNREC_CATEGORY:
            if (!isnull)
                read_values(rows, f, node, value);
            break;
        case GNNREC_TEXT:
            if (!isnull)
                read_text(rows, f, node, value);
            break;
        case GNNREC_NUMBER:
            number = isnull ? NAN : DatumGetFloat8(value);
            read_numbers(rows, f, node, &number, 1);
            break;
        case GNNREC_VECTOR:
            if (isnull)
                read_numbers(rows, f, node, NULL, 0);
            else
                read_vector(rows, f, node, value, id);
            break;
    }
}

/* ERROR where it has been seen before: which of its rows would be meant? */
static void
note_node(GnnrecFeatureRows *rows, int32 node, Datum id)
{
    if (node >= rows->n_seen)
    {
        int32       n = Max(node, PG_INT32_MAX / 2) == node ? PG_INT32_MAX : Max(2 * node, FIRST_ENTRIES);

        rows->seen = grown(rows->context, rows->seen, n, sizeof(bool));
        memset(rows->seen + rows->n_seen, 0, (n - rows->n_seen) * sizeof(bool));
        rows->n_seen = n;
    }
    if (rows->seen[node])
        ereport(ERROR,
                (errcode(ERRCODE_UNIQUE_VIOLATION),
                 errmsg("\"%s\" has several rows of %s %s", get_rel_name(rows->type->catalogue), rows->type->name,
                        id_text(rows, id)),
                 errdetail("Features are taken from one row a node."),
                 errhint("A view can make one of them: array_agg makes several values of a category.")));
    rows->seen[node] = true;
}

static void
read_features(GnnrecFeatureRows *rows, int32 node, const TupleTableSlot *slot)
{
    for (int i = 0; i < rows->n; i++)
        read_feature(rows, &rows->features[i], node, slot->tts_values[i + 1], slot->tts_isnull[i + 1], slot->tts_values[0]);
}

static void
read_row(Reader *reader, const TupleTableSlot *slot)
{
    int32       node;

    if (slot->tts_isnull[0])
        return;                 /* the reader of ids has counted it */
    node = gnnrec_idmap_number(reader->ids, slot->tts_values[0]);
    note_node(reader->rows, node, slot->tts_values[0]);
    read_features(reader->rows, node, slot);
}

static void
tick(GnnrecFeatureRows *rows, int64 n_rows)
{
    rows->has_grown = false;
    if (rows->tick != NULL)
        rows->tick(rows->tick_arg, n_rows);
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
    Reader     *reader = (Reader *) self;
    MemoryContext old = MemoryContextSwitchTo(reader->row);

    slot_getallattrs(slot);
    read_row(reader, slot);
    MemoryContextSwitchTo(old);
    MemoryContextReset(reader->row);
    if (++reader->n_rows % ROWS_A_TICK == 0 || reader->rows->has_grown)
        tick(reader->rows, reader->n_rows);
    return true;
}

/* the catalogue is locked by now, so its columns stay as they are here */
static void
startup(DestReceiver *self, int operation, TupleDesc row_type)
{
    gnnrec_source_check_catalogue_type(((const Reader *) self)->rows->type, TupleDescAttr(row_type, 0)->atttypid);
}

static void
open_feature(Feature *f, const GnnrecNodeType *type, const GnnrecFeature *definition)
{
    GnnrecKeyType key;

    f->definition = definition;
    f->kind = gnnrec_feature_kind(definition);
    f->is_array = gnnrec_feature_is_array(type, definition);
    f->width = f->kind == GNNREC_NUMBER ? 1
        : f->kind == GNNREC_TEXT && definition->size == 0 ? GNNREC_DEFAULT_BUCKETS : definition->size;
    if (f->kind == GNNREC_CATEGORY && f->width == 0)
    {
        gnnrec_key_type(&key, TEXTOID);
        gnnrec_idmap_init(&f->dictionary, &key);
    }
}

static GnnrecFeatureRows *
open_rows(const GnnrecNodeType *type, int n)
{
    GnnrecFeatureRows *rows = palloc0(sizeof(GnnrecFeatureRows));

    rows->type = type;
    rows->context = CurrentMemoryContext;
    rows->n = n;
    rows->features = palloc0(sizeof(Feature) * n);
    return rows;
}

GnnrecFeatureRows *
gnnrec_features_read(const GnnrecNodeType *type, const GnnrecFeature *const *features, int n, GnnrecIdMap *ids,
                     GnnrecReadTick tick, void *tick_arg)
{
    GnnrecFeatureRows *rows = open_rows(type, n);
    Reader      reader = {.dest = {.receiveSlot = receive, .rStartup = startup}, .rows = rows, .ids = ids};

    rows->tick = tick;
    rows->tick_arg = tick_arg;
    for (int i = 0; i < n; i++)
    {
        gnnrec_feature_check(type, features[i], features[i]->size > 0);
        open_feature(&rows->features[i], type, features[i]);
    }
    reader.row = AllocSetContextCreate(CurrentMemoryContext, "gnnrec row", ALLOCSET_DEFAULT_SIZES);
    gnnrec_source_execute(&reader.dest, query(rows), NULL);
    MemoryContextDelete(reader.row);
    rows->n_rows = reader.n_rows;
    return rows;
}

int
gnnrec_features_count(const GnnrecFeatureRows *rows)
{
    return rows->n;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The matrix
 * ------------------------------------------------------------------------------------------------------------------ */

/* what a matrix is made of */
typedef struct Cells
{
    int64       n;
    int32      *node;
    int32      *column;
    float      *number;
    int32       n_columns;      /* so far */
} Cells;

static bool
has_numbers(const Feature *f)
{
    return f->kind == GNNREC_NUMBER || f->kind == GNNREC_VECTOR;
}

static int64
cells_of(const Feature *f)
{
    return has_numbers(f) ? f->entries.n * f->width + f->missing.n : f->entries.n;
}

/* a number of 0 is no entry of a sparse matrix */
static void
put(Cells *c, int32 node, int32 column, double number)
{
    if (number == 0)
        return;
    c->node[c->n] = node;
    c->column[c->n] = c->n_columns + column;
    c->number[c->n++] = (float) number;
}

/* the dictionary in its order, with bytes of its own */
static void
code_values(GnnrecFeatureCode *code, GnnArena *arena, const GnnrecIdMap *dictionary)
{
    int64       n_bytes = 0;
    char       *bytes;

    for (int32 i = 0; i < dictionary->n; i++)
        n_bytes += dictionary->keys[i].len;
    bytes = gnn_alloc(arena, n_bytes, 1);
    code->value = gnn_alloc(arena, dictionary->n, sizeof(GnnrecKey));
    for (int32 i = 0; i < dictionary->n; i++)
    {
        code->value[i] = dictionary->keys[i];
        code->value[i].bytes = memcpy(bytes, dictionary->keys[i].bytes, dictionary->keys[i].len);
        bytes += dictionary->keys[i].len;
    }
}

static void
put_values(Cells *c, Feature *f, const int32 *numbers, GnnArena *arena, GnnrecFeatureCode *code)
{
    int32       width = f->width > 0 ? f->width : f->dictionary.n;
    int32      *order = f->width > 0 ? NULL : gnnrec_idmap_sort(&f->dictionary);

    for (int64 i = 0; i < f->entries.n; i++)
        put(c, numbers[f->entries.node[i]], order == NULL ? f->entries.column[i] : order[f->entries.column[i]],
            f->entries.number[i]);
    c->n_columns += width;
    if (code != NULL && order != NULL)
        code_values(code, arena, &f->dictionary);
}

/* the entries in the order of nodes; palloc'd */
static int64 *
in_order(const Entries *e, const int32 *numbers, int32 n_nodes)
{
    int64      *of_node = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(n_nodes, 1));
    int64      *order = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(e->n, 1));
    int64       n = 0;

    for (int32 v = 0; v < n_nodes; v++)
        of_node[v] = -1;
    for (int64 i = 0; i < e->n; i++)
        of_node[numbers[e->node[i]]] = i;
    for (int32 v = 0; v < n_nodes; v++)
        if (of_node[v] >= 0)
            order[n++] = of_node[v];
    pfree(of_node);
    return order;
}

/* of each of the feature's numbers, over nodes; of one that is the same everywhere the deviation is 0 */
static void
measure(double *mean, double *deviation, const Feature *f, const int64 *order)
{
    const Entries *e = &f->entries;

    memset(mean, 0, sizeof(double) * f->width);
    memset(deviation, 0, sizeof(double) * f->width);
    for (int64 i = 0; i < e->n; i++)
        for (int32 c = 0; c < f->width; c++)
            mean[c] += (e->number[order[i] * f->width + c] - mean[c]) / (i + 1);
    for (int64 i = 0; i < e->n; i++)
        for (int32 c = 0; c < f->width; c++)
            deviation[c] += pow(e->number[order[i] * f->width + c] - mean[c], 2) / e->n;
    for (int32 c = 0; c < f->width; c++)
        deviation[c] = sqrt(deviation[c]) <= 1e-12 * fabs(mean[c]) ? 0 : sqrt(deviation[c]);
}

double
gnnrec_feature_scaled(double number, double mean, double deviation, int32 n_numbers)
{
    return (number - mean) / deviation / sqrt(n_numbers);
}

static void
put_numbers(Cells *c, const Feature *f, const int32 *numbers, int32 n_nodes, GnnArena *arena, GnnrecFeatureCode *code)
{
    const Entries *e = &f->entries;
    double     *mean = gnn_alloc(arena, f->width, sizeof(double));
    double     *deviation = gnn_alloc(arena, f->width, sizeof(double));
    int64      *order = in_order(e, numbers, n_nodes);

    measure(mean, deviation, f, order);
    pfree(order);
    for (int64 i = 0; i < e->n; i++)
    {
        const double *number = e->number + i * f->width;

        for (int32 j = 0; j < f->width; j++)
            if (deviation[j] > 0)
                put(c, numbers[e->node[i]], j, gnnrec_feature_scaled(number[j], mean[j], deviation[j], f->width));
    }
    for (int64 i = 0; i < f->missing.n; i++)
        put(c, numbers[f->missing.node[i]], f->width, 1);
    c->n_columns += f->width + (f->missing.n > 0);
    if (code == NULL)
        return;
    code->n_numbers = f->width;
    code->mean = mean;
    code->deviation = deviation;
}

static char *
added_name(char *names, const char *name)
{
    return names == NULL ? psprintf("\"%s\"", name) : psprintf("%s, \"%s\"", names, name);
}

static void
free_entries(Entries *e)
{
    void       *arrays[] = {e->node, e->column, e->number};

    for (int i = 0; i < lengthof(arrays); i++)
        if (arrays[i] != NULL)
            pfree(arrays[i]);
    *e = (Entries) {0};
}

static char *
copied(GnnArena *arena, const char *string)
{
    return strcpy(gnn_alloc(arena, strlen(string) + 1, 1), string);
}

static void
begin_code(GnnrecFeatureCode *code, GnnArena *arena, const Cells *c, const Feature *f)
{
    if (code == NULL)
        return;
    *code = (GnnrecFeatureCode) {.definition = *f->definition, .first = c->n_columns};
    code->definition.column = copied(arena, f->definition->column);
    code->definition.kind = copied(arena, f->definition->kind);
    code->definition.size = f->width;
}

/* where no node has a number, that it is missing tells nothing either */
static void
put_feature(Cells *c, Feature *f, const int32 *numbers, int32 n_nodes, char **empty, GnnArena *arena, GnnrecFeatureCode *code)
{
    int64       before = c->n;

    begin_code(code, arena, c, f);
    if (f->entries.n > 0 && has_numbers(f))
        put_numbers(c, f, numbers, n_nodes, arena, code);
    else if (f->entries.n > 0)
        put_values(c, f, numbers, arena, code);
    if (code != NULL)
        code->n_columns = c->n_columns - code->first;
    if (c->n == before)
        *empty = added_name(*empty, f->definition->column);
    free_entries(&f->entries);
    free_entries(&f->missing);
}

void
gnnrec_features_build(GnnCsr *out, GnnArena *arena, GnnrecFeatureRows *rows, const int32 *numbers, int32 n_nodes, char **empty,
                      GnnrecFeatureCode *codes)
{
    Cells       c = {0};
    int64       n = 0;

    for (int i = 0; i < rows->n; i++)
        n += cells_of(&rows->features[i]);
    c.node = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * Max(n, 1));
    c.column = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * Max(n, 1));
    c.number = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * Max(n, 1));
    tick(rows, rows->n_rows);   /* before the server has to find the memory that was asked for */
    *empty = NULL;
    for (int i = 0; i < rows->n; i++)
        put_feature(&c, &rows->features[i], numbers, n_nodes, empty, arena, codes == NULL ? NULL : &codes[i]);
    gnn_csr_build(out, arena, &(GnnEdges) {.n = c.n, .from = c.node, .to = c.column, .weight = c.number}, n_nodes, c.n_columns);
    pfree(c.node);
    pfree(c.column);
    pfree(c.number);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * One node
 * ------------------------------------------------------------------------------------------------------------------ */

/* can the catalogue be asked for what the features are? It may have changed since a training, and may be changing now */
static bool
is_there(const GnnrecNodeType *type, const GnnrecFeature *features, int n)
{
    if (!gnnrec_source_lock(type->catalogue) || get_attnum(type->catalogue, type->catalogue_id) <= 0
        || gnnrec_source_column_type(type->catalogue, type->catalogue_id) != type->id_type)
        return false;
    for (int i = 0; i < n; i++)
        if (!gnnrec_feature_fits(type, &features[i]))
            return false;
    return true;
}

/* may its row be looked for at a call? As with interactions, see source_user.c */
static bool
is_quick(const GnnrecNodeType *type)
{
    return gnnrec_source_has_index(type->catalogue, type->catalogue_id) || gnnrec_source_is_small(type->catalogue);
}

/* a row beyond the first says only that there is none to go by */
static bool
receive_node(TupleTableSlot *slot, DestReceiver *self)
{
    Reader     *reader = (Reader *) self;
    MemoryContext old = MemoryContextSwitchTo(reader->rows->context);

    if (reader->n_rows++ == 0)
    {
        slot_getallattrs(slot);
        read_features(reader->rows, 0, slot);
    }
    MemoryContextSwitchTo(old);
    return true;
}

/* the entries of a feature as cells; the node is number 0 in all of them */
static int64
cells_of_node(GnnrecFeatureCell *cells, const Feature *f, int place)
{
    int64       n = 0;

    if (!has_numbers(f))
        for (int64 i = 0; i < f->entries.n; i++)
        {
            bool        has_value = f->width == 0;
            int32       column = f->entries.column[i];

            cells[n++] = (GnnrecFeatureCell) {.feature = place, .column = has_value ? -1 : column,
                                              .value = has_value ? f->dictionary.keys[column] : (GnnrecKey) {0},
                                              .number = f->entries.number[i]};
        }
    else if (f->missing.n > 0)
        cells[n++] = (GnnrecFeatureCell) {.feature = place, .column = f->width, .number = 1};
    else
        for (int32 c = 0; c < f->width && f->entries.n > 0; c++)
            cells[n++] = (GnnrecFeatureCell) {.feature = place, .column = c, .number = f->entries.number[c]};
    return n;
}

/* false: there is no row of the node, or more than one */
static bool
read_node(GnnrecFeatureRows *rows, Datum id)
{
    Reader      reader = {.dest = {.receiveSlot = receive_node, .rStartup = startup}, .rows = rows};
    ParamListInfo params = makeParamList(1);
    char       *sql = psprintf("%s WHERE s.%s OPERATOR(pg_catalog.=) $1 LIMIT 2", query(rows),
                               quote_identifier(rows->type->catalogue_id));

    params->params[0] = (ParamExternData) {.value = id, .pflags = PARAM_FLAG_CONST, .ptype = rows->type->id_type};
    gnnrec_source_execute(&reader.dest, sql, params);
    return reader.n_rows == 1;
}

static GnnrecFeatureCell *
all_cells(int64 *n_cells, const GnnrecFeatureRows *rows)
{
    GnnrecFeatureCell *cells;
    int64       n = 0;

    for (int i = 0; i < rows->n; i++)
        n += cells_of(&rows->features[i]);
    cells = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(GnnrecFeatureCell) * Max(n, 1));
    *n_cells = 0;
    for (int i = 0; i < rows->n; i++)
        *n_cells += cells_of_node(cells + *n_cells, &rows->features[i], i);
    return cells;
}

GnnrecFeatureCell *
gnnrec_features_of_node(int64 *n_cells, const GnnrecNodeType *type, const GnnrecFeature *features, int n, Datum id)
{
    GnnrecFeatureRows *rows = open_rows(type, n);

    if (!is_there(type, features, n) || !is_quick(type))
        return NULL;
    for (int i = 0; i < n; i++)
    {
        open_feature(&rows->features[i], type, &features[i]);
        rows->features[i].is_coded = true;
    }
    return read_node(rows, id) ? all_cells(n_cells, rows) : NULL;
}
