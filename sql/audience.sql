-- recommend_users(): the audience of an item against plain SQL over the tables.
-- Vectors are filled in by hand, of small halves, and degrees are powers of four, so that answers are compared for equality, ties
-- included; what is folded in is exact too where the sum of weights is a power of four.
SET client_min_messages = warning;
CREATE SCHEMA audience_test;
SET search_path = audience_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all


CREATE TABLE happened (who int, what text, kind text, at timestamptz);
SELECT gnnrec.create_model('audience', 'happened', user_column => 'who', item_column => 'what', event_column => 'kind',
                           event_weights => '{"view": 1, "buy": 2, "return": -3}', time_column => 'at', since => '2020-01-01');
SELECT * FROM failure($$SELECT audience.recommend_users('item A')$$);

-- A run of 150 users, every twelfth without edges, and 40 items, every tenth without. Even users have weights from -1 to 2, where
-- 0 is seen and no edge; weighted => false: nobody has any.
CREATE FUNCTION fill_run(run bigint, weighted bool) RETURNS void LANGUAGE sql AS $$
    SELECT add_run(run, 'audience');
    INSERT INTO audience.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
        SELECT 'item ' || chr(65 + n), run, n, CASE WHEN n % 10 = 9 THEN zeros(6) ELSE halves('i' || n, 6) END,
               halves('f' || n, 6), d, d
        FROM generate_series(0, 39) n, LATERAL (SELECT CASE WHEN n % 10 = 9 THEN 0 ELSE 4 ^ pick('d' || n, 3) END) l(d);
    INSERT INTO audience.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight)
        SELECT n * 2, run, CASE WHEN n % 12 = 11 THEN zeros(6) ELSE halves('u' || n, 6) END,
               CASE WHEN n % 12 = 11 THEN 0 ELSE 4 END, seen,
               CASE WHEN weighted AND n % 2 = 0 THEN (SELECT array_agg((pick('w' || n || e, 4) - 1)::real ORDER BY e)
                                                      FROM unnest(seen) e) END
        FROM generate_series(0, 149) n,
             LATERAL (SELECT coalesce(array_agg(DISTINCT i ORDER BY i), '{}')
                      FROM generate_series(1, n % 9) g, pick('s' || n || g, 40) i) l(seen) $$;

SELECT fill_run(3001, true);
UPDATE gnnrec.model SET live_run = 3001 WHERE name = 'audience';

CREATE FUNCTION reference(i text, exclude_existing bool) RETURNS TABLE (user_id int, score real, rank int)
    LANGUAGE sql STABLE AS $$
    SELECT user_id, product, row_number() OVER (ORDER BY product DESC, user_id)::int
    FROM gnnrec.model m JOIN audience.user_embedding u ON m.live_run = u.run_id
         JOIN audience.item_embedding z USING (run_id),
         LATERAL (SELECT sum(x * y)::real AS product FROM unnest(u.embedding::real[], z.embedding::real[]) v(x, y)) p,
         LATERAL (SELECT array_position(seen, z.item_no) AS place) s
    WHERE m.name = 'audience' AND z.item_id = i AND z.degree > 0 AND u.degree > 0
      AND (place IS NULL OR NOT exclude_existing AND coalesce(seen_weight[place] >= 0, true)) $$;
CREATE FUNCTION compared(exclude_existing bool, k int, OUT rows bigint, OUT items bigint, OUT wrong bigint)
    LANGUAGE sql STABLE AS $$
    SELECT count(*), count(DISTINCT i), count(*) FILTER (WHERE r IS DISTINCT FROM e)
    FROM (SELECT DISTINCT item_id FROM audience.item_embedding) i(i),
         LATERAL (SELECT r, e FROM audience.recommend_users(i, k, exclude_existing) r
                  FULL JOIN (SELECT * FROM reference(i, coalesce(exclude_existing, true))
                             ORDER BY rank LIMIT k) e USING (rank)) c $$;

--
-- Every item: 36 have edges and an audience
--
SELECT x AS exclude_existing, k, c.* FROM (VALUES (true), (false), (NULL)) x(x), (VALUES (10), (1), (NULL), (1000), (0)) k(k),
       compared(x, k) c
ORDER BY x, k;
SELECT count(*) AS rows, count(*) FILTER (WHERE r IS DISTINCT FROM e) AS wrong
FROM audience.recommend_users('item B') r FULL JOIN (SELECT * FROM reference('item B', true) LIMIT 10) e USING (rank);
-- the data hold what the comparison is for: ties, users who dislike an item, and users without edges who have seen it
SELECT count(*) FILTER (WHERE score = next) > 100 AS ties
FROM (SELECT r.score, lead(r.score) OVER (PARTITION BY item_id ORDER BY rank) AS next
      FROM audience.item_embedding, audience.recommend_users(item_id, NULL) r) s;
SELECT count(*) FILTER (WHERE w < 0) > 20 AS disliked, count(*) FILTER (WHERE w = 0) > 20 AS no_edges
FROM audience.user_embedding, unnest(seen_weight) w;
-- a run without weights, where nobody dislikes anything
SELECT fill_run(3002, false);
UPDATE gnnrec.model SET live_run = 3002 WHERE name = 'audience';
SELECT x AS exclude_existing, c.* FROM (VALUES (true), (false)) x(x), compared(x, NULL) c ORDER BY x;
-- what users see and what items are seen by are two views of the same scores
SELECT count(*) AS pairs, count(*) FILTER (WHERE a.score IS DISTINCT FROM b.score) AS wrong
FROM (SELECT i.item_id, r.user_id, r.score FROM audience.item_embedding i, audience.recommend_users(item_id, NULL) r
      WHERE run_id = 3002) a
     FULL JOIN (SELECT r.item_id, user_id, r.score FROM audience.user_embedding u, audience.recommend(user_id, NULL) r
                WHERE run_id = 3002 AND r.source = 'model') b USING (user_id, item_id);
UPDATE gnnrec.model SET live_run = 3001 WHERE name = 'audience';

--
-- Items the run does not know
--
SELECT (SELECT count(*) FROM audience.recommend_users('unheard of')) AS nobody_had,
       (SELECT count(*) FROM audience.recommend_users(NULL)) AS "NULL";
-- of users with weights 1, 2 and 1, one of them in two rows; what does not count: rows before since, other kinds, unknown users
INSERT INTO happened VALUES
    (2, 'new', 'view', '2024-01-01'), (6, 'new', 'view', '2024-01-02'), (6, 'new', 'view', '2024-01-02'),
    (10, 'new', 'view', '2024-01-03'),
    (12, 'new', 'buy', '2019-01-01'), (14, 'new', 'look', '2024-01-01'), (1, 'new', 'buy', '2024-01-01'),
    (NULL, 'new', 'buy', '2024-01-01'),
    (22, 'new', 'buy', '2024-01-01'), (40, 'new', 'return', '2024-01-01'), (40, 'other', 'buy', '2024-01-01'),
    (40, 'returned', 'return', '2024-01-01'), (22, 'only by one without edges', 'buy', '2024-01-01');
CREATE FUNCTION reference_new(exclude_existing bool) RETURNS TABLE (user_id int, score real, rank int) LANGUAGE sql STABLE AS $$
    WITH vector AS (SELECT c, sum(w / sqrt(4) * (embedding::float8[])[c]) AS z
                    FROM (VALUES (2, 1), (6, 2), (10, 1)) v(id, w) JOIN audience.user_embedding ON user_id = id,
                         generate_series(1, 6) c
                    WHERE run_id = 3001 GROUP BY c)
    SELECT user_id, product, row_number() OVER (ORDER BY product DESC, user_id)::int
    FROM audience.user_embedding, LATERAL (SELECT sum(z * (embedding::float8[])[c])::real AS product FROM vector) p
    WHERE run_id = 3001 AND degree > 0 AND user_id <> 40 AND NOT (exclude_existing AND user_id IN (2, 6, 10)) $$;
SELECT x AS exclude_existing, count(*) AS rows, count(*) FILTER (WHERE r IS DISTINCT FROM e) AS wrong
FROM (VALUES (true), (false)) x(x),
     LATERAL (SELECT r, e FROM audience.recommend_users('new', NULL, x) r FULL JOIN reference_new(x) e USING (rank)) c
GROUP BY x ORDER BY x;
SELECT (SELECT count(*) FROM audience.recommend_users('returned')) AS nobody_liked,
       (SELECT count(*) FROM audience.recommend_users('only by one without edges')) AS nothing_known;

--
-- A trained model: a new item that users of one community liked is for the others of it
--
CREATE TABLE likes AS
    SELECT DISTINCT u::int AS who, 'i' || u % 4 * 100 + pick('i' || u || n, 15) AS what FROM generate_series(1, 200) u,
           generate_series(1, 6) n;
SELECT gnnrec.create_model('planted', 'likes', user_column => 'who', item_column => 'what',
                           params => '{"dim": 12, "steps": 25, "negatives": 64, "temperature": 0.2}');
CALL gnnrec.retrain('planted');
INSERT INTO likes SELECT u, 'new ' || u % 4 FROM generate_series(1, 200) u WHERE pick('new' || u, 8) = 0;
SELECT count(*) AS audience, avg((user_id % 4 = c)::int) > 0.95 AS pure,
       count(*) FILTER (WHERE EXISTS (SELECT FROM likes WHERE who = user_id AND what = 'new ' || c)) AS existing
FROM generate_series(0, 3) c, planted.recommend_users('new ' || c, 15);
SELECT count(*) AS audience, avg((user_id % 4 = substr(item_id, 2)::int / 100)::int) > 0.95 AS pure,
       count(*) FILTER (WHERE EXISTS (SELECT FROM likes WHERE who = user_id AND what = item_id)) AS existing
FROM planted.item_embedding, planted.recommend_users(item_id, 5);
SELECT gnnrec.drop_model('planted');

--
-- Many calls in one query take no more memory than few
--
CREATE FUNCTION memory() RETURNS numeric LANGUAGE sql VOLATILE AS $$ SELECT sum(total_bytes) FROM pg_backend_memory_contexts $$;
SELECT max(bytes) - min(bytes) < 100000 AS same_memory, count(*) AS points
FROM (SELECT CASE WHEN n % 500 = 0 THEN memory() END AS bytes
      FROM generate_series(1, 2000) n, audience.recommend_users(CASE WHEN n % 2 = 0 THEN 'item B' ELSE 'new' END, 1,
                                                                n % 3 = 0) OFFSET 0) m
WHERE bytes IS NOT NULL;

--
-- Arguments and rights
--
SELECT * FROM failure($$SELECT audience.recommend_users('item A', -1)$$);
SELECT f.code, f.message
FROM unnest(ARRAY['1::int, NULL::int', '$$x$$::text, NULL::bigint']) WITH ORDINALITY a(arguments, n),
     failure(format('SELECT gnnrec.recommend_users_core(''audience.item_embedding'', %s, 1, true)', arguments)) f
ORDER BY n;
CREATE ROLE gnnrec_audience_role;
GRANT USAGE ON SCHEMA audience, audience_test TO gnnrec_audience_role;
GRANT SELECT ON audience.item_embedding TO gnnrec_audience_role;
SET ROLE gnnrec_audience_role;
SELECT code, message FROM failure($$SELECT audience.recommend_users('item A')$$);
RESET ROLE;
GRANT SELECT ON audience.user_embedding TO gnnrec_audience_role;
SET ROLE gnnrec_audience_role;
-- without a right on the interactions, which are read as the model's owner
SELECT count(*) FROM audience.recommend_users('item A');
SELECT count(*) FROM audience.recommend_users('new');
RESET ROLE;

--
-- The table of interactions may be gone, or a column of it: nobody is known to like an item that the run does not know
--
BEGIN;
SELECT count(*) FROM audience.recommend_users('new');
ALTER TABLE happened RENAME kind TO sort;
SELECT count(*) FROM audience.recommend_users('new');
DROP TABLE happened;
SELECT count(*) FROM audience.recommend_users('new');
SELECT count(*) FROM audience.recommend_users('item A');
ROLLBACK;

DROP OWNED BY gnnrec_audience_role;
DROP ROLE gnnrec_audience_role;
DROP FUNCTION reference, compared, reference_new;
SELECT gnnrec.drop_model('audience');
DROP SCHEMA audience_test CASCADE;
