/*
 * snapshot_file.c: makes, finds, checks and removes the files behind snapshots; see snapshot_file.h.
 *
 * The file is base/pgsql_tmp/pgsql_tmp_gnnrec_<database>_<catalogue>_<run>: the server removes files of that name when it
 * starts, and base backups leave them out. It is filled under a temporary name and renamed, so whoever finds it finds all of
 * it. Its space is reserved before it is mapped for writing, because a full disk is an error code then and a SIGBUS later. It
 * is not fsynced: after a crash of the machine the server removes it anyway.
 *
 * Whoever makes a file also sweeps away those that nobody will ask for again: on a standby, where rows vanish without any
 * code of ours running, there is no other moment for it.
 */
#include "postgres.h"

#include "pg/snapshot_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file_utils.h"
#include "miscadmin.h"
#include "port/pg_crc32c.h"
#include "storage/fd.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "core/quantise.h"
#include "pg/embedding.h"

#define DIRECTORY "base/" PG_TEMP_FILES_DIR
#define FILE_PREFIX PG_TEMP_FILE_PREFIX "_gnnrec_"

static bool warned = false;     /* of an unwritable file: once a backend is enough */

static void
path_of(char *out, Oid database, Oid catalog, int64 run_id)
{
    snprintf(out, MAXPGPATH, DIRECTORY "/" FILE_PREFIX "%u_%u_" INT64_FORMAT, database, catalog, run_id);
}

/* -------------------------------------------------------------------------------------------------------------------
 * layout
 * ------------------------------------------------------------------------------------------------------------------- */

static size_t
header_size(int n_sections)
{
    return offsetof(GnnrecImageHeader, sections) + n_sections * sizeof(GnnrecSection);
}

static uint32
width_of(int kind, int32 dim)
{
    switch (kind)
    {
        case GNNREC_SECTION_NUMBERS:
        case GNNREC_SECTION_OFFSETS:
        case GNNREC_SECTION_PTR:
            return sizeof(int64);
        case GNNREC_SECTION_BYTES:
            return 1;
        case GNNREC_SECTION_SHOWN:
            return sizeof(uint8);
        case GNNREC_SECTION_EMBEDDING:
        case GNNREC_SECTION_FOLD_IN:
            return dim * sizeof(float);
        case GNNREC_SECTION_POPULAR:
        case GNNREC_SECTION_ISOLATED:
        case GNNREC_SECTION_IDX:
            return sizeof(int32);
        case GNNREC_SECTION_QUANTISED:
            return gnn_quantised_width(dim);
        default:
            return sizeof(float);
    }
}

void
gnnrec_image_add(GnnrecImageHeader *header, GnnrecSectionKind kind, int owner, int64 count)
{
    GnnrecSection *s = &header->sections[header->n_sections];

    Assert(header->n_sections < GNNREC_MAX_SECTIONS);
    if (header->n_sections++ == 0)
        header->size = header_size(GNNREC_MAX_SECTIONS);
    s->kind = kind;
    s->owner = owner;
    s->width = width_of(kind, header->dim);
    s->count = count;
    s->offset = TYPEALIGN64(GNNREC_IMAGE_ALIGN, header->size);
    header->size = s->offset + count * s->width;
}

static uint32
checksum(const GnnrecImageHeader *header)
{
    GnnrecImageHeader first = *header;
    pg_crc32c   crc;

    first.crc = 0;
    INIT_CRC32C(crc);
    COMP_CRC32C(crc, &first, offsetof(GnnrecImageHeader, sections));
    COMP_CRC32C(crc, header->sections, header->n_sections * sizeof(GnnrecSection));
    FIN_CRC32C(crc);
    return crc;
}

/* does a section lie within an image of its header's size, and hold what its kind says? */
static bool
is_sound(const GnnrecSection *s, const GnnrecImageHeader *h)
{
    return s->kind >= GNNREC_SECTION_NUMBERS && s->kind < GNNREC_SECTION_END
        && s->width > 0 && s->width == width_of(s->kind, h->dim)
        && s->offset >= 0 && s->offset <= h->size && s->offset % GNNREC_IMAGE_ALIGN == 0
        && s->count >= 0 && s->count <= (h->size - s->offset) / s->width;
}

static bool
are_sound(const GnnrecImageHeader *h)
{
    for (int i = 0; i < h->n_sections; i++)
        if (!is_sound(&h->sections[i], h))
            return false;
    return true;
}

/* is it a header of ours, of this very run, whole, and does it describe an image of this size? */
static bool
is_header_of(const GnnrecImageHeader *h, size_t size, Oid catalog, int32 model_id, int64 run_id)
{
    return size >= header_size(0)
        && h->magic == GNNREC_IMAGE_MAGIC
        && h->layout == GNNREC_IMAGE_LAYOUT
        && h->n_sections > 0 && h->n_sections <= GNNREC_MAX_SECTIONS
        && size >= header_size(h->n_sections)
        && h->crc == checksum(h)
        && h->size == size
        && h->database == MyDatabaseId && h->catalog == catalog
        && h->model_id == model_id && h->run_id == run_id
        && h->dim > 0 && h->dim <= GNNREC_MAX_DIM && are_sound(h);
}

/* the elements of a section; NULL where there is none */
static const void *
section(const GnnrecImage *image, GnnrecSectionKind kind, int owner, int64 *count)
{
    const GnnrecImageHeader *h = (const GnnrecImageHeader *) image->base;

    *count = 0;
    for (int i = 0; i < h->n_sections; i++)
        if (h->sections[i].kind == kind && h->sections[i].owner == owner)
        {
            *count = h->sections[i].count;
            return image->base + h->sections[i].offset;
        }
    return NULL;
}

/* a section of exactly so many elements; NULL where there is none */
static const void *
array(const GnnrecImage *image, GnnrecSectionKind kind, int owner, int64 count)
{
    int64       found;
    const void *elements = section(image, kind, owner, &found);

    return found == count ? elements : NULL;
}

static bool
read_keys(GnnrecSnapshotNodes *out, const GnnrecImage *image, int type)
{
    if (out->key.kind == GNNREC_KEY_INT)
        return (out->numbers = array(image, GNNREC_SECTION_NUMBERS, type, out->n)) != NULL;
    out->offsets = array(image, GNNREC_SECTION_OFFSETS, type, (int64) out->n + 1);
    out->bytes = section(image, GNNREC_SECTION_BYTES, type, &out->n_bytes);
    return out->offsets != NULL && out->bytes != NULL;
}

static bool
read_quantised(GnnrecSnapshotNodes *out, const GnnrecImage *image, int type)
{
    out->quantised = array(image, GNNREC_SECTION_QUANTISED, type, gnn_quantised_blocks(out->n));
    return out->quantised != NULL || gnn_quantised_width(out->dim) == 0;
}

static bool
read_nodes(GnnrecSnapshotNodes *out, const GnnrecImage *image, int type)
{
    int64       n;
    int64       n_popular;
    int64       n_fold_in;

    out->degree = section(image, GNNREC_SECTION_DEGREE, type, &n);
    out->popular = section(image, GNNREC_SECTION_POPULAR, type, &n_popular);
    if (out->degree == NULL || n > PG_INT32_MAX || out->popular == NULL || n_popular > n)
        return false;
    out->n = n;
    out->n_popular = n_popular;
    out->n_isolated = n - n_popular;
    out->isolated = array(image, GNNREC_SECTION_ISOLATED, type, out->n_isolated);
    out->log_degree = array(image, GNNREC_SECTION_LOG_DEGREE, type, n);
    out->embedding = array(image, GNNREC_SECTION_EMBEDDING, type, n);
    out->inverse_norm = array(image, GNNREC_SECTION_INVERSE_NORM, type, n);
    out->fold_in = section(image, GNNREC_SECTION_FOLD_IN, type, &n_fold_in);
    return out->isolated != NULL && out->log_degree != NULL && out->embedding != NULL && out->inverse_norm != NULL
        && (out->fold_in == NULL || n_fold_in == n) && read_quantised(out, image, type) && read_keys(out, image, type);
}

static bool
read_edges(GnnrecSnapshotEdges *out, const GnnrecSnapshot *snapshot, const GnnrecImage *image, int owner)
{
    int64       n_val;
    int64       n_shown;

    out->ptr = array(image, GNNREC_SECTION_PTR, owner, (int64) snapshot->types[out->from_type].n + 1);
    out->idx = section(image, GNNREC_SECTION_IDX, owner, &out->n);
    if (out->ptr == NULL || out->idx == NULL)
        return out->ptr == NULL && out->idx == NULL;
    out->val = section(image, GNNREC_SECTION_VAL, owner, &n_val);
    out->shown = section(image, GNNREC_SECTION_SHOWN, owner, &n_shown);
    return (out->val == NULL || n_val == out->n) && (out->shown == NULL || n_shown == out->n);
}

bool
gnnrec_image_read(GnnrecSnapshot *out, const GnnrecImage *image)
{
    out->dim = ((const GnnrecImageHeader *) image->base)->dim;
    for (int t = 0; t < out->n_types; t++)
    {
        out->types[t].dim = out->dim;
        if (!read_nodes(&out->types[t], image, t))
            return false;
    }
    for (int r = 0; r < out->n_relations; r++)
        if (!read_edges(&out->relations[r], out, image, r)
            || !read_edges(&out->reverse[r], out, image, GNNREC_REVERSE(r))
            || out->reverse[r].n != out->relations[r].n)
            return false;
    return true;
}

/* -------------------------------------------------------------------------------------------------------------------
 * mapping
 * ------------------------------------------------------------------------------------------------------------------- */

/* the end of the context an image belongs to; throws nothing */
static void
release_image(void *arg)
{
    GnnrecImage *image = arg;

    if (image->base != NULL)
        munmap(image->base, image->size);
    if (image->unpublished != NULL)
        unlink(image->unpublished);
}

static GnnrecImage *
new_image(size_t size)
{
    GnnrecImage *image = palloc0(sizeof(GnnrecImage));

    image->size = size;
    image->callback.func = release_image;
    image->callback.arg = image;
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

GnnrecImage *
gnnrec_image_open(Oid catalog, int32 model_id, int64 run_id)
{
    char        path[MAXPGPATH];
    GnnrecImage *image;
    struct stat st;
    int         fd;

    path_of(path, MyDatabaseId, catalog, run_id);
    fd = OpenTransientFile(path, O_RDONLY | PG_BINARY);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &st) != 0 || st.st_size < (off_t) header_size(0))
    {
        CloseTransientFile(fd);
        return NULL;
    }
    image = new_image(st.st_size);
    map(image, PROT_READ, MAP_SHARED, fd);
    CloseTransientFile(fd);
    if (image->base == NULL
        || !is_header_of((const GnnrecImageHeader *) image->base, image->size, catalog, model_id, run_id))
        return NULL;
    return image;
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
    int         fd = OpenTransientFilePerm(image->unpublished, O_RDWR | O_CREAT | O_TRUNC | PG_BINARY, S_IRUSR | S_IWUSR);
    bool        ok;
    int         saved_errno;

    if (fd < 0)
        return false;
    ok = reserve(fd, image->size) && map(image, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
    saved_errno = errno;
    CloseTransientFile(fd);
    errno = saved_errno;
    return ok;
}

static void
make_file(GnnrecImage *image, const GnnrecImageHeader *header)
{
    char        path[MAXPGPATH];

    path_of(path, header->database, header->catalog, header->run_id);
    image->unpublished = psprintf("%s.%d", path, MyProcPid);
    (void) MakePGDirectory(DIRECTORY);  /* mostly it exists; if it cannot be made, neither can the file */
    if (map_new_file(image))
        return;
    if (!warned)
        ereport(WARNING,
                (errcode_for_file_access(),
                 errmsg("could not write file \"%s\": %m", image->unpublished),
                 errdetail("Every session keeps a copy of the model's vectors of its own until the file can be written.")));
    warned = true;
    unlink(image->unpublished);
    image->unpublished = NULL;
}

GnnrecImage *
gnnrec_image_create(const GnnrecImageHeader *header, bool shared)
{
    GnnrecImage *image = new_image(header->size);

    if (shared)
        make_file(image, header);
    if (image->base == NULL && !map(image, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1))
        ereport(ERROR,
                (errcode(ERRCODE_OUT_OF_MEMORY),
                 errmsg("out of memory"),
                 errdetail("The vectors of run " INT64_FORMAT " take %zu bytes.", header->run_id, image->size)));
    memcpy(image->base, header, header_size(header->n_sections));
    return image;
}

void
gnnrec_image_publish(GnnrecImage *image)
{
    GnnrecImageHeader *header = (GnnrecImageHeader *) image->base;
    char        path[MAXPGPATH];

    header->magic = GNNREC_IMAGE_MAGIC;
    header->layout = GNNREC_IMAGE_LAYOUT;
    header->crc = checksum(header);
    (void) mprotect(image->base, image->size, PROT_READ);
    if (image->unpublished == NULL)
        return;
    path_of(path, header->database, header->catalog, header->run_id);
    if (rename(image->unpublished, path) != 0)
        unlink(image->unpublished);     /* then this session keeps the mapping to itself */
    image->unpublished = NULL;
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

/* is it a file's final name, and whose? Files still under their temporary name have a rest */
static bool
parse_name(const char *name, Oid *database, Oid *catalog, int64 *run_id)
{
    long long   run;
    char        rest;

    if (sscanf(name, FILE_PREFIX "%u_%u_%lld%c", database, catalog, &run, &rest) != 3)
        return false;
    *run_id = run;
    return true;
}

void
gnnrec_image_sweep(Oid our_catalog)
{
    DIR        *dir = AllocateDir(DIRECTORY);
    struct dirent *de;

    while (dir != NULL && (de = ReadDirExtended(dir, DIRECTORY, LOG)) != NULL)
    {
        Oid         database;
        Oid         catalog;
        int64       run_id;

        if (parse_name(de->d_name, &database, &catalog, &run_id) && !is_wanted(database, catalog, our_catalog, run_id))
            gnnrec_image_unlink(database, catalog, run_id);
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
        Oid         database;
        Oid         catalog;

        if (*n == room)
            runs = repalloc(runs, (room *= 2) * sizeof(int64));
        if (parse_name(de->d_name, &database, &catalog, &runs[*n]) && database == MyDatabaseId && catalog == our_catalog)
            (*n)++;
    }
    if (dir != NULL)
        FreeDir(dir);
    return runs;
}
