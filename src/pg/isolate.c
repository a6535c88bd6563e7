/*
 * isolate.c: the numbers of a training in a process of their own; see isolate.h.
 *
 * gnnrec_train.so, with OpenBLAS and OpenMP, is opened in the child (child.h) and nowhere else: OpenMP does not survive a fork,
 * so it must not be touched before one.
 */
#include "postgres.h"

#include "pg/isolate.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "miscadmin.h"

#include "core/arena.h"
#include "core/team.h"
#include "model/induct.h"
#include "model/tower.h"
#include "pg/catalog.h"
#include "pg/child.h"

#define LIBRARY "gnnrec_train.so"   /* as the Makefile has it, whatever suffix the server's own have */
#define ALIGN_BYTES 64

/* what a library maps beside the numbers */
#define LIBRARY_MEMORY (INT64CONST(256) * 1024 * 1024)

/* what each thread maps: a stack, and a buffer of OpenBLAS, 128 MB mostly untouched; OpenBLAS tries for it for ever */
#define THREAD_MEMORY (INT64CONST(192) * 1024 * 1024)

/*
 * Shared between child and parent; the child writes, and raises n_steps after a step's report is complete. A child that overruns
 * its arrays may write anything anywhere here: the parent takes no count, pointer or end of a string from it unchecked.
 */
typedef struct GnnrecSharedArea
{
    size_t      bytes;
    atomic_int  n_steps;
    char        message[GNNREC_CHILD_MESSAGE];
    GnnFit      fit;
    GnnStep     steps[FLEXIBLE_ARRAY_MEMBER];
} GnnrecSharedArea;

/* ---------------------------------------------------------------------------------------------------------------------
 * The shared area
 * ------------------------------------------------------------------------------------------------------------------ */

static size_t
aligned(size_t bytes)
{
    return TYPEALIGN64(ALIGN_BYTES, bytes);
}

/* the next n floats behind *used; with base NULL only counts */
static float *
lay_floats(char *base, size_t *used, size_t n)
{
    float      *floats = base == NULL ? NULL : (float *) (base + *used);

    *used += aligned(n * sizeof(float));
    return floats;
}

/* lays the result's arrays behind the header; with base NULL only counts, and fit's become NULL */
static size_t
lay_out(char *base, const GnnGraph *graph, const GnnConfig *config, GnnFit *fit)
{
    size_t      used = aligned(offsetof(GnnrecSharedArea, steps) + sizeof(GnnStep) * config->steps);

    fit->weights = fit->features = NULL;
    if (gnn_keeps_tower(config, graph))
        fit->features = lay_floats(base, &used, (size_t) graph->features[GNNREC_USER].n_cols * config->dim);
    if (gnn_keeps_weights(config, graph))
        fit->weights = lay_floats(base, &used, gnn_n_weights(config));
    for (int type = 0; type < graph->n_types; type++)
    {
        size_t      n = graph->types[type].n;

        fit->embedding[type] = lay_floats(base, &used, n * config->dim);
        fit->fold_in[type] = type == GNNREC_ITEM ? lay_floats(base, &used, n * gnn_fold_in_width(config)) : NULL;
        fit->degree[type] = lay_floats(base, &used, n);
    }
    return used;
}

static void
point_to_arrays(GnnrecFitting *t)
{
    lay_out((char *) t->area, t->graph, t->config, t->fit);
}

int64
gnnrec_isolate_result(const GnnGraph *graph, const GnnConfig *config)
{
    GnnFit      nowhere;

    return lay_out(NULL, graph, config, &nowhere);
}

void
gnnrec_isolate_init(GnnrecFitting *t)
{
    size_t      bytes = gnnrec_isolate_result(t->graph, t->config);

    t->area = gnnrec_child_area(bytes);
    t->area->bytes = bytes;
    t->fit = &t->area->fit;
    t->steps_taken = 0;
    point_to_arrays(t);
}

void
gnnrec_isolate_free(GnnrecFitting *t)
{
    if (t->area != NULL)
        munmap(t->area, t->area->bytes);
    t->area = NULL;
    t->fit = NULL;
}

int
gnnrec_isolate_new_steps(GnnrecFitting *t, const GnnStep **steps)
{
    int         n = Max(t->steps_taken, Min(atomic_load(&t->area->n_steps), t->config->steps));
    int         new_steps = n - t->steps_taken;

    *steps = t->area->steps + t->steps_taken;
    t->steps_taken = n;
    return new_steps;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The training itself, in whichever process
 * ------------------------------------------------------------------------------------------------------------------ */

static void
report_step(GnnrecSharedArea *area, const GnnStep *done)
{
    int         n = atomic_load(&area->n_steps);

    if (n < done->steps)
    {
        area->steps[n] = *done;
        atomic_store(&area->n_steps, n + 1);
    }
}

/* the path of gnnrec_train.so: beside the library this code is in */
static void
library_path(char *path, size_t size)
{
    Dl_info     self;
    char       *slash;

    if (dladdr((void *) library_path, &self) == 0 || self.dli_fname == NULL)
        snprintf(path, size, "%s/" LIBRARY, pkglib_path);
    else
    {
        strlcpy(path, self.dli_fname, size);
        slash = strrchr(path, '/');
        strlcpy(slash == NULL ? path : slash + 1, LIBRARY, size - (slash == NULL ? 0 : slash + 1 - path));
    }
}

/* OpenBLAS: we thread outside of it. OpenMP: threads that wait sleep, because the processors are others' too. */
static GnnTrainMain
open_library(const char *path)
{
    void       *library;

    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    setenv("OMP_WAIT_POLICY", "passive", 0);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return library == NULL ? NULL : (GnnTrainMain) dlsym(library, "gnn_train_main");
}

/* true: done; false: the area's message says why not */
static bool
train(GnnrecFitting *t, const char *library, GnnArena *arena, const GnnTick *tick)
{
    GnnTrainMain train_main = open_library(library);
    const char *problem;

    if (train_main == NULL)
    {
        snprintf(t->area->message, GNNREC_CHILD_MESSAGE, "could not open the training library: %s", dlerror());
        return false;
    }
    problem = train_main(t->fit, arena, t->graph, t->config, t->threads, tick);
    if (problem != NULL)
        strlcpy(t->area->message, problem, GNNREC_CHILD_MESSAGE);
    return problem == NULL;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * In a child
 * ------------------------------------------------------------------------------------------------------------------ */

/* what the child works from: a copy of the parent's */
typedef struct InChild
{
    GnnrecFitting *fitting;
    char        library[MAXPGPATH];
} InChild;

static void
child_tick(void *area, const GnnStep *done)
{
    if (done != NULL)
        report_step(area, done);
}

static void
child_out_of_memory(void *area, size_t bytes)
{
    snprintf(((GnnrecSharedArea *) area)->message, GNNREC_CHILD_MESSAGE,
             "out of memory: training could not get another %zu bytes", bytes);
    _exit(EXIT_FAILURE);
}

static bool
train_in_child(void *arg)
{
    const InChild *in = arg;
    GnnMallocArena arena;
    GnnTick     tick = {child_tick, in->fitting->area};

    gnn_arena_malloc(&arena, child_out_of_memory, in->fitting->area);
    return train(in->fitting, in->library, &arena.arena, &tick);
}

static void
run_in_child(GnnrecFitting *t, const char *library, void (*poll) (void *arg), void *arg)
{
    InChild     in = {.fitting = t};
    GnnrecChildren child = {.what = "training", .memory_hint = "gnnrec.train_memory, dim or negatives",
                            .area = t->area, .message = t->area->message, .work = train_in_child, .arg = &in,
                            .memory = t->memory + LIBRARY_MEMORY + gnn_team_size(t->threads) * THREAD_MEMORY, .nice = t->nice,
                            .peak_memory = t->peak_memory};

    strlcpy(in.library, library, sizeof(in.library));
    gnnrec_children_run(&child, 1, poll, arg);
    point_to_arrays(t);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * In this process
 * ------------------------------------------------------------------------------------------------------------------ */

typedef struct InProcess
{
    GnnrecSharedArea *area;
    void        (*poll) (void *arg);
    void       *arg;
} InProcess;

static void
in_process_tick(void *arg, const GnnStep *done)
{
    InProcess  *p = arg;

    if (done != NULL)
        report_step(p->area, done);
    CHECK_FOR_INTERRUPTS();
    p->poll(p->arg);
}

static void
in_process_out_of_memory(void *arg, size_t bytes)
{
    ereport(ERROR,
            (errcode(ERRCODE_OUT_OF_MEMORY),
             errmsg("out of memory: training could not get another %zu bytes", bytes)));
}

static void
run_here(GnnrecFitting *t, const char *library, void (*poll) (void *arg), void *arg)
{
    InProcess   p = {t->area, poll, arg};
    GnnTick     tick = {in_process_tick, &p};
    GnnMallocArena arena;

    gnn_arena_malloc(&arena, in_process_out_of_memory, NULL);
    if (!train(t, library, &arena.arena, &tick))
        ereport(ERROR,
                (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                 errmsg("%s", t->area->message)));
    gnn_arena_free(&arena);
    *t->peak_memory = gnnrec_peak_memory(t->area->bytes);
}

void
gnnrec_isolate_run(GnnrecFitting *t, void (*poll) (void *arg), void *arg)
{
    char        library[MAXPGPATH];

    library_path(library, sizeof(library));
    if (t->isolate)
        run_in_child(t, library, poll, arg);
    else
        run_here(t, library, poll, arg);
}
