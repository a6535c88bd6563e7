/*
 * parts.h: which relations of the graph a relation of the model makes.
 *
 * Most make one. A relation_column makes one of each of its values, and interactions whose behaviours are separate make one of
 * each kind of event with a weight above zero, the one that is learned first. A graph has room for GNN_MAX_RELATIONS: where there
 * are more values, the rarest are one relation together.
 */
#ifndef GNNREC_PG_PARTS_H
#define GNNREC_PG_PARTS_H

#include "postgres.h"

#include "core/graph.h"
#include "pg/catalog.h"
#include "pg/idmap.h"

typedef struct GnnrecParts
{
    int         n;
    char       *name[GNN_MAX_RELATIONS];
    int32      *of_kind;        /* the part of each kind of row; n: none, such rows are no edges. NULL: all rows are part 0 */
    int32       n_rarest;       /* values that are the last part together */
} GnnrecParts;

/* for values of relation_columns, which share it evenly, in the order of their relations */
typedef struct GnnrecRoom
{
    int         n_relations;    /* left */
    int         n_sharing;      /* relations to come */
} GnnrecRoom;

/* ERROR where the model's relations make more of the graph than that has room for, whatever the data */
extern void gnnrec_parts_check(const GnnrecModel *model);

extern GnnrecRoom gnnrec_room_for_values(const GnnrecModel *model);

/* how many parts the next relation has, if it has so many values */
extern int  gnnrec_room_take(GnnrecRoom *room, int64 n_values);

/* kinds as gnnrec_event_weights_read numbers them */
extern void gnnrec_parts_of_behaviours(GnnrecParts *p, const GnnrecRelation *relation);

/* kinds are values, in the order of their names, as are their parts; n_rows: how many rows have each */
extern void gnnrec_parts_of_values(GnnrecParts *p, const GnnrecRelation *relation, const GnnrecIdMap *values, const int64 *n_rows,
                                   GnnrecRoom *room);

#endif
