-- What users do after a training: vectors against plain SQL over the tables, what is hidden, how much is read, and what it takes.
SET client_min_messages = warning;
CREATE SCHEMA fresh_test;
SET search_path = fresh_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- 40 users with 4 to 11 items of 60, some of them more than once, of several kinds and values that no binary fraction is; some
-- disliked, some seen without a weight
CREATE TABLE visits (user_id int, item_id int, kind text, amount float8, at timestamptz);
CREATE FUNCTION fill() RETURNS void LANGUAGE sql AS $$
    TRUNCATE visits;
    INSERT INTO visits
    SELECT u, pick(u || 'i' || n, 60), (ARRAY['view', 'view', 'buy', 'return', 'look'])[1 + pick(u || 'k' || n, 5)],
           (1 + pick(u || 'a' || n, 9)) / 10.0, '2024-01-01'::timestamptz + n * interval '1 day'
    FROM generate_series(1, 40) u, generate_series(1, 4 + pick('n' || u, 8)) n $$;

-- what the users have now, in the test's own words: one row an edge, disliked and seen items included
CREATE TABLE now_edges (user_id int, item_id int, weight float8, hidden bool DEFAULT true);

-- every user's whole ranking in model m against plain SQL over the run's tables and now_edges
CREATE FUNCTION compare(m text, OUT users bigint, OUT fresh bigint, OUT rows bigint, OUT wrong bigint, OUT far bool)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$
        WITH item AS (SELECT e.* FROM %1$I.item_embedding e JOIN gnnrec.model ON live_run = run_id WHERE name = %1$L),
        asker AS (SELECT e.* FROM %1$I.user_embedding e JOIN gnnrec.model ON live_run = run_id WHERE name = %1$L),
        edge AS (SELECT user_id, -1 AS sign, item_no, coalesce(weight, 1) AS weight
                 FROM asker, ROWS FROM (unnest(seen), unnest(seen_weight)) s(item_no, weight)
                 UNION ALL
                 SELECT user_id, 1, item_no, n.weight FROM now_edges n JOIN item USING (item_id)),
        positive AS (SELECT e.*, i.degree, i.fold_in, sum(weight) OVER (PARTITION BY user_id, sign) AS of_user
                     FROM edge e JOIN item i USING (item_no) WHERE weight > 0 AND i.degree > 0),
        moved AS (SELECT user_id, c, sum(sign * weight / sqrt(of_user * degree) * x) AS by
                  FROM positive, unnest(fold_in::float8[]) WITH ORDINALITY v(x, c) GROUP BY user_id, c),
        vector AS (SELECT user_id, c, z + coalesce(by, 0) AS z
                   FROM asker CROSS JOIN unnest(embedding::float8[]) WITH ORDINALITY v(z, c) LEFT JOIN moved USING (user_id, c)),
        expected AS (SELECT v.user_id, i.item_id, sum(v.z * x.y) AS score
                     FROM vector v, item i, unnest(i.embedding::float8[]) WITH ORDINALITY x(y, c)
                     WHERE v.c = x.c AND i.degree > 0 AND NOT EXISTS (
                         SELECT FROM now_edges n WHERE n.user_id = v.user_id AND n.item_id = i.item_id
                                AND (n.hidden OR n.weight < 0))
                     GROUP BY v.user_id, i.item_id),
        answered AS (SELECT a.user_id, r.* FROM asker a, %1$I.recommend(a.user_id, NULL) r WHERE source <> 'popular')
        SELECT count(DISTINCT user_id), count(DISTINCT user_id) FILTER (WHERE source = 'fresh'), count(*),
               count(*) FILTER (WHERE a.score IS NULL OR e.score IS NULL OR abs(a.score - e.score) > 1e-5 * greatest(1,
                       abs(e.score))),
               max(abs(a.score - t.score)) > 0.01
        FROM answered a FULL JOIN expected e USING (user_id, item_id)
             LEFT JOIN LATERAL (SELECT %1$I.score(user_id, item_id)) t(score) ON a.source = 'fresh'$f$, m)
    INTO users, fresh, rows, wrong, far;
END $$;
CREATE FUNCTION sources(m text, u int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
    EXECUTE format('SELECT string_agg(DISTINCT source, '' '') FROM %I.recommend(%s)', m, u) INTO result;
    RETURN result;
END $$;

--
-- Without a time column: what users have now against what the run knows
--
SELECT fill();
SELECT gnnrec.create_model('fresh_plain', 'visits', event_column => 'kind', value_column => 'amount',
                           event_weights => '{"view": 1, "buy": 3, "return": -2, "look": 0}',
                           params => '{"dim": 8, "steps": 20, "negatives": 64, "seed": 3}');
CALL gnnrec.retrain('fresh_plain');
CREATE VIEW weighed AS
    SELECT user_id, item_id, sum(amount * CASE kind WHEN 'view' THEN 1 WHEN 'buy' THEN 3 WHEN 'return' THEN -2
                                               ELSE 0 END) AS weight
    FROM visits WHERE kind <> 'unheard of' GROUP BY user_id, item_id;
INSERT INTO now_edges SELECT * FROM weighed;
-- nothing has happened: not one weight has changed in the last bit
SELECT * FROM compare('fresh_plain');
-- new items; more of seen ones; kinds that are not read, seen without a weight, disliked, liked no more; items the run does not
-- know
INSERT INTO visits
SELECT u, pick(u || 'x', 60), 'view', 0.7 FROM generate_series(1, 10) u UNION ALL
SELECT user_id, min(item_id), 'buy', 0.3 FROM visits WHERE user_id BETWEEN 11 AND 15 GROUP BY user_id UNION ALL
SELECT 16, 1, 'unheard of', 1 UNION ALL SELECT 17, 2, 'look', 1 UNION ALL SELECT 18, 3, 'return', 1 UNION ALL
SELECT 19, min(item_id), 'return', 100 FROM visits WHERE user_id = 19 UNION ALL SELECT 20, 4711, 'buy', 1;
DELETE FROM now_edges;
INSERT INTO now_edges SELECT * FROM weighed;
SELECT * FROM compare('fresh_plain');
SELECT count(*) AS not_hidden FROM now_edges n, fresh_plain.recommend(n.user_id, NULL) r WHERE r.item_id = n.item_id;
SELECT u, sources('fresh_plain', u) FROM generate_series(16, 22) u;
SELECT DISTINCT source FROM generate_series(1, 20) u, fresh_plain.recommend(u, fresh => false);
SELECT DISTINCT source FROM gnnrec.recommend('fresh_plain', '1');
-- what is gone from the table stays until the next training
BEGIN;
DELETE FROM visits WHERE user_id BETWEEN 1 AND 15 AND amount NOT IN (0.7, 0.3);
SELECT count(*) FILTER (WHERE source = 'fresh') AS fresh FROM generate_series(21, 30) u, fresh_plain.recommend(u, 1);
ROLLBACK;
-- a user the run does not know: the same as a basket
INSERT INTO visits VALUES (100, 1, 'view', 1), (100, 2, 'buy', 0.5), (100, 2, 'view', 0.5), (100, 3, 'return', 1),
    (100, 4, 'look', 1);
SELECT count(*) AS rows, count(*) FILTER (WHERE (a.item_id, a.score, a.source) = (b.item_id, b.score, 'fold_in')) AS same
FROM fresh_plain.recommend(100, NULL) a JOIN fresh_plain.recommend_for(ARRAY[1, 2, 3, 4], ARRAY[1, 2, -2, 0], NULL) b USING (rank)
WHERE a.source <> 'popular';

--
-- How much is read
--
SET gnnrec.fresh_max_events = 0;
SELECT sources('fresh_plain', 1) AS known, sources('fresh_plain', 100) AS unknown;
-- the list is cut off: only items that were not seen say something for sure
SET gnnrec.fresh_max_events = 3;
SELECT DISTINCT sources('fresh_plain', u) FROM generate_series(11, 15) u;
RESET gnnrec.fresh_max_events;
SELECT sources('fresh_plain', 1) AS known, sources('fresh_plain', 100) AS unknown;
-- a table is scanned as long as it is small; an index, and only one that can find the user, makes that unnecessary
SET gnnrec.fresh_max_scan = 0;
SELECT sources('fresh_plain', 1) AS known, sources('fresh_plain', 100) AS unknown;
CREATE INDEX visits_item ON visits (item_id, user_id);
CREATE INDEX visits_some ON visits (user_id) WHERE kind = 'view';
SELECT sources('fresh_plain', 1);
CREATE INDEX visits_user ON visits (user_id, item_id);
SELECT sources('fresh_plain', 1);
SET client_min_messages = notice;
BEGIN;
SELECT gnnrec.create_model('fresh_quiet', 'visits');
DROP INDEX visits_user;
SELECT gnnrec.create_model('fresh_told', 'visits');
ROLLBACK;
SET client_min_messages = warning;
RESET gnnrec.fresh_max_scan;

-- The plan is kept, and not for longer than it is right: other weights, another name of the table or its schema, a dropped table
BEGIN;
SELECT gnnrec.alter_model('fresh_plain', event_weights => '{"view": 1, "buy": 3, "return": -2, "look": 0, "unheard of": 1}');
SELECT sources('fresh_plain', 16);
ROLLBACK;
SELECT sources('fresh_plain', 16);
ALTER TABLE visits RENAME TO calls;
SELECT sources('fresh_plain', 1);
ALTER SCHEMA fresh_test RENAME TO fresh_moved;
SET search_path = fresh_moved, public;
SELECT sources('fresh_plain', 1);
ALTER SCHEMA fresh_moved RENAME TO fresh_test;
SET search_path = fresh_test, public;
ALTER TABLE calls RENAME TO visits;
BEGIN;
ALTER TABLE visits RENAME kind TO what;
SELECT sources('fresh_plain', 1) AS known, sources('fresh_plain', 100) AS unknown;
ROLLBACK;
BEGIN;
DROP TABLE visits CASCADE;
SELECT sources('fresh_plain', 1) AS known, sources('fresh_plain', 100) AS unknown;
ROLLBACK;
SELECT sources('fresh_plain', 1) AS known, sources('fresh_plain', 100) AS unknown;

-- with the rights of the model's owner, as a view
CREATE ROLE gnnrec_fresh_role;
GRANT USAGE ON SCHEMA fresh_plain TO gnnrec_fresh_role;
GRANT SELECT ON fresh_plain.user_embedding, fresh_plain.item_embedding TO gnnrec_fresh_role;
SET ROLE gnnrec_fresh_role;
SELECT DISTINCT source FROM fresh_plain.recommend(1, 3);
RESET ROLE;
DROP OWNED BY gnnrec_fresh_role;
DROP ROLE gnnrec_fresh_role;

--
-- With a time column: what is later than the run read, in its weights
--
SELECT fill();
CREATE INDEX visits_time ON visits (user_id, at);
SELECT gnnrec.create_model('fresh_time', 'visits', time_column => 'at', half_life => '10 days',
                           params => '{"dim": 8, "steps": 20, "negatives": 64, "seed": 3}');
CALL gnnrec.retrain('fresh_time');
SELECT to_timestamp(newest_event) AT TIME ZONE 'UTC' = (SELECT max(at) FROM visits) AT TIME ZONE 'UTC' AS newest,
       newest_event AS newest_second
FROM gnnrec.run JOIN gnnrec.model ON live_run = run_id WHERE name = 'fresh_time' \gset
SELECT :'newest' AS newest;
CREATE FUNCTION edges_in_time(unread timestamptz DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    DELETE FROM now_edges;
    INSERT INTO now_edges
    SELECT user_id, item_id, sum(2 ^ ((extract(epoch FROM at) - newest_event) / 864000))
    FROM visits, gnnrec.run JOIN gnnrec.model ON live_run = run_id WHERE name = 'fresh_time' AND at IS DISTINCT FROM unread
    GROUP BY user_id, item_id $$;
SELECT edges_in_time();
SELECT * FROM compare('fresh_time');
INSERT INTO visits
SELECT u, pick(u || 'y' || n, 60), NULL, NULL, to_timestamp(:newest_second) + n * interval '7 days'
FROM generate_series(1, 15) u, generate_series(1, 3) n;
SELECT edges_in_time();
SELECT * FROM compare('fresh_time');
-- only the newest are read
SET gnnrec.fresh_max_events = 2;
SELECT edges_in_time(to_timestamp(:newest_second) + interval '7 days');
SELECT * FROM compare('fresh_time');
RESET gnnrec.fresh_max_events;
-- Events whose time is not later. An item not seen is new though it comes late, up to an hour; one that was seen may have been
-- counted; and one row of the far future is no reason to take those of now for old.
SET client_min_messages = error;
INSERT INTO visits VALUES (21, 99, NULL, NULL, to_timestamp(:newest_second));
CREATE TABLE unseen AS SELECT u AS user_id, i AS item_id FROM generate_series(22, 24) u,
    LATERAL (SELECT i FROM generate_series(0, 59) i WHERE NOT EXISTS (SELECT FROM visits WHERE user_id = u AND item_id = i)
             AND i IN (SELECT item_id FROM fresh_time.item_embedding) ORDER BY i LIMIT 1) l;
INSERT INTO visits SELECT user_id, item_id, NULL, NULL, to_timestamp(:newest_second) - (user_id - 22) * interval '59 minutes'
FROM unseen;
INSERT INTO visits SELECT 25, min(item_id), NULL, NULL, to_timestamp(:newest_second) - interval '1 minute' FROM visits
WHERE user_id = 25;
SELECT u, sources('fresh_time', u) FROM generate_series(21, 25) u;
INSERT INTO visits VALUES (40, 1, NULL, NULL, '2999-01-01');
SELECT gnnrec.alter_model('fresh_time', reset => '{half_life}');
CALL gnnrec.retrain('fresh_time');
SELECT sources('fresh_time', 24) AS before;
DELETE FROM visits WHERE (user_id, item_id) IN (SELECT user_id, item_id FROM unseen WHERE user_id = 23);
CALL gnnrec.retrain('fresh_time');
SET client_min_messages = warning;
INSERT INTO visits SELECT user_id, item_id, NULL, NULL, now() FROM unseen WHERE user_id >= 23;
SELECT sources('fresh_time', 23) AS not_seen, sources('fresh_time', 24) AS seen;
-- a run of which no times are known: what was not seen is new, of the rest we cannot tell
UPDATE gnnrec.run SET newest_event = NULL FROM gnnrec.model WHERE run.run_id = live_run AND name = 'fresh_time';
SELECT gnnrec.alter_model('fresh_time', keep_runs => 3);
SELECT sources('fresh_time', 23) AS not_seen, sources('fresh_time', 24) AS seen;

--
-- What hides an item
--
SELECT fill();
SELECT gnnrec.create_model('fresh_seen', 'visits', event_column => 'kind',
                           event_weights => '{"view": 1, "buy": 3, "return": -2, "look": 0}',
                           params => '{"dim": 8, "steps": 20, "negatives": 64, "seed": 3}');
CREATE FUNCTION made_of(kinds text[], OUT hidden bigint, OUT shown bigint, OUT shown_wrong bigint) LANGUAGE sql AS $$
    WITH run AS (SELECT live_run AS run_id FROM gnnrec.model WHERE name = 'fresh_seen'),
    pair AS (SELECT user_id, item_id, item_no, bool_or(kinds IS NULL OR kind = ANY (kinds)) AS hides,
                    sum(CASE kind WHEN 'view' THEN 1 WHEN 'buy' THEN 3 WHEN 'return' THEN -2 ELSE 0 END) < 0 AS disliked
             FROM visits JOIN fresh_seen.item_embedding USING (item_id) JOIN run USING (run_id) GROUP BY user_id, item_id,
                  item_no)
    SELECT count(*) FILTER (WHERE hides OR disliked), count(*) FILTER (WHERE r.item_id IS NOT NULL),
           count(*) FILTER (WHERE (r.item_id IS NULL) <> (hides OR disliked) OR (item_no = ANY (shown)) IS TRUE = hides)
    FROM pair JOIN fresh_seen.user_embedding USING (user_id) JOIN run USING (run_id)
         LEFT JOIN LATERAL (SELECT item_id FROM fresh_seen.recommend(user_id, NULL, fresh => false) r
                            WHERE r.item_id = pair.item_id) r USING (item_id) $$;
CALL gnnrec.retrain('fresh_seen');
SELECT * FROM made_of(NULL);
SELECT gnnrec.alter_model('fresh_seen', seen_events => '{}');
CALL gnnrec.retrain('fresh_seen');
SELECT * FROM made_of('{}');
-- nothing is masked but the disliked: what was seen is a question
SELECT users > 0 AS asked FROM gnnrec.evaluate('fresh_seen', 'visits', '{10}') WHERE metric = 'recall';
SELECT gnnrec.alter_model('fresh_seen', seen_events => '{buy,return}');
CALL gnnrec.retrain('fresh_seen');
SELECT * FROM made_of('{buy,return}');
SELECT seen_events FROM gnnrec.models WHERE name = 'fresh_seen';
-- an item is shown to whom it is recommended to
SELECT count(*) > 0 AS any, count(*) FILTER (WHERE shown IS NULL OR asked IS NULL) AS one_sided
FROM (SELECT user_id, r.item_id, true AS shown FROM (SELECT DISTINCT user_id FROM fresh_seen.user_embedding) u,
             LATERAL fresh_seen.recommend(user_id, NULL, fresh => false) r WHERE source = 'model') list
     FULL JOIN (SELECT a.user_id, item_id, true AS asked FROM (SELECT DISTINCT item_id FROM fresh_seen.item_embedding
                                                               WHERE degree > 0) i,
                       LATERAL fresh_seen.recommend_users(item_id, NULL) a) audience USING (user_id, item_id);
-- it is an edge whatever it hides: the same vectors as with the default
DELETE FROM now_edges;
INSERT INTO now_edges
    SELECT user_id, item_id, sum(CASE kind WHEN 'view' THEN 1 WHEN 'buy' THEN 3 WHEN 'return' THEN -2 ELSE 0 END),
           bool_or(kind IN ('buy', 'return'))
    FROM visits GROUP BY user_id, item_id;
SELECT * FROM compare('fresh_seen');
-- after the run: what is bought is hidden at once, what is looked at is not
CREATE TABLE looked AS SELECT user_id, min(item_id) AS item_id FROM now_edges WHERE NOT hidden AND weight > 0 AND user_id <= 20
GROUP BY user_id;
INSERT INTO visits SELECT user_id, item_id, CASE WHEN user_id % 2 = 0 THEN 'buy' ELSE 'view' END FROM looked;
DELETE FROM now_edges;
INSERT INTO now_edges
    SELECT user_id, item_id, sum(CASE kind WHEN 'view' THEN 1 WHEN 'buy' THEN 3 WHEN 'return' THEN -2 ELSE 0 END),
           bool_or(kind IN ('buy', 'return'))
    FROM visits GROUP BY user_id, item_id;
SELECT * FROM compare('fresh_seen');
SELECT count(*) AS looked_at,
       count(*) FILTER (WHERE EXISTS (SELECT FROM fresh_seen.recommend(user_id, NULL) r
                                      WHERE r.item_id = looked.item_id)) AS recommended
FROM looked GROUP BY user_id % 2 ORDER BY user_id % 2;
SELECT gnnrec.alter_model('fresh_seen', seen_events => '{buy,rent}');
SELECT gnnrec.alter_model('fresh_seen', seen_events => ARRAY[NULL]);
SELECT gnnrec.create_model('fresh_wrong', 'visits', seen_events => '{buy}');
SELECT gnnrec.alter_model('fresh_seen', reset => '{seen_events}');
SELECT seen_events FROM gnnrec.models WHERE name = 'fresh_seen';

--
-- A model that is not linear: the run's own vector, moved as much as folding in moves it
--
SELECT fill();
SELECT gnnrec.create_model('fresh_gcn', 'visits', params => '{"model": "gcn", "dim": 8, "steps": 5, "negatives": 64, "seed": 3}');
CALL gnnrec.retrain('fresh_gcn');
INSERT INTO visits SELECT u, pick(u || 'x', 60) FROM generate_series(1, 10) u;
DELETE FROM now_edges;
INSERT INTO now_edges SELECT user_id, item_id, count(*) FROM visits GROUP BY user_id, item_id;
SELECT users, fresh, rows, wrong FROM compare('fresh_gcn');

SELECT gnnrec.drop_model(name) FROM gnnrec.models WHERE name LIKE 'fresh%';
DROP SCHEMA fresh_test CASCADE;
