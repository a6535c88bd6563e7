/*
 * materialize.c: the lists of all users into a table of the caller's, by a background worker.
 *
 * rank -> write. Lists are what recommend_all() answers. They are ranked in rounds, each of as many users as maintenance_work_mem
 * has room for, by one child process a core (pg/child.h): they take blocks of users off a shared counter and leave their answers
 * in shared memory. Between rounds the lists go to a temporary file. So memory is bounded, and no transaction is open while the
 * numbers run. Then one transaction writes all lists, with the rights of the role that asked: whoever reads the table sees the old
 * ones until it commits.
 */
#include "postgres.h"

#include <stdatomic.h>

#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/buffile.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "api/batch.h"
#include "api/serve.h"
#include "core/team.h"
#include "pg/child.h"
#include "pg/source.h"
#include "pg/worker.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(gnnrec_materialize_lists);

extern void gnnrec_materialization_main(Datum arg);

static const GnnrecTask materialization = {"materialization", "gnnrec_materialization_main"};

#define COLUMNS "user_id, item_id, score, rank"
#define N_COLUMNS 4
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

/* what the worker would find out later: better an error for who asks */
static void
check_target(const GnnrecModel *m, Oid target, bool merge)
{
    static const char *const columns[N_COLUMNS] = {"user_id", "item_id", "score", "rank"};
    AclMode     rights[] = {ACL_INSERT, ACL_DELETE, ACL_SELECT};
    char       *name = get_rel_name(target);

    if (name == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("relation with OID %u does not exist", target)));
    for (int i = 0; i < (merge ? 3 : 2); i++)
    {
        AclResult   acl = pg_class_aclcheck(target, GetUserId(), rights[i]);

        if (acl != ACLCHECK_OK)
            aclcheck_error(acl, get_relkind_objtype(get_rel_relkind(target)), name);
    }
    for (int c = 0; c < N_COLUMNS; c++)
        if (get_attnum(target, columns[c]) == InvalidAttrNumber)
            ereport(ERROR,
                    (errcode(ERRCODE_UNDEFINED_COLUMN),
                     errmsg("column \"%s\" of relation \"%s\" does not exist", columns[c], name),
                     errhint("A table to take the lists: %s.", suitable_table(m, target))));
}

static Jsonb *
params_of(const GnnrecJobOrder *order)
{
    StringInfoData s;

    initStringInfo(&s);
    appendStringInfoString(&s, "{\"target\": ");
    escape_json(&s, gnnrec_relation_name(order->target));
    appendStringInfo(&s, ", \"k\": %d, \"mode\": \"%s\"}", order->k, order->merge ? "merge" : "replace");
    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(s.data)));
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
    check_target(m, order.target, order.merge);
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
}

static void
rank_in_children(Materialization *m)
{
    GnnrecChildren children = {.what = materialization.name, .memory_hint = "k", .area = m->shared, .message = m->shared->message,
                               .work = rank_in_child, .arg = m, .memory = CHILD_MEMORY, .nice = m->w->order.nice,
                               .peak_memory = &m->w->peak_memory};

    gnnrec_children_run(&children, gnn_team_size(m->w->order.threads), poll, m);
}

/* the next users into the batch */
static void
fill(Materialization *m)
{
    gnnrec_batch_clear(&m->batch);
    for (int32 user = m->ranked; user < m->w->steps && !gnnrec_batch_is_full(&m->batch); user++)
    {
        GnnrecSnapshotRow seen;

        gnnrec_snapshot_row(&seen, m->snapshot, GNNREC_INTERACTIONS, user);
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

        BufFileWrite(m->file, &head, sizeof(head));
        BufFileWrite(m->file, list, sizeof(GnnHit) * (Size) head.n);
        m->n_rows += head.n;
    }
}

/* A child that runs wild may write anything into what we share: a list is checked before it is used. */
static void
check_answers(const Materialization *m)
{
    for (int32 q = 0; q < m->batch.n_queries; q++)
        if (m->batch.n_hits[q] < 0 || m->batch.n_hits[q] > m->batch.length)
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
    m->file = BufFileCreateTemp(true);
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
    char       *delete = psprintf("DELETE FROM %s", gnnrec_relation_name(m->w->order.target));

    if (m->w->order.merge)
        delete = psprintf("%s WHERE user_id IN (SELECT user_id FROM %s WHERE run_id = " INT64_FORMAT ")", delete,
                          gnnrec_relation_name(m->snapshot->types[GNNREC_USER].table), m->snapshot->run_id);
    execute(delete);
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

/*
 * As the role that asked. Deferred triggers of the table must not run as another role at the commit, so they run here; a
 * restricted operation has none, so it is one only where that role is not the session's own.
 */
static void
write_target(Materialization *m)
{
    GnnrecRole  before = gnnrec_worker_act_as_asker(m->w, m->w->order.role != m->w->order.session_user);

    LockRelationOid(m->w->order.target, RowExclusiveLock);
    check_target(m->w->model, m->w->order.target, m->w->order.merge);
    SPI_connect();
    delete_old(m);
    write_lists(m);
    execute("SET CONSTRAINTS ALL IMMEDIATE");
    SPI_finish();
    gnnrec_worker_act_as_before(before);
}

static Jsonb *
metrics(const Materialization *m)
{
    char       *s = psprintf("{\"run\": " INT64_FORMAT ", \"users\": %d, \"rows\": " INT64_FORMAT
                             ", \"rank_seconds\": %.3f, \"write_seconds\": %.3f}",
                             m->snapshot->run_id, m->ranked, m->n_rows, m->seconds[RANKING], m->seconds[WRITING]);

    return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(s)));
}

static void
write_success(const Materialization *m)
{
    Oid         types[] = {INT8OID, JSONBOID, INT8OID, INT4OID};
    Datum       values[] = {Int64GetDatum(m->w->order.run_id), JsonbPGetDatum(metrics(m)), Int64GetDatum(m->w->peak_memory),
                            Int32GetDatum(m->ranked)};
    bool        isnull;

    gnnrec_catalog_write("UPDATE gnnrec.run SET status = 'succeeded', phase = NULL, metrics = $2, peak_memory = $3, step = $4, "
                         "finished_at = pg_catalog.clock_timestamp() WHERE run_id = $1",
                         lengthof(types), types, values, NULL, &isnull);
}

/* ---------------------------------------------------------------------------------------------------------------------
 * The job
 * ------------------------------------------------------------------------------------------------------------------ */

/* the run that is live now, for the role that asked */
static void
open_snapshot(Materialization *m)
{
    GnnrecRole  before;

    gnnrec_worker_begin();
    before = gnnrec_worker_act_as_asker(m->w, true);
    m->snapshot = gnnrec_serve_model(m->w->order.model_id, GNNREC_FROM_BOTH);
    gnnrec_worker_act_as_before(before);
    gnnrec_worker_commit(m->w);
    m->w->steps = m->snapshot->types[GNNREC_USER].n;
}

static void
materialize(GnnrecWorker *w)
{
    Materialization *m = palloc0(sizeof(Materialization));
    instr_time  start;

    m->w = w;
    open_snapshot(m);
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
