-- Folding in: what the run does not know is recommended by what it does know, under every model there is. That a model's own
-- layers give a new user the very vector a training would is the unit tests' matter; here it is that they are asked.
SET client_min_messages = warning;
CREATE SCHEMA fold_in_test;
SET search_path = fold_in_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- Four communities of 60 users and 15 items; one in seven likes is of any item. Users from 1000 on come when all is trained.
CREATE TABLE happened AS
    SELECT u AS who, CASE WHEN n = 1 THEN pick('any' || u, 60) ELSE u % 4 + 4 * pick('i' || u || '.' || n, 15) END AS what,
           (1 + pick('w' || u || '.' || n, 3)) * 0.5 AS weight
    FROM generate_series(1, 240) u, generate_series(1, 7) n;
CREATE TABLE later AS
    SELECT u AS who, u % 4 + 4 * pick('i' || u || '.' || n, 15) AS what, 1 AS weight
    FROM generate_series(1001, 1040) u, generate_series(1, 4) n;
SELECT gnnrec.create_model('folded', 'happened', user_column => 'who', item_column => 'what', value_column => 'weight',
                           params => '{"dim": 16, "steps": 40, "temperature": 0.3, "negatives": 200}', keep_runs => 1);
-- what the model's functions are: each by its number and its whole text
CREATE VIEW functions AS
    SELECT count(*), md5(string_agg(oid || pg_get_functiondef(oid), '' ORDER BY oid)) AS digest
    FROM pg_proc WHERE pronamespace = 'folded'::regnamespace;
SELECT digest AS functions FROM functions \gset
-- how much of what unknown users, and baskets, get is of their community, of the source it should be
CREATE FUNCTION measure(OUT users real, OUT baskets real, OUT audiences real) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO happened SELECT * FROM later;
    SELECT avg((item_id % 4 = who % 4 AND source = 'fold_in')::int) INTO users
    FROM (SELECT DISTINCT who FROM later) u, folded.recommend(who, 5);
    SELECT avg((item_id % 4 = who % 4 AND source = 'fold_in')::int) INTO baskets
    FROM (SELECT who, array_agg(what) AS items, array_agg(weight::real) AS weights FROM later GROUP BY who) b,
         folded.recommend_for(items, weights, 5);
    DELETE FROM happened WHERE who > 1000;
    -- an item that nobody had, from the first ten users of a community
    INSERT INTO happened SELECT u * 4 + c, 100 + c, 1 FROM generate_series(1, 10) u, generate_series(0, 3) c;
    SELECT avg((user_id % 4 = c)::int) INTO audiences FROM generate_series(0, 3) c, folded.recommend_users(100 + c, 10);
    DELETE FROM happened WHERE what >= 100;
END $$;

--
-- Every model, one after the other in one schema
--
CREATE TABLE found (params jsonb, users real, baskets real, audiences real, weights int, width int, functions text,
                    explained text);
CREATE VIEW models AS
    SELECT jsonb_build_object('model', m, 'aggregator', a, 'edge_attention', e) AS params
    FROM gnnrec.parameters, regexp_split_to_table(allowed, ', ') m,
         (VALUES ('mean', 'weight'), ('pool', 'weight'), ('mean', 'relation')) v(a, e)
    WHERE name = 'model' AND (m = 'graphsage' OR a = 'mean') AND (m = 'gat' OR e = 'weight');
SELECT count(*) >= 8 AS models FROM models;
\set ECHO none
SELECT format('SELECT gnnrec.alter_model(''folded'', params => %L)', params), 'CALL gnnrec.retrain(''folded'')',
       format('INSERT INTO found SELECT %L, measured.*, cardinality(weights), gnnrec.dims(fold_in), digest, concat_ws('' '', f.code, f.hint)
               FROM measure() measured, functions, gnnrec.run r, folded.item_embedding i, failure(''SELECT folded.explain(1, 1)'') f
               WHERE r.run_id = i.run_id AND item_id = 1', params)
FROM models
\o /dev/null
\gexec
\o
\set ECHO all
SELECT count(*) = (SELECT count(*) FROM models) AS all_of_them FROM found;
-- what is found; chance finds a quarter
SELECT params, users, baskets, audiences FROM found WHERE least(users, baskets, audiences) < 0.8;
-- switching the model changes no function
SELECT count(*) AS changed FROM found WHERE functions <> :'functions';
-- who folds in by its layers has weights, and wider rows: the input's, where no layer sends it, and what is sent in two layers
SELECT params, weights, width FROM found WHERE weights IS NOT NULL OR width <> 16 ORDER BY params->>'model',
       params->>'aggregator', params->>'edge_attention';
SELECT params FROM found JOIN gnnrec.models_available m ON m.name = params->>'model'
WHERE (weights IS NOT NULL) <> (m.fold_in = 'inductive') OR (explained = 'none') <> m.explains;
-- only sums can be taken apart
SELECT params->>'model' AS model FROM found WHERE explained LIKE 'none%';
SELECT DISTINCT explained FROM found WHERE explained NOT LIKE 'none%';

--
-- A model's own layers, looked at closely
--
-- what a question was answered: one text
CREATE FUNCTION lists() RETURNS text LANGUAGE sql AS $$
    SELECT md5(string_agg(concat_ws(' ', who, item_id, score, rank, source), ',' ORDER BY who, rank))
    FROM (SELECT who, array_agg(what) AS items FROM later GROUP BY who) b, folded.recommend_for(items, k => 10) $$;
SELECT gnnrec.alter_model('folded', params => '{"model": "gat", "aggregator": null, "edge_attention": null, "steps": 60}');
CALL gnnrec.retrain('folded');
-- whoever has a user's items is answered much as that user is: more than half of two lists of ten is the same
SELECT avg((SELECT count(*) FROM folded.recommend(who, 10)
            JOIN folded.recommend_for(items, weights, 10) b USING (item_id))) > 5 AS alike
FROM (SELECT who, array_agg(what) AS items, array_agg(weight::real) AS weights FROM happened GROUP BY who) b;
-- baskets of nothing known, of nothing liked, and of what comes several times
SELECT DISTINCT source FROM folded.recommend_for(ARRAY[9999, 8888]);
SELECT DISTINCT source FROM folded.recommend_for('{}'::int[]);
SELECT DISTINCT source FROM folded.recommend_for(ARRAY[1, 2], ARRAY[0, -1]::real[]);
SELECT count(*) AS same FROM folded.recommend_for(ARRAY[1, 2, 1], ARRAY[1, 2, 1]::real[], 60) a
JOIN folded.recommend_for(ARRAY[2, 1, 7777], ARRAY[2, 2, 5]::real[], 60) b USING (item_id, score, rank);
-- weights far from all that was trained make numbers all the same
SELECT bool_and(score BETWEEN -1e30 AND 1e30) AS finite, count(*)
FROM folded.recommend_for(ARRAY[1, 2, 5], ARRAY[3e38, 3e38, 1e-37]::real[], 60);
-- weights count: the list turns from one community's to the other's
SELECT heavy, sum((item_id % 4 = heavy)::int) > sum((item_id % 4 = 1 - heavy)::int) AS follows
FROM (VALUES (0), (1)) h(heavy), folded.recommend_for(ARRAY[0, 4, 8, 1, 5, 9],
                                                      CASE heavy WHEN 0 THEN '{9,9,9,1,1,1}' ELSE '{1,1,1,9,9,9}' END::real[], 10)
GROUP BY heavy ORDER BY heavy;

--
-- The road from the tables: a run that was never served is read from them and from gnnrec.run
--
CREATE VIEW live AS SELECT model_id, live_run FROM gnnrec.model WHERE name = 'folded';
-- the live run once more under another number, changed, and made live for one question: its answer, or what is wrong
CREATE FUNCTION copied(change text DEFAULT 'SELECT 1') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said record;
BEGIN
    CREATE TEMP TABLE copy ON COMMIT DROP AS SELECT r.* FROM gnnrec.run r, live WHERE run_id = live_run;
    UPDATE copy SET run_id = 987654;
    INSERT INTO gnnrec.run SELECT * FROM copy;
    INSERT INTO folded.item_embedding SELECT (jsonb_populate_record(i, '{"run_id": 987654}')).* FROM folded.item_embedding i;
    INSERT INTO folded.user_embedding SELECT (jsonb_populate_record(u, '{"run_id": 987654}')).* FROM folded.user_embedding u;
    EXECUTE change;
    UPDATE gnnrec.model SET live_run = 987654 WHERE name = 'folded';
    SELECT * FROM failure('SELECT lists()') INTO said;
    RAISE EXCEPTION USING ERRCODE = 'GN000', MESSAGE = CASE said.code WHEN 'none' THEN lists()
                                                       ELSE concat_ws(' | ', said.code, said.message, said.detail, said.hint) END;
EXCEPTION WHEN SQLSTATE 'GN000' THEN
    RETURN SQLERRM;
END $$;
SELECT copied() = lists() AS same;
-- without weights the mean of the items' vectors stands in, whatever fold_in holds
CREATE FUNCTION without_weights(fold_in text) RETURNS text LANGUAGE sql AS $$
    SELECT copied(format('UPDATE gnnrec.run SET weights = NULL WHERE run_id = 987654;
                          UPDATE folded.item_embedding SET fold_in = %s WHERE run_id = 987654', fold_in)) $$;
SELECT without_weights('fold_in') AS mean \gset
SELECT :'mean' <> lists() AS other_than_by_layers, length(:'mean') = 32 AS answered,
       :'mean' = without_weights('embedding') AS of_any_width,
       :'mean' = copied($$UPDATE gnnrec.run SET params = params || '{"model": "gcn"}', weights = NULL WHERE run_id = 987654;
                          UPDATE folded.item_embedding SET fold_in = ARRAY(SELECT x * sqrt(degree)
                                                                           FROM unnest(embedding::real[]) x)::real[]
                          WHERE run_id = 987654$$) AS as_a_sum;
-- weights, parameters and rows that do not belong together are an error, and no more than that
SELECT copied(change) FROM (VALUES
    ('UPDATE gnnrec.run SET weights = weights[2:] WHERE run_id = 987654'),
    ('UPDATE gnnrec.run SET weights = weights || 1::real WHERE run_id = 987654'),
    ($$UPDATE gnnrec.run SET weights = '{}' WHERE run_id = 987654$$),
    ('UPDATE gnnrec.run SET weights[7] = NULL WHERE run_id = 987654'),
    ('UPDATE gnnrec.run SET weights = ARRAY[weights, weights] WHERE run_id = 987654'),
    ($$UPDATE gnnrec.run SET weights[7] = 'NaN' WHERE run_id = 987654$$),
    ($$UPDATE gnnrec.run SET weights[7] = '-Infinity' WHERE run_id = 987654$$),
    ($$UPDATE gnnrec.run SET params = params || '{"layers": 3}' WHERE run_id = 987654$$),
    ($$UPDATE gnnrec.run SET params = params || '{"dim": 32}' WHERE run_id = 987654$$),
    ($$UPDATE gnnrec.run SET params = params || '{"dim": 0}' WHERE run_id = 987654$$),
    ($$UPDATE gnnrec.run SET params = params || '{"model": "lightgcn"}' WHERE run_id = 987654$$),
    ('UPDATE folded.item_embedding SET fold_in = embedding WHERE run_id = 987654'),
    ('UPDATE folded.item_embedding SET embedding = ''[1,2]'' WHERE run_id = 987654;
      UPDATE folded.user_embedding SET embedding = ''[1,2]'' WHERE run_id = 987654'),
    ($$UPDATE folded.item_embedding SET fold_in = '[1,2]' WHERE run_id = 987654 AND item_no = 3$$)) v(change);
-- finite weights of any size end in a list: by popularity, where no vector comes of them
SELECT length(copied('UPDATE gnnrec.run SET weights = array_fill(3e38::real, ARRAY[cardinality(weights)]) WHERE run_id = 987654')) AS digest;
-- an older run's parameters are looked at only where there are layers to run
SELECT length(copied($$UPDATE gnnrec.run SET params = '{"model": "of old", "gone": 1}', weights = NULL WHERE run_id = 987654;
                       UPDATE folded.item_embedding SET fold_in = embedding WHERE run_id = 987654$$)) AS digest;

SELECT gnnrec.drop_model('folded');
DROP SCHEMA fold_in_test CASCADE;
