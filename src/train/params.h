/*
 * params.h: the parameters of a training, in one table that validates and documents them.
 *
 * The server turns jsonb into GnnConfig by this table, gnnrec.parameters is this table, the README's
 * table is printed from it. No parameter is known anywhere else by name.
 */
#ifndef GNN_TRAIN_PARAMS_H
#define GNN_TRAIN_PARAMS_H

#include "model/model.h"

typedef enum GnnParamKind
{
    GNN_PARAM_CHOICE,           /* one of a list of names; stored as int */
    GNN_PARAM_INT,
    GNN_PARAM_INT64,
    GNN_PARAM_REAL
} GnnParamKind;

typedef struct GnnParam
{
    const char *name;
    GnnParamKind kind;
    size_t      offset;         /* of the field in GnnConfig */
    double      min, max;       /* both allowed; not for choices */
    double      def;            /* the default; for a choice its index */
    const char *const *choices; /* NULL-terminated; for a choice */
    const char *what;           /* one sentence, with the symbol the README's formula uses */
} GnnParam;

extern const GnnParam gnn_params[];
extern const int gnn_n_params;

extern void gnn_config_defaults(GnnConfig *c);
extern const GnnParam *gnn_param_find(const char *name);    /* NULL: no such parameter */

/* what a model has to have for a parameter to mean anything: GnnUse, or 0 where it means something to every model */
extern int gnn_param_use(const GnnParam *p);

/*
 * Set one parameter from a number or a choice's name. Return NULL, or the rule that was broken as a
 * sentence without a period, written to buf: 'dim must be a whole number from 1 to 1024'.
 */
extern const char *gnn_param_set_number(GnnConfig *c, const GnnParam *p, double value, char *buf, size_t size);
extern const char *gnn_param_set_choice(GnnConfig *c, const GnnParam *p, const char *value, char *buf, size_t size);

#endif
