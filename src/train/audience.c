/*
 * audience.c: users' vectors summed along relations, one type after the other, outwards; see audience.h.
 */
#include "train/audience.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* how far types are from the users': each round adds those that a relation joins to the ones of the round before */
static void
measure_distances(GnnAudience *a)
{
    const GnnGraph *g = a->graph;
    bool        grown = true;

    for (int t = 0; t < g->n_types; t++)
        a->distance[t] = t == g->relations[0].from ? 0 : -1;
    for (int far = 1; grown; far++)
    {
        grown = false;
        for (int r = 0; r < g->n_relations; r++)
        {
            int         ends[] = {g->relations[r].from, g->relations[r].to};

            for (int e = 0; e < 2; e++)
                if (a->distance[ends[e]] == far - 1 && a->distance[ends[1 - e]] < 0)
                {
                    a->distance[ends[1 - e]] = far;
                    grown = true;
                }
        }
    }
}

void
gnn_audience_allocate(GnnAudience *a, GnnArena *arena, const GnnGraph *graph, int64_t dim)
{
    memset(a, 0, sizeof(*a));
    a->graph = graph;
    a->dim = dim;
    if (graph->n_types == 2)
        return;
    measure_distances(a);
    for (int t = 0; t < graph->n_types; t++)
        if (a->distance[t] != 0)
        {
            a->vector[t] = gnn_alloc(arena, graph->types[t].n * dim, sizeof(double));
            a->weight[t] = gnn_alloc(arena, graph->types[t].n, sizeof(double));
        }
}

/* what node i of one type has goes to node j of another that is one further from the users; each user counts 1 */
static void
hand_on(GnnAudience *a, const float *users, int near, int32_t i, int far, int32_t j, float w)
{
    bool        is_user = a->distance[near] == 0;
    double     *to = a->vector[far] + j * a->dim;

    for (int64_t c = 0; c < a->dim; c++)
        to[c] += (double) w * (is_user ? users[i * a->dim + c] : a->vector[near][i * a->dim + c]);
    a->weight[far][j] += w * (is_user ? 1 : a->weight[near][i]);
}

static void
run_relation(GnnAudience *a, const float *users, const GnnRelation *r, bool outwards)
{
    const GnnCsr *e = &r->edges;

    for (int32_t i = 0; i < e->n; i++)
        for (int64_t at = e->ptr[i]; at < e->ptr[i + 1]; at++)
        {
            float       w = e->val != NULL ? e->val[at] : 1;

            if (w > 0 && outwards)
                hand_on(a, users, r->from, i, r->to, e->idx[at], w);
            else if (w > 0)
                hand_on(a, users, r->to, e->idx[at], r->from, i, w);
        }
}

/* sums become vectors when no type further out wants them as sums any more */
static void
scale_type(GnnAudience *a, int type)
{
    for (int32_t i = 0; i < a->graph->types[type].n; i++)
        if (a->weight[type][i] > 0)
            for (int64_t c = 0; c < a->dim; c++)
                a->vector[type][i * a->dim + c] /= sqrt(a->weight[type][i]);
}

void
gnn_audience_run(GnnAudience *a, const float *users)
{
    const GnnGraph *g = a->graph;

    if (g->n_types == 2)
        return;
    for (int t = 0; t < g->n_types; t++)
        if (a->vector[t] != NULL)
        {
            memset(a->vector[t], 0, g->types[t].n * a->dim * sizeof(double));
            memset(a->weight[t], 0, g->types[t].n * sizeof(double));
        }
    for (int far = 1; far < g->n_types; far++)
        for (int r = 0; r < g->n_relations; r++)
        {
            int         from = a->distance[g->relations[r].from];
            int         to = a->distance[g->relations[r].to];

            if ((from == far - 1 && to == far) || (to == far - 1 && from == far))
                run_relation(a, users, &g->relations[r], to == far);
        }
    for (int t = 0; t < g->n_types; t++)
        if (a->vector[t] != NULL)
            scale_type(a, t);
}

bool
gnn_audience_reaches(const GnnAudience *a, int type, int64_t node)
{
    return a->weight[type] != NULL && a->weight[type][node] > 0 && a->weight[type][node] <= FLT_MAX;
}
