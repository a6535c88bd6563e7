/*
 * source.c: the rows of a source, all of them or those of one item, and the ids of a catalogue, into memory; see source.h.
 */
#include "postgres.h"

#include "pg/source.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/tuptable.h"
#include "nodes/params.h"
#include "tcop/dest.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/compat.h"
#include "pg/role.h"
#include "pg/source_rows.h"

#define ROWS_A_TICK 65536
#define FIRST_ROWS 65536

/* clocks and time zones may differ by that much, seconds */
#define SLACK SECS_PER_DAY

typedef struct Reader
{
    DestReceiver dest;          /* must be first */
    GnnrecRowReader rows;
    GnnrecInteractions *out;
    GnnrecIdMap *from_ids;
    GnnrecIdMap *to_ids;
    GnnrecReadTick tick;
    void       *tick_arg;
    MemoryContext row;          /* reset after each row: detoasted ids */
    int64       capacity;
} Reader;

static void *
grown(Reader *reader, void *array, Size size)
{
    return array == NULL ? MemoryContextAllocHuge(reader->rows.context, reader->capacity * size)
        : repalloc_huge(array, reader->capacity * size);
}

static void
grow(Reader *reader)
{
    GnnrecInteractions *out = reader->out;
    const GnnrecRelation *r = reader->rows.relation;

    reader->capacity = reader->capacity == 0 ? FIRST_ROWS : reader->capacity + reader->capacity / 2;
    out->from = grown(reader, out->from, sizeof(int32));
    out->to = grown(reader, out->to, sizeof(int32));
    if (gnnrec_rows_have_weights(r))
        out->weight = grown(reader, out->weight, sizeof(float));
    if (r->time_column != NULL)
        out->time = grown(reader, out->time, sizeof(double));
    if (r->seen_events != NULL)
        out->hides = grown(reader, out->hides, sizeof(bool));
    if (r->separate || r->relation_column != NULL)
        out->kind = grown(reader, out->kind, sizeof(int32));
}

static void
append_row(Reader *reader, Datum from, Datum to, const GnnrecRow *row)
{
    GnnrecInteractions *out = reader->out;

    if (out->n == reader->capacity)
        grow(reader);
    out->from[out->n] = gnnrec_idmap_number(reader->from_ids, from);
    out->to[out->n] = gnnrec_idmap_number(reader->to_ids, to);
    if (reader->from_ids == reader->to_ids && out->from[out->n] == out->to[out->n])
    {
        reader->rows.counts.loops++;
        return;
    }
    if (out->weight != NULL)
        out->weight[out->n] = row->weight;
    if (out->time != NULL)
        out->time[out->n] = row->time;
    if (out->hides != NULL)
        out->hides[out->n] = row->hides;
    if (out->kind != NULL)
        out->kind[out->n] = row->kind;
    out->n++;
}

/* have ids, or values of relation_column, taken memory since the last row? */
static bool
has_grown(Reader *reader)
{
    return gnnrec_idmap_has_grown(reader->from_ids) | gnnrec_idmap_has_grown(reader->to_ids)
        | (reader->rows.values != NULL && gnnrec_idmap_has_grown(reader->rows.values));
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
    Reader     *reader = (Reader *) self;
    GnnrecReadCounts *counts = &reader->rows.counts;
    MemoryContext old = MemoryContextSwitchTo(reader->row);
    GnnrecRow   row;

    slot_getallattrs(slot);
    counts->rows++;
    if (slot->tts_isnull[0] || slot->tts_isnull[1])
        counts->null_ids++;
    else if (gnnrec_row_read(&reader->rows, &row, slot->tts_values, slot->tts_isnull))
        append_row(reader, slot->tts_values[0], slot->tts_values[1], &row);
    MemoryContextSwitchTo(old);
    MemoryContextReset(reader->row);
    if ((has_grown(reader) || counts->rows % ROWS_A_TICK == 0) && reader->tick != NULL)
        reader->tick(reader->tick_arg, counts->rows);
    return true;
}

/* the source is locked by now, so its columns stay as they are here */
static void
startup(DestReceiver *self, int operation, TupleDesc row_type)
{
    const Reader *reader = (const Reader *) self;

    gnnrec_source_check_types(reader->rows.relation, TupleDescAttr(row_type, 0)->atttypid, TupleDescAttr(row_type, 1)->atttypid,
                              reader->from_ids->type.type, reader->to_ids->type.type);
}

/*
 * A row of the future becomes one of the newest time there is: one mistyped year would leave nothing of the weights of all
 * others, and let no event be fresh. Returns how many of those there are.
 */
static int64
settle_times(double *time, int64 n)
{
    double      latest = gnnrec_unix_seconds(GetCurrentTimestamp()) + SLACK;
    double      newest = -INFINITY;
    int64       future = 0;

    for (int64 i = 0; i < n; i++)
        if (time[i] <= latest)
            newest = Max(newest, time[i]);
    for (int64 i = 0; i < n; i++)
        if (time[i] > latest)
        {
            time[i] = isinf(newest) ? latest : newest;
            future++;
        }
    return future;
}

/*
 * weight *= 2^(-age / half_life), age counted back from the newest row: a common factor changes nothing in the
 * normalised graph, so this needs no "now" and the same rows give the same model tomorrow.
 */
static void
decay(float *weight, const double *time, int64 n, double half_life)
{
    double      newest = -INFINITY;

    for (int64 i = 0; i < n; i++)
        newest = Max(newest, time[i]);
    for (int64 i = 0; i < n; i++)
        weight[i] *= (float) exp2((time[i] - newest) / half_life);
}

static char *
joined(List *names)
{
    StringInfoData s;
    ListCell   *cell;

    if (names == NIL)
        return NULL;
    initStringInfo(&s);
    foreach(cell, names)
        appendStringInfo(&s, "%s\"%s\"", s.len == 0 ? "" : ", ", (char *) lfirst(cell));
    return s.data;
}

/* of relation_column, as text */
static void
number_values(Reader *reader)
{
    GnnrecKeyType text;

    gnnrec_key_type(&text, TEXTOID);
    gnnrec_idmap_init(&reader->out->values, &text);
    reader->rows.values = &reader->out->values;
}

/* the rows of a query, which gnnrec_source_query began */
static void
read_rows(GnnrecInteractions *out, const GnnrecRelation *r, GnnrecIdMap *from_ids, GnnrecIdMap *to_ids,
          GnnrecReadTick tick, void *tick_arg, const char *sql, ParamListInfo params)
{
    Reader      reader = {0};

    memset(out, 0, sizeof(*out));
    gnnrec_source_check_columns(r, from_ids->type.type, to_ids->type.type);
    reader.dest.receiveSlot = receive;
    reader.dest.rStartup = startup;
    reader.rows.relation = r;
    reader.rows.context = CurrentMemoryContext;
    gnnrec_event_weights_read(&reader.rows.weights, r);
    reader.out = out;
    reader.from_ids = from_ids;
    reader.to_ids = to_ids;
    reader.tick = tick;
    reader.tick_arg = tick_arg;
    reader.row = AllocSetContextCreate(CurrentMemoryContext, "gnnrec row", ALLOCSET_DEFAULT_SIZES);
    grow(&reader);
    if (r->relation_column != NULL)
        number_values(&reader);
    gnnrec_source_execute(&reader.dest, sql, params);
    out->counts = reader.rows.counts;
    if (r->time_column != NULL)
        out->counts.future = settle_times(out->time, out->n);
    if (r->half_life != NULL)
        decay(out->weight, out->time, out->n, gnnrec_half_life_seconds(r->half_life));
    out->unknown_events = joined(reader.rows.unknown);
    MemoryContextDelete(reader.row);
}

void
gnnrec_source_read(GnnrecInteractions *out, const GnnrecRelation *r, GnnrecIdMap *from_ids, GnnrecIdMap *to_ids,
                   GnnrecReadTick tick, void *tick_arg)
{
    read_rows(out, r, from_ids, to_ids, tick, tick_arg, gnnrec_source_query(r), NULL);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The ids of a catalogue
 * ------------------------------------------------------------------------------------------------------------------ */

typedef struct CatalogueReader
{
    DestReceiver dest;          /* must be first */
    const GnnrecNodeType *type;
    GnnrecIdMap *ids;
    int64       n_rows;
    int64       n_null;
    GnnrecReadTick tick;
    void       *tick_arg;
    MemoryContext row;
} CatalogueReader;

static bool
receive_id(TupleTableSlot *slot, DestReceiver *self)
{
    CatalogueReader *reader = (CatalogueReader *) self;
    MemoryContext old = MemoryContextSwitchTo(reader->row);
    bool        isnull;
    Datum       id = slot_getattr(slot, 1, &isnull);

    if (isnull)
        reader->n_null++;
    else
        gnnrec_idmap_number(reader->ids, id);
    MemoryContextSwitchTo(old);
    MemoryContextReset(reader->row);
    reader->n_rows++;
    if ((gnnrec_idmap_has_grown(reader->ids) || reader->n_rows % ROWS_A_TICK == 0) && reader->tick != NULL)
        reader->tick(reader->tick_arg, reader->n_rows);
    return true;
}

static void
startup_ids(DestReceiver *self, int operation, TupleDesc row_type)
{
    gnnrec_source_check_catalogue_type(((const CatalogueReader *) self)->type, TupleDescAttr(row_type, 0)->atttypid);
}

void
gnnrec_source_read_catalogue(int64 *n_rows, int64 *n_null, const GnnrecNodeType *type, GnnrecIdMap *ids,
                             GnnrecReadTick tick, void *tick_arg)
{
    CatalogueReader reader = {.dest = {.receiveSlot = receive_id, .rStartup = startup_ids}, .type = type, .ids = ids,
                              .tick = tick, .tick_arg = tick_arg};

    gnnrec_source_check_catalogue_there(type);
    reader.row = AllocSetContextCreate(CurrentMemoryContext, "gnnrec row", ALLOCSET_DEFAULT_SIZES);
    gnnrec_source_execute(&reader.dest, gnnrec_source_catalogue_query(type), NULL);
    MemoryContextDelete(reader.row);
    *n_rows = reader.n_rows;
    *n_null = reader.n_null;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * One item's rows
 * ------------------------------------------------------------------------------------------------------------------ */

void
gnnrec_source_item_read(GnnrecInteractions *out, const GnnrecModel *model, GnnrecIdMap *user_ids, GnnrecIdMap *item_ids,
                        Datum item_id)
{
    const GnnrecRelation *r = &model->relations[0];
    ParamListInfo params = makeParamList(1);
    char       *sql;
    GnnrecRoleBefore before;

    memset(out, 0, sizeof(*out));
    if (!gnnrec_source_is_there(r))
        return;
    if (!gnnrec_source_has_index(r->source, r->to_column) && !gnnrec_source_is_small(r->source))
        return;
    params->params[0] = (ParamExternData) {.value = item_id, .pflags = PARAM_FLAG_CONST,
                                           .ptype = gnnrec_source_column_type(r->source, r->to_column)};
    sql = psprintf("%s %s s.%s OPERATOR(pg_catalog.=) $1", gnnrec_source_query(r), r->has_since ? "AND" : "WHERE",
                   quote_identifier(r->to_column));
    before = gnnrec_role_become(gnnrec_relation_owner(model->types[GNNREC_ITEM].table));
    read_rows(out, r, user_ids, item_ids, NULL, NULL, sql, params);
    gnnrec_role_return(before);
}
