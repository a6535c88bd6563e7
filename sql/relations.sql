-- Relations, catalogues and behaviours: what else a graph is made of than interactions. What is planted in a relation is found,
-- and is not there without it.
SET client_min_messages = warning;
CREATE SCHEMA relations_test;
SET search_path = relations_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- 120 users, 60 items of 4 brands. A user likes one brand: 6 of 7 events are with items of it. Items 48 to 59 have no events.
CREATE TABLE products AS SELECT i AS id, (ARRAY['ash', 'birch', 'cedar', 'dew'])[1 + i % 4] AS brand, i % 4 AS brand_no
FROM generate_series(0, 59) i;
ALTER TABLE products ADD PRIMARY KEY (id);
CREATE TABLE events AS
    SELECT u AS user_id, CASE WHEN k < 6 THEN 4 * pick('e' || u || '-' || k, 12) + u % 4 ELSE pick('r' || u, 48) END AS product_id
    FROM generate_series(0, 119) u, generate_series(0, 6) k;
CREATE INDEX ON events (user_id);
-- of the three new items at the top of a user's list, those of the user's brand
CREATE FUNCTION share_of_brand(model text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE answer numeric;
BEGIN
    EXECUTE format('SELECT round(avg((p.brand_no = u %% 4)::int), 2) FROM generate_series(0, 119) u,
                    LATERAL %I.recommend(u, 3, candidates => ARRAY(SELECT generate_series(48, 59))) r JOIN products p ON p.id = r.item_id', model) INTO answer;
    RETURN answer;
END $$;

--
-- Items that nobody has bought are known by their brand
--
SELECT gnnrec.create_model('rel_shop', 'events', item_column => 'product_id', items => 'products',
                           params => '{"dim": 16, "steps": 60, "seed": 3, "layers": 3}');
CALL gnnrec.retrain('rel_shop');
-- all items of the catalogue are there, and nothing is known of the new ones
SELECT count(*), count(*) FILTER (WHERE interactions = 0), count(*) FILTER (WHERE gnnrec.norm(embedding) = 0)
FROM rel_shop.item_embedding;
SELECT share_of_brand('rel_shop');
SELECT gnnrec.add_relation('rel_shop', 'made_by', 'products', 'item', 'id', 'brand', 'brand');
-- it has a table and functions at once, and vectors with the next training; until then the model answers as before
SELECT count(*) FROM rel_shop.brand_embedding;
SELECT share_of_brand('rel_shop');
SELECT count(*) FROM rel_shop.recommend_brand(1);
CALL gnnrec.retrain('rel_shop');
SELECT share_of_brand('rel_shop') >= 0.85 AS of_the_brand;
SELECT count(*), count(*) FILTER (WHERE interactions = 0), count(*) FILTER (WHERE gnnrec.norm(embedding) = 0)
FROM   rel_shop.item_embedding WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'rel_shop');
SELECT brand_id, brand_no, degree FROM rel_shop.brand_embedding ORDER BY brand_no;
SELECT avg((r.brand_id = (ARRAY['ash', 'birch', 'cedar', 'dew'])[1 + u % 4])::int) >= 0.9 AS favourite_first
FROM   generate_series(0, 119) u, LATERAL rel_shop.recommend_brand(u, 1) r;
SELECT count(*), min(rank), max(rank) FROM rel_shop.similar_brand('ash');
SELECT metrics -> 'nodes' AS nodes, metrics -> 'edges' AS edges, rows_read FROM gnnrec.runs WHERE model = 'rel_shop'
ORDER BY run_id DESC LIMIT 1;
SELECT * FROM gnnrec.node_types WHERE model = 'rel_shop';
SELECT * FROM gnnrec.relations WHERE model = 'rel_shop' \gx

--
-- Values of a column are a relation each; weights, values, times and NULLs
--
CREATE TABLE facts (head int, relation text, tail text, strength float8, at timestamptz);
INSERT INTO facts SELECT id, 'brand', brand, 1, '2026-01-01' FROM products;
INSERT INTO facts SELECT id, 'colour', (ARRAY['red', 'blue'])[1 + pick('c' || id, 2)], 0.5, '2026-01-01' FROM products;
INSERT INTO facts VALUES (NULL, 'brand', 'ash', 1, '2026-01-01'), (1, NULL, 'ash', 1, '2026-01-01'),
    (1, 'brand', NULL, 1, '2026-01-01'),
    (1, 'brand', 'ash', 'NaN', '2026-01-01'), (1, 'brand', 'ash', -1, '2026-01-01'), (1, 'brand', 'old', 1, '2020-01-01'),
    (70, 'brand', 'ash', 0, '2026-01-01');
SELECT gnnrec.create_model('rel_facts', 'events', item_column => 'product_id',
                           params => '{"dim": 16, "steps": 60, "seed": 3, "layers": 3}');
SELECT gnnrec.add_relation('rel_facts', 'fact', 'facts', 'item', 'head', 'thing', 'tail', relation_column => 'relation',
                           weight => 0.5,
                           value_column => 'strength', time_column => 'at', half_life => '1 year', since => '2021-01-01');
CALL gnnrec.retrain('rel_facts');
SELECT share_of_brand('rel_facts') >= 0.7 AS of_the_brand;
SELECT metrics -> 'nodes' AS nodes, metrics -> 'edges' AS edges, rows_read, rows_skipped FROM gnnrec.runs
WHERE model = 'rel_facts';
-- sums of weights; nothing of what weighs nothing
SELECT thing_id, degree FROM rel_facts.thing_embedding ORDER BY thing_no;
SELECT degree, interactions, gnnrec.norm(embedding) FROM rel_facts.item_embedding WHERE item_id = 70;
SELECT count(*), min(degree - interactions), max(degree - interactions) FROM rel_facts.item_embedding WHERE item_id < 60
       AND item_id <> 1;
-- more values than a graph has room for: the rarest share a relation
INSERT INTO facts SELECT v % 60, 'value ' || v, 'x' || v, 1, '2026-01-01' FROM generate_series(1, 70) v;
SET client_min_messages = error;
CALL gnnrec.retrain('rel_facts', '{"steps": 1}');
SET client_min_messages = warning;
SELECT message, n AS relations, edges -> 'fact:*' AS rest, edges -> 'fact:brand' AS brand
FROM   (SELECT *, metrics -> 'edges' AS edges FROM gnnrec.runs WHERE model = 'rel_facts' ORDER BY run_id DESC LIMIT 1) r,
       LATERAL (SELECT count(*) AS n FROM jsonb_object_keys(edges)) e;
SELECT sum(bytes) > 0 AS estimated FROM gnnrec.estimate('rel_facts');

--
-- Nodes of one type: users without events are known by their friends
--
CREATE TABLE friends AS SELECT 1000 + u AS a, 4 * pick('f' || u || '-' || k, 30) + u % 4 AS b FROM generate_series(0, 19) u,
    generate_series(1, 6) k;
CREATE FUNCTION share_of_friends(model text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE answer numeric;
BEGIN
    EXECUTE format('SELECT round(avg((r.item_id %% 4 = u %% 4)::int), 2) FROM generate_series(0, 19) u, LATERAL %I.recommend(1000 + u, 5) r WHERE r.source = %L',
                   model, 'model') INTO answer;
    RETURN answer;
END $$;
SELECT gnnrec.create_model('rel_friends', 'events', item_column => 'product_id',
                           params => '{"dim": 16, "steps": 60, "seed": 3, "layers": 3}');
CALL gnnrec.retrain('rel_friends');
SELECT share_of_friends('rel_friends');
SELECT gnnrec.add_relation('rel_friends', 'friend', 'friends', 'user', 'a', 'user', 'b');
CALL gnnrec.retrain('rel_friends');
SELECT share_of_friends('rel_friends') >= 0.8 AS as_friends_do;
CREATE TABLE without_loops AS SELECT user_id, embedding, degree FROM rel_friends.user_embedding
WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'rel_friends');
-- a friend of oneself is none, and makes nobody another
INSERT INTO friends SELECT u, u FROM generate_series(0, 119) u;
CALL gnnrec.retrain('rel_friends');
SELECT count(*) AS others FROM without_loops w JOIN rel_friends.user_embedding e USING (user_id)
WHERE  e.run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'rel_friends') AND (e.embedding OPERATOR(gnnrec.<>) w.embedding
        OR e.degree <> w.degree);
SELECT level, count, finding FROM gnnrec.check('rel_friends') WHERE finding LIKE '%relation%';

--
-- Behaviours: what is looked at is of one brand, what is bought of the next
--
CREATE TABLE clicks AS
    SELECT u AS user_id, 4 * pick('v' || u || '-' || k, 15) + u % 4 AS item_id, 'view' AS kind FROM generate_series(0, 119) u,
           generate_series(1, 9) k
    UNION ALL SELECT u, 4 * pick('b' || u || '-' || k, 15) + (u + 1) % 4, 'buy' FROM generate_series(0, 119) u,
    generate_series(1, 4) k
    UNION ALL SELECT u, 4 * pick('b' || u || '-' || 1, 15) + (u + 1) % 4, 'return' FROM generate_series(0, 119, 10) u
    UNION ALL SELECT u, 4 * pick('v' || u || '-' || 1, 15) + u % 4, 'return' FROM generate_series(5, 119, 10) u;
CREATE INDEX ON clicks (user_id);
CREATE FUNCTION share_bought(model text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE answer numeric;
BEGIN
    EXECUTE format('SELECT round(avg((r.item_id %% 4 = (u + 1) %% 4)::int), 2) FROM generate_series(0, 119) u, LATERAL %I.recommend(u, 3) r', model) INTO answer;
    RETURN answer;
END $$;
SELECT gnnrec.create_model('rel_clicks', 'clicks', event_column => 'kind',
                           event_weights => '{"view": 1, "buy": 1.5, "return": -1}',
                           params => '{"dim": 16, "steps": 150, "seed": 3}');
CALL gnnrec.retrain('rel_clicks');
SELECT share_bought('rel_clicks') <= 0.5 AS looked_at;
CREATE TABLE merged AS SELECT user_id, degree, seen, seen_weight FROM rel_clicks.user_embedding;
CREATE TABLE merged_items AS SELECT item_id, degree, interactions FROM rel_clicks.item_embedding;
SELECT gnnrec.alter_model('rel_clicks', behaviours => 'separate', keep_runs => 1);
CALL gnnrec.retrain('rel_clicks');
SELECT share_bought('rel_clicks') >= 0.75 AS bought;
-- together they are what they are merged: what was seen, what weighs how much, what speaks against an item
SELECT count(*), count(*) FILTER (WHERE m.seen <> e.seen OR m.seen_weight IS DISTINCT FROM e.seen_weight) AS others_seen,
       count(*) FILTER (WHERE abs(m.degree - e.degree) > 1e-4) AS other_degrees
FROM   merged m JOIN rel_clicks.user_embedding e USING (user_id);
SELECT count(*), count(*) FILTER (WHERE m.interactions <> e.interactions) AS other_interactions,
       count(*) FILTER (WHERE abs(m.degree - e.degree) > 1e-4) AS other_degrees
FROM   merged_items m JOIN rel_clicks.item_embedding e USING (item_id);
SELECT metrics -> 'edges' AS edges FROM gnnrec.runs WHERE model = 'rel_clicks' ORDER BY run_id DESC LIMIT 1;
SELECT gnnrec.alter_model('rel_clicks', target_event => 'view');
CALL gnnrec.retrain('rel_clicks', '{"holdout": 0.2, "steps": 60}');
SELECT share_bought('rel_clicks') <= 0.1 AS looked_at, (metrics ->> 'recall@20')::float8 > 0 AS measured FROM gnnrec.runs
WHERE model = 'rel_clicks' ORDER BY run_id DESC LIMIT 1;
SELECT sum(bytes) > 0 AS estimated FROM gnnrec.estimate('rel_clicks');
SELECT behaviours, target_event FROM gnnrec.relations WHERE model = 'rel_clicks';
SELECT gnnrec.alter_model('rel_clicks', reset => '{target_event}');
SELECT behaviours, target_event FROM gnnrec.relations WHERE model = 'rel_clicks';
SELECT gnnrec.alter_model('rel_clicks', target_event => 'view');
SELECT gnnrec.alter_model('rel_clicks', behaviours => 'merged');
SELECT behaviours, target_event FROM gnnrec.relations WHERE model = 'rel_clicks';
SELECT gnnrec.alter_model('rel_clicks', behaviours => 'separate');
DELETE FROM clicks WHERE kind = 'buy';
SELECT level, finding, hint FROM gnnrec.check('rel_clicks') WHERE level = 'error';
SELECT gnnrec.train('rel_clicks') IS NOT NULL AS asked;
SELECT detail FROM failure($$SELECT gnnrec.wait('rel_clicks')$$);

--
-- Definitions that make no sense
--
CREATE FUNCTION refusals(calls text[]) RETURNS TABLE (call text, code text, message text, detail text, hint text) LANGUAGE sql AS
    $$ SELECT c, f.* FROM unnest(calls) WITH ORDINALITY AS u(c, n), LATERAL failure('SELECT gnnrec.' || c) f ORDER BY n $$;
CREATE TABLE names (name text PRIMARY KEY);
\x on
SELECT * FROM refusals(ARRAY[
    $$add_relation('no model', 'r', 'products', 'item', 'id', 'brand', 'brand')$$,
    $$add_relation('rel_shop', NULL, 'products', 'item', 'id', 'brand', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', NULL)$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand', weight => NULL)$$,
    $$add_relation('rel_shop', '', 'products', 'item', 'id', 'brand', 'brand')$$,
    $$add_relation('rel_shop', 'made_by', 'products', 'item', 'id', 'brand', 'brand')$$,
    $$add_relation('rel_shop', 'interaction', 'products', 'item', 'id', 'brand', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'ident', 'brand', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand', relation_column => 'relation')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand_no')$$,
    $$add_relation('rel_shop', 'r', 'products', 'thing', 'id', 'thing', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'Brand', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', '2nd', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', '', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', repeat('x', 41), 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'users', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'all', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'run', 'brand')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand', weight => -1)$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand', weight => 'NaN')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand', half_life => '1 day')$$,
    $$add_relation('rel_shop', 'r', 'products', 'item', 'id', 'brand', 'brand', value_column => 'brand')$$,
    $$add_relation('rel_facts', 'r', 'facts', 'item', 'head', 'at', 'strength')$$,
    $$add_relation('rel_shop', 'r', 'events_user_id_idx', 'item', 'id', 'brand', 'brand')$$,
    $$drop_relation('rel_shop', 'interaction')$$,
    $$drop_relation('rel_shop', 'nothing')$$,
    $$set_catalogue('rel_shop', 'nothing', 'products')$$,
    $$set_catalogue('rel_shop', 'item', 'facts')$$,
    $$set_catalogue('rel_shop', 'item', 'products', 'brand')$$,
    $$set_catalogue('rel_shop', 'item', 'products', 'nothing')$$,
    $$set_catalogue('rel_shop', NULL, 'products')$$,
    $$create_model('rel_no', 'clicks', behaviours => 'apart')$$,
    $$create_model('rel_no', 'clicks', behaviours => 'separate')$$,
    $$create_model('rel_no', 'clicks', target_event => 'buy')$$,
    $$create_model('rel_no', 'clicks', event_column => 'kind', event_weights => '{"buy": 1}', behaviours => 'separate', target_event => 'view')$$,
    $$create_model('rel_no', 'clicks', event_column => 'kind', event_weights => '{"return": -1}', behaviours => 'separate')$$,
    $$create_model('rel_no', 'clicks', event_column => 'kind', behaviours => 'separate',
                   event_weights => (SELECT jsonb_object_agg(n, 1) FROM generate_series(1, 65) n))$$,
    $$create_model('rel_no', 'clicks', items => 'facts')$$,
    $$create_model('rel_no', 'events', item_column => 'product_id', users => 'names')$$,
    $$alter_model('rel_shop', items => 'facts')$$,
    $$alter_model('rel_shop', reset => '{catalogue}')$$]);
\x off
-- nothing is left of them
SELECT relation FROM gnnrec.relations WHERE model = 'rel_shop';
SELECT node_type FROM gnnrec.node_types WHERE model = 'rel_shop';
SELECT count(*) FROM pg_tables WHERE schemaname = 'rel_shop';
SELECT count(*) FROM pg_namespace WHERE nspname = 'rel_no';
-- as many relations and types as there may be, and one more
DO $$
BEGIN
    FOR n IN 1 .. 14 LOOP
        PERFORM gnnrec.add_relation('rel_clicks', 'r' || n, 'relations_test.facts', 'item', 'head', 't' || n, 'tail');
    END LOOP;
    FOR n IN 15 .. 62 LOOP
        PERFORM gnnrec.add_relation('rel_clicks', 'r' || n, 'relations_test.facts', 'item', 'head', 't1', 'tail');
    END LOOP;
END $$;
SELECT message, detail FROM failure($$SELECT gnnrec.add_relation('rel_clicks', 'r63', 'facts', 'item', 'head', 't15', 'tail')$$);
SELECT message, detail FROM failure($$SELECT gnnrec.add_relation('rel_clicks', 'r63', 'facts', 'item', 'head', 't14', 'tail')$$);
SELECT gnnrec.alter_model('rel_clicks', behaviours => 'merged');
SELECT gnnrec.add_relation('rel_clicks', 'r63', 'facts', 'item', 'head', 't14', 'tail');
SELECT message, detail FROM failure($$SELECT gnnrec.add_relation('rel_clicks', 'r64', 'facts', 'item', 'head', 't14', 'tail')$$);
SELECT message, detail FROM failure($$SELECT gnnrec.alter_model('rel_clicks', behaviours => 'separate')$$);
SELECT gnnrec.drop_model('rel_clicks');

--
-- Dropping
--
CREATE VIEW uses_brand AS SELECT brand_id FROM rel_shop.brand_embedding;
SELECT message FROM failure($$SELECT gnnrec.drop_relation('rel_shop', 'made_by')$$);
SELECT gnnrec.drop_relation('rel_shop', 'made_by', cascade => true);
SELECT node_type FROM gnnrec.node_types WHERE model = 'rel_shop';
SELECT count(*) FROM pg_proc WHERE pronamespace = 'rel_shop'::regnamespace AND proname LIKE '%brand%';
-- the live run answers all the same, as it was trained
SELECT share_of_brand('rel_shop') >= 0.85 AS of_the_brand;
SET client_min_messages = notice;
SELECT gnnrec.drop_relation('rel_shop', 'made_by', if_exists => true);
SET client_min_messages = warning;
-- the same name again, with other ids; a type goes with the last relation that mentions it
SELECT gnnrec.add_relation('rel_shop', 'first', 'products', 'item', 'id', 'brand', 'brand_no');
SELECT gnnrec.add_relation('rel_shop', 'colour', 'facts', 'item', 'head', 'colour', 'tail');
SELECT gnnrec.add_relation('rel_shop', 'second', 'products', 'brand', 'brand_no', 'brand', 'id');
CALL gnnrec.retrain('rel_shop');
SELECT pg_typeof(brand_id), rank FROM rel_shop.recommend_brand(1, 2);
SELECT gnnrec.drop_relation('rel_shop', 'first');
SELECT node_type FROM gnnrec.node_types WHERE model = 'rel_shop';
SELECT gnnrec.drop_relation('rel_shop', 'second');
SELECT node_type FROM gnnrec.node_types WHERE model = 'rel_shop';
SELECT relation, from_type, to_type FROM gnnrec.relations WHERE model = 'rel_shop';
CALL gnnrec.retrain('rel_shop');
SELECT count(*) > 0 AS some FROM rel_shop.recommend_colour(1, 3);

--
-- Catalogues come and go; users have them too
--
CREATE TABLE people (who int, name text);
INSERT INTO people SELECT u, 'name ' || u FROM generate_series(100, 139) u;
INSERT INTO people VALUES (NULL, 'nobody');
SELECT gnnrec.set_catalogue('rel_shop', 'user', 'people', 'who');
SELECT gnnrec.alter_model('rel_shop', reset => '{items}');
SELECT node_type, catalogue, catalogue_id FROM gnnrec.node_types WHERE model = 'rel_shop';
SELECT level, count, finding FROM gnnrec.check('rel_shop') WHERE finding LIKE '%catalogue%';
CALL gnnrec.retrain('rel_shop');
SELECT metrics -> 'nodes' AS nodes, rows_skipped FROM gnnrec.runs WHERE model = 'rel_shop' ORDER BY run_id DESC LIMIT 1;
SELECT gnnrec.set_catalogue('rel_shop', 'user', NULL);
SELECT node_type, catalogue, catalogue_id FROM gnnrec.node_types WHERE model = 'rel_shop';
-- ids that mean something else
CREATE TABLE other_ids AS SELECT 100000 + id AS id, brand FROM products;
SELECT gnnrec.add_relation('rel_shop', 'other', 'other_ids', 'item', 'id', 'maker', 'brand');
SELECT level, count, finding FROM gnnrec.check('rel_shop') WHERE finding LIKE '%"other"%';

--
-- Sources that are gone: the run says which
--
CREATE FUNCTION run_failure(model text) RETURNS text LANGUAGE sql AS
    $$ SELECT message FROM gnnrec.runs r WHERE r.model = $1 ORDER BY run_id DESC LIMIT 1 $$;
ALTER TABLE other_ids RENAME brand TO maker;
SELECT gnnrec.train('rel_shop') IS NOT NULL AS asked;
SELECT code FROM failure($$SELECT gnnrec.wait('rel_shop')$$);
SELECT run_failure('rel_shop');
ALTER TABLE other_ids ALTER id TYPE bigint, ALTER maker TYPE varchar;
ALTER TABLE other_ids RENAME maker TO brand;
SELECT level, finding, hint FROM gnnrec.check('rel_shop') WHERE level = 'error';
SELECT gnnrec.set_catalogue('rel_shop', 'colour', 'facts', 'tail');
DROP TABLE other_ids, facts;
SELECT level, finding, hint FROM gnnrec.check('rel_shop') WHERE level = 'error';
SELECT gnnrec.train('rel_shop') IS NOT NULL AS asked;
SELECT code FROM failure($$SELECT gnnrec.wait('rel_shop')$$);
SELECT run_failure('rel_shop');
SELECT message, hint FROM failure($$SELECT gnnrec.estimate('rel_shop')$$);
SELECT relation, source FROM gnnrec.relations WHERE model = 'rel_shop';
SELECT count(*) FROM rel_shop.recommend(1, 3);
-- the table of a type dropped by hand: said, and dropped with its relation
DROP TABLE rel_shop.colour_embedding CASCADE;
SELECT level, finding, hint FROM gnnrec.check('rel_shop') WHERE level = 'error';
SELECT gnnrec.drop_relation('rel_shop', 'colour'), gnnrec.drop_relation('rel_shop', 'other');
CALL gnnrec.retrain('rel_shop');
SELECT count(*) FROM rel_shop.recommend(1, 3);

SELECT gnnrec.drop_model(model, cascade => true) FROM gnnrec.relations WHERE model LIKE 'rel\_%' AND relation = 'interaction';
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'rel\_%';
DROP SCHEMA relations_test CASCADE;
