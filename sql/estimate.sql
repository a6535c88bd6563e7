-- estimate(): its total against what trainings have taken, of graphs and models so large that the process itself is a small part.
SET client_min_messages = warning;
CREATE SCHEMA estimate_test;
SET search_path = estimate_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

CREATE TABLE events AS
    SELECT pick('u' || n, 12000) AS user_id, pick('i' || n, 8000) AS item_id, (ARRAY['view', 'buy'])[1 + n % 2] AS kind,
           to_timestamp(n) AS at, 'a rather long id of an item, ' || pick('i' || n, 8000) AS item_name
    FROM generate_series(1, 200000) n;
CREATE TABLE products AS
    SELECT n AS item_id, 'brand ' || n % 500 AS brand, array_fill(n % 7, ARRAY[400])::real[] || pick('p' || n, 9)::real AS taste
    FROM generate_series(0, 7999) n;
-- values that nobody shares
CREATE TABLE people AS SELECT n AS user_id, repeat(md5(n::text), 20) AS motto FROM generate_series(0, 59999) n;
-- of numbers alone; of weights, times, kinds of event apart and texts as ids, with a further type; of features, with many events
-- and few
SELECT gnnrec.create_model('plain', 'events');
SELECT gnnrec.create_model('rich', 'events', item_column => 'item_name', event_column => 'kind',
                           event_weights => '{"view": 1, "buy": 3}', seen_events => '{buy}', behaviours => 'separate',
                           time_column => 'at', half_life => '1 day');
CREATE VIEW events_of_items AS SELECT DISTINCT item_name, kind FROM events;
SELECT gnnrec.add_relation('rich', 'had', 'events_of_items', 'item', 'item_name', 'kind', 'kind');
SELECT gnnrec.create_model('featured', 'events', items => 'products');
CREATE VIEW first_events AS SELECT * FROM events WHERE at < to_timestamp(1000);
SELECT gnnrec.create_model('unlearned', 'first_events', items => 'products');
SELECT gnnrec.add_feature(model, 'item', column_name)
FROM unnest('{featured,unlearned}'::text[]) model, unnest('{brand,taste}'::name[]) column_name;

CREATE TABLE measured (model text, params jsonb, estimated bigint, peak bigint);
CREATE PROCEDURE measure(model text, params jsonb) LANGUAGE plpgsql AS $$
DECLARE
    estimated bigint := bytes FROM gnnrec.estimate(model, params || '{"steps": 1}') WHERE part = 'total';
BEGIN
    CALL gnnrec.retrain(model, params || '{"steps": 1}');
    INSERT INTO measured SELECT r.model, measure.params, estimated, peak_memory FROM gnnrec.runs r ORDER BY run_id DESC LIMIT 1;
END $$;
SELECT gnnrec.create_model('mottos', 'first_events', items => 'products', users => 'people');
SELECT gnnrec.add_feature('mottos', 'user', 'motto', 'category'), gnnrec.add_feature('mottos', 'item', 'brand', 'category');
-- users folded in exactly, by the layers, by the mean; the last one reads more than it learns: it is the reader that is larger
CALL measure('plain', '{"model": "lightgcn"}');
CALL measure('plain', '{"model": "mf", "loss": "bpr"}');
CALL measure('plain', '{"model": "gcn", "holdout": 0.1}');
CALL measure('plain', '{"model": "graphsage"}');
CALL measure('plain', '{"model": "gat"}');
CALL measure('rich', '{"model": "rgcn"}');
CALL measure('featured', '{"model": "dnn"}');
CALL measure('rich', '{"model": "mf", "dim": 16, "loss": "bpr"}');
CALL measure('unlearned', '{"model": "mf", "dim": 4, "loss": "bpr"}');
CALL measure('mottos', '{"model": "mf", "dim": 4, "loss": "bpr"}');
CALL measure('mottos', '{"model": "dnn", "dim": 4, "loss": "bpr"}');
SELECT model, params, CASE WHEN abs(estimated::float8 / peak - 1) < 0.1 THEN 'within a tenth'
                           ELSE format('estimated %s, taken %s', estimated, peak) END AS estimate FROM measured;
SELECT gnnrec.drop_model(model) FROM unnest('{plain,rich,featured,unlearned,mottos}'::text[]) model;
DROP SCHEMA estimate_test CASCADE;
