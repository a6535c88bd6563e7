/*
 * idmap.c: ids to dense numbers through simplehash; see idmap.h.
 *
 * Reading spends most of its time here, in cache misses, so entries are small: 16 bytes for a number, 24 for bytes.
 */
#include "postgres.h"

#include "pg/idmap.h"

#include "common/hashfn.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#include "pg/compat.h"

#define FIRST_CAPACITY 1024
#define CHUNK_BYTES (1024 * 1024)

typedef struct IntEntry
{
    int64       key;
    int32       number;
    uint32      status;
} IntEntry;

#define SH_PREFIX ints
#define SH_ELEMENT_TYPE IntEntry
#define SH_KEY_TYPE int64
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((uint32) (((uint64) (key) * UINT64CONST(0x9E3779B97F4A7C15)) >> 32))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

typedef struct BytesKey
{
    const char *bytes;
    int32       len;
    uint32      hash;
} BytesKey;

typedef struct BytesEntry
{
    BytesKey    key;
    int32       number;
    uint32      status;
} BytesEntry;

#define SH_PREFIX bytes
#define SH_ELEMENT_TYPE BytesEntry
#define SH_KEY_TYPE BytesKey
#define SH_KEY key
#define SH_HASH_KEY(tb, key) ((key).hash)
#define SH_EQUAL(tb, a, b) ((a).hash == (b).hash && (a).len == (b).len && memcmp((a).bytes, (b).bytes, (a).len) == 0)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

void
gnnrec_idmap_init(GnnrecIdMap *map, const GnnrecKeyType *type)
{
    memset(map, 0, sizeof(*map));
    map->type = *type;
    map->context = CurrentMemoryContext;
    map->capacity = FIRST_CAPACITY;
    map->keys = palloc(sizeof(GnnrecKey) * map->capacity);
    if (type->kind == GNNREC_KEY_INT)
        map->ints = ints_create(CurrentMemoryContext, FIRST_CAPACITY, NULL);
    else
        map->bytes = bytes_create(CurrentMemoryContext, FIRST_CAPACITY, NULL);
}

/* the map's own copy of a key's bytes */
static const char *
keep_bytes(GnnrecIdMap *map, const char *bytes, int32 len)
{
    char       *copy;

    if ((Size) len > map->chunk_left)
    {
        map->chunk_left = Max((Size) len, CHUNK_BYTES);
        map->chunk = MemoryContextAllocHuge(map->context, map->chunk_left);
        map->has_grown = true;
    }
    copy = map->chunk;
    memcpy(copy, bytes, len);
    map->chunk += len;
    map->chunk_left -= len;
    return copy;
}

static int32
append_key(GnnrecIdMap *map, GnnrecKey key)
{
    if (map->n >= PG_INT32_MAX - 1)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("a model cannot have more than %d nodes of one type", PG_INT32_MAX - 1)));
    if (map->n == map->capacity)
    {
        map->capacity = map->capacity > PG_INT32_MAX / 2 ? PG_INT32_MAX : map->capacity * 2;
        map->keys = repalloc_huge(map->keys, sizeof(GnnrecKey) * (Size) map->capacity);
    }
    map->keys[map->n] = key;
    return map->n++;
}

static int32
number_of_int(GnnrecIdMap *map, GnnrecKey key)
{
    bool        found;
    IntEntry   *entry = ints_insert(map->ints, key.number, &found);

    if (!found)
        entry->number = append_key(map, key);
    return entry->number;
}

static int32
number_of_bytes(GnnrecIdMap *map, GnnrecKey key)
{
    BytesKey    lookup = {key.bytes, key.len, hash_bytes((const unsigned char *) key.bytes, key.len)};
    bool        found;
    BytesEntry *entry = bytes_insert(map->bytes, lookup, &found);

    if (!found)
    {
        key.bytes = keep_bytes(map, key.bytes, key.len);
        entry->key.bytes = key.bytes;
        entry->number = append_key(map, key);
    }
    return entry->number;
}

int32
gnnrec_idmap_number(GnnrecIdMap *map, Datum id)
{
    GnnrecKey   key = gnnrec_key_of(&map->type, id);

    return map->ints != NULL ? number_of_int(map, key) : number_of_bytes(map, key);
}

bool
gnnrec_idmap_has_grown(GnnrecIdMap *map)
{
    bool        has_grown = map->has_grown;

    map->has_grown = false;
    return has_grown;
}

/* a key on its way through the sort: its old number, and a prefix that decides most comparisons */
typedef struct Sorted
{
    uint64      prefix;
    GnnrecKey   key;
    int32       number;
} Sorted;

/* unsigned order of the prefixes is the order of keys as far as 8 bytes tell */
static uint64
prefix_of(GnnrecKeyKind kind, GnnrecKey key)
{
    uint64      first = 0;

    if (kind == GNNREC_KEY_INT)
        return (uint64) key.number ^ (UINT64CONST(1) << 63);
    memcpy(&first, key.bytes, Min(key.len, (int32) sizeof(first)));
    return pg_ntoh64(first);
}

static int
compare_sorted(const void *a, const void *b, void *kind)
{
    const Sorted *x = a;
    const Sorted *y = b;

    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    return gnnrec_key_compare(*(GnnrecKeyKind *) kind, x->key, y->key);
}

static void
free_hash(GnnrecIdMap *map)
{
    if (map->ints != NULL)
        ints_destroy(map->ints);
    if (map->bytes != NULL)
        bytes_destroy(map->bytes);
    map->ints = NULL;
    map->bytes = NULL;
}

int32 *
gnnrec_idmap_sort(GnnrecIdMap *map)
{
    Sorted     *sorted = MemoryContextAllocHuge(map->context, sizeof(Sorted) * (Size) Max(map->n, 1));
    int32      *renumber = MemoryContextAllocHuge(map->context, sizeof(int32) * (Size) Max(map->n, 1));

    free_hash(map);
    for (int32 i = 0; i < map->n; i++)
        sorted[i] = (Sorted) {prefix_of(map->type.kind, map->keys[i]), map->keys[i], i};
    qsort_arg(sorted, map->n, sizeof(Sorted), compare_sorted, &map->type.kind);
    for (int32 i = 0; i < map->n; i++)
    {
        map->keys[i] = sorted[i].key;
        renumber[sorted[i].number] = i;
    }
    pfree(sorted);
    return renumber;
}
