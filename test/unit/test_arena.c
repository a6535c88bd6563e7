/*
 * test_arena.c: memory is aligned, zeroed, counted, and what cannot be had fails by the arena's rule.
 */
#include "test.h"

#include <setjmp.h>
#include <string.h>

static jmp_buf failed;
static size_t failed_bytes;

static void
note_failure(void *arg, size_t bytes)
{
    failed_bytes = bytes;
    longjmp(failed, 1);
}

static bool
is_zero(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != 0)
            return false;
    return true;
}

/* again and again, so that what was written before is handed out once more */
static void
aligned_and_zeroed(void)
{
    static const int64_t sizes[] = {0, 1, 63, 64, 65, 1000, 5000000};

    for (int again = 0; again < 3; again++)
    {
        GnnMallocArena m;

        gnn_arena_malloc(&m, note_failure, NULL);
        for (int i = 0; i < 7; i++)
        {
            char       *p = gnn_alloc(&m.arena, sizes[i], 1);

            CHECK((uintptr_t) p % 64 == 0);
            CHECK(is_zero(p, sizes[i]));
            memset(p, 0xFF, sizes[i]);
        }
        gnn_arena_free(&m);
    }
}

/* returns whether the allocation failed by the callback */
static bool
fails(int64_t count, size_t size)
{
    static GnnMallocArena m;
    bool        did;

    gnn_arena_malloc(&m, note_failure, NULL);
    did = setjmp(failed) != 0;
    if (!did)
        gnn_alloc(&m.arena, count, size);
    gnn_arena_free(&m);
    return did;
}

static void
overflow_fails(void)
{
    CHECK(fails(INT64_MAX, 16));
    CHECK(failed_bytes == SIZE_MAX);
    CHECK(fails(INT64_MAX, 2));
    CHECK(fails(-1, 1));
    CHECK(!fails(1000, 16));
}

static void
counting(void)
{
    GnnMallocArena real_one;
    GnnArena    counter;

    gnn_arena_counting(&counter);
    gnn_arena_malloc(&real_one, note_failure, NULL);
    for (int64_t n = 0; n < 1000; n += 37)
    {
        CHECK(gnn_alloc(&counter, n, 8) == NULL);
        gnn_alloc(&real_one.arena, n, 8);
    }
    CHECK(counter.used == real_one.arena.used);
    CHECK(counter.used > 1000 * 8);
    gnn_arena_free(&real_one);
}

static const Test tests[] = {
    {"memory is aligned and zeroed", aligned_and_zeroed},
    {"sizes that overflow fail", overflow_fails},
    {"a counting arena counts what a real one takes", counting},
    {0},
};

const Subject arena_subject = {"arena", tests};
