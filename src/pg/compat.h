/*
 * compat.h: what differs between PostgreSQL 14 and 18, each difference once.
 */
#ifndef GNNREC_PG_COMPAT_H
#define GNNREC_PG_COMPAT_H

#include "postgres.h"

#include "catalog/pg_class.h"
#include "utils/acl.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* is the role the owner of the relation, or a member of its owner? */
static inline bool
gnnrec_owns_relation(Oid relation, Oid role)
{
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relation, role);
#else
    return pg_class_ownercheck(relation, role);
#endif
}

#endif
