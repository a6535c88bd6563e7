/*
 * embedding.c: making values of type gnnrec.embedding, and the rules all of them obey.
 */
#include "postgres.h"

#include <math.h>

#include "pg/compat.h"
#include "pg/embedding.h"

void
gnnrec_embedding_check_dim(int dim)
{
    if (dim < 1)
        ereport(ERROR,
                (errcode(ERRCODE_DATA_EXCEPTION),
                 errmsg("embedding must have at least 1 dimension")));
    if (dim > GNNREC_MAX_DIM)
        ereport(ERROR,
                (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                 errmsg("embedding cannot have more than %d dimensions", GNNREC_MAX_DIM),
                 errdetail("It would have %d.", dim)));
}

void
gnnrec_embedding_check_values(const float *x, int dim)
{
    for (int i = 0; i < dim; i++)
        if (unlikely(!isfinite(x[i])))
            ereport(ERROR,
                    (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
                     errmsg("NaN and infinity are not allowed in an embedding"),
                     errdetail("Element %d is %s.", i + 1, isnan(x[i]) ? "NaN" : x[i] > 0 ? "Infinity" : "-Infinity")));
}

void
gnnrec_embedding_check_same_dim(int a, int b)
{
    if (a != b)
        ereport(ERROR,
                (errcode(ERRCODE_DATA_EXCEPTION),
                 errmsg("different embedding dimensions %d and %d", a, b)));
}

GnnrecEmbedding *
gnnrec_embedding_new(int dim)
{
    GnnrecEmbedding *e;

    gnnrec_embedding_check_dim(dim);
    e = palloc0(GNNREC_EMBEDDING_SIZE(dim));
    SET_VARSIZE(e, GNNREC_EMBEDDING_SIZE(dim));
    e->dim = dim;
    return e;
}

GnnrecEmbedding *
gnnrec_embedding_make(const float *x, int dim)
{
    GnnrecEmbedding *e = gnnrec_embedding_new(dim);

    gnnrec_embedding_check_values(x, dim);
    memcpy(e->x, x, sizeof(float) * dim);
    return e;
}
