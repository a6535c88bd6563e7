/*
 * snapshot_layout.h: what the image behind a snapshot looks like, and whether one is sound.
 *
 * An image is a header, a table of sections and the sections, each an array that starts on a multiple of 64 bytes. Nothing in
 * it is a pointer. A new kind of section is a new number at the end of the enum; a changed meaning is a new layout version.
 *
 * Nothing here asks the server for anything: an image is checked as it lies in memory, whatever its bytes are.
 */
#ifndef GNNREC_PG_SNAPSHOT_LAYOUT_H
#define GNNREC_PG_SNAPSHOT_LAYOUT_H

#include "postgres.h"

#include "pg/snapshot.h"

#define GNNREC_IMAGE_MAGIC UINT64CONST(0x0a6365726e6e67b1)  /* a byte that is no text, "gnnrec", a newline */
#define GNNREC_IMAGE_LAYOUT 5
#define GNNREC_IMAGE_ALIGN 64

/* what a section holds, and so the width of its elements; n is the number of nodes of its type */
typedef enum GnnrecSectionKind
{
    GNNREC_SECTION_NUMBERS = 1, /* int64[n]: keys that are numbers */
    GNNREC_SECTION_BYTES,       /* char[]: keys that are bytes, one after the other */
    GNNREC_SECTION_OFFSETS,     /* int64[n + 1]: where each begins and the last one ends */
    GNNREC_SECTION_EMBEDDING,   /* float[n][dim] */
    GNNREC_SECTION_FOLD_IN,     /* float[n][width], optional */
    GNNREC_SECTION_INVERSE_NORM,    /* float[n] */
    GNNREC_SECTION_DEGREE,      /* float[n] */
    GNNREC_SECTION_POPULAR,     /* int32[] */
    GNNREC_SECTION_ISOLATED,    /* int32[]; together with popular and cold n */
    GNNREC_SECTION_PTR,         /* int64[n + 1], of edges, n of the type they start from */
    GNNREC_SECTION_IDX,         /* int32[], of edges */
    GNNREC_SECTION_VAL,         /* float[], of edges, optional */
    GNNREC_SECTION_SHOWN,       /* uint8[], of edges, optional */
    GNNREC_SECTION_QUANTISED,   /* block[n / GNN_BLOCK], see core/quantise.h; none where the dimension is too high for it */
    GNNREC_SECTION_LOG_POPULARITY,  /* float[n]: log(1 + popularity) */
    GNNREC_SECTION_POPULARITY,  /* float[n]; none where it is the degree */
    GNNREC_SECTION_COLD,        /* int32[]; none where no node is cold, and then not the next one */
    GNNREC_SECTION_UNPOPULAR,   /* int32[] */
    GNNREC_SECTION_TABLE,       /* Oid[1]: of the type, whose number may be another's in the model as it is now */
    GNNREC_SECTION_WEIGHTS,     /* float[], of the run, whose owner is 0, optional */
    GNNREC_SECTION_END          /* of the kinds */
} GnnrecSectionKind;

typedef struct GnnrecSection
{
    uint16      kind;
    uint16      owner;          /* number of the node type, or which edges */
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
    uint32      body_crc;       /* of what follows the table */
    uint64      system;         /* identifier of the database cluster */
    int64       written;        /* the file's time of modification: who finds another one reads it all and compares body_crc */
    GnnrecSection sections[FLEXIBLE_ARRAY_MEMBER];
} GnnrecImageHeader;

/* owners of edges: the interactions, and their reverse */
enum {GNNREC_EDGES, GNNREC_REVERSE};

#define GNNREC_MAX_SECTIONS (GNN_MAX_TYPES * 15 + 7)

/* whose image it is to be */
typedef struct GnnrecImageKey
{
    uint64      system;
    Oid         database;
    Oid         catalog;
    int32       model_id;
    int64       run_id;
} GnnrecImageKey;

/* the bytes a header takes with a table of so many sections */
extern size_t gnnrec_image_header_size(int n_sections);

/* adds a section behind the last one; the first call is made on a zeroed header with dim set */
extern void gnnrec_image_add(GnnrecImageHeader *header, GnnrecSectionKind kind, int owner, int64 count);

/* the header is complete: what says so */
extern void gnnrec_image_seal(GnnrecImageHeader *header);

/* is it a sealed header of ours, with this key, of an image of this size, and does all it describes lie in there? */
extern bool gnnrec_image_check(const GnnrecImageHeader *header, size_t size, const GnnrecImageKey *key);

/* the table that the nodes of a type are from; NULL: the image has no such type, or does not say */
extern const Oid *gnnrec_image_table(const GnnrecImageHeader *image, int type);

/*
 * Points the snapshot's arrays into an image that was checked; types, their keys and tables are already described in out. False,
 * if a section is missing or not as long as those beside it, or a type's table another.
 */
extern bool gnnrec_image_read(GnnrecSnapshot *out, const GnnrecImageHeader *image);

#endif
