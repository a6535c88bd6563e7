-- The whole way, from events to recommendations: is the structure found that the shop has planted in it? Every user has
-- two categories of twelve, and a favourite brand in each; a fifth of the visits are noise. The bars lie between
-- what training reaches and what vectors without training (one step at a learning rate of 0.000001) do, which is chance.
\set ECHO none
\set users 600
\set products 600
\i test/demo/shop.sql
\set ECHO all
SET client_min_messages = warning;

SELECT gnnrec.create_model('planted', 'events', user_column => 'user_id', item_column => 'product_id',
                           event_column => 'kind', event_weights => '{"view": 1, "cart": 2, "buy": 4}');
SELECT gnnrec.train('planted') > 0 AS started;
SELECT gnnrec.wait('planted');

-- of ten recommendations, how many are in the two categories the user comes for?
CREATE TEMP VIEW taste AS
SELECT user_id, category
FROM  (SELECT user_id, category, row_number() OVER (PARTITION BY user_id ORDER BY count(*) DESC, category) AS place
       FROM events JOIN products ON id = product_id GROUP BY user_id, category) visited
WHERE place <= 2;

CREATE TEMP TABLE recommended AS
SELECT u.id AS user_id, r.item_id AS product_id, r.rank
FROM   users u, LATERAL planted.recommend(u.id, 10) r;

SELECT count(*) = 10 * 600 AS complete,
       avg((EXISTS (SELECT FROM taste t WHERE t.user_id = r.user_id AND t.category = p.category))::int) > 0.6 AS in_taste
FROM   recommended r JOIN products p ON p.id = r.product_id;

-- nothing that was seen
SELECT count(*) FROM recommended JOIN events USING (user_id, product_id);

-- what is like a product is of its category
SELECT avg((p.category = o.category)::int) > 0.7 AS same_category
FROM   products p, LATERAL planted.similar_items(p.id, 5) s JOIN products o ON o.id = s.item_id;

-- and the later purchases are found more often than among the ten most popular products not yet seen
CREATE INDEX ON events (user_id, product_id);
WITH popular AS
(
    SELECT product_id, row_number() OVER (ORDER BY count(DISTINCT user_id) DESC, product_id) AS place
    FROM   events GROUP BY product_id
),
unseen AS
(
    SELECT u.id AS user_id, p.product_id
    FROM   users u,
    LATERAL (SELECT product_id FROM popular
             WHERE  NOT EXISTS (SELECT FROM events seen WHERE seen.user_id = u.id AND seen.product_id = popular.product_id)
             ORDER  BY place LIMIT 10) p
)
SELECT (SELECT count(*) FROM recommended JOIN purchases_later USING (user_id, product_id)) >
   4 * (SELECT count(*) FROM unseen JOIN purchases_later USING (user_id, product_id)) AS foreseen;

SELECT gnnrec.drop_model('planted');
DROP TABLE users, products, events, purchases_later CASCADE;
