/*
 * batch.c: the lists of many users at once; see batch.h. Long lists, and much to leave out, make a batch smaller.
 */
#include "postgres.h"

#include "api/batch.h"

#include "utils/memutils.h"

#include "api/cold.h"
#include "api/serve.h"

#define BATCH_HITS (4 * 1024 * 1024)
#define BATCH_MEMORY (64 * 1024 * 1024)     /* of lists to leave out; bytes */

void
gnnrec_batch_init(GnnrecBatch *out, const GnnrecSnapshot *snapshot, int32 length, bool folded, int32 users)
{
    int32       room = Max(1, Min(users, BATCH_HITS / Max(length, 1)));

    memset(out, 0, sizeof(*out));
    out->snapshot = snapshot;
    out->items = &snapshot->types[GNNREC_ITEM];
    out->length = length;
    out->folded = folded;
    out->room = room;
    out->context = AllocSetContextCreate(CurrentMemoryContext, "gnnrec batch", ALLOCSET_DEFAULT_SIZES);
    out->seen = palloc(sizeof(GnnrecNodes) * room);
    out->query = palloc(sizeof(int32) * room);
    out->vectors = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * room * out->items->dim);
    out->skip = palloc(sizeof(int32 *) * room);
    out->n_skip = palloc(sizeof(int64) * room);
    out->hits = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(GnnHit) * room * (Size) length);
    out->n_hits = palloc(sizeof(int32) * room);
}

void
gnnrec_batch_clear(GnnrecBatch *b)
{
    b->n = b->n_queries = 0;
    MemoryContextReset(b->context);
}

bool
gnnrec_batch_is_full(const GnnrecBatch *b)
{
    return b->n == b->room || MemoryContextMemAllocated(b->context, false) > BATCH_MEMORY;
}

/* the user's vector; false: recommend() would not have one either */
static bool
read_vector(float *out, const GnnrecBatch *b, int32 user, const GnnrecSnapshotRow *seen)
{
    const GnnrecSnapshotNodes *users = &b->snapshot->types[GNNREC_USER];

    if (user < 0)
        return false;
    if (b->folded)
        return gnnrec_serve_fold_in(out, b->snapshot, seen, 0);
    if (!gnnrec_snapshot_knows(users, user))
        return false;
    memcpy(out, gnnrec_snapshot_vector(users, user), sizeof(float) * users->dim);
    return true;
}

/* items without interactions are left out of the ranking as well: they end every list */
static void
mask(GnnrecBatch *b, int32 query, GnnrecNodes seen)
{
    GnnrecNodes skip = gnnrec_nodes_merge(seen, (GnnrecNodes) {b->items->unpopular, b->items->n - b->items->n_popular});

    b->skip[query] = skip.node;
    b->n_skip[query] = skip.n;
}

/* what is made here is asked for until the batch is cleared: lists are read one by one, in whatever memory context */
void
gnnrec_batch_add(GnnrecBatch *b, int32 user, const GnnrecSnapshotRow *seen)
{
    MemoryContext old = MemoryContextSwitchTo(b->context);
    int32       i = b->n++;

    Assert(i < b->room);
    b->seen[i] = gnnrec_serve_hidden(seen, true);
    b->query[i] = -1;
    if (read_vector(b->vectors + (int64) b->n_queries * b->items->dim, b, user, seen))
    {
        mask(b, b->n_queries, b->seen[i]);
        b->query[i] = b->n_queries++;
    }
    MemoryContextSwitchTo(old);
}

void
gnnrec_batch_rank_part(GnnrecBatch *b, int32 first, int32 n)
{
    GnnRows     rows = gnnrec_snapshot_rows(b->items, false);

    gnn_topk_many(b->hits + (int64) first * b->length, b->n_hits + first, b->length, &rows,
                  b->vectors + (int64) first * b->items->dim, n, b->skip + first, b->n_skip + first);
}

void
gnnrec_batch_rank(GnnrecBatch *b)
{
    gnnrec_batch_rank_part(b, 0, b->n_queries);
}

/* appends what is not seen of some nodes to a list of n, with their popularity for scores; returns how many it has then */
static int32
append(GnnHit *list, int32 n, const GnnrecBatch *b, const int32 *nodes, int32 n_nodes, GnnrecNodes seen)
{
    for (int32 i = 0; i < n_nodes && n < b->length; i++)
    {
        if (nodes[i] < 0 || nodes[i] >= b->items->n)
            gnnrec_snapshot_damaged(b->snapshot);
        if (!gnnrec_nodes_contain(seen, nodes[i]))
            list[n++] = (GnnHit) {b->items->popularity[nodes[i]], nodes[i]};
    }
    return n;
}

int32
gnnrec_batch_popular(GnnHit *out, const GnnrecBatch *b, int32 i)
{
    int32       n = append(out, 0, b, b->items->popular, b->items->n_popular, b->seen[i]);

    n = append(out, n, b, b->items->cold, b->items->n_cold, b->seen[i]);
    return append(out, n, b, b->items->isolated, b->items->n_isolated, b->seen[i]);
}

/* appends the cold items that user i has not seen, by score, to a list of n; returns how many it has then */
static int32
append_cold(GnnHit *list, int32 n, const GnnrecBatch *b, int32 i)
{
    GnnrecNodes cold;

    if (n == b->length || b->items->n_cold == 0)
        return n;
    cold = gnnrec_cold_nodes(b->snapshot, GNNREC_ITEM, b->seen[i]);
    n += gnnrec_cold_rank(list + n, b->length - n, b->items, cold, b->vectors + (int64) b->query[i] * b->items->dim);
    pfree((int32 *) cold.node);
    return n;
}

int32
gnnrec_batch_list(GnnHit *out, const GnnrecBatch *b, int32 i)
{
    int32       query = b->query[i];
    int32       n;

    if (query < 0)
        return gnnrec_batch_popular(out, b, i);
    memcpy(out, b->hits + (int64) query * b->length, sizeof(GnnHit) * b->n_hits[query]);
    n = append_cold(out, b->n_hits[query], b, i);
    return append(out, n, b, b->items->isolated, b->items->n_isolated, b->seen[i]);
}
