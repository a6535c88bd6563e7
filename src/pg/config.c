/*
 * config.c: training parameters between jsonb and GnnConfig; see config.h.
 */
#include "postgres.h"

#include "pg/config.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "model/induct.h"
#include "model/tower.h"
#include "pg/compat.h"

static char *
valid_names(void)
{
    StringInfoData s;

    initStringInfo(&s);
    for (int i = 0; i < gnn_n_params; i++)
        appendStringInfo(&s, "%s%s", i == 0 ? "" : ", ", gnn_params[i].name);
    return s.data;
}

static const GnnParam *
find_param(const JsonbValue *key)
{
    char       *name = pnstrdup(key->val.string.val, key->val.string.len);
    const GnnParam *param = gnn_param_find(name);

    if (param == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("there is no training parameter \"%s\"", name),
                 errhint("The parameters are %s; gnnrec.parameters explains them.", valid_names())));
    return param;
}

static void
set_param(GnnConfig *config, const GnnParam *param, const JsonbValue *value)
{
    char        rule[256];
    const char *broken;

    if (value->type == jbvNumeric && param->kind != GNN_PARAM_CHOICE)
        broken = gnn_param_set_number(config, param,
                                      DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(value->val.numeric))),
                                      rule, sizeof(rule));
    else if (value->type == jbvString && param->kind == GNN_PARAM_CHOICE)
        broken = gnn_param_set_choice(config, param, pnstrdup(value->val.string.val, value->val.string.len), rule, sizeof(rule));
    else
    {
        snprintf(rule, sizeof(rule), "%s must be a %s", param->name, param->kind == GNN_PARAM_CHOICE ? "string" : "number");
        broken = rule;
    }
    if (broken != NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("%s", broken),
                 errhint("gnnrec.parameters lists all parameters with their ranges.")));
}

void
gnnrec_config_apply(GnnConfig *config, const Jsonb *params)
{
    JsonbIterator *it = JsonbIteratorInit((JsonbContainer *) &params->root);
    const GnnParam *param = NULL;
    JsonbValue  v;
    JsonbIteratorToken token;

    if (!JB_ROOT_IS_OBJECT(params))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("training parameters must be a JSON object"),
                 errhint("For example '{\"dim\": 128, \"steps\": 100}'.")));
    while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
    {
        if (token == WJB_KEY)
            param = find_param(&v);
        else if (token == WJB_VALUE)
            set_param(config, param, &v);
    }
}

void
gnnrec_config_check(const GnnConfig *config, const GnnGraph *graph)
{
    const GnnRefusal *refusal = gnn_fit_refusal(config, graph);

    if (refusal != NULL)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("%s", refusal->message),
                 errhint("%s", refusal->hint)));
}

static bool
has_layers(const GnnConfig *config)
{
    return gnn_is_inductive(config) || gnn_has_tower(config);
}

bool
gnnrec_config_of_layers(GnnConfig *config, const Jsonb *params)
{
    char        rule[256];
    JsonbValue  model;

    gnn_config_defaults(config);
    if (!JB_ROOT_IS_OBJECT(params) || getKeyJsonValueFromContainer((JsonbContainer *) &params->root, "model", 5, &model) == NULL
        || model.type != jbvString
        || gnn_param_set_choice(config, gnn_param_find("model"), pnstrdup(model.val.string.val, model.val.string.len),
                                rule, sizeof(rule)) != NULL
        || !has_layers(config))
        return false;
    gnnrec_config_apply(config, params);
    return has_layers(config);
}

char *
gnnrec_param_text(const GnnParam *param, const GnnConfig *config)
{
    const char *field = (const char *) config + param->offset;

    switch (param->kind)
    {
        case GNN_PARAM_CHOICE:
            return pstrdup(param->choices[*(const int *) field]);
        case GNN_PARAM_INT:
            return psprintf("%d", *(const int *) field);
        case GNN_PARAM_INT64:
            return psprintf(INT64_FORMAT, *(const int64 *) field);
        case GNN_PARAM_REAL:
            return float8out_internal(*(const double *) field);
    }
    pg_unreachable();
}

Jsonb *
gnnrec_config_to_jsonb(const GnnConfig *config)
{
    StringInfoData s;

    initStringInfo(&s);
    for (int i = 0; i < gnn_n_params; i++)
    {
        const char *quote = gnn_params[i].kind == GNN_PARAM_CHOICE ? "\"" : "";

        appendStringInfo(&s, "%s\"%s\": %s%s%s", i == 0 ? "{" : ", ", gnn_params[i].name,
                         quote, gnnrec_param_text(&gnn_params[i], config), quote);
    }
    appendStringInfoChar(&s, '}');
    return gnnrec_jsonb(s.data);
}

Jsonb *
gnnrec_jsonb(const char *json)
{
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(json)));
}
