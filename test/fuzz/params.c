/* training parameters: whatever a name is set to, a configuration holds what the table allows or what it held before */
#include "train/params.h"

#include "fuzz.h"

static double
value_of(const GnnParam *p, const GnnConfig *c)
{
    const char *field = (const char *) c + p->offset;

    switch (p->kind)
    {
        case GNN_PARAM_CHOICE:
        case GNN_PARAM_INT:
            return *(const int *) field;
        case GNN_PARAM_INT64:
            return (double) *(const int64_t *) field;
        case GNN_PARAM_REAL:
            return *(const double *) field;
    }
    return NAN;
}

static bool
is_allowed(const GnnParam *p, double value)
{
    int         n_choices = 0;

    if (p->kind != GNN_PARAM_CHOICE)
        return value >= p->min && value <= p->max && (p->kind == GNN_PARAM_REAL || value == floor(value));
    while (p->choices[n_choices] != NULL)
        n_choices++;
    return value >= 0 && value < n_choices;
}

static void
check_all(const GnnConfig *c)
{
    for (int i = 0; i < gnn_n_params; i++)
        demand(is_allowed(&gnn_params[i], value_of(&gnn_params[i], c)));
}

/* one step: a number or a text for a parameter, found by a name that may be garbage */
static void
set_something(GnnConfig *c, Bytes *in)
{
    GnnConfig   old = *c;
    char        name[16] = "";
    char        rule[24];
    const GnnParam *p = &gnn_params[take_number(in, gnn_n_params)];
    const char *broken;
    double      number;

    take_bytes(name, in, sizeof(name) - 1);
    take_bytes(&number, in, sizeof(number));
    if (gnn_param_find(name) != NULL)
        p = gnn_param_find(name);
    memset(rule, 'x', sizeof(rule));
    broken = take_number(in, 2) == 0 ? gnn_param_set_number(c, p, number, rule, sizeof(rule))
        : gnn_param_set_choice(c, p, name, rule, sizeof(rule));
    if (broken != NULL)
    {
        demand(broken == rule && memchr(rule, '\0', sizeof(rule)) != NULL);
        demand(memcmp(&old, c, sizeof(old)) == 0);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Bytes       in = {data, size};
    GnnConfig   config;

    gnn_config_defaults(&config);
    check_all(&config);
    while (in.n > 0)
    {
        set_something(&config, &in);
        check_all(&config);
    }
    return 0;
}
