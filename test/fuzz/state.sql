-- state.sql: what is not to change, whatever is tried: what there is, and what the models of models.sql answer. A view `changed` of
-- what has, since now.

CREATE VIEW state AS
    SELECT (SELECT md5(string_agg(m::text, ',' ORDER BY model_id)) FROM gnnrec.model m) AS models,
           (SELECT md5(string_agg(r::text, ',' ORDER BY model_id, relation_no)) FROM gnnrec.relation r) AS relations,
           (SELECT md5(string_agg(run_id || status || coalesce(message, ''), ',' ORDER BY run_id)) FROM gnnrec.run) AS runs,
           (SELECT md5(string_agg(p.oid::regprocedure::text || coalesce(proacl::text, ''), ',' ORDER BY p.oid)) FROM pg_proc p) AS functions,
           (SELECT md5(string_agg(oid::regclass::text, ',' ORDER BY oid)) FROM pg_class WHERE relnamespace <> 'pg_toast'::regnamespace) AS relations_there,
           (SELECT md5(string_agg(r::text, ',' ORDER BY r.user_id, r.rank)) FROM monkey_shop.recommend_all(20) r) AS shop,
           (SELECT md5(string_agg(r::text, ',' ORDER BY r.user_id, r.rank)) FROM monkey_words.recommend_all(20) r) AS words;

CREATE TABLE before AS SELECT * FROM state WITH NO DATA;
CREATE VIEW changed AS
    SELECT key AS what FROM before, state, jsonb_each(to_jsonb(before)) b, jsonb_each(to_jsonb(state)) s (name, value)
    WHERE key = name AND b.value IS DISTINCT FROM s.value;
INSERT INTO before SELECT * FROM state;
