/*
 * isolate.c: training in a forked child; see isolate.h.
 *
 * The child is a copy of a server process that must not behave like one: it takes the default signal handlers, its own process
 * group, the parent's death as its own, forgets the server's exit callbacks, unmaps the server's shared memory, and never calls
 * a server function again; it leaves by _exit. gnnrec_train.so, with OpenBLAS and OpenMP, is opened there and nowhere else: OpenMP does not survive a fork, so it
 * must not be touched before one. The parent kills and reaps the child on every way out, because an orphan that dies of a signal
 * under a postmaster that is process 1 would be taken for a crashed backend.
 */
#include "postgres.h"

#include "pg/isolate.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/wait_event.h"

#include "core/arena.h"
#include "core/team.h"
#include "pg/nap.h"

#define LIBRARY "gnnrec_train.so"   /* as the Makefile has it, whatever suffix the server's own have */
#define POLL_MILLISECONDS 50
#define MESSAGE_BYTES 512
#define ALIGN_BYTES 64

/* what a library maps beside the numbers */
#define LIBRARY_MEMORY (INT64CONST(256) * 1024 * 1024)

/*
 * Shared between child and parent; the child writes, and raises n_steps after a step's report is complete. A child that overruns
 * its arrays may write anything anywhere here: the parent takes no count, pointer or end of a string from it unchecked.
 */
typedef struct GnnrecSharedArea
{
    size_t      bytes;
    atomic_int  n_steps;
    char        message[MESSAGE_BYTES];
    GnnFit      fit;
    GnnStep     steps[FLEXIBLE_ARRAY_MEMBER];
} GnnrecSharedArea;

enum {CHILD_DONE = 0, CHILD_FAILED = 1};

/* the running child, for the exit callback; 0: none */
static volatile pid_t child = 0;

/* ---------------------------------------------------------------------------------------------------------------------
 * The shared area
 * ------------------------------------------------------------------------------------------------------------------ */

static size_t
aligned(size_t bytes)
{
    return TYPEALIGN64(ALIGN_BYTES, bytes);
}

/* lays the result's arrays behind the header; with base NULL only counts */
static size_t
lay_out(char *base, const GnnrecTraining *t, GnnFit *fit)
{
    size_t      used = aligned(offsetof(GnnrecSharedArea, steps) + sizeof(GnnStep) * t->config->steps);

    for (int type = 0; type < t->graph->n_types; type++)
    {
        size_t      n = t->graph->types[type].n;
        size_t      rows = aligned(n * t->config->dim * sizeof(float));

        if (base != NULL)
        {
            fit->embedding[type] = (float *) (base + used);
            fit->fold_in[type] = (float *) (base + used + rows);
            fit->degree[type] = (float *) (base + used + 2 * rows);
        }
        used += 2 * rows + aligned(n * sizeof(float));
    }
    return used;
}

static void
point_to_arrays(GnnrecTraining *t)
{
    lay_out((char *) t->area, t, t->fit);
    for (int type = 0; type < t->graph->n_types; type++)
        if (type != 1)
            t->fit->fold_in[type] = NULL;
}

void
gnnrec_isolate_init(GnnrecTraining *t)
{
    size_t      bytes = lay_out(NULL, t, NULL);
    char       *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (base == MAP_FAILED)
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY),
                 errmsg("could not map %zu bytes for the result of a training: %m", bytes)));
    t->area = (GnnrecSharedArea *) base;
    t->area->bytes = bytes;
    t->fit = &t->area->fit;
    t->steps_taken = 0;
    point_to_arrays(t);
}

void
gnnrec_isolate_free(GnnrecTraining *t)
{
    if (t->area != NULL)
        munmap(t->area, t->area->bytes);
    t->area = NULL;
    t->fit = NULL;
}

int
gnnrec_isolate_new_steps(GnnrecTraining *t, const GnnStep **steps)
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
train(GnnrecTraining *t, const char *library, GnnArena *arena, const GnnTick *tick)
{
    GnnTrainMain train_main = open_library(library);
    const char *problem;

    if (train_main == NULL)
    {
        snprintf(t->area->message, MESSAGE_BYTES, "could not open the training library: %s", dlerror());
        return false;
    }
    problem = train_main(t->fit, arena, t->graph, t->config, t->threads, tick);
    if (problem != NULL)
        strlcpy(t->area->message, problem, MESSAGE_BYTES);
    return problem == NULL;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The child
 * ------------------------------------------------------------------------------------------------------------------ */

static void
child_tick(void *area, const GnnStep *done)
{
    if (done != NULL)
        report_step(area, done);
}

static void
child_out_of_memory(void *area, size_t bytes)
{
    snprintf(((GnnrecSharedArea *) area)->message, MESSAGE_BYTES,
             "out of memory: training could not get another %zu bytes", bytes);
    _exit(CHILD_FAILED);
}

static void
default_signals(void)
{
    sigset_t    none;

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* first victim of the OOM killer, ahead of every backend */
static void
offer_to_oom_killer(void)
{
#ifdef __linux__
    int         fd = open("/proc/self/oom_score_adj", O_WRONLY);

    if (fd >= 0)
    {
        ssize_t     ignored = write(fd, "1000", 4);

        (void) ignored;
        close(fd);
    }
#endif
}

/* the parent's death is ours; it may have died before we asked */
static bool
die_with_parent(pid_t parent)
{
#ifdef __linux__
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return false;
#endif
    return getppid() == parent;
}

static void
close_descriptors(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0) == 0)
        return;
#endif
    for (int fd = (int) sysconf(_SC_OPEN_MAX) - 1; fd > STDERR_FILENO; fd--)
        close(fd);
}

/* takes the server's shared memory out of reach: every shared writable mapping but ours */
static void
unmap_server(const GnnrecSharedArea *area)
{
#ifdef __linux__
    static struct {void *start; size_t bytes;} found[256];
    FILE       *maps = fopen("/proc/self/maps", "r");
    char        line[1024];
    int         n = 0;

    if (maps == NULL)
        return;
    while (fgets(line, sizeof(line), maps) != NULL && n < lengthof(found))
    {
        unsigned long start,
                    end;
        char        rights[5];

        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[1] == 'w' && rights[3] == 's' &&
            (const char *) start != (const char *) area)
        {
            found[n].start = (void *) start;
            found[n++].bytes = end - start;
        }
    }
    fclose(maps);
    for (int i = 0; i < n; i++)
        munmap(found[i].start, found[i].bytes);
#endif
}

/* address space for data this process has now, in bytes */
static int64
data_now(void)
{
    int64       pages = 0;
    FILE       *statm = fopen("/proc/self/statm", "r");

    if (statm == NULL)
        return 0;
    if (fscanf(statm, "%*d %*d %*d %*d %*d " INT64_FORMAT, &pages) != 1)
        pages = 0;
    fclose(statm);
    return pages * sysconf(_SC_PAGESIZE);
}

/* what each thread maps: a stack, and a buffer of OpenBLAS, 128 MB mostly untouched; OpenBLAS tries for it for ever */
#define THREAD_MEMORY (INT64CONST(192) * 1024 * 1024)

static void
limit_memory(int64 bytes, int threads)
{
    rlim_t      limit = data_now() + bytes + LIBRARY_MEMORY + gnn_team_size(threads) * THREAD_MEMORY;

    setrlimit(RLIMIT_DATA, &(struct rlimit) {limit, limit});
}

static void
child_main(GnnrecTraining *t, pid_t parent, const char *library)
{
    GnnMallocArena arena;
    GnnTick     tick = {child_tick, t->area};

    PG_exception_stack = NULL;
    on_exit_reset();            /* a library that calls exit() must not run the server's exit callbacks */
    default_signals();
    setpgid(0, 0);
    if (!die_with_parent(parent))
        _exit(CHILD_FAILED);
    close_descriptors();
    unmap_server(t->area);
    offer_to_oom_killer();
    if (t->nice > 0)
        setpriority(PRIO_PROCESS, 0, t->nice);
    limit_memory(t->memory, t->threads);
    gnn_arena_malloc(&arena, child_out_of_memory, t->area);
    _exit(train(t, library, &arena.arena, &tick) ? CHILD_DONE : CHILD_FAILED);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The parent
 * ------------------------------------------------------------------------------------------------------------------ */

/* waits for a child that has been killed, or reaps one that has ended */
static void
kill_and_reap(void)
{
    if (child > 0)
    {
        kill(child, SIGKILL);
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
        child = 0;
    }
}

static void
kill_at_exit(int code, Datum arg)
{
    kill_and_reap();
}

static int64
peak_bytes(const struct rusage *usage)
{
    struct rusage self;

    getrusage(RUSAGE_SELF, &self);
    return (int64) Max(usage->ru_maxrss, self.ru_maxrss) * 1024;
}

/* waits for the child to end, calling poll meanwhile; its wait status */
static int
wait_for_child(GnnrecTraining *t, void (*poll) (void *arg), void *arg)
{
    for (;;)
    {
        struct rusage usage;
        int         status;
        pid_t       ended = wait4(child, &status, WNOHANG, &usage);

        if (ended == child)
        {
            child = 0;
            t->peak_memory = peak_bytes(&usage);
            return status;
        }
        if (ended < 0 && errno != EINTR)
            elog(ERROR, "could not wait for the training process: %m");
        gnnrec_nap(POLL_MILLISECONDS);
        poll(arg);
    }
}

static void
check_status(const GnnrecTraining *t, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DONE)
        return;
    t->area->message[MESSAGE_BYTES - 1] = '\0';
    if (t->area->message[0] != '\0')
        ereport(ERROR,
                (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                 errmsg("%s", t->area->message)));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY),
                 errmsg("the training process was killed"),
                 errhint("The kernel does so when memory runs out: lower gnnrec.train_memory, dim or negatives.")));
    if (WIFSIGNALED(status))
        ereport(ERROR,
                (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                 errmsg("the training process was terminated by signal %d: %s", WTERMSIG(status), pg_strsignal(WTERMSIG(status))),
                 errhint("No other process is affected. Please report this.")));
    ereport(ERROR,
            (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
             errmsg("the training process ended with exit code %d", WEXITSTATUS(status))));
}

static void
run_in_child(GnnrecTraining *t, const char *library, void (*poll) (void *arg), void *arg)
{
    static bool registered = false;
    pid_t       parent = getpid();
    pid_t       pid;
    int         status = 0;

    if (!registered)
        before_shmem_exit(kill_at_exit, (Datum) 0);
    registered = true;
    fflush(NULL);
    pid = fork();
    if (pid < 0)
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                 errmsg("could not fork the training process: %m")));
    if (pid == 0)
        child_main(t, parent, library);
    child = pid;
    PG_TRY();
    {
        status = wait_for_child(t, poll, arg);
    }
    PG_CATCH();
    {
        kill_and_reap();
        PG_RE_THROW();
    }
    PG_END_TRY();
    check_status(t, status);
    point_to_arrays(t);
}

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
run_here(GnnrecTraining *t, const char *library, void (*poll) (void *arg), void *arg)
{
    InProcess   p = {t->area, poll, arg};
    GnnTick     tick = {in_process_tick, &p};
    GnnMallocArena arena;
    struct rusage usage;

    gnn_arena_malloc(&arena, in_process_out_of_memory, NULL);
    if (!train(t, library, &arena.arena, &tick))
        ereport(ERROR,
                (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                 errmsg("%s", t->area->message)));
    gnn_arena_free(&arena);
    getrusage(RUSAGE_SELF, &usage);
    t->peak_memory = peak_bytes(&usage);
}

void
gnnrec_isolate_run(GnnrecTraining *t, void (*poll) (void *arg), void *arg)
{
    char        library[MAXPGPATH];

    library_path(library, sizeof(library));
    if (t->isolate)
        run_in_child(t, library, poll, arg);
    else
        run_here(t, library, poll, arg);
}
