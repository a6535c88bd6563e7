/*
 * holdout.c: which interactions are held out depends on seed and user alone.
 */
#include "train/holdout.h"

#include "core/rng.h"

#include <math.h>
#include <stdlib.h>

/* an edge that may be held out, and what decides: its time, or a random number */
typedef struct Candidate
{
    double      key;
    int64_t     edge;
} Candidate;

static int
latest_first(const void *a, const void *b)
{
    const Candidate *x = a;
    const Candidate *y = b;

    if (x->key != y->key)
        return x->key < y->key ? 1 : -1;
    return x->edge < y->edge ? 1 : -1;
}

static int64_t
longest_row(const GnnCsr *a)
{
    int64_t     most = 0;

    for (int32_t r = 0; r < a->n; r++)
        if (a->ptr[r + 1] - a->ptr[r] > most)
            most = a->ptr[r + 1] - a->ptr[r];
    return most;
}

static bool
positive(const GnnCsr *a, int64_t edge)
{
    return a->val == NULL || a->val[edge] > 0;
}

/* marks the edges of one user that are held out; returns their number */
static int64_t
mark_row(bool *out, Candidate *candidates, const GnnCsr *a, int32_t row, double share, int64_t seed)
{
    GnnRng      rng = gnn_rng(seed, GNN_STREAM_HOLDOUT, (uint64_t) row);
    int64_t     n = 0;
    int64_t     wanted;

    for (int64_t e = a->ptr[row]; e < a->ptr[row + 1]; e++)
        if (positive(a, e))
            candidates[n++] = (Candidate) {.key = a->time != NULL ? a->time[e] : gnn_rng_uniform(&rng), .edge = e};
    if (n < 2)
        return 0;
    wanted = (int64_t) floor(share * (double) n + gnn_rng_uniform(&rng));
    wanted = wanted < n ? wanted : n - 1;
    qsort(candidates, n, sizeof(Candidate), latest_first);
    for (int64_t i = 0; i < wanted; i++)
        out[candidates[i].edge] = true;
    return wanted;
}

static void
allocate(GnnCsr *part, GnnArena *arena, const GnnCsr *a, int64_t n)
{
    part->n = a->n;
    part->n_cols = a->n_cols;
    part->ptr = gnn_alloc(arena, (int64_t) a->n + 1, sizeof(int64_t));
    part->idx = gnn_alloc(arena, n, sizeof(int32_t));
    part->val = a->val != NULL ? gnn_alloc(arena, n, sizeof(float)) : NULL;
    part->time = NULL;          /* training does not look at times */
}

/* the edges whose mark is `which` */
static void
take_part(GnnCsr *part, const GnnCsr *a, const bool *out, bool which)
{
    int64_t     at = 0;

    for (int32_t r = 0; r < a->n; r++)
    {
        for (int64_t e = a->ptr[r]; e < a->ptr[r + 1]; e++)
        {
            if (out[e] != which)
                continue;
            if (part->val != NULL)
                part->val[at] = a->val[e];
            part->idx[at++] = a->idx[e];
        }
        part->ptr[r + 1] = at;
    }
}

void
gnn_holdout_split(GnnCsr *train, GnnCsr *held, GnnArena *arena, const GnnCsr *a, double share, int64_t seed)
{
    int64_t     n = a->ptr[a->n];
    bool       *out = gnn_alloc(arena, n, sizeof(bool));
    Candidate  *candidates = gnn_alloc(arena, longest_row(a), sizeof(Candidate));
    int64_t     n_held = 0;

    for (int32_t row = 0; row < a->n; row++)
        n_held += mark_row(out, candidates, a, row, share, seed);
    allocate(train, arena, a, n - n_held);
    allocate(held, arena, a, n_held);
    take_part(train, a, out, false);
    take_part(held, a, out, true);
}

/* marks what is in the same row of held; both are ascending. Returns how many */
static int64_t
mark_held(bool *out, const GnnCsr *a, const GnnCsr *held, int32_t row)
{
    int64_t     h = held->ptr[row];
    int64_t     n = 0;

    for (int64_t e = a->ptr[row]; e < a->ptr[row + 1]; e++)
    {
        while (h < held->ptr[row + 1] && held->idx[h] < a->idx[e])
            h++;
        out[e] = h < held->ptr[row + 1] && held->idx[h] == a->idx[e];
        n += out[e];
    }
    return n;
}

void
gnn_holdout_drop(GnnCsr *out, GnnArena *arena, const GnnCsr *a, const GnnCsr *held)
{
    bool       *marked = gnn_alloc(arena, a->ptr[a->n], sizeof(bool));
    int64_t     n_held = 0;

    for (int32_t row = 0; row < a->n; row++)
        n_held += mark_held(marked, a, held, row);
    allocate(out, arena, a, a->ptr[a->n] - n_held);
    take_part(out, a, marked, false);
}
