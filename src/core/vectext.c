/*
 * vectext.c: the text form of a vector, '[1,2.5,-3e-2]', read into floats.
 *
 * Numbers are read by hand into a decimal of bounded length, then rounded once: by exact double
 * arithmetic where that provably gives the nearest float (nearly always), by strtof otherwise. strtof
 * gets digits and an exponent and never a decimal point, which is all a locale could change.
 */
#include "core/vectext.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The digits that can matter: a tie between two floats has at most 113; what is cut off counts as "a bit more". */
#define MAX_DIGITS 120

/* every number of so many digits is an exact double */
#define EXACT_DIGITS 15

/* +-0.digits * 10^point, with no leading zero among the digits */
typedef struct Decimal
{
    bool        negative;
    bool        cut;            /* a nonzero digit was left out after the last one kept */
    int         n_digits;       /* 0: the number is zero */
    int64_t     point;
    uint64_t    head;           /* the digits as an integer, where n_digits <= EXACT_DIGITS */
    char        digits[MAX_DIGITS];
} Decimal;

typedef struct Reader
{
    const char *next;
    const char *end;
} Reader;

static bool
is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
at_digit(const Reader *r)
{
    return r->next < r->end && is_digit(*r->next);
}

static void
skip_space(Reader *r)
{
    while (r->next < r->end && is_space(*r->next))
        r->next++;
}

/* takes the next byte if it is c */
static bool
take(Reader *r, char c)
{
    if (r->next == r->end || *r->next != c)
        return false;
    r->next++;
    return true;
}

/* takes a sign; true for minus */
static bool
take_sign(Reader *r)
{
    return !take(r, '+') && take(r, '-');
}

/* appends a digit, which stands before the decimal point or after it */
static void
add_digit(Decimal *d, char digit, bool fraction)
{
    if (d->n_digits == 0 && digit == '0')
    {
        d->point -= fraction;
        return;
    }
    d->point += !fraction;
    if (d->n_digits == MAX_DIGITS)
    {
        d->cut |= digit != '0';
        return;
    }
    if (d->n_digits < EXACT_DIGITS)
        d->head = d->head * 10 + (uint64_t) (digit - '0');
    d->digits[d->n_digits++] = digit;
}

/* takes digits with at most one point among them; false if there is no digit */
static bool
take_digits(Reader *r, Decimal *d)
{
    const char *start = r->next;
    bool        any;

    while (at_digit(r))
        add_digit(d, *r->next++, false);
    any = r->next > start;
    if (take(r, '.'))
    {
        any |= at_digit(r);
        while (at_digit(r))
            add_digit(d, *r->next++, true);
    }
    return any;
}

/* takes an exponent, if a whole one is there; it saturates far outside what any length of digits could bring back */
static void
take_exponent(Reader *r, Decimal *d)
{
    const int64_t limit = INT64_C(1000000000000000);
    Reader      look = *r;
    int64_t     exponent = 0;
    bool        negative;

    if (!take(&look, 'e') && !take(&look, 'E'))
        return;
    negative = take_sign(&look);
    if (!at_digit(&look))
        return;
    for (; at_digit(&look); look.next++)
        if (exponent < limit)
            exponent = exponent * 10 + (*look.next - '0');
    d->point += negative ? -exponent : exponent;
    *r = look;
}

/* a NaN or infinity as strtof would take it: by its first three letters */
static bool
at_not_finite(const Reader *r)
{
    char        word[3];

    if (r->end - r->next < 3)
        return false;
    for (int i = 0; i < 3; i++)
        word[i] = (char) (r->next[i] | 0x20);   /* lower case, for letters */
    return memcmp(word, "nan", 3) == 0 || memcmp(word, "inf", 3) == 0;
}

/*
 * The nearest float by way of a double: the digits and a power of ten up to 10^22 are exact doubles, so
 * the double is rounded once, and lies well within the range of normal floats. Rounding it again can only
 * go wrong from the middle between two floats, whose last 29 bits of 53 are 1 0...0.
 */
static bool
round_exactly(float *value, const Decimal *d)
{
    static const double power[] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
        1e17, 1e18, 1e19, 1e20, 1e21, 1e22
    };
    int64_t     exponent = d->point - d->n_digits;
    double      wide;
    uint64_t    bits;

    if (d->n_digits > EXACT_DIGITS || exponent < -22 || exponent > 22)
        return false;
    wide = exponent < 0 ? (double) d->head / power[-exponent] : (double) d->head * power[exponent];
    memcpy(&bits, &wide, sizeof bits);
    if ((bits & 0x1fffffff) == 0x10000000)
        return false;
    *value = (float) wide;
    return true;
}

/* the nearest float in all other cases; a digit 1 stands for what was cut off, as it can only break a tie */
static float
round_slowly(const Decimal *d)
{
    char        text[MAX_DIGITS + 32];
    int64_t     exponent = d->point - d->n_digits - d->cut;

    snprintf(text, sizeof text, "%.*s%se%" PRId64, d->n_digits, d->digits, d->cut ? "1" : "", exponent);
    return strtof(text, NULL);
}

/* infinity stands for overflow */
static float
round_decimal(const Decimal *d)
{
    float       value;

    if (d->n_digits == 0 || d->point < -60)
        value = 0;
    else if (d->point > 60)
        value = INFINITY;
    else if (!round_exactly(&value, d))
        value = round_slowly(d);
    return d->negative ? -value : value;
}

/* takes a number; where the reader is after a failure is the caller's business */
static GnnVectextStatus
take_number(float *value, Reader *r)
{
    Decimal     d;

    d.negative = take_sign(r);
    d.cut = false;
    d.n_digits = 0;
    d.point = 0;
    d.head = 0;
    if (at_not_finite(r))
        return GNN_VECTEXT_NOT_FINITE;
    if (!take_digits(r, &d))
        return GNN_VECTEXT_NO_NUMBER;
    take_exponent(r, &d);
    *value = round_decimal(&d);
    return isinf(*value) ? GNN_VECTEXT_OVERFLOW : GNN_VECTEXT_OK;
}

/* takes the numbers and commas up to and with the closing bracket */
static GnnVectextStatus
take_elements(float *x, int32_t *dim, Reader *r, int32_t max_dim)
{
    for (*dim = 0;;)
    {
        float       value;
        Reader      look;
        GnnVectextStatus status;

        skip_space(r);
        look = *r;
        status = take_number(&value, &look);
        if (status == GNN_VECTEXT_OK && *dim == max_dim)
            status = GNN_VECTEXT_TOO_MANY;
        if (status != GNN_VECTEXT_OK)
            return status;
        *r = look;
        x[(*dim)++] = value;
        skip_space(r);
        if (take(r, ']'))
            return GNN_VECTEXT_OK;
        if (!take(r, ','))
            return GNN_VECTEXT_NO_COMMA;
    }
}

static GnnVectextStatus
take_vector(float *x, int32_t *dim, Reader *r, int32_t max_dim)
{
    Reader      look;
    GnnVectextStatus status;

    skip_space(r);
    if (!take(r, '['))
        return GNN_VECTEXT_NO_OPEN;
    look = *r;
    skip_space(&look);
    if (take(&look, ']'))
        return GNN_VECTEXT_EMPTY;
    status = take_elements(x, dim, r, max_dim);
    if (status != GNN_VECTEXT_OK)
        return status;
    skip_space(r);
    return r->next == r->end ? GNN_VECTEXT_OK : GNN_VECTEXT_JUNK;
}

size_t
gnn_vectext_bound(const char *text, size_t len)
{
    size_t      commas = 0;

    for (size_t i = 0; i < len; i++)
        commas += text[i] == ',';
    return commas + 1;
}

GnnVectextStatus
gnn_vectext_parse(float *x, int32_t *dim, size_t *at, int32_t max_dim, const char *text, size_t len)
{
    Reader      r = {text, text + len};
    GnnVectextStatus status = take_vector(x, dim, &r, max_dim);

    *at = (size_t) (r.next - text);
    return status;
}
