/*
 * available.c: what there is to choose from: models and losses, as the tables in model/ and train/ have them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/compat.h"
#include "train/loss.h"
#include "train/params.h"

PG_FUNCTION_INFO_V1(gnnrec_models_available);
PG_FUNCTION_INFO_V1(gnnrec_losses_available);

/* the names of the parameters that a model looks at */
static Datum
parameters_of(const GnnModel *model)
{
    Datum      *names = palloc(gnn_n_params * sizeof(Datum));
    int         n = 0;

    for (int i = 0; i < gnn_n_params; i++)
    {
        int         use = gnn_param_use(&gnn_params[i]);

        if (use == 0 || (model->uses & use) != 0)
            names[n++] = CStringGetTextDatum(gnn_params[i].name);
    }
    return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* one row a model: name, what it is, its paper, learning rate, how it folds in, whether explain() works, parameters */
Datum
gnnrec_models_available(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result;

    gnnrec_materialize(fcinfo);
    result = (ReturnSetInfo *) fcinfo->resultinfo;
    for (int i = 0; i < gnn_n_models; i++)
    {
        const GnnModel *m = gnn_models[i];
        Datum       values[7];
        bool        nulls[7] = {false};

        values[0] = CStringGetTextDatum(m->name);
        values[1] = CStringGetTextDatum(m->what);
        values[2] = CStringGetTextDatum(m->paper);
        values[3] = Float8GetDatum(m->learning_rate);
        values[4] = CStringGetTextDatum(gnn_fold_in_name(gnn_model_folds_in(m)));
        values[5] = BoolGetDatum(m->linear);
        values[6] = parameters_of(m);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum) 0;
}

/* one row a loss: name, what it is, what it takes where the parameters leave it to the loss */
Datum
gnnrec_losses_available(PG_FUNCTION_ARGS)
{
    ReturnSetInfo *result;

    gnnrec_materialize(fcinfo);
    result = (ReturnSetInfo *) fcinfo->resultinfo;
    for (int i = 0; i < gnn_n_losses; i++)
    {
        const GnnLoss *l = gnn_losses[i];
        Datum       values[5];
        bool        nulls[5] = {false};

        values[0] = CStringGetTextDatum(l->name);
        values[1] = CStringGetTextDatum(l->what);
        values[2] = Int32GetDatum(l->negatives);
        values[3] = Float8GetDatum(l->reg_weight);
        values[4] = Float8GetDatum(l->contrast_weight);
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum) 0;
}
