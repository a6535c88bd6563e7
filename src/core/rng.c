/*
 * rng.c: where a stream starts, and the normal distribution.
 */
#include "core/rng.h"

#include <math.h>

GnnRng
gnn_rng(int64_t seed, GnnStream purpose, uint64_t index)
{
    uint64_t    key = gnn_mix64((uint64_t) seed + UINT64_C(0x632BE59BD9B4E019));

    key = gnn_mix64(key ^ ((uint64_t) purpose + UINT64_C(0xD1B54A32D192ED03)));
    key = gnn_mix64(key + index * UINT64_C(0xAEF17502108EF2D9));
    return (GnnRng) {.key = key, .counter = 0};
}

/* Box and Muller; 1 - u because log(0) is not wanted */
double
gnn_rng_normal(GnnRng *r)
{
    double      radius = sqrt(-2 * log(1 - gnn_rng_uniform(r)));

    return radius * cos(2 * M_PI * gnn_rng_uniform(r));
}
