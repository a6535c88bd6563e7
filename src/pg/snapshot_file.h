/*
 * snapshot_file.h: the file behind a snapshot: its layout, its name, how it is made, found and checked.
 *
 * An image is a header, a table of sections and the sections, each an array that starts on a multiple of 64 bytes. Nothing in
 * it is a pointer. The same layout is used in a file that all backends map and, where no file can be written, in memory of the
 * backend's own. A new kind of section is a new number at the end of the enum; a changed meaning is a new layout version.
 */
#ifndef GNNREC_PG_SNAPSHOT_FILE_H
#define GNNREC_PG_SNAPSHOT_FILE_H

#include "postgres.h"

#include "pg/snapshot.h"

#define GNNREC_IMAGE_MAGIC UINT64CONST(0x0a6365726e6e67b1)  /* a byte that is no text, "gnnrec", a newline */
#define GNNREC_IMAGE_LAYOUT 3
#define GNNREC_IMAGE_ALIGN 64

/* what a section holds, and so the width of its elements; n is the number of nodes of its type */
typedef enum GnnrecSectionKind
{
    GNNREC_SECTION_NUMBERS = 1, /* int64[n]: keys that are numbers */
    GNNREC_SECTION_BYTES,       /* char[]: keys that are bytes, one after the other */
    GNNREC_SECTION_OFFSETS,     /* int64[n + 1]: where each begins and the last one ends */
    GNNREC_SECTION_EMBEDDING,   /* float[n][dim] */
    GNNREC_SECTION_FOLD_IN,     /* float[n][dim], optional */
    GNNREC_SECTION_INVERSE_NORM,    /* float[n] */
    GNNREC_SECTION_DEGREE,      /* float[n] */
    GNNREC_SECTION_POPULAR,     /* int32[] */
    GNNREC_SECTION_ISOLATED,    /* int32[]; together with popular n */
    GNNREC_SECTION_PTR,         /* int64[n + 1], of a relation, n of the type it starts from */
    GNNREC_SECTION_IDX,         /* int32[], of a relation */
    GNNREC_SECTION_VAL,         /* float[], of a relation, optional */
    GNNREC_SECTION_SHOWN,       /* uint8[], of a relation, optional */
    GNNREC_SECTION_QUANTISED,   /* block[n / GNN_BLOCK], see core/quantise.h; none where the dimension is too high for it */
    GNNREC_SECTION_LOG_DEGREE,  /* float[n]: log(1 + degree) */
    GNNREC_SECTION_END          /* of the kinds */
} GnnrecSectionKind;

typedef struct GnnrecSection
{
    uint16      kind;
    uint16      owner;          /* number of the node type or the relation */
    uint32      width;          /* bytes of one element */
    int64       count;          /* elements */
    int64       offset;         /* from the start of the image */
} GnnrecSection;

typedef struct GnnrecImageHeader
{
    uint64      magic;
    uint32      layout;
    uint32      crc;            /* of header and section table, this field 0 */
    Oid         database;
    Oid         catalog;        /* OID of gnnrec.model: tells one CREATE EXTENSION from the next */
    int64       run_id;
    int64       size;           /* of the whole image */
    int32       model_id;
    int32       dim;
    int32       n_sections;
    int32       unused;         /* 0 */
    GnnrecSection sections[FLEXIBLE_ARRAY_MEMBER];
} GnnrecImageHeader;

#define GNNREC_MAX_SECTIONS (GNN_MAX_TYPES * 11 + GNN_MAX_RELATIONS * 6)

/* the owner of the ptr and idx of a relation's reverse */
#define GNNREC_REVERSE(relation) (GNN_MAX_RELATIONS + (relation))

/*
 * A mapped image. It belongs to the memory context it was made in: when that goes, the image is unmapped, and if it was never
 * published its file goes too. So an error at any moment leaves nothing behind.
 */
typedef struct GnnrecImage
{
    char       *base;           /* NULL: nothing is mapped */
    size_t      size;
    char       *unpublished;    /* the temporary name of a file being made; NULL: there is none */
    MemoryContextCallback callback;
} GnnrecImage;

/* adds a section behind the last one; the first call is made on a zeroed header with dim set */
extern void gnnrec_image_add(GnnrecImageHeader *header, GnnrecSectionKind kind, int owner, int64 count);

/*
 * A zeroed, writable image with this header, in a file of a temporary name; without shared, or with a WARNING when no file can
 * be written, in memory of this backend.
 */
extern GnnrecImage *gnnrec_image_create(const GnnrecImageHeader *header, bool shared);

/* the image is complete: it becomes read-only, and its file gets the name under which others find it */
extern void gnnrec_image_publish(GnnrecImage *image);

/* maps the file of a run, if there is a sound one; NULL otherwise */
extern GnnrecImage *gnnrec_image_open(Oid catalog, int32 model_id, int64 run_id);

/*
 * Points the snapshot's arrays into an image; types, relations and their keys are already described in out. False, if a
 * section is missing, too short or beyond the end.
 */
extern bool gnnrec_image_read(GnnrecSnapshot *out, const GnnrecImage *image);

/* removes the file of a run / of all runs, models, extensions and databases that are gone; failing is no error */
extern void gnnrec_image_unlink(Oid database, Oid catalog, int64 run_id);
extern void gnnrec_image_sweep(Oid catalog);

/* the runs of this database that have a file, made by the extension whose table gnnrec.model had this OID; palloc'd */
extern int64 *gnnrec_image_runs(Oid catalog, int *n);

#endif
