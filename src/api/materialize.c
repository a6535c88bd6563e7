/*
 * materialize.c: the lists of all users into a table of the caller's, by a background worker.
 *
 * rank -> write. Lists are what recommend_all() answers. They are ranked in rounds, each of as many users as maintenance_work_mem
 * has room for, by one child process a core (pg/child.h): they take blocks of users off a shared counter and leave their answers
 * in shared memory. Between rounds the lists go to a temporary file. So memory is bounded, and no transaction is open while the
 * numbers run. Then one transaction writes all lists, with the rights of the role that asked: whoever reads the table sees the
 * old ones until it commits.
 */
#include "postgres.h"

#include <stdatomic.h>

#include "catalog/pg_type.h"
#include "commands/tablespace.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "api/batch.h"
#include "api/serve.h"
#include "core/team.h"
#include "pg/child.h"
#include "pg/config.h"
#include "pg/role.h"
#include "pg/source.h"
#include "pg/worker.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(gnnrec_materialize_lists);

extern void gnnrec_materialization_main(Datum arg);

static const GnnrecTask materialization = {"materialization", "gnnrec_materialization_main"};

#define COLUMNS "user_id, item_id, score, rank"
#define N_COLUMNS 4

static const char *const columns[N_COLUMNS] = {"user_id", "item_id", "score", "rank"};

#define CHILD_MEMORY (64 * 1024 * 1024)     /* ranking takes none but its stack */

/* ---------------------------------------------------------------------------------------------------------------------
 * Asking
 * ------------------------------------------------------------------------------------------------------------------ */

static bool
is_merge(text *mode)
{
    char       *choice = text_to_cstring(mode);

    if (strcmp(choice, "replace") != 0 && strcmp(choice, "merge") != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("mode must be 'replace' or 'merge'"),
                 errhint("replace empties the table first; merge leaves the rows of users whom the run does not know.")));
    return strcmp(choice, "merge") == 0;
}

/* the statement that makes a table to take a model's lists */
static char *
suitable_table(const GnnrecModel *m, Oid target)
{
    return psprintf("CREATE TABLE %s (user_id %s, item_id %s, score real, rank integer)", gnnrec_relation_name(target),
                    format_type_be(m->types[GNNREC_USER].id_type), format_type_be(m->types[GNNREC_ITEM].id_type));
}

/* who writes: the role that asked or, as triggers of the table run with its rights, for a superuser the table's owner */
static Oid
writer_of(Oid target, Oid asker)
{
    return superuser_arg(asker) ? gnnrec_relation_owner(target) : asker;
}

static char *
delete_statement(const GnnrecModel *m, Oid target, bool merge)
{
    char       *statement = psprintf("DELETE FROM %s", gnnrec_relation_name(target));

    return !merge ? statement
        : psprintf("%s WHERE user_id IN (SELECT user_id FROM %s WHERE run_id OPERATOR(pg_catalog.=) $1)", statement,
                   gnnrec_relation_name(m->types[GNNREC_USER].table));
}

/* may the role do this to the table, or at least to these of its columns? */
static bool
may(Oid role, Oid target, AclMode right, int n_columns)
{
    bool        all = true;

    if (pg_class_aclcheck(target, role, right) == ACLCHECK_OK)
        return true;
    for (int c = 0; c < n_columns; c++)
        all &= pg_attribute_aclcheck(target, get_attnum(target, columns[c]), role, right) == ACLCHECK_OK;
    return all && n_columns > 0;
}

static void
check_rights(Oid role, Oid target, bool merge)
{
    if (!may(role, target, ACL_INSERT, N_COLUMNS) || !may(role, target, ACL_DELETE, 0)
        || (merge && !may(role, target, ACL_SELECT, 1)))
        aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(target)), get_rel_name(target));
}

static void
check_kind(const GnnrecModel *m, Oid target)
{
    if (get_rel_name(target) == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("relation with OID %u does not exist", target)));
    if (strchr("rpvf", get_rel_relkind(target)) == NULL || get_rel_persistence(target) == RELPERSISTENCE_TEMP)
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                 errmsg("\"%s\" is no relation that a worker can write to", get_rel_name(target)),
                 errdetail("It has to be a table, a view or a foreign table, and not a temporary one.")));
    for (int c = 0; c < N_COLUMNS; c++)
        if (get_attnum(target, columns[c]) <= 0)
            ereport(ERROR,
                    (errcode(ERRCODE_UNDEFINED_COLUMN),
                     errmsg("column \"%s\" of relation \"%s\" does not exist", columns[c], get_rel_name(target)),
                     errhint("A table to take the lists: %s.", suitable_table(m, target))));
}

/* that the server understands the statements, casts and operators included: a plan that is thrown away */
static void
check_statements(const GnnrecModel *m, Oid target, bool merge)
{
    Oid         types[N_COLUMNS] = {m->types[GNNREC_USER].id_type, m->types[GNNREC_ITEM].id_type, FLOAT4OID, INT4OID};
    Oid         run = INT8OID;
    char       *insert = psprintf("INSERT INTO %s (%s) SELECT $1, $2, $3, $4", gnnrec_relation_name(target), COLUMNS);

    SPI_connect();
    if (SPI_prepare(insert, N_COLUMNS, types) == NULL
        || SPI_prepare(delete_statement(m, target, merge), merge ? 1 : 0, &run) == NULL)
        elog(ERROR, "could not prepare to write to \"%s\"", get_rel_name(target));
    SPI_finish();
}

/* what would come out when all lists are ranked: better an error for who asks */
static void
check_target(const GnnrecModel *m, Oid target, Oid asker, bool merge)
{
    GnnrecRoleBefore before;

    check_kind(m, target);
    check_rights(writer_of(target, asker), target, merge);
    before = gnnrec_role_become(writer_of(target, asker));
    check_statements(m, target, merge);
    gnnrec_role_return(before);
}

static Jsonb *
params_of(const GnnrecJobOrder *order)
{
    StringInfoData s;

    initStringInfo(&s);
    appendStringInfoString(&s, "{\"target\": ");
    escape_json(&s, gnnrec_relation_name(order->target));
    appendStringInfo(&s, ", \"k\": %d, \"mode\": \"%s\"}", order->k, order->merge ? "merge" : "replace");
    return gnnrec_jsonb(s.data);
}

/* gnnrec.materialize(model, target, k, mode) -> run id; the worker starts when the transaction commits */
Datum
gnnrec_materialize_lists(PG_FUNCTION_ARGS)
{
    GnnrecModel *m = gnnrec_model_by_name(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
    GnnrecJobOrder order = {.target = PG_GETARG_OID(1), .k = PG_GETARG_INT32(2), .merge = is_merge(PG_GETARG_TEXT_PP(3))};

    PreventCommandDuringRecovery("gnnrec.materialize()");
    PreventCommandIfReadOnly("gnnrec.materialize()");
    gnnrec_model_check_owner(m);
    if (order.k < 1)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("k must be at least 1"),
                 errdetail("It is %d.", order.k)));
    check_target(m, order.target, GetUserId(), order.merge);
    (void) gnnrec_serve_model(m->model_id, GNNREC_FROM_BOTH);
    PG_RETURN_INT64(gnnrec_job_request(&order, &materialization, m, params_of(&order), false));
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Ranking
 * ------------------------------------------------------------------------------------------------------------------ */

/* what children and we share: the answers of a round's queries, as in GnnrecBatch, lie behind it */
typedef struct Shared
{
    atomic_int  next;           /* query that nobody has taken */
    char        message[GNNREC_CHILD_MESSAGE];
} Shared;

/* before the hits of a list in the temporary file */
typedef struct ListHead
{
    int32       user;
    int32       n;
} ListHead;

typedef struct Materialization
{
    GnnrecWorker *w;
    const GnnrecSnapshot *snapshot; /* this process maps one run, so it stays mapped from transaction to transaction */
    GnnrecBatch batch;          /* of a round */
    Shared     *shared;
    BufFile    *file;           /* ListHead and hits of each user */
    int32       ranked;         /* users of the rounds before */
    int64       n_rows;
    double      seconds[2];
} Materialization;

enum {RANKING, WRITING};

/* one block of queries; false: there are none left */
static bool
rank_block(Materialization *m)
{
    int32       first = atomic_fetch_add(&m->shared->next, GNNREC_BATCH_USERS);

    if (first >= m->batch.n_queries)
        return false;
    gnnrec_batch_rank_part(&m->batch, first, Min(GNNREC_BATCH_USERS, m->batch.n_queries - first));
    return true;
}

static bool
rank_in_child(void *arg)
{
    while (rank_block(arg))
        ;
    return true;
}

/* how far we are, in the run's row */
static void
poll(void *arg)
{
    Materialization *m = arg;
    Oid         types[] = {INT8OID, INT4OID};
    Datum       values[2];
    bool        isnull;

    if (!gnnrec_worker_report_is_due(m->w))
        return;
    values[0] = Int64GetDatum(m->w->order.run_id);
    values[1] = Int32GetDatum(m->ranked + Min(Max(atomic_load(&m->shared->next), 0), m->batch.n));
    gnnrec_worker_begin();
    gnnrec_catalog_write("UPDATE gnnrec.run SET step = $2 WHERE run_id = $1", 2, types, values, NULL, &isnull);
    gnnrec_worker_report(m->w, psprintf("ranking, user %d of %d", DatumGetInt32(values[1]), m->w->steps));
    gnnrec_worker_commit(m->w);
}

static void
rank_here(Materialization *m)
{
    while (rank_block(m))
    {
        CHECK_FOR_INTERRUPTS();
        poll(m);
    }
    m->w->peak_memory = gnnrec_peak_memory((char *) (m->batch.hits + (size_t) m->batch.room * m->batch.length)
                                           - (char *) m->shared);
}

static void
rank_in_children(Materialization *m)
{
    GnnrecChildren children = {.what = materialization.name, .memory_hint = "k", .area = m->shared, .message = m->shared->message,
                               .work = rank_in_child, .arg = m, .memory = CHILD_MEMORY, .nice = m->w->order.nice,
                               .peak_memory = &m->w->peak_memory};

    gnnrec_children_run(&children, Min(gnn_team_size(m->w->order.threads), m->batch.n_queries / GNNREC_BATCH_USERS + 1), poll, m);
}

/* the next users into the batch */
static void
fill(Materialization *m)
{
    gnnrec_batch_clear(&m->batch);
    for (int32 user = m->ranked; user < m->w->steps && !gnnrec_batch_is_full(&m->batch); user++)
    {
        GnnrecSnapshotRow seen;

        CHECK_FOR_INTERRUPTS();
        gnnrec_snapshot_row(&seen, m->snapshot, user);
        gnnrec_batch_add(&m->batch, user, &seen);
    }
}

/* the lists of the batch to the file */
static void
keep(Materialization *m)
{
    GnnHit     *list = MemoryContextAllocHuge(m->batch.context, sizeof(GnnHit) * (Size) m->batch.length);

    for (int32 i = 0; i < m->batch.n; i++)
    {
        ListHead    head = {m->ranked + i, gnnrec_batch_list(list, &m->batch, i)};

        CHECK_FOR_INTERRUPTS();
        BufFileWrite(m->file, &head, sizeof(head));
        BufFileWrite(m->file, list, sizeof(GnnHit) * (Size) head.n);
        m->n_rows += head.n;
    }
}

static bool
is_list(const GnnHit *hits, int32 n, int32 length, int32 n_items)
{
    if (n < 0 || n > length)
        return false;
    for (int32 i = 0; i < n; i++)
        if (hits[i].row < 0 || hits[i].row >= n_items)
            return false;
    return true;
}

/* A child that runs wild may write anything into what we share: a list is checked before it is used. */
static void
check_answers(const Materialization *m)
{
    const GnnrecBatch *b = &m->batch;

    for (int32 q = 0; q < b->n_queries; q++)
        if (!is_list(b->hits + (int64) q * b->length, b->n_hits[q], b->length, b->items->n))
            ereport(ERROR,
                    (errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
                     errmsg("the %s process left no answer", materialization.name)));
}

static void
rank_round(Materialization *m)
{
    fill(m);
    atomic_store(&m->shared->next, 0);
    if (m->w->order.isolate)
        rank_in_children(m);
    else
        rank_here(m);
    check_answers(m);
    keep(m);
    m->ranked += m->batch.n;
}

/* the batch's answers in memory that children write to */
static Shared *
share_answers(GnnrecBatch *b)
{
    size_t      head = MAXALIGN(sizeof(Shared));
    size_t      counts = MAXALIGN(sizeof(int32) * (size_t) b->room);
    char       *area = gnnrec_child_area(head + counts + sizeof(GnnHit) * (size_t) b->room * b->length);

    pfree(b->hits);
    pfree(b->n_hits);
    b->n_hits = (int32 *) (area + head);
    b->hits = (GnnHit *) (area + head + counts);
    return (Shared *) area;
}

static void
rank(Materialization *m)
{
    const GnnrecSnapshotNodes *items = &m->snapshot->types[GNNREC_ITEM];
    int32       k = Min(m->w->order.k, items->n);
    Size        room = (Size) maintenance_work_mem * 1024 / (sizeof(float) * items->dim + sizeof(GnnHit) * k);

    gnnrec_batch_init(&m->batch, m->snapshot, k, false, Min(room, m->w->steps));
    m->shared = share_answers(&m->batch);
    while (m->ranked < m->w->steps)
        rank_round(m);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * Writing
 * ------------------------------------------------------------------------------------------------------------------ */

static void
execute(const char *sql)
{
    if (SPI_execute(sql, false, 0) < 0)
        elog(ERROR, "could not execute \"%s\"", sql);
}

static void
delete_old(const Materialization *m)
{
    Oid         type = INT8OID;
    Datum       run = Int64GetDatum(m->snapshot->run_id);
    char       *delete = delete_statement(m->w->model, m->w->order.target, m->w->order.merge);

    if (SPI_execute_with_args(delete, m->w->order.merge ? 1 : 0, &type, &run, NULL, false, 0) < 0)
        elog(ERROR, "could not execute \"%s\"", delete);
}

static void
read_exact(BufFile *file, void *to, size_t bytes)
{
    if (BufFileRead(file, to, bytes) != bytes)
        ereport(ERROR,
                (errcode_for_file_access(),
                 errmsg("could not read the lists back from their temporary file")));
}

static void
write_list(Materialization *m, GnnrecWriter *writer, GnnHit *list)
{
    ListHead    head;

    read_exact(m->file, &head, sizeof(head));
    read_exact(m->file, list, sizeof(GnnHit) * (size_t) head.n);
    for (int32 i = 0; i < head.n; i++)
    {
        MemoryContext old = MemoryContextSwitchTo(writer->row_context);
        Datum       values[N_COLUMNS] = {gnnrec_snapshot_id(m->snapshot, GNNREC_USER, head.user),
                                         gnnrec_snapshot_id(m->snapshot, GNNREC_ITEM, list[i].row),
                                         Float4GetDatum(list[i].score), Int32GetDatum(i + 1)};
        bool        nulls[N_COLUMNS] = {false};

        MemoryContextSwitchTo(old);
        gnnrec_writer_add(writer, values, nulls);
    }
}

static void
write_lists(Materialization *m)
{
    Oid         types[N_COLUMNS] = {m->snapshot->types[GNNREC_USER].key.type, m->snapshot->types[GNNREC_ITEM].key.type,
                                    FLOAT4OID, INT4OID};
    GnnHit     *list = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(GnnHit) * (Size) m->batch.length);
    GnnrecWriter writer;

    if (BufFileSeek(m->file, 0, 0, SEEK_SET) != 0)
        ereport(ERROR,
                (errcode_for_file_access(),
                 errmsg("could not rewind the temporary file of the lists")));
    gnnrec_writer_begin(&writer, m->w->order.target, COLUMNS, types, N_COLUMNS);
    for (int32 i = 0; i < m->ranked; i++)
        write_list(m, &writer, list);
    gnnrec_writer_end(&writer);
}

/* the model's row is locked: a rollback waits for us now, and one that was sooner is seen */
static void
check_live(const Materialization *m)
{
    bool        is_live;

    PushActiveSnapshot(GetTransactionSnapshot());
    is_live = gnnrec_live_run(m->w->order.model_id) == m->snapshot->run_id;
    PopActiveSnapshot();
    if (!is_live)
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("another run of model \"%s\" went live while lists were ranked", m->w->model->name),
                 errhint("Ask again: the lists will be those of the run that is live now.")));
}

/*
 * Two that replace the same rows take turns; who reads or writes a row is not kept out, and we wait for who locked the table.
 * Deferred triggers run at once: at the commit they would run as another role, and a trigger can defer them again.
 */
static void
write_target(Materialization *m)
{
    Oid         target = m->w->order.target;
    GnnrecRoleBefore before;

    SetConfigOption("lock_timeout", "0", PGC_USERSET, PGC_S_SESSION);
    LockRelationOid(target, ShareUpdateExclusiveLock);
    gnnrec_worker_lock_model(m->w);
    check_live(m);
    check_target(m->w->model, target, m->w->order.role, m->w->order.merge);
    before = gnnrec_role_become(writer_of(target, m->w->order.role));
    SPI_connect();
    execute("SET CONSTRAINTS ALL IMMEDIATE");
    delete_old(m);
    write_lists(m);
    execute("SET CONSTRAINTS ALL IMMEDIATE");
    SPI_finish();
    gnnrec_role_return(before);
}

static Jsonb *
metrics(const Materialization *m)
{
    char       *s = psprintf("{\"run\": " INT64_FORMAT ", \"users\": %d, \"rows\": " INT64_FORMAT
                             ", \"rank_seconds\": %.3f, \"write_seconds\": %.3f}",
                             m->snapshot->run_id, m->ranked, m->n_rows, m->seconds[RANKING], m->seconds[WRITING]);

    return gnnrec_jsonb(s);
}

static void
write_success(const Materialization *m)
{
    Oid         types[] = {INT8OID, JSONBOID, INT8OID, INT4OID};
    Datum       values[] = {Int64GetDatum(m->w->order.run_id), JsonbPGetDatum(metrics(m)), Int64GetDatum(m->w->peak_memory),
                            Int32GetDatum(m->ranked)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'succeeded', phase = NULL, message = NULL, metrics = $2, "
                         "peak_memory = $3, step = $4, finished_at = pg_catalog.clock_timestamp() WHERE run_id = $1",
                         lengthof(types), types, values, NULL, &isnull);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The job
 * ------------------------------------------------------------------------------------------------------------------ */

/* the run that is live now, for the role that asked; the file is made here because temp_tablespaces needs a transaction */
static void
begin(Materialization *m)
{
    GnnrecRoleBefore before;

    gnnrec_worker_begin();
    before = gnnrec_role_become(m->w->order.role);
    m->snapshot = gnnrec_serve_model(m->w->order.model_id, GNNREC_FROM_BOTH);
    gnnrec_role_return(before);
    PrepareTempTablespaces();
    MemoryContextSwitchTo(m->w->context);
    m->file = BufFileCreateTemp(true);
    gnnrec_worker_commit(m->w);
    m->w->steps = m->snapshot->types[GNNREC_USER].n;
}

static void
materialize(GnnrecWorker *w)
{
    Materialization *m = palloc0(sizeof(Materialization));
    instr_time  start;

    m->w = w;
    begin(m);
    gnnrec_worker_enter(w, "ranking");
    INSTR_TIME_SET_CURRENT(start);
    rank(m);
    m->seconds[RANKING] = gnnrec_seconds_since(start);
    gnnrec_worker_enter(w, "writing");
    INSTR_TIME_SET_CURRENT(start);
    gnnrec_worker_begin();
    write_target(m);
    m->seconds[WRITING] = gnnrec_seconds_since(start);
    write_success(m);
    gnnrec_worker_commit(w);
}

void
gnnrec_materialization_main(Datum arg)
{
    gnnrec_worker_run(arg, materialize);
}
