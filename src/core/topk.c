/*
 * topk.c: the k best rows, at the speed of memory.
 *
 * Scores are computed a tile at a time into a small buffer; most of a tile is then thrown away by one
 * comparison with the worst hit kept so far, and only what passes is looked up in `skip` and pushed
 * into a heap. Every inner product, in every function here, adds in the same order: 16 lanes,
 * multiplied and added in steps of 16, then folded in halves (see load_tail for what is left). So answers do not depend on which
 * function gave them, and a tie is a tie.
 *
 * Where the rows are quantised too, there is soon a bar that a row must pass: the k-th best of some rows that are likely to be
 * good, or of the first tiles. From then on upper bounds are compared with it, at a seventh of the memory, and what may exceed
 * it is scored in float32 as above. So the answer is the same to the last bit.
 *
 * A hit is kept as a key, one number that orders hits as answers are ordered: the caller's array holds keys until the end. They
 * become a heap when there are k of them and one more comes, so a whole ranking is never one: it is filled in, and sorted.
 */
#include "core/topk.h"

#include "core/kernel.h"
#include "core/quantise.h"

#include <math.h>

#define TILE 256                /* rows of a tile: at dim 64, 64 kB */
#define TILE_BLOCKS (TILE / GNN_BLOCK)
#define GROUP GNN_SHARED        /* rows and queries scored at once in gnn_topk_many */
#define BLOCK 32                /* queries that share a pass over a tile */
#define LEAST_ROWS 16           /* rows a hit, from which on bounds are looked at first */
#define LIKELY 8                /* rows a hit that are looked at before all others, but */
#define LEAST_LIKELY 128        /* so many at least */
#define AHEAD 4                 /* how many rows early one of a list is asked for */
#define FEW 48                  /* keys that are sorted by insertion */

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
    GnnFloats   v = {0};

    if (dim % GNN_FLOATS == 0)
        return v;
    v = load_tail(query, dim);
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

/* score[i] = row list[i] times the query; the rows may lie far apart */
static GNN_CLONES void
score_listed(float *score, const float *rows, const float *scale, const int32_t *list, int64_t n, const float *query, int32_t dim)
{
    GnnFloats   tail = load_query_tail(query, dim);

    for (int64_t i = 0; i < n; i++)
    {
        if (i + AHEAD < n)
            for (int32_t c = 0; c < dim; c += GNN_FLOATS)
                __builtin_prefetch(rows + (int64_t) list[i + AHEAD] * dim + c);
        score[i] = dot(rows + (int64_t) list[i] * dim, query, tail, dim);
        if (scale != NULL)
            score[i] *= scale[list[i]];
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

/* ---- hits as keys: the larger the better ---- */

typedef uint64_t Key __attribute__((aligned(4), may_alias));

_Static_assert(sizeof(Key) == sizeof(GnnHit), "keys take the place of hits");

static inline Key
key_of(float score, int32_t row)
{
    uint32_t    bits;

    score = score == 0 ? 0 : score == score ? score : -INFINITY;
    memcpy(&bits, &score, sizeof(bits));
    bits ^= bits >> 31 ? UINT32_MAX : (uint32_t) 1 << 31;
    return (Key) bits << 32 | ~(uint32_t) row;
}

static inline GnnHit
hit_of(Key key)
{
    uint32_t    bits = (uint32_t) (key >> 32);
    GnnHit      hit = {.row = (int32_t) ~(uint32_t) key};

    bits ^= bits >> 31 ? (uint32_t) 1 << 31 : UINT32_MAX;
    memcpy(&hit.score, &bits, sizeof(bits));
    return hit;
}

/* puts a key on top of a heap of n, the smallest on top, and lets it sink */
static void
sift_down(Key *heap, int64_t n, int64_t i, Key key)
{
    for (;;)
    {
        int64_t     child = 2 * i + 1;

        if (child + 1 < n && heap[child + 1] < heap[child])
            child++;
        if (child >= n || heap[child] >= key)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = key;
}

static void
make_heap(Key *keys, int64_t n)
{
    for (int64_t i = n / 2 - 1; i >= 0; i--)
        sift_down(keys, n, i, keys[i]);
}

static void
sort_few(Key *keys, int64_t n)
{
    for (int64_t i = 1; i < n; i++)
    {
        Key         key = keys[i];
        int64_t     j = i;

        for (; j > 0 && keys[j - 1] < key; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

/* descending, in place: a bucket for each value of the byte at `shift`, filled by swapping, then the buckets by their next byte */
static void
sort_keys(Key *keys, int64_t n, int shift)
{
    int64_t     next[256];
    int64_t     end[256] = {0};
    int64_t     sum = 0;

    if (n <= FEW)
    {
        sort_few(keys, n);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        end[keys[i] >> shift & 255]++;
    for (int b = 255; b >= 0; b--)
    {
        next[b] = sum;
        end[b] = sum += end[b];
    }
    for (int b = 255; b >= 0; b--)
        while (next[b] < end[b])
        {
            Key         key = keys[next[b]];
            int         of_key;

            while ((of_key = (int) (key >> shift & 255)) != b)
            {
                Key         other = keys[next[of_key]];

                keys[next[of_key]++] = key;
                key = other;
            }
            keys[next[b]++] = key;
        }
    for (int b = 255; b >= 0 && shift > 0; b--)
        sort_keys(keys + (b == 255 ? 0 : end[b + 1]), end[b] - (b == 255 ? 0 : end[b + 1]), shift - 8);
}

/* ---- the k best so far ---- */

/* one query's scan: rows come in ascending order, and so do those to skip */
typedef struct Scan
{
    const GnnRows *rows;
    const float *query;
    const GnnQuantisedQuery *quantised; /* NULL: bounds are of no use */
    Key        *keys;           /* a heap, as soon as there are k */
    int32_t     n;
    int32_t     k;
    int64_t     n_rows;         /* that are looked at, in the end */
    float       floor;          /* k rows are known to have scores above it */
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
    return s->n < s->k ? s->floor : hit_of(s->keys[0]).score;
}

/* can no score be thrown away yet? */
static inline bool
takes_all(const Scan *s)
{
    return s->n < s->k && s->floor == -INFINITY;
}

static inline bool
may_enter(const Scan *s, float score)
{
    return takes_all(s) || score > bar(s);
}

static void
keep(Scan *s, Key key)
{
    if (s->n < s->k)
    {
        s->keys[s->n++] = key;
        if (s->n == s->k && s->k < s->n_rows)
            make_heap(s->keys, s->k);
    }
    else if (key > s->keys[0])
        sift_down(s->keys, s->k, 0, key);
}

/* keys become hits, the best one first; returns their number */
static int32_t
finish(Scan *s)
{
    GnnHit     *hits = (GnnHit *) s->keys;

    sort_keys(s->keys, s->n, 56);
    for (int32_t i = 0; i < s->n; i++)
        hits[i] = hit_of(s->keys[i]);
    return s->n;
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
    return rows->penalty > 0 ? fmaf(-rows->penalty, rows->log_degree[row], product) : product;
}

static inline void
offer(Scan *s, float product, int32_t row)
{
    if (may_enter(s, product) && !skips(s, row))
    {
        float       score = penalised(s->rows, product, row);

        if (may_enter(s, score))
            keep(s, key_of(score, row));
    }
}

/* score: the products, which no penalty makes larger; so most rows are thrown away without a look at it */
static void
offer_tile(Scan *s, const float *score, int64_t n, int32_t first)
{
    if (!takes_all(s) && !any_above(score, n, bar(s)))
        return;
    for (int64_t i = 0; i < n; i++)
        offer(s, score[i], first + (int32_t) i);
}

/* ---- the scan's beginning ---- */

static bool
contains(const int32_t *list, const int32_t *end, int32_t row)
{
    while (list < end)
    {
        const int32_t *middle = list + (end - list) / 2;

        if (*middle == row)
            return true;
        if (*middle < row)
            list = middle + 1;
        else
            end = middle;
    }
    return false;
}

/* keeps what is best of some rows, in any order */
static void
keep_listed(Scan *s, const int32_t *list, int64_t n)
{
    const GnnRows *rows = s->rows;
    float       score[TILE];

    score_listed(score, rows->rows, rows->scale, list, n, s->query, rows->dim);
    for (int64_t i = 0; i < n; i++)
    {
        Key         key = key_of(penalised(rows, score[i], list[i]), list[i]);

        if ((s->n < s->k || key > s->keys[0]) && !contains(s->skip, s->skip_end, list[i]))
            keep(s, key);
    }
}

/* k likely rows have scores that the k best cannot be below; the rows themselves are met again in the scan */
static void
raise_floor(Scan *s)
{
    int64_t     end = (int64_t) s->k * LIKELY < LEAST_LIKELY ? LEAST_LIKELY : (int64_t) s->k * LIKELY;
    int32_t     list[TILE];
    int64_t     i = 0;

    if (end > s->rows->n_likely)
        end = s->rows->n_likely;
    while (i < end)
    {
        int64_t     n = 0;

        for (; i < end && n < TILE; i++)
            if (s->rows->likely[i] >= 0 && s->rows->likely[i] < s->rows->n)
                list[n++] = s->rows->likely[i];
        keep_listed(s, list, n);
    }
    if (s->n == s->k)
        s->floor = nextafterf(bar(s), -INFINITY);
    s->n = 0;
}

/* does it pay to look at bounds first? Not where most rows are hits */
static bool
bounds_pay(const GnnRows *rows, int32_t k)
{
    return rows->quantised != NULL && k < rows->n / LEAST_ROWS;
}

/* quantised: room for it, until the scan ends */
static Scan
start_scan(GnnHit *out, int32_t k, const GnnRows *rows, const float *query, GnnQuantisedQuery *quantised,
           const int32_t *skip, int64_t n_skip)
{
    Scan        s = {.rows = rows, .query = query, .keys = (Key *) out, .k = k, .n_rows = rows->n, .floor = -INFINITY,
                     .skip = skip, .skip_end = skip + n_skip};

    if (k > 0 && bounds_pay(rows, k) && gnn_quantise_query(quantised, query, rows->dim))
    {
        s.quantised = quantised;
        if (rows->likely != NULL)
            raise_floor(&s);
    }
    return s;
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

/* the bits of blocks b .. b + 3 of n: mostly there are none */
static inline uint64_t
four_blocks(const uint16_t *found, int64_t b, int64_t n)
{
    uint64_t    bits = 0;

    if (b + 4 <= n)
        return found[b] | (uint64_t) found[b + 1] << 16 | (uint64_t) found[b + 2] << 32 | (uint64_t) found[b + 3] << 48;
    for (int64_t i = b; i < n; i++)
        bits |= (uint64_t) found[i] << 16 * (i - b);
    return bits;
}

/* the rows that bounds have found in n blocks, a bit each */
static void
scan_found(Scan *s, const uint16_t *found, int64_t block, int64_t n)
{
    const GnnRows *rows = s->rows;
    int32_t     list[TILE];
    float       score[TILE];
    int64_t     n_list = 0;

    for (int64_t b = 0; b < n; b += 4)
        for (uint64_t bits = four_blocks(found, b, n); bits != 0; bits &= bits - 1)
            list[n_list++] = (int32_t) ((block + b) * GNN_BLOCK + __builtin_ctzll(bits));
    if (n_list == 0)
        return;
    score_listed(score, rows->rows, rows->scale, list, n_list, s->query, rows->dim);
    for (int64_t i = 0; i < n_list; i++)
        offer(s, score[i], list[i]);
}

static bool
has_use_of_bounds(const Scan *s)
{
    return s->quantised != NULL && !takes_all(s);
}

/* a tile by its bounds, for scans that all have use of them; the rows of a block that is not whole have none */
static void
scan_bounds(Scan *scans, int32_t n_scans, int64_t first, int64_t n)
{
    const GnnRows *rows = scans[0].rows;
    GnnQuantisedRows bounded = {.blocks = rows->quantised, .scale = rows->scale,
                                .log_degree = rows->penalty > 0 ? rows->log_degree : NULL, .penalty = rows->penalty};
    const GnnQuantisedQuery *queries[GROUP] = {NULL};
    float       bars[GROUP] = {0};
    uint16_t    found[GROUP * TILE_BLOCKS];
    int64_t     block = first / GNN_BLOCK;
    int64_t     n_blocks = gnn_quantised_blocks(n);
    int64_t     end = n_blocks * GNN_BLOCK;

    for (int32_t q = 0; q < n_scans; q++)
    {
        queries[q] = scans[q].quantised;
        bars[q] = bar(&scans[q]);
    }
    gnn_quantised_find(found, queries, bars, n_scans, &bounded, block, n_blocks);
    for (int32_t q = 0; q < n_scans; q++)
    {
        scan_found(&scans[q], found + q * n_blocks, block, n_blocks);
        if (end < n)
            scan_rows(&scans[q], first + end, n - end);
    }
}

static void
scan_tile(Scan *s, int64_t first, int64_t n)
{
    if (has_use_of_bounds(s))
        scan_bounds(s, 1, first, n);
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
    return finish(&s);
}

int32_t
gnn_topk_among(GnnHit *out, int32_t k, const GnnRows *rows, const float *query,
               const int32_t *among, int64_t n_among)
{
    Scan        s = {.rows = rows, .query = query, .keys = (Key *) out, .k = k, .n_rows = n_among, .floor = -INFINITY};

    if (k <= 0)
        return 0;
    for (int64_t first = 0; first < n_among; first += TILE)
        keep_listed(&s, among + first, n_among - first < TILE ? n_among - first : TILE);
    return finish(&s);
}

/* how many scans have use of bounds? */
static int32_t
count_use_of_bounds(const Scan *scans, int32_t n_scans)
{
    int32_t     n = 0;

    for (int32_t q = 0; q < n_scans; q++)
        n += has_use_of_bounds(&scans[q]);
    return n;
}

/* up to GROUP queries against a tile: a whole group that is of one kind shares the reading of it */
static void
scan_group(Scan *scans, const GnnRows *rows, int32_t n_scans, int64_t first, int64_t n)
{
    const float *scale = rows->scale != NULL ? rows->scale + first : NULL;
    int32_t     n_bounded = count_use_of_bounds(scans, n_scans);
    float       score[GROUP * TILE];

    if (n_bounded == n_scans)
        scan_bounds(scans, n_scans, first, n);
    else if (n_bounded > 0 || n_scans < GROUP)
        for (int32_t q = 0; q < n_scans; q++)
            scan_tile(&scans[q], first, n);
    else
    {
        score_tile(score, rows->rows + first * rows->dim, scale, n, scans[0].query, rows->dim);
        for (int32_t q = 0; q < GROUP; q++)
            offer_tile(&scans[q], score + q * TILE, n, (int32_t) first);
    }
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
            n_out[first + q] = k > 0 ? finish(&scans[q]) : 0;
    }
}
