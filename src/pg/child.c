/*
 * child.c: processes that do numbers; see child.h.
 *
 * The child is a copy of a server process that must not behave like one: it takes the default signal handlers, its own process
 * group, the parent's death as its own, forgets the server's exit callbacks, unmaps the server's shared memory, and never calls
 * a server function again; it leaves by _exit. The parent kills and reaps its children on every way out, because an orphan that
 * dies of a signal under a postmaster that is process 1 would be taken for a crashed backend.
 */
#include "postgres.h"

#include "pg/child.h"

#include <fcntl.h>
#include <signal.h>
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
#include "portability/instr_time.h"
#include "storage/ipc.h"

#include "pg/nap.h"

/* how long we sleep between looks: a part of the time that has passed, so that short work is not kept waiting */
#define LEAST_NAP 1
#define LONGEST_NAP 50
#define NAP_PART 16

enum {CHILD_DONE = 0, CHILD_FAILED = 1};

/* the running children, for the exit callback; 0: none */
static volatile pid_t children[GNNREC_MAX_CHILDREN];
static volatile int n_children = 0;

void *
gnnrec_child_area(size_t bytes)
{
    void       *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (area == MAP_FAILED)
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY),
                 errmsg("could not map %zu bytes for what a process is to bring back: %m", bytes)));
    return area;
}

/* ---------------------------------------------------------------------------------------------------------------------
 * In a child
 * ------------------------------------------------------------------------------------------------------------------ */

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
unmap_server(const void *area)
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
            (const void *) start != area)
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

static void
limit_memory(int64 bytes)
{
    rlim_t      limit = data_now() + bytes;

    setrlimit(RLIMIT_DATA, &(struct rlimit) {limit, limit});
}

static void
child_main(const GnnrecChildren *c, pid_t parent)
{
    setpgid(0, 0);              /* first: a cancel goes to the parent's group */
    PG_exception_stack = NULL;
    on_exit_reset();            /* a library that calls exit() must not run the server's exit callbacks */
    default_signals();
    if (!die_with_parent(parent))
        _exit(CHILD_FAILED);
    close_descriptors();
    unmap_server(c->area);
    offer_to_oom_killer();
    if (c->nice > 0)
        setpriority(PRIO_PROCESS, 0, c->nice);
    limit_memory(c->memory);
    _exit(c->work(c->arg) ? CHILD_DONE : CHILD_FAILED);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * In the parent
 * ------------------------------------------------------------------------------------------------------------------ */

/* waits for children that have been killed, or reaps those that have ended */
static void
kill_and_reap(void)
{
    for (int i = 0; i < n_children; i++)
        if (children[i] > 0)
            kill(children[i], SIGKILL);
    for (int i = 0; i < n_children; i++)
    {
        while (children[i] > 0 && waitpid(children[i], NULL, 0) < 0 && errno == EINTR)
            ;
        children[i] = 0;
    }
    n_children = 0;
}

static void
kill_at_exit(int code, Datum arg)
{
    kill_and_reap();
}

/* what is resident of memory that this process shares with others: the server's buffers as far as it has touched them; bytes */
static int64
shared_now(void)
{
    long        kilobytes = 0;
    FILE       *status = fopen("/proc/self/status", "r");
    char        line[256];

    while (status != NULL && fgets(line, sizeof(line), status) != NULL && sscanf(line, "RssShmem: %ld", &kilobytes) != 1)
        ;
    if (status != NULL)
        fclose(status);
    return (int64) kilobytes * 1024;
}

int64
gnnrec_peak_memory(size_t area)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (int64) usage.ru_maxrss * 1024 - Max(shared_now() - (int64) area, 0);
}

/* how a child ended */
static void
check_status(const GnnrecChildren *c, int status)
{
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DONE)
        return;
    c->message[GNNREC_CHILD_MESSAGE - 1] = '\0';
    if (c->message[0] != '\0')
        ereport(ERROR,
                (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                 errmsg("%s", c->message)));
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY),
                 errmsg("the %s process was killed", c->what),
                 errhint("The kernel does so when memory runs out: lower %s.", c->memory_hint)));
    if (WIFSIGNALED(status))
        ereport(ERROR,
                (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                 errmsg("the %s process was terminated by signal %d: %s", c->what, WTERMSIG(status),
                        pg_strsignal(WTERMSIG(status))),
                 errhint("No other process is affected. Please report this.")));
    ereport(ERROR,
            (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
             errmsg("the %s process ended with exit code %d", c->what, WEXITSTATUS(status))));
}

/* has it ended? ERROR if badly */
static bool
has_ended(GnnrecChildren *c, volatile pid_t *child)
{
    struct rusage usage;
    int         status;
    pid_t       ended = wait4(*child, &status, WNOHANG, &usage);

    if (ended < 0 && errno != EINTR)
        elog(ERROR, "could not wait for the %s process: %m", c->what);
    if (ended != *child)
        return false;
    *child = 0;
    *c->peak_memory = Max(*c->peak_memory, Max((int64) usage.ru_maxrss * 1024, gnnrec_peak_memory(0)));
    check_status(c, status);
    return true;
}

static long
nap_after(instr_time start)
{
    instr_time  now;

    INSTR_TIME_SET_CURRENT(now);
    INSTR_TIME_SUBTRACT(now, start);
    return (long) Max(LEAST_NAP, Min(LONGEST_NAP, INSTR_TIME_GET_MILLISEC(now) / NAP_PART));
}

static bool
any_goes_on(GnnrecChildren *c)
{
    bool        any = false;

    for (int i = 0; i < n_children; i++)
        any |= children[i] > 0 && !has_ended(c, &children[i]);
    return any;
}

static void
wait_for_children(GnnrecChildren *c, void (*poll) (void *arg), void *arg)
{
    instr_time  start;

    INSTR_TIME_SET_CURRENT(start);
    while (any_goes_on(c))
    {
        gnnrec_nap(nap_after(start));
        poll(arg);
    }
}

static void
fork_child(const GnnrecChildren *c)
{
    pid_t       parent = getpid();
    pid_t       pid = fork();

    if (pid < 0)
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                 errmsg("could not fork the %s process: %m", c->what)));
    if (pid == 0)
        child_main(c, parent);
    children[n_children++] = pid;
}

void
gnnrec_children_run(GnnrecChildren *c, int n, void (*poll) (void *arg), void *arg)
{
    static bool registered = false;

    if (!registered)
        before_shmem_exit(kill_at_exit, (Datum) 0);
    registered = true;
    fflush(NULL);
    PG_TRY();
    {
        for (int i = 0; i < Min(n, GNNREC_MAX_CHILDREN); i++)
            fork_child(c);
        wait_for_children(c, poll, arg);
    }
    PG_CATCH();
    {
        kill_and_reap();
        PG_RE_THROW();
    }
    PG_END_TRY();
    n_children = 0;
}
