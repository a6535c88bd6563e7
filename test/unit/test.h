/*
 * test.h: a test is a function that CHECKs; a subject is a table of them, in a file of its own.
 *
 * Each test gets an arena of its own, `arena`, which goes when the test ends; what is wanted of it and cannot
 * be had aborts. A failed CHECK prints where and goes on.
 */
#ifndef GNN_TEST_H
#define GNN_TEST_H

#include "core/arena.h"
#include "core/csr.h"
#include "core/graph.h"
#include "core/rng.h"
#include "model/config.h"

typedef struct Test
{
    const char *name;
    void        (*run)(void);   /* NULL: left out */
} Test;

/* a test that trains for long: the double build, slow as its sanitizers are, leaves it to the float one */
#ifdef GNN_DOUBLE
#define LONG_TEST(run) ((run) != NULL ? NULL : (run))
#else
#define LONG_TEST(run) (run)
#endif

typedef struct Subject
{
    const char *name;
    const Test *tests;          /* up to one without a name */
} Subject;

extern GnnArena *arena;         /* of the running test */

/* a failure, with what is said about it */
extern void test_check(bool good, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define CHECK(good) test_check((good), __FILE__, __LINE__, "%s", #good)
#define CHECK_SAY(good, ...) test_check((good), __FILE__, __LINE__, __VA_ARGS__)

/* |is - should| <= tolerance; no NaN passes */
#define CHECK_NEAR(is, should, tolerance) \
    test_near((is), (should), (tolerance), __FILE__, __LINE__, #is)
extern void test_near(double is, double should, double tolerance, const char *file, int line, const char *what);

/* ---- things to test on ---- */

/* random edges, weights from 0.5 to 2 (or all 1); some users and items may have none */
extern void random_csr(GnnCsr *out, int32_t n_rows, int32_t n_cols, int64_t n, bool weighted, int64_t seed);

/* users and items, with such interactions */
extern void random_graph(GnnGraph *g, int32_t n_users, int32_t n_items, int64_t n, bool weighted, int64_t seed);

/* a model's place in the table of all */
extern int  model_number(const char *name);

/* the matrix in full: n x n_cols */
extern double *dense_of(const GnnCsr *a);

#endif
