/*
 * config.h: training parameters between jsonb and GnnConfig, by the one table of train/params.h.
 */
#ifndef GNNREC_PG_CONFIG_H
#define GNNREC_PG_CONFIG_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "train/fit.h"

/* sets what the object names; ERROR, listing the valid names or the range, for what is not there or out of it */
extern void gnnrec_config_apply(GnnConfig *config, const Jsonb *params);

/* ERROR where parameters do not go together, or with the graph; NULL: it is not known yet */
extern void gnnrec_config_check(const GnnConfig *config, const GnnGraph *graph);

/*
 * The configuration of a run, by its parameters, if its model's layers make vectors of new users: if it is inductive, or has a
 * tower for them. Those of another run are not looked at: they may be of an older version.
 */
extern bool gnnrec_config_of_layers(GnnConfig *config, const Jsonb *params);

/* every parameter with its value */
extern Jsonb *gnnrec_config_to_jsonb(const GnnConfig *config);

/* one parameter of a configuration as text: a number, or a choice's name */
extern char *gnnrec_param_text(const GnnParam *param, const GnnConfig *config);

/* of a text that is valid json */
extern Jsonb *gnnrec_jsonb(const char *json);

#endif
