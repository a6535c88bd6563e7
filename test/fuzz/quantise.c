/* blocks of rows in few bits that hold garbage: wrong answers are allowed, a step outside them is not */
#include "core/quantise.h"

#include "fuzz.h"

#define MAX_BLOCKS 8
#define MAX_DIM 80

/* all blocks from each on, for one query and for as many as may share */
static void
scan(const GnnQuantisedQuery *query, const GnnQuantisedRows *rows, int64_t n_blocks, float bar)
{
    const GnnQuantisedQuery *queries[GNN_SHARED] = {query, query, query, query};
    float       bars[GNN_SHARED] = {bar, -bar, 0, bar};

    for (int64_t from = 0; from <= n_blocks; from++)
    {
        size_t      bytes = (n_blocks - from) * sizeof(uint16_t);
        uint16_t   *one = malloc(bytes + 1);
        uint16_t   *shared = malloc(GNN_SHARED * bytes + 1);

        gnn_quantised_find(one, queries, bars, 1, rows, from, n_blocks - from);
        gnn_quantised_find(shared, queries, bars, GNN_SHARED, rows, from, n_blocks - from);
        demand(memcmp(one, shared, bytes) == 0);
        free(shared);
        free(one);
    }
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
            scan(&quantised, &(GnnQuantisedRows) {.blocks = blocks}, n_blocks, bar);
            scan(&quantised, &(GnnQuantisedRows) {.blocks = blocks, .scale = scale}, n_blocks, bar);
            scan(&quantised, &(GnnQuantisedRows) {.blocks = blocks, .log_degree = scale, .penalty = 0.5f}, n_blocks, bar);
        }
    free(scale);
    free(blocks);
    return 0;
}
