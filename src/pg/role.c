/*
 * role.c: acting as another role; see role.h.
 */
#include "postgres.h"

#include "pg/role.h"

#include "miscadmin.h"
#include "utils/guc.h"

static const struct
{
    const char *name;
    const char *value;
}           settings[] =
{
    {"search_path", "pg_catalog, pg_temp"},
    {"DateStyle", "ISO, YMD"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "GMT"},        /* which every server knows, without a file */
    {"extra_float_digits", "1"},
    {"bytea_output", "hex"},
    {"lc_monetary", "C"},
};

GnnrecRoleBefore
gnnrec_role_become(Oid role)
{
    GnnrecRoleBefore before = {.level = NewGUCNestLevel()};

    for (int i = 0; i < lengthof(settings); i++)
        (void) set_config_option(settings[i].name, settings[i].value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                 false);
    GetUserIdAndSecContext(&before.user, &before.context);
    SetUserIdAndSecContext(role, before.context | SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
    return before;
}

void
gnnrec_role_return(GnnrecRoleBefore before)
{
    SetUserIdAndSecContext(before.user, before.context);
    AtEOXact_GUC(false, before.level);
}
