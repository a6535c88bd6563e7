/*
 * embedding.c: the type gnnrec.embedding itself: text, binary, type modifier, casts.
 *
 * Values come in through here and nowhere else but gnnrec_embedding_make, so this is where their rules
 * (pg/embedding.h) are enforced. The text is read by core/vectext.h; where it is wrong the complaint says
 * what was expected, where, and what was found. Text that is too small for a float becomes zero, as in pgvector.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/vectext.h"
#include "pg/compat.h"
#include "pg/embedding.h"

PG_FUNCTION_INFO_V1(gnnrec_embedding_in);
PG_FUNCTION_INFO_V1(gnnrec_embedding_out);
PG_FUNCTION_INFO_V1(gnnrec_embedding_recv);
PG_FUNCTION_INFO_V1(gnnrec_embedding_send);
PG_FUNCTION_INFO_V1(gnnrec_embedding_typmod_in);
PG_FUNCTION_INFO_V1(gnnrec_embedding_coerce);
PG_FUNCTION_INFO_V1(gnnrec_embedding_from_array);
PG_FUNCTION_INFO_V1(gnnrec_embedding_to_real_array);
PG_FUNCTION_INFO_V1(gnnrec_embedding_to_float8_array);

/* no more bytes than these of a wrong text are repeated in the complaint */
#define SHOWN_TEXT 64
#define SHOWN_FOUND 16

/* what is wrong with a text; without a message: its syntax */
typedef struct Complaint
{
    int         code;
    const char *message;
    const char *expected;
} Complaint;

static const Complaint complaints[] = {
    [GNN_VECTEXT_NO_OPEN] = {ERRCODE_INVALID_TEXT_REPRESENTATION, NULL, "\"[\""},
    [GNN_VECTEXT_EMPTY] = {ERRCODE_DATA_EXCEPTION, "embedding must have at least 1 dimension", "a number"},
    [GNN_VECTEXT_NO_NUMBER] = {ERRCODE_INVALID_TEXT_REPRESENTATION, NULL, "a number"},
    [GNN_VECTEXT_NO_COMMA] = {ERRCODE_INVALID_TEXT_REPRESENTATION, NULL, "\",\" or \"]\""},
    [GNN_VECTEXT_JUNK] = {ERRCODE_INVALID_TEXT_REPRESENTATION, NULL, "the end"},
    [GNN_VECTEXT_NOT_FINITE] = {ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        "NaN and infinity are not allowed in an embedding", "a finite number"},
    [GNN_VECTEXT_OVERFLOW] = {ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
        "number is out of range for an embedding", "a number from -3.4028235e+38 to 3.4028235e+38"},
    [GNN_VECTEXT_TOO_MANY] = {ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        "embedding cannot have more than " CppAsString2(GNNREC_MAX_DIM) " dimensions", "\"]\""}
};

/* the beginning of a text, quoted */
static char *
quote_start(const char *text, int limit)
{
    int         len = strlen(text);
    int         shown = pg_mbcliplen(text, len, limit);

    return psprintf("\"%.*s%s\"", shown, text, shown < len ? "..." : "");
}

/* saves or throws the error for a text in which `at` is the offending byte, and so character: all before it was ASCII */
static void
complain(struct Node *escontext, GnnVectextStatus status, const char *text, size_t at)
{
    const Complaint *c = &complaints[status];
    const char *message = c->message;

    if (message == NULL)
        message = psprintf("invalid input syntax for type gnnrec.embedding: %s", quote_start(text, SHOWN_TEXT));
    errsave(escontext,
            (errcode(c->code),
             errmsg("%s", message),
             errdetail("Expected %s at character %zu, found %s.", c->expected, at + 1,
                       text[at] == '\0' ? "the end" : quote_start(text + at, SHOWN_FOUND))));
}

/* false, where errors are saved, if a column of this type modifier cannot hold so many dimensions */
static bool
fits_typmod(struct Node *escontext, int dim, int32 typmod)
{
    if (typmod == -1 || typmod == dim)
        return true;
    errsave(escontext,
            (errcode(ERRCODE_DATA_EXCEPTION),
             errmsg("expected %d dimensions, not %d", typmod, dim)));
    return false;
}

Datum
gnnrec_embedding_in(PG_FUNCTION_ARGS)
{
    const char *text = PG_GETARG_CSTRING(0);
    int32       typmod = PG_GETARG_INT32(2);
    size_t      len = strlen(text);
    int         room = (int) Min(gnn_vectext_bound(text, len), GNNREC_MAX_DIM);
    GnnrecEmbedding *e = gnnrec_embedding_new(room);
    int32       dim;
    size_t      at;
    GnnVectextStatus status = gnn_vectext_parse(e->x, &dim, &at, room, text, len);

    if (status != GNN_VECTEXT_OK)
    {
        complain(fcinfo->context, status, text, at);
        PG_RETURN_NULL();
    }
    Assert(dim == room);        /* each comma parted two numbers */
    if (!fits_typmod(fcinfo->context, dim, typmod))
        PG_RETURN_NULL();
    PG_RETURN_EMBEDDING(e);
}

/* the shortest text that reads back as the same floats, whatever extra_float_digits says */
Datum
gnnrec_embedding_out(PG_FUNCTION_ARGS)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);
    char       *text = palloc((Size) e->dim * FLOAT_SHORTEST_DECIMAL_LEN + 2);  /* that length counts a NUL: our comma */
    char       *end = text;

    for (int i = 0; i < e->dim; i++)
    {
        *end++ = i == 0 ? '[' : ',';
        end += float_to_shortest_decimal_bufn(e->x[i], end);
    }
    strcpy(end, "]");
    PG_RETURN_CSTRING(text);
}

Datum
gnnrec_embedding_recv(PG_FUNCTION_ARGS)
{
    StringInfo  buf = (StringInfo) PG_GETARG_POINTER(0);
    int32       typmod = PG_GETARG_INT32(2);
    int         dim = (int) pq_getmsgint(buf, sizeof(int16));
    int         unused = (int) pq_getmsgint(buf, sizeof(int16));
    int         rest = buf->len - buf->cursor;
    GnnrecEmbedding *e;

    if (unused != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                 errmsg("invalid binary form of an embedding"),
                 errdetail("Its second field is %d, not 0.", unused)));
    gnnrec_embedding_check_dim(dim);
    if (rest != dim * (int) sizeof(float))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                 errmsg("invalid binary form of an embedding"),
                 errdetail("%d dimensions take %d bytes, there are %d.", dim, dim * (int) sizeof(float), rest)));
    fits_typmod(NULL, dim, typmod);
    e = gnnrec_embedding_new(dim);
    for (int i = 0; i < dim; i++)
        e->x[i] = pq_getmsgfloat4(buf);
    gnnrec_embedding_check_values(e->x, dim);
    PG_RETURN_EMBEDDING(e);
}

Datum
gnnrec_embedding_send(PG_FUNCTION_ARGS)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);
    StringInfoData buf;

    pq_begintypsend(&buf);
    pq_sendint16(&buf, e->dim);
    pq_sendint16(&buf, e->unused);
    for (int i = 0; i < e->dim; i++)
        pq_sendfloat4(&buf, e->x[i]);
    PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* the modifier is the number of dimensions */
Datum
gnnrec_embedding_typmod_in(PG_FUNCTION_ARGS)
{
    ArrayType  *modifiers = PG_GETARG_ARRAYTYPE_P(0);
    int         n;
    int32      *modifier = ArrayGetIntegerTypmods(modifiers, &n);

    if (n != 1)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("type gnnrec.embedding takes one modifier, its number of dimensions")));
    if (modifier[0] < 1 || modifier[0] > GNNREC_MAX_DIM)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("number of dimensions of an embedding must be between 1 and %d, not %d",
                        GNNREC_MAX_DIM, modifier[0])));
    PG_RETURN_INT32(modifier[0]);
}

/* the cast of the type to itself, by which the server enforces the modifier of a column */
Datum
gnnrec_embedding_coerce(PG_FUNCTION_ARGS)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);

    fits_typmod(NULL, e->dim, PG_GETARG_INT32(1));
    PG_RETURN_EMBEDDING(e);
}

static double
element_to_double(Datum element, Oid type)
{
    switch (type)
    {
        case INT4OID:
            return DatumGetInt32(element);
        case FLOAT4OID:
            return DatumGetFloat4(element);
        case FLOAT8OID:
            return DatumGetFloat8(element);
        case NUMERICOID:
            return DatumGetFloat4(DirectFunctionCall1(numeric_float4, element));
        default:
            elog(ERROR, "cannot make an embedding of elements of type %u", type);
    }
}

/* the float nearest to element number i (from 0) of an array; NaN and infinity are left to the check of all values */
static float
narrow(double value, int i)
{
    float       narrowed = (float) value;

    if (isinf(narrowed) && !isinf(value))
        ereport(ERROR,
                (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                 errmsg("number is out of range for an embedding"),
                 errdetail("Element %d is %g.", i + 1, value)));
    return narrowed;
}

/* an array without dimensions is empty, which is for the caller to refuse */
static void
check_array(ArrayType *array)
{
    if (ARR_NDIM(array) > 1)
        ereport(ERROR,
                (errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
                 errmsg("cannot make an embedding of an array with %d dimensions", ARR_NDIM(array)),
                 errdetail("The array must be one-dimensional.")));
    if (array_contains_nulls(array))
        ereport(ERROR,
                (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                 errmsg("cannot make an embedding of an array that contains nulls")));
}

/* from integer[], real[], float8[] and numeric[] */
Datum
gnnrec_embedding_from_array(PG_FUNCTION_ARGS)
{
    ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
    Oid         type = ARR_ELEMTYPE(array);
    GnnrecEmbedding *e;
    Datum      *elements;
    int         dim;
    int16       typlen;
    bool        typbyval;
    char        typalign;

    check_array(array);
    get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
    deconstruct_array(array, type, typlen, typbyval, typalign, &elements, NULL, &dim);
    e = gnnrec_embedding_new(dim);
    fits_typmod(NULL, dim, PG_GETARG_INT32(1));
    for (int i = 0; i < dim; i++)
        e->x[i] = narrow(element_to_double(elements[i], type), i);
    gnnrec_embedding_check_values(e->x, dim);
    PG_RETURN_EMBEDDING(e);
}

Datum
gnnrec_embedding_to_real_array(PG_FUNCTION_ARGS)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);
    Datum      *elements = palloc(sizeof(Datum) * e->dim);

    for (int i = 0; i < e->dim; i++)
        elements[i] = Float4GetDatum(e->x[i]);
    PG_RETURN_ARRAYTYPE_P(construct_array(elements, e->dim, FLOAT4OID, sizeof(float4), true, TYPALIGN_INT));
}

Datum
gnnrec_embedding_to_float8_array(PG_FUNCTION_ARGS)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);
    Datum      *elements = palloc(sizeof(Datum) * e->dim);

    for (int i = 0; i < e->dim; i++)
        elements[i] = Float8GetDatum(e->x[i]);
    PG_RETURN_ARRAYTYPE_P(construct_array(elements, e->dim, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
