/* top-k: the same rows, scores and order by every road to them, with and without the copy in few bits */
#include "core/quantise.h"
#include "core/topk.h"

#include "fuzz.h"

#define MAX_ROWS 1000   /* bounds are looked at from row 256 on */
#define MAX_DIM 40
#define MAX_LIKELY 4            /* any numbers, each once: some of them no rows' */

typedef struct Question
{
    GnnRows     rows;
    float      *query;
    int32_t     k;
    int32_t    *skip;           /* ascending */
    int64_t     n_skip;
} Question;

static void *
room(int64_t n, size_t width)
{
    return calloc(n > 0 ? n : 1, width);
}

/* all rows from what there is: those there are no bytes for are earlier ones, every other one longer, the rest turned */
static void
take_rows(float *out, Bytes *in, int64_t n, int32_t dim)
{
    int64_t     n_own = in->n / dim + 1 < (size_t) n ? (int64_t) (in->n / dim + 1) : n;

    take_floats(out, in, n_own * dim);
    for (int64_t i = n_own * dim; i < n * dim; i++)
    {
        uint32_t    noise = (uint32_t) (i / dim % 2 == 0 ? i / dim : i) * 2654435761u >> 27;

        out[i] = out[i % (n_own * dim)] * ((float) noise / 8 - 2);
    }
}

static Question
take_question(Bytes *in)
{
    Question    q = {.rows = {.n = take_number(in, MAX_ROWS), .dim = 1 + take_number(in, MAX_DIM)}};
    float      *rows = room((int64_t) q.rows.n * q.rows.dim, sizeof(float));
    float      *scale = room(q.rows.n, sizeof(float));
    bool        scaled = take_number(in, 2);
    int32_t    *likely = room(MAX_LIKELY, sizeof(int32_t));

    q.k = take_number(in, 4) == 0 ? take_number(in, q.rows.n + 10) : 1 + take_number(in, 8);
    q.query = room(q.rows.dim, sizeof(float));
    take_floats(q.query, in, q.rows.dim);
    q.skip = room(q.rows.n, sizeof(int32_t));
    for (int32_t row = take_number(in, 9); row < q.rows.n && in->n > 0; row += take_number(in, 40))
        q.skip[q.n_skip < q.rows.n ? q.n_skip++ : 0] = row;
    for (q.rows.n_likely = 0; q.rows.n_likely < MAX_LIKELY && in->n > 0; q.rows.n_likely++)
        likely[q.rows.n_likely] = ((int32_t) take_number(in, MAX_ROWS / MAX_LIKELY) - 1) * MAX_LIKELY + q.rows.n_likely;
    take_floats(scale, in, scaled ? q.rows.n : 0);
    take_rows(rows, in, q.rows.n, q.rows.dim);
    q.rows.rows = rows;
    q.rows.likely = likely;
    q.rows.scale = scaled ? scale : NULL;
    if (!scaled)
        free(scale);
    return q;
}

static void
free_question(Question *q)
{
    free((void *) q->rows.rows);
    free((void *) q->rows.scale);
    free((void *) q->rows.likely);
    free(q->query);
    free(q->skip);
}

static void
check_same(const GnnHit *a, const GnnHit *b, int32_t n_a, int32_t n_b)
{
    demand(n_a == n_b);
    for (int32_t i = 0; i < n_a; i++)
        demand(a[i].row == b[i].row && a[i].score == b[i].score);
}

/* score descending, then row ascending; each score that of its row */
static void
check_order(const GnnHit *hits, int32_t n, const Question *q)
{
    for (int32_t i = 0; i < n; i++)
    {
        float       score = gnn_dot(q->rows.rows + (int64_t) hits[i].row * q->rows.dim, q->query, q->rows.dim);

        demand(hits[i].score == (q->rows.scale == NULL ? score : score * q->rows.scale[hits[i].row]));
        demand(i == 0 || hits[i - 1].score > hits[i].score
               || (hits[i - 1].score == hits[i].score && hits[i - 1].row < hits[i].row));
    }
}

/* the rows that are not to be skipped, one by one */
static int32_t
answer_among(GnnHit *out, const Question *q)
{
    int32_t    *among = room(q->rows.n, sizeof(int32_t));
    int64_t     n = 0;
    int64_t     s = 0;
    int32_t     n_hits;

    for (int32_t row = 0; row < q->rows.n; row++)
    {
        while (s < q->n_skip && q->skip[s] < row)
            s++;
        if (s == q->n_skip || q->skip[s] != row)
            among[n++] = row;
    }
    n_hits = gnn_topk_among(out, q->k, &q->rows, q->query, among, n);
    free(among);
    return n_hits;
}

static void
check_all_kernels(const GnnHit *expected, int32_t n, const Question *q)
{
    GnnHit     *hits = room(q->k, sizeof(GnnHit));
    int64_t     n_blocks = gnn_quantised_blocks(q->rows.n);
    void       *blocks = aligned_alloc(64, (n_blocks * gnn_quantised_width(q->rows.dim) + 127) / 64 * 64);
    GnnRows     rows = q->rows;
    const int32_t *skip[1] = {q->skip};
    int32_t     n_hits;

    gnn_quantise(blocks, q->rows.rows, n_blocks, q->rows.dim);
    rows.quantised = blocks;
    for (int kernel = 0; gnn_quantised_kernels[kernel] != NULL; kernel++)
    {
        if (!gnn_quantised_choose(kernel))
            continue;
        check_same(hits, expected, gnn_topk(hits, q->k, &rows, q->query, q->skip, q->n_skip), n);
        gnn_topk_many(hits, &n_hits, q->k, &rows, q->query, 1, skip, &q->n_skip);
        check_same(hits, expected, n_hits, n);
    }
    free(blocks);
    free(hits);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes       in = {data, size};
    Question    q = take_question(&in);
    GnnHit     *expected = room(q.k, sizeof(GnnHit));
    GnnHit     *hits = room(q.k, sizeof(GnnHit));
    int32_t     n = gnn_topk(expected, q.k, &q.rows, q.query, q.skip, q.n_skip);

    check_order(expected, n, &q);
    check_same(hits, expected, answer_among(hits, &q), n);
    check_all_kernels(expected, n, &q);
    free(hits);
    free(expected);
    free_question(&q);
    return 0;
}
