/*
 * snapshot_file.c: makes, finds, checks and removes the files behind snapshots; see snapshot_file.h.
 *
 * The file is base/pgsql_tmp/pgsql_tmp_gnnrec_<database>_<catalogue>_<run>: the server removes files of that name when it
 * starts, and base backups leave them out. It is filled under a temporary name, with the builder's process number behind it, and
 * renamed, so whoever finds it finds all of it. Its space is reserved before it is mapped for writing, because a full disk is an
 * error code then and a SIGBUS later. It is not fsynced: after a crash of the machine the server removes it anyway. Only the
 * server's user can read it, whatever the mode of the data directory.
 *
 * A page that is not there when it is touched, of a file that was cut short or of a disk that fails, is an error of that query:
 * see page_is_lost.
 *
 * Whoever makes a file also sweeps away those that nobody will ask for again: on a standby, where rows vanish without any
 * code of ours running, there is no other moment for it.
 */
#include "postgres.h"

#include "pg/snapshot_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "access/xlog.h"
#include "common/file_utils.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "storage/procarray.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#define DIRECTORY "base/" PG_TEMP_FILES_DIR
#define FILE_PREFIX PG_TEMP_FILE_PREFIX "_gnnrec_"
#define NANOSECONDS INT64CONST(1000000000)
#define SUM_AT_ONCE (16 * 1024 * 1024)  /* bytes, between two looks at interrupts */

static dlist_head images = DLIST_STATIC_INIT(images);
static bool warned = false;     /* of an unwritable file: once a backend is enough */

static void
path_of(char *out, Oid database, Oid catalog, int64 run_id)
{
    snprintf(out, MAXPGPATH, DIRECTORY "/" FILE_PREFIX "%u_%u_" INT64_FORMAT, database, catalog, run_id);
}

/* -------------------------------------------------------------------------------------------------------------------
 * mapping
 * ------------------------------------------------------------------------------------------------------------------- */

/* the end of the context an image belongs to; throws nothing */
static void
release_image(void *arg)
{
    GnnrecImage *image = arg;

    dlist_delete(&image->node);
    if (image->base != NULL)
        munmap(image->base, image->size);
    if (image->path != NULL && !image->published)
        unlink(image->path);
}

static GnnrecImage *
image_at(const void *address)
{
    dlist_iter  iter;

    dlist_foreach(iter, &images)
    {
        GnnrecImage *image = dlist_container(GnnrecImage, node, iter.cur);

        if (image->base != NULL && (const char *) address >= image->base && (const char *) address < image->base + image->size)
            return image;
    }
    return NULL;
}

/* what SIGBUS did before it was ours */
static struct sigaction before;

/*
 * The handler of SIGBUS. It may throw: the signal comes from the very instruction that touches the page, and that is in our code
 * or in a memcpy of ours, never within the server's own structures or its allocator. The server does the same with SIGFPE. The
 * signal is not blocked meanwhile (SA_NODEFER), because nobody would unblock it after the throw. For an address that is not ours
 * everything is as it was: the instruction runs again and meets the old handler.
 */
static void
page_is_lost(int signo, siginfo_t *info, void *context)
{
    GnnrecImage *image = image_at(info->si_addr);

    if (image != NULL)
        gnnrec_image_damaged(image);
    sigaction(SIGBUS, &before, NULL);
}

static void
watch_pages(void)
{
    static bool watching = false;
    struct sigaction handler = {.sa_sigaction = page_is_lost, .sa_flags = SA_SIGINFO | SA_NODEFER};

    sigemptyset(&handler.sa_mask);
    if (!watching)
        watching = sigaction(SIGBUS, &handler, &before) == 0;
}

static GnnrecImage *
new_image(size_t size, int32 model_id, int64 run_id)
{
    GnnrecImage *image = palloc0(sizeof(GnnrecImage));

    watch_pages();
    image->size = size;
    image->model_id = model_id;
    image->run_id = run_id;
    image->callback.func = release_image;
    image->callback.arg = image;
    dlist_push_head(&images, &image->node);
    MemoryContextRegisterResetCallback(CurrentMemoryContext, &image->callback);
    return image;
}

static bool
map(GnnrecImage *image, int protection, int flags, int fd)
{
    void       *base = mmap(NULL, image->size, protection, flags, fd, 0);

    if (base == MAP_FAILED)
        return false;
    image->base = base;
    return true;
}

void
gnnrec_image_damaged(GnnrecImage *image)
{
    image->damaged = true;
    if (image->path != NULL)
        unlink(image->path);
    if (image->path != NULL && !image->published)
        ereport(ERROR,
                (errcode(ERRCODE_DISK_FULL),
                 errmsg("could not write file \"%s\"", image->path),
                 errhint("Is the disk full, or failing?")));
    ereport(ERROR,
            (errcode(ERRCODE_DATA_CORRUPTED),
             errmsg("the file that serves run " INT64_FORMAT " of model number %d is damaged", image->run_id, image->model_id),
             errhint("It was removed. Repeat the query: the file will be made again from the model's tables.")));
}

/* -------------------------------------------------------------------------------------------------------------------
 * finding
 * ------------------------------------------------------------------------------------------------------------------- */

static GnnrecImageHeader *
header_of(const GnnrecImage *image)
{
    return (GnnrecImageHeader *) image->base;
}

static int64
modified(const struct stat *st)
{
#ifdef __APPLE__
    return st->st_mtimespec.tv_sec * NANOSECONDS + st->st_mtimespec.tv_nsec;
#else
    return st->st_mtim.tv_sec * NANOSECONDS + st->st_mtim.tv_nsec;
#endif
}

static void
remember(GnnrecImage *image, const struct stat *st)
{
    image->device = st->st_dev;
    image->inode = st->st_ino;
    image->modified = modified(st);
}

/* of all that follows the table of sections */
static uint32
sum_of_body(const GnnrecImage *image)
{
    pg_crc32c   crc;
    size_t      at = gnnrec_image_header_size(header_of(image)->n_sections);

    INIT_CRC32C(crc);
    while (at < image->size)
    {
        size_t      n = Min(image->size - at, SUM_AT_ONCE);

        CHECK_FOR_INTERRUPTS();
        COMP_CRC32C(crc, image->base + at, n);
        at += n;
    }
    FIN_CRC32C(crc);
    return crc;
}

/* as it was made: untouched since, or, where that cannot be told, to the last bit */
static bool
is_whole(const GnnrecImage *image)
{
    const GnnrecImageHeader *h = header_of(image);

    return (image->modified % NANOSECONDS == 0 && image->modified / NANOSECONDS == h->written)
        || sum_of_body(image) == h->body_crc;
}

/*
 * The file, open for reading, if it is an ordinary one that can hold a header; -1 otherwise. Nothing in its place is followed or
 * waited for.
 */
static int
open_file(const char *path, struct stat *st)
{
    int         fd = OpenTransientFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | PG_BINARY);

    if (fd < 0)
        return -1;
    if (fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_size >= (off_t) gnnrec_image_header_size(0))
        return fd;
    CloseTransientFile(fd);
    return -1;
}

GnnrecImage *
gnnrec_image_open(Oid catalog, int32 model_id, int64 run_id)
{
    GnnrecImageKey key = {.system = GetSystemIdentifier(), .database = MyDatabaseId, .catalog = catalog,
                          .model_id = model_id, .run_id = run_id};
    char        path[MAXPGPATH];
    GnnrecImage *image;
    struct stat st;
    int         fd;

    path_of(path, MyDatabaseId, catalog, run_id);
    fd = open_file(path, &st);
    if (fd < 0)
        return NULL;
    image = new_image(st.st_size, model_id, run_id);
    image->path = pstrdup(path);
    image->published = true;
    remember(image, &st);
    map(image, PROT_READ, MAP_SHARED, fd);
    CloseTransientFile(fd);
    if (image->base == NULL || !gnnrec_image_check(header_of(image), image->size, &key) || !is_whole(image))
        return NULL;
    return image;
}

bool
gnnrec_image_is_untouched(const GnnrecImage *image)
{
    struct stat st;

    /* deleted or replaced: then ours has no name any more, and nobody can write to it */
    if (image->path == NULL || stat(image->path, &st) != 0 || st.st_ino != image->inode || st.st_dev != image->device)
        return true;
    return st.st_size == (off_t) image->size && modified(&st) == image->modified;
}

/* -------------------------------------------------------------------------------------------------------------------
 * making
 * ------------------------------------------------------------------------------------------------------------------- */

/* real blocks for the whole file, so that writing to the mapping cannot meet a full disk */
static bool
reserve(int fd, off_t size)
{
#ifdef HAVE_POSIX_FALLOCATE
    int         rc;

    do
    {
        CHECK_FOR_INTERRUPTS();
        rc = posix_fallocate(fd, 0, size);
    } while (rc == EINTR);
    errno = rc;
    return rc == 0;
#else
    errno = EOPNOTSUPP;
    return false;
#endif
}

static bool
map_new_file(GnnrecImage *image)
{
    int         flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | PG_BINARY;
    int         fd;
    bool        ok;
    int         saved_errno;

    (void) unlink(image->path);         /* what a process with our number left behind */
    fd = OpenTransientFilePerm(image->path, flags, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return false;
    ok = reserve(fd, image->size) && map(image, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    saved_errno = errno;
    CloseTransientFile(fd);
    errno = saved_errno;
    return ok;
}

/* from here on the image is this session's own; errno says why */
static void
give_up_file(GnnrecImage *image)
{
    if (!warned)
        ereport(WARNING,
                (errcode_for_file_access(),
                 errmsg("could not write file \"%s\": %m", image->path),
                 errdetail("Every session keeps a copy of the model's vectors of its own until the file can be written.")));
    warned = true;
    (void) unlink(image->path);
    image->path = NULL;
}

static void
make_file(GnnrecImage *image, const GnnrecImageHeader *header)
{
    char        path[MAXPGPATH];

    path_of(path, header->database, header->catalog, header->run_id);
    image->path = psprintf("%s.%d", path, MyProcPid);
    (void) MakePGDirectory(DIRECTORY);  /* mostly it exists; if it cannot be made, neither can the file */
    if (!map_new_file(image))
        give_up_file(image);
}

GnnrecImage *
gnnrec_image_create(const GnnrecImageHeader *header, bool shared)
{
    GnnrecImage *image = new_image(header->size, header->model_id, header->run_id);

    if (shared)
        make_file(image, header);
    if (image->base == NULL && !map(image, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1))
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY),
                 errmsg("out of memory"),
                 errdetail("The vectors of run " INT64_FORMAT " take %zu bytes.", header->run_id, image->size)));
    memcpy(image->base, header, gnnrec_image_header_size(header->n_sections));
    return image;
}

/* the last that is written to it */
static void
seal(GnnrecImage *image)
{
    GnnrecImageHeader *header = header_of(image);

    header->system = GetSystemIdentifier();
    header->written = time(NULL);
    header->body_crc = image->path == NULL ? 0 : sum_of_body(image);
    gnnrec_image_seal(header);
    (void) mprotect(image->base, image->size, PROT_READ);
}

/* gives the file the time its header says, and its name; false, with errno: it has none */
static bool
give_name(GnnrecImage *image, const char *path)
{
    struct timespec times[2] = {{.tv_sec = header_of(image)->written}, {.tv_sec = header_of(image)->written}};
    struct stat st;

    /* a file system that keeps no such times costs a look at the body */
    (void) utimensat(AT_FDCWD, image->path, times, 0);
    if (stat(image->path, &st) != 0 || rename(image->path, path) != 0)
        return false;
    remember(image, &st);
    strlcpy(image->path, path, strlen(image->path) + 1);    /* the temporary name without its end */
    return true;
}

void
gnnrec_image_publish(GnnrecImage *image)
{
    const GnnrecImageHeader *header = header_of(image);
    char        path[MAXPGPATH];

    seal(image);
    path_of(path, header->database, header->catalog, header->run_id);
    if (image->path != NULL && !give_name(image, path))
        give_up_file(image);
    image->published = true;
    if (image->path != NULL)
        gnnrec_image_sweep(header->catalog);
}

/* -------------------------------------------------------------------------------------------------------------------
 * removing
 * ------------------------------------------------------------------------------------------------------------------- */

void
gnnrec_image_unlink(Oid database, Oid catalog, int64 run_id)
{
    char        path[MAXPGPATH];

    path_of(path, database, catalog, run_id);
    (void) unlink(path);
}

/* will anybody ask for this run again? Another database's runs are not ours to judge, as long as it exists. */
static bool
is_wanted(Oid database, Oid catalog, Oid our_catalog, int64 run_id)
{
    GnnrecRun   run;

    if (database != MyDatabaseId)
        return SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));

    /* as of now, not as of some snapshot: a run deleted meanwhile would otherwise leave its file for good */
    return catalog == our_catalog && gnnrec_run_by_id(&run, run_id, SnapshotSelf) && run.stored;
}

/* what the name of one of our files says */
typedef struct FileName
{
    Oid         database;
    Oid         catalog;
    int64       run_id;
    int         builder;        /* the process that is making it; 0: it is made */
} FileName;

static bool
parse_name(FileName *out, const char *name)
{
    long long   run_id = 0;
    char        rest;
    int         n = sscanf(name, FILE_PREFIX "%u_%u_%lld.%d%c", &out->database, &out->catalog, &run_id, &out->builder, &rest);

    if (n == 3)
        out->builder = 0;
    out->run_id = run_id;
    return n == 3 || n == 4;
}

/* a file that nobody will ask for again, or that nobody is making any more */
static bool
is_stale(const FileName *file, Oid our_catalog)
{
    if (file->builder != 0)
        return file->builder != MyProcPid && BackendPidGetProc(file->builder) == NULL;
    return !is_wanted(file->database, file->catalog, our_catalog, file->run_id);
}

void
gnnrec_image_sweep(Oid our_catalog)
{
    DIR        *dir = AllocateDir(DIRECTORY);
    struct dirent *de;

    while (dir != NULL && (de = ReadDirExtended(dir, DIRECTORY, LOG)) != NULL)
    {
        char        path[MAXPGPATH];
        FileName    file;

        if (!parse_name(&file, de->d_name) || !is_stale(&file, our_catalog))
            continue;
        snprintf(path, MAXPGPATH, DIRECTORY "/%s", de->d_name);
        (void) unlink(path);
    }
    if (dir != NULL)
        FreeDir(dir);
}

int64 *
gnnrec_image_runs(Oid our_catalog, int *n)
{
    DIR        *dir = AllocateDir(DIRECTORY);
    struct dirent *de;
    int         room = 16;
    int64      *runs = palloc(room * sizeof(int64));

    *n = 0;
    while (dir != NULL && (de = ReadDirExtended(dir, DIRECTORY, LOG)) != NULL)
    {
        FileName    file;

        if (!parse_name(&file, de->d_name) || file.builder != 0 || file.database != MyDatabaseId || file.catalog != our_catalog)
            continue;
        if (*n == room)
            runs = repalloc(runs, (room *= 2) * sizeof(int64));
        runs[(*n)++] = file.run_id;
    }
    if (dir != NULL)
        FreeDir(dir);
    return runs;
}
