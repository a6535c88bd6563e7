/*
 * parts.c: which relations of the graph a relation of the model makes; see parts.h.
 */
#include "postgres.h"

#include "pg/parts.h"

#include "utils/memutils.h"

#include "pg/source_rows.h"

/* ---------------------------------------------------------------------------------------------------------------------
 * Room
 * ------------------------------------------------------------------------------------------------------------------ */

/* how many kinds with a weight above zero there are */
static int
n_behaviours(const GnnrecRelation *relation)
{
    GnnrecEventWeights weights;
    int         n = 0;

    gnnrec_event_weights_read(&weights, relation);
    for (int kind = 0; kind < weights.n; kind++)
        n += weights.kinds[kind].weight > 0;
    return n;
}

/* of the graph, at least: one value is enough for a relation_column */
static int
n_relations_at_least(const GnnrecModel *model)
{
    int         n = 0;

    for (int i = 0; i < model->n_relations; i++)
        n += model->relations[i].separate ? n_behaviours(&model->relations[i]) : 1;
    return n;
}

void
gnnrec_parts_check(const GnnrecModel *model)
{
    int         n = n_relations_at_least(model);

    if (n > GNN_MAX_RELATIONS)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("a model's graph cannot have more than %d relations, and these would be %d", GNN_MAX_RELATIONS, n),
                 errdetail("Each relation counts as one, and each kind of event where behaviours are separate.")));
}

GnnrecRoom
gnnrec_room_for_values(const GnnrecModel *model)
{
    GnnrecRoom  room = {.n_relations = GNN_MAX_RELATIONS - n_relations_at_least(model)};

    for (int i = 0; i < model->n_relations; i++)
        room.n_sharing += model->relations[i].relation_column != NULL;
    room.n_relations += room.n_sharing;
    return room;
}

int
gnnrec_room_take(GnnrecRoom *room, int64 n_values)
{
    int         n = (int) Min(n_values, room->n_relations / room->n_sharing);

    room->n_relations -= n;
    room->n_sharing--;
    return n;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Parts
 * ------------------------------------------------------------------------------------------------------------------ */

void
gnnrec_parts_of_behaviours(GnnrecParts *p, const GnnrecRelation *relation)
{
    GnnrecEventWeights weights;
    int         target;

    gnnrec_event_weights_read(&weights, relation);
    target = gnnrec_event_target(&weights, relation);
    *p = (GnnrecParts) {.of_kind = palloc(sizeof(int32) * weights.n)};
    p->of_kind[target] = p->n++;
    for (int kind = 0; kind < weights.n; kind++)
        if (kind != target && weights.kinds[kind].weight > 0)
            p->of_kind[kind] = p->n++;
    for (int kind = 0; kind < weights.n; kind++)
        if (weights.kinds[kind].weight > 0)
            p->name[p->of_kind[kind]] = psprintf("%s:%s", relation->name, weights.kinds[kind].kind);
        else
            p->of_kind[kind] = p->n;
}

/* a value, and how many rows have it */
typedef struct Value
{
    int32       kind;
    int64       n_rows;
} Value;

static int
most_frequent_first(const void *a, const void *b)
{
    const Value *x = a;
    const Value *y = b;

    if (x->n_rows != y->n_rows)
        return x->n_rows < y->n_rows ? 1 : -1;
    return x->kind < y->kind ? -1 : x->kind > y->kind;
}

static Value *
by_frequency(const int64 *n_rows, int32 n)
{
    Value      *values = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Value) * Max(n, 1));

    for (int32 kind = 0; kind < n; kind++)
        values[kind] = (Value) {kind, n_rows[kind]};
    qsort(values, n, sizeof(Value), most_frequent_first);
    return values;
}

void
gnnrec_parts_of_values(GnnrecParts *p, const GnnrecRelation *relation, const GnnrecIdMap *values, const int64 *n_rows,
                       GnnrecRoom *room)
{
    int         n_parts = gnnrec_room_take(room, values->n);
    int         n_alone = n_parts < values->n ? n_parts - 1 : n_parts;
    Value      *sorted = by_frequency(n_rows, values->n);

    *p = (GnnrecParts) {.n_rarest = values->n - n_alone};
    p->of_kind = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(int32) * Max(values->n, 1));
    for (int32 i = 0; i < values->n; i++)
        p->of_kind[sorted[i].kind] = i < n_alone ? -1 : n_alone;
    for (int32 kind = 0; kind < values->n; kind++)
        if (p->of_kind[kind] < 0)
        {
            p->name[p->n] = psprintf("%s:%.*s", relation->name, (int) values->keys[kind].len, values->keys[kind].bytes);
            p->of_kind[kind] = p->n++;
        }
    if (p->n_rarest > 0)
        p->name[p->n++] = psprintf("%s:*", relation->name);
}
