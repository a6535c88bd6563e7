/* blocks of rows in few bits that hold garbage: wrong answers are allowed, a step outside them or back is not */
#include "core/quantise.h"

#include "fuzz.h"

#define MAX_BLOCKS 8
#define MAX_DIM 80

static void
scan(const GnnQuantisedQuery *query, const char *blocks, const float *scale, int64_t n_blocks, float bar)
{
    uint32_t    found;
    int64_t     block = 0;

    while ((block = gnn_quantised_next(&found, query, blocks, scale, block, n_blocks, bar)) < n_blocks)
    {
        demand(found != 0 && found < (uint64_t) 1 << GNN_BLOCK);
        block++;
    }
    demand(block == n_blocks);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes       in = {data, size};
    int32_t     dim = 1 + take_number(&in, MAX_DIM);
    int64_t     n_blocks = take_number(&in, MAX_BLOCKS);
    int64_t     bytes = n_blocks * gnn_quantised_width(dim);
    char       *blocks = malloc(bytes > 0 ? bytes : 1);
    float      *scale = malloc((n_blocks * GNN_BLOCK + 1) * sizeof(float));
    float       query[MAX_DIM];
    GnnQuantisedQuery quantised;
    float       bar;

    take_bytes(&bar, &in, sizeof(bar));
    take_floats(query, &in, dim);
    take_bytes(scale, &in, n_blocks * GNN_BLOCK * sizeof(float));
    take_bytes(blocks, &in, bytes);
    for (int kernel = 0; gnn_quantised_kernels[kernel] != NULL; kernel++)
        if (gnn_quantised_choose(kernel) && gnn_quantise_query(&quantised, query, dim))
        {
            scan(&quantised, blocks, NULL, n_blocks, bar);
            scan(&quantised, blocks, scale, n_blocks, bar);
        }
    free(scale);
    free(blocks);
    return 0;
}
