/*
 * reading.c: everything a model is made of, from its sources to a graph; see reading.h.
 */
#include "postgres.h"

#include "pg/reading.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/memory.h"
#include "pg/parts.h"
#include "pg/source_rows.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * Rows
 * ------------------------------------------------------------------------------------------------------------------ */

void
gnnrec_reading_open(GnnrecReading *r, const GnnrecModel *model, GnnrecReadTick tick, void *tick_arg)
{
    memset(r, 0, sizeof(*r));
    r->model = model;
    r->context = CurrentMemoryContext;
    r->tick = tick;
    r->tick_arg = tick_arg;
    for (int type = 0; type < model->n_types; type++)
    {
        GnnrecKeyType key;

        gnnrec_key_type(&key, model->types[type].id_type);
        gnnrec_idmap_init(&r->ids[type], &key);
    }
}

/* for the run's row; wait() says it after "run 1 of model ..." */
static void
warn(GnnrecReading *r, const char *text)
{
    r->warning = MemoryContextStrdup(r->context, r->warning == NULL ? text : psprintf("%s, and %s", r->warning, text));
}

static void
note_counts(GnnrecReading *r, const GnnrecRelation *relation, const GnnrecInteractions *rows)
{
    const GnnrecReadCounts *c = &rows->counts;
    char       *what = relation->relation_no == GNNREC_INTERACTIONS ? "interactions"
        : psprintf("rows of relation \"%s\"", relation->name);

    r->n_rows += c->rows;
    r->n_skipped += c->null_ids + c->loops + c->unknown_events + c->bad_values;
    if (rows->unknown_events != NULL)
        warn(r, psprintf("skipped " INT64_FORMAT " %s of kinds that event_weights does not name: %s",
                         c->unknown_events, what, rows->unknown_events));
    if (c->future > 0)
        warn(r, psprintf("took " INT64_FORMAT " %s with a time in the future for new ones", c->future, what));
}

static void
read_relation(GnnrecReading *r, int i)
{
    const GnnrecRelation *relation = &r->model->relations[i];

    gnnrec_source_read(&r->rows[i], relation, &r->ids[relation->from_type], &r->ids[relation->to_type], r->tick, r->tick_arg);
    note_counts(r, relation, &r->rows[i]);
}

static void
read_catalogue(GnnrecReading *r, int type)
{
    int64       n_rows;

    gnnrec_source_read_catalogue(&n_rows, &r->n_null[type], &r->model->types[type], &r->ids[type], r->tick, r->tick_arg);
    r->n_rows += n_rows;
    r->n_skipped += r->n_null[type];
}

/* the features of a type; returns how many there are */
static int
features_of_type(const GnnrecFeature **of_type, const GnnrecFeature *all, int n_all, int type)
{
    int         n = 0;

    for (int i = 0; i < n_all; i++)
        if (all[i].type == type)
            of_type[n++] = &all[i];
    return n;
}

static void
read_features(GnnrecReading *r)
{
    int         n_all;
    const GnnrecFeature *all = gnnrec_model_features(r->model, &n_all);

    for (int type = 0; type < r->model->n_types; type++)
    {
        const GnnrecFeature *of_type[GNNREC_MAX_FEATURES];
        int         n = features_of_type(of_type, all, n_all, type);

        if (n > 0)
            r->features[type] = gnnrec_features_read(&r->model->types[type], of_type, n, &r->ids[type], r->tick, r->tick_arg);
    }
}

/* NaN: no times */
static double
newest_time(const GnnrecInteractions *rows)
{
    double      newest = NAN;

    for (int64 i = 0; rows->time != NULL && i < rows->n; i++)
        newest = fmax(newest, rows->time[i]);
    return newest;
}

void
gnnrec_reading_rows(GnnrecReading *r)
{
    const GnnrecModel *m = r->model;
    MemoryContext old;

    r->rows_context = AllocSetContextCreate(r->context, "gnnrec rows", ALLOCSET_DEFAULT_SIZES);
    old = MemoryContextSwitchTo(r->rows_context);
    r->rows = palloc0(sizeof(GnnrecInteractions) * m->n_relations);
    read_relation(r, GNNREC_INTERACTIONS);
    r->newest_event = newest_time(&r->rows[GNNREC_INTERACTIONS]);
    for (int type = 0; type < m->n_types; type++)
    {
        r->n_active[type] = r->ids[type].n;
        if (OidIsValid(m->types[type].catalogue))
            read_catalogue(r, type);
        r->n_known[type] = r->ids[type].n;
    }
    for (int i = GNNREC_INTERACTIONS + 1; i < m->n_relations; i++)
        read_relation(r, i);
    read_features(r);
    MemoryContextSwitchTo(old);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The graph
 * ------------------------------------------------------------------------------------------------------------------ */

static void
find_values(GnnrecParts *p, GnnrecReading *r, const GnnrecRelation *relation, const GnnrecInteractions *rows, GnnrecRoom *room)
{
    int64      *n_rows = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int64) * Max(rows->values.n, 1));

    memset(n_rows, 0, sizeof(int64) * rows->values.n);
    for (int64 i = 0; i < rows->n; i++)
        n_rows[rows->kind[i]]++;
    gnnrec_parts_of_values(p, relation, &rows->values, n_rows, room);
    if (p->n_rarest > 0)
        warn(r, psprintf("made one relation of the %d rarest of the %d values that relation \"%s\" has in \"%s\": "
                         "a graph has room for %d relations",
                         p->n_rarest, rows->values.n, relation->name, relation->relation_column, GNN_MAX_RELATIONS));
}

static void
find_parts(GnnrecParts *p, GnnrecReading *r, int i, GnnrecRoom *room)
{
    const GnnrecRelation *relation = &r->model->relations[i];

    if (relation->separate)
        gnnrec_parts_of_behaviours(p, relation);
    else if (relation->relation_column != NULL)
        find_values(p, r, relation, &r->rows[i], room);
    else
        *p = (GnnrecParts) {.n = 1, .name = {relation->name}};
}

static void
renumber(int32 *nodes, int64 n, const int32 *numbers)
{
    for (int64 i = 0; i < n; i++)
        nodes[i] = numbers[nodes[i]];
}

static void
swap(void *array, Size size, int64 i, int64 j)
{
    char       *x = (char *) array + i * size;
    char       *y = (char *) array + j * size;
    char        held[sizeof(double)];

    if (array == NULL)
        return;
    memcpy(held, x, size);
    memcpy(x, y, size);
    memcpy(y, held, size);
}

static void
swap_rows(GnnrecInteractions *rows, int64 i, int64 j)
{
    swap(rows->from, sizeof(int32), i, j);
    swap(rows->to, sizeof(int32), i, j);
    swap(rows->weight, sizeof(float), i, j);
    swap(rows->time, sizeof(double), i, j);
    swap(rows->hides, sizeof(bool), i, j);
    swap(rows->kind, sizeof(int32), i, j);
}

/* rows by part, in place: part p has start[p] .. start[p + 1]. Their order within one does not show in a CSR. */
static void
sort_by_part(int64 start[GNN_MAX_RELATIONS + 2], GnnrecInteractions *rows, const GnnrecParts *p)
{
    int64       next[GNN_MAX_RELATIONS + 1];

    memset(start, 0, sizeof(int64) * (GNN_MAX_RELATIONS + 2));
    start[1] = p->of_kind == NULL ? rows->n : 0;
    if (p->of_kind == NULL)
        return;
    for (int64 i = 0; i < rows->n; i++)
        start[p->of_kind[rows->kind[i]] + 1]++;
    for (int part = 0; part <= p->n; part++)
    {
        next[part] = start[part];
        start[part + 1] += start[part];
    }
    for (int part = 0; part <= p->n; part++)
        while (next[part] < start[part + 1])
        {
            int         where = p->of_kind[rows->kind[next[part]]];

            if (where == part)
                next[part]++;
            else
                swap_rows(rows, next[part], next[where]++);
        }
}

static GnnEdges
slice(const GnnrecInteractions *rows, int64 start, int64 end)
{
    return (GnnEdges) {
        .n = end - start, .from = rows->from + start, .to = rows->to + start,
        .weight = rows->weight == NULL ? NULL : rows->weight + start, .time = rows->time == NULL ? NULL : rows->time + start,
    };
}

static void
build_csr(GnnCsr *out, const GnnrecReading *r, const GnnrecRelation *relation, const GnnEdges *edges)
{
    GnnArena    arena = gnnrec_arena(r->context);

    CHECK_FOR_INTERRUPTS();
    gnn_csr_build(out, &arena, edges, r->ids[relation->from_type].n, r->ids[relation->to_type].n);
}

/* the rows that hide their item, as edges; from and to are packed for it and hold nothing of use afterwards */
static GnnCsr *
build_hidden(const GnnrecReading *r, GnnrecInteractions *rows, const GnnrecRelation *relation)
{
    GnnEdges    edges = {0, rows->from, rows->to, NULL, NULL};
    GnnCsr     *hidden = MemoryContextAlloc(r->context, sizeof(GnnCsr));

    for (int64 i = 0; i < rows->n; i++)
        if (rows->hides[i])
        {
            rows->from[edges.n] = rows->from[i];
            rows->to[edges.n++] = rows->to[i];
        }
    build_csr(hidden, r, relation, &edges);
    return hidden;
}

static void
build_relation(GnnrecReading *r, int i, GnnrecRoom *room)
{
    const GnnrecRelation *relation = &r->model->relations[i];
    GnnrecInteractions *rows = &r->rows[i];
    GnnrecParts parts;
    int64       start[GNN_MAX_RELATIONS + 2];

    find_parts(&parts, r, i, room);
    sort_by_part(start, rows, &parts);
    for (int p = 0; p < parts.n; p++)
    {
        GnnEdges    edges = slice(rows, start[p], start[p + 1]);
        GnnCsr      csr;

        build_csr(&csr, r, relation, &edges);
        gnn_graph_add_relation(&r->graph, MemoryContextStrdup(r->context, parts.name[p]), relation->from_type, relation->to_type,
                               &csr);
    }
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Separate behaviours, and what they are together
 * ------------------------------------------------------------------------------------------------------------------ */

/* for entry e of each part, at entry s of seen, which has them all */
typedef void (*PairFunction) (GnnCsr *part, int64 e, const GnnCsr *seen, int64 s, double *positive);

static void
for_each_pair(GnnGraph *graph, const GnnCsr *seen, double *positive, PairFunction pair)
{
    for (int p = 0; p < graph->n_relations; p++)
    {
        GnnCsr     *part = &graph->relations[p].edges;

        for (int32 user = 0; user < seen->n; user++)
        {
            int64       s = seen->ptr[user];

            for (int64 e = part->ptr[user]; e < part->ptr[user + 1]; e++)
            {
                while (seen->idx[s] < part->idx[e])
                    s++;
                pair(part, e, seen, s, positive);
            }
        }
    }
}

static void
add_positive(GnnCsr *part, int64 e, const GnnCsr *seen, int64 s, double *positive)
{
    positive[s] += Max(part->val[e], 0);
}

static void
scale_positive(GnnCsr *part, int64 e, const GnnCsr *seen, int64 s, double *positive)
{
    double      merged = seen->val == NULL ? 1 : seen->val[s];

    if (part->val[e] > 0)
        part->val[e] = (float) (part->val[e] * Max(merged, 0) / positive[s]);
}

static void
give_weights(GnnCsr *part, GnnArena *arena)
{
    if (part->val != NULL)
        return;
    part->val = gnn_alloc(arena, part->ptr[part->n], sizeof(float));
    for (int64 e = 0; e < part->ptr[part->n]; e++)
        part->val[e] = 1;
}

static bool
any_not_positive(const GnnrecInteractions *rows)
{
    for (int64 i = 0; i < rows->n; i++)
        if (!(rows->weight[i] > 0))
            return true;
    return false;
}

/*
 * What speaks against an item lessens what speaks for it: the kinds of a user and an item together weigh what they do merged.
 * So the adjacency of the graph is that of merged behaviours, which vectors of new users are folded in by.
 */
static void
settle(GnnrecReading *r)
{
    GnnArena    arena = gnnrec_arena(r->context);
    double     *positive;

    if (!any_not_positive(&r->rows[GNNREC_INTERACTIONS]))
        return;
    positive = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(double) * Max(r->seen.ptr[r->seen.n], 1));
    memset(positive, 0, sizeof(double) * r->seen.ptr[r->seen.n]);
    for (int p = 0; p < r->graph.n_relations; p++)
        give_weights(&r->graph.relations[p].edges, &arena);
    for_each_pair(&r->graph, &r->seen, positive, add_positive);
    for_each_pair(&r->graph, &r->seen, positive, scale_positive);
}

static void
build_interactions(GnnrecReading *r, GnnrecRoom *room)
{
    const GnnrecRelation *relation = &r->model->relations[GNNREC_INTERACTIONS];
    GnnrecInteractions *rows = &r->rows[GNNREC_INTERACTIONS];

    build_relation(r, GNNREC_INTERACTIONS, room);
    if (relation->separate)
    {
        GnnEdges    all = slice(rows, 0, rows->n);

        build_csr(&r->seen, r, relation, &all);
        settle(r);
    }
    else
        r->seen = r->graph.relations[GNNREC_INTERACTIONS].edges;
    if (rows->hides != NULL)
        r->hidden = build_hidden(r, rows, relation);
}

static void
build_features(GnnrecReading *r, int type, const int32 *numbers)
{
    GnnArena    arena = gnnrec_arena(r->context);
    GnnCsr      features;
    GnnrecFeatureCode *codes = NULL;
    char       *empty;

    if (r->features[type] == NULL)
        return;
    if (type == GNNREC_USER && r->keeps_codes)
    {
        r->n_codes = gnnrec_features_count(r->features[type]);
        codes = r->codes = gnn_alloc(&arena, r->n_codes, sizeof(GnnrecFeatureCode));
    }
    gnnrec_features_build(&features, &arena, r->features[type], numbers, r->ids[type].n, &empty, codes);
    gnn_graph_set_features(&r->graph, type, &features);
    if (empty == NULL)
        return;
    r->empty_features = MemoryContextStrdup(r->context, r->empty_features == NULL ? empty
                                            : psprintf("%s, %s", r->empty_features, empty));
}

/* ids have been seen all, so numbers and rows are put in their final order */
static void
settle_numbers(GnnrecReading *r)
{
    int32      *numbers[GNN_MAX_TYPES];

    for (int type = 0; type < r->model->n_types; type++)
    {
        CHECK_FOR_INTERRUPTS();
        numbers[type] = gnnrec_idmap_sort(&r->ids[type]);
        gnn_graph_add_nodes(&r->graph, r->model->types[type].name, r->ids[type].n);
        build_features(r, type, numbers[type]);
    }
    if (r->empty_features != NULL)
        warn(r, psprintf("found nothing to tell nodes apart by in features: %s", r->empty_features));
    for (int i = 0; i < r->model->n_relations; i++)
    {
        const GnnrecRelation *relation = &r->model->relations[i];
        GnnrecInteractions *rows = &r->rows[i];

        renumber(rows->from, rows->n, numbers[relation->from_type]);
        renumber(rows->to, rows->n, numbers[relation->to_type]);
        if (relation->relation_column != NULL)
            renumber(rows->kind, rows->n, gnnrec_idmap_sort(&rows->values));
    }
}

/* for what the default budget has room for no step takes more than a second or two: to listen in between is often enough */
void
gnnrec_reading_build(GnnrecReading *r)
{
    MemoryContext old = MemoryContextSwitchTo(r->rows_context);
    GnnrecRoom  room;

    gnnrec_parts_check(r->model);
    room = gnnrec_room_for_values(r->model);
    settle_numbers(r);
    build_interactions(r, &room);
    for (int i = GNNREC_INTERACTIONS + 1; i < r->model->n_relations; i++)
        build_relation(r, i, &room);
    MemoryContextSwitchTo(old);
    r->rows = NULL;
    MemoryContextDelete(r->rows_context);
}

GnnrecReadingMemory
gnnrec_reading_memory(const GnnrecReading *r)
{
    int64       held = MemoryContextMemAllocated(r->context, true);

    return (GnnrecReadingMemory) {held, held};
}

void
gnnrec_reading_edges(int64 n_edges[GNN_MAX_RELATIONS], const GnnGraph *graph)
{
    memset(n_edges, 0, sizeof(int64) * GNN_MAX_RELATIONS);
    for (int i = 0; i < graph->n_relations; i++)
        n_edges[i] = graph->relations[i].edges.ptr[graph->relations[i].edges.n];
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Nothing to learn from
 * ------------------------------------------------------------------------------------------------------------------ */

static void
check_target(const GnnrecRelation *relation, const GnnrecInteractions *rows)
{
    GnnrecEventWeights weights;
    int         target;

    gnnrec_event_weights_read(&weights, relation);
    target = gnnrec_event_target(&weights, relation);
    for (int64 i = 0; i < rows->n; i++)
        if (rows->kind[i] == target)
            return;
    ereport(ERROR,
            (errcode(ERRCODE_NO_DATA),
             errmsg("there are no interactions of the kind that is learned: \"%s\"", weights.kinds[target].kind),
             errhint("target_event names the kind; with behaviours => 'merged' all kinds are learned.")));
}

void
gnnrec_reading_check_not_empty(const GnnrecReading *r)
{
    const GnnrecRelation *relation = &r->model->relations[GNNREC_INTERACTIONS];
    const GnnrecInteractions *rows = &r->rows[GNNREC_INTERACTIONS];
    const GnnrecReadCounts *c = &rows->counts;

    if (rows->n > 0 && relation->separate)
        check_target(relation, rows);
    if (rows->n > 0)
        return;
    ereport(ERROR,
            (errcode(ERRCODE_NO_DATA),
             errmsg("there are no interactions to learn from"),
             errdetail("Rows read: " INT64_FORMAT ", with a NULL id: " INT64_FORMAT ", of unknown kinds: " INT64_FORMAT
                       ", with a NULL or infinite value or time: " INT64_FORMAT ".",
                       c->rows, c->null_ids, c->unknown_events, c->bad_values),
             errhint("Check the interaction table, and whether role \"%s\" may see its rows.",
                     GetUserNameFromId(GetUserId(), false))));
}
