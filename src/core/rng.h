/*
 * rng.h: random numbers from a counter: value = f(seed, stream, counter).
 *
 * There is no shared state to hand from thread to thread, so what is drawn depends on what it is
 * for and never on who draws it: any block, row or element can be drawn alone, twice, or in any
 * order. The function is SplitMix64 with a start of its own for every stream.
 */
#ifndef GNN_CORE_RNG_H
#define GNN_CORE_RNG_H

#include "core/types.h"

/* what the numbers are for: streams of different purpose never meet */
typedef enum GnnStream
{
    GNN_STREAM_INIT,            /* index: number of the parameter */
    GNN_STREAM_DROPOUT,         /* index: pass and step of the plan */
    GNN_STREAM_NEGATIVES,       /* index: step and block */
    GNN_STREAM_HOLDOUT,         /* index: user */
    GNN_STREAM_MEASURE,
    GNN_STREAM_NOISE,           /* index: pass, step and layer */
    GNN_STREAM_EDGES,           /* index: pass */
    GNN_STREAM_CONTRAST,        /* index: step of training and side */
    GNN_STREAM_TRIPLES,         /* index: pass and step of the plan */
    GNN_STREAM_USERS,           /* index: step */
    GNN_STREAM_POSITIVES,       /* index: step and user */
    GNN_STREAM_POOL,            /* index: step */
    GNN_STREAM_NEIGHBOURS,      /* index: step and node */
    GNN_STREAM_WALK,            /* index: node */
    GNN_STREAM_VISITS           /* index: pass */
} GnnStream;

typedef struct GnnRng
{
    uint64_t    key;
    uint64_t    counter;        /* of the next number; set it to jump */
} GnnRng;

extern GnnRng gnn_rng(int64_t seed, GnnStream purpose, uint64_t index);

static inline uint64_t
gnn_mix64(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static inline uint64_t
gnn_rng_next(GnnRng *r)
{
    return gnn_mix64(r->key + ++r->counter * UINT64_C(0x9E3779B97F4A7C15));
}

/* in [0, 1), 53 bits */
static inline double
gnn_rng_uniform(GnnRng *r)
{
    return (double) (gnn_rng_next(r) >> 11) * 0x1p-53;
}

/* in 0 .. n - 1; the bias is below n / 2^64 */
static inline uint64_t
gnn_rng_below(GnnRng *r, uint64_t n)
{
    return (uint64_t) (((unsigned __int128) gnn_rng_next(r) * n) >> 64);
}

/* standard normal; takes two numbers */
extern double gnn_rng_normal(GnnRng *r);

#endif
