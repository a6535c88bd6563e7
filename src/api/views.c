/*
 * views.c: what the views of schema gnnrec show: the rows of the catalogue that concern models of the current role.
 *
 * Each view selects from a function here, which reads the catalogue as its owner and returns only what the role may see. That
 * is not left to row security, or to a condition in the view: EXPLAIN ANALYZE counts the rows that those take away, also the
 * ones that an index had found by the asker's own condition, and so would tell what they hide.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "pg/catalog.h"
#include "pg/compat.h"
#include "pg/job.h"

PG_FUNCTION_INFO_V1(gnnrec_models);
PG_FUNCTION_INFO_V1(gnnrec_runs);
PG_FUNCTION_INFO_V1(gnnrec_run_steps);
PG_FUNCTION_INFO_V1(gnnrec_progress);
PG_FUNCTION_INFO_V1(gnnrec_relations);
PG_FUNCTION_INFO_V1(gnnrec_node_types);
PG_FUNCTION_INFO_V1(gnnrec_features);
PG_FUNCTION_INFO_V1(gnnrec_run_state);
PG_FUNCTION_INFO_V1(gnnrec_owns);

/* the rows of a query about the models of whose item tables something holds; their numbers are $1 */
static Datum
answer(FunctionCallInfo fcinfo, bool (*holds) (Oid item_table), const char *sql)
{
    ArrayType  *models = gnnrec_models_where(holds);
    ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

    gnnrec_materialize(fcinfo);
    gnnrec_catalog_read(result->setResult, result->setDesc, sql, models);
    return (Datum) 0;
}

/* gnnrec.models(): what a model is made from and answers with, for who is answered */
Datum
gnnrec_models(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_see,
                  "SELECT m.name, gnnrec.table_name(i.embedding_table), gnnrec.table_name(u.embedding_table), "
                  "u.id_type, i.id_type, "
                  "gnnrec.table_name(r.source), r.from_column, r.to_column, r.event_column, r.event_weights, "
                  "r.value_column, r.time_column, r.half_life, r.since, r.seen_events, m.params, m.keep_runs, "
                  "m.live_run, l.finished_at, (l.metrics ->> 'users')::integer, (l.metrics ->> 'items')::integer, "
                  "(l.metrics ->> 'interactions')::bigint, "
                  "(SELECT gnnrec.run_state(n.model_id, n.status, n.requested_at) FROM gnnrec.run n "
                  "WHERE n.model_id = m.model_id AND n.task = 'training' ORDER BY n.run_id DESC LIMIT 1) "
                  "FROM gnnrec.model m "
                  "JOIN gnnrec.node_type u ON u.model_id = m.model_id AND u.type_no = 0 "
                  "JOIN gnnrec.node_type i ON i.model_id = m.model_id AND i.type_no = 1 "
                  "JOIN gnnrec.relation r ON r.model_id = m.model_id AND r.relation_no = 0 "
                  "LEFT JOIN gnnrec.run l ON l.run_id = m.live_run "
                  "WHERE m.model_id = ANY ($1)");
}

/* gnnrec.runs(): how a model is trained, by whom and what went wrong, for its owner */
Datum
gnnrec_runs(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_own,
                  "SELECT m.name, r.run_id, r.task, gnnrec.run_state(r.model_id, r.status, r.requested_at), r.phase, r.step, "
                  "r.steps, r.loss, r.metrics, r.message, r.params, r.stored, r.explainable, r.pid, r.trained_by, r.rows_read, "
                  "r.rows_skipped, r.peak_memory, r.requested_at, r.started_at, r.finished_at, to_timestamp(r.newest_event) "
                  "FROM gnnrec.run r JOIN gnnrec.model m USING (model_id) WHERE r.model_id = ANY ($1)");
}

/* gnnrec.run_steps() */
Datum
gnnrec_run_steps(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_own,
                  "SELECT m.name, s.run_id, s.step, s.loss, s.seconds, s.ndcg "
                  "FROM gnnrec.run_step s JOIN gnnrec.run r USING (run_id) JOIN gnnrec.model m USING (model_id) "
                  "WHERE r.model_id = ANY ($1)");
}

/* gnnrec.progress() */
Datum
gnnrec_progress(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_own,
                  "SELECT m.name, r.run_id, r.task, gnnrec.run_state(r.model_id, r.status, r.requested_at), r.phase, r.step, "
                  "r.steps, r.loss, clock_timestamp() - coalesce(r.started_at, r.requested_at), r.pid, r.trained_by "
                  "FROM gnnrec.run r JOIN gnnrec.model m USING (model_id) "
                  "WHERE r.model_id = ANY ($1) AND r.status IN ('starting', 'running')");
}

/* gnnrec.relations(): what the graphs of models are made of, for their owner */
Datum
gnnrec_relations(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_own,
                  "SELECT m.name, r.name, gnnrec.table_name(r.source), f.name, r.from_column, t.name, r.to_column, "
                  "r.relation_column, r.weight, r.event_column, r.event_weights, r.behaviours, r.target_event, r.value_column, "
                  "r.time_column, r.half_life, r.since "
                  "FROM gnnrec.model m JOIN gnnrec.relation r USING (model_id) "
                  "JOIN gnnrec.node_type f ON f.model_id = m.model_id AND f.type_no = r.from_type "
                  "JOIN gnnrec.node_type t ON t.model_id = m.model_id AND t.type_no = r.to_type "
                  "WHERE m.model_id = ANY ($1) ORDER BY m.name, r.relation_no");
}

/* gnnrec.node_types(): their nodes */
Datum
gnnrec_node_types(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_own,
                  "SELECT m.name, t.name, t.id_type, gnnrec.table_name(t.embedding_table), gnnrec.table_name(t.catalogue), "
                  "t.catalogue_id FROM gnnrec.model m JOIN gnnrec.node_type t USING (model_id) "
                  "WHERE m.model_id = ANY ($1) ORDER BY m.name, t.type_no");
}

/* gnnrec.features(): what is known of these */
Datum
gnnrec_features(PG_FUNCTION_ARGS)
{
    return answer(fcinfo, gnnrec_may_own,
                  "SELECT m.name, t.name, gnnrec.table_name(t.catalogue), f.column_name, f.kind, f.size "
                  "FROM gnnrec.model m JOIN gnnrec.feature f USING (model_id) "
                  "JOIN gnnrec.node_type t ON t.model_id = m.model_id AND t.type_no = f.type_no "
                  "WHERE m.model_id = ANY ($1) ORDER BY m.name, f.feature_no");
}

/* run_state(model_id, status, requested_at) -> the state as it is now: a run whose worker is gone is lost */
Datum
gnnrec_run_state(PG_FUNCTION_ARGS)
{
    char       *status = text_to_cstring(PG_GETARG_TEXT_PP(1));

    PG_RETURN_TEXT_P(cstring_to_text(gnnrec_job_state(PG_GETARG_INT32(0), status, PG_GETARG_TIMESTAMPTZ(2))));
}

/* owns(table) -> whether the current role owns a model by its item table */
Datum
gnnrec_owns(PG_FUNCTION_ARGS)
{
    PG_RETURN_BOOL(gnnrec_may_own(PG_GETARG_OID(0)));
}
