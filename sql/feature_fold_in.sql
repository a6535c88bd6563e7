-- Folding in by features: users of a model with towers (dnn) who come after the training get the vector that their row of the
-- catalogue makes, without any interaction; in a linear model (lightgcn) it is a summand beside what their items say.
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE SCHEMA feature_fold_in_test;
SET search_path = feature_fold_in_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- Users of four groups, which have what they like, films of four: a user's group is in every one of her columns, and there are
-- values that nobody else has, values missing, and users without any.
CREATE TYPE work AS ENUM ('baker', 'clerk', 'doctor', 'writer');
CREATE TABLE people AS
    SELECT u AS user_id, CASE WHEN u % 11 > 0 THEN (enum_range(NULL::work))[1 + u % 4] END AS occupation,
           CASE WHEN u % 7 > 0 THEN 20 + 10 * (u % 4) + u % 3 END AS age, date '1960-01-01' + (u % 4) * 4000 + u % 9 AS born,
           ARRAY['club ' || u % 4, NULL, 'street ' || u % 5] AS clubs, 'zip ' || u % 8 AS zip,
           (ARRAY['Reads novels; bakes', 'Sails, sails and swims', 'Surgeon in Bath', 'Writes for papers'])[1 + u % 4] || ' ' || u
               AS about,
           CASE WHEN u % 13 > 0 THEN format('[%s,%s,%s]', u % 4 % 2, u % 4 / 2, u % 5)::gnnrec.embedding END AS taste,
           7 AS same, NULL::text AS empty
    FROM generate_series(1, 120) u;
ALTER TABLE people ADD PRIMARY KEY (user_id);
INSERT INTO people (user_id) VALUES (121);
CREATE TABLE films AS SELECT i AS item_id, 'genre ' || i % 4 AS genre FROM generate_series(1, 48) i;
CREATE TABLE events AS
    SELECT u AS user_id, 1 + (u - 1 + 4 * pick('i' || u || '.' || n, 12)) % 48 AS item_id
    FROM generate_series(1, 110) u, generate_series(1, 6) n;
SELECT gnnrec.create_model('towers', 'events', items => 'films', users => 'people', keep_runs => 2,
                           params => '{"model": "dnn", "dim": 16, "steps": 40, "temperature": 0.3, "negatives": 200}');
SELECT gnnrec.add_feature('towers', 'item', 'genre', 'category');
SELECT fold_in FROM gnnrec.models_available WHERE name = 'dnn';

-- A copy of the run, for a moment, that knows its users by other ids: then they are ones who came later, and their scores tell
-- whether the vectors they get are those of the training. How many users, how many scores differ, and where they are from.
CREATE FUNCTION as_strangers(OUT users int, OUT differing int, OUT sources text) LANGUAGE plpgsql AS $$
DECLARE
    live int := live_run FROM gnnrec.models WHERE name = 'towers';
BEGIN
    CREATE TEMP TABLE users AS
        SELECT user_id, embedding FROM towers.user_embedding WHERE run_id = live AND gnnrec.norm(embedding) > 0;
    INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, metrics, trained_by, weights)
        SELECT 9999, model_id, status, stored, params, metrics, trained_by, weights FROM gnnrec.run WHERE run_id = live;
    INSERT INTO gnnrec.run_feature SELECT 9999, feature_no, column_name, kind, size FROM gnnrec.run_feature WHERE run_id = live;
    INSERT INTO gnnrec.run_feature_column
        SELECT 9999, feature_no, column_no, value, mean, deviation, embedding FROM gnnrec.run_feature_column WHERE run_id = live;
    UPDATE gnnrec.model SET live_run = 9999 WHERE name = 'towers';
    UPDATE towers.item_embedding SET run_id = 9999 WHERE run_id = live;
    UPDATE towers.user_embedding SET run_id = 9999, user_id = -user_id WHERE run_id = live;
    SELECT count(DISTINCT u.user_id),
           count(*) FILTER (WHERE abs(r.score - gnnrec.inner_product(u.embedding, i.embedding)) > 1e-4),
           string_agg(DISTINCT r.source, ' ') INTO as_strangers.users, differing, sources
    FROM users u, LATERAL towers.recommend(user_id, NULL, exclude_seen => false) r JOIN towers.item_embedding i USING (item_id)
    WHERE run_id = 9999;
    RAISE EXCEPTION 'back to before';
EXCEPTION WHEN raise_exception THEN
    NULL;
END $$;

--
-- Each kind of feature makes, of who is not known, what the training made of her
--
CREATE PROCEDURE try(column_name name, kind text, size int, params jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.add_feature('towers', 'user', $1, $2, $3);
    COMMIT;
    CALL gnnrec.retrain('towers', params);
    PERFORM gnnrec.drop_feature('towers', 'user', $1);
END $$;
CALL try('occupation', NULL, NULL);
SELECT * FROM as_strangers();
CALL try('clubs', NULL, NULL);
SELECT * FROM as_strangers();
CALL try('zip', 'category', 5);
SELECT * FROM as_strangers();
CALL try('age', NULL, NULL);
SELECT * FROM as_strangers();
CALL try('born', NULL, NULL, '{"layers": 0}');
SELECT * FROM as_strangers();
CALL try('about', NULL, NULL, '{"encoder": "mlp"}');
SELECT * FROM as_strangers();
CALL try('about', 'text', 64, '{"encoder": "mlp", "layers": 0}');
SELECT * FROM as_strangers();
CALL try('taste', NULL, NULL, '{"layers": 3}');
SELECT * FROM as_strangers();
-- all of them, and two that tell nothing; one has a value that is too long for an index
UPDATE people SET zip = repeat('z', 20000) WHERE user_id = 5;
SELECT gnnrec.add_feature('towers', 'user', c) FROM unnest('{occupation,clubs,age,born,about,taste,same,empty}'::name[]) c;
SELECT gnnrec.add_feature('towers', 'user', 'zip', 'category');
CALL gnnrec.retrain('towers', '{"encoder": "mlp"}');
SELECT * FROM as_strangers();

--
-- What is kept, and how long
--
SELECT column_name, kind, size, count(c.*) AS columns, count(value) AS values, count(mean) AS scaled
FROM gnnrec.run_feature f LEFT JOIN gnnrec.run_feature_column c USING (run_id, feature_no)
WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'towers') GROUP BY run_id, feature_no ORDER BY feature_no;
SELECT r.stored, count(DISTINCT f.run_id) AS with_features, count(DISTINCT c.run_id) AS with_columns
FROM gnnrec.run r LEFT JOIN gnnrec.run_feature f USING (run_id) LEFT JOIN gnnrec.run_feature_column c USING (run_id)
GROUP BY 1 ORDER BY 1;
-- a model without towers, or a run without features of users, keeps nothing
CALL gnnrec.retrain('towers', '{"model": "gcn", "steps": 1}');
SELECT count(*) AS kept FROM gnnrec.run_feature WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'towers');
SELECT gnnrec.rollback('towers') > 0 AS back;

--
-- Users who come later: what they are told
--
-- what one gets: of which source, how many of ten films are of the group's
CREATE FUNCTION told(who int, fresh bool DEFAULT true, OUT source text, OUT of_group bigint) LANGUAGE sql AS $$
    SELECT min(source), count(*) FILTER (WHERE (item_id - 1) % 4 = (who - 1) % 4)
    FROM towers.recommend(who, 10, fresh => fresh) $$;
-- nothing is known but the number
SELECT * FROM told(201);
-- two columns, words of one, and a value that one user has; without events there is nothing else
INSERT INTO people (user_id, occupation, clubs)
    SELECT u, (enum_range(NULL::work))[1 + u % 4], ARRAY['club ' || u % 4] FROM generate_series(201, 204) u;
INSERT INTO people (user_id, about) VALUES (205, 'SAILS!'), (206, 'bath, surgeon'), (207, 'papers'), (208, 'novels');
INSERT INTO people (user_id, zip) VALUES (209, repeat('z', 20000));
SELECT min(source), max(source), min(of_group) > 5 AS found, avg(of_group) > 8 AS well FROM generate_series(201, 209) u, told(u);
-- not without asking the catalogue
SELECT * FROM told(201, false);
-- as text, and in the order that their scores have
SELECT source, count(*), bool_and(item_id = r.text_id) AS same
FROM (SELECT rank, item_id::int, source FROM gnnrec.recommend('towers', '202', 10)) g
    JOIN (SELECT rank, item_id AS text_id FROM towers.recommend(202, 10)) r USING (rank) GROUP BY source;
-- what she does since makes her vector longer, and hides films; it does not turn her into another
CREATE TABLE before AS SELECT * FROM towers.recommend(203, NULL);
INSERT INTO events SELECT 203, item_id FROM before WHERE rank IN (1, 5, 47);
SELECT count(*) AS films, bool_and(abs(a.score / b.score - 3 ^ 0.2) < 1e-4) AS longer
FROM towers.recommend(203, NULL) a JOIN before b USING (item_id) WHERE abs(b.score) > 1e-3;
-- of whom the catalogue does not tell, films do
INSERT INTO events SELECT 301, item_id FROM films WHERE item_id IN (1, 5, 9, 13);
SELECT * FROM told(301);
-- what the run has not seen says nothing; what is missing says what it did then
TRUNCATE before;
INSERT INTO people (user_id) VALUES (210);
INSERT INTO before SELECT * FROM towers.recommend(210, NULL);
INSERT INTO people (user_id, clubs, zip, about, age, taste)
    VALUES (211, '{}', 'zip 99', '... ', NULL, NULL), (212, '{NULL,"club 9"}', '', 'unheard', NULL, NULL),
           (213, NULL, NULL, NULL, NULL, '[1,2]');
SELECT u, count(*) AS films, bool_and(a.score = b.score) AS same
FROM generate_series(211, 213) u, LATERAL towers.recommend(u, NULL) a JOIN before b USING (item_id) GROUP BY u ORDER BY u;
-- a user of the run is what the training made of her, whatever her row says by now
TRUNCATE before;
INSERT INTO before SELECT * FROM towers.recommend(1, NULL);
UPDATE people SET (occupation, clubs, about) = (SELECT occupation, clubs, about FROM people WHERE user_id = 2) WHERE user_id = 1;
SELECT source, bool_and(a.score = b.score) AS same
FROM towers.recommend(1, NULL) a JOIN before b USING (item_id, source) GROUP BY source;

--
-- Rights: the catalogue is read with the rights of the model's owner
--
CREATE ROLE regress_gnnrec_visitor;
GRANT USAGE ON SCHEMA feature_fold_in_test, towers TO regress_gnnrec_visitor;
GRANT SELECT ON towers.item_embedding, towers.user_embedding TO regress_gnnrec_visitor;
SET ROLE regress_gnnrec_visitor;
SELECT code FROM failure('SELECT * FROM people');
SELECT code FROM failure('SELECT * FROM gnnrec.run_feature_column');
SELECT source, count(*) FROM towers.recommend(202) GROUP BY source;
RESET ROLE;

--
-- Which run is live, and what has become of the catalogue since
--
-- a row of the catalogue is encoded as the live run has it, whatever the model's features are by now
SELECT gnnrec.drop_feature('towers', 'user', column_name) FROM gnnrec.features
WHERE model = 'towers' AND node_type = 'user' AND column_name <> 'occupation';
SELECT u, source, of_group > 8 AS of_group FROM generate_series(204, 205) u, told(u) ORDER BY u;
DELETE FROM people WHERE user_id > 203;
CALL gnnrec.retrain('towers');
INSERT INTO people (user_id, occupation, about) VALUES (204, 'baker', NULL), (205, NULL, 'SAILS!'), (206, 'doctor', 'swims');
SELECT u, source, of_group > 8 AS of_group FROM generate_series(204, 206) u, told(u) ORDER BY u;
SELECT gnnrec.rollback('towers') > 0 AS back;
SELECT u, source, of_group > 8 AS of_group FROM generate_series(204, 206) u, told(u) ORDER BY u;
-- without an index it may be looked for in a small table only
BEGIN;
ALTER TABLE people DROP CONSTRAINT people_pkey;
SELECT source FROM told(204);
SET LOCAL gnnrec.fresh_max_scan = 0;
SELECT source FROM told(204);
ROLLBACK;
-- a catalogue that has changed says nothing; a view says what it says
CREATE FUNCTION after(change text, who int DEFAULT 204, OUT source text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE change;
    SELECT min(r.source) INTO after.source FROM towers.recommend(who, 10) r;
    RAISE EXCEPTION 'back to before';
EXCEPTION WHEN raise_exception THEN
    NULL;
END $$;
SELECT change, source FROM unnest(ARRAY[
    'SELECT 1', 'ALTER TABLE people DROP about', 'ALTER TABLE people RENAME about TO told',
    'ALTER TABLE people ALTER age TYPE text',
    'ALTER TABLE people ALTER occupation TYPE text', 'ALTER TABLE people ALTER user_id TYPE bigint',
    'ALTER TABLE people DROP user_id', 'ALTER TABLE people RENAME TO persons', 'DROP TABLE people',
    'SELECT gnnrec.set_catalogue(''towers'', ''user'', NULL)', 'DELETE FROM people WHERE user_id = 204',
    'ALTER TABLE people DROP CONSTRAINT people_pkey; INSERT INTO people SELECT * FROM people WHERE user_id = 204',
    'CREATE VIEW seen AS SELECT * FROM people WHERE user_id <> 204; SELECT gnnrec.alter_model(''towers'', users => ''seen'')',
    'CREATE VIEW seen AS SELECT * FROM people WHERE user_id = 204; SELECT gnnrec.alter_model(''towers'', users => ''seen'')',
    'UPDATE people SET taste = ''[1,2,3,4]'' WHERE user_id = 204', 'DELETE FROM gnnrec.run_feature'
    ]) WITH ORDINALITY c(change, n), after(change) ORDER BY n;
-- whoever lists a million clubs is looked up for as long as the asker has time
BEGIN;
UPDATE people SET clubs = (SELECT array_agg('club ' || n % 5) FROM generate_series(1, 1000000) n) WHERE user_id = 204;
SET LOCAL statement_timeout = '1s';
SELECT clock_timestamp() AS start \gset
SELECT * FROM towers.recommend(204);
ROLLBACK;
SELECT clock_timestamp() - :'start' < interval '4 s' AS at_once;
-- what is kept of a run and was changed by hand
BEGIN;
UPDATE gnnrec.run_feature_column SET embedding = '[1,2]';
SELECT code, regexp_replace(message, '\d+', 'N') AS message, detail FROM failure('SELECT * FROM towers.recommend(204)');
ROLLBACK;

--
-- Ids of another type, and a catalogue that is a view
--
CREATE DOMAIN email AS text;
CREATE TABLE visits AS SELECT ('user ' || user_id)::email AS visitor, item_id FROM events WHERE user_id < 200;
CREATE VIEW visitors AS SELECT ('user ' || user_id)::email AS visitor, occupation, age FROM people;
SELECT gnnrec.create_model('visits', 'visits', user_column => 'visitor', users => 'visitors',
                           params => '{"model": "dnn", "dim": 8, "steps": 40, "temperature": 0.3, "negatives": 200,
                                       "holdout": 0.1}');
SELECT gnnrec.add_feature('visits', 'user', c) FROM unnest('{occupation,age}'::name[]) c;
DELETE FROM people WHERE user_id > 200;
CALL gnnrec.retrain('visits');
INSERT INTO people (user_id, occupation, age) VALUES (201, 'clerk', 30), (202, 'doctor', 40), (203, 'writer', NULL);
SELECT u, min(source) AS source, count(*) FILTER (WHERE (item_id - 1) % 4 = (u - 1) % 4) > 8 AS of_group
FROM generate_series(201, 204) u, visits.recommend(('user ' || u)::email, 10) GROUP BY u ORDER BY u;
SELECT gnnrec.drop_model('visits');

--
-- A linear model: features and items each add their share
--
DELETE FROM people WHERE user_id > 121;
DELETE FROM events WHERE user_id > 110;
CALL gnnrec.retrain('towers', '{"model": "lightgcn"}');
SELECT fold_in FROM gnnrec.models_available WHERE name = 'lightgcn';
-- newcomers: 201 is a baker, 202 has had three films, 203 is a clerk and has had two, of nobody is 204 known more than the number
INSERT INTO people (user_id, occupation) VALUES (201, 'baker'), (202, NULL), (203, 'clerk');
INSERT INTO events VALUES (202, 2), (202, 6), (202, 10), (203, 1), (203, 7);
SELECT u, min(r.source) AS source FROM generate_series(201, 204) u, towers.recommend(u, 10) r GROUP BY u ORDER BY u;
-- score = sum over the items of fold_in . z / sqrt(n degree) + e . z / 3, e the vector of the occupation
CREATE VIEW shares AS
    WITH live AS (SELECT live_run FROM gnnrec.models WHERE name = 'towers'),
         item AS (SELECT i.* FROM towers.item_embedding i, live WHERE run_id = live_run)
    SELECT e.user_id, z.item_id, e.item_id AS because_item_id, gnnrec.inner_product(i.fold_in, z.embedding)
           / sqrt(count(*) OVER (PARTITION BY e.user_id, z.item_id) * i.degree) AS share
    FROM events e JOIN item i USING (item_id), item z WHERE e.user_id > 200
    UNION ALL
    SELECT p.user_id, z.item_id, NULL, gnnrec.inner_product(c.embedding, z.embedding) / 3
    FROM people p JOIN gnnrec.run_feature_column c ON c.value = p.occupation::text JOIN live ON run_id = live_run, item z
    WHERE p.user_id > 200;
SELECT u, count(*) AS films, bool_and(abs(r.score - s.score) < 1e-5) AS same
FROM generate_series(201, 203) u, LATERAL towers.recommend(u, NULL, exclude_seen => false) r,
     LATERAL (SELECT sum(share) AS score FROM shares WHERE user_id = u AND item_id = r.item_id) s GROUP BY u ORDER BY u;
SELECT u, count(*) AS shares, bool_and(abs(e.contribution - coalesce(s.share, 0)) < 1e-5) AS same
FROM generate_series(201, 203) u CROSS JOIN LATERAL towers.explain(u, 12, NULL) e
     LEFT JOIN shares s ON s.user_id = u AND s.item_id = 12 AND s.because_item_id IS NOT DISTINCT FROM e.because_item_id
GROUP BY u ORDER BY u;
DROP VIEW shares;
SELECT count(*) FROM towers.explain(204, 12);
-- with a net, and without interactions, the training makes the same of her
CALL gnnrec.retrain('towers', '{"model": "lightgcn", "encoder": "mlp"}');
TRUNCATE before;
INSERT INTO before SELECT * FROM towers.recommend(201, NULL);
INSERT INTO people (user_id, occupation) VALUES (205, 'baker');
SELECT r.source, count(*) AS films, bool_and(abs(r.score - b.score) < 1e-5) AS same
FROM towers.recommend(205, NULL) r JOIN before b USING (item_id) GROUP BY r.source;
-- without layers there are no shares
CALL gnnrec.retrain('towers', '{"model": "lightgcn", "layers": 0}');
SELECT count(*) AS kept FROM gnnrec.run_feature WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'towers');

--
-- Nothing is left of a model that is dropped
--
SELECT count(DISTINCT run_id) AS runs FROM gnnrec.run_feature;
SELECT gnnrec.drop_model('towers');
SELECT (SELECT count(*) FROM gnnrec.run_feature) AS features, (SELECT count(*) FROM gnnrec.run_feature_column) AS columns;
DROP SCHEMA feature_fold_in_test CASCADE;
DROP ROLE regress_gnnrec_visitor;
