/*
 * parameters.c: the training parameters, as the view gnnrec.parameters lists them.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "pg/compat.h"
#include "pg/config.h"

PG_FUNCTION_INFO_V1(gnnrec_parameters);

static char *
joined_choices(const GnnParam *p)
{
    StringInfoData s;

    initStringInfo(&s);
    for (int i = 0; p->choices[i] != NULL; i++)
        appendStringInfo(&s, "%s%s", i == 0 ? "" : ", ", p->choices[i]);
    return s.data;
}

static const char *
kind_name(GnnParamKind kind)
{
    return kind == GNN_PARAM_CHOICE ? "text" : kind == GNN_PARAM_REAL ? "real" : "integer";
}

/* one row a parameter: name, type, default, what is allowed, what it does */
Datum
gnnrec_parameters(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result;
    GnnConfig   defaults;

    gnnrec_materialize(fcinfo);
    result = (ReturnSetInfo *) fcinfo->resultinfo;
    gnn_config_defaults(&defaults);
    for (int i = 0; i < gnn_n_params; i++)
    {
        const GnnParam *p = &gnn_params[i];
        Datum       values[5];
        bool        nulls[5] = {false};

        values[0] = CStringGetTextDatum(p->name);
        values[1] = CStringGetTextDatum(kind_name(p->kind));
        values[2] = CStringGetTextDatum(gnnrec_param_text(p, &defaults));
        values[3] = CStringGetTextDatum(p->kind == GNN_PARAM_CHOICE ? joined_choices(p)
                                        : psprintf("%.16g to %.16g", p->min, p->max));
        values[4] = CStringGetTextDatum(p->what);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum) 0;
}
