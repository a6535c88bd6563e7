/*
 * scatter.c: a counting sort of the contributions by range, then the ranges.
 */
#include "core/scatter.h"

#include "core/kernel.h"

static inline int
range_of(const GnnScatter *s, int64_t contribution)
{
    return (int) ((int64_t) s->target[contribution] * GNN_RANGES / s->n_to);
}

static void
deal(GnnScatter *s)
{
    int64_t     next[GNN_RANGES];

    memset(s->start, 0, sizeof(s->start));
    for (int64_t c = 0; c < s->n; c++)
        s->start[range_of(s, c) + 1]++;
    for (int r = 0; r < GNN_RANGES; r++)
    {
        s->start[r + 1] += s->start[r];
        next[r] = s->start[r];
    }
    for (int64_t c = 0; c < s->n; c++)
        s->order[next[range_of(s, c)]++] = (int32_t) c;
}

static void
add_range(void *arg, int64_t range, int thread)
{
    const GnnScatter *s = arg;

    for (int64_t i = s->start[range]; i < s->start[range + 1]; i++)
    {
        int64_t     c = s->order[i];
        int64_t     source = s->source != NULL ? s->source[c] : c;

        gnn_add_scaled(s->to + s->target[c] * s->dim, s->coef != NULL ? s->coef[c] : 1, s->from + source * s->dim,
                       s->dim);
    }
}

void
gnn_scatter_run(GnnTeam *team, GnnScatter *scatter)
{
    deal(scatter);
    gnn_team_run(team, GNN_RANGES, add_range, scatter);
}
