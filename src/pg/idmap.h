/*
 * idmap.h: ids as they are read, numbered densely.
 *
 * One map a node type. While rows are read, gnnrec_idmap_number gives each new id the next number; at the end
 * gnnrec_idmap_sort renumbers the ids in the order of keys, so that the numbers of a run depend on the ids alone and not on
 * the order in which a scan happened to return them. A map and its keys live in the memory context current at creation.
 */
#ifndef GNNREC_PG_IDMAP_H
#define GNNREC_PG_IDMAP_H

#include "postgres.h"

#include "pg/keys.h"

struct ints_hash;
struct bytes_hash;

typedef struct GnnrecIdMap
{
    GnnrecKeyType type;
    int32       n;
    int32       capacity;
    GnnrecKey  *keys;           /* n keys, by number; bytes are owned by the map */
    struct ints_hash *ints;     /* KEY_INT; the other is NULL */
    struct bytes_hash *bytes;   /* the other kinds */
    char       *chunk;          /* where the next key's bytes go */
    Size        chunk_left;
    bool        has_grown;
    MemoryContext context;
} GnnrecIdMap;

extern void gnnrec_idmap_init(GnnrecIdMap *map, const GnnrecKeyType *type);

/* the id's number, a new one at its first sight; ERROR program_limit_exceeded after 2^31 - 2 of them */
extern int32 gnnrec_idmap_number(GnnrecIdMap *map, Datum id);

/* has the map taken memory for bytes of keys since this was asked last? An id may be long: how many there are does not tell */
extern bool gnnrec_idmap_has_grown(GnnrecIdMap *map);

/* sorts keys; result[old number] = new number, palloc'd. No more ids can be numbered afterwards: the hash is freed. */
extern int32 *gnnrec_idmap_sort(GnnrecIdMap *map);

#endif
