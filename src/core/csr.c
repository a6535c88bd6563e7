/*
 * csr.c: edges become sorted rows, by counting, in time linear in the edges.
 *
 * Two passes of a counting sort: by column into scratch memory, then, walking the columns in order, into rows,
 * which so come out sorted. Equal entries are then neighbours and are merged in place. All memory
 * is the arena's; the scratch (4 to 16 bytes an edge) stays in it until the arena goes.
 */
#include "core/csr.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* interactions in the order of one of their ends; the other end stays beside them */
typedef struct Sorted
{
    int64_t    *ptr;            /* by the end they are sorted by: n + 1 */
    int32_t    *end;            /* the other one */
    float      *weight;
    double     *time;
} Sorted;

/* counts become starts: ptr[i + 1] holds the number of i, afterwards ptr[i] the start of i */
static void
counts_to_starts(int64_t *ptr, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        ptr[i + 1] += ptr[i];
}

/* filling moved every start to its end, which is the next one's start: move them back */
static void
ends_to_starts(int64_t *ptr, int32_t n)
{
    for (int32_t i = n; i > 0; i--)
        ptr[i] = ptr[i - 1];
    ptr[0] = 0;
}

static void
allocate(Sorted *s, GnnArena *arena, int32_t n_keys, int64_t n, bool weights, bool times)
{
    s->ptr = gnn_alloc(arena, (int64_t) n_keys + 1, sizeof(int64_t));
    s->end = gnn_alloc(arena, n, sizeof(int32_t));
    s->weight = weights ? gnn_alloc(arena, n, sizeof(float)) : NULL;
    s->time = times ? gnn_alloc(arena, n, sizeof(double)) : NULL;
}

static void
sort_by_column(Sorted *s, const GnnEdges *e, int32_t n_cols)
{
    for (int64_t i = 0; i < e->n; i++)
        s->ptr[e->to[i] + 1]++;
    counts_to_starts(s->ptr, n_cols);
    for (int64_t i = 0; i < e->n; i++)
    {
        int64_t     at = s->ptr[e->to[i]]++;

        s->end[at] = e->from[i];
        if (s->weight != NULL)
            s->weight[at] = e->weight[i];
        if (s->time != NULL)
            s->time[at] = e->time[i];
    }
    ends_to_starts(s->ptr, n_cols);
}

/* columns, walked in order, to rows: sorted rows */
static void
columns_to_rows(Sorted *rows, int32_t n_rows, const Sorted *columns, int32_t n_cols)
{
    for (int64_t i = 0; i < columns->ptr[n_cols]; i++)
        rows->ptr[columns->end[i] + 1]++;
    counts_to_starts(rows->ptr, n_rows);
    for (int32_t c = 0; c < n_cols; c++)
        for (int64_t i = columns->ptr[c]; i < columns->ptr[c + 1]; i++)
        {
            int64_t     at = rows->ptr[columns->end[i]]++;

            rows->end[at] = c;
            if (rows->weight != NULL)
                rows->weight[at] = columns->weight[i];
            if (rows->time != NULL)
                rows->time[at] = columns->time[i];
        }
    ends_to_starts(rows->ptr, n_rows);
}

static int
compare_weights(const void *a, const void *b)
{
    float       x = *(const float *) a;
    float       y = *(const float *) b;

    return (x > y) - (x < y);
}

/* what n equal entries weigh together: smallest first, so that reading order does not show; finite in any case */
static float
merged_weight(float *weight, int64_t n)
{
    double      sum = 0;

    if (n == 1)
        return weight[0];
    qsort(weight, n, sizeof(float), compare_weights);
    for (int64_t i = 0; i < n; i++)
        sum += weight[i];
    return (float) fmax(-FLT_MAX, fmin(FLT_MAX, sum));
}

static double
newest(const double *time, int64_t n)
{
    double      t = time[0];

    for (int64_t i = 1; i < n; i++)
        if (time[i] > t)
            t = time[i];
    return t;
}

static int64_t
count_distinct(const Sorted *rows, int32_t n_rows)
{
    int64_t     n = 0;

    for (int32_t r = 0; r < n_rows; r++)
        for (int64_t i = rows->ptr[r]; i < rows->ptr[r + 1]; i++)
            n += i == rows->ptr[r] || rows->end[i] != rows->end[i - 1];
    return n;
}

/* merges the equal neighbours of every row, in place: what is written never overtakes what is read */
static void
merge_duplicates(Sorted *rows, float *val, int32_t n_rows)
{
    int64_t     out = 0;
    int64_t     i = 0;

    for (int32_t r = 0; r < n_rows; r++)
    {
        int64_t     end = rows->ptr[r + 1];

        rows->ptr[r] = out;
        while (i < end)
        {
            int64_t     n = 1;

            while (i + n < end && rows->end[i + n] == rows->end[i])
                n++;
            val[out] = rows->weight != NULL ? merged_weight(rows->weight + i, n) : (float) n;
            if (rows->time != NULL)
                rows->time[out] = newest(rows->time + i, n);
            rows->end[out++] = rows->end[i];
            i += n;
        }
    }
    rows->ptr[n_rows] = out;
}

static bool
all_ones(const float *val, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (val[i] != 1.0f)
            return false;
    return true;
}

void
gnn_csr_build(GnnCsr *out, GnnArena *arena, const GnnEdges *edges, int32_t n_rows, int32_t n_cols)
{
    Sorted      columns;
    Sorted      rows;
    int64_t     n_distinct;
    float      *val;

    allocate(&columns, arena, n_cols, edges->n, edges->weight != NULL, edges->time != NULL);
    allocate(&rows, arena, n_rows, edges->n, edges->weight != NULL, edges->time != NULL);
    sort_by_column(&columns, edges, n_cols);
    columns_to_rows(&rows, n_rows, &columns, n_cols);

    val = rows.weight;
    n_distinct = count_distinct(&rows, n_rows);
    if (n_distinct < edges->n)
    {
        if (val == NULL)
            val = gnn_alloc(arena, n_distinct, sizeof(float));
        merge_duplicates(&rows, val, n_rows);
    }
    if (val != NULL && all_ones(val, n_distinct))
        val = NULL;
    *out = (GnnCsr) {.n = n_rows, .n_cols = n_cols, .ptr = rows.ptr, .idx = rows.end, .val = val, .time = rows.time};
}

void
gnn_csr_transpose(GnnCsr *out, GnnArena *arena, const GnnCsr *a)
{
    Sorted      from = {.ptr = a->ptr, .end = a->idx, .weight = a->val, .time = a->time};
    Sorted      to;

    allocate(&to, arena, a->n_cols, a->ptr[a->n], a->val != NULL, a->time != NULL);
    columns_to_rows(&to, a->n_cols, &from, a->n);
    *out = (GnnCsr) {.n = a->n_cols, .n_cols = a->n, .ptr = to.ptr, .idx = to.end, .val = to.weight, .time = to.time};
}

void
gnn_csr_transpose_into(GnnCsr *out, const GnnCsr *a)
{
    Sorted      from = {.ptr = a->ptr, .end = a->idx, .weight = a->val};
    Sorted      to = {.ptr = out->ptr, .end = out->idx, .weight = a->val != NULL ? out->val : NULL};

    memset(to.ptr, 0, ((int64_t) a->n_cols + 1) * sizeof(int64_t));
    columns_to_rows(&to, a->n_cols, &from, a->n);
    *out = (GnnCsr) {.n = a->n_cols, .n_cols = a->n, .ptr = to.ptr, .idx = to.end, .val = to.weight};
}

static int64_t
count_positive(const GnnCsr *a)
{
    int64_t     n = 0;

    if (a->val == NULL)
        return a->ptr[a->n];
    for (int64_t i = 0; i < a->ptr[a->n]; i++)
        n += a->val[i] > 0;
    return n;
}

void
gnn_csr_positive(GnnCsr *out, GnnArena *arena, const GnnCsr *a)
{
    int64_t     n = count_positive(a);
    Sorted      kept;
    int64_t     at = 0;

    if (n == a->ptr[a->n])
    {
        *out = *a;
        return;
    }
    allocate(&kept, arena, a->n, n, true, a->time != NULL);
    for (int32_t r = 0; r < a->n; r++)
    {
        for (int64_t i = a->ptr[r]; i < a->ptr[r + 1]; i++)
        {
            if (!(a->val[i] > 0))
                continue;
            kept.end[at] = a->idx[i];
            kept.weight[at] = a->val[i];
            if (kept.time != NULL)
                kept.time[at] = a->time[i];
            at++;
        }
        kept.ptr[r + 1] = at;
    }
    *out = (GnnCsr) {.n = a->n, .n_cols = a->n_cols, .ptr = kept.ptr, .idx = kept.end, .val = kept.weight,
                     .time = kept.time};
}

bool
gnn_csr_has(const GnnCsr *a, int32_t row, int32_t column)
{
    int64_t     low = a->ptr[row];
    int64_t     high = a->ptr[row + 1];

    while (low < high)
    {
        int64_t     middle = low + (high - low) / 2;

        if (a->idx[middle] < column)
            low = middle + 1;
        else
            high = middle;
    }
    return low < a->ptr[row + 1] && a->idx[low] == column;
}
