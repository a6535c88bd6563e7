/*
 * embedding_ops.c: what can be computed of embeddings: distances, arithmetic, order, hash.
 *
 * Order and equality are those of an array of reals: element by element, the shorter first where one begins the
 * other, -0 equal to 0. Indexes are built on them, so they never change, and what they call does not leak: a
 * copy made by detoasting is freed.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "utils/float.h"

#include "core/distance.h"
#include "pg/compat.h"
#include "pg/embedding.h"

PG_FUNCTION_INFO_V1(gnnrec_embedding_dims);
PG_FUNCTION_INFO_V1(gnnrec_embedding_norm);
PG_FUNCTION_INFO_V1(gnnrec_embedding_l2_normalize);
PG_FUNCTION_INFO_V1(gnnrec_embedding_l2_distance);
PG_FUNCTION_INFO_V1(gnnrec_embedding_inner_product);
PG_FUNCTION_INFO_V1(gnnrec_embedding_negative_inner_product);
PG_FUNCTION_INFO_V1(gnnrec_embedding_cosine_distance);
PG_FUNCTION_INFO_V1(gnnrec_embedding_l1_distance);
PG_FUNCTION_INFO_V1(gnnrec_embedding_add);
PG_FUNCTION_INFO_V1(gnnrec_embedding_sub);
PG_FUNCTION_INFO_V1(gnnrec_embedding_mul);
PG_FUNCTION_INFO_V1(gnnrec_embedding_lt);
PG_FUNCTION_INFO_V1(gnnrec_embedding_le);
PG_FUNCTION_INFO_V1(gnnrec_embedding_eq);
PG_FUNCTION_INFO_V1(gnnrec_embedding_ne);
PG_FUNCTION_INFO_V1(gnnrec_embedding_ge);
PG_FUNCTION_INFO_V1(gnnrec_embedding_gt);
PG_FUNCTION_INFO_V1(gnnrec_embedding_cmp);
PG_FUNCTION_INFO_V1(gnnrec_embedding_hash);
PG_FUNCTION_INFO_V1(gnnrec_embedding_hash_extended);

Datum
gnnrec_embedding_dims(PG_FUNCTION_ARGS)
{
    PG_RETURN_INT32(PG_GETARG_EMBEDDING(0)->dim);
}

static double
norm(const GnnrecEmbedding *e)
{
    return sqrt(gnn_inner_product(e->x, e->x, e->dim));
}

Datum
gnnrec_embedding_norm(PG_FUNCTION_ARGS)
{
    PG_RETURN_FLOAT8(norm(PG_GETARG_EMBEDDING(0)));
}

/* the zero vector has no direction and stays */
Datum
gnnrec_embedding_l2_normalize(PG_FUNCTION_ARGS)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);
    GnnrecEmbedding *unit = gnnrec_embedding_new(e->dim);
    double      length = norm(e);

    if (length > 0)
        for (int i = 0; i < e->dim; i++)
            unit->x[i] = (float) (e->x[i] / length);
    PG_RETURN_EMBEDDING(unit);
}

/* what a two-argument function of core/distance.h says of the two arguments */
static double
measure(FunctionCallInfo fcinfo, double (*of) (const float *, const float *, int32_t))
{
    GnnrecEmbedding *a = PG_GETARG_EMBEDDING(0);
    GnnrecEmbedding *b = PG_GETARG_EMBEDDING(1);

    gnnrec_embedding_check_same_dim(a->dim, b->dim);
    return of(a->x, b->x, a->dim);
}

Datum
gnnrec_embedding_l2_distance(PG_FUNCTION_ARGS)
{
    PG_RETURN_FLOAT8(sqrt(measure(fcinfo, gnn_l2_squared)));
}

Datum
gnnrec_embedding_inner_product(PG_FUNCTION_ARGS)
{
    PG_RETURN_FLOAT8(measure(fcinfo, gnn_inner_product));
}

/* negative, so that ORDER BY puts the largest product first */
Datum
gnnrec_embedding_negative_inner_product(PG_FUNCTION_ARGS)
{
    PG_RETURN_FLOAT8(-measure(fcinfo, gnn_inner_product));
}

Datum
gnnrec_embedding_cosine_distance(PG_FUNCTION_ARGS)
{
    PG_RETURN_FLOAT8(1 - measure(fcinfo, gnn_cosine));
}

Datum
gnnrec_embedding_l1_distance(PG_FUNCTION_ARGS)
{
    PG_RETURN_FLOAT8(measure(fcinfo, gnn_l1));
}

/* op element by element; the server's own op on reals, which complains of overflow and underflow */
static Datum
elementwise(FunctionCallInfo fcinfo, float4 (*op) (float4, float4))
{
    GnnrecEmbedding *a = PG_GETARG_EMBEDDING(0);
    GnnrecEmbedding *b = PG_GETARG_EMBEDDING(1);
    GnnrecEmbedding *result;

    gnnrec_embedding_check_same_dim(a->dim, b->dim);
    result = gnnrec_embedding_new(a->dim);
    for (int i = 0; i < a->dim; i++)
        result->x[i] = op(a->x[i], b->x[i]);
    PG_RETURN_EMBEDDING(result);
}

Datum
gnnrec_embedding_add(PG_FUNCTION_ARGS)
{
    return elementwise(fcinfo, float4_pl);
}

Datum
gnnrec_embedding_sub(PG_FUNCTION_ARGS)
{
    return elementwise(fcinfo, float4_mi);
}

Datum
gnnrec_embedding_mul(PG_FUNCTION_ARGS)
{
    return elementwise(fcinfo, float4_mul);
}

static int
compare(const GnnrecEmbedding *a, const GnnrecEmbedding *b)
{
    int         common = Min(a->dim, b->dim);

    for (int i = 0; i < common; i++)
        if (a->x[i] != b->x[i])
            return a->x[i] < b->x[i] ? -1 : 1;
    return (a->dim > b->dim) - (a->dim < b->dim);
}

/* -1, 0, 1 for the two arguments */
static int
compare_arguments(FunctionCallInfo fcinfo)
{
    GnnrecEmbedding *a = PG_GETARG_EMBEDDING(0);
    GnnrecEmbedding *b = PG_GETARG_EMBEDDING(1);
    int         order = compare(a, b);

    PG_FREE_IF_COPY(a, 0);
    PG_FREE_IF_COPY(b, 1);
    return order;
}

Datum
gnnrec_embedding_lt(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

Datum
gnnrec_embedding_le(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

Datum
gnnrec_embedding_eq(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(compare_arguments(fcinfo) == 0);
}

Datum
gnnrec_embedding_ne(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(compare_arguments(fcinfo) != 0);
}

Datum
gnnrec_embedding_ge(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

Datum
gnnrec_embedding_gt(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

Datum
gnnrec_embedding_cmp(PG_FUNCTION_ARGS)
{
    PG_RETURN_INT32(compare_arguments(fcinfo));
}

/* a hash of the elements, the same for -0 and 0 as these are equal; with seed 0 its low half is the plain hash */
static uint64
hash_argument(FunctionCallInfo fcinfo, uint64 seed)
{
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(0);
    int         size = e->dim * (int) sizeof(float);
    float      *key = palloc(size);
    uint64      hash;

    for (int i = 0; i < e->dim; i++)
        key[i] = e->x[i] == 0 ? 0 : e->x[i];
    hash = hash_bytes_extended((const unsigned char *) key, size, seed);
    pfree(key);
    PG_FREE_IF_COPY(e, 0);
    return hash;
}

Datum
gnnrec_embedding_hash(PG_FUNCTION_ARGS)
{
    PG_RETURN_UINT32((uint32) hash_argument(fcinfo, 0));
}

Datum
gnnrec_embedding_hash_extended(PG_FUNCTION_ARGS)
{
    return UInt64GetDatum(hash_argument(fcinfo, (uint64) PG_GETARG_INT64(1)));
}
