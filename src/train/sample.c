/*
 * sample.c: building an alias table.
 */
#include "train/sample.h"

void
gnn_alias_allocate(GnnAlias *alias, GnnArena *arena, int32_t n)
{
    alias->n = n;
    alias->weight = gnn_alloc(arena, n, sizeof(double));
    alias->keep = gnn_alloc(arena, n, sizeof(double));
    alias->other = gnn_alloc(arena, n, sizeof(int32_t));
}

static int32_t
heaviest(const double *weight, int32_t n)
{
    int32_t     best = 0;

    for (int32_t i = 1; i < n; i++)
        if (weight[i] > weight[best])
            best = i;
    return best;
}

/* the first column from `at` on that is above (or not) the mean */
static int32_t
next_column(const double *weight, int32_t n, int32_t at, bool above)
{
    while (at < n && (weight[at] >= 1) != above)
        at++;
    return at;
}

/* weights to a mean of 1; a column not filled up below, for reasons of rounding, is left to the heaviest */
static void
start(GnnAlias *alias)
{
    double     *weight = alias->weight;
    int32_t     top = heaviest(weight, alias->n);
    double      most = weight[top];
    double      sum = 0;

    for (int32_t i = 0; i < alias->n; i++)
        sum += weight[i] / most;
    for (int32_t i = 0; i < alias->n; i++)
    {
        weight[i] = weight[i] / most * (alias->n / sum);
        alias->keep[i] = weight[i];
        alias->other[i] = top;
    }
}

/*
 * Columns below the mean are filled up by columns above it. `low` walks the ones, `high` the others, both
 * upwards. A high column that has given so much that it is low itself waits for `low` to come by, or is
 * filled up at once where `low` has passed. So no list of columns is kept.
 */
void
gnn_alias_fill(GnnAlias *alias)
{
    double     *weight = alias->weight;
    int32_t     n = alias->n;
    int32_t     low;
    int32_t     high;
    int32_t     at;

    start(alias);
    at = low = next_column(weight, n, 0, false);
    high = next_column(weight, n, 0, true);
    while (at < n && high < n)
    {
        int32_t     giver = high;

        alias->keep[at] = weight[at];
        alias->other[at] = giver;
        weight[giver] -= 1 - weight[at];
        high = next_column(weight, n, giver, true);
        if (high != giver && giver < low)
            at = giver;
        else
            at = low = next_column(weight, n, low + 1, false);
    }
}
