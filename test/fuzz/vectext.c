/* the text of a vector: any bytes are read or refused, at a place within them, and what is read is what strtof reads */
#include "core/vectext.h"

#include "fuzz.h"

#define MAX_DIM 64

/* number i of a text that was read: it stands behind as many commas */
static float
number_at(const char *text, int32_t i)
{
    const char *at = strchr(text, '[') + 1;

    for (; i > 0; i--)
        at = strchr(at, ',') + 1;
    return strtof(at, NULL);
}

static void
check_values(const float *x, int32_t dim, const uint8_t *data, size_t size)
{
    char       *text = calloc(size + 1, 1);

    memcpy(text, data, size);
    for (int32_t i = 0; i < dim; i++)
        demand(isfinite(x[i]) && x[i] == number_at(text, i));
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* a copy of exactly this size, so that a byte beyond it is noticed */
    char       *text = memcpy(malloc(size + 1), data, size);
    size_t      bound = gnn_vectext_bound(text, size);
    int32_t     max_dim = bound < MAX_DIM ? (int32_t) bound : MAX_DIM;
    float      *x = malloc(max_dim * sizeof(float));
    int32_t     dim;
    size_t      at;
    GnnVectextStatus status;

    text = realloc(text, size > 0 ? size : 1);
    status = gnn_vectext_parse(x, &dim, &at, max_dim, text, size);
    demand(at <= size);
    demand(status != GNN_VECTEXT_TOO_MANY || bound > MAX_DIM);
    if (status == GNN_VECTEXT_OK)
    {
        demand(dim >= 1 && (size_t) dim == bound);
        check_values(x, dim, data, size);
    }
    free(x);
    free(text);
    return 0;
}
