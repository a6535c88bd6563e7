/*
 * snapshot_build.h: from the embedding tables of a run to the image that serves it.
 */
#ifndef GNNREC_PG_SNAPSHOT_BUILD_H
#define GNNREC_PG_SNAPSHOT_BUILD_H

#include "postgres.h"

#include "pg/snapshot_file.h"

/*
 * Reads the rows of out->run_id that the active snapshot sees into a new image, owned by the current memory context, and
 * points the arrays of out, which describes the types and relations, into it. ERROR data_corrupted where the tables do not
 * hold a whole run. *own: this very transaction may have changed the tables; then the image is this backend's alone.
 */
extern GnnrecImage *gnnrec_snapshot_build(GnnrecSnapshot *out, Oid catalog, bool *own);

#endif
