-- Serving: recommend() and its kin against plain SQL over the same tables.
-- Nothing is trained here. Vectors are filled in by hand, of small halves, and degrees are powers of four, so that sums and roots
-- are exact in any order: answers are compared for equality, ties included.
SET client_min_messages = warning;

-- a number from 0 to below n, another one for another seed
CREATE FUNCTION pick(seed text, n int) RETURNS int LANGUAGE sql IMMUTABLE AS
    $$ SELECT ('x' || substr(md5(seed), 1, 6))::bit(24)::int % n $$;

-- dim halves from -1 to 1
CREATE FUNCTION halves(seed text, dim int) RETURNS gnnrec.embedding LANGUAGE sql IMMUTABLE AS
    $$ SELECT array_agg((pick(seed || ' ' || c, 5) - 2) / 2.0 ORDER BY c)::gnnrec.embedding FROM generate_series(1, dim) c $$;

-- what a statement fails with
CREATE FUNCTION failure(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

-- Fills a run of the model in schema s: 120 items, every tenth without edges (zero vectors), and 60 users, every fifteenth
-- without. Another seed, other vectors. u_id and i_id are expressions that make the id of node n; they ascend with n.
CREATE FUNCTION fill_run(s text, run bigint, seed int, u_id text, i_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, trained_by)
        SELECT run, model_id, 'succeeded', true, '{}', 'hand' FROM gnnrec.model WHERE name = s;
    EXECUTE format($f$
        INSERT INTO %1$I.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
        SELECT %2$s, %3$s, n,
               CASE WHEN n %% 10 = 9 THEN array_fill(0::real, ARRAY[12]) ELSE halves('i' || n || %4$L, 12)::real[] END,
               CASE WHEN n %% 10 = 9 THEN array_fill(0::real, ARRAY[12]) ELSE halves('f' || n || %4$L, 12)::real[] END,
               d, d
        FROM generate_series(0, 119) n, LATERAL (SELECT CASE WHEN n %% 10 = 9 THEN 0 ELSE 4 ^ pick('d' || n, 3) END) l(d)
        ORDER BY md5(n::text)$f$, s, i_id, run, seed);
    EXECUTE format($f$
        INSERT INTO %1$I.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight)
        SELECT %2$s, %3$s,
               CASE WHEN n %% 15 = 14 THEN array_fill(0::real, ARRAY[12]) ELSE halves('u' || n || %4$L, 12)::real[] END,
               CASE WHEN n %% 15 = 14 THEN 0 ELSE 4 END, seen,
               CASE WHEN n %% 3 > 0 THEN (SELECT array_agg((pick('w' || n || e, 4) - 1)::real ORDER BY e) FROM unnest(seen) e) END
        FROM generate_series(0, 59) n,
             LATERAL (SELECT coalesce(array_agg(DISTINCT i ORDER BY i), '{}')
                      FROM generate_series(1, n %% 12) g, pick('s' || n || g, 120) i) l(seen)
        ORDER BY md5(n::text)$f$, s, u_id, run, seed);
END $$;

CREATE TABLE events (who bigint, what int);
SELECT gnnrec.create_model('serving', 'events', user_column => 'who', item_column => 'what');

--
-- Before there is a run
--
SELECT * FROM failure('SELECT serving.recommend(1)');
SELECT * FROM failure('SELECT serving.score(1, 1)');
SELECT * FROM failure($$SELECT gnnrec.recommend('serving', '1')$$);
SELECT * FROM failure($$SELECT gnnrec.recommend('none', '1')$$);
SELECT * FROM failure('SELECT gnnrec.recommend_core(''events'', 1, 1, 1, NULL::int[], NULL, true, true)');

SELECT fill_run('serving', 1001, 1, '100 + n * 3', '1000 + n * 7');
UPDATE gnnrec.model SET live_run = 1001 WHERE name = 'serving';
ANALYZE serving.item_embedding, serving.user_embedding;

--
-- Every user against plain SQL
--
CREATE FUNCTION reference(u bigint, candidates int[], exclude int[], exclude_seen bool)
    RETURNS TABLE (item_id int, score real, rank bigint, source text) LANGUAGE sql STABLE AS $$
    WITH live AS (SELECT live_run AS run_id FROM gnnrec.model WHERE name = 'serving'),
    asker AS (SELECT e.* FROM serving.user_embedding e JOIN live USING (run_id) WHERE user_id = u),
    history AS (SELECT s.no, coalesce(w.weight, 1) AS weight
                FROM asker, unnest(seen) WITH ORDINALITY s(no, place)
                     LEFT JOIN LATERAL unnest(seen_weight) WITH ORDINALITY w(weight, place) USING (place)),
    pool AS (SELECT i.*, i.degree > 0 AND coalesce(a.degree, 0) > 0 AS ranked,
                    (SELECT sum(x * y) FROM unnest(i.embedding::real[], a.embedding::real[]) v(x, y)) AS product
             FROM serving.item_embedding i JOIN live USING (run_id) LEFT JOIN asker a ON true
             WHERE (candidates IS NULL OR i.item_id = ANY (candidates))
               AND (exclude IS NULL OR i.item_id <> ALL (array_remove(exclude, NULL)))
               AND i.item_no NOT IN (SELECT no FROM history WHERE exclude_seen OR weight < 0))
    SELECT item_id, CASE WHEN ranked THEN product ELSE degree END,
           row_number() OVER (ORDER BY degree > 0 DESC, CASE WHEN ranked THEN product ELSE degree END DESC, item_no),
           CASE WHEN ranked THEN 'model' ELSE 'popular' END
    FROM pool $$;

CREATE TABLE question (name text, k int, candidates int[], exclude int[], exclude_seen bool);
INSERT INTO question VALUES
    ('default', 10, NULL, NULL, true), ('one', 1, NULL, NULL, true),
    ('all', NULL, NULL, NULL, true), ('more than all', 100000, NULL, NULL, true),
    ('seen too', NULL, NULL, NULL, false), ('nulls are defaults', 10, NULL, NULL, NULL),
    ('exclude', NULL, NULL, ARRAY[1007, 1007, NULL, 5, 1063, 1000, 1833], true), ('exclude nothing', 10, NULL, '{}', true),
    ('exclude, seen too', NULL, NULL, ARRAY(SELECT 1000 + n * 14 FROM generate_series(0, 59) n), false),
    ('exclude all', NULL, NULL, ARRAY(SELECT 1000 + n * 7 FROM generate_series(0, 119) n), true),
    ('candidates', NULL, ARRAY[1826, 1000, 1007, 1007, NULL, 4711, 1063, 1070, 1077], NULL, true),
    ('no candidates', NULL, '{}', NULL, true),
    ('candidates, few', 3, ARRAY(SELECT 1000 + n * 7 FROM generate_series(119, 0, -1) n), NULL, true),
    ('candidates, seen too', NULL, ARRAY(SELECT 1000 + n * 7 FROM generate_series(119, 40, -1) n), NULL, false),
    ('candidates and exclude', NULL, ARRAY(SELECT 1000 + n * 7 FROM generate_series(0, 60) n), ARRAY[1007, 1014, 1063], true);

SELECT q.name, count(*) AS rows, count(DISTINCT u) AS users, count(*) FILTER (WHERE r IS DISTINCT FROM e) AS wrong
FROM question q, generate_series(100, 277, 3) u,
     LATERAL (SELECT r, e
              FROM (SELECT item_id, score, rank::bigint, source
                    FROM serving.recommend(u, q.k, q.candidates, q.exclude, q.exclude_seen)) r
              FULL JOIN (SELECT * FROM reference(u, q.candidates, q.exclude, coalesce(q.exclude_seen, true))
                         ORDER BY rank LIMIT q.k) e USING (rank)) c
GROUP BY q.name ORDER BY q.name;

-- the same data hold what the comparison is for: ties, users without edges, disliked items and seen ones that are no edge
SELECT count(*) FILTER (WHERE score = next) > 100 AS ties,
       count(DISTINCT u) FILTER (WHERE rank = 1 AND source = 'popular') AS popular_users
FROM (SELECT u, r.*, lead(score) OVER (PARTITION BY u ORDER BY rank) AS next
      FROM generate_series(100, 277, 3) u, serving.recommend(u, NULL) r) s;
SELECT count(*) FILTER (WHERE w < 0) > 10 AS disliked, count(*) FILTER (WHERE w = 0) > 10 AS no_edges
FROM serving.user_embedding, unnest(seen_weight) w;

--
-- How many
--
SELECT count(*) FROM serving.recommend(100, 0);
SELECT count(*) FROM serving.recommend_for(ARRAY[1007], k => 0);
SELECT count(*) FROM serving.similar_items(1007, 0);
SELECT * FROM failure('SELECT serving.recommend(100, -1)');
SELECT * FROM failure('SELECT serving.recommend_for(ARRAY[1007], k => -5)');
SELECT * FROM failure('SELECT serving.similar_users(100, -1)');

--
-- Users whom the run does not know
--
-- no user, no events, events of unknown items alone: by popularity
INSERT INTO events VALUES (1, 4711), (1, NULL);
SELECT name, count(*) AS rows, count(*) FILTER (WHERE r IS DISTINCT FROM e) AS wrong
FROM (VALUES ('NULL', NULL::bigint), ('no events', -7), ('unknown items', 1)) v(name, u),
     LATERAL (SELECT r, e FROM (SELECT item_id, score, rank::bigint, source FROM serving.recommend(u, NULL)) r
              FULL JOIN reference(u, NULL, NULL, true) e USING (rank)) c
GROUP BY name ORDER BY name;

-- Baskets of 1 or 4 different items of weight 1, so that D_u is a power of four too; one event is there twice. Users 2 and up.
CREATE VIEW basket AS
    SELECT b.u, array_agg(i.item_id ORDER BY i.item_no) AS items
    FROM generate_series(2, 41) b(u), generate_series(1, CASE WHEN b.u % 2 = 0 THEN 4 ELSE 1 END) g,
         LATERAL (SELECT * FROM serving.item_embedding WHERE run_id = 1001 AND degree > 0
                  ORDER BY md5(b.u::text || item_no) LIMIT 1 OFFSET g - 1) i
    GROUP BY b.u;
INSERT INTO events SELECT u, i FROM basket, unnest(items) i;

CREATE FUNCTION reference_for(basket int[], candidates int[], exclude int[])
    RETURNS TABLE (item_id int, score real, rank bigint, source text) LANGUAGE sql STABLE AS $$
    WITH b AS (SELECT degree, fold_in, sqrt(count(*) OVER ()) AS root
          FROM serving.item_embedding WHERE run_id = 1001 AND item_id = ANY (basket)),
    vector AS (SELECT c, sum((fold_in::real[])[c] / (root * sqrt(degree))) AS z FROM b, generate_series(1, 12) c GROUP BY c),
    pool AS (SELECT item_id, item_no, degree, (SELECT sum(z * (embedding::real[])[c]) FROM vector) AS product
             FROM serving.item_embedding WHERE run_id = 1001 AND item_id <> ALL (basket || array_remove(exclude, NULL))
              AND (candidates IS NULL OR item_id = ANY (candidates)))
    SELECT item_id, CASE WHEN degree > 0 THEN product ELSE 0 END::real,
           row_number() OVER (ORDER BY degree > 0 DESC, CASE WHEN degree > 0 THEN product END DESC, item_no),
           CASE WHEN degree > 0 THEN 'fold_in' ELSE 'popular' END
    FROM pool $$;

-- the interactions of an unknown user, and the same as a basket
SELECT q.name, count(*) AS rows, count(*) FILTER (WHERE r IS DISTINCT FROM e) AS wrong,
       count(*) FILTER (WHERE b IS DISTINCT FROM e) AS wrong_basket
FROM question q, basket,
     LATERAL (SELECT r, b, e
              FROM (SELECT item_id, score, rank::bigint, source FROM serving.recommend(u, q.k, q.candidates, q.exclude)) r
              FULL JOIN (SELECT item_id, score, rank::bigint, source
                         FROM serving.recommend_for(items, NULL, q.k, q.candidates, q.exclude)) b USING (rank)
              FULL JOIN (SELECT * FROM reference_for(items, q.candidates, coalesce(q.exclude, '{}'))
                         ORDER BY rank LIMIT q.k) e USING (rank)) c
WHERE q.exclude_seen GROUP BY q.name ORDER BY q.name;

-- what is in the basket of events may be asked for; not fresh: as if there were none
SELECT count(*) FILTER (WHERE item_id = ANY (items)) AS seen, count(DISTINCT u) AS users
FROM basket, serving.recommend(u, NULL, exclude_seen => false);
SELECT DISTINCT source FROM basket, serving.recommend(u, NULL, fresh => false);

-- weights: a quarter of each makes half the vector; a weight of 0 or below adds nothing; the same item twice adds up
SELECT count(*) AS rows, count(*) FILTER (WHERE a.score = b.score / 2 AND a.item_id = b.item_id) AS same
FROM (SELECT items FROM basket WHERE u = 2) t, serving.recommend_for(items, ARRAY[0.25, 0.25, 0.25, 0.25], 50) a
     JOIN LATERAL serving.recommend_for(items, NULL, 50) b USING (rank);
SELECT a.name, bool_and((x.item_id, x.score) = (y.item_id, y.score)) AS same
FROM (VALUES ('no edges', ARRAY[1007, 1014, 1021], ARRAY[1, 0, -2]::real[], ARRAY[1007], ARRAY[1]::real[]),
             ('summed', ARRAY[1007, 1014, 1007], ARRAY[1, 4, 3], ARRAY[1014, 1007], ARRAY[4, 4]),
             ('taken back', ARRAY[1007, 1014, 1007], ARRAY[3, 2, -1], ARRAY[1014, 1007], ARRAY[2, 2])) a(name, i, w, as_i, as_w),
     LATERAL serving.recommend_for(i, w, 50, exclude => ARRAY[1007, 1014, 1021]) x
     JOIN LATERAL serving.recommend_for(as_i, as_w, 50, exclude => ARRAY[1007, 1014, 1021]) y USING (rank)
GROUP BY a.name ORDER BY a.name;
-- weights at the end of the range make the vector larger and nothing else; where their sum is beyond it, it is the last number
-- there
SELECT name, count(*) AS rows, count(*) FILTER (WHERE x.item_id = y.item_id AND x.score = y.score * f
                                                AND x.score < 'Infinity') AS same
FROM (VALUES ('at the end', ARRAY[power(2, 125), power(2, 125)]::real[], ARRAY[1]::real[], power(2, 63)::real),
             ('beyond', ARRAY[3e38, 3e38, 3e38]::real[], ARRAY[3.4028235e38]::real[], 1::real)) h(name, w, as_w, f),
     LATERAL serving.recommend_for(array_fill(1007, ARRAY[cardinality(w)]), w, 50, exclude => ARRAY[1007]) x
     JOIN LATERAL serving.recommend_for(ARRAY[1007], as_w, 50, exclude => ARRAY[1007]) y USING (rank)
GROUP BY name ORDER BY name;
-- a basket of nothing known, or of nothing liked: by popularity, without the basket
SELECT DISTINCT source, count(*) FILTER (WHERE item_id = 1007)
FROM (VALUES (NULL::int[], NULL::real[]), ('{}', NULL), (ARRAY[NULL, 4711], NULL),
             (ARRAY[1007], ARRAY[-1]), (ARRAY[1007], ARRAY[0])) v(i, w),
     serving.recommend_for(i, w, NULL) GROUP BY i, source ORDER BY 1, 2;
SELECT * FROM failure('SELECT serving.recommend_for(ARRAY[1007, 1014], ARRAY[1])');
SELECT * FROM failure('SELECT serving.recommend_for(ARRAY[1007, 1014], ARRAY[1, NULL])');
SELECT * FROM failure($$SELECT serving.recommend_for(ARRAY[1007], ARRAY['NaN'::real])$$);

--
-- Alike
--
-- Cosines are compared to six digits, and order by what is computed: products of halves are exact, roots are not.
CREATE VIEW vectors AS
    SELECT 'item' AS type, item_id::bigint AS id, embedding::float8[] AS v FROM serving.item_embedding WHERE run_id = 1001
    UNION ALL SELECT 'user', user_id, embedding::float8[] FROM serving.user_embedding WHERE run_id = 1001;
CREATE VIEW cosines AS
    SELECT type, a.id AS a, b.id AS b, (SELECT sum(x * y) / sqrt(sum(x * x) * sum(y * y)) FROM unnest(a.v, b.v) p(x, y)) AS cosine
    FROM vectors a JOIN vectors b USING (type)
    WHERE EXISTS (SELECT FROM unnest(a.v) x WHERE x <> 0) AND EXISTS (SELECT FROM unnest(b.v) y WHERE y <> 0);
SELECT type, count(*) AS pairs, count(*) FILTER (WHERE s IS NULL OR abs(s - cosine) > 1e-6) AS wrong, max(s) <= 1 AS in_range
FROM cosines, LATERAL (SELECT CASE type WHEN 'item' THEN serving.similarity(a::int, b::int)
                              ELSE gnnrec.similarity_core('serving.item_embedding', 'user', a, b) END) f(s)
GROUP BY type ORDER BY type;
SELECT type, count(*) AS rows, count(*) FILTER (WHERE cosine IS NULL OR abs(score - cosine) > 1e-6) AS wrong,
       count(*) FILTER (WHERE a = b) AS itself, count(*) FILTER (WHERE score > before) AS out_of_order
FROM (SELECT 'item' AS type, i.item_id::bigint AS a, s.item_id::bigint AS b, score,
             lag(score) OVER (PARTITION BY i.item_id ORDER BY rank) AS before
      FROM serving.item_embedding i, serving.similar_items(i.item_id, NULL) s
      UNION ALL SELECT 'user', i.user_id, s.user_id, score, lag(score) OVER (PARTITION BY i.user_id ORDER BY rank)
      FROM serving.user_embedding i, serving.similar_users(i.user_id, NULL) s) f
     LEFT JOIN cosines USING (type, a, b)
GROUP BY type ORDER BY type;
SELECT count(*) FROM serving.similar_items(1007, 5);
-- nothing is like a node without edges, like none at all, or like NULL
SELECT (SELECT count(*) FROM serving.similar_items(1063)) AS isolated, (SELECT count(*) FROM serving.similar_items(1)) AS unknown,
       (SELECT count(*) FROM serving.similar_items(NULL)) AS nobody;
SELECT serving.similarity(1007, 1063) AS isolated, serving.similarity(1007, 1) AS unknown,
       serving.similarity(NULL, 1007) AS nobody;
SELECT * FROM failure($$SELECT gnnrec.similar_core('serving.item_embedding', 'brand', 1, 1)$$);

--
-- Scores
--
SELECT count(*) AS pairs, count(*) FILTER (WHERE serving.score(user_id, item_id) IS DISTINCT FROM
       (SELECT sum(x * y) FROM unnest(u.embedding::real[], i.embedding::real[]) v(x, y))) AS wrong
FROM serving.user_embedding u, serving.item_embedding i;
SELECT serving.score(1, 1007) AS unknown_user, serving.score(100, 1) AS unknown_item,
       serving.score(NULL, 1007) AS no_user, serving.score(100, NULL) AS no_item;

--
-- By name, ids as text
--
SELECT count(*) AS rows, count(*) FILTER (WHERE n IS DISTINCT FROM t) AS wrong
FROM generate_series(2, 277) u,
     LATERAL (SELECT n, t FROM gnnrec.recommend('serving', ' ' || u) n
              FULL JOIN (SELECT item_id::text, score, rank, source FROM serving.recommend(u)) t USING (rank)) c;
SELECT count(*) AS rows, count(*) FILTER (WHERE n IS DISTINCT FROM t) AS wrong
FROM generate_series(1000, 1833, 7) i,
     LATERAL (SELECT n, t FROM gnnrec.similar_items('serving', i::text, 4) n
              FULL JOIN (SELECT item_id::text AS similar_id, score, rank FROM serving.similar_items(i, 4)) t USING (rank)) c;
SELECT (SELECT count(*) FROM gnnrec.recommend('serving', NULL, NULL)) AS popular,
       (SELECT count(*) FROM gnnrec.similar_items('serving', NULL)) AS nobody;
SELECT * FROM failure($$SELECT gnnrec.recommend('serving', 'x')$$);
SELECT * FROM failure($$SELECT gnnrec.recommend(NULL, '1')$$);
SELECT * FROM failure($$SELECT gnnrec.similar_items('serving', '1e')$$);

--
-- Ids of all types, users and items of different ones
--
CREATE DOMAIN short_code AS varchar(20) CHECK (value <> '');
CREATE DOMAIN positive AS int CHECK (value > 0);
-- expressions of n that keep the order of keys: numbers by value, text by bytes, whatever the collation
CREATE TABLE id_type (type text, id text);
INSERT INTO id_type VALUES
    ('smallint', '(n - 60)::smallint'),
    ('int', '(n * 10000000 - 600000000)'),
    ('bigint', '(n - 60) * 100000000000'),
    ('oid', '(4294967000 + n)::oid'),
    ('date', $$('2000-01-01'::date + n - 60)$$),
    ('uuid', $$('00000000-0000-0000-' || lpad(to_hex(n * 500), 4, '0') || '-ffffffffffff')::uuid$$),
    ('text', $$CASE WHEN n = 0 THEN '' WHEN n < 60 THEN 'Z' || repeat('x', n) ELSE 'a' || repeat(chr(233), n) END$$),
    ('varchar', $$('k' || lpad(n::text, 4, '0'))::varchar$$),
    ('short_code', $$('é' || lpad(n::text, 4, '0'))::short_code$$),
    ('positive', '(n + 1)::positive');
-- what the model in schema s answers, node numbers in the place of ids
CREATE FUNCTION answers(s text, run bigint, u_id text, i_id text, OUT rows bigint, OUT digest text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format($f$
        WITH item AS (SELECT item_id, item_no FROM %1$I.item_embedding WHERE run_id = %2$s)
        SELECT count(*), md5(string_agg(a::text, ' ' ORDER BY n, rank))
        FROM (SELECT n, rank, item_no, score, source,
                     %1$I.similarity(item_id, %4$s) AS similarity,
                     %1$I.score(%3$s, item_id) AS product,
                     (SELECT item_no FROM %1$I.similar_items(r.item_id, 1) l JOIN item USING (item_id)) AS alike,
                     (SELECT max(f.score)
                      FROM %1$I.recommend_for(ARRAY[%4$s, r.item_id], exclude => ARRAY[%4$s],
                                              candidates => ARRAY(SELECT item_id FROM item WHERE item_no < 50)) f) AS folded,
                     (SELECT item_no
                      FROM gnnrec.recommend(%1$L, (%3$s)::text, 1) g JOIN item ON item.item_id::text = g.item_id) AS by_name
              FROM generate_series(0, 59, 7) n, %1$I.recommend(%3$s, 4) r JOIN item USING (item_id)) a$f$, s, run, u_id, i_id)
    INTO rows, digest;
END $$;

-- a model of the two types with the same vectors, which must give the same answers as the first one
CREATE FUNCTION try_types(user_type text, item_type text, OUT rows bigint, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
    u_id text := (SELECT id FROM id_type WHERE type = user_type);
    i_id text := (SELECT id FROM id_type WHERE type = item_type);
    expected text := (SELECT digest FROM answers('serving', 1001, '100 + n * 3', '1000 + n * 7'));
    digest text;
BEGIN
    EXECUTE format('CREATE TABLE typed_events (who %s, what %s)', user_type, item_type);
    PERFORM gnnrec.create_model('typed', 'typed_events', user_column => 'who', item_column => 'what');
    PERFORM fill_run('typed', 1100, 1, u_id, i_id);
    UPDATE gnnrec.model SET live_run = 1100 WHERE name = 'typed';
    SELECT a.rows, a.digest FROM answers('typed', 1100, u_id, i_id) a INTO rows, digest;
    same := digest = expected;
    PERFORM gnnrec.drop_model('typed');
    DROP TABLE typed_events;
END $$;
SELECT u.type AS users, i.type AS items, t.* FROM (SELECT *, row_number() OVER (ORDER BY type) AS n FROM id_type) u
       JOIN (SELECT *, row_number() OVER (ORDER BY type) AS n FROM id_type) i ON i.n = (u.n + 2) % 10 + 1,
       LATERAL try_types(u.type, i.type) t
ORDER BY u.n;

-- an id of another type is refused, however it comes
SELECT f.code, f.message
FROM unnest(ARRAY[
         'recommend_core(%s, 100::int, NULL::int, 1, NULL, NULL, true, true)',
         $$recommend_core(%s, 'x'::text, NULL::int, 1, NULL, NULL, true, true)$$,
         'recommend_core(%s, 100::bigint, NULL::bigint, 1, NULL, NULL, true, true)',
         'recommend_core(%s, 100::bigint, NULL::int, 1, ARRAY[1::bigint], NULL, true, true)',
         $$recommend_for_core(%s, ARRAY['x'], NULL, 1, NULL, NULL)$$,
         $$similar_core(%s, 'user', 100::int, 1)$$,
         $$similar_core(%s, 'item', 'x'::varchar, 1)$$,
         $$similar_core(%s, 'item', ARRAY[1007], 1)$$,
         $$similarity_core(%s, 'item', 1::smallint, 2::smallint)$$,
         'score_core(%s, 100::int, 1::int)',
         $$score_core(%s, 100::bigint, 'x'::text)$$,
         'score_core(%s, ARRAY[100::bigint], 1007)']) WITH ORDINALITY c(call, n),
     failure(format('SELECT gnnrec.' || call, '''serving.item_embedding''')) f
ORDER BY n;
-- a domain over the type is not another type
SELECT count(*) FROM gnnrec.similar_core('serving.item_embedding', 'item', 1007::positive, 3);

--
-- Rights: SELECT on the tables that are answered from, and no row security
--
CREATE ROLE gnnrec_serving_role;
GRANT USAGE ON SCHEMA serving TO gnnrec_serving_role;
GRANT SELECT ON serving.item_embedding TO gnnrec_serving_role;
GRANT SELECT ON question TO gnnrec_serving_role;
SET ROLE gnnrec_serving_role;
SELECT count(*) FROM serving.recommend_for(ARRAY[1007]);
SELECT count(*) FROM serving.similar_items(1007);
SELECT serving.similarity(1007, 1014) IS NOT NULL AS similarity;
SELECT code, message FROM failure('SELECT serving.recommend(100)');
SELECT code, message FROM failure($$SELECT gnnrec.recommend('serving', '100')$$);
SELECT code, message FROM failure('SELECT serving.similar_users(100)');
SELECT code, message FROM failure('SELECT serving.score(100, 1007)');
RESET ROLE;
REVOKE SELECT ON serving.item_embedding FROM gnnrec_serving_role;
GRANT SELECT ON serving.user_embedding TO gnnrec_serving_role;
SET ROLE gnnrec_serving_role;
SELECT count(*) FROM serving.similar_users(100);
SELECT call, f.code, f.message
FROM unnest(ARRAY['serving.recommend(100)', 'serving.recommend_for(ARRAY[1007])', 'serving.similar_items(1007)',
                  'serving.similarity(1007, 1014)', 'serving.score(100, 1007)', $$gnnrec.recommend('serving', '100')$$,
                  $$gnnrec.similar_items('serving', '1007')$$]) WITH ORDINALITY c(call, n), failure('SELECT ' || call) f
ORDER BY n;
RESET ROLE;
GRANT SELECT ON serving.item_embedding TO gnnrec_serving_role;
-- the interactions are read with the rights of the model's owner, not with those of who asks
SET ROLE gnnrec_serving_role;
SELECT DISTINCT source FROM serving.recommend(2);
RESET ROLE;
ALTER TABLE serving.user_embedding ENABLE ROW LEVEL SECURITY;
SET ROLE gnnrec_serving_role;
SELECT * FROM failure('SELECT serving.recommend(100)');
SELECT count(*) FROM serving.similar_items(1007);
RESET ROLE;
SELECT count(*) FROM serving.recommend(100);
ALTER TABLE serving.user_embedding DISABLE ROW LEVEL SECURITY;

--
-- Publishing: a commit switches, a rollback does not
--
-- what is served: the vector of item 1007, seen through the scores of the only user with that id
CREATE FUNCTION served() RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(string_agg(run_id::text, ' '), 'none')
    FROM serving.user_embedding u JOIN serving.item_embedding i USING (run_id)
    WHERE user_id = 100 AND item_id = 1007
      AND (SELECT sum(x * y) FROM unnest(u.embedding::real[], i.embedding::real[]) v(x, y)) = serving.score(100, 1007) $$;
-- the runs of this database that have a file
CREATE VIEW files AS
    SELECT split_part(f, '_', 6)::bigint AS run FROM pg_ls_dir('base/pgsql_tmp') f, pg_database d
    WHERE datname = current_database() AND f LIKE 'pgsql\_tmp\_gnnrec\_' || d.oid || '\_%';
SELECT served();
BEGIN;
SELECT fill_run('serving', 1002, 2, '100 + n * 3', '1000 + n * 7');
SELECT served();
UPDATE gnnrec.model SET live_run = 1002 WHERE name = 'serving';
SELECT served();
-- a row more in the same transaction is served too: what is not committed is not kept
SELECT count(*) FROM serving.similar_users(100, NULL);
INSERT INTO serving.user_embedding
    SELECT 5, 1002, embedding, degree, seen, seen_weight FROM serving.user_embedding WHERE user_id = 100 AND run_id = 1002;
SELECT count(*) FROM serving.similar_users(100, NULL);
SAVEPOINT s;
UPDATE gnnrec.model SET live_run = 1001 WHERE name = 'serving';
SELECT served();
ROLLBACK TO s;
SELECT served();
ROLLBACK;
SELECT served();
SELECT run FROM files WHERE run = 1002;
-- another run of the same number, as the first was never kept
BEGIN;
SELECT fill_run('serving', 1002, 3, '100 + n * 3', '1000 + n * 7');
UPDATE gnnrec.model SET live_run = 1002 WHERE name = 'serving';
COMMIT;
SELECT served();
SELECT run FROM files WHERE run = 1002;
UPDATE gnnrec.model SET live_run = 1001 WHERE name = 'serving';
SELECT served();

--
-- In a parallel worker, which also makes the file
--
SELECT fill_run('serving', 1003, 4, '100 + n * 3', '1000 + n * 7');
UPDATE gnnrec.model SET live_run = 1003 WHERE name = 'serving';
CREATE TABLE pairs AS
    SELECT user_id, item_id FROM serving.user_embedding u JOIN serving.item_embedding i USING (run_id) WHERE run_id = 1003;
ANALYZE pairs;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
SET enable_memoize = off;     -- it would put a scan of the leader's deeper than Gather
EXPLAIN (COSTS OFF) SELECT count(*), sum(serving.score(user_id, item_id)) FROM pairs;
SELECT count(*), sum(serving.score(user_id, item_id)) =
       (SELECT sum(x * y) FROM serving.user_embedding u JOIN serving.item_embedding i USING (run_id),
               unnest(u.embedding::real[], i.embedding::real[]) v(x, y) WHERE run_id = 1003) AS same
FROM pairs;
-- recommend may read anything a view can do, so it stays with the leader
CREATE FUNCTION in_worker(query text) RETURNS bool LANGUAGE plpgsql AS $$
DECLARE
    line text;
    gather int;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        gather := coalesce(gather, nullif(strpos(line, 'Gather'), 0));
        IF line LIKE '%Function Scan%' THEN
            RETURN strpos(line, 'Function Scan') > gather;
        END IF;
    END LOOP;
END $$;
SELECT in_worker('SELECT count(*) FROM pairs, serving.recommend_for(ARRAY[item_id])') AS recommend_for,
       in_worker('SELECT count(*) FROM pairs, serving.similar_items(item_id)') AS similar_items,
       coalesce(in_worker('SELECT count(*) FROM pairs, serving.recommend(user_id)'), false) AS recommend;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET enable_memoize;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;
UPDATE gnnrec.model SET live_run = 1001 WHERE name = 'serving';

--
-- Many calls in one query take no more memory than few
--
-- a function, because a plain subquery would be run once and its answer kept
CREATE FUNCTION memory() RETURNS numeric LANGUAGE sql VOLATILE AS $$ SELECT sum(total_bytes) FROM pg_backend_memory_contexts $$;
SELECT max(bytes) - min(bytes) < 100000 AS same_memory, count(*) AS points, max(n) AS calls
FROM (SELECT n, CASE WHEN n % 5000 = 0 THEN memory() END AS bytes
      FROM generate_series(1, 20000) n, serving.recommend(100 + n % 60 * 3, 1, exclude => ARRAY[1007]) OFFSET 0) m
WHERE bytes IS NOT NULL;
SELECT max(bytes) - min(bytes) < 100000 AS same_memory, count(*) AS points, max(n) AS calls
FROM (SELECT n, CASE WHEN n % 500 = 0 THEN memory() END AS bytes
      FROM generate_series(1, 2000) n, serving.recommend(2 + n % 40, 1) r, serving.similar_items(r.item_id, 1) OFFSET 0) m
WHERE bytes IS NOT NULL;

--
-- Tables that do not hold a whole run are not served
--
-- one change to a sound run that has not been served yet, and what asking for it says
CREATE FUNCTION spoiled(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    said record;
BEGIN
    EXECUTE change;
    UPDATE gnnrec.model SET live_run = 1006 WHERE name = 'serving';
    SELECT * FROM failure('SELECT serving.recommend(100)') INTO said;
    RAISE EXCEPTION USING ERRCODE = 'GN000', MESSAGE = concat_ws(' | ', said.code, said.message, said.detail);
EXCEPTION WHEN SQLSTATE 'GN000' THEN
    RETURN SQLERRM;
END $$;
DROP VIEW cosines, vectors, basket;
SELECT fill_run('serving', 1006, 6, '100 + n * 3', '1000 + n * 7');
SELECT spoiled(change) FROM (VALUES
    ('UPDATE serving.item_embedding SET item_no = item_no + 1 WHERE run_id = 1006'),
    ('DELETE FROM serving.item_embedding WHERE run_id = 1006 AND item_no = 3'),
    ('UPDATE serving.item_embedding SET item_id = -item_id WHERE run_id = 1006'),
    ($$UPDATE serving.item_embedding SET embedding = '[1,2]' WHERE run_id = 1006 AND item_no = 3$$),
    ($$UPDATE serving.item_embedding SET fold_in = '[1,2]' WHERE run_id = 1006 AND item_no = 3$$),
    ($$UPDATE serving.user_embedding SET embedding = '[1,2]' WHERE run_id = 1006 AND user_id = 103$$),
    ($$UPDATE serving.item_embedding SET degree = 'NaN' WHERE run_id = 1006 AND item_no = 3$$),
    ('UPDATE serving.item_embedding SET degree = -1 WHERE run_id = 1006 AND item_no = 3'),
    ('UPDATE serving.item_embedding SET interactions = -1 WHERE run_id = 1006 AND item_no = 3'),
    ('UPDATE serving.user_embedding SET seen = ARRAY[120], seen_weight = NULL WHERE run_id = 1006 AND user_id = 103'),
    ('UPDATE serving.user_embedding SET seen = ARRAY[-1], seen_weight = NULL WHERE run_id = 1006 AND user_id = 103'),
    ('UPDATE serving.user_embedding SET seen = ARRAY[5,5], seen_weight = NULL WHERE run_id = 1006 AND user_id = 103'),
    ('UPDATE serving.user_embedding SET seen = ARRAY[5,NULL], seen_weight = NULL WHERE run_id = 1006 AND user_id = 103'),
    ('UPDATE serving.user_embedding SET seen = ARRAY[[1,2],[3,4]], seen_weight = NULL WHERE run_id = 1006 AND user_id = 103'),
    ('UPDATE serving.user_embedding SET seen = ARRAY[1,2], seen_weight = ARRAY[1] WHERE run_id = 1006 AND user_id = 103'),
    ($$UPDATE serving.user_embedding SET seen = ARRAY[1], seen_weight = ARRAY['Infinity'::real]
       WHERE run_id = 1006 AND user_id = 103$$),
    ('DELETE FROM serving.user_embedding; DELETE FROM serving.item_embedding'),
    ('ALTER TABLE serving.user_embedding RENAME seen TO seen_items'),
    ('ALTER TABLE serving.user_embedding ALTER run_id TYPE int'),
    ('ALTER TABLE serving.item_embedding DROP CONSTRAINT item_embedding_pkey;
      INSERT INTO serving.item_embedding SELECT * FROM serving.item_embedding WHERE item_no = 3'),
    ('ALTER TABLE serving.item_embedding ALTER embedding TYPE real[]'),
    ('DROP TABLE serving.user_embedding')) v(change);
-- nothing changed, nothing to complain of
SELECT spoiled('SELECT 1');
-- columns of the user's own, dropped ones, and no users at all do no harm
SELECT fill_run('serving', 1004, 1, '100 + n * 3', '1000 + n * 7');
UPDATE gnnrec.model SET live_run = 1001 WHERE name = 'serving';
SELECT digest AS expected FROM answers('serving', 1001, '100 + n * 3', '1000 + n * 7') \gset
ALTER TABLE serving.item_embedding ADD note text DEFAULT 'x';
ALTER TABLE serving.item_embedding DROP note;
ALTER TABLE serving.item_embedding ADD remark int;
UPDATE gnnrec.model SET live_run = 1004 WHERE name = 'serving';
SELECT rows, digest = :'expected' AS same FROM answers('serving', 1004, '100 + n * 3', '1000 + n * 7');
BEGIN;
DELETE FROM serving.user_embedding WHERE run_id = 1004;
INSERT INTO gnnrec.run (run_id, model_id, status, params, trained_by)
    SELECT 1005, model_id, 'succeeded', '{}', 'hand' FROM gnnrec.model WHERE name = 'serving';
UPDATE serving.item_embedding SET run_id = 1005 WHERE run_id = 1004;
UPDATE gnnrec.model SET live_run = 1005 WHERE name = 'serving';
SELECT DISTINCT source FROM serving.recommend(100);
SELECT count(*) FROM serving.similar_items(1007);
ROLLBACK;

--
-- What is left of a model whose schema was dropped by hand
--
UPDATE gnnrec.model SET live_run = 1001 WHERE name = 'serving';
BEGIN;
DROP SCHEMA serving CASCADE;
SELECT * FROM failure($$SELECT gnnrec.recommend('serving', '100')$$);
ROLLBACK;

SELECT count(*) > 0 AS files FROM files WHERE run BETWEEN 1001 AND 1999;
SELECT gnnrec.drop_model('serving');
SELECT count(*) AS files FROM files WHERE run BETWEEN 1001 AND 1999;
DROP OWNED BY gnnrec_serving_role;
DROP ROLE gnnrec_serving_role;
DROP TABLE events, question, id_type, pairs CASCADE;
DROP VIEW files;
