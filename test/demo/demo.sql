-- demo.sql: what `make demo` shows, statement by statement.
\set ON_ERROR_STOP on
\set QUIET on
\pset footer off
\pset linestyle unicode
\pset null ''
SET client_min_messages = warning;

\ir shop.sql

SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM products) AS products,
       (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM purchases_later) AS later \gset
\echo A shop: :users users, :products products, :events views, carts and purchases; and :later purchases made after those.
\echo

CREATE VIEW bought AS
SELECT user_id, product_id, name, row_number() OVER (PARTITION BY user_id ORDER BY last DESC, product_id) AS n
FROM   (SELECT user_id, product_id, max(at) AS last FROM events WHERE kind = 'buy' GROUP BY user_id, product_id) purchase
JOIN   products ON id = product_id;

\echo '── A model is made of a table of interactions, and trained in a background worker. ──'
\echo
\set ECHO queries
\o /dev/null
CREATE EXTENSION gnnrec;
SELECT gnnrec.create_model('shop', 'events', user_column => 'user_id', item_column => 'product_id',
                           event_column => 'kind', event_weights => '{"view": 1, "cart": 2, "buy": 4}',
                           time_column => 'at');
SELECT gnnrec.train('shop');
SELECT gnnrec.wait('shop');
\o
\set ECHO none
\echo
\echo '── What to show user 42, beside what 42 bought last. ──'
\echo
\set ECHO queries
SELECT r.rank, p.name AS recommended, p.category, p.price, b.name AS bought
FROM   shop.recommend(42, 10) r
JOIN   products p ON p.id = r.item_id
LEFT   JOIN bought b ON b.user_id = 42 AND b.n = r.rank
ORDER  BY r.rank;
\set ECHO none
\echo '── Products like the Altura Burr Grinder. ──'
\echo
\set ECHO queries
SELECT s.rank, p.name, p.category, round(s.score::numeric, 3) AS cosine
FROM   shop.similar_items(1, 8) s
JOIN   products p ON p.id = s.item_id
ORDER  BY s.rank;
\set ECHO none
\echo '── How well it foresaw the later purchases, beside recommending what is popular. ──'
\echo
\set ECHO queries
SELECT metric, k, round(value::numeric, 4) AS gnnrec, round(popular::numeric, 4) AS popular, round(lift::numeric, 1) AS lift
FROM   gnnrec.evaluate('shop', 'purchases_later');
