/*
 * fresh.c: what a user has done since the run; see fresh.h.
 *
 * Which of the events are new? Those of an item the user had not seen; and of a seen one, those later than all that the run
 * read. Without a time column that cannot be told, but then events weigh what they weighed, so if all were read their sum is what
 * the edge weighs now. What has gone from the source since the run stays until the next training.
 *
 * Weights of one item are summed as the training sums them (smallest first, in double), so that what has not changed is equal to
 * the last bit.
 */
#include "postgres.h"

#include "api/fresh.h"

#include "utils/memutils.h"

#include "api/edges.h"
#include "api/serve.h"
#include "core/kernel.h"

#define ROUNDING 1e-6           /* of a sum of floats that is a float, as a share of it */

/* an event with an item of the run */
typedef struct Event
{
    int32       node;
    float       weight;
    bool        hides;
    bool        is_later;
} Event;

/* what the events with one item say together */
typedef struct Summary
{
    int         n;
    double      weight;
    double      later_weight;   /* of those later than the run */
    bool        hides;
} Summary;

static int
by_node_and_weight(const void *a, const void *b)
{
    const Event *x = a;
    const Event *y = b;

    return x->node != y->node ? (x->node > y->node) - (x->node < y->node) : (x->weight > y->weight) - (x->weight < y->weight);
}

static Event *
known_events(int64 *n, const GnnrecSnapshot *snapshot, const GnnrecUserEvents *events)
{
    const GnnrecKeyType *key = &snapshot->types[GNNREC_ITEM].key;
    Event      *known = MemoryContextAllocHuge(CurrentMemoryContext, Max(events->n, 1) * sizeof(Event));

    *n = 0;
    for (int64 i = 0; i < events->n; i++)
    {
        int32       node = gnnrec_snapshot_find(snapshot, GNNREC_ITEM, gnnrec_key_of(key, events->item[i]));

        if (node >= 0)
            known[(*n)++] = (Event) {node, events->weight[i], events->hides[i], events->is_later[i]};
    }
    qsort(known, *n, sizeof(Event), by_node_and_weight);
    return known;
}

/* the events with the item, from the first one on */
static Summary
summary_of(const Event *event, const Event *end, int32 node)
{
    Summary     s = {0};

    for (; event < end && event->node == node; event++)
    {
        s.n++;
        s.weight += event->weight;
        s.later_weight += event->is_later ? event->weight : 0;
        s.hides |= event->hides;
    }
    return s;
}

bool
gnnrec_fresh_add(GnnrecSnapshotRow *now, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *then,
                 const GnnrecUserEvents *events)
{
    const float *degree = snapshot->types[GNNREC_ITEM].degree;
    int64       n_events;
    const Event *event = known_events(&n_events, snapshot, events);
    const Event *end = event + n_events;
    int64       room = Max(then->n + n_events, 1);
    int32      *idx = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(int32));
    float      *val = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(float));
    uint8      *shown = MemoryContextAllocHuge(CurrentMemoryContext, room * sizeof(uint8));
    int64       n = 0;
    int64       old = 0;
    bool        changed = false;

    while (old < then->n || event < end)
    {
        bool        is_old = old < then->n && (event == end || then->idx[old] <= event->node);
        int32       node = is_old ? then->idx[old] : event->node;
        float       was = !is_old ? 0 : then->val == NULL ? 1 : then->val[old];
        Summary     s = summary_of(event, end, node);

        idx[n] = node;
        val[n] = s.n == 0 ? was
            : gnnrec_edges_rounded(is_old && !events->is_whole ? was + s.later_weight : s.weight);
        shown[n] = !s.hides && (!is_old || (then->shown != NULL && then->shown[old]));
        changed |= Max(val[n], 0) != Max(was, 0) && degree[node] > 0;
        n++;
        old += is_old;
        event += s.n;
    }
    *now = (GnnrecSnapshotRow) {n, idx, val, shown};
    return changed;
}

bool
gnnrec_fresh_row(GnnrecSnapshotRow *now, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *then, int32 node, Datum user_id)
{
    GnnrecUserEvents events;

    gnnrec_source_user_events(&events, snapshot->model_id, snapshot->run_id, user_id, node >= 0);
    if (events.n == 0)
    {
        *now = *then;
        return false;
    }
    return gnnrec_fresh_add(now, snapshot, then, &events);
}

/* what a user's degree, a float, has of edges of other relations of the run than the interactions, and no rounding of nothing */
static double
degree_of_others(const GnnrecSnapshot *snapshot, int32 node, const GnnrecSnapshotRow *then)
{
    double      degree = snapshot->types[GNNREC_USER].degree[node];
    double      others = degree - gnnrec_edges_degree(&snapshot->types[GNNREC_ITEM], then);

    return others > ROUNDING * degree ? others : 0;
}

const float *
gnnrec_fresh_vector(const GnnrecSnapshot *snapshot, int32 node, const GnnrecSnapshotRow *then, const GnnrecSnapshotRow *now)
{
    Size        bytes = snapshot->dim * sizeof(float);
    float      *z = palloc(bytes);
    float      *part = palloc(bytes);
    double      others = degree_of_others(snapshot, node, then);

    memcpy(z, gnnrec_snapshot_vector(&snapshot->types[GNNREC_USER], node), bytes);
    if (gnnrec_serve_fold_in(part, snapshot, then, others))
        gnn_add_scaled(z, -1, part, snapshot->dim);
    if (gnnrec_serve_fold_in(part, snapshot, now, others))
        gnn_add_scaled(z, 1, part, snapshot->dim);
    pfree(part);
    return z;
}
