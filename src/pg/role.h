/*
 * role.h: acting as another role, for statements of ours that are not the caller's.
 *
 * From gnnrec_role_become to gnnrec_role_return the role is the current one, in a security-restricted operation: what runs then
 * can neither become another role nor leave anything behind in the session. And search_path is the system's own: functions of a
 * view or a policy that is read run with the role's rights, and the caller's schemas must not tell what they mean by a name. So
 * are the settings by which dates and numbers become texts, and times without a zone others: what a worker read for a training
 * has to be the same for every session that asks later. An error in between is undone by the end of the (sub)transaction.
 */
#ifndef GNNREC_PG_ROLE_H
#define GNNREC_PG_ROLE_H

#include "postgres.h"

typedef struct GnnrecRoleBefore
{
    Oid         user;
    int         context;
    int         level;          /* of settings */
} GnnrecRoleBefore;

extern GnnrecRoleBefore gnnrec_role_become(Oid role);
extern void gnnrec_role_return(GnnrecRoleBefore before);

#endif
