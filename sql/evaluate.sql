-- Measuring: evaluate() and evaluate_table() against the same metrics in plain SQL over the same tables.
-- Nothing is trained here. Vectors are filled in by hand, of small halves, and degrees are powers of four, so that sums and roots
-- are exact in any order and ties are ties: the lists are the same, and metrics differ by the rounding of their sums at most.
SET client_min_messages = warning;
SET extra_float_digits = 0;
CREATE SCHEMA evaluate_test;
SET search_path = evaluate_test, public;

-- a number from 0 to below n, another one for another seed
CREATE FUNCTION pick(seed text, n int) RETURNS int LANGUAGE sql IMMUTABLE AS
    $$ SELECT ('x' || substr(md5(seed), 1, 6))::bit(24)::int % n $$;

-- dim halves from -1 to 1
CREATE FUNCTION halves(seed text, dim int) RETURNS real[] LANGUAGE sql IMMUTABLE AS
    $$ SELECT array_agg((pick(seed || ' ' || c, 5) - 2) / 2.0 ORDER BY c) FROM generate_series(1, dim) c $$;

-- what a statement fails with
CREATE FUNCTION failure(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
    hint = PG_EXCEPTION_HINT;
END $$;

-- Fills run 2001 + the model's number of the model in schema s and makes it live: 70 items, every tenth without edges; 50 users,
-- every twelfth with disliked or merely seen items alone, the others with 1, 4 or 16 items of weight 1 besides.
CREATE FUNCTION fill_run(s text, u_id text, i_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    run bigint;
BEGIN
    INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, trained_by)
        SELECT 2001 + model_id, model_id, 'succeeded', true, '{}', 'hand' FROM gnnrec.model WHERE name = s
               RETURNING run_id INTO run;
    EXECUTE format($f$
        INSERT INTO %1$I.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
        SELECT %2$s, %3$s, n, CASE WHEN n %% 10 = 9 THEN array_fill(0::real, ARRAY[12]) ELSE halves('i' || n, 12) END,
               CASE WHEN n %% 10 = 9 THEN array_fill(0::real, ARRAY[12]) ELSE halves('f' || n, 12) END,
               d, d
        FROM generate_series(0, 69) n, LATERAL (SELECT CASE WHEN n %% 10 = 9 THEN 0 ELSE 4 ^ pick('d' || n, 4) END) l(d)
        ORDER BY md5(n::text)$f$, s, i_id, run);
    EXECUTE format($f$
        INSERT INTO %1$I.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight)
        SELECT %2$s, %3$s, CASE WHEN n %% 12 = 11 THEN array_fill(0::real, ARRAY[12]) ELSE halves('u' || n, 12) END,
               CASE WHEN n %% 12 = 11 THEN 0 ELSE 4 ^ (n %% 3) END, array_agg(i ORDER BY i), array_agg(w::real ORDER BY i)
        FROM generate_series(0, 49) n,
             LATERAL (SELECT i, CASE WHEN place > 4 ^ (n %% 3) OR n %% 12 = 11 THEN -(n %% 2) ELSE 1 END
                      FROM (SELECT i, row_number() OVER (ORDER BY i %% 10 = 9, pick(n || 's' || i, 1000), i) AS place
                            FROM generate_series(0, 69) i) p
                      WHERE place <= 4 ^ (n %% 3) + n %% 4) l(i, w)
        GROUP BY n ORDER BY md5(n::text)$f$, s, u_id, run);
    UPDATE gnnrec.model SET live_run = run WHERE name = s;
END $$;

CREATE TABLE events (who bigint, what int);
SELECT gnnrec.create_model('measured', 'events', user_column => 'who', item_column => 'what');

-- Before there is a run.
CREATE TABLE held (who bigint, what int);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 'held')$$);

SELECT fill_run('measured', '100 + n * 3', '1000 + n * 7');

-- Users of the run (but the first five) and four it does not know, items of the run and three it does not know; pairs twice,
-- pairs that were seen, NULLs; one user whose pairs were all seen.
INSERT INTO held
SELECT 100 + n * 3, 1000 + pick(n || 't' || g, 73) * 7 FROM generate_series(5, 53) n, generate_series(1, 1 + pick('n' || n, 9)) g
UNION ALL
SELECT user_id, 1000 + seen[1] * 7 FROM measured.user_embedding WHERE user_id % 5 = 0
UNION ALL
SELECT user_id, 1000 + unnest(seen) * 7 FROM measured.user_embedding WHERE user_id = 100;
INSERT INTO held SELECT * FROM held WHERE what % 3 = 0;
INSERT INTO held VALUES (NULL, 1000), (130, NULL), (NULL, NULL);

--
-- The same in plain SQL
--

-- ids that the model was not trained on, once each, but for what was seen
CREATE VIEW seen AS
SELECT u.user_id AS who, i.item_id AS what, u.seen_weight[s.place] AS weight
FROM measured.user_embedding u, unnest(u.seen) WITH ORDINALITY s(item_no, place) JOIN measured.item_embedding i USING (item_no);

CREATE VIEW truth AS
SELECT who, what FROM held WHERE who IS NOT NULL AND what IS NOT NULL
EXCEPT SELECT who, what FROM seen;

CREATE VIEW trained AS
SELECT u.user_id AS who, c.place, c.x FROM measured.user_embedding u, unnest(u.embedding::real[]) WITH ORDINALITY c(x, place)
WHERE u.degree > 0;

CREATE VIEW folded AS
SELECT s.who, c.place, sum(s.weight / sqrt(d.degree * i.degree) * c.x) AS x
FROM seen s JOIN measured.item_embedding i ON i.item_id = s.what
     JOIN (SELECT who, sum(weight) AS degree FROM seen WHERE weight > 0 GROUP BY 1) d USING (who),
     unnest(i.fold_in::real[]) WITH ORDINALITY c(x, place)
WHERE s.weight > 0 GROUP BY 1, 2;

-- the lists of the users in truth, to the end: of the popular items, and by each kind of vector
CREATE FUNCTION lists(kind text) RETURNS TABLE (who bigint, what int, rank bigint) LANGUAGE sql AS $$
    WITH vector AS (SELECT * FROM trained WHERE kind = 'trained' UNION ALL SELECT * FROM folded WHERE kind = 'folded'),
    score AS (SELECT v.who, i.item_id, sum(v.x * c.x) AS score
              FROM vector v, measured.item_embedding i, unnest(i.embedding::real[]) WITH ORDINALITY c(x, place)
              WHERE c.place = v.place GROUP BY 1, 2)
    SELECT t.who, i.item_id, row_number() OVER (PARTITION BY t.who ORDER BY i.degree > 0 DESC, coalesce(s.score, i.degree) DESC,
                                                i.item_no)
    FROM (SELECT DISTINCT who FROM truth) t CROSS JOIN measured.item_embedding i LEFT JOIN score s ON s.who = t.who
         AND s.item_id = i.item_id
    WHERE NOT EXISTS (SELECT FROM seen WHERE seen.who = t.who AND seen.what = i.item_id)
$$;

-- the metrics of lists in a table, at one k; the users are those of truth
CREATE FUNCTION metrics(lists regclass, truth regclass, k int) RETURNS TABLE (metric text, value float8) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($f$
        WITH hit AS (SELECT who, rank, row_number() OVER (PARTITION BY who ORDER BY rank) AS hits
                     FROM (SELECT who, what, min(rank) AS rank FROM %1$s GROUP BY 1, 2) l JOIN %2$s USING (who, what)
                     WHERE rank <= $1),
        one AS (SELECT t.who, n, count(h.rank) AS hits, coalesce(1.0 / min(h.rank), 0) AS first,
                       coalesce(sum(ln(2) / ln(h.rank + 1)), 0) AS gain, coalesce(sum(h.hits::float8 / h.rank), 0) AS precisions,
                       (SELECT sum(ln(2) / ln(r + 1)) FROM generate_series(1, least($1, n)) r) AS ideal
                FROM (SELECT who, count(DISTINCT what) AS n FROM %2$s GROUP BY 1) t LEFT JOIN hit h USING (who) GROUP BY 1, 2)
        SELECT m.metric, m.value FROM (SELECT avg(hits::float8 / n) AS recall, avg(hits::float8 / $1) AS precision,
                                       avg(gain / ideal) AS ndcg,
                avg((hits > 0)::int)::float8 AS hit_rate, avg(first)::float8 AS mrr, avg(precisions / least($1, n)) AS map
                FROM one) o,
            LATERAL (VALUES ('recall', recall), ('precision', precision), ('ndcg', ndcg), ('hit_rate', hit_rate), ('mrr', mrr),
                     ('map', map)) m(metric, value)
        $f$, lists, truth) USING k;
END $$;

CREATE TABLE popular_lists AS SELECT * FROM lists('popular');
CREATE TABLE trained_lists AS SELECT * FROM lists('trained');
CREATE TABLE folded_lists AS SELECT * FROM lists('folded');

-- the share of the items that a list holds up to k
CREATE FUNCTION coverage(lists regclass, k int) RETURNS TABLE (metric text, value float8) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format($f$
        SELECT 'coverage', count(DISTINCT what)::float8 / (SELECT count(*) FROM measured.item_embedding) FROM %s WHERE rank <= $1
        $f$, lists) USING k;
END $$;

-- all of evaluate()
CREATE FUNCTION expected(lists regclass, ks int[]) RETURNS TABLE (metric text, k int, value float8, popular float8, lift float8,
                                                                  users bigint)
LANGUAGE sql AS $$
    SELECT m.metric, k, m.value, p.value, m.value / nullif(p.value, 0), (SELECT count(DISTINCT who) FROM truth)
    FROM unnest(ks) k,
         LATERAL (SELECT * FROM metrics(lists, 'truth', k) UNION ALL SELECT * FROM coverage(lists, k)) m,
         LATERAL (SELECT * FROM metrics('popular_lists', 'truth', k) UNION ALL SELECT * FROM coverage('popular_lists', k)) p
    WHERE p.metric = m.metric
$$;

CREATE FUNCTION alike(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS
    $$ SELECT coalesce(abs(a - b) < 1e-12, a IS NULL AND b IS NULL) $$;

--
-- evaluate()
--

-- rows of the answer, and how many of them are as expected
SELECT kind, count(*) AS rows, count(*) FILTER (WHERE alike(e.value, x.value)) AS value,
       count(*) FILTER (WHERE alike(e.popular, x.popular)) AS popular,
       count(*) FILTER (WHERE alike(e.lift, x.lift)) AS lift, count(*) FILTER (WHERE e.users = x.users) AS users,
       count(DISTINCT e.value) > 30 AS figures_differ
FROM unnest('{trained,folded}'::text[]) kind,
     LATERAL (SELECT * FROM gnnrec.evaluate('measured', 'held', '{1,2,5,20,50,69,70,100}', user_vectors => kind)) e
     FULL JOIN LATERAL expected((kind || '_lists')::regclass, '{1,2,5,20,50,69,70,100}') x USING (metric, k)
GROUP BY kind ORDER BY kind DESC;

-- the lists of the two kinds of vector are not the same, nor are those of the popular items
SELECT count(*) > 500 AS lists_differ FROM trained_lists t JOIN folded_lists f USING (who, rank)
    JOIN popular_lists p USING (who, rank)
WHERE t.what <> f.what AND f.what <> p.what AND p.what <> t.what;

-- The answer, and what did not fit the run; k as given, twice if given twice.
SET client_min_messages = notice;
SELECT metric, k, round(value::numeric, 6) AS value, round(popular::numeric, 6) AS popular, round(lift::numeric, 6) AS lift, users
FROM gnnrec.evaluate('measured', 'held');
SET client_min_messages = warning;
SELECT (SELECT count(DISTINCT (h.who, h.what)) FROM held h JOIN seen USING (who, what)) AS seen_pairs,
       (SELECT count(DISTINCT (who, what)) FROM held WHERE who IS NOT NULL
        AND what NOT IN (SELECT item_id FROM measured.item_embedding)) AS unknown_items,
       (SELECT count(DISTINCT who) FROM held WHERE who NOT IN (SELECT user_id FROM measured.user_embedding)) AS unknown_users,
       (SELECT count(*) FROM held WHERE who IS NULL OR what IS NULL) AS null_ids;
SELECT count(*), array_agg(k) FILTER (WHERE metric = 'ndcg') AS k FROM gnnrec.evaluate('measured', 'held', k => '{7,3,7}');

-- Rows in another order, and twice: the same to the last bit.
CREATE TABLE shuffled AS SELECT * FROM held ORDER BY md5(who || ' ' || what);
INSERT INTO shuffled SELECT * FROM held;
SELECT count(*) AS differ FROM (SELECT * FROM gnnrec.evaluate('measured', 'held') EXCEPT SELECT *
                                FROM gnnrec.evaluate('measured', 'shuffled')) d;

-- Ids of other types, in the same order: the same again. A view that names and casts columns will do for the test relation.
CREATE DOMAIN sku AS varchar;
CREATE TABLE clicks (visitor uuid, product sku);
SELECT gnnrec.create_model('other ids', 'clicks', user_column => 'visitor', item_column => 'product');
SELECT fill_run('other ids', $$lpad((100 + n * 3)::text, 32, '0')::uuid$$, $$'sku ' || (1000 + n * 7)$$);
CREATE VIEW held_clicks AS SELECT lpad(who::text, 32, '0')::uuid AS visitor, ('sku ' || what)::varchar AS product FROM held;
SELECT count(*) AS differ FROM (SELECT * FROM gnnrec.evaluate('measured', 'held') EXCEPT SELECT *
                                FROM gnnrec.evaluate('other ids', 'held_clicks')) d;

-- One user and one item at its place in the list: every metric by hand. At the end of the list: an item without edges.
CREATE TABLE one (who bigint, what int);
INSERT INTO one SELECT who, what FROM trained_lists WHERE who = 130 AND rank = 3;
SELECT metric, k, round(value::numeric, 6) AS value, users FROM gnnrec.evaluate('measured', 'one', '{2,3,4}') ORDER BY k, metric;
UPDATE one SET what = (SELECT what FROM trained_lists WHERE who = 130 ORDER BY rank DESC LIMIT 1);
SELECT value, popular, lift FROM gnnrec.evaluate('measured', 'one', '{70}') WHERE metric = 'recall';

-- Nothing to find: no rows, or none that are a question.
TRUNCATE one;
SELECT * FROM gnnrec.evaluate('measured', 'one', '{10}');
INSERT INTO one SELECT who, what FROM seen;
SELECT * FROM gnnrec.evaluate('measured', 'one', '{10}') WHERE metric IN ('recall', 'coverage');
-- nobody finds: there is no lift over nothing
TRUNCATE one;
INSERT INTO one VALUES (130, -1);
SELECT * FROM gnnrec.evaluate('measured', 'one', '{10}') WHERE metric = 'recall';

--
-- evaluate_table()
--

-- The lists that recommend() gives are the lists that evaluate() measures.
CREATE TABLE recommended AS
SELECT who, r.item_id AS what, r.rank FROM (SELECT DISTINCT who FROM truth) t, measured.recommend(who, 60) r;
SELECT count(*) AS rows, count(*) FILTER (WHERE alike(e.value, t.value)) AS value,
       count(*) FILTER (WHERE e.users = t.users) AS users
FROM (SELECT * FROM gnnrec.evaluate('measured', 'held', '{1,10,60}') WHERE metric <> 'coverage') e
     FULL JOIN gnnrec.evaluate_table('recommended', 'truth', 'who', 'what', k => '{1,10,60}') t USING (metric, k);

-- By hand. Ann: hits at 1 and 3 of three to find. Bob: what he gets twice counts once, at its first place. Cid has no list; Dot
-- is not averaged.
CREATE TABLE recs (user_id text, item_id text, rank bigint, score real);
INSERT INTO recs (user_id, item_id, rank) VALUES ('ann', 'apple', 1), ('ann', 'pear', 2), ('ann', 'plum', 3), ('ann', 'apple', 1),
    ('bob', 'fig', 2), ('bob', 'fig', 3), ('bob', 'apple', 4), ('dot', 'apple', 1), (NULL, 'apple', 1), ('ann', NULL, 2);
CREATE TABLE wanted (user_id text, item_id text);
INSERT INTO wanted VALUES ('ann', 'apple'), ('ann', 'plum'), ('ann', 'quince'), ('bob', 'fig'), ('bob', 'fig'), ('cid', 'apple'),
    ('cid', NULL);
SET client_min_messages = notice;
SELECT t.*, alike(t.value, x.value) AS as_computed
FROM gnnrec.evaluate_table('recs', 'wanted', k => '{1,3}') t JOIN (VALUES
    ('recall', 1, (1 / 3.0 + 0 + 0) / 3), ('recall', 3, (2 / 3.0 + 1 + 0) / 3),
    ('precision', 1, (1 + 0 + 0) / 3.0), ('precision', 3, (2 / 3.0 + 1 / 3.0 + 0) / 3),
    ('ndcg', 1, (1 + 0 + 0) / 3.0), ('ndcg', 3, ((1 + 1 / 2.0) / (1 + ln(2) / ln(3) + 1 / 2.0) + ln(2) / ln(3) + 0) / 3),
    ('hit_rate', 1, 1 / 3.0), ('hit_rate', 3, 2 / 3.0),
    ('mrr', 1, 1 / 3.0), ('mrr', 3, (1 + 1 / 2.0 + 0) / 3),
    ('map', 1, 1 / 3.0), ('map', 3, ((1 + 2 / 3.0) / 3 + 1 / 2.0 + 0) / 3)) x(metric, k, value) USING (metric, k)
ORDER BY metric, k;
SET client_min_messages = warning;

-- Against plain SQL: lists with gaps and repeated items, some for nobody, some missing.
CREATE TABLE loose AS
SELECT 100 + n * 3::bigint AS who, 1000 + pick(n || 'l' || r, 40) * 7 AS what, r::smallint AS rank FROM generate_series(20, 70) n,
       generate_series(1, 40) r
WHERE pick(n || 'gap' || r, 4) > 0 ORDER BY md5(n || ' ' || r);
SELECT count(*) AS rows, count(*) FILTER (WHERE alike(t.value, m.value)) AS value, count(DISTINCT t.value) > 15 AS figures_differ
FROM gnnrec.evaluate_table('loose', 'truth', 'who', 'what', 'rank', '{1,3,10,40,1000}') t,
     LATERAL metrics('loose', 'truth', t.k) m
WHERE m.metric = t.metric;

-- Nobody to please, and nothing recommended.
CREATE TABLE nothing (user_id text, item_id text, rank int);
SELECT * FROM gnnrec.evaluate_table('recs', 'nothing', k => '{10}') WHERE metric = 'recall';
SELECT * FROM gnnrec.evaluate_table('nothing', 'wanted', k => '{10}') WHERE metric = 'recall';

--
-- What is refused
--
CREATE TABLE unnamed (a bigint, b int);
CREATE TABLE wrong_user (who text, what int);
CREATE TABLE wrong_item (who bigint, what jsonb);
SELECT * FROM failure($$SELECT gnnrec.evaluate('no such model', 'held')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate(NULL, 'held')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', NULL)$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 4000000000::oid)$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 'unnamed')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 'wrong_user')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 'wrong_item')$$);
SELECT f.* FROM unnest(ARRAY[NULL, '{}', '{10,NULL}', '{0}', '{10,-1}', '{10000001}', array_fill(10, ARRAY[101])::text]) k,
    failure(format('SELECT gnnrec.evaluate(%L, %L, %L::int[])', 'measured', 'held', k)) f;
SELECT count(*) FROM gnnrec.evaluate('measured', 'held', array_fill(10, ARRAY[100]));
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 'held', user_vectors => 'fold')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate('measured', 'held', user_vectors => NULL)$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', NULL)$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'wanted', rank_column => 'place')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'wanted', rank_column => 'score')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'held')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('wrong_user', 'held', 'who', 'what', 'what')$$);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'wanted', k => '{0}')$$);
BEGIN;
INSERT INTO recs VALUES ('dot', 'fig', NULL);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'wanted')$$);
ROLLBACK;
BEGIN;
INSERT INTO recs VALUES ('dot', 'fig', 0);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'wanted')$$);
ROLLBACK;
BEGIN;
INSERT INTO recs VALUES ('ann', 'fig', 3);
SELECT * FROM failure($$SELECT gnnrec.evaluate_table('recs', 'wanted')$$);
-- beyond the last k nobody looks
SELECT round(value::numeric, 6) AS value FROM gnnrec.evaluate_table('recs', 'wanted', k => '{2}') WHERE metric = 'hit_rate';
ROLLBACK;

-- The right to measure is that to read: both tables of the model, and of the test relation what the caller may see.
CREATE ROLE regress_gnnrec_measurer;
GRANT USAGE ON SCHEMA evaluate_test, measured TO regress_gnnrec_measurer;
GRANT SELECT ON measured.item_embedding TO regress_gnnrec_measurer;
CREATE FUNCTION as_measurer(statement text, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_gnnrec_measurer;
    SELECT f.code, f.message INTO code, message FROM failure(statement) f;
    RESET ROLE;
END $$;
SELECT * FROM as_measurer($$SELECT gnnrec.evaluate('measured', 'held')$$);
GRANT SELECT ON measured.user_embedding TO regress_gnnrec_measurer;
SELECT * FROM as_measurer($$SELECT gnnrec.evaluate('measured', 'held')$$);
SELECT * FROM as_measurer($$SELECT gnnrec.evaluate_table('recommended', 'held', 'who', 'what')$$);
GRANT SELECT ON held TO regress_gnnrec_measurer;
SELECT * FROM as_measurer($$SELECT gnnrec.evaluate('measured', 'held')$$);
ALTER TABLE held ENABLE ROW LEVEL SECURITY;
CREATE POLICY two ON held USING (who IN (115, 118));
SET ROLE regress_gnnrec_measurer;
SELECT DISTINCT users FROM gnnrec.evaluate('measured', 'held');
RESET ROLE;

SELECT gnnrec.drop_model('measured', cascade => true);
SELECT gnnrec.drop_model('other ids');
DROP SCHEMA evaluate_test CASCADE;
DROP ROLE regress_gnnrec_measurer;
