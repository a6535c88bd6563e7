-- Lists of candidates of all lengths, lists for many users in one query, and what the planner knows of them.
SET client_min_messages = warning;
CREATE SCHEMA lists_test;
SET search_path = lists_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

CREATE TABLE rows AS
    SELECT u AS user_id, 7 * pick(u || 'i' || n, 300) AS item_id FROM generate_series(1, 40) u, generate_series(1, 12) n;
CREATE INDEX ON rows (user_id);
SELECT gnnrec.create_model('lists', 'rows', params => '{"dim": 8, "steps": 5, "negatives": 64}');
-- a plan of a model that is not trained yet
EXPLAIN (COSTS off) SELECT * FROM lists.recommend(1, NULL);
CALL gnnrec.retrain('lists');
SELECT gnnrec.create_model('lists_dense', 'rows', user_column => 'item_id', item_column => 'user_id',
                           params => '{"dim": 8, "steps": 5}');
CALL gnnrec.retrain('lists_dense');

--
-- Candidates: what is left of the whole ranking
--
CREATE TABLE wanted (name text, items int[]);
INSERT INTO wanted VALUES ('none', '{}'), ('unknown', '{-2147483648,-1,1,2,2147483647}'), ('null', '{NULL}');
INSERT INTO wanted SELECT n || ' ascending', array_agg(i) FROM unnest('{10,1000,100000}'::int[]) n, generate_series(1, n) i
GROUP BY n;
INSERT INTO wanted SELECT n || ' shuffled', array_agg(i % 2100 ORDER BY md5(i::text))
    FROM unnest('{10,1000,100000}'::int[]) n, generate_series(1, n) i GROUP BY n;
CREATE FUNCTION compare(u int, items int[], OUT n bigint, OUT wrong bigint) LANGUAGE sql AS $$
    SELECT count(*), count(*) FILTER (WHERE (r.item_id, r.score) IS DISTINCT FROM (e.item_id, e.score))
    FROM (SELECT item_id, score, rank::bigint FROM lists.recommend(u, NULL, items)) r
         FULL JOIN (SELECT item_id, score, row_number() OVER (ORDER BY rank) AS rank FROM lists.recommend(u, NULL)
                    WHERE item_id = ANY (items)) e USING (rank) $$;
-- 40 is known, 41 is not
SELECT name, u, n, wrong FROM wanted, unnest('{1,40,41}'::int[]) u, compare(u, items) ORDER BY name, u;

-- Arrays that change from row to row, are the same again, change places, or differ in the last element alone
CREATE TABLE asked AS
    SELECT n AS place, 1 + n % 5 AS user_id, CASE n / 3 % 3 WHEN 0 THEN a WHEN 1 THEN b ELSE a || 0 END AS candidates,
           CASE WHEN n % 4 = 0 THEN a WHEN n % 4 = 1 THEN NULL ELSE b END AS exclude
    FROM generate_series(1, 60) n,
         (SELECT array_agg(7 * i) AS a FROM generate_series(0, 100) i) a,
         (SELECT array_agg(7 * i) AS b FROM generate_series(50, 150) i) b;
SELECT count(*) AS rows,
       count(*) FILTER (WHERE NOT r.item_id = ANY (candidates) OR coalesce(r.item_id = ANY (exclude), false)) AS wrong,
       count(*) = sum((SELECT count(*) FROM lists.item_embedding i
                       WHERE i.item_id = r.item_id AND run_id = (SELECT live_run FROM gnnrec.model
                                                                 WHERE name = 'lists'))) AS known
FROM asked, lists.recommend(user_id, NULL, candidates, exclude) r;
SELECT sum(n) AS rows FROM asked,
    LATERAL (SELECT count(*) AS n FROM lists.recommend(user_id, NULL)
             WHERE item_id = ANY (candidates) AND (exclude IS NULL OR item_id <> ALL (exclude))) l;
-- two models take turns in one query, and the models' calls are told apart
SELECT count(*) FILTER (WHERE r.source = 'model') AS rows, count(*) FILTER (WHERE m = model AND r.item_id % 7 <> 0) AS wrong
FROM (SELECT 'lists.item_embedding'::regclass AS model) l, (SELECT name, item_table::regclass FROM gnnrec.models) g(name, m),
     generate_series(0, 5) n,
     gnnrec.recommend_core(m, CASE WHEN m = model THEN 1 + n ELSE 7 * n END, NULL::int, 5, NULL, NULL, true, false) r
WHERE g.name LIKE 'lists%';

--
-- One query sees one run, whatever goes live while it is running; the next one sees the next
--
SELECT live_run AS first_run FROM gnnrec.model WHERE name = 'lists' \gset
CALL gnnrec.retrain('lists', '{"seed": 2}');
SELECT live_run AS second_run FROM gnnrec.model WHERE name = 'lists' \gset
CREATE FUNCTION switch(run bigint) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    UPDATE gnnrec.model SET live_run = run WHERE name = 'lists';
    RETURN true;
END $$;
CREATE TABLE of_run AS SELECT 2 AS run, u, r.* FROM generate_series(1, 5) u, lists.recommend(u) r;
SELECT switch(:first_run);
INSERT INTO of_run SELECT 1, u, r.* FROM generate_series(1, 5) u, lists.recommend(u) r;
SELECT run, count(*) FROM of_run JOIN (SELECT u, r.*, switch(:second_run) FROM generate_series(1, 5) u, lists.recommend(u) r) s
    USING (u, item_id, score, rank) GROUP BY run;
BEGIN;
SAVEPOINT before;
SELECT switch(:first_run);
SELECT run, count(*) FROM of_run JOIN (SELECT u, r.* FROM generate_series(1, 5) u, lists.recommend(u) r) s USING (u, item_id,
        score, rank) GROUP BY run;
ROLLBACK TO before;
SELECT run, count(*) FROM of_run JOIN (SELECT u, r.* FROM generate_series(1, 5) u, lists.recommend(u) r) s USING (u, item_id,
        score, rank) GROUP BY run;
COMMIT;

--
-- How many rows the planner expects
--
CREATE FUNCTION expected(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT n_items FROM (SELECT count(*) AS n_items FROM lists.item_embedding WHERE run_id = :second_run) c \gset
SELECT query, CASE expected(query) WHEN :n_items THEN 'all items' ELSE expected(query)::text END AS rows
FROM (VALUES ('SELECT * FROM lists.recommend(1)'), ('SELECT * FROM lists.recommend(1, 37)'),
      ('SELECT * FROM lists.recommend(1, 1)'),
             ('SELECT * FROM lists.recommend(1, NULL)'), ('SELECT * FROM lists.recommend(1, 1000000)'),
             ('SELECT * FROM lists.recommend(1, 50, candidates => ARRAY[7, 14, 21])'),
             ('SELECT * FROM lists.recommend(1, NULL, candidates => ARRAY[7, 14])'),
             ('SELECT * FROM lists.recommend_for(ARRAY[7, 14], k => 5)'), ('SELECT * FROM lists.similar_items(7, 6)'),
             ('SELECT * FROM lists.similar_users(1, k => 4)'),
             ('SELECT * FROM lists.similar_users(1, NULL)'), ($$SELECT * FROM gnnrec.recommend('lists', '1', 33)$$),
             ($$SELECT * FROM gnnrec.similar_items('lists', '7', 3)$$),
             ('SELECT r.* FROM generate_series(1, 100) u, lists.recommend(u, 3) r'),
             ('SELECT * FROM lists.recommend_users(7, 15)'), ('SELECT * FROM lists.recommend_users(7, NULL)'),
             ('SELECT * FROM lists.recommend_all(3)'), ('SELECT * FROM lists.recommend_all(3, ARRAY[1, 2])'),
             ('SELECT * FROM lists.recommend_all(0)'),
             ('SELECT * FROM lists.explain(1, 7, 2)'), ('SELECT * FROM lists.explain(1, 7)')) v(query);
SELECT expected('SELECT * FROM lists.recommend_all(NULL)') = 40 * :n_items AS users_times_items,
       expected('SELECT * FROM lists.explain(1, 7, NULL)')
       = ceil((SELECT avg(cardinality(seen)) FROM lists.user_embedding WHERE run_id = :second_run)) + 1 AS mean_items_and_own;
PREPARE a_list(int) AS SELECT * FROM lists.recommend(1, $1);
SELECT expected('EXECUTE a_list(21)');
-- and what it expects them to cost: little for a list of so few nodes, more for many users or candidates
CREATE FUNCTION cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Total Cost';
END $$;
SELECT cost('SELECT * FROM lists.recommend_all(1)') > cost('SELECT * FROM lists.recommend_all(1, ARRAY[1, 2])') AS all_and_two,
       cost('SELECT * FROM lists.recommend_users(7, 1)') < 1 AND cost('SELECT * FROM lists.explain(1, 7, 1)') < 1 AS little,
       cost(format('SELECT * FROM lists.recommend(1, 1, array_fill(7, ARRAY[%s]))', 5000))
       > 5 * cost('SELECT * FROM lists.recommend(1, 1, ARRAY[7])') AS by_candidates;

SELECT gnnrec.drop_model(name) FROM gnnrec.models WHERE name LIKE 'lists%';
DROP SCHEMA lists_test CASCADE;
