/*
 * test_metric.c: metrics against values computed by hand.
 */
#include "test.h"

#include "core/metric.h"

#include <math.h>
#include <string.h>

static void
by_hand(void)
{
    static const bool hit[] = {false, true, false, true, true};
    double      sum[GNN_N_METRICS] = {0};

    /* k = 4: hits at ranks 2 and 4, 3 to find */
    gnn_metric_add(sum, hit, 5, 4, 3);
    CHECK_NEAR(sum[GNN_RECALL], 2.0 / 3, 1e-12);
    CHECK_NEAR(sum[GNN_PRECISION], 0.5, 1e-12);
    CHECK_NEAR(sum[GNN_HIT_RATE], 1, 1e-12);
    CHECK_NEAR(sum[GNN_MRR], 0.5, 1e-12);
    CHECK_NEAR(sum[GNN_MAP], (1.0 / 2 + 2.0 / 4) / 3, 1e-12);
    CHECK_NEAR(sum[GNN_NDCG], (0.6309297535714574 + 0.43067655807339306) / (1 + 0.6309297535714574 + 0.5), 1e-12);
    /* it adds: a user with no hit, and a list shorter than k */
    gnn_metric_add(sum, hit, 1, 4, 1);
    CHECK_NEAR(sum[GNN_RECALL], 2.0 / 3, 1e-12);
    gnn_metric_add(sum, hit + 1, 1, 4, 10);
    CHECK_NEAR(sum[GNN_RECALL], 2.0 / 3 + 0.1, 1e-12);
    CHECK_NEAR(sum[GNN_PRECISION], 0.75, 1e-12);
    CHECK_NEAR(sum[GNN_MRR], 1.5, 1e-12);
    CHECK_NEAR(sum[GNN_HIT_RATE], 2, 1e-12);
}

static void
perfect(void)
{
    static const bool hit[] = {true, true, true, true, true};

    for (int64_t n_truth = 1; n_truth < 9; n_truth++)
    {
        double      sum[GNN_N_METRICS] = {0};
        int32_t     n = n_truth < 5 ? (int32_t) n_truth : 5;

        gnn_metric_add(sum, hit, n, 5, n_truth);
        CHECK_NEAR(sum[GNN_NDCG], 1, 1e-12);
        CHECK_NEAR(sum[GNN_MAP], 1, 1e-12);
        CHECK_NEAR(sum[GNN_MRR], 1, 1e-12);
        CHECK_NEAR(sum[GNN_RECALL], (double) n / n_truth, 1e-12);
    }
}

static void
names(void)
{
    CHECK(strcmp(gnn_metric_names[GNN_NDCG], "ndcg") == 0);
    for (int i = 0; i < GNN_N_METRICS; i++)
        CHECK(gnn_metric_names[i] != NULL);
}

static const Test tests[] = {
    {"values computed by hand", by_hand},
    {"a perfect list", perfect},
    {"every metric has a name", names},
    {0},
};

const Subject metric_subject = {"metric", tests};
