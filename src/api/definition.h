/*
 * definition.h: a model's definition as it is written: the rows of node types and relations, what is checked of them wherever
 * they come from, and arguments of functions.
 *
 * Who changes a definition has the model's request lock to the end of the transaction.
 */
#ifndef GNNREC_API_DEFINITION_H
#define GNNREC_API_DEFINITION_H

#include "postgres.h"

#include "fmgr.h"

#include "pg/catalog.h"
#include "pg/role.h"

/*
 * The model, locked, as it is now that nobody else changes it: who did may have committed after our statement began. ERROR where
 * there is none any more, or the current role does not own it.
 */
extern GnnrecModel *gnnrec_definition_lock(const GnnrecModel *m);

/* that of a name; ERROR where there is none */
extern GnnrecModel *gnnrec_definition_open(const char *model);

/*
 * Sources and catalogues are looked at as whoever a training reads them as, until gnnrec_role_return(): to plan a query may call
 * functions that the owner of a view has put into it, which are not to run as a superuser who changes another's model.
 */
extern GnnrecRoleBefore gnnrec_definition_become_reader(const GnnrecModel *m);

/* the definition has changed: its row has a new version */
extern void gnnrec_definition_touch(int32 model_id);

/* the row of a node type, its catalogue included, or of a relation: made, or changed where it is there already */
extern void gnnrec_definition_write_type(int32 model_id, const GnnrecNodeType *type);
extern void gnnrec_definition_write_relation(int32 model_id, const GnnrecRelation *r, const GnnrecNodeType *types);

/*
 * Gives the type a catalogue. id_column NULL: the column like_column, or else that of the primary key. ERROR where neither is
 * there, and where the catalogue will not do.
 */
extern void gnnrec_definition_set_catalogue(GnnrecNodeType *type, Oid source, const char *id_column, const char *like_column);

/* NULL for a NULL argument */
extern char *gnnrec_name_argument(FunctionCallInfo fcinfo, int n);
extern char *gnnrec_text_argument(FunctionCallInfo fcinfo, int n);

/* ERROR where the argument is NULL */
extern void gnnrec_required_argument(FunctionCallInfo fcinfo, int n, const char *what);

#endif
