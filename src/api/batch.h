/*
 * batch.h: the lists of many users at once: what recommend() answers each of them, interactions newer than the run apart.
 *
 * Users are added until the batch is full, ranked together in one pass over the items, and listed one by one; then the batch is
 * cleared for the next ones. Its memory is bounded whatever the number of users and the length of the lists.
 *
 * To rank takes no memory and no function of the server: children of this process can share the work.
 */
#ifndef GNNREC_API_BATCH_H
#define GNNREC_API_BATCH_H

#include "postgres.h"

#include "api/nodes.h"
#include "core/topk.h"
#include "pg/snapshot.h"

typedef struct GnnrecBatch
{
    const GnnrecSnapshot *snapshot;
    const GnnrecSnapshotNodes *items;
    int32       length;         /* of a list, at most */
    bool        folded;         /* vectors are folded in, though users have trained ones */
    MemoryContext context;      /* reset when the batch is cleared; callers may keep there what is as short-lived */
    int32       room;
    int32       n;              /* users; of each */
    GnnrecNodes *seen;
    int32      *query;          /* number of the vector; -1: nothing is known of the user */
    int32       n_queries;
    float      *vectors;        /* n_queries x dim, */
    const int32 **skip;         /* with what they leave out */
    int64      *n_skip;
    GnnHit     *hits;           /* and their answers, length each */
    int32      *n_hits;
} GnnrecBatch;

/* as many users as share a pass over the items: a batch of more takes memory, puts off a cancel, and gains one process nothing */
#define GNNREC_BATCH_USERS 32

/* an empty batch of so many users at most, in the current memory context */
extern void gnnrec_batch_init(GnnrecBatch *out, const GnnrecSnapshot *snapshot, int32 length, bool folded, int32 users);

extern void gnnrec_batch_clear(GnnrecBatch *b);

extern bool gnnrec_batch_is_full(const GnnrecBatch *b);

/* a node of type user with its row of interactions; -1 and an empty row: a user the run does not know */
extern void gnnrec_batch_add(GnnrecBatch *b, int32 user, const GnnrecSnapshotRow *seen);

/* when all users are in; or in parts: the queries first .. first + n, of n_queries */
extern void gnnrec_batch_rank(GnnrecBatch *b);
extern void gnnrec_batch_rank_part(GnnrecBatch *b, int32 first, int32 n);

/* the list of user i, and the one of someone who has seen the same and of whom nothing is known; out has room for length */
extern int32 gnnrec_batch_list(GnnHit *out, const GnnrecBatch *b, int32 i);
extern int32 gnnrec_batch_popular(GnnHit *out, const GnnrecBatch *b, int32 i);

#endif
