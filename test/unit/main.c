/*
 * main.c: runs all tests, or those of the subjects named as arguments, and prints a line for each.
 */
#include "test.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const Subject adam_subject, arena_subject, audience_subject, contrast_subject, csr_subject, features_subject,
            fit_subject, gradient_subject, graph_subject, holdout_subject, induct_subject, kernel_subject, loss_subject,
            measure_subject, metric_subject, mmr_subject, params_subject, planted_subject, quantise_subject, rng_subject,
            sample_subject, scatter_subject, subgraph_subject, team_subject, topk_subject, typed_subject, vectext_subject,
            walk_subject;

static const Subject *const subjects[] = {
    &arena_subject, &rng_subject, &team_subject, &kernel_subject, &csr_subject, &graph_subject, &typed_subject,
    &scatter_subject, &quantise_subject, &topk_subject, &mmr_subject, &metric_subject, &gradient_subject, &induct_subject,
    &loss_subject, &contrast_subject, &sample_subject, &adam_subject, &holdout_subject, &audience_subject,
    &measure_subject, &params_subject, &walk_subject, &subgraph_subject, &fit_subject, &planted_subject,
    &features_subject, &vectext_subject,
};

#ifdef GNN_DOUBLE
static const char *const build = "double";
#else
static const char *const build = "float";
#endif

GnnArena   *arena;

/* asking for more than there is is one of the tests */
extern const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static int  failures;           /* of the running test */

void
test_check(bool good, const char *file, int line, const char *format, ...)
{
    va_list     args;

    if (good || failures++ >= 10)
        return;
    va_start(args, format);
    printf("# %s:%d: ", file, line);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}

void
test_near(double is, double should, double tolerance, const char *file, int line, const char *what)
{
    test_check(fabs(is - should) <= tolerance, file, line, "%s is %.17g, should be %.17g (%g)", what, is, should,
               tolerance);
}

static void
out_of_memory(void *arg, size_t bytes)
{
    printf("not ok - out of memory: %zu bytes\n", bytes);
    abort();
}

static bool
run(const Subject *subject, const Test *test)
{
    GnnMallocArena memory;

    failures = 0;
    gnn_arena_malloc(&memory, out_of_memory, NULL);
    arena = &memory.arena;
    test->run();
    gnn_arena_free(&memory);
    printf("%s - %s: %s (%s)\n", failures == 0 ? "ok" : "not ok", subject->name, test->name, build);
    fflush(stdout);
    return failures == 0;
}

static bool
wanted(const Subject *subject, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], subject->name) == 0)
            return true;
    return argc <= 1;
}

int
main(int argc, char **argv)
{
    int         failed = 0;

    for (int s = 0; s < (int) (sizeof(subjects) / sizeof(subjects[0])); s++)
        if (wanted(subjects[s], argc, argv))
            for (const Test *t = subjects[s]->tests; t->name != NULL; t++)
                failed += t->run != NULL && !run(subjects[s], t);
    return failed > 0;
}
