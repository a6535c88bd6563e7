/*
 * fit_bench.c: trains on a file of interactions, ranks all items for all users of another, prints how good
 * that is and how long it took. No server.
 *
 *     fit_bench TRAIN TEST [threads=N] [fold_in=1] [verbose=1] [vectors=FILE] [measured=N] [popularity=1] [parameter=value ...]
 *
 * TRAIN and TEST hold a user and an item number in tab-separated columns below a header line; '-' for no TEST. Instead of
 * TRAIN, planted:USERS:ITEMS:INTERACTIONS makes a graph of power laws with clusters in it, and a tenth of it is the test.
 *
 *     measured=N  ranks for about N of the users only;  popularity=1  ranks by popularity too, to compare with
 *
 * FILE gets the vectors, for topk_bench: the numbers of users, items and dimensions as int32, then their floats.
 * Built by
 *
 *     cc -O3 -std=gnu11 -fopenmp -DGNN_BLAS -Isrc -o build/fit_bench src/core/?*.c src/model/?*.c \
 *         src/train/?*.c test/bench/fit_bench.c -lopenblas -lm
 *
 * Files: zcat first, as in  fit_bench <(zcat gowalla.train.tsv.gz) <(zcat gowalla.test.tsv.gz) dim=128
 */
#include "core/arena.h"
#include "core/metric.h"
#include "core/rng.h"
#include "core/team.h"
#include "core/topk.h"
#include "model/induct.h"
#include "train/fit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define K 20
#define BATCH 1024

typedef struct Pairs
{
    int64_t     n;
    int64_t     room;
    int32_t    *user;
    int32_t    *item;
} Pairs;

static void
fail(void *arg, size_t bytes)
{
    fprintf(stderr, "out of memory: %zu bytes\n", bytes);
    exit(1);
}

static void
add_pair(Pairs *p, int32_t user, int32_t item)
{
    if (p->n == p->room)
    {
        p->room = p->room > 0 ? 2 * p->room : 1 << 20;
        p->user = realloc(p->user, p->room * sizeof(int32_t));
        p->item = realloc(p->item, p->room * sizeof(int32_t));
    }
    p->user[p->n] = user;
    p->item[p->n++] = item;
}

static Pairs
read_pairs(const char *path)
{
    FILE       *file = fopen(path, "r");
    char        line[256];
    Pairs       p = {0};

    if (file == NULL)
    {
        perror(path);
        exit(1);
    }
    if (fgets(line, sizeof(line), file) == NULL)
        fprintf(stderr, "%s: empty\n", path);
    while (fgets(line, sizeof(line), file) != NULL)
    {
        char       *end;
        int32_t     user = (int32_t) strtol(line, &end, 10);

        add_pair(&p, user, (int32_t) strtol(end, NULL, 10));
    }
    fclose(file);
    return p;
}

/*
 * Users and items are in one of CLUSTERS, by their number. The r-th most active user has r^-1/2 of the most active one's
 * interactions; three of five are of items of her cluster, which are taken by rank^-1/2, the others of any items, by rank^-2/3.
 */
#define CLUSTERS 200

static void
plant(Pairs *train, Pairs *test, const char *sizes)
{
    GnnRng      rng = gnn_rng(1, GNN_STREAM_INIT, 0);
    int64_t     users;
    int64_t     items;
    int64_t     n;

    if (sscanf(sizes, "%" SCNd64 ":%" SCNd64 ":%" SCNd64, &users, &items, &n) != 3 || users < 1 || items < CLUSTERS)
    {
        fprintf(stderr, "planted:USERS:ITEMS:INTERACTIONS, of at least %d items\n", CLUSTERS);
        exit(1);
    }
    for (int64_t i = 0; i < n; i++)
    {
        double      rank = gnn_rng_uniform(&rng);
        int32_t     user = (int32_t) ((int64_t) ((double) users * rank * rank) * 7919 % users);
        bool        own = gnn_rng_uniform(&rng) < 0.6;
        double      taste = gnn_rng_uniform(&rng);
        int64_t     item = own ? user % CLUSTERS + CLUSTERS * (int64_t) ((double) (items / CLUSTERS) * taste * taste)
            : (int64_t) ((double) items * taste * taste * taste);

        add_pair(gnn_rng_below(&rng, 10) == 0 ? test : train, user, (int32_t) item);
    }
}

/* what is in both can not be found: what is known is not ranked */
static void
drop_known(GnnCsr *test, const GnnCsr *train)
{
    int64_t     out = 0;

    for (int32_t u = 0; u < test->n; u++)
    {
        int64_t     start = test->ptr[u];

        test->ptr[u] = out;
        for (int64_t e = start; e < test->ptr[u + 1]; e++)
            if (!gnn_csr_has(train, u, test->idx[e]))
                test->idx[out++] = test->idx[e];
    }
    test->ptr[test->n] = out;
    test->val = NULL;
}

static int32_t
count_of(const int32_t *number, int64_t n, int32_t least)
{
    for (int64_t i = 0; i < n; i++)
        if (number[i] >= least)
            least = number[i] + 1;
    return least;
}

static void
build(GnnCsr *out, GnnArena *arena, const Pairs *p, int32_t n_users, int32_t n_items)
{
    GnnEdges    edges = {.n = p->n, .from = p->user, .to = p->item};

    gnn_csr_build(out, arena, &edges, n_users, n_items);
}

/* the model's own pass, for users as if none had been trained */
static void
induct_users(GnnFit *fit, const GnnCsr *train, const GnnConfig *config)
{
    for (int32_t u = 0; u < train->n; u++)
    {
        GnnInduct   in = {.config = config, .weights = fit->weights, .messages = fit->fold_in[1],
                          .n = train->ptr[u + 1] - train->ptr[u], .idx = train->idx + train->ptr[u],
                          .weight = train->val != NULL ? train->val + train->ptr[u] : NULL};

        gnn_induct(fit->embedding[0] + (int64_t) u * config->dim, &in);
    }
}

/* the mean, by weight, of a user's items' vectors: what serves where a model is neither linear nor inductive */
static void
average_users(GnnFit *fit, const GnnCsr *train, int dim)
{
    memset(fit->embedding[0], 0, (size_t) train->n * dim * sizeof(float));
    for (int32_t u = 0; u < train->n; u++)
        for (int64_t e = train->ptr[u]; e < train->ptr[u + 1]; e++)
            for (int c = 0; c < dim; c++)
                fit->embedding[0][(int64_t) u * dim + c] += (train->val != NULL ? train->val[e] : 1)
                    * fit->embedding[1][(int64_t) train->idx[e] * dim + c];
}

/* z_u = sum w_ui / sqrt(D_u D_i) fold_in_i, for users as if none had been trained */
static void
fold_in_users(GnnFit *fit, const GnnCsr *train, int dim)
{
    memset(fit->embedding[0], 0, (size_t) train->n * dim * sizeof(float));
    for (int32_t u = 0; u < train->n; u++)
        for (int64_t e = train->ptr[u]; e < train->ptr[u + 1]; e++)
        {
            int32_t     i = train->idx[e];
            double      w = train->val != NULL ? train->val[e] : 1;
            double      scale = w / sqrt((double) fit->degree[0][u] * fit->degree[1][i]);

            for (int c = 0; c < dim; c++)
                fit->embedding[0][(int64_t) u * dim + c] += (float) (scale * fit->fold_in[1][(int64_t) i * dim + c]);
        }
}

/* one batch of users in `every` */
static void
evaluate(const GnnFit *fit, const GnnCsr *train, const GnnCsr *test, int dim, int64_t every)
{
    GnnRows     rows = {.rows = fit->embedding[1], .n = train->n_cols, .dim = dim};
    GnnHit     *hits = malloc(sizeof(GnnHit) * K * BATCH);
    int32_t    *n_hits = malloc(sizeof(int32_t) * BATCH);
    const int32_t **skip = malloc(sizeof(int32_t *) * BATCH);
    int64_t    *n_skip = malloc(sizeof(int64_t) * BATCH);
    double      sum[GNN_N_METRICS] = {0};
    int64_t     users = 0;
    double      start = gnn_now();

    for (int32_t first = 0; first < train->n; first += BATCH * (int32_t) every)
    {
        int32_t     n = train->n - first < BATCH ? train->n - first : BATCH;

        for (int32_t q = 0; q < n; q++)
        {
            skip[q] = train->idx + train->ptr[first + q];
            n_skip[q] = train->ptr[first + q + 1] - train->ptr[first + q];
        }
        gnn_topk_many(hits, n_hits, K, &rows, fit->embedding[0] + (int64_t) first * dim, n, skip, n_skip);
        for (int32_t q = 0; q < n; q++)
        {
            int64_t     n_truth = test->ptr[first + q + 1] - test->ptr[first + q];
            bool        hit[K];

            if (n_truth == 0)
                continue;
            for (int32_t r = 0; r < n_hits[q]; r++)
                hit[r] = gnn_csr_has(test, first + q, hits[q * K + r].row);
            gnn_metric_add(sum, hit, n_hits[q], K, n_truth);
            users++;
        }
    }
    printf("recall@20 %.4f ndcg@20 %.4f (%lld users, ranked in %.2f s)\n", sum[GNN_RECALL] / (double) users,
           sum[GNN_NDCG] / (double) users, (long long) users, gnn_now() - start);
    free(hits);
    free(n_hits);
    free(skip);
    free(n_skip);
}

/* all users alike, items by how many have them */
static void
evaluate_popularity(const GnnCsr *train, const GnnCsr *test, int64_t every)
{
    GnnFit      fit = {.embedding = {malloc(train->n * sizeof(float)), calloc(train->n_cols, sizeof(float))}};

    for (int32_t u = 0; u < train->n; u++)
        fit.embedding[0][u] = 1;
    for (int64_t e = 0; e < train->ptr[train->n]; e++)
        fit.embedding[1][train->idx[e]] += 1;
    printf("by popularity: ");
    evaluate(&fit, train, test, 1, every);
    free(fit.embedding[0]);
    free(fit.embedding[1]);
}

static void
write_vectors(const char *path, const GnnFit *fit, const int32_t *n, int32_t dim)
{
    FILE       *file = fopen(path, "wb");
    int32_t     sizes[] = {n[0], n[1], dim};

    if (file == NULL || fwrite(sizes, sizeof(sizes), 1, file) != 1
        || fwrite(fit->embedding[0], sizeof(float) * dim, n[0], file) != (size_t) n[0]
        || fwrite(fit->embedding[1], sizeof(float) * dim, n[1], file) != (size_t) n[1] || fclose(file) != 0)
    {
        perror(path);
        exit(1);
    }
}

static void
print_step(void *arg, const GnnStep *done)
{
    if (done != NULL && *(bool *) arg)
        printf("step %d loss %.5f seconds %.3f metric %.4f\n", done->step, done->loss, done->seconds, done->metric);
}

static void
set_parameter(GnnConfig *config, const char *name, const char *value)
{
    const GnnParam *p = gnn_param_find(name);
    char        buf[256];
    const char *problem;

    if (p == NULL)
    {
        fprintf(stderr, "no parameter %s\n", name);
        exit(1);
    }
    problem = p->kind == GNN_PARAM_CHOICE ? gnn_param_set_choice(config, p, value, buf, sizeof(buf))
        : gnn_param_set_number(config, p, atof(value), buf, sizeof(buf));
    if (problem != NULL)
    {
        fprintf(stderr, "%s\n", problem);
        exit(1);
    }
}

int
main(int argc, char **argv)
{
    GnnMallocArena arena;
    GnnGraph    graph = {0};
    GnnConfig   config;
    GnnFit      fit = {0};
    GnnCsr      train;
    GnnCsr      test;
    Pairs       pairs = {0};
    Pairs       truth = {0};
    int32_t     n[2];
    int         threads = 0;
    bool        fold_in = false;
    bool        verbose = false;
    bool        popularity = false;
    bool        planted;
    int64_t     measured = INT64_MAX;
    int64_t     every;
    const char *vectors = NULL;
    GnnTick     tick = {.call = print_step, .arg = &verbose};
    GnnPart     parts[GNN_MAX_PARTS];
    int         n_parts;
    int64_t     n_edges[GNN_MAX_RELATIONS] = {0};
    struct rusage usage;
    double      start;
    const char *problem;

    if (argc < 3)
    {
        fprintf(stderr, "usage: fit_bench TRAIN TEST [threads=N] [fold_in=1] [verbose=1] [vectors=FILE] [measured=N] "
                "[popularity=1] [parameter=value ...]\n");
        return 1;
    }
    gnn_config_defaults(&config);
    for (int i = 3; i < argc; i++)
    {
        char       *value = strchr(argv[i], '=');

        if (value == NULL)
            return 1;
        *value++ = '\0';
        if (strcmp(argv[i], "threads") == 0)
            threads = atoi(value);
        else if (strcmp(argv[i], "fold_in") == 0)
            fold_in = atoi(value) != 0;
        else if (strcmp(argv[i], "verbose") == 0)
            verbose = atoi(value) != 0;
        else if (strcmp(argv[i], "popularity") == 0)
            popularity = atoi(value) != 0;
        else if (strcmp(argv[i], "measured") == 0)
            measured = atoll(value) > 0 ? atoll(value) : 1;
        else if (strcmp(argv[i], "vectors") == 0)
            vectors = value;
        else
            set_parameter(&config, argv[i], value);
    }
    planted = strncmp(argv[1], "planted:", 8) == 0;
    if (planted)
        plant(&pairs, &truth, argv[1] + 8);
    else
        pairs = read_pairs(argv[1]);
    if (!planted && strcmp(argv[2], "-") != 0)
        truth = read_pairs(argv[2]);
    gnn_arena_malloc(&arena, fail, NULL);
    n[0] = count_of(truth.user, truth.n, count_of(pairs.user, pairs.n, 0));
    n[1] = count_of(truth.item, truth.n, count_of(pairs.item, pairs.n, 0));
    start = gnn_now();
    build(&train, &arena.arena, &pairs, n[0], n[1]);
    printf("%d users, %d items, %lld edges in %.2f s\n", n[0], n[1], (long long) train.ptr[n[0]], gnn_now() - start);
    build(&test, &arena.arena, &truth, n[0], n[1]);
    if (planted)
        drop_known(&test, &train);
    free(pairs.user);
    free(pairs.item);
    every = measured < n[0] ? n[0] / measured : 1;
    gnn_graph_add_nodes(&graph, "user", n[0]);
    gnn_graph_add_nodes(&graph, "item", n[1]);
    gnn_graph_add_relation(&graph, "interaction", 0, 1, &train);
    for (int t = 0; t < 2; t++)
    {
        fit.embedding[t] = gnn_alloc(&arena.arena, (int64_t) n[t] * config.dim, sizeof(float));
        fit.fold_in[t] = gnn_alloc(&arena.arena, n[t] * gnn_fold_in_width(&config), sizeof(float));
        fit.degree[t] = gnn_alloc(&arena.arena, n[t], sizeof(float));
    }
    fit.weights = gnn_alloc(&arena.arena, gnn_n_weights(&config), sizeof(float));
    n_edges[0] = train.ptr[n[0]];
    printf("estimate %.0f MB\n", 1e-6 * (double) gnn_fit_estimate(parts, &n_parts, &graph, n_edges, &config, threads));
    start = gnn_now();
    problem = gnn_fit(&fit, &arena.arena, &graph, &config, threads, &tick);
    if (problem != NULL)
    {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("fit %.2f s, best step %d of %d, loss %.6f, held out: recall %.4f ndcg %.4f, peak %ld MB\n", gnn_now() - start,
           fit.best_step, fit.steps, fit.loss, fit.recall, fit.ndcg, usage.ru_maxrss / 1024);
    if (vectors != NULL)
        write_vectors(vectors, &fit, n, config.dim);
    if (truth.n > 0)
        evaluate(&fit, &train, &test, config.dim, every);
    if (popularity && truth.n > 0)
        evaluate_popularity(&train, &test, every);
    if (fold_in && truth.n > 0)
    {
        if (gnn_is_inductive(&config))
            induct_users(&fit, &train, &config);
        else
            fold_in_users(&fit, &train, config.dim);
        printf("users folded in: ");
        evaluate(&fit, &train, &test, config.dim, every);
        average_users(&fit, &train, config.dim);
        printf("users as the mean of their items: ");
        evaluate(&fit, &train, &test, config.dim, every);
    }
    gnn_arena_free(&arena);
    return 0;
}
