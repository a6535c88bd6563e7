/*
 * keys.h: ids of users and items, whatever their SQL type, as three kinds of key.
 *
 * int2, int4, int8 (and oid, date) are numbers, uuid is 16 bytes, text and varchar are bytes; domains are what they
 * are over. The order of keys (by number, by bytes) numbers the nodes of a run, so it depends on no collation and a
 * table's scan order does not show in the result.
 */
#ifndef GNNREC_PG_KEYS_H
#define GNNREC_PG_KEYS_H

#include "postgres.h"

typedef enum GnnrecKeyKind
{
    GNNREC_KEY_INT = 1,
    GNNREC_KEY_UUID,
    GNNREC_KEY_TEXT
} GnnrecKeyKind;

/* one key: number for KEY_INT, bytes for the others (not owned: they lie in the datum or the map it came from) */
typedef struct GnnrecKey
{
    int64       number;
    const char *bytes;
    int32       len;
} GnnrecKey;

/* an id type, resolved once: the type as declared, what it is underneath, and its kind */
typedef struct GnnrecKeyType
{
    Oid         type;
    Oid         base;
    GnnrecKeyKind kind;
} GnnrecKeyType;

/* ERROR (feature not supported, with a hint) for a type that cannot be an id */
extern void gnnrec_key_type(GnnrecKeyType *out, Oid type);

/* the key of a non-NULL datum; a compressed or external text is detoasted in the current memory context */
extern GnnrecKey gnnrec_key_of(const GnnrecKeyType *type, Datum value);

/* the datum of a key; text and uuid are made in the current memory context */
extern Datum gnnrec_key_datum(const GnnrecKeyType *type, GnnrecKey key);

extern int  gnnrec_key_compare(GnnrecKeyKind kind, GnnrecKey a, GnnrecKey b);

#endif
