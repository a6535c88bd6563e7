/*
 * keys.c: ids as keys; see keys.h.
 */
#include "postgres.h"

#include "pg/keys.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "pg/compat.h"

static GnnrecKeyKind
kind_of(Oid base)
{
    switch (base)
    {
        case INT2OID:
        case INT4OID:
        case INT8OID:
        case OIDOID:
        case DATEOID:
            return GNNREC_KEY_INT;
        case UUIDOID:
            return GNNREC_KEY_UUID;
        case TEXTOID:
        case VARCHAROID:
            return GNNREC_KEY_TEXT;
        default:
            return 0;
    }
}

void
gnnrec_key_type(GnnrecKeyType *out, Oid type)
{
    out->type = type;
    out->base = getBaseType(type);
    out->kind = kind_of(out->base);
    if (out->kind == 0)
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("type %s cannot be the id of a user or an item", format_type_be(type)),
                 errhint("Ids are smallint, integer, bigint, oid, date, uuid, text or varchar, or a domain over one of them. "
                         "A view can cast the column to text.")));
}

static int64
number_of(Oid base, Datum value)
{
    switch (base)
    {
        case INT2OID:
            return DatumGetInt16(value);
        case INT8OID:
            return DatumGetInt64(value);
        case OIDOID:
            return DatumGetObjectId(value);
        default:
            return DatumGetInt32(value);
    }
}

GnnrecKey
gnnrec_key_of(const GnnrecKeyType *type, Datum value)
{
    GnnrecKey   key = {0};

    if (type->kind == GNNREC_KEY_INT)
        key.number = number_of(type->base, value);
    else if (type->kind == GNNREC_KEY_UUID)
    {
        key.bytes = (const char *) DatumGetUUIDP(value)->data;
        key.len = UUID_LEN;
    }
    else
    {
        struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

        key.bytes = VARDATA_ANY(text);
        key.len = VARSIZE_ANY_EXHDR(text);
    }
    return key;
}

static Datum
datum_of_number(Oid base, int64 number)
{
    switch (base)
    {
        case INT2OID:
            return Int16GetDatum((int16) number);
        case INT8OID:
            return Int64GetDatum(number);
        case OIDOID:
            return ObjectIdGetDatum((Oid) number);
        default:
            return Int32GetDatum((int32) number);
    }
}

Datum
gnnrec_key_datum(const GnnrecKeyType *type, GnnrecKey key)
{
    if (type->kind == GNNREC_KEY_INT)
        return datum_of_number(type->base, key.number);
    if (type->kind == GNNREC_KEY_UUID)
    {
        pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

        memcpy(uuid->data, key.bytes, UUID_LEN);
        return UUIDPGetDatum(uuid);
    }
    return PointerGetDatum(cstring_to_text_with_len(key.bytes, key.len));
}

int
gnnrec_key_compare(GnnrecKeyKind kind, GnnrecKey a, GnnrecKey b)
{
    int         order;

    if (kind == GNNREC_KEY_INT)
        return (a.number > b.number) - (a.number < b.number);
    order = memcmp(a.bytes, b.bytes, Min(a.len, b.len));
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}
