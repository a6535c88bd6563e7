/*
 * topk.c: the k best rows, at the speed of memory.
 *
 * Scores are computed a tile at a time into a small buffer; most of a tile is then thrown away by one
 * comparison with the worst hit kept so far, and only what passes is looked up in `skip` and pushed
 * into a heap. Every inner product, in every function here, adds in the same order: 16 lanes,
 * multiplied and added in steps of 16, then folded in halves (see load_tail for what is left). So answers do not depend on which
 * function gave them, and a tie is a tie.
 *
 * Where the rows are quantised too, only the first tiles are scored so: as soon as k hits give a bar, upper bounds are
 * compared with it, at a quarter of the memory, and what may exceed it is scored in float32 as above. So the answer is
 * the same to the last bit.
 */
#include "core/topk.h"

#include "core/kernel.h"
#include "core/quantise.h"

#include <math.h>

#define TILE 256                /* rows of a tile: at dim 64, 64 kB */
#define GROUP 4                 /* rows and queries scored at once in gnn_topk_many */
#define BLOCK 32                /* queries that share a pass over a tile */
#define LEAST_ROWS 16           /* rows a hit, from which on bounds are looked at first */

/* ---- inner products ---- */

/* folded in halves: lane l takes l + 8, then l + 4, ... */
GNN_INLINE float
fold(GnnFloats v)
{
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    union
    {
        GnnFloats   whole;
        Half        half[2];
    }           a = {.whole = v};
    union
    {
        Half        half;
        Quarter     quarter[2];
    }           b = {.half = a.half[0] + a.half[1]};
    Quarter     q = b.quarter[0] + b.quarter[1];

    return (q[0] + q[2]) + (q[1] + q[3]);
}

GNN_INLINE GnnFloats
load(const float *x)
{
    return *(const GnnFloats *) x;
}

/*
 * What 16 does not divide is left to one more step, over the last 16 floats of the row, with zeros in the query
 * where they were counted before: rows are finite. A row of less than 16 is filled up with zeros.
 */
GNN_INLINE GnnFloats
load_tail(const float *row, int32_t dim)
{
    GnnFloats   v = {0};

    if (dim >= GNN_FLOATS)
        return load(row + dim - GNN_FLOATS);
    memcpy(&v, row, dim * sizeof(float));
    return v;
}

GNN_INLINE GnnFloats
load_query_tail(const float *query, int32_t dim)
{
    GnnFloats   v = load_tail(query, dim);

    if (dim >= GNN_FLOATS)
        for (int l = 0; l < GNN_FLOATS - dim % GNN_FLOATS; l++)
            v[l] = 0;
    return v;
}

/* tail: load_query_tail(query) */
GNN_INLINE float
dot(const float *row, const float *query, GnnFloats tail, int32_t dim)
{
    GnnFloats   sum = {0};
    int32_t     c = 0;

    for (; c + GNN_FLOATS <= dim; c += GNN_FLOATS)
        sum += load(row + c) * load(query + c);
    if (c < dim)
        sum += load_tail(row, dim) * tail;
    return fold(sum);
}

/* score[i] = row i of n rows times the query */
static GNN_CLONES void
score_rows(float *score, const float *rows, const float *scale, int64_t n, const float *query, int32_t dim)
{
    GnnFloats   tail = load_query_tail(query, dim);

    for (int64_t i = 0; i < n; i++)
    {
        score[i] = dot(rows + i * dim, query, tail, dim);
        if (scale != NULL)
            score[i] *= scale[i];
    }
}

float
gnn_dot(const float *a, const float *b, int32_t dim)
{
    float       score;

    score_rows(&score, a, NULL, 1, b, dim);
    return score;
}

/* GROUP rows times GROUP queries; row i of score is query i's, TILE apart */
GNN_INLINE void
score_group(float *score, const float *rows, const float *queries, const GnnFloats *tails, int32_t dim)
{
    GnnFloats   sum[GROUP][GROUP] = {0};
    int32_t     c = 0;

    for (; c + GNN_FLOATS <= dim; c += GNN_FLOATS)
        for (int r = 0; r < GROUP; r++)
            for (int q = 0; q < GROUP; q++)
                sum[q][r] += load(rows + (int64_t) r * dim + c) * load(queries + (int64_t) q * dim + c);
    if (c < dim)
        for (int r = 0; r < GROUP; r++)
            for (int q = 0; q < GROUP; q++)
                sum[q][r] += load_tail(rows + (int64_t) r * dim, dim) * tails[q];
    for (int q = 0; q < GROUP; q++)
        for (int r = 0; r < GROUP; r++)
            score[q * TILE + r] = fold(sum[q][r]);
}

/* n rows times GROUP queries */
static GNN_CLONES void
score_tile(float *score, const float *rows, const float *scale, int64_t n, const float *queries, int32_t dim)
{
    GnnFloats   tails[GROUP];
    int64_t     i = 0;

    for (int q = 0; q < GROUP; q++)
        tails[q] = load_query_tail(queries + (int64_t) q * dim, dim);
    for (; i + GROUP <= n; i += GROUP)
        score_group(score + i, rows + i * dim, queries, tails, dim);
    for (; i < n; i++)
        for (int q = 0; q < GROUP; q++)
            score[q * TILE + i] = dot(rows + i * dim, queries + (int64_t) q * dim, tails[q], dim);
    if (scale != NULL)
        for (int q = 0; q < GROUP; q++)
            for (i = 0; i < n; i++)
                score[q * TILE + i] *= scale[i];
}

/* ---- the k best so far: a heap with the worst on top ---- */

static inline bool
worse(const GnnHit *a, const GnnHit *b)
{
    return a->score < b->score || (a->score == b->score && a->row > b->row);
}

static void
sift_up(GnnHit *heap, int32_t i)
{
    GnnHit      hit = heap[i];

    for (; i > 0 && worse(&hit, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = hit;
}

/* puts `hit` on top of a heap of n and lets it sink */
static void
sift_down(GnnHit *heap, int32_t n, GnnHit hit)
{
    int64_t     i = 0;

    for (;;)
    {
        int64_t     child = 2 * i + 1;

        if (child + 1 < n && worse(&heap[child + 1], &heap[child]))
            child++;
        if (child >= n || !worse(&heap[child], &hit))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = hit;
}

static void
keep_best(GnnHit *heap, int32_t *n, int32_t k, GnnHit hit)
{
    if (*n < k)
    {
        heap[*n] = hit;
        sift_up(heap, (*n)++);
    }
    else if (worse(&heap[0], &hit))
        sift_down(heap, k, hit);
}

/* heap to list: the worst goes last, again and again */
static void
sort_hits(GnnHit *heap, int32_t n)
{
    for (int32_t i = n - 1; i > 0; i--)
    {
        GnnHit      last = heap[i];

        heap[i] = heap[0];
        sift_down(heap, i, last);
    }
}

/* one query's scan: rows come in ascending order, and so do those to skip */
typedef struct Scan
{
    const GnnRows *rows;
    const float *query;
    const GnnQuantisedQuery *quantised; /* NULL: bounds are of no use */
    GnnHit     *heap;
    int32_t     n;
    int32_t     k;
    const int32_t *skip;
    const int32_t *skip_end;
} Scan;

static bool
skips(Scan *s, int32_t row)
{
    while (s->skip < s->skip_end && *s->skip < row)
        s->skip++;
    return s->skip < s->skip_end && *s->skip == row;
}

/* what a later row must exceed: being later, it loses ties */
static inline float
bar(const Scan *s)
{
    return s->n < s->k ? -INFINITY : s->heap[0].score;
}

/* is there a score that could enter? */
static GNN_CLONES bool
any_above(const float *score, int64_t n, float least)
{
    GnnInts     any = {0};
    int64_t     i = 0;
    bool        found = false;

    for (; i + GNN_FLOATS <= n; i += GNN_FLOATS)
        any |= load(score + i) > least;
    for (int l = 0; l < GNN_FLOATS; l++)
        found |= any[l] != 0;
    for (; i < n; i++)
        found |= score[i] > least;
    return found;
}

/* a row's score, from its inner product with the query */
static inline float
penalised(const GnnRows *rows, float product, int32_t row)
{
    return rows->penalty > 0 ? (float) (product - rows->penalty * log1p(rows->degree[row])) : product;
}

/* score: the products, which no penalty makes larger; so most rows are thrown away without a look at it */
static void
offer_tile(Scan *s, const float *score, int64_t n, int32_t first)
{
    if (s->n == s->k && !any_above(score, n, bar(s)))
        return;
    for (int64_t i = 0; i < n; i++)
    {
        int32_t     row = first + (int32_t) i;

        if ((s->n < s->k || score[i] > s->heap[0].score) && !skips(s, row))
            keep_best(s->heap, &s->n, s->k, (GnnHit) {.score = penalised(s->rows, score[i], row), .row = row});
    }
}

/* does it pay to look at bounds first? Not where most rows are hits, nor with a penalty: bounds leave it out, and most pass */
static bool
bounds_pay(const GnnRows *rows, int32_t k)
{
    return rows->quantised != NULL && rows->penalty == 0 && k < rows->n / LEAST_ROWS;
}

/* quantised: room for it, until the scan ends */
static Scan
start_scan(GnnHit *out, int32_t k, const GnnRows *rows, const float *query, GnnQuantisedQuery *quantised,
           const int32_t *skip, int64_t n_skip)
{
    bool        bounded = bounds_pay(rows, k) && gnn_quantise_query(quantised, query, rows->dim);

    return (Scan) {.rows = rows, .query = query, .quantised = bounded ? quantised : NULL, .heap = out, .k = k,
                   .skip = skip, .skip_end = skip + n_skip};
}

/* ---- scanning ---- */

/* rows first .. first + n, at most TILE, in full */
static void
scan_rows(Scan *s, int64_t first, int64_t n)
{
    const GnnRows *rows = s->rows;
    float       score[TILE];

    score_rows(score, rows->rows + first * rows->dim, rows->scale != NULL ? rows->scale + first : NULL, n,
               s->query, rows->dim);
    offer_tile(s, score, n, (int32_t) first);
}

/* the next block that has rows to look at; see gnn_quantised_next */
static int64_t
next_found(uint32_t *found, const Scan *s, int64_t block, int64_t end)
{
    return gnn_quantised_next(found, s->quantised, s->rows->quantised, s->rows->scale, block, end, bar(s));
}

/* the same by their bounds, once there is a bar; first begins a block, and the rows of one that is not whole have none */
static void
scan_bounds(Scan *s, int64_t first, int64_t n)
{
    int64_t     block = first / GNN_BLOCK;
    int64_t     end = gnn_quantised_blocks(first + n);
    uint32_t    found;

    while ((block = next_found(&found, s, block, end)) < end)
    {
        for (; found != 0; found &= found - 1)
            scan_rows(s, block * GNN_BLOCK + __builtin_ctz(found), 1);
        block++;
    }
    if (end * GNN_BLOCK < first + n)
        scan_rows(s, end * GNN_BLOCK, first + n - end * GNN_BLOCK);
}

static bool
has_use_of_bounds(const Scan *s)
{
    return s->quantised != NULL && s->n == s->k;
}

static void
scan_tile(Scan *s, int64_t first, int64_t n)
{
    if (has_use_of_bounds(s))
        scan_bounds(s, first, n);
    else
        scan_rows(s, first, n);
}

/* ---- the functions ---- */

int32_t
gnn_topk(GnnHit *out, int32_t k, const GnnRows *rows, const float *query, const int32_t *skip, int64_t n_skip)
{
    GnnQuantisedQuery quantised;
    Scan        s = start_scan(out, k, rows, query, &quantised, skip, n_skip);

    if (k <= 0)
        return 0;
    for (int64_t first = 0; first < rows->n; first += TILE)
        scan_tile(&s, first, rows->n - first < TILE ? rows->n - first : TILE);
    sort_hits(out, s.n);
    return s.n;
}

int32_t
gnn_topk_among(GnnHit *out, int32_t k, const GnnRows *rows, const float *query,
               const int32_t *among, int64_t n_among)
{
    int32_t     n = 0;

    if (k <= 0)
        return 0;
    for (int64_t i = 0; i < n_among; i++)
    {
        GnnHit      hit = {.row = among[i]};

        score_rows(&hit.score, rows->rows + (int64_t) hit.row * rows->dim,
                   rows->scale != NULL ? rows->scale + hit.row : NULL, 1, query, rows->dim);
        hit.score = penalised(rows, hit.score, hit.row);
        keep_best(out, &n, k, hit);
    }
    sort_hits(out, n);
    return n;
}

static bool
any_has_use_of_bounds(const Scan *scans)
{
    bool        any = false;

    for (int32_t q = 0; q < GROUP; q++)
        any |= has_use_of_bounds(&scans[q]);
    return any;
}

/* up to GROUP queries against a tile; without bounds as many share the reading of it */
static void
scan_group(Scan *scans, const GnnRows *rows, int32_t n_scans, int64_t first, int64_t n)
{
    const float *scale = rows->scale != NULL ? rows->scale + first : NULL;
    float       score[GROUP * TILE];

    if (n_scans < GROUP || any_has_use_of_bounds(scans))
    {
        for (int32_t q = 0; q < n_scans; q++)
            scan_tile(&scans[q], first, n);
        return;
    }
    score_tile(score, rows->rows + first * rows->dim, scale, n, scans[0].query, rows->dim);
    for (int32_t q = 0; q < GROUP; q++)
        offer_tile(&scans[q], score + q * TILE, n, (int32_t) first);
}

/* up to BLOCK queries, whose vectors follow one another: one pass over all rows */
static void
scan_block(Scan *scans, const GnnRows *rows, int32_t n_scans)
{
    for (int64_t first = 0; first < rows->n; first += TILE)
        for (int32_t q = 0; q < n_scans; q += GROUP)
            scan_group(scans + q, rows, n_scans - q < GROUP ? n_scans - q : GROUP, first,
                       rows->n - first < TILE ? rows->n - first : TILE);
}

void
gnn_topk_many(GnnHit *out, int32_t *n_out, int32_t k, const GnnRows *rows, const float *queries, int32_t n_queries,
              const int32_t *const *skip, const int64_t *n_skip)
{
    for (int32_t first = 0; first < n_queries; first += BLOCK)
    {
        Scan        scans[BLOCK];
        GnnQuantisedQuery quantised[BLOCK];
        int32_t     n = n_queries - first < BLOCK ? n_queries - first : BLOCK;

        for (int32_t q = 0; q < n; q++)
            scans[q] = start_scan(out + (int64_t) (first + q) * k, k, rows, queries + (int64_t) (first + q) * rows->dim,
                                  &quantised[q], skip != NULL ? skip[first + q] : NULL, skip != NULL ? n_skip[first + q] : 0);
        if (k > 0)
            scan_block(scans, rows, n);
        for (int32_t q = 0; q < n; q++)
        {
            sort_hits(scans[q].heap, scans[q].n);
            n_out[first + q] = scans[q].n;
        }
    }
}
