/*
 * things.c: graphs to test on, and how to find a model.
 */
#include "test.h"

#include "model/model.h"

#include <string.h>

void
random_csr(GnnCsr *out, int32_t n_rows, int32_t n_cols, int64_t n, bool weighted, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_INIT, 1);
    int32_t    *from = gnn_alloc(arena, n, sizeof(int32_t));
    int32_t    *to = gnn_alloc(arena, n, sizeof(int32_t));
    float      *weight = gnn_alloc(arena, n, sizeof(float));
    GnnEdges    edges = {.n = n, .from = from, .to = to, .weight = weighted ? weight : NULL};

    for (int64_t i = 0; i < n; i++)
    {
        from[i] = (int32_t) gnn_rng_below(&rng, n_rows);
        to[i] = (int32_t) gnn_rng_below(&rng, n_cols);
        weight[i] = (float) (0.5 + 1.5 * gnn_rng_uniform(&rng));
    }
    gnn_csr_build(out, arena, &edges, n_rows, n_cols);
}

void
random_graph(GnnGraph *g, int32_t n_users, int32_t n_items, int64_t n, bool weighted, int64_t seed)
{
    GnnCsr      edges;

    *g = (GnnGraph) {0};
    random_csr(&edges, n_users, n_items, n, weighted, seed);
    gnn_graph_add_nodes(g, "user", n_users);
    gnn_graph_add_nodes(g, "item", n_items);
    gnn_graph_add_relation(g, "interaction", 0, 1, &edges);
}

int
model_number(const char *name)
{
    int         m = 0;

    while (strcmp(gnn_models[m]->name, name) != 0)
        m++;
    return m;
}

double *
dense_of(const GnnCsr *a)
{
    double     *dense = gnn_alloc(arena, (int64_t) a->n * a->n_cols, sizeof(double));

    for (int32_t r = 0; r < a->n; r++)
        for (int64_t e = a->ptr[r]; e < a->ptr[r + 1]; e++)
            dense[(int64_t) r * a->n_cols + a->idx[e]] += a->val != NULL ? a->val[e] : 1;
    return dense;
}
