/*
 * metric.h: how good a ranked list is, by the textbook definitions.
 */
#ifndef GNN_CORE_METRIC_H
#define GNN_CORE_METRIC_H

#include "core/types.h"

typedef enum GnnMetric
{
    GNN_RECALL,                 /* hits / |truth| */
    GNN_PRECISION,              /* hits / k */
    GNN_NDCG,                   /* sum over hits of 1 / log2(rank + 1), over its largest value: that of min(k, |truth|) hits */
    GNN_HIT_RATE,               /* 1 where there is a hit */
    GNN_MRR,                    /* 1 / rank of the first hit, 0 without one */
    GNN_MAP,                    /* sum over hits of precision at its rank, over min(k, |truth|) */
    GNN_N_METRICS
} GnnMetric;

extern const char *const gnn_metric_names[GNN_N_METRICS];   /* 'recall', 'precision', 'ndcg', ... */

/*
 * ADDS the metrics of one user's list to sum[]. hit[r] says whether the item at rank r + 1 is in
 * the truth; the list may be shorter than k. n_truth >= 1.
 */
extern void gnn_metric_add(double sum[GNN_N_METRICS], const bool *hit, int32_t n_listed, int32_t k, int64_t n_truth);

#endif
