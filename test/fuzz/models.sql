-- models.sql: two small trained models for who tries to break them: monkey_shop of the table events (integer ids) and monkey_words of
-- word_events (users are text, items uuid), both in the current schema; and monkey_room, a schema that has none yet.

SET client_min_messages = error;
CREATE SCHEMA monkey_room;
CREATE TABLE events AS
    SELECT u AS user_id, i AS product_id, (ARRAY['view', 'cart', 'buy'])[1 + (u + i) % 3] AS kind, timestamptz '2024-01-01' + u * interval '1 hour' AS at
    FROM generate_series(1, 60) u, generate_series(1, 60) i WHERE (u * 7 + i * 3) % 11 < 3 OR u % 6 = i % 6;
CREATE INDEX ON events (user_id);
CREATE TABLE products AS SELECT product_id, product_id % 7 AS shelf, 'Product ' || product_id AS title FROM events GROUP BY product_id;
CREATE TABLE word_events AS SELECT 'word ' || user_id AS word, md5(product_id::text)::uuid AS item FROM events;
SELECT gnnrec.create_model('monkey_shop', 'events', item_column => 'product_id', event_column => 'kind',
                           event_weights => '{"view": 1, "cart": 2, "buy": -1}', time_column => 'at', params => '{"dim": 20, "steps": 3}', items => 'products');
SELECT gnnrec.add_feature('monkey_shop', 'item', 'shelf', 'category');
SELECT gnnrec.create_model('monkey_words', 'word_events', user_column => 'word', item_column => 'item', params => '{"dim": 7, "steps": 3}');
SELECT gnnrec.train(m) > 0 FROM unnest('{monkey_shop,monkey_words}'::text[]) m;
SELECT gnnrec.wait(m) FROM unnest('{monkey_shop,monkey_words}'::text[]) m;
