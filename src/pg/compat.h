/*
 * compat.h: what differs between PostgreSQL 14 and 18, each difference once.
 */
#ifndef GNNREC_PG_COMPAT_H
#define GNNREC_PG_COMPAT_H

#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/syscache.h"

#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#include "varatt.h"
#endif

/* soft errors, which an input function saves instead of throwing, exist since 16; before, every error is thrown */
#if PG_VERSION_NUM < 160000
#define errsave(escontext, ...) do { (void) (escontext); ereport(ERROR, __VA_ARGS__); } while (0)
#endif

/* since 18; before, the attribute could only stand behind a declaration */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
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

/* the owner of a relation; ERROR where there is none */
static inline Oid
gnnrec_relation_owner(Oid relation)
{
    HeapTuple   row = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    Oid         owner;

    if (!HeapTupleIsValid(row))
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", relation)));
    owner = ((Form_pg_class) GETSTRUCT(row))->relowner;
    ReleaseSysCache(row);
    return owner;
}

/*
 * Sets a set-returning function up to fill result->setResult. expected: rows as the caller expects them (for one declared with
 * RETURNS TABLE these are the same, resolved already); otherwise as the SQL declaration has them.
 */
static inline void
gnnrec_materialize_as(FunctionCallInfo fcinfo, bool expected)
{
#if PG_VERSION_NUM >= 160000
    InitMaterializedSRF(fcinfo, expected ? MAT_SRF_USE_EXPECTED_DESC : 0);
#elif PG_VERSION_NUM >= 150000
    SetSingleFuncCall(fcinfo, expected ? SRF_SINGLE_USE_EXPECTED : 0);
#else
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
    MemoryContext old;
    TupleDesc   desc;

    if (result == NULL || !IsA(result, ReturnSetInfo) || !(result->allowedModes & SFRM_Materialize))
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("set-valued function called in context that cannot accept a set")));
    old = MemoryContextSwitchTo(result->econtext->ecxt_per_query_memory);
    if (expected)
        desc = CreateTupleDescCopy(result->expectedDesc);
    else if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    result->returnMode = SFRM_Materialize;
    result->setResult = tuplestore_begin_heap((result->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
    result->setDesc = desc;
    MemoryContextSwitchTo(old);
#endif
}

static inline void
gnnrec_materialize(FunctionCallInfo fcinfo)
{
    gnnrec_materialize_as(fcinfo, false);
}

#endif
