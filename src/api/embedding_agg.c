/*
 * embedding_agg.c: the aggregates sum and avg of embeddings.
 *
 * Both share one state, float8[]: the number of rows, then their sum, element by element; {0} before the first
 * row. An array and not `internal`, so that partial states can be sent between processes and nodes as they are.
 * Sums are double: 2^63 rows of the largest float do not overflow one. Inside an aggregate the state belongs to
 * it and is updated in place.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/float.h"

#include "pg/compat.h"
#include "pg/embedding.h"

PG_FUNCTION_INFO_V1(gnnrec_embedding_accum);
PG_FUNCTION_INFO_V1(gnnrec_embedding_combine);
PG_FUNCTION_INFO_V1(gnnrec_embedding_sum);
PG_FUNCTION_INFO_V1(gnnrec_embedding_avg);

/* the parts of a state, pointing into its array */
typedef struct State
{
    double     *n_rows;
    double     *sum;
    int         dim;            /* 0: no rows yet */
} State;

static State
open_state(ArrayType *array)
{
    double     *values = (double *) ARR_DATA_PTR(array);

    if (ARR_NDIM(array) != 1 || ARR_DIMS(array)[0] < 1 || ARR_DIMS(array)[0] > GNNREC_MAX_DIM + 1 ||
        ARR_HASNULL(array) || ARR_ELEMTYPE(array) != FLOAT8OID)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("not the state of an aggregate of embeddings")));
    return (State) {values, values + 1, ARR_DIMS(array)[0] - 1};
}

/* no rows of dim dimensions, which is all zero */
static ArrayType *
new_state(int dim)
{
    Size        size = ARR_OVERHEAD_NONULLS(1) + sizeof(double) * (dim + 1);
    ArrayType  *array = palloc0(size);

    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->elemtype = FLOAT8OID;
    ARR_DIMS(array)[0] = dim + 1;
    ARR_LBOUND(array)[0] = 1;
    return array;
}

/* argument 0, to be written to: itself where an aggregate owns it, else a copy */
static ArrayType *
writable_state(FunctionCallInfo fcinfo)
{
    return AggCheckCallContext(fcinfo, NULL) ? PG_GETARG_ARRAYTYPE_P(0) : PG_GETARG_ARRAYTYPE_P_COPY(0);
}

/* adds a row */
Datum
gnnrec_embedding_accum(PG_FUNCTION_ARGS)
{
    ArrayType  *array = writable_state(fcinfo);
    State       state = open_state(array);
    GnnrecEmbedding *e = PG_GETARG_EMBEDDING(1);

    if (state.dim == 0)
    {
        array = new_state(e->dim);
        state = open_state(array);
    }
    gnnrec_embedding_check_same_dim(state.dim, e->dim);
    *state.n_rows += 1;
    for (int i = 0; i < e->dim; i++)
        state.sum[i] += e->x[i];
    PG_RETURN_ARRAYTYPE_P(array);
}

/* adds the rows of a second state to the first */
Datum
gnnrec_embedding_combine(PG_FUNCTION_ARGS)
{
    ArrayType  *into = writable_state(fcinfo);
    ArrayType  *from = PG_GETARG_ARRAYTYPE_P(1);
    State       a = open_state(into);
    State       b = open_state(from);

    if (a.dim == 0)
        PG_RETURN_ARRAYTYPE_P(from);
    if (b.dim == 0)
        PG_RETURN_ARRAYTYPE_P(into);
    gnnrec_embedding_check_same_dim(a.dim, b.dim);
    *a.n_rows += *b.n_rows;
    for (int i = 0; i < a.dim; i++)
        a.sum[i] += b.sum[i];
    PG_RETURN_ARRAYTYPE_P(into);
}

/* sum / divisor, which must fit floats */
static GnnrecEmbedding *
divide_sum(const State *state, double divisor)
{
    GnnrecEmbedding *e = gnnrec_embedding_new(state->dim);

    for (int i = 0; i < state->dim; i++)
    {
        e->x[i] = (float) (state->sum[i] / divisor);
        if (unlikely(!isfinite(e->x[i])))
            float_overflow_error();
    }
    return e;
}

Datum
gnnrec_embedding_sum(PG_FUNCTION_ARGS)
{
    State       state = open_state(PG_GETARG_ARRAYTYPE_P(0));

    if (state.dim == 0)
        PG_RETURN_NULL();
    PG_RETURN_EMBEDDING(divide_sum(&state, 1));
}

Datum
gnnrec_embedding_avg(PG_FUNCTION_ARGS)
{
    State       state = open_state(PG_GETARG_ARRAYTYPE_P(0));

    if (state.dim == 0)
        PG_RETURN_NULL();
    PG_RETURN_EMBEDDING(divide_sum(&state, *state.n_rows));
}
