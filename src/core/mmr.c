/*
 * mmr.c: maximal marginal relevance, one choice at a time; see mmr.h.
 *
 * A choice compares the rows that are left with the row chosen last alone: what they are closest to among the earlier ones is
 * kept. So k choices out of n take k * n inner products, and whoever asks may stop between any two.
 */
#include "core/mmr.h"

#include <assert.h>
#include <math.h>

void
gnn_mmr_begin(GnnMmr *m, GnnHit *hits, float *closest, int32_t n, const GnnRows *rows, float diversity)
{
    *m = (GnnMmr) {.hits = hits, .closest = closest, .n = n, .rows = rows, .diversity = diversity, .span = 1};
    if (n > 0 && hits[0].score > hits[n - 1].score)
        m->span = (double) hits[0].score - hits[n - 1].score;
    if (n > 0)
        m->lowest = hits[n - 1].score;
    for (int32_t i = 0; i < n; i++)
        closest[i] = -INFINITY;
}

/* of a hit that is left; before there is a choice nothing repeats anything */
static double
relevance(const GnnMmr *m, int32_t i)
{
    double      repeats = m->n_chosen == 0 ? 0 : m->closest[i];

    return (1 - m->diversity) * ((m->hits[i].score - m->lowest) / m->span) - m->diversity * repeats;
}

static bool
precedes(const GnnHit *a, const GnnHit *b)
{
    return a->score > b->score || (a->score == b->score && a->row < b->row);
}

static int32_t
most_relevant(const GnnMmr *m)
{
    int32_t     best = m->n_chosen;
    double      of_best = relevance(m, best);

    for (int32_t i = m->n_chosen + 1; i < m->n; i++)
    {
        double      r = relevance(m, i);

        if (r > of_best || (r == of_best && precedes(&m->hits[i], &m->hits[best])))
        {
            best = i;
            of_best = r;
        }
    }
    return best;
}

static float
cosine(const GnnRows *rows, int32_t a, int32_t b)
{
    return gnn_dot(rows->rows + (int64_t) a * rows->dim, rows->rows + (int64_t) b * rows->dim, rows->dim)
        * rows->scale[a] * rows->scale[b];
}

void
gnn_mmr_next(GnnMmr *m)
{
    int32_t     best;
    GnnHit      chosen;

    assert(m->n_chosen < m->n);
    best = most_relevant(m);
    chosen = m->hits[best];
    m->hits[best] = m->hits[m->n_chosen];
    m->closest[best] = m->closest[m->n_chosen];
    m->hits[m->n_chosen++] = chosen;
    for (int32_t i = m->n_chosen; i < m->n; i++)
    {
        float       c = cosine(m->rows, chosen.row, m->hits[i].row);

        if (c > m->closest[i])
            m->closest[i] = c;
    }
}
