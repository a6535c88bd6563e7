/*
 * snapshot_layout.c: lays an image out, and looks whether one is as it should be; see snapshot_layout.h.
 *
 * What is found here is never more than what the bytes of the image can bear: whoever passes is safe to be read as far as its
 * arrays go. What stands in the arrays is for their readers to doubt.
 */
#include "postgres.h"

#include "pg/snapshot_layout.h"

#include "port/pg_crc32c.h"

#include "core/quantise.h"
#include "pg/embedding.h"

size_t
gnnrec_image_header_size(int n_sections)
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
            return dim * sizeof(float);
        case GNNREC_SECTION_POPULAR:
        case GNNREC_SECTION_ISOLATED:
        case GNNREC_SECTION_IDX:
        case GNNREC_SECTION_COLD:
        case GNNREC_SECTION_UNPOPULAR:
            return sizeof(int32);
        case GNNREC_SECTION_TABLE:
            return sizeof(Oid);
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
        header->size = gnnrec_image_header_size(GNNREC_MAX_SECTIONS);
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

void
gnnrec_image_seal(GnnrecImageHeader *header)
{
    header->magic = GNNREC_IMAGE_MAGIC;
    header->layout = GNNREC_IMAGE_LAYOUT;
    header->crc = checksum(header);
}

bool
gnnrec_image_check(const GnnrecImageHeader *h, size_t size, const GnnrecImageKey *key)
{
    return size >= gnnrec_image_header_size(0)
        && h->magic == GNNREC_IMAGE_MAGIC
        && h->layout == GNNREC_IMAGE_LAYOUT
        && h->n_sections > 0 && h->n_sections <= GNNREC_MAX_SECTIONS
        && size >= gnnrec_image_header_size(h->n_sections)
        && h->crc == checksum(h)
        && h->size == size
        && h->system == key->system && h->database == key->database && h->catalog == key->catalog
        && h->model_id == key->model_id && h->run_id == key->run_id
        && h->dim > 0 && h->dim <= GNNREC_MAX_DIM && are_sound(h);
}

/* the elements of a section; NULL where there is none */
static const void *
section(const GnnrecImageHeader *h, GnnrecSectionKind kind, int owner, int64 *count)
{
    *count = 0;
    for (int i = 0; i < h->n_sections; i++)
        if (h->sections[i].kind == kind && h->sections[i].owner == owner)
        {
            *count = h->sections[i].count;
            return (const char *) h + h->sections[i].offset;
        }
    return NULL;
}

/* a section of exactly so many elements; NULL where there is none */
static const void *
array(const GnnrecImageHeader *image, GnnrecSectionKind kind, int owner, int64 count)
{
    int64       found;
    const void *elements = section(image, kind, owner, &found);

    return found == count ? elements : NULL;
}

static bool
read_keys(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    if (out->key.kind == GNNREC_KEY_INT)
        return (out->numbers = array(image, GNNREC_SECTION_NUMBERS, type, out->n)) != NULL;
    out->offsets = array(image, GNNREC_SECTION_OFFSETS, type, (int64) out->n + 1);
    out->bytes = section(image, GNNREC_SECTION_BYTES, type, &out->n_bytes);
    return out->offsets != NULL && out->bytes != NULL;
}

static bool
read_quantised(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    out->quantised = array(image, GNNREC_SECTION_QUANTISED, type, gnn_quantised_blocks(out->n));
    return out->quantised != NULL || gnn_quantised_width(out->dim) == 0;
}

const Oid *
gnnrec_image_table(const GnnrecImageHeader *image, int type)
{
    return array(image, GNNREC_SECTION_TABLE, type, 1);
}

static bool
is_of_table(const GnnrecSnapshotNodes *nodes, const GnnrecImageHeader *image, int type)
{
    const Oid  *table = gnnrec_image_table(image, type);

    return table != NULL && *table == nodes->table;
}

/* the lists of nodes, which together are n */
static bool
read_classes(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    int64       n_popular;
    int64       n_cold;

    out->popular = section(image, GNNREC_SECTION_POPULAR, type, &n_popular);
    out->cold = section(image, GNNREC_SECTION_COLD, type, &n_cold);
    if (out->popular == NULL || n_popular > out->n || n_cold > out->n - n_popular)
        return false;
    out->n_popular = n_popular;
    out->n_cold = n_cold;
    out->n_isolated = out->n - n_popular - n_cold;
    out->isolated = array(image, GNNREC_SECTION_ISOLATED, type, out->n_isolated);
    out->unpopular = out->cold == NULL ? out->isolated : array(image, GNNREC_SECTION_UNPOPULAR, type, out->n - n_popular);
    return out->isolated != NULL && out->unpopular != NULL;
}

static bool
read_popularity(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    int64       n;

    out->popularity = section(image, GNNREC_SECTION_POPULARITY, type, &n);
    if (out->popularity == NULL)
        out->popularity = out->degree;
    else if (n != out->n)
        return false;
    out->log_popularity = array(image, GNNREC_SECTION_LOG_POPULARITY, type, out->n);
    return out->log_popularity != NULL;
}

/* rows as wide as the section's length makes them */
static bool
read_fold_in(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    int64       n_floats;

    out->fold_in = section(image, GNNREC_SECTION_FOLD_IN, type, &n_floats);
    out->fold_in_width = out->n > 0 ? Min(n_floats / out->n, PG_INT32_MAX) : 0;
    return out->fold_in == NULL || out->n == 0 || (out->fold_in_width > 0 && n_floats == (int64) out->n * out->fold_in_width);
}

static bool
read_vectors(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    out->embedding = array(image, GNNREC_SECTION_EMBEDDING, type, out->n);
    out->inverse_norm = array(image, GNNREC_SECTION_INVERSE_NORM, type, out->n);
    return out->embedding != NULL && out->inverse_norm != NULL && read_fold_in(out, image, type)
        && read_quantised(out, image, type);
}

static bool
read_nodes(GnnrecSnapshotNodes *out, const GnnrecImageHeader *image, int type)
{
    int64       n;

    out->degree = section(image, GNNREC_SECTION_DEGREE, type, &n);
    if (out->degree == NULL || n > PG_INT32_MAX)
        return false;
    out->n = n;
    return is_of_table(out, image, type) && read_classes(out, image, type) && read_popularity(out, image, type)
        && read_vectors(out, image, type) && read_keys(out, image, type);
}

static bool
read_edges(GnnrecSnapshotEdges *out, const GnnrecSnapshot *snapshot, const GnnrecImageHeader *image, int owner)
{
    int64       n_val;
    int64       n_shown;

    out->ptr = array(image, GNNREC_SECTION_PTR, owner, (int64) snapshot->types[out->from_type].n + 1);
    out->idx = section(image, GNNREC_SECTION_IDX, owner, &out->n);
    if (out->ptr == NULL || out->idx == NULL)
        return false;
    out->val = section(image, GNNREC_SECTION_VAL, owner, &n_val);
    out->shown = section(image, GNNREC_SECTION_SHOWN, owner, &n_shown);
    return (out->val == NULL || n_val == out->n) && (out->shown == NULL || n_shown == out->n);
}

bool
gnnrec_image_read(GnnrecSnapshot *out, const GnnrecImageHeader *image)
{
    out->dim = image->dim;
    out->weights = section(image, GNNREC_SECTION_WEIGHTS, 0, &out->n_weights);
    for (int t = 0; t < out->n_types; t++)
    {
        out->types[t].dim = out->dim;
        if (!read_nodes(&out->types[t], image, t))
            return false;
    }
    return read_edges(&out->interactions, out, image, GNNREC_EDGES) && read_edges(&out->reverse, out, image, GNNREC_REVERSE)
        && out->reverse.n == out->interactions.n;
}
