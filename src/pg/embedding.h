/*
 * embedding.h: what the server side knows of a value of type gnnrec.embedding.
 *
 * Memory, text and wire layout are those of pgvector's vector, so that a cast between the two needs no
 * function. They are on disk: they never change. Every value obeys, whoever made it: 1 .. GNNREC_MAX_DIM
 * dimensions, unused = 0, no NaN, no infinity. Values are made in the current memory context.
 */
#ifndef GNNREC_PG_EMBEDDING_H
#define GNNREC_PG_EMBEDDING_H

#include "fmgr.h"

#define GNNREC_MAX_DIM 16000

typedef struct GnnrecEmbedding
{
    int32       vl_len_;        /* varlena header, not to be touched directly */
    int16       dim;
    int16       unused;         /* 0 */
    float       x[FLEXIBLE_ARRAY_MEMBER];
} GnnrecEmbedding;

#define GNNREC_EMBEDDING_SIZE(dim) (offsetof(GnnrecEmbedding, x) + sizeof(float) * (dim))

/* aligned and in one piece: a copy where the stored value is short or toasted */
#define DatumGetEmbedding(d) ((GnnrecEmbedding *) PG_DETOAST_DATUM(d))
#define EmbeddingGetDatum(e) PointerGetDatum(e)
#define PG_GETARG_EMBEDDING(n) DatumGetEmbedding(PG_GETARG_DATUM(n))
#define PG_RETURN_EMBEDDING(e) return EmbeddingGetDatum(e)

/* all zero; an error where dim is not 1 .. GNNREC_MAX_DIM */
extern GnnrecEmbedding *gnnrec_embedding_new(int dim);

/* the same with the values x[0 .. dim); an error where one is not finite */
extern GnnrecEmbedding *gnnrec_embedding_make(const float *x, int dim);

/* the checks behind these two, and that of every operation on two values */
extern void gnnrec_embedding_check_dim(int dim);
extern void gnnrec_embedding_check_values(const float *x, int dim);
extern void gnnrec_embedding_check_same_dim(int a, int b);

#endif
