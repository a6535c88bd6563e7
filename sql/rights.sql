-- Who may do what: every function, table and view of the extension and of a model, asked by everybody. What exists and is not
-- asked makes this test fail: a new function has a line here.
SET client_min_messages = warning;
CREATE SCHEMA rights_test;
\set VERBOSITY terse
SET search_path = rights_test, public;

CREATE ROLE regress_gnnrec_owner;
CREATE ROLE regress_gnnrec_member IN ROLE regress_gnnrec_owner;
CREATE ROLE regress_gnnrec_reader;       -- may read both tables,
CREATE ROLE regress_gnnrec_item_reader;  -- items only,
CREATE ROLE regress_gnnrec_guest;        -- may use the schema,
CREATE ROLE regress_gnnrec_stranger;     -- and has no right at all
GRANT USAGE ON SCHEMA rights_test TO PUBLIC;
GRANT CREATE ON SCHEMA rights_test TO regress_gnnrec_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_gnnrec_owner', current_database()); END $$;

SET ROLE regress_gnnrec_owner;
CREATE TABLE events AS SELECT u AS user_id, (u * i * i) % 17 AS item_id FROM generate_series(1, 40) u, generate_series(1, 8) i;
CREATE INDEX ON events (user_id);
CREATE TABLE listed (user_id int, item_id int, score real, rank int);
CREATE TABLE things AS SELECT i AS item_id, 'thing ' || i AS name, i / 2 AS size FROM generate_series(0, 16) i;
GRANT SELECT ON events, listed, things TO PUBLIC;
SELECT gnnrec.create_model('rights', 'events', params => '{"dim": 4, "steps": 2}', items => 'things');
SELECT gnnrec.add_feature('rights', 'item', 'size');
SELECT gnnrec.create_model('rights_untrained', 'events');
SELECT gnnrec.add_relation('rights', 'made_by', 'events', 'item', 'item_id', 'brand', 'user_id');
CALL gnnrec.retrain('rights');
CALL gnnrec.retrain('rights');
GRANT USAGE ON SCHEMA rights TO regress_gnnrec_reader, regress_gnnrec_item_reader, regress_gnnrec_guest;
GRANT SELECT ON rights.item_embedding TO regress_gnnrec_reader, regress_gnnrec_item_reader;
GRANT SELECT ON rights.user_embedding TO regress_gnnrec_reader;
RESET ROLE;

------------------------------------------------------------------------------------------------------------------------
-- How it is asked
------------------------------------------------------------------------------------------------------------------------

CREATE TABLE roles (n int, name text);
INSERT INTO roles VALUES (1, 'superuser'), (2, 'owner'), (3, 'member'), (4, 'reader'), (5, 'item_reader'), (6, 'guest'),
    (7, 'stranger');

-- what a role gets for a statement, and nothing of it stays: the number a SELECT count(*) answers, ok, or how it fails
CREATE FUNCTION outcome(role text, statement text, OUT result text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    IF role <> 'superuser' THEN
        EXECUTE format('SET LOCAL ROLE regress_gnnrec_%s', role);
    END IF;
    EXECUTE statement INTO result;
    result := CASE WHEN statement LIKE 'SELECT count(*)%' THEN result ELSE 'ok' END;
    RAISE SQLSTATE 'ZZZZZ';
EXCEPTION
    WHEN SQLSTATE 'ZZZZZ' THEN NULL;
    WHEN OTHERS THEN result := SQLSTATE; message := SQLERRM;
END $$;

-- {items}: the item table by its number, so that nobody fails for want of the right to name it
CREATE TABLE calls (name text PRIMARY KEY, call text);
INSERT INTO calls VALUES
    ('gnnrec.create_model', $$gnnrec.create_model('rights_other', 'rights_test.events')$$),
    ('gnnrec.alter_model', $$gnnrec.alter_model('rights', keep_runs => 3)$$),
    ('gnnrec.drop_model', $$gnnrec.drop_model('rights')$$),
    ('gnnrec.add_feature', $$gnnrec.add_feature('rights', 'item', 'name')$$),
    ('gnnrec.drop_feature', $$gnnrec.drop_feature('rights', 'item', 'size')$$),
    ('gnnrec.features', $$gnnrec.features() WHERE model LIKE 'rights%'$$),
    ('gnnrec.add_relation', $$gnnrec.add_relation('rights', 'next', 'rights_test.events', 'item', 'item_id', 'shelf',
                                                  'user_id')$$),
    ('gnnrec.drop_relation', $$gnnrec.drop_relation('rights', 'made_by')$$),
    ('gnnrec.set_catalogue', $$gnnrec.set_catalogue('rights', 'item', 'rights_test.events')$$),
    ('gnnrec.relations', $$gnnrec.relations() WHERE model LIKE 'rights%'$$),
    ('gnnrec.node_types', $$gnnrec.node_types() WHERE model LIKE 'rights%'$$),
    ('gnnrec.train', $$gnnrec.train('rights')$$),
    ('gnnrec.retrain', $$CALL gnnrec.retrain('rights')$$),
    ('gnnrec.wait', $$gnnrec.wait('rights')$$),
    ('gnnrec.cancel (model)', $$gnnrec.cancel('rights')$$),
    ('gnnrec.cancel (run)', $$gnnrec.cancel({run})$$),
    ('gnnrec.rollback', $$gnnrec.rollback('rights')$$),
    ('gnnrec.check', $$gnnrec.check('rights') WHERE level = 'note'$$),
    ('gnnrec.materialize', $$gnnrec.materialize('rights', 'rights_test.listed')$$),
    ('gnnrec.estimate', $$gnnrec.estimate('rights')$$),
    ('gnnrec.run_state', $$gnnrec.run_state(1, 'running', now())$$),
    ('gnnrec.owns', $$gnnrec.owns({items})$$),
    ('gnnrec.has_tables', 'gnnrec.has_tables(1)'),
    ('gnnrec.table_name', 'gnnrec.table_name({items})'),
    ('gnnrec.forget_files', 'gnnrec.forget_files()'),
    ('gnnrec.before_drop', 'gnnrec.before_drop()'),
    ('gnnrec.models', $$gnnrec.models() WHERE name LIKE 'rights%'$$),
    ('gnnrec.runs', $$gnnrec.runs() WHERE model LIKE 'rights%'$$),
    ('gnnrec.run_steps', $$gnnrec.run_steps() WHERE model LIKE 'rights%'$$),
    ('gnnrec.progress', $$gnnrec.progress() WHERE model LIKE 'rights%'$$),
    ('gnnrec.recommend', $$gnnrec.recommend('rights', '1')$$),
    ('gnnrec.similar_items', $$gnnrec.similar_items('rights', '1')$$),
    ('gnnrec.evaluate', $$gnnrec.evaluate('rights', 'rights_test.events')$$),
    ('gnnrec.evaluate_table', $$gnnrec.evaluate_table('rights_test.listed', 'rights_test.events')$$),
    ('gnnrec.recommend_core', 'gnnrec.recommend_core({items}, 1, 1, 10, NULL::int[], NULL::int[], true, true)'),
    ('gnnrec.recommend_for_core', 'gnnrec.recommend_for_core({items}, ARRAY[1], NULL, 10, NULL, NULL)'),
    ('gnnrec.recommend_type_core', $$gnnrec.recommend_type_core({items}, 'item', 1, 1, 10, NULL::int[], NULL::int[], true)$$),
    ('gnnrec.recommend_users_core', 'gnnrec.recommend_users_core({items}, 1, 1, 10, true)'),
    ('gnnrec.recommend_all_core', 'gnnrec.recommend_all_core({items}, 1, 10, NULL::int[])'),
    ('gnnrec.similar_core', $$gnnrec.similar_core({items}, 'item', 1, 10)$$),
    ('gnnrec.similarity_core', $$gnnrec.similarity_core({items}, 'item', 1, 2)$$),
    ('gnnrec.score_core', 'gnnrec.score_core({items}, 1, 1)'),
    ('gnnrec.explain_core', 'gnnrec.explain_core({items}, 1, 1, 10)'),
    ('rights.recommend', 'rights.recommend(1)'),
    ('rights.recommend_for', 'rights.recommend_for(ARRAY[1])'),
    ('rights.recommend_users', 'rights.recommend_users(1)'),
    ('rights.recommend_all', 'rights.recommend_all()'),
    ('rights.similar_items', 'rights.similar_items(1)'),
    ('rights.similar_users', 'rights.similar_users(1)'),
    ('rights.similarity', 'rights.similarity(1, 2)'),
    ('rights.score', 'rights.score(1, 1)'),
    ('rights.explain', 'rights.explain(1, 1)'),
    ('rights.recommend_brand', 'rights.recommend_brand(1)'),
    ('rights.similar_brand', 'rights.similar_brand(1)');
UPDATE calls SET call = replace(replace(call, '{items}', 'rights.item_embedding'::regclass::oid || '::oid::regclass'), '{run}',
                                (SELECT max(run_id) FROM gnnrec.run)::text);
ALTER TABLE calls ADD function regprocedure UNIQUE, ADD statement text;
UPDATE calls SET function = CASE name WHEN 'gnnrec.cancel (model)' THEN 'gnnrec.cancel(text)'::regprocedure
                                      WHEN 'gnnrec.cancel (run)' THEN 'gnnrec.cancel(bigint)'::regprocedure
                                      ELSE name::regproc::regprocedure END;
UPDATE calls SET statement = CASE WHEN call LIKE 'CALL %' THEN call
                                  WHEN (SELECT proretset FROM pg_proc WHERE oid = function) THEN 'SELECT count(*) FROM ' || call
                                  ELSE 'SELECT ' || call END;

------------------------------------------------------------------------------------------------------------------------
-- Functions
------------------------------------------------------------------------------------------------------------------------

-- what nobody asks: no rows
SELECT p.oid::regprocedure AS "not in the matrix"
FROM   pg_proc p
WHERE  p.pronamespace IN ('gnnrec'::regnamespace, 'rights'::regnamespace) AND p.provolatile <> 'i'
AND    p.oid NOT IN (SELECT function FROM calls)
ORDER  BY 1;
-- what is immutable looks at nothing but its arguments: these, and what the vector type is made of
SELECT proname AS immutable FROM pg_proc
WHERE  pronamespace = 'gnnrec'::regnamespace AND provolatile = 'i'
    AND NOT 'gnnrec.embedding'::regtype = ANY (proargtypes::oid[] || prorettype)
AND    proname NOT LIKE 'embedding%' ORDER BY 1;
-- none acts with another's rights, and none but run_state is kept from anyone
SELECT p.oid::regprocedure FROM pg_proc p
WHERE  p.pronamespace IN ('gnnrec'::regnamespace, 'rights'::regnamespace)
    AND (p.prosecdef OR NOT has_function_privilege('regress_gnnrec_stranger', p.oid, 'EXECUTE'));

CREATE TABLE answers AS SELECT c.name AS function, r.name AS role, o.* FROM calls c, roles r,
    LATERAL outcome(r.name, c.statement) o;
SELECT function,
       max(result) FILTER (WHERE role = 'superuser') AS superuser, max(result) FILTER (WHERE role = 'owner') AS owner,
       max(result) FILTER (WHERE role = 'member') AS member, max(result) FILTER (WHERE role = 'reader') AS reader,
       max(result) FILTER (WHERE role = 'item_reader') AS item_reader, max(result) FILTER (WHERE role = 'guest') AS guest,
       max(result) FILTER (WHERE role = 'stranger') AS stranger
FROM   answers GROUP BY function ORDER BY function COLLATE "C";
-- what is said to them
SELECT role, regexp_replace(message, '(run|database) \w+', '\1 X') AS message, count(*) AS calls
FROM   answers WHERE message IS NOT NULL AND role IN ('reader', 'guest', 'stranger') GROUP BY 1, 2 ORDER BY 1, 2;

-- To a stranger, and to who may do no more than use the schema, a model is like one that there is not, trained or not.
CREATE FUNCTION about(statement text, model text) RETURNS text LANGUAGE sql AS $$
    SELECT replace(replace(statement, '''rights''', quote_literal(model)), 'FROM rights.', 'FROM ' || model || '.')
$$;
SELECT c.name, r.name AS role, min(o.message), max(o.message)
FROM   calls c, roles r, unnest(ARRAY['rights', 'rights_untrained', 'rights_missing']) model,
       LATERAL (SELECT replace(message, model, 'MODEL') AS message FROM outcome(r.name, about(c.statement, model))) o
WHERE  r.name IN ('guest', 'stranger') AND c.call LIKE '%''rights''%'
GROUP  BY c.name, r.name HAVING count(DISTINCT o.message) <> 1;

------------------------------------------------------------------------------------------------------------------------
-- Tables, views, sequences: does a role see rows, and may it change something (w)?
------------------------------------------------------------------------------------------------------------------------

CREATE VIEW relations AS
SELECT c.oid::regclass AS relation, r.name AS role,
       CASE o.result WHEN 'true' THEN 'rows' WHEN 'false' THEN 'none' ELSE o.result END
       || CASE WHEN r.name <> 'superuser' AND c.relkind <> 'S' AND
                    has_table_privilege('regress_gnnrec_' || r.name, c.oid,
                                        'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') THEN ' w'
               WHEN r.name <> 'superuser' AND c.relkind = 'S' AND has_sequence_privilege('regress_gnnrec_' || r.name, c.oid,
                       'USAGE, UPDATE') THEN ' w'
               ELSE '' END AS result
FROM   pg_class c, roles r, LATERAL outcome(r.name, format('SELECT count(*) > 0 FROM %s', c.oid::regclass)) o
WHERE  c.relnamespace IN ('gnnrec'::regnamespace, 'rights'::regnamespace) AND c.relkind NOT IN ('i', 'I', 'c', 't');
-- what a run keeps of its users' features
INSERT INTO gnnrec.run_feature SELECT live_run, 1, 'age', 'number', 1 FROM gnnrec.model WHERE name = 'rights';
INSERT INTO gnnrec.run_feature_column SELECT live_run, 1, 0, NULL, 40, 10, '[1]' FROM gnnrec.model WHERE name = 'rights';
-- a run that is going on, for the view of progress
INSERT INTO gnnrec.run (model_id, status, params, trained_by) SELECT model_id, 'starting', '{}', 'rights' FROM gnnrec.model
WHERE name = 'rights';
SELECT relation::text,
       max(result) FILTER (WHERE role = 'superuser') AS superuser, max(result) FILTER (WHERE role = 'owner') AS owner,
       max(result) FILTER (WHERE role = 'member') AS member, max(result) FILTER (WHERE role = 'reader') AS reader,
       max(result) FILTER (WHERE role = 'item_reader') AS item_reader, max(result) FILTER (WHERE role = 'guest') AS guest,
       max(result) FILTER (WHERE role = 'stranger') AS stranger
FROM   relations GROUP BY relations.relation ORDER BY relation::text COLLATE "C";
DELETE FROM gnnrec.run WHERE trained_by = 'rights';

------------------------------------------------------------------------------------------------------------------------
-- EXPLAIN, and files
------------------------------------------------------------------------------------------------------------------------

-- how many rows the planner expects of a call that asks for the whole ranking
CREATE FUNCTION planned(role text, call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE format('SET LOCAL ROLE regress_gnnrec_%s', role);
    EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM ' || regexp_replace(call, '\m10\M', 'NULL') INTO plan;
    SET LOCAL ROLE none;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
-- a run of which no file has been made: as after a restart
CREATE TABLE moved AS SELECT model_id, live_run AS run_id FROM gnnrec.model WHERE name = 'rights';
CREATE FUNCTION renumber(was bigint, "is" bigint) RETURNS void LANGUAGE sql SET session_replication_role = replica AS $$
    UPDATE rights.item_embedding SET run_id = "is" WHERE run_id = was;
    UPDATE rights.user_embedding SET run_id = "is" WHERE run_id = was;
    UPDATE rights.brand_embedding SET run_id = "is" WHERE run_id = was;
    UPDATE gnnrec.run SET run_id = "is" WHERE run_id = was;
    UPDATE gnnrec.run_step SET run_id = "is" WHERE run_id = was;
    UPDATE gnnrec.run_feature SET run_id = "is" WHERE run_id = was;
    UPDATE gnnrec.run_feature_column SET run_id = "is" WHERE run_id = was;
    UPDATE gnnrec.model SET live_run = "is" WHERE live_run = was;
$$;
SELECT renumber(run_id, 987654321) FROM moved;
CREATE VIEW files AS SELECT count(*) AS files FROM pg_ls_dir('base/pgsql_tmp') f WHERE f ~ '^pgsql_tmp_gnnrec_.*_987654321$';
SELECT string_agg(r.name || ' ' || planned(r.name, c.call), ', ' ORDER BY r.n) AS rows_planned
FROM   roles r, calls c WHERE r.name IN ('guest', 'stranger') AND c.name IN ('gnnrec.recommend_core', 'gnnrec.similar_core');
SELECT count(*) AS refused FROM calls c, roles r, outcome(r.name, c.statement) o
WHERE  r.name IN ('guest', 'stranger') AND c.call ~ '^(rights|gnnrec)\..*(_core|recommend|similar|score|explain|evaluate\()'
    AND o.message IS NOT NULL;
SELECT * FROM files;
SELECT c.name, r.name AS role, planned(r.name, c.call)
FROM   roles r, calls c WHERE r.name IN ('owner', 'reader', 'item_reader', 'guest', 'stranger')
     AND c.name IN ('gnnrec.similar_core', 'gnnrec.recommend_core')
ORDER  BY c.name, r.n;
SELECT * FROM files;
-- now that it is mapped here, too
SELECT outcome('stranger', statement) FROM calls WHERE name = 'gnnrec.recommend_core';
SELECT planned('stranger', call) FROM calls WHERE name = 'gnnrec.recommend_core';
SELECT renumber(987654321, run_id) FROM moved;
-- what the views do not show is not counted when they are explained
CREATE FUNCTION counted(query text) RETURNS TABLE (node text, rows numeric, removed numeric) LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || query INTO plan;
    RETURN QUERY SELECT plan -> 0 -> 'Plan' ->> 'Node Type', trim_scale((plan -> 0 -> 'Plan' ->> 'Actual Rows')::numeric),
                        (plan -> 0 -> 'Plan' ->> 'Rows Removed by Filter')::numeric;
END $$;
SET ROLE regress_gnnrec_stranger;
SELECT * FROM counted($$SELECT name FROM gnnrec.models WHERE name > 'a'$$);
SELECT * FROM counted($$SELECT message FROM gnnrec.runs WHERE model = 'rights'$$);
RESET ROLE;

------------------------------------------------------------------------------------------------------------------------
-- Whose rights: those of the current role, at each call
------------------------------------------------------------------------------------------------------------------------

-- a function of the owner's shows everybody their own recommendations
SET ROLE regress_gnnrec_owner;
CREATE FUNCTION mine() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT count(*) FROM rights.recommend(3)';
CREATE FUNCTION mine_as_invoker() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM rights.recommend(3)';
CREATE VIEW mine_in_a_view AS SELECT * FROM rights.recommend(3);
GRANT SELECT ON mine_in_a_view TO PUBLIC;
RESET ROLE;
SELECT c.call, r.name AS role, o.*
FROM   unnest(ARRAY['mine()', 'mine_as_invoker()', 'count(*) FROM mine_in_a_view']) WITH ORDINALITY c(call, n), roles r,
     outcome(r.name, 'SELECT ' || call) o
WHERE  r.name IN ('reader', 'guest', 'stranger') ORDER BY c.n, r.n;
-- what the owner has prepared, opened or inherited does not answer others
SET ROLE regress_gnnrec_owner;
PREPARE asked AS SELECT count(*) FROM rights.recommend(3);
EXECUTE asked;
BEGIN;
DECLARE lists CURSOR FOR SELECT u, (SELECT count(*) FROM rights.recommend(u)) > 0 AS answered FROM generate_series(1, 3) u;
FETCH lists;
SET ROLE regress_gnnrec_guest;
FETCH lists;
ROLLBACK;
SET ROLE regress_gnnrec_guest;
EXECUTE asked;
SET ROLE regress_gnnrec_reader;
EXECUTE asked;
RESET ROLE;
DEALLOCATE asked;
-- a right to some columns, or to some rows, is no right to be answered, or to see the model
GRANT SELECT (item_id, embedding) ON rights.item_embedding TO regress_gnnrec_guest;
SELECT * FROM outcome('guest', 'SELECT rights.similar_items(1)');
ALTER TABLE rights.item_embedding ENABLE ROW LEVEL SECURITY;
CREATE POLICY five ON rights.item_embedding USING (item_id < 5);
SELECT r.name AS role, o.*, m.result AS models FROM roles r, outcome(r.name, 'SELECT rights.similar_items(1)') o,
       outcome(r.name, $$SELECT count(*) FROM gnnrec.models WHERE name = 'rights'$$) m
WHERE  r.name IN ('superuser', 'owner', 'reader') ORDER BY r.n;
SELECT planned('reader', call) FROM calls WHERE name = 'gnnrec.similar_core';
DROP POLICY five ON rights.item_embedding;
ALTER TABLE rights.item_embedding DISABLE ROW LEVEL SECURITY;
-- rights that are taken away are gone at the next call; who is given the item table is the owner
REVOKE SELECT ON rights.user_embedding FROM regress_gnnrec_reader;
SELECT * FROM outcome('reader', 'SELECT rights.recommend(1)');
ALTER TABLE rights.item_embedding OWNER TO regress_gnnrec_reader;
SELECT r.name AS role, o.* FROM roles r, outcome(r.name, $$SELECT gnnrec.alter_model('rights', keep_runs => 3)$$) o
WHERE r.name IN ('owner', 'reader') ORDER BY r.n;
ALTER TABLE rights.item_embedding OWNER TO regress_gnnrec_owner;

------------------------------------------------------------------------------------------------------------------------
-- Row security on the interactions
------------------------------------------------------------------------------------------------------------------------

CREATE TABLE secured AS SELECT * FROM events;
CREATE INDEX ON secured (user_id);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON secured TO regress_gnnrec_owner USING (user_id <= 20 AND item_id < 12
                                                            AND current_user = 'regress_gnnrec_owner');
CREATE POLICY all_of_it ON secured TO regress_gnnrec_reader USING (true);
GRANT SELECT ON secured TO regress_gnnrec_owner, regress_gnnrec_reader;
SET ROLE regress_gnnrec_owner;
SELECT gnnrec.create_model('rights_secured', 'secured', params => '{"dim": 4, "steps": 2}');
CALL gnnrec.retrain('rights_secured');
GRANT USAGE ON SCHEMA rights_secured TO regress_gnnrec_reader;
GRANT SELECT ON rights_secured.item_embedding, rights_secured.user_embedding TO regress_gnnrec_reader;
RESET ROLE;
CREATE VIEW known AS
SELECT count(DISTINCT u.user_id) AS users, max(u.user_id) AS last_user, count(DISTINCT i.item_id) AS items,
       max(i.item_id) AS last_item,
       (SELECT sum(cardinality(seen)) FROM rights_secured.user_embedding WHERE run_id = live_run)
       = (SELECT count(DISTINCT (s.user_id, s.item_id)) FROM secured s WHERE s.user_id <= 20 AND s.item_id < 12) AS just_these
FROM   gnnrec.model JOIN rights_secured.user_embedding u ON u.run_id = live_run
    JOIN rights_secured.item_embedding i ON i.run_id = live_run
WHERE  name = 'rights_secured' GROUP BY live_run;
SELECT * FROM known;
-- what comes later is read with the owner's eyes, whoever asks
INSERT INTO secured VALUES (7, 3), (7, 13), (21, 3), (21, 4);
SET ROLE regress_gnnrec_reader;
SELECT DISTINCT source FROM rights_secured.recommend(7, exclude_seen => false);
SELECT count(*) FROM rights_secured.recommend(7, NULL) WHERE item_id = 3;
SELECT DISTINCT source FROM rights_secured.recommend(21);
RESET ROLE;
SELECT DISTINCT source FROM rights_secured.recommend(21);
SELECT count(*) FROM rights_secured.explain(21, 3);
SELECT count(*) FROM rights_secured.recommend_users(13);
-- and a superuser who trains does not put into the owner's model what is hidden from the owner
CALL gnnrec.retrain('rights_secured');
SELECT * FROM known;
-- nor is the superuser the one for whom the functions of a view run
SET ROLE regress_gnnrec_owner;
CREATE FUNCTION who_reads() RETURNS int LANGUAGE plpgsql AS $$
BEGIN
    IF current_user <> 'regress_gnnrec_owner' THEN RAISE EXCEPTION 'read by %',
    CASE current_user WHEN 'regress_gnnrec_reader' THEN 'the reader' ELSE 'a superuser' END; END IF;
    RETURN 0;
END $$;
CREATE VIEW watched AS SELECT user_id + who_reads() AS user_id, item_id FROM events;
SELECT gnnrec.alter_model('rights_secured', source => 'watched');
RESET ROLE;
SELECT count(*) FROM watched;
CALL gnnrec.retrain('rights_secured');
SELECT count(*) > 5 AS estimated FROM gnnrec.estimate('rights_secured');
SELECT level, finding FROM gnnrec.check('rights_secured') WHERE level <> 'note';
SELECT count(*) > 0 AS answered FROM rights_secured.recommend(100);
SET ROLE regress_gnnrec_reader;
SELECT count(*) > 0 AS answered FROM rights_secured.recommend(100);
SELECT count(*) = 0 AS nobody FROM rights_secured.recommend_users(100);
RESET ROLE;

------------------------------------------------------------------------------------------------------------------------
-- A dump is taken by a superuser, or by who was granted the catalogue: then of the own models
------------------------------------------------------------------------------------------------------------------------
BEGIN;
GRANT SELECT ON ALL TABLES IN SCHEMA gnnrec TO regress_gnnrec_owner, regress_gnnrec_reader;
SELECT r.name AS role, t.name AS "table", o.*
FROM   roles r,
       (VALUES ('model'), ('node_type'), ('relation'), ('run'), ('run_step'), ('run_feature'), ('run_feature_column')) t(name),
       outcome(r.name, format('SELECT count(*) FROM gnnrec.%I', t.name)) o
WHERE  r.name IN ('owner', 'reader') ORDER BY r.n, t.name;
ROLLBACK;

DROP VIEW mine_in_a_view, known, relations;
SELECT gnnrec.drop_model('rights'), gnnrec.drop_model('rights_untrained'), gnnrec.drop_model('rights_secured');
SELECT nspname AS left_over FROM pg_namespace WHERE nspname LIKE 'rights%' AND nspname <> 'rights_test';
DROP SCHEMA rights_test CASCADE;
DROP OWNED BY regress_gnnrec_owner, regress_gnnrec_member, regress_gnnrec_reader, regress_gnnrec_item_reader,
    regress_gnnrec_guest, regress_gnnrec_stranger;
DROP ROLE regress_gnnrec_owner, regress_gnnrec_member, regress_gnnrec_reader, regress_gnnrec_item_reader, regress_gnnrec_guest,
    regress_gnnrec_stranger;
