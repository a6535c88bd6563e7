/*
 * schema.h: what a model's schema holds: a table of embeddings for each node type, and typed functions.
 *
 * All of it is made and dropped by SQL: ordinary objects, whose rights and dependencies the server looks after. The rows that
 * describe a model in the extension's catalogue are its callers' business. Who calls has checked that the role owns the model.
 */
#ifndef GNNREC_API_SCHEMA_H
#define GNNREC_API_SCHEMA_H

#include "postgres.h"

#include "pg/catalog.h"

/* makes the schema, unless one was named that is there; tells whether it did. ERROR where it has no room for a model */
extern bool gnnrec_schema_make(const char *schema, bool named);

/* the tables of users and items, by type number, and the model's functions; as the current role */
extern void gnnrec_schema_make_objects(Oid tables[2], const char *schema, Oid user_type, Oid item_type);

/*
 * The table and the functions of a further node type, beside those of the items, as the model's owner; returns the table.
 * ERROR where the name does not lend itself to theirs.
 */
extern Oid  gnnrec_schema_add_type(const GnnrecModel *m, const char *type, Oid id_type);

/* drops the functions and the table of a further type, the one at that place of m->types, as the current role */
extern void gnnrec_schema_drop_type(const GnnrecModel *m, int type, bool cascade);

/* drops all there is of the model, and its schema if create_model made it and nothing else is in it; as the current role */
extern void gnnrec_schema_drop(const GnnrecModel *m, bool cascade);

#endif
