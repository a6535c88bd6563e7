/*
 * doomed.h: the snapshot files that go when this transaction commits: those of a model that is dropped, and of the extension.
 */
#ifndef GNNREC_PG_DOOMED_H
#define GNNREC_PG_DOOMED_H

#include "postgres.h"

/* the files of all the model's runs */
extern void gnnrec_doom_model(int32 model_id);

/* all files of this database, if the extension is no longer there by then */
extern void gnnrec_doom_extension(void);

#endif
