/*
 * fuzz.h: an input of libFuzzer taken apart: numbers first, the rest as it is. What is missing is 0.
 */
#ifndef GNN_TEST_FUZZ_H
#define GNN_TEST_FUZZ_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct Bytes
{
    const uint8_t *next;
    size_t      n;
} Bytes;

/* stops where a rule is broken: libFuzzer keeps the input */
static inline void
demand(bool rule)
{
    if (!rule)
        __builtin_trap();
}

static inline void
take_bytes(void *out, Bytes *in, size_t n)
{
    size_t      there = n < in->n ? n : in->n;

    memset(out, 0, n);
    if (there > 0)
        memcpy(out, in->next, there);
    in->next += there;
    in->n -= there;
}

/* from 0 to below `below` */
static inline uint32_t
take_number(Bytes *in, uint32_t below)
{
    uint16_t    number;

    take_bytes(&number, in, sizeof(number));
    return number % below;
}

/* some floats that a vector may hold, of all sizes; now and then quarters, for ties */
static inline void
take_floats(float *out, Bytes *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
    {
        int16_t     quarter;

        if (in->n % 2 == 0)
        {
            take_bytes(&quarter, in, 1);
            out[i] = (float) (quarter & 15) / 4 - 2;
            continue;
        }
        take_bytes(&out[i], in, sizeof(float));
        if (!isfinite(out[i]) || fabsf(out[i]) > 1e18f)
            out[i] = 0;
    }
}

#endif
