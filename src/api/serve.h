/*
 * serve.h: what the functions that answer from a snapshot share: their rights, their arguments, their rows.
 */
#ifndef GNNREC_API_SERVE_H
#define GNNREC_API_SERVE_H

#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"

#include "api/nodes.h"
#include "core/topk.h"
#include "pg/snapshot.h"

/* the node types an answer is made from: the current role must be allowed to read all of their tables, at every call */
#define GNNREC_FROM_USERS (1 << GNNREC_USER)
#define GNNREC_FROM_ITEMS (1 << GNNREC_ITEM)
#define GNNREC_FROM_BOTH (GNNREC_FROM_USERS | GNNREC_FROM_ITEMS)
#define GNNREC_FROM_ARGUMENT (1 << GNN_MAX_TYPES)   /* the one that the second argument names */

/* the live run of the model whose item table is the first argument; ERROR where the right is missing, before anything else */
extern const GnnrecSnapshot *gnnrec_serve(FunctionCallInfo fcinfo, int types);

/*
 * The same, looked up once a query, for functions that materialize a set at each call and leave fn_extra to us: what a call keeps
 * there for the next one lives as long as the executor's run, and that has one view of the database.
 */
extern const GnnrecSnapshot *gnnrec_serve_kept(FunctionCallInfo fcinfo, int types);

/* the same of the model whose name is the first argument, a text, and of one that is known by its number */
extern const GnnrecSnapshot *gnnrec_serve_named(FunctionCallInfo fcinfo, int types);
extern const GnnrecSnapshot *gnnrec_serve_model(int32 model_id, int types);

/* the number of the node type that the second argument names */
extern int  gnnrec_serve_type(FunctionCallInfo fcinfo, const GnnrecSnapshot *snapshot);

/*
 * ERROR unless an argument, or the elements of an array argument, are of the node type's id type: the functions are polymorphic,
 * and a datum of another type would be misread.
 */
extern void gnnrec_serve_check_id(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshotNodes *nodes);
extern void gnnrec_serve_check_ids(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshotNodes *nodes);

/* an array, taken apart in the current memory context */
typedef struct GnnrecElements
{
    Datum      *value;
    bool       *is_null;
    int         n;
} GnnrecElements;

extern GnnrecElements gnnrec_serve_elements(ArrayType *array);

/*
 * The nodes of a type that an array argument names, ascending; NULL elements and what is not in the run are nothing. The array of
 * the call before, if it is the same, is not looked up again: for functions that ask gnnrec_serve_kept.
 */
extern GnnrecNodes gnnrec_serve_nodes(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshot *snapshot, int type);

/* a boolean argument; NULL is true */
extern bool gnnrec_serve_flag(FunctionCallInfo fcinfo, int argument);

/* k of n: NULL is all, below zero an ERROR */
extern int32 gnnrec_serve_k(FunctionCallInfo fcinfo, int argument, int32 n);

/* the node an id argument means; -1: NULL, or not in the run */
extern int32 gnnrec_serve_node(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshot *snapshot, int type);

/* a text argument, read as an id of the type */
extern Datum gnnrec_serve_parse_id(FunctionCallInfo fcinfo, int argument, const GnnrecSnapshotNodes *nodes);

/*
 * out = what interactions make of the vector of a user: where the run has weights, what the model's layers do; else sum over
 * items of w / sqrt(D_u * D_i) * fold_in_i, see asker.h. `others` is what D_u has of edges of other relations, of which the
 * layers take no notice. False where no item says anything; then out means nothing.
 */
extern bool gnnrec_serve_fold_in(float *out, const GnnrecSnapshot *snapshot, const GnnrecSnapshotRow *row, double others);

/*
 * out = the vector of a user that the run does not know, by what the catalogue says of them now: where the model has a tower for
 * users' features, and the run has kept it; of a degree of 0 or more. In a linear model it is a summand beside what the items
 * say. False: there is nothing to go by; then out means nothing.
 */
extern bool gnnrec_serve_features(float *out, const GnnrecSnapshot *snapshot, Datum user_id, double degree);

/* the items of a user's row that are not to be recommended: the disliked ones and, if seen ones are, those that hide */
extern GnnrecNodes gnnrec_serve_hidden(const GnnrecSnapshotRow *row, bool exclude_seen);

/* the rows of an answer: id, score, rank and, where there is one, source */
typedef struct GnnrecAnswer
{
    const GnnrecSnapshot *snapshot;
    int         type;           /* of the nodes that are answered */
    ReturnSetInfo *result;
    bool        as_text;        /* ids as text */
    FmgrInfo    output;         /* of the id type, where so */
    int32       rank;           /* of the last row */
} GnnrecAnswer;

/* may be called before anything else, so that an empty answer is a set too */
extern void gnnrec_answer_begin(GnnrecAnswer *out, FunctionCallInfo fcinfo,
                                const GnnrecSnapshot *snapshot, int type, bool as_text);

/* source: a text datum, for the functions that have such a column */
extern void gnnrec_answer_add(GnnrecAnswer *answer, const GnnHit *hits, int32 n, Datum source);

#endif
