/*
 * topk_bench.c: how long one query's top 20 takes, alone and among many: float32 rows alone, and with the copy in 4 bits,
 * by every kernel. No server, one thread.
 *
 *     topk_bench VECTORS [n=ITEMS] [k=K] [queries=N] [cosine=1]
 *
 * VECTORS is what fit_bench writes (vectors=FILE). With more items than it holds, the others are drawn around its own: one
 * of them, times a length from 0.9 to 1.1, plus noise of half its deviation a dimension. Both answers are compared, to the bit.
 * Built by
 *
 *     cc -O3 -std=gnu11 -Isrc -o build/topk_bench src/core/?*.c test/bench/topk_bench.c -lm
 */
#include "core/quantise.h"
#include "core/rng.h"
#include "core/topk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Vectors
{
    int32_t     n_users;
    int32_t     n_items;
    int32_t     dim;
    float      *users;
    float      *items;
} Vectors;

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double) t.tv_sec + 1e-9 * (double) t.tv_nsec;
}

static void *
take(size_t bytes)
{
    void       *memory = aligned_alloc(64, (bytes + 64) / 64 * 64);

    if (memory == NULL)
    {
        fprintf(stderr, "out of memory: %zu bytes\n", bytes);
        exit(1);
    }
    return memory;
}

static Vectors
read_vectors(const char *path)
{
    FILE       *file = fopen(path, "rb");
    int32_t     sizes[3];
    Vectors     v;

    if (file == NULL || fread(sizes, sizeof(sizes), 1, file) != 1)
    {
        perror(path);
        exit(1);
    }
    v = (Vectors) {.n_users = sizes[0], .n_items = sizes[1], .dim = sizes[2]};
    v.users = take(sizeof(float) * v.n_users * v.dim);
    v.items = take(sizeof(float) * v.n_items * v.dim);
    if (fread(v.users, sizeof(float) * v.dim, v.n_users, file) != (size_t) v.n_users
        || fread(v.items, sizeof(float) * v.dim, v.n_items, file) != (size_t) v.n_items)
    {
        fprintf(stderr, "%s: cut short\n", path);
        exit(1);
    }
    fclose(file);
    return v;
}

/* the deviation of each dimension */
static void
deviation_of(double *out, const Vectors *v)
{
    for (int32_t c = 0; c < v->dim; c++)
    {
        double      sum = 0;
        double      square = 0;

        for (int32_t i = 0; i < v->n_items; i++)
        {
            double      x = v->items[(int64_t) i * v->dim + c];

            sum += x;
            square += x * x;
        }
        sum /= v->n_items;
        out[c] = sqrt(fmax(0, square / v->n_items - sum * sum));
    }
}

static void
add_items(Vectors *v, int32_t n)
{
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    double     *deviation = take(sizeof(double) * v->dim);
    float      *items = take(sizeof(float) * n * v->dim);

    deviation_of(deviation, v);
    for (int32_t i = 0; i < n; i++)
    {
        const float *like = v->items + (int64_t) (i < v->n_items ? i : (int32_t) gnn_rng_below(&rng, v->n_items)) * v->dim;
        double      longer = 0.9 + 0.2 * (double) gnn_rng_below(&rng, 1000) / 1000;

        for (int32_t c = 0; c < v->dim; c++)
            items[(int64_t) i * v->dim + c] = i < v->n_items ? like[c]
                : (float) (longer * like[c] + 0.5 * deviation[c] * gnn_rng_normal(&rng));
    }
    free(deviation);
    free(v->items);
    v->items = items;
    v->n_items = n;
}

static int
by_size(const void *a, const void *b)
{
    double      x = *(const double *) a;
    double      y = *(const double *) b;

    return (x > y) - (x < y);
}

/* answers queries spread over the users; prints the times and returns the median in milliseconds */
static double
measure(GnnHit *hits, const char *what, const GnnRows *rows, const Vectors *v, int32_t k, int n_queries)
{
    double     *ms = take(sizeof(double) * n_queries);
    double      sum = 0;
    double      median;

    for (int q = 0; q < n_queries; q++)
    {
        const float *query = v->users + (int64_t) q * v->n_users / n_queries * v->dim;
        double      start = now();

        gnn_topk(hits + (int64_t) q * k, k, rows, query, NULL, 0);
        ms[q] = 1e3 * (now() - start);
        sum += ms[q];
    }
    qsort(ms, n_queries, sizeof(double), by_size);
    median = ms[n_queries / 2];
    printf("%-10s median %8.4f ms, mean %8.4f, 95 %% %8.4f\n", what, median, sum / n_queries, ms[n_queries * 95 / 100]);
    free(ms);
    return median;
}

/* all users at once, without users of their own to skip; milliseconds a user */
static double
measure_many(const char *what, const GnnRows *rows, const Vectors *v, int32_t k, int n_queries)
{
    GnnHit     *hits = take(sizeof(GnnHit) * n_queries * k);
    int32_t    *n_hits = take(sizeof(int32_t) * n_queries);
    double      start = now();
    double      ms;

    gnn_topk_many(hits, n_hits, k, rows, v->users, n_queries, NULL, NULL);
    ms = 1e3 * (now() - start) / n_queries;
    printf("%-10s %8.4f ms a user of %d at once\n", what, ms, n_queries);
    free(hits);
    free(n_hits);
    return ms;
}

static float *
inverse_norms(const Vectors *v)
{
    float      *out = take(sizeof(float) * v->n_items);

    for (int32_t i = 0; i < v->n_items; i++)
    {
        const float *x = v->items + (int64_t) i * v->dim;
        float       square = gnn_dot(x, x, v->dim);

        out[i] = square > 0 ? 1 / sqrtf(square) : 0;
    }
    return out;
}

typedef struct Length
{
    float       length;
    int32_t     row;
} Length;

static int
longest_first(const void *a, const void *b)
{
    const Length *x = a;
    const Length *y = b;

    return (x->length < y->length) - (x->length > y->length);
}

/* the longest rows stand in for the most popular ones, which a snapshot knows */
static const int32_t *
likely_rows(const Vectors *v)
{
    Length     *all = take(sizeof(Length) * v->n_items);
    int32_t    *out = take(sizeof(int32_t) * v->n_items);

    for (int32_t i = 0; i < v->n_items; i++)
    {
        const float *x = v->items + (int64_t) i * v->dim;

        all[i] = (Length) {gnn_dot(x, x, v->dim), i};
    }
    qsort(all, v->n_items, sizeof(Length), longest_first);
    for (int32_t i = 0; i < v->n_items; i++)
        out[i] = all[i].row;
    free(all);
    return out;
}

static void
compare(const Vectors *v, bool cosine, int32_t k, int n_queries)
{
    int64_t     n_blocks = gnn_quantised_blocks(v->n_items);
    void       *blocks = take((size_t) (n_blocks * gnn_quantised_width(v->dim)));
    GnnHit     *should = take(sizeof(GnnHit) * n_queries * k);
    GnnHit     *is = take(sizeof(GnnHit) * n_queries * k);
    GnnRows     rows = {.rows = v->items, .scale = cosine ? inverse_norms(v) : NULL, .n = v->n_items, .dim = v->dim,
                    .likely = cosine ? NULL : likely_rows(v), .n_likely = v->n_items};
    double      start = now();

    gnn_quantise(blocks, v->items, n_blocks, v->dim);
    printf("%d items of %d dimensions, quantised in %.3f s; top %d of %d users\n", v->n_items, v->dim, now() - start, k,
           n_queries);
    memset(should, 0, sizeof(GnnHit) * n_queries * k);
    for (int i = 0; gnn_quantised_kernels[i] != NULL; i++)
    {
        double      one;
        double      many;

        if (!gnn_quantised_choose(i))
            continue;
        memset(is, 0, sizeof(GnnHit) * n_queries * k);
        rows.quantised = NULL;
        one = measure(should, "float32", &rows, v, k, n_queries);
        many = measure_many("float32", &rows, v, k, n_queries);
        rows.quantised = blocks;
        one /= measure(is, gnn_quantised_kernels[i], &rows, v, k, n_queries);
        many /= measure_many(gnn_quantised_kernels[i], &rows, v, k, n_queries);
        printf("%-10s %.2f and %.2f times as fast%s\n", "", one, many,
               memcmp(should, is, sizeof(GnnHit) * n_queries * k) == 0 ? "" : "; ANOTHER ANSWER");
    }
}

int
main(int argc, char **argv)
{
    int32_t     n = 0;
    int32_t     k = 20;
    int         n_queries = 1000;
    int         cosine = 0;
    Vectors     v;

    if (argc < 2)
    {
        fprintf(stderr, "usage: topk_bench VECTORS [n=ITEMS] [k=K] [queries=N] [cosine=1]\n");
        return 1;
    }
    for (int i = 2; i < argc; i++)
        if (sscanf(argv[i], "n=%d", &n) + sscanf(argv[i], "k=%d", &k) + sscanf(argv[i], "queries=%d", &n_queries)
            + sscanf(argv[i], "cosine=%d", &cosine) != 1)
        {
            fprintf(stderr, "what is %s?\n", argv[i]);
            return 1;
        }
    v = read_vectors(argv[1]);
    if (n > v.n_items)
        add_items(&v, n);
    compare(&v, cosine != 0, k, n_queries);
    return 0;
}
