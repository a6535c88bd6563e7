/*
 * The image of a snapshot: whatever the bytes are, one that passes the checks can be read as far as its arrays are said to go.
 *
 * An image is laid out as one is built, then bytes of its header and table are changed as the input says, and what no fuzzer
 * finds is put right again: magic, version, key and checksum. Of the server there are the headers, and this: how a checksum is
 * computed.
 */
#include "postgres.h"

#include "pg/snapshot_layout.h"

#include "core/quantise.h"
#include "port/pg_crc32c.h"

#include "fuzz.h"

static pg_crc32c
checksum(pg_crc32c crc, const void *data, size_t len)
{
    for (const unsigned char *byte = data; len > 0; byte++, len--)
    {
        crc ^= *byte;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1));
    }
    return crc;
}

pg_crc32c   (*pg_comp_crc32c) (pg_crc32c crc, const void *data, size_t len) = checksum;

static volatile unsigned sink;

/* reads the first and the last byte of an array */
static void
touch(const void *array, int64 n, size_t width)
{
    if (array == NULL || n == 0)
        return;
    sink += ((const unsigned char *) array)[0];
    sink += ((const unsigned char *) array)[n * width - 1];
}

static void
touch_nodes(const GnnrecSnapshotNodes *nodes)
{
    demand(nodes->n >= 0 && nodes->n_popular >= 0 && nodes->n_cold >= 0 && nodes->n_isolated >= 0
           && (int64) nodes->n_popular + nodes->n_cold + nodes->n_isolated == nodes->n);
    if (nodes->key.kind == GNNREC_KEY_INT)
        touch(nodes->numbers, nodes->n, sizeof(int64));
    else
    {
        touch(nodes->offsets, (int64) nodes->n + 1, sizeof(int64));
        touch(nodes->bytes, nodes->n_bytes, 1);
    }
    touch(nodes->embedding, nodes->n, nodes->dim * sizeof(float));
    touch(nodes->fold_in, nodes->n, nodes->fold_in_width * sizeof(float));
    touch(nodes->inverse_norm, nodes->n, sizeof(float));
    touch(nodes->quantised, gnn_quantised_blocks(nodes->n), gnn_quantised_width(nodes->dim));
    touch(nodes->degree, nodes->n, sizeof(float));
    touch(nodes->popularity, nodes->n, sizeof(float));
    touch(nodes->log_popularity, nodes->n, sizeof(float));
    touch(nodes->popular, nodes->n_popular, sizeof(int32));
    touch(nodes->cold, nodes->n_cold, sizeof(int32));
    touch(nodes->isolated, nodes->n_isolated, sizeof(int32));
    touch(nodes->unpopular, nodes->n - nodes->n_popular, sizeof(int32));
}

static void
touch_edges(const GnnrecSnapshotEdges *edges, const GnnrecSnapshot *snapshot)
{
    touch(edges->ptr, (int64) snapshot->types[edges->from_type].n + 1, sizeof(int64));
    touch(edges->idx, edges->n, sizeof(int32));
    touch(edges->val, edges->n, sizeof(float));
    touch(edges->shown, edges->n, sizeof(uint8));
}

static GnnrecSnapshot
describe(uint8 what)
{
    GnnrecSnapshot s = {.n_types = 2};

    s.types[0].key.kind = what & 1 ? GNNREC_KEY_INT : GNNREC_KEY_TEXT;
    s.types[1].key.kind = what & 2 ? GNNREC_KEY_INT : GNNREC_KEY_UUID;
    s.interactions = (GnnrecSnapshotEdges) {.from_type = 0, .to_type = 1};
    s.reverse = (GnnrecSnapshotEdges) {.from_type = 1, .to_type = 0};
    return s;
}

/* how many elements a section has, of n nodes, n_popular and n_cold of them, and n_edges */
static int64
count_of(int kind, int64 n, int64 n_popular, int64 n_cold, int64 n_edges)
{
    switch (kind)
    {
        case GNNREC_SECTION_BYTES:
        case GNNREC_SECTION_FOLD_IN:
            return 3 * n;
        case GNNREC_SECTION_OFFSETS:
        case GNNREC_SECTION_PTR:
            return n + 1;
        case GNNREC_SECTION_POPULAR:
            return n_popular;
        case GNNREC_SECTION_COLD:
            return n_cold;
        case GNNREC_SECTION_ISOLATED:
            return n - n_popular - n_cold;
        case GNNREC_SECTION_UNPOPULAR:
            return n - n_popular;
        case GNNREC_SECTION_TABLE:
            return 1;
        case GNNREC_SECTION_IDX:
        case GNNREC_SECTION_VAL:
        case GNNREC_SECTION_SHOWN:
            return n_edges;
        case GNNREC_SECTION_QUANTISED:
            return gnn_quantised_blocks(n);
        default:
            return n;
    }
}

static bool
is_of_edges(int kind)
{
    return kind == GNNREC_SECTION_PTR || kind == GNNREC_SECTION_IDX || kind == GNNREC_SECTION_VAL || kind == GNNREC_SECTION_SHOWN;
}

/* header and table of an image with every section there can be */
static void
lay_out(GnnrecImageHeader *h, Bytes *in)
{
    int64       n_edges = take_number(in, 200);

    h->dim = 1 + take_number(in, 20);
    for (int type = 0; type < 2; type++)
    {
        int64       n = take_number(in, 100);
        int64       n_popular = take_number(in, n + 1);
        int64       n_cold = take_number(in, n - n_popular + 1);

        for (int kind = GNNREC_SECTION_NUMBERS; kind < GNNREC_SECTION_END; kind++)
        {
            int         owner = !is_of_edges(kind) ? type : type == 0 ? GNNREC_EDGES : GNNREC_REVERSE;

            gnnrec_image_add(h, kind, owner, count_of(kind, n, n_popular, n_cold, n_edges));
        }
    }
}

/* bytes of the header and the table, while there is input: where, and what */
static void
change(char *image, size_t size, Bytes *in)
{
    while (in->n > 0)
        take_bytes(image + take_number(in, size), in, 1);
}

static void
put_right(GnnrecImageHeader *h, size_t size, const GnnrecImageKey *key)
{
    h->system = key->system;
    h->database = key->database;
    h->catalog = key->catalog;
    h->model_id = key->model_id;
    h->run_id = key->run_id;
    if (h->n_sections > 0 && h->n_sections <= GNNREC_MAX_SECTIONS && size >= gnnrec_image_header_size(h->n_sections))
        gnnrec_image_seal(h);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char header[sizeof(GnnrecImageHeader) + GNNREC_MAX_SECTIONS * sizeof(GnnrecSection)];
    GnnrecImageKey key = {.system = 1, .database = 2, .catalog = 3, .model_id = 4, .run_id = 5};
    Bytes       in = {data, size};
    GnnrecSnapshot snapshot = describe(take_number(&in, 256));
    GnnrecImageHeader *image = (GnnrecImageHeader *) header;

    memset(header, 0, sizeof(header));
    lay_out(image, &in);
    size = image->size;
    image = memcpy(calloc(size, 1), header, gnnrec_image_header_size(image->n_sections));
    change((char *) image, gnnrec_image_header_size(image->n_sections), &in);
    put_right(image, size, &key);
    if (gnnrec_image_check(image, size, &key) && gnnrec_image_read(&snapshot, image))
    {
        for (int t = 0; t < snapshot.n_types; t++)
            touch_nodes(&snapshot.types[t]);
        touch(snapshot.weights, snapshot.n_weights, sizeof(float));
        touch_edges(&snapshot.interactions, &snapshot);
        touch_edges(&snapshot.reverse, &snapshot);
    }
    free(image);
    return 0;
}
