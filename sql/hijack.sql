-- Nobody makes the extension do something else: not by names, not by what stands in a text, not by what lies in the way of a
-- name.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE SCHEMA hijack_test;
SET search_path = hijack_test, public;
CREATE ROLE regress_gnnrec_victim;
CREATE ROLE regress_gnnrec_attacker;
GRANT USAGE ON SCHEMA hijack_test TO PUBLIC;
GRANT CREATE ON SCHEMA hijack_test TO regress_gnnrec_victim, regress_gnnrec_attacker;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_gnnrec_victim, regress_gnnrec_attacker',
                           current_database()); END $$;
CREATE TABLE events AS SELECT u AS user_id, (u * i * i) % 17 AS item_id FROM generate_series(1, 40) u, generate_series(1, 8) i;
GRANT SELECT ON events TO PUBLIC;

CREATE FUNCTION outcome(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;

------------------------------------------------------------------------------------------------------------------------
-- Names of schemas, tables, columns, kinds of event and models, all alike
------------------------------------------------------------------------------------------------------------------------
CREATE TABLE names (n int GENERATED ALWAYS AS IDENTITY, name name);
INSERT INTO names (name) VALUES ('two words'), ('it''s'), ('"quoted"'), ('a;--'), ('select'), ('{schema}{item}{model}'), ('$1 %s %n ''%I'''),
    (E'back\\slash'), (E'\\'' OR 1=1 --'), (E'line\nbreak\ttab'), ('/*'), ('UPPER.lower'), ('Ünïcødé ✓'),
    (repeat('ü', 31) || 'x'), (repeat('long', 15) || 'abc'), (repeat('long', 15) || 'abd');

CREATE PROCEDURE make(name name) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE SCHEMA "hijack names"');
    EXECUTE format('CREATE TABLE "hijack names".%1$I (%1$I int, item_id int, kind text, value float8)', name);
    EXECUTE format('INSERT INTO "hijack names".%I SELECT user_id, item_id, CASE WHEN item_id %% 2 = 0 THEN %L ELSE ''other'' END, 1 FROM hijack_test.events', name, name);
    EXECUTE format('CREATE INDEX ON "hijack names".%1$I (%1$I)', name);
    PERFORM gnnrec.create_model(name::text, format('"hijack names".%I', name)::regclass, user_column => name,
                                event_column => 'kind',
                                event_weights => jsonb_build_object(name, 1, 'other', 2), seen_events => ARRAY[name::text],
                                value_column => 'value',
                                params => '{"dim": 4, "steps": 2}');
    PERFORM gnnrec.alter_model(name::text, keep_runs => 1, behaviours => 'separate', target_event => name::text);
    PERFORM gnnrec.add_relation(name::text, name::text, format('"hijack names".%I', name)::regclass, 'item', 'item_id', 'thing',
                                name, name);
    PERFORM gnnrec.set_catalogue(name::text, 'thing', format('"hijack names".%I', name)::regclass, name);
END $$;
CREATE FUNCTION walk(name name) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    lists int[];
BEGIN
    EXECUTE format('SELECT ARRAY[(SELECT count(*) FROM %1$I.recommend(1)), (SELECT count(*) FROM %1$I.recommend(1000, 5)),
                                 (SELECT count(*) FROM %1$I.recommend_for(ARRAY[1], k => 5)), (SELECT count(*) FROM %1$I.recommend_users(1, 5)),
                                 (SELECT count(*) FROM %1$I.recommend_all(2)), (SELECT count(*) FROM %1$I.similar_items(1, 5)),
                                 (SELECT count(*) FROM %1$I.explain(1, 1, 3)), (SELECT count(*) FROM gnnrec.recommend(%2$L, ''1'', 5)),
                                 (SELECT count(*) FROM gnnrec.similar_items(%2$L, ''1'', 5)),
                                 (SELECT count(*) FROM gnnrec.evaluate(%2$L, %3$L::regclass)), (SELECT count(*) FROM gnnrec.estimate(%2$L)),
                                 (SELECT count(*) FROM %1$I.recommend_thing(1, 5)), (SELECT count(*) FROM gnnrec.relations WHERE model = %2$L AND %2$L IN (relation, target_event)),
                                 (SELECT count(*) FROM gnnrec.models WHERE name = %2$L AND seen_events = ARRAY[%2$L])]',
                   name, name, format('"hijack names".%I', name)) INTO lists;
    PERFORM gnnrec.drop_model(name::text);
    DROP SCHEMA "hijack names" CASCADE;
    RETURN lists::text;
END $$;
CREATE TABLE walked (n int, lists text);
SELECT format('CALL make(%L)', name), format('CALL gnnrec.retrain(%L)', name), format('INSERT INTO walked SELECT %s, walk(%L)', n,
        name)
FROM   names ORDER BY n \gexec
SELECT count(*), lists FROM walked GROUP BY lists;
-- a longer name is none, and columns are not mistaken for what they begin with
SELECT outcome(format('SELECT gnnrec.create_model(%L, %L)', repeat('long', 16), 'events'));
CREATE TABLE alike ("columncolumncolumncolumncolumncolumncolumncolumncolumncolumnab1" int,
                    "columncolumncolumncolumncolumncolumncolumncolumncolumncolumnab2" text, item_id int);
SELECT outcome($$SELECT gnnrec.create_model('hijack', 'alike', 'columncolumncolumncolumncolumncolumncolumncolumncolumncolumnab2',
                                            'columncolumncolumncolumncolumncolumncolumncolumncolumncolumnab1')$$);
SELECT user_column, user_id_type, item_column, item_id_type FROM gnnrec.models WHERE name = 'hijack';
SELECT outcome($$SELECT gnnrec.create_model('hijack2', 'alike', 'columncolumncolumncolumncolumncolumncolumncolumncolumncolumnab',
                                            'item_id')$$);
SELECT gnnrec.drop_model('hijack');

------------------------------------------------------------------------------------------------------------------------
-- Texts: what is a value stays a value. Asked by a superuser, who could do what they say
------------------------------------------------------------------------------------------------------------------------
CREATE TABLE canary (n int);
INSERT INTO canary VALUES (1);
CREATE TABLE listed (user_id int, item_id int, score real, rank int);
CREATE TABLE payloads (payload text);
INSERT INTO payloads VALUES ('DROP TABLE hijack_test.canary'), ('''; DROP TABLE hijack_test.canary; --'), ('"; DROP TABLE hijack_test.canary; --'),
    ('''); DROP TABLE hijack_test.canary; --'), ('\''); DROP TABLE hijack_test.canary; --'), ('x" FROM hijack_test.events s; DELETE FROM hijack_test.canary; --'),
    ('$$; DROP TABLE hijack_test.canary; --'), ('{"a": 1}''); DROP TABLE hijack_test.canary; --'), ('(SELECT 1); DROP TABLE hijack_test.canary');
SELECT gnnrec.create_model('hijack', 'events', params => '{"dim": 4, "steps": 2}');
CALL gnnrec.retrain('hijack');
-- every argument that is a text, a name, jsonb or an array of text; ? is the payload
CREATE TABLE injections (n int GENERATED ALWAYS AS IDENTITY, call text);
INSERT INTO injections (call) VALUES
    ('gnnrec.create_model(?, ''events'')'), ('gnnrec.create_model(''i'', ?::text::regclass)'),
    ('gnnrec.create_model(''i'', ''events'', ?::name)'),
    ('gnnrec.create_model(''i'', ''events'', item_column => ?::name)'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ?::name, event_weights => ''{}'')'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ''user_id'', event_weights => jsonb_build_object(?::text, 1))'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ''user_id'', event_weights => to_jsonb(?::text))'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ''user_id'', event_weights => jsonb_build_object(''a'', ?::text))'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ''user_id'', event_weights => jsonb_build_object(?::text, 1), seen_events => ARRAY[?::text])'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ''user_id'', event_weights => ''{"1": 1}'', seen_events => ARRAY[?::text])'),
    ('gnnrec.create_model(''i'', ''events'', value_column => ?::name)'),
    ('gnnrec.create_model(''i'', ''events'', time_column => ?::name)'),
    ('gnnrec.create_model(''i'', ''events'', params => jsonb_build_object(?::text, 1))'),
    ('gnnrec.create_model(''i'', ''events'', params => jsonb_build_object(''model'', ?::text))'),
    ('gnnrec.create_model(''i'', ''events'', schema => ?::name)'),
    ('gnnrec.alter_model(?)'), ('gnnrec.alter_model(''hijack'', params => jsonb_build_object(?::text, NULL))'),
    ('gnnrec.alter_model(''hijack'', source => ?::text::regclass)'),
    ('gnnrec.alter_model(''hijack'', user_column => ?::name)'), ('gnnrec.alter_model(''hijack'', item_column => ?::name)'),
    ('gnnrec.alter_model(''hijack'', event_column => ?::name, event_weights => ''{}'')'),
    ('gnnrec.alter_model(''hijack'', value_column => ?::name)'),
    ('gnnrec.alter_model(''hijack'', time_column => ?::name)'), ('gnnrec.alter_model(''hijack'', reset => ARRAY[?::text])'),
    ('gnnrec.alter_model(''hijack'', new_name => ?)'),
    ('gnnrec.create_model(''i'', ''events'', items => ?::text::regclass)'),
    ('gnnrec.create_model(''i'', ''events'', users => ?::text::regclass)'),
    ('gnnrec.create_model(''i'', ''events'', behaviours => ?)'),
    ('gnnrec.create_model(''i'', ''events'', event_column => ''user_id'', event_weights => jsonb_build_object(?::text, 1), behaviours => ''separate'', target_event => ?)'),
    ('gnnrec.alter_model(''hijack'', behaviours => ?)'), ('gnnrec.alter_model(''hijack'', items => ?::text::regclass)'),
    ('gnnrec.add_relation(?, ''r'', ''events'', ''user'', ''user_id'', ''x'', ''item_id'')'),
    ('gnnrec.add_relation(''hijack'', ?, ''events'', ''user'', ''user_id'', ''x'', ''item_id'')'),
    ('gnnrec.add_relation(''hijack'', ''r'', ?::text::regclass, ''user'', ''user_id'', ''x'', ''item_id'')'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ?, ''user_id'', ''x'', ''item_id'')'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ''user'', ?::name, ''x'', ''item_id'')'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ''user'', ''user_id'', ?, ''item_id'')'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ''user'', ''user_id'', ''x'', ?::name)'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ''user'', ''user_id'', ''x'', ''item_id'', relation_column => ?::name)'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ''user'', ''user_id'', ''x'', ''item_id'', value_column => ?::name)'),
    ('gnnrec.add_relation(''hijack'', ''r'', ''events'', ''user'', ''user_id'', ''x'', ''item_id'', time_column => ?::name)'),
    ('gnnrec.drop_relation(?, ''r'')'), ('gnnrec.drop_relation(''hijack'', ?)'),
    ('gnnrec.set_catalogue(?, ''item'', ''events'')'), ('gnnrec.set_catalogue(''hijack'', ?, ''events'')'),
    ('gnnrec.set_catalogue(''hijack'', ''item'', ?::text::regclass)'),
    ('gnnrec.set_catalogue(''hijack'', ''item'', ''events'', ?::name)'),
    ('gnnrec.add_feature(?, ''item'', ''x'')'), ('gnnrec.add_feature(''hijack'', ?, ''x'')'),
    ('gnnrec.add_feature(''hijack'', ''item'', ?::name)'),
    ('gnnrec.add_feature(''hijack'', ''item'', ''x'', ?)'),
    ('gnnrec.drop_feature(?, ''item'', ''x'')'), ('gnnrec.drop_feature(''hijack'', ?, ''x'')'),
    ('gnnrec.drop_feature(''hijack'', ''item'', ?::name)'),
    ('gnnrec.drop_model(?)'), ('gnnrec.train(?)'), ('gnnrec.train(''hijack'', jsonb_build_object(?::text, 1))'),
    ('gnnrec.train(''hijack'', ''{}'', ?)'),
    ('gnnrec.wait(?)'), ('gnnrec.cancel(?::text)'), ('gnnrec.rollback(?)'), ('gnnrec.estimate(?)'),
    ('gnnrec.estimate(''hijack'', jsonb_build_object(?::text, 1))'),
    ('gnnrec.recommend(?, ''1'')'), ('gnnrec.recommend(''hijack'', ?)'), ('gnnrec.similar_items(?, ''1'')'),
    ('gnnrec.similar_items(''hijack'', ?)'),
    ('gnnrec.evaluate(?, ''events'')'), ('gnnrec.evaluate(''hijack'', ?::text::regclass)'),
    ('gnnrec.evaluate(''hijack'', ''events'', user_vectors => ?)'),
    ('gnnrec.evaluate_table(?::text::regclass, ''events'')'), ('gnnrec.evaluate_table(''events'', ?::text::regclass)'),
    ('gnnrec.evaluate_table(''events'', ''events'', ?::name)'),
    ('gnnrec.evaluate_table(''events'', ''events'', item_column => ?::name)'),
    ('gnnrec.evaluate_table(''events'', ''events'', rank_column => ?::name)'),
    ('gnnrec.recommend_type_core(''hijack.item_embedding'', ?, 1, 1, 5, NULL::int[], NULL, true)'),
    ('gnnrec.similar_core(''hijack.item_embedding'', ?, 1, 5)'), ('gnnrec.similarity_core(''hijack.item_embedding'', ?, 1, 1)'),
    ('gnnrec.check(?)'), ('gnnrec.materialize(?, ''events'')'), ('gnnrec.materialize(''hijack'', ?::text::regclass)'),
    ('gnnrec.materialize(''hijack'', ''listed'', mode => ?)'),
    ('gnnrec.run_state(1, ?, now())');
-- a function that takes such an argument and is not among them: no rows
SELECT p.oid::regprocedure FROM pg_proc p
WHERE  p.pronamespace = 'gnnrec'::regnamespace AND p.prokind = 'f' AND p.proargtypes::oid[] && ARRAY['text', 'name', 'jsonb',
        'text[]']::regtype[]::oid[]
AND    NOT EXISTS (SELECT FROM injections WHERE split_part(call, '(', 1) = 'gnnrec.' || p.proname);
-- what they say is not repeated here: how many payloads end how
CREATE FUNCTION outcomes(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    p text; o text; answer text := '';
BEGIN
    FOR p IN SELECT payload FROM payloads LOOP
        BEGIN
            EXECUTE 'SELECT ' || replace(call, '?', quote_literal(p));
            RAISE SQLSTATE 'ZZZZZ';
        EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN o := 'ok'; WHEN OTHERS THEN o := SQLSTATE;
        END;
        answer := answer || CASE WHEN answer LIKE '%' || o || '%' THEN '' ELSE ' ' || o END;
    END LOOP;
    RETURN ltrim(answer);
END $$;
CREATE FUNCTION canary_lives() RETURNS boolean LANGUAGE sql AS 'SELECT count(*) = 1 FROM hijack_test.canary';
SELECT call, outcomes(call), canary_lives() FROM injections ORDER BY n;
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET quote_all_identifiers = on;
SELECT count(*) FILTER (WHERE outcomes(call) IS NOT NULL) AS asked, bool_and(canary_lives()) AS canary_lives FROM injections;
RESET standard_conforming_strings;
RESET escape_string_warning;
RESET quote_all_identifiers;
-- and where they are names of models, all that is done with a model is done
CREATE FUNCTION lives_by_the_name(name text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.create_model(name, 'events', schema => 'hijack_live', params => '{"dim": 4}');
    PERFORM gnnrec.alter_model(name, new_name => name || '''"');
    PERFORM gnnrec.alter_model(name || '''"', new_name => name);
    PERFORM gnnrec.estimate(name);
    PERFORM gnnrec.drop_model(name);
    RETURN canary_lives();
END $$;
SELECT bool_and(lives_by_the_name(left(payload, 60))) FROM payloads;

------------------------------------------------------------------------------------------------------------------------
-- What lies in the way: operators, functions, casts, tables of the same names, also temporary ones
------------------------------------------------------------------------------------------------------------------------
CREATE SCHEMA hijack_trap;
GRANT USAGE, CREATE ON SCHEMA hijack_trap TO regress_gnnrec_attacker, regress_gnnrec_victim;
DO $$
DECLARE
    o text; t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['smallint', 'integer', 'bigint', 'oid', 'text', 'name', 'boolean', 'float8', 'jsonb', 'timestamptz',
                             'regclass', 'bigint[]'] LOOP
        EXECUTE format('CREATE FUNCTION hijack_trap.sprung(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql AS
                       ''BEGIN RAISE EXCEPTION ''''trapped as %%'''', current_user; END''', t);
        FOREACH o IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '||', '+', '-', '*', '->>', '&&', '@>'] LOOP
            EXECUTE format('CREATE OPERATOR hijack_trap.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = hijack_trap.sprung)', o, t);
        END LOOP;
    END LOOP;
    FOREACH t IN ARRAY ARRAY['now()', 'clock_timestamp()', 'count(integer)', 'unnest(bigint[])', 'max(bigint)',
                             'to_timestamp(float8)', 'date_part(text, timestamptz)',
                             'array_agg(bigint)', 'cardinality(float8[])', 'lower(text)', 'abs(integer)'] LOOP
        EXECUTE format('CREATE FUNCTION hijack_trap.%s RETURNS boolean LANGUAGE plpgsql AS ''BEGIN RAISE EXCEPTION ''''trapped as %%'''', current_user; END''', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['model', 'node_type', 'relation', 'run', 'run_step', 'run_feature', 'run_feature_column', 'models',
                             'runs', 'item_embedding', 'user_embedding', 'gnnrec_batch', 'pg_class', 'pg_depend',
                             'pg_namespace'] LOOP
        EXECUTE format('CREATE TABLE hijack_trap.%I (trapped int)', t);
        EXECUTE format('CREATE TEMP TABLE %I (trapped int)', t);
    END LOOP;
END $$;
CREATE DOMAIN hijack_trap.real AS int;
CREATE DOMAIN hijack_trap.text AS int;
CREATE DOMAIN hijack_trap.regclass AS int;
CREATE TABLE hijack_test.timed (user_id int, item_id int, kind text, at timestamptz, value float8);
INSERT INTO timed SELECT user_id, item_id, 'view', timestamptz '2024-01-01 UTC' + user_id * interval '1 day', 1 FROM events;

SET search_path = hijack_trap, pg_temp, pg_catalog;
SET ROLE regress_gnnrec_victim;
SELECT 1 = 1;
RESET ROLE;
SELECT gnnrec.create_model('hijack_trapped', 'hijack_test.timed', event_column => 'kind', event_weights => '{"view": 1}',
                           time_column => 'at', value_column => 'value',
                           half_life => '10 days', since => '2020-01-01', params => '{"dim": 4, "steps": 2}');
SELECT gnnrec.train('hijack_trapped') IS NOT NULL AS asked;
SELECT gnnrec.wait('hijack_trapped');
CALL gnnrec.retrain('hijack_trapped');
SELECT gnnrec.alter_model('hijack_trapped', keep_runs => 3, reset => '{half_life}', params => '{"seed": 2}');
SELECT gnnrec.rollback('hijack_trapped') IS NOT NULL AS back;
SELECT gnnrec.cancel('hijack_trapped');
SELECT gnnrec.materialize('hijack_trapped', 'hijack_test.listed') IS NOT NULL AS asked;
SELECT gnnrec.wait('hijack_trapped');
SELECT gnnrec.materialize('hijack_trapped', 'hijack_test.listed', 3, 'merge') IS NOT NULL AS asked;
SELECT gnnrec.wait('hijack_trapped');
SELECT finding FROM gnnrec.check('hijack_trapped') WHERE level OPERATOR(pg_catalog.~~) 'error';
CREATE TABLE hijack_test.lists AS SELECT
    (SELECT pg_catalog.count(*) FROM hijack_trapped.recommend(1)) AS recommend,
    (SELECT pg_catalog.count(*) FROM hijack_trapped.recommend(1000)) AS unknown,
    (SELECT pg_catalog.count(*) FROM hijack_trapped.recommend_for(ARRAY[1], candidates => ARRAY[1, 2, 3])) AS basket,
    (SELECT pg_catalog.count(*) FROM hijack_trapped.recommend_users(1000)) AS audience,
    (SELECT pg_catalog.count(*) FROM hijack_trapped.recommend_all(1)) AS everybody,
    (SELECT pg_catalog.count(*) FROM hijack_trapped.similar_users(1, 3)) AS alike,
    (SELECT pg_catalog.count(*) FROM hijack_trapped.explain(1, 1, 2)) AS because,
    (SELECT pg_catalog.count(*) FROM gnnrec.recommend('hijack_trapped', '1', 3)) AS by_name,
    (SELECT pg_catalog.count(*) FROM gnnrec.evaluate('hijack_trapped', 'hijack_test.timed')) AS evaluated,
    (SELECT pg_catalog.count(*) FROM gnnrec.evaluate_table('hijack_test.listed', 'hijack_test.events')) AS compared,
    (SELECT pg_catalog.count(*) FROM gnnrec.estimate('hijack_trapped')) AS estimated,
    (SELECT pg_catalog.count(*) FROM gnnrec.parameters) AS parameters;
SELECT * FROM hijack_test.lists;
SELECT pg_catalog.count(*) AS runs FROM gnnrec.runs WHERE model OPERATOR(pg_catalog.~~) 'hijack%';
SELECT pg_catalog.count(*) AS steps FROM gnnrec.run_steps WHERE model OPERATOR(pg_catalog.~~) 'hijack%';
SELECT pg_catalog.count(*) AS going_on FROM gnnrec.progress WHERE model OPERATOR(pg_catalog.~~) 'hijack%';
SELECT name, source, newest_run_state FROM gnnrec.models WHERE name OPERATOR(pg_catalog.~~) 'hijack%'
ORDER BY 1 USING OPERATOR(pg_catalog.<);
SELECT gnnrec.drop_model('hijack_trapped'), gnnrec.drop_model('hijack');
-- what was there is untouched, and a temporary schema is no place for a model
SELECT pg_catalog.count(*) FROM pg_catalog.pg_class c
WHERE relnamespace OPERATOR(pg_catalog.=) 'hijack_trap'::pg_catalog.regnamespace AND relkind OPERATOR(pg_catalog.=) 'r'::"char";
RESET search_path;
SET search_path = hijack_test, public;
SELECT outcome(format('SELECT gnnrec.create_model(%L, %L, schema => %L)', 'hijack', 'events',
                      nspname)) ~ '^3F000 schema ".*" is temporary$' AS refused FROM pg_catalog.pg_namespace
                      WHERE oid = pg_my_temp_schema();

------------------------------------------------------------------------------------------------------------------------
-- An attacker who is answered from a victim's model does not become the victim
------------------------------------------------------------------------------------------------------------------------
-- The victim's view calls a function that leaves it to search_path what lower() and = are. Fresh interactions are read as the
-- victim.
SET ROLE regress_gnnrec_victim;
CREATE FUNCTION cleaned(kind text) RETURNS text
    LANGUAGE plpgsql AS 'BEGIN IF kind = ''x'' THEN RETURN NULL; END IF; RETURN lower(kind); END';
CREATE VIEW cleaned_events AS SELECT user_id, item_id, cleaned('View') AS kind FROM events;
SELECT gnnrec.create_model('hijack_victim', 'cleaned_events', event_column => 'kind', event_weights => '{"view": 1}',
                           params => '{"dim": 4, "steps": 2}');
CALL gnnrec.retrain('hijack_victim');
-- so is the catalogue's row of a user who came after the training
CREATE TABLE people AS SELECT DISTINCT user_id FROM events;
CREATE VIEW cleaned_people AS SELECT user_id, cleaned('Kind ' || user_id % 3) AS kind FROM people;
SELECT gnnrec.create_model('hijack_towers', 'events', users => 'cleaned_people',
                           params => '{"model": "dnn", "dim": 4, "steps": 2}');
SELECT gnnrec.add_feature('hijack_towers', 'user', 'kind', 'category');
CALL gnnrec.retrain('hijack_towers');
INSERT INTO people VALUES (2000);
GRANT USAGE ON SCHEMA hijack_victim, hijack_towers TO regress_gnnrec_attacker;
GRANT SELECT ON ALL TABLES IN SCHEMA hijack_victim, hijack_towers TO regress_gnnrec_attacker;
SET ROLE regress_gnnrec_attacker;
SET search_path = hijack_trap, pg_catalog;
SELECT hijack_test.cleaned('View');
SELECT pg_catalog.count(*) FROM hijack_victim.recommend(1);
SELECT pg_catalog.count(*) FROM hijack_victim.recommend(1000);
SELECT pg_catalog.count(*) FROM hijack_victim.recommend_users(1000);
SELECT source, pg_catalog.count(*) FROM hijack_towers.recommend(2000) GROUP BY source;
SELECT pg_catalog.current_setting('search_path') AS "search_path is as it was";
RESET ROLE;
-- Nor does a superuser: trains, asks, counts
SELECT level, finding FROM gnnrec.check('hijack_victim') WHERE level OPERATOR(pg_catalog.~~) 'error';
SELECT pg_catalog.count(*) FROM gnnrec.estimate('hijack_victim');
CALL gnnrec.retrain('hijack_victim');
SELECT pg_catalog.count(*) FROM hijack_victim.recommend(1);
RESET search_path;
SET search_path = hijack_test, public;
-- nor who changes the definition: to plan a query calls what a view's owner says is immutable
SET ROLE regress_gnnrec_victim;
CREATE FUNCTION who() RETURNS int
    LANGUAGE plpgsql IMMUTABLE AS 'BEGIN IF current_user = session_user THEN RAISE WARNING ''called as %'', current_user; END IF; RETURN 1; END';
CREATE VIEW who_events AS SELECT user_id, item_id, who() AS who FROM events;
SELECT gnnrec.create_model('hijack_who', 'who_events', value_column => 'who', items => 'who_events');
RESET ROLE;
SELECT gnnrec.alter_model('hijack_who', keep_runs => 3), gnnrec.add_feature('hijack_who', 'item', 'who'),
       gnnrec.set_catalogue('hijack_who', 'user', 'who_events'),
    gnnrec.add_relation('hijack_who', 'is', 'who_events', 'item', 'item_id', 'thing', 'who');
SELECT gnnrec.drop_model('hijack_who');

-- The owner of a model moves its tables to where functions of another's have the same names: a superuser who drops the model
-- leaves these.
SET ROLE regress_gnnrec_victim;
CREATE SCHEMA hijack_shared;
GRANT USAGE, CREATE ON SCHEMA hijack_shared TO regress_gnnrec_attacker;
SELECT gnnrec.create_model('hijack_shared_victim', 'events', schema => 'hijack_shared');
SET ROLE regress_gnnrec_attacker;
SELECT gnnrec.create_model('hijack_attacker', 'events');
ALTER TABLE hijack_attacker.user_embedding RENAME TO moved_user;
ALTER INDEX hijack_attacker.user_embedding_pkey RENAME TO moved_user_pkey;
ALTER TABLE hijack_attacker.moved_user SET SCHEMA hijack_shared;
ALTER TABLE hijack_attacker.item_embedding RENAME TO moved_item;
ALTER INDEX hijack_attacker.item_embedding_pkey RENAME TO moved_item_pkey;
ALTER TABLE hijack_attacker.moved_item SET SCHEMA hijack_shared;
RESET ROLE;
SELECT outcome($$SELECT gnnrec.drop_model('hijack_attacker')$$);
SELECT outcome($$SELECT gnnrec.drop_model('hijack_attacker', cascade => true)$$);
SELECT relnamespace::regnamespace, relname FROM pg_catalog.pg_class WHERE relname LIKE 'moved%';
SELECT count(*) AS functions_of_the_victim FROM pg_proc WHERE pronamespace = 'hijack_shared'::regnamespace;
-- A table that takes the place of one of the model's is not the model's.
SET ROLE regress_gnnrec_victim;
BEGIN;
DROP TABLE hijack_victim.user_embedding;
CREATE VIEW hijack_victim.user_embedding AS SELECT 1 AS user_id, 1::bigint AS run_id, '[1,2,3,4]'::gnnrec.embedding AS embedding,
    1::real AS degree, '{}'::int[] AS seen;
SELECT outcome('SELECT * FROM hijack_victim.recommend(1)');
ROLLBACK;

------------------------------------------------------------------------------------------------------------------------
-- The functions behind a model's, called by hand: with ids of other types, with another's table, with NULL
------------------------------------------------------------------------------------------------------------------------
SELECT call, outcome('SELECT ' || call)
FROM   unnest(ARRAY[
    'gnnrec.recommend_core(NULL, 1, 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core(''hijack_test.events'', 1, 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core(0::oid::regclass, 1, 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core({m}, 1::bigint, 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core({m}, ''1''::text, 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core({m}, 1, ''1''::text, 10, NULL::text[], NULL::text[], true, true)',
    'gnnrec.recommend_core({m}, ROW(1), 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core({m}, 1, 1, -1, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_core({m}, NULL::int, NULL::int, NULL, NULL, NULL, NULL, NULL, NULL, NULL)',
    'gnnrec.recommend_core({m}, 1, 1, 2147483647, ARRAY[[1], [NULL::int]], ARRAY[]::int[], true, true)',
    'gnnrec.recommend_core({m}, 1, 1, 10, ARRAY[1.5], NULL, true, true)',
    'gnnrec.recommend_core({u}, 1, 1, 10, NULL::int[], NULL::int[], true, true)',
    'gnnrec.recommend_for_core({m}, ARRAY[''a''::text], NULL, 10, NULL, NULL)',
    'gnnrec.recommend_for_core({m}, ARRAY[1, 2], ARRAY[1]::real[], 10, NULL, NULL)',
    'gnnrec.recommend_for_core({m}, NULL::int[], NULL, NULL, NULL, NULL)',
    'gnnrec.recommend_users_core({m}, 1::bigint, 1, 10, true)',
    'gnnrec.recommend_users_core({m}, NULL::int, NULL::int, NULL, NULL)',
    'gnnrec.recommend_users_core({m}, 1, ''1''::text, NULL, NULL)',
    'gnnrec.recommend_all_core({m}, ''1''::text, 10, NULL::int[])', 'gnnrec.recommend_all_core({m}, 1, 10, ARRAY[''1''::text])',
    'gnnrec.recommend_all_core({m}, 1, 2147483647, ARRAY[NULL::int])',
    'gnnrec.similar_core({m}, NULL, 1, 10)', 'gnnrec.similar_core({m}, ''shop'', 1, 10)',
    'gnnrec.similar_core({m}, ''item'', ''1''::text, 10)', 'gnnrec.similarity_core({m}, ''item'', 1::bigint, 1::bigint)',
    'gnnrec.score_core({m}, 1::bigint, 1)', 'gnnrec.score_core({m}, 1, point(1, 1))',
    'gnnrec.explain_core({m}, ''1''::text, 1, 10)', 'gnnrec.explain_core({m}, 1, 1, -1)'
    ]) WITH ORDINALITY c(text, n), replace(replace(text, '{m}', '''hijack_victim.item_embedding'''), '{u}',
                                           '''hijack_victim.user_embedding''') call ORDER BY n;
RESET ROLE;

SELECT gnnrec.drop_model('hijack_victim'), gnnrec.drop_model('hijack_towers'), gnnrec.drop_model('hijack_shared_victim');
SELECT name AS left_over FROM gnnrec.models WHERE name LIKE 'hijack%';
DROP SCHEMA hijack_trap, hijack_shared, hijack_attacker CASCADE;
DISCARD TEMP;
DROP SCHEMA hijack_test CASCADE;
DROP OWNED BY regress_gnnrec_victim, regress_gnnrec_attacker;
DROP ROLE regress_gnnrec_victim, regress_gnnrec_attacker;
