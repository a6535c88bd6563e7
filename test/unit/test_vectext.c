/*
 * test_vectext.c: the reader of vector texts, against strtof and against the rules its header states.
 */
#include "test.h"

#include "core/vectext.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DIM 8

static GnnVectextStatus
parse(float *x, int32_t *dim, size_t *at, const char *text, size_t len)
{
    char       *exact = malloc(len + 1);    /* so that a sanitizer sees a read beyond len */
    GnnVectextStatus status;

    if (exact == NULL)
        abort();
    exact = realloc(exact, len > 0 ? len : 1);
    memcpy(exact, text, len);
    status = gnn_vectext_parse(x, dim, at, MAX_DIM, exact, len);
    free(exact);
    return status;
}

static bool
same_bits(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* '[number]' reads as strtof reads the number, the signs of zeros included */
static bool
reads_as_strtof(const char *number)
{
    char        text[4096];
    float       x[MAX_DIM];
    int32_t     dim;
    size_t      at;
    int         len = snprintf(text, sizeof text, "[%s]", number);
    float       expected = strtof(number, NULL);
    GnnVectextStatus status = parse(x, &dim, &at, text, (size_t) len);
    bool        same = isinf(expected) ? status == GNN_VECTEXT_OVERFLOW && at == 1
        : status == GNN_VECTEXT_OK && dim == 1 && same_bits(x[0], expected);

    if (!same)
        printf("# %s: strtof reads %a, status %d, value %a\n", number, expected, status, x[0]);
    return same;
}

static void
test_errors(void)
{
    static const struct
    {
        const char *text;
        GnnVectextStatus status;
        size_t      at;
    } cases[] = {
        {"", GNN_VECTEXT_NO_OPEN, 0},
        {"  ", GNN_VECTEXT_NO_OPEN, 2},
        {"1,2", GNN_VECTEXT_NO_OPEN, 0},
        {" (1)", GNN_VECTEXT_NO_OPEN, 1},
        {"[", GNN_VECTEXT_NO_NUMBER, 1},
        {"[1", GNN_VECTEXT_NO_COMMA, 2},
        {"[1,", GNN_VECTEXT_NO_NUMBER, 3},
        {"[1, ", GNN_VECTEXT_NO_NUMBER, 4},
        {"[]", GNN_VECTEXT_EMPTY, 1},
        {"[ \n]", GNN_VECTEXT_EMPTY, 1},
        {"[,1]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[1,]", GNN_VECTEXT_NO_NUMBER, 3},
        {"[1,,2]", GNN_VECTEXT_NO_NUMBER, 3},
        {"[1, x]", GNN_VECTEXT_NO_NUMBER, 4},
        {"[-]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[.]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[-.e5]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[- 1]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[+-1]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[[1]]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[1 2]", GNN_VECTEXT_NO_COMMA, 3},
        {"[1;2]", GNN_VECTEXT_NO_COMMA, 2},
        {"[1)", GNN_VECTEXT_NO_COMMA, 2},
        {"[1e]", GNN_VECTEXT_NO_COMMA, 2},
        {"[1e+]", GNN_VECTEXT_NO_COMMA, 2},
        {"[1.2.3]", GNN_VECTEXT_NO_COMMA, 4},
        {"[0x10]", GNN_VECTEXT_NO_COMMA, 2},
        {"[1] x", GNN_VECTEXT_JUNK, 4},
        {"[1]]", GNN_VECTEXT_JUNK, 3},
        {"[1][2]", GNN_VECTEXT_JUNK, 3},
        {"[1,NaN]", GNN_VECTEXT_NOT_FINITE, 3},
        {"[inf]", GNN_VECTEXT_NOT_FINITE, 1},
        {"[1,-Infinity]", GNN_VECTEXT_NOT_FINITE, 3},
        {"[in]", GNN_VECTEXT_NO_NUMBER, 1},
        {"[1,1e39]", GNN_VECTEXT_OVERFLOW, 3},
        {"[-3.5e38]", GNN_VECTEXT_OVERFLOW, 1},
        {"[1e999999999999999999999]", GNN_VECTEXT_OVERFLOW, 1},
        {"[1,2,3,4,5,6,7,8,9]", GNN_VECTEXT_TOO_MANY, 17},
        {"[1,2,3,4,5,6,7,8, 9", GNN_VECTEXT_TOO_MANY, 18},
        {"[1,2,3,4,5,6,7,8,]", GNN_VECTEXT_NO_NUMBER, 17},
    };
    char        what[128];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    {
        float       x[MAX_DIM];
        int32_t     dim;
        size_t      at;
        GnnVectextStatus status = parse(x, &dim, &at, cases[i].text, strlen(cases[i].text));

        snprintf(what, sizeof what, "'%s' is refused with status %d at %zu", cases[i].text, cases[i].status, cases[i].at);
        for (char *c = what; *c != '\0'; c++)
            if (*c == '\n')
                *c = ' ';
        CHECK_SAY(status == cases[i].status && at == cases[i].at, "%s", what);
    }
}

static void
test_forms(void)
{
    const char *text = " \t[\v1 ,\n-2.5\f,\r+3e2, .5,5.,00.0070E+001 ] ";
    const float expected[] = {1, -2.5f, 300, 0.5f, 5, 0.07f};
    float       x[MAX_DIM];
    int32_t     dim;
    size_t      at;

    CHECK_SAY(parse(x, &dim, &at, text, strlen(text)) == GNN_VECTEXT_OK && dim == 6 && memcmp(x, expected, sizeof expected) == 0,
          "white space and every form of a number");
    CHECK_SAY(parse(x, &dim, &at, "[1]\0", 4) == GNN_VECTEXT_JUNK && at == 3, "%s", "a NUL is a byte like others");
    CHECK_SAY(parse(x, &dim, &at, "[12", 2) == GNN_VECTEXT_NO_COMMA && at == 2, "%s", "nothing is read beyond len");
    CHECK_SAY(gnn_vectext_bound("[1,2,3]", 7) == 3 && gnn_vectext_bound("", 0) == 1, "%s", "the bound counts commas");
}

/* numbers at the borders of the format and of the two ways to round */
static void
test_borders(void)
{
    static const char *const numbers[] = {
        "0", "-0", "0e99", "-0.000", "3.4028235e38", "3.4028235677973366e38", "3.4028235677973365e38", "3.40282356e38",
        "-3.5e38", "1.17549435e-38", "1.1754942e-38", "1.4e-45", "7.1e-46", "7.006492321624085e-46", "7.0064923216240854e-46",
        "7e-46", "1e-60", "-1e-70", "1e-99999999999999999999", "16777217", "16777217.0000001", "16777219", "33554435",
        "123456789012345", "1234567890123456", "999999999999999e22", "999999999999999e23", "9007199791611904.5", "0.1",
        "8388608.5", "1.00000005960464477539062", "1.000000059604644775390625", "1.00000005960464477539063",
        "1.00000017881393432617187499999999999999999999999999999999999999999999999",
        "1.000000178813934326171875", "1.00000017881393432617187500000000000000000000000000000000000000000000001",
        "4.30373586499999995214071901727947988547384738922119140625e15", "100000000000000000000000000000000000000",
        "1000000000000000000000000000000000000000"
    };
    char        what[160];

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    {
        snprintf(what, sizeof what, "%s is the float strtof makes of it", numbers[i]);
        CHECK_SAY(reads_as_strtof(numbers[i]), "%s", what);
    }
}

/* more digits than are kept: what is cut off must still break a tie, and count as magnitude */
static void
test_long_numbers(void)
{
    char        number[2048] = "1.000000059604644775390625";     /* in the middle of two floats */
    char        zeros[2048] = "0.";

    memset(number + strlen(number), '0', 1000);
    CHECK_SAY(reads_as_strtof(number), "%s", "a tie, then 1000 zeros");
    strcat(number, "1");
    CHECK_SAY(reads_as_strtof(number), "%s", "a tie, then 1000 zeros and a one");
    memset(zeros + 2, '0', 1000);
    strcat(zeros, "1234e1003");
    CHECK_SAY(reads_as_strtof(zeros), "%s", "1000 zeros after the point, undone by the exponent");
    memset(zeros, '9', 1000);
    strcpy(zeros + 1000, "e-990");
    CHECK_SAY(reads_as_strtof(zeros), "%s", "1000 digits before the exponent");
}

/* xorshift; any seed but 0 */
static uint64_t
next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void
test_random_numbers(void)
{
    uint64_t    state = 20240229;
    bool        same = true;
    bool        back = true;
    char        number[128];

    for (int i = 0; i < 200000; i++)
    {
        uint64_t    r = next_random(&state);
        uint32_t    bits = (uint32_t) (r >> 32);
        double      middle;
        float       value;

        snprintf(number, sizeof number, "%llu.%llue%d", (unsigned long long) (r >> (r % 64)),
                 (unsigned long long) (next_random(&state) >> (r % 61)), (int) (r % 91) - 60);
        same &= reads_as_strtof(number);

        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        snprintf(number, sizeof number, "%.9g", value);
        back &= reads_as_strtof(number);
        middle = ((double) value + nextafterf(value, 0)) / 2;
        snprintf(number, sizeof number, "%.*g", (int) (r % 12) + 7, middle);
        same &= reads_as_strtof(number);
    }
    CHECK_SAY(same, "%s", "200000 random numbers, and the middles of floats, as strtof reads them");
    CHECK_SAY(back, "%s", "200000 random floats, written with 9 digits, come back");
}

static const Test tests[] = {
    {"errors and where they are", test_errors},
    {"forms", test_forms},
    {"the borders of floats", test_borders},
    {"long numbers", test_long_numbers},
    {"random numbers", test_random_numbers},
    {0},
};

const Subject vectext_subject = {"vectext", tests};
