/*
 * reading_count.c: the shape of the graph that a reading would make, counted by the server; see reading.h.
 *
 * Rows that a reading skips or merges are counted too: what is estimated from this is an upper bound.
 */
#include "postgres.h"

#include "pg/reading.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "pg/feature_column.h"
#include "pg/parts.h"
#include "pg/source_rows.h"

/* the first column of all rows of a query, bigints */
static int64 *
numbers_of(const char *sql, int64 *n)
{
    MemoryContext context = CurrentMemoryContext;
    int64      *numbers;
    bool        isnull;

    SPI_connect();
    if (SPI_execute(sql, true, 0) != SPI_OK_SELECT)
        elog(ERROR, "could not execute \"%s\"", sql);
    *n = SPI_processed;
    numbers = MemoryContextAllocHuge(context, sizeof(int64) * Max(*n, 1));
    for (int64 i = 0; i < *n; i++)
        numbers[i] = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));
    SPI_finish();
    return numbers;
}

static int64
number_of(const char *sql)
{
    int64       n;

    return *numbers_of(sql, &n);
}

static char *
from_source(const GnnrecRelation *r)
{
    return psprintf("FROM %s s%s%s", gnnrec_relation_name(r->source),
                    r->has_since ? " WHERE " : "", r->has_since ? gnnrec_source_since_condition(r) : "");
}

static void
add_ids(StringInfo sql, const char *column, const char *from)
{
    appendStringInfo(sql, "%sSELECT s.%s AS id %s", sql->len == 0 ? "" : " UNION ALL ", quote_identifier(column), from);
}

/* a query for all ids of a type that any source mentions */
static char *
ids_of(const GnnrecModel *model, int type)
{
    StringInfoData ids;

    initStringInfo(&ids);
    for (int i = 0; i < model->n_relations; i++)
    {
        const GnnrecRelation *r = &model->relations[i];

        if (r->from_type == type)
            add_ids(&ids, r->from_column, from_source(r));
        if (r->to_type == type)
            add_ids(&ids, r->to_column, from_source(r));
    }
    if (OidIsValid(model->types[type].catalogue))
        add_ids(&ids, model->types[type].catalogue_id,
                psprintf("FROM %s s", gnnrec_relation_name(model->types[type].catalogue)));
    return ids.data;
}

static int32
count_nodes(const GnnrecModel *model, int type)
{
    return (int32) Min(number_of(psprintf("SELECT pg_catalog.count(DISTINCT i.id) FROM (%s) i", ids_of(model, type))),
                       PG_INT32_MAX);
}

/* of n different ids of a type, those that are not numbers */
static int64
count_bytes(const GnnrecModel *model, int type, int64 n)
{
    GnnrecKeyType key;

    gnnrec_key_type(&key, model->types[type].id_type);
    if (key.kind != GNNREC_KEY_TEXT)
        return key.kind == GNNREC_KEY_UUID ? n * UUID_LEN : 0;
    return number_of(psprintf("SELECT coalesce(pg_catalog.sum(pg_catalog.octet_length(d.id::pg_catalog.text)), 0)"
                              "::pg_catalog.int8 FROM (SELECT DISTINCT i.id FROM (%s) i) d", ids_of(model, type)));
}

static int
count_behaviours(int64 *n_edges, const GnnrecRelation *r)
{
    GnnrecEventWeights weights;
    GnnrecParts parts;

    gnnrec_event_weights_read(&weights, r);
    gnnrec_parts_of_behaviours(&parts, r);
    for (int kind = 0; kind < weights.n; kind++)
        if (parts.of_kind[kind] < parts.n)
            n_edges[parts.of_kind[kind]] = number_of(
                psprintf("SELECT pg_catalog.count(*) FILTER (WHERE s.%s::pg_catalog.text OPERATOR(pg_catalog.=) %s) %s",
                         quote_identifier(r->event_column), quote_literal_cstr(weights.kinds[kind].kind), from_source(r)));
    return parts.n;
}

static int
count_values(int64 *n_edges, const GnnrecRelation *r, GnnrecRoom *room)
{
    char       *column = psprintf("s.%s::pg_catalog.text", quote_identifier(r->relation_column));
    int64       n_values;
    int64      *numbers = numbers_of(psprintf("SELECT pg_catalog.count(*) %s %s %s IS NOT NULL GROUP BY %s ORDER BY 1 DESC",
                                              from_source(r), r->has_since ? "AND" : "WHERE", column, column), &n_values);
    int         n_parts = gnnrec_room_take(room, n_values);

    for (int64 i = 0; i < n_values; i++)
        n_edges[Min(i, n_parts - 1)] += numbers[i];
    return n_parts;
}

/* returns how many relations of the graph the model's makes */
static int
count_edges(int64 *n_edges, const GnnrecRelation *r, GnnrecRoom *room)
{
    if (r->separate)
        return count_behaviours(n_edges, r);
    if (r->relation_column != NULL)
        return count_values(n_edges, r, room);
    *n_edges = number_of(psprintf("SELECT pg_catalog.count(*) %s", from_source(r)));
    return 1;
}

static void
check_sources(const GnnrecModel *model)
{
    for (int i = 0; i < model->n_relations; i++)
    {
        const GnnrecRelation *r = &model->relations[i];

        gnnrec_source_check_columns(r, model->types[r->from_type].id_type, model->types[r->to_type].id_type);
    }
    for (int type = 0; type < model->n_types; type++)
        if (OidIsValid(model->types[type].catalogue))
            gnnrec_source_check_catalogue_there(&model->types[type]);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * What it takes
 * ------------------------------------------------------------------------------------------------------------------ */

/* a key and its new number stay; its place in the hash table and in the sort, one after the other, do not */
#define ID_BYTES ((int64) (sizeof(GnnrecKey) + sizeof(int32)))
#define ID_BYTES_MEANWHILE 40

/* a value of a feature: as it is read, as a cell of the matrix, and in the matrix, which is built in two passes, both kept */
#define ENTRY_BYTES 16
#define CELL_BYTES 12
#define MATRIX_BYTES 16

/* of what a reading takes, the summands */
typedef struct Sums
{
    int64       ids;
    int64       ids_meanwhile;
    int64       rows;           /* of all relations: kept until all are edges */
    int64       edges;
    int64       values;         /* of features */
    int64       most_values;    /* of those of one type */
    int64       dictionaries;   /* of features */
    int64       codes;
} Sums;

static void
add_ids_of_type(Sums *s, const GnnrecModel *model, int type, int64 n)
{
    s->ids += n * ID_BYTES + count_bytes(model, type, n);
    s->ids_meanwhile += n * ID_BYTES_MEANWHILE;
}

/* so many rows of a relation, between so many nodes: see grow() in source.c; as edges they are sorted in two passes, both kept */
static void
add_relation(Sums *s, const GnnrecRelation *r, int64 n_rows, int64 n_parts, int64 n_nodes)
{
    int64       weight = gnnrec_rows_have_weights(r) ? sizeof(float) : 0;
    int64       time = r->time_column != NULL ? sizeof(double) : 0;
    int64       kind = r->separate || r->relation_column != NULL ? sizeof(int32) : 0;
    int64       hides = r->seen_events != NULL ? sizeof(bool) : 0;
    int64       edges = 2 * n_rows * ((int64) sizeof(int32) + weight + time);
    int64       starts = n_nodes * (int64) sizeof(int64);

    s->rows += n_rows * (2 * (int64) sizeof(int32) + weight + time + kind + hides);
    s->edges += edges + n_parts * starts;
    if (r->separate)
        s->edges += edges + starts;         /* all kinds together */
    if (r->seen_events != NULL)
        s->edges += 2 * n_rows * (int64) sizeof(int32) + starts;    /* those that hide their item */
}

static void
add_values(Sums *s, int64 n)
{
    s->values += n;
    s->most_values = Max(s->most_values, n);
}

/* a dictionary holds ids of another kind; of its values a code is a copy */
static void
add_dictionary(Sums *s, const GnnrecFeatureCount *count, bool is_coded)
{
    if (!count->has_dictionary)
        return;
    s->dictionaries += count->n_columns * (ID_BYTES + ID_BYTES_MEANWHILE) + count->n_bytes;
    if (is_coded)
        s->codes += count->n_columns * (int64) sizeof(GnnrecKey) + count->n_bytes;
}

/*
 * At the most there are ids, rows, features as read or as made with their dictionaries, and either the cells of a type's, or
 * edges, or a hash of ids.
 */
static GnnrecReadingMemory
added_up(const Sums *s)
{
    StaticAssertStmt(ENTRY_BYTES == MATRIX_BYTES, "features take the same before and after");
    return (GnnrecReadingMemory) {
        .held = s->ids + s->edges + s->values * MATRIX_BYTES + s->codes,
        .peak = s->ids + s->rows + s->values * ENTRY_BYTES + s->dictionaries + s->codes
            + Max(s->most_values * CELL_BYTES, Max(s->edges, s->ids_meanwhile)),
    };
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The count
 * ------------------------------------------------------------------------------------------------------------------ */

static void
count_features(GnnGraph *graph, Sums *sums, const GnnrecModel *model, bool keeps_codes)
{
    int         n_all;
    const GnnrecFeature *all = gnnrec_model_features(model, &n_all);

    for (int i = 0; i < n_all; i++)
    {
        const GnnrecFeature *feature = &all[i];
        GnnrecFeatureCount count;

        gnnrec_feature_count(&count, &model->types[feature->type], feature);
        graph->features[feature->type].n = graph->types[feature->type].n;
        graph->features[feature->type].n_cols += (int32) Min(count.n_columns, PG_INT32_MAX / GNNREC_MAX_FEATURES);
        graph->n_feature_values[feature->type] += count.n_values;
        add_dictionary(sums, &count, feature->type == GNNREC_USER && keeps_codes);
    }
}

static int64
sum_of(const int64 *numbers, int n)
{
    int64       sum = 0;

    for (int i = 0; i < n; i++)
        sum += numbers[i];
    return sum;
}

void
gnnrec_reading_count(GnnGraph *graph, int64 n_edges[GNN_MAX_RELATIONS], GnnrecReadingMemory *memory, const GnnrecModel *model,
                     bool keeps_codes)
{
    GnnrecRoom  room;
    Sums        sums = {0};

    check_sources(model);
    gnnrec_parts_check(model);
    room = gnnrec_room_for_values(model);
    memset(graph, 0, sizeof(*graph));
    memset(n_edges, 0, sizeof(int64) * GNN_MAX_RELATIONS);
    for (int type = 0; type < model->n_types; type++)
    {
        gnn_graph_add_nodes(graph, model->types[type].name, count_nodes(model, type));
        add_ids_of_type(&sums, model, type, graph->types[type].n);
    }
    for (int i = 0; i < model->n_relations; i++)
    {
        const GnnrecRelation *r = &model->relations[i];
        GnnCsr      shape = {.n = graph->types[r->from_type].n, .n_cols = graph->types[r->to_type].n};
        int64      *edges = n_edges + graph->n_relations;
        int         n = count_edges(edges, r, &room);

        for (int part = 0; part < n; part++)
            gnn_graph_add_relation(graph, r->name, r->from_type, r->to_type, &shape);
        add_relation(&sums, r, sum_of(edges, n), n, (int64) shape.n + shape.n_cols);
    }
    count_features(graph, &sums, model, keeps_codes);
    for (int type = 0; type < model->n_types; type++)
        add_values(&sums, graph->n_feature_values[type]);
    *memory = added_up(&sums);
}
