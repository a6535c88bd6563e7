/*
 * vectext.h: the text form of a vector, '[1,2.5,-3e-2]', read into floats.
 *
 * Takes a byte range, not a string: any bytes may follow or occur, none are read beyond len. Knows no
 * locale, takes no memory, and costs time linear in len whatever the bytes are. Printing needs the
 * server's shortest-decimal routine and lives with the type.
 */
#ifndef GNN_CORE_VECTEXT_H
#define GNN_CORE_VECTEXT_H

#include "core/types.h"

typedef enum GnnVectextStatus
{
    GNN_VECTEXT_OK,
    GNN_VECTEXT_NO_OPEN,        /* does not start with "[" */
    GNN_VECTEXT_EMPTY,          /* "[]" */
    GNN_VECTEXT_NO_NUMBER,      /* something else where a number must stand */
    GNN_VECTEXT_NO_COMMA,       /* neither "," nor "]" after a number */
    GNN_VECTEXT_JUNK,           /* goes on after "]" */
    GNN_VECTEXT_NOT_FINITE,     /* a NaN or an infinity, spelled out */
    GNN_VECTEXT_OVERFLOW,       /* a number beyond the range of float */
    GNN_VECTEXT_TOO_MANY        /* more than max_dim numbers */
} GnnVectextStatus;

/* no more numbers than this can be read from the text: its commas and one more */
extern size_t gnn_vectext_bound(const char *text, size_t len);

/*
 * Reads the numbers into x[0 .. *dim), at most max_dim of them, each the float nearest to what is
 * written; what is too small for a float becomes zero of its sign. White space (space, \t \n \v \f \r)
 * may stand anywhere but inside a number. On failure *at is the offset of the offending byte (len at the
 * end of the text), of a number its first byte, and x and *dim mean nothing.
 */
extern GnnVectextStatus gnn_vectext_parse(float *x, int32_t *dim, size_t *at, int32_t max_dim,
                                          const char *text, size_t len);

#endif
