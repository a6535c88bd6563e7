/*
 * snapshot_file.h: the file behind a snapshot: its name, how it is made, found, checked and removed.
 *
 * The layout of snapshot_layout.h is used in a file that all backends map and, where no file can be written, in memory of the
 * backend's own.
 *
 * What is trusted: the header and the table of sections are under a checksum that is looked at whenever a file is mapped. The
 * body is under one too, but reading all of it would cost every new session tens of milliseconds, so it is read when there is a
 * reason to: a file that was written to since it was made shows another time of modification than its header says. A session
 * looks at that when it maps the file and once a statement as long as it has it mapped. What the disk itself returns wrongly is
 * not noticed, here as in any temporary file of the server; an index among it is caught by who uses it (snapshot.h).
 */
#ifndef GNNREC_PG_SNAPSHOT_FILE_H
#define GNNREC_PG_SNAPSHOT_FILE_H

#include "postgres.h"

#include "lib/ilist.h"

#include "pg/snapshot_layout.h"

/*
 * A mapped image. It belongs to the memory context it was made in: when that goes, the image is unmapped, and if it was never
 * published its file goes too. So an error at any moment leaves nothing behind.
 */
typedef struct GnnrecImage
{
    char       *base;           /* NULL: nothing is mapped */
    size_t      size;
    int32       model_id;
    int64       run_id;
    char       *path;           /* of the file, while it is being made its temporary name; NULL: in memory of our own */
    bool        published;
    bool        damaged;        /* not to be used again */
    uint64      device;         /* which file it is, and when it was last written to, as of when it was mapped */
    uint64      inode;
    int64       modified;       /* nanoseconds */
    dlist_node  node;           /* of all images of this backend */
    MemoryContextCallback callback;
} GnnrecImage;

/*
 * A zeroed, writable image with this header, in a file of a temporary name; without shared, or with a WARNING when no file can
 * be written, in memory of this backend.
 */
extern GnnrecImage *gnnrec_image_create(const GnnrecImageHeader *header, bool shared);

/* the image is complete: it becomes read-only, and its file gets the name under which others find it */
extern void gnnrec_image_publish(GnnrecImage *image);

/* maps the file of a run, if there is a sound one; NULL otherwise */
extern GnnrecImage *gnnrec_image_open(Oid catalog, int32 model_id, int64 run_id);

/* has nobody written to the file, or cut it short, since it was mapped? One system call */
extern bool gnnrec_image_is_untouched(const GnnrecImage *image);

/* ERROR data_corrupted; the image is not to be used again, and its file goes */
pg_noreturn extern void gnnrec_image_damaged(GnnrecImage *image);

/* removes the file of a run / of all runs, models, extensions, databases and builders that are gone; failing is no error */
extern void gnnrec_image_unlink(Oid database, Oid catalog, int64 run_id);
extern void gnnrec_image_sweep(Oid catalog);

/* the runs of this database that have a file, made by the extension whose table gnnrec.model had this OID; palloc'd */
extern int64 *gnnrec_image_runs(Oid catalog, int *n);

#endif
