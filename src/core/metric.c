/*
 * metric.c: how good a ranked list is. One pass over the list gives all there is to know of it.
 */
#include "core/metric.h"

#include <math.h>

const char *const gnn_metric_names[GNN_N_METRICS] = {
    [GNN_RECALL] = "recall",
    [GNN_PRECISION] = "precision",
    [GNN_NDCG] = "ndcg",
    [GNN_HIT_RATE] = "hit_rate",
    [GNN_MRR] = "mrr",
    [GNN_MAP] = "map",
};

/* what a hit at a rank (from 1) adds to the discounted gain */
static double
discount(int64_t rank)
{
    return 1 / log2((double) rank + 1);
}

static double
largest_gain(int64_t hits)
{
    double      sum = 0;

    for (int64_t rank = 1; rank <= hits; rank++)
        sum += discount(rank);
    return sum;
}

void
gnn_metric_add(double sum[GNN_N_METRICS], const bool *hit, int32_t n_listed, int32_t k, int64_t n_truth)
{
    int32_t     n = n_listed < k ? n_listed : k;
    int64_t     most = k < n_truth ? k : n_truth;
    int32_t     hits = 0;
    double      gain = 0;
    double      precisions = 0;

    if (most < 1)
        return;
    for (int32_t rank = 1; rank <= n; rank++)
    {
        if (!hit[rank - 1])
            continue;
        if (hits++ == 0)
            sum[GNN_MRR] += 1.0 / rank;
        gain += discount(rank);
        precisions += (double) hits / rank;
    }
    sum[GNN_RECALL] += (double) hits / (double) n_truth;
    sum[GNN_PRECISION] += (double) hits / k;
    sum[GNN_NDCG] += gain / largest_gain(most);
    sum[GNN_HIT_RATE] += hits > 0;
    sum[GNN_MAP] += precisions / (double) most;
}
