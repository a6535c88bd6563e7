-- explain(): the shares of a score against plain SQL over the tables, filled by hand and trained.
SET client_min_messages = warning;
CREATE SCHEMA explain_test;
SET search_path = explain_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

CREATE FUNCTION product(a gnnrec.embedding, b gnnrec.embedding) RETURNS float8 LANGUAGE sql IMMUTABLE AS
    $$ SELECT sum(x * y) FROM unnest(a::float8[], b::float8[]) v(x, y) $$;

-- Four communities with many likes, by weight of the event; returns are disliked items, and one in ten events is looked at only:
-- a weight of 0 is no edge.
CREATE TABLE happened AS
    SELECT u::bigint AS who, 'i' || u % 4 * 10 + pick('i' || u || n, 10) AS what,
           (ARRAY['view', 'view', 'buy', 'return', 'look'])[1 + pick('e' || u || n, 5)] AS kind
    FROM generate_series(1, 80) u, generate_series(1, 8) n;
SELECT gnnrec.create_model('explained', 'happened', user_column => 'who', item_column => 'what', event_column => 'kind',
                           event_weights => '{"view": 1, "buy": 2.5, "return": -3, "look": 0}',
                           params => '{"dim": 8, "steps": 10}');
SELECT * FROM failure($$SELECT explained.explain(1, 'i11')$$);
CALL gnnrec.retrain('explained');

-- the edges of a run as the tables have them, and what each adds to the score of the item with vector z
CREATE VIEW edge AS
    SELECT u.run_id, u.user_id, i.item_id, i.item_no, w.weight / sqrt(u.degree::float8 * i.degree) AS share, i.fold_in
    FROM explained.user_embedding u, unnest(u.seen) WITH ORDINALITY s(no, place),
         LATERAL (SELECT coalesce(u.seen_weight[s.place], 1)::float8 AS weight) w, explained.item_embedding i
    WHERE w.weight > 0 AND i.degree > 0 AND i.item_no = s.no AND i.run_id = u.run_id
      AND u.run_id = (SELECT live_run FROM gnnrec.model WHERE name = 'explained');
CREATE FUNCTION reference(u bigint, i text) RETURNS TABLE (because_item_id text, contribution float8, place bigint)
LANGUAGE sql STABLE AS $$
    SELECT e.item_id, share * product(e.fold_in, z.embedding),
           row_number() OVER (ORDER BY share * product(e.fold_in, z.embedding) DESC, e.item_no)
    FROM edge e JOIN explained.item_embedding z USING (run_id) WHERE e.user_id = u AND z.item_id = i $$;
-- how explain's rows differ from the reference's: in order, shares to six digits, and in the last row what is left of the score
CREATE FUNCTION wrong_rows(u bigint, i text, wanted int, OUT rows bigint, OUT wrong bigint) LANGUAGE sql STABLE AS $$
    SELECT count(*), count(*) FILTER (WHERE a.because_item_id IS DISTINCT FROM r.because_item_id
                                      OR abs(a.contribution - coalesce(r.contribution, explained.score(u, i) - of_items)) > 1e-6
                                      OR abs(a.contribution - coalesce(r.contribution, explained.score(u, i) - of_items)) IS NULL)
    FROM explained.explain(u, i, wanted) WITH ORDINALITY a(because_item_id, contribution, place)
         FULL JOIN (SELECT * FROM reference(u, i) WHERE wanted IS NULL OR place <= wanted) r USING (place),
         (SELECT coalesce(sum(contribution), 0) AS of_items FROM reference(u, i)) o $$;

--
-- A trained model
--
SELECT wanted, sum(rows) AS rows, sum(wrong) AS wrong
FROM (VALUES (NULL), (3), (0), (1000)) k(wanted), generate_series(1, 80) u,
     LATERAL (VALUES ('i' || u % 4 * 10), ('i' || u % 40)) i(item),
     wrong_rows(u, item, wanted)
GROUP BY wanted ORDER BY wanted;
-- all shares sum to the score: every user, every item
SELECT count(*) AS scores,
       count(*) FILTER (WHERE abs(total - score) > 1e-5 * greatest(abs(score), size)) AS wrong,
       count(*) FILTER (WHERE unknown <> 1) AS own_rows
FROM generate_series(1, 80) u, explained.item_embedding i, explained.score(u, item_id) score,
     LATERAL (SELECT sum(contribution::float8) AS total, max(abs(contribution)) AS size,
                     count(*) FILTER (WHERE because_item_id IS NULL) AS unknown
              FROM explained.explain(u, item_id, NULL)) e;
-- no share without an edge: disliked items and those only looked at are not among the reasons
SELECT count(*) > 50 AS no_edges, count(*) FILTER (WHERE explains) AS explained
FROM explained.user_embedding u, unnest(seen, seen_weight) s(no, weight), explained.item_embedding i,
     LATERAL (SELECT EXISTS (SELECT FROM explained.explain(user_id, 'i11', NULL) WHERE because_item_id = i.item_id)) e(explains)
WHERE i.item_no = s.no AND weight <= 0;
-- k is 10 where it is left out; none are the items', and the user's own row remains
SELECT (SELECT count(*) FROM explained.explain(1, 'i11')) <= 11 AS "default", count(*) AS none,
       bool_and(because_item_id IS NULL) AS own
FROM explained.explain(1, 'i11', 0);

-- That these are the shares, and not just numbers with the same sum: with one layer z_i = fold_in_i + sum of shares * own_u,
-- where own_u = z_u - sum of shares * fold_in_i is the vector behind the last row.
CALL gnnrec.retrain('explained', '{"layers": 1}');
CREATE TABLE own AS
    SELECT u.user_id, c, (u.embedding::float8[])[c]
           - coalesce((SELECT sum(share * (fold_in::float8[])[c]) FROM edge e WHERE e.user_id = u.user_id), 0) AS x
    FROM explained.user_embedding u, generate_series(1, 8) c
    WHERE run_id = (SELECT live_run FROM gnnrec.model WHERE name = 'explained');
SELECT count(*) AS numbers, max(abs(z - f - of_users)) < 1e-5 AS same, max(abs(of_users)) > 0.01 AS something
FROM explained.item_embedding i JOIN gnnrec.model ON live_run = run_id, generate_series(1, 8) c,
     LATERAL (SELECT (embedding::float8[])[c] AS z, (fold_in::float8[])[c] AS f) v,
     LATERAL (SELECT coalesce(sum(share * x), 0) AS of_users FROM edge JOIN own USING (user_id)
              WHERE edge.item_id = i.item_id AND own.c = c.c) s
WHERE name = 'explained';
SELECT count(*) AS users, max(abs(contribution - expected)) < 1e-5 AS same
FROM generate_series(1, 80) u, explained.explain(u, 'i11') e,
     LATERAL (SELECT sum(x * (embedding::float8[])[c]) AS expected FROM own, explained.item_embedding i
              JOIN gnnrec.model ON live_run = run_id
              WHERE name = 'explained' AND item_id = 'i11' AND own.user_id = u) o
WHERE because_item_id IS NULL;

--
-- Who and what the run does not know
--
SELECT (SELECT count(*) FROM explained.explain(1, 'none')) AS item, (SELECT count(*) FROM explained.explain(-1, 'i11')) AS "user",
       (SELECT count(*) FROM explained.explain(NULL, 'i11')) AS nobody,
       (SELECT count(*) FROM explained.explain(1, NULL)) AS nothing;
-- a user with interactions since then is explained by them: no own share, and the sum is recommend's score
INSERT INTO happened VALUES (1001, 'i11', 'buy'), (1001, 'i13', 'view'), (1001, 'i13', 'view'), (1001, 'i20', 'return'),
                            (1001, 'i30', 'look'), (1001, 'unheard of', 'buy'), (1002, 'i20', 'return');
SELECT because_item_id, contribution = 0 AS zero FROM explained.explain(1001, 'i14') ORDER BY because_item_id;
SELECT count(*) AS items, count(*) FILTER (WHERE abs(total - score) > 1e-6) AS wrong
FROM explained.recommend(1001, NULL), LATERAL (SELECT sum(contribution) AS total FROM explained.explain(1001, item_id)) e
WHERE source = 'fold_in';
SELECT count(*) AS nothing_liked FROM explained.explain(1002, 'i14');

--
-- Runs that cannot be explained
--
SELECT * FROM failure($$SELECT explained.explain(1, 'i11', -1)$$);
CALL gnnrec.retrain('explained', '{"model": "gcn"}');
SELECT code, replace(message, live_run::text, 'N') AS message, detail, hint
FROM gnnrec.model, failure($$SELECT explained.explain(1, 'i11')$$) WHERE name = 'explained';
CALL gnnrec.retrain('explained', '{"layers": 0}');
SELECT code FROM failure($$SELECT explained.explain(1, 'i11')$$);
CALL gnnrec.retrain('explained', '{"holdout": 0.2}');
SELECT code FROM failure($$SELECT explained.explain(1, 'i11')$$);

--
-- Filled by hand: small whole numbers and degrees that are powers of four, so that shares are exact and there are ties
--
SELECT add_run(2001, 'explained');
INSERT INTO explained.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
    SELECT 'h' || chr(96 + n), 2001, n - 1, CASE WHEN n = 20 THEN '[0,0]' ELSE ARRAY[n % 3, 1 - n % 2]::gnnrec.embedding END,
           ARRAY[n % 2, n % 4 - 1], d, d
    FROM generate_series(1, 20) n, LATERAL (SELECT CASE WHEN n = 20 THEN 0 ELSE 4 ^ (n % 3) END) l(d);
INSERT INTO explained.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight)
    VALUES (1, 2001, '[3,-1]', 16, ARRAY(SELECT generate_series(0, 19)), NULL),
           (2, 2001, '[1,2]', 4, ARRAY[0, 3, 5, 8, 19], ARRAY[2, -1, 0, 2, 1]),
           (3, 2001, '[0,0]', 0, '{}', NULL), (4, 2001, '[0,0]', 0, '{7}', '{-1}');
UPDATE gnnrec.model SET live_run = 2001 WHERE name = 'explained';
SELECT u, sum(rows) AS rows, sum(wrong) AS wrong
FROM generate_series(1, 2) u, explained.item_embedding i, wrong_rows(u, item_id, 7) WHERE run_id = 2001 GROUP BY u ORDER BY u;
SELECT * FROM explained.explain(2, 'ha');
SELECT * FROM explained.explain(1, 'hb', 6);
-- users without edges, and an item without any
SELECT u, e.* FROM generate_series(3, 4) u, explained.explain(u, 'ha') e;
SELECT DISTINCT contribution FROM explained.explain(2, 'ht');

--
-- Rights: SELECT on both tables; ids of the model's types
--
CREATE ROLE gnnrec_explain_role;
GRANT USAGE ON SCHEMA explained, explain_test TO gnnrec_explain_role;
GRANT SELECT ON explained.item_embedding TO gnnrec_explain_role;
SET ROLE gnnrec_explain_role;
SELECT code, message FROM failure($$SELECT explained.explain(1, 'ha')$$);
RESET ROLE;
GRANT SELECT ON explained.user_embedding TO gnnrec_explain_role;
REVOKE SELECT ON explained.item_embedding FROM gnnrec_explain_role;
SET ROLE gnnrec_explain_role;
SELECT code, message FROM failure($$SELECT explained.explain(1, 'ha')$$);
RESET ROLE;
GRANT SELECT ON explained.item_embedding TO gnnrec_explain_role;
SET ROLE gnnrec_explain_role;
-- without a right on the interactions, which are read as the model's owner
SELECT count(*) FROM explained.explain(1, 'ha');
SELECT count(*) FROM explained.explain(1001, 'ha');
RESET ROLE;
SELECT f.code, f.message
FROM unnest(ARRAY['1::int, $$ha$$::text', '1::bigint, 1::bigint']) WITH ORDINALITY a(arguments, n),
     failure(format('SELECT gnnrec.explain_core(''explained.item_embedding'', %s, 1)', arguments)) f
ORDER BY n;

DROP OWNED BY gnnrec_explain_role;
DROP ROLE gnnrec_explain_role;
DROP VIEW edge CASCADE;
SELECT gnnrec.drop_model('explained');
DROP SCHEMA explain_test CASCADE;
