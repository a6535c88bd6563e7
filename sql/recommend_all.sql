-- recommend_all() against recommend(), which serving.sql compares with plain SQL: the same lists, whoever asks and however.
-- Nothing is trained here; vectors are of small halves, so that there are ties.
SET client_min_messages = warning;
CREATE SCHEMA recommend_all_test;
SET search_path = recommend_all_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- Fills run 3001 + the model's number of the model in schema s and makes it live: n_items, of ten one isolated and two
-- cold, some of these without edges, and 77 users, which fill two batches and a part of a third, every fifteenth without edges;
-- most are shown some of what they have seen all the same. u_id and i_id make the id of node n. 20 numbers a vector: a length
-- that vector registers do not divide.
CREATE FUNCTION fill_run(s text, n_items int, u_id text, i_id text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    run bigint := add_run(3001 + model_id, s) FROM gnnrec.model WHERE name = s;
BEGIN
    EXECUTE format($f$
        INSERT INTO %1$I.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
        SELECT %2$s, %3$s, n,
               CASE WHEN n %% 10 = 9 THEN zeros(20) ELSE halves('i' || n, 20) END,
               halves('f' || n, 20), CASE WHEN n %% 20 <> 7 THEN d ELSE 0 END, CASE WHEN n %% 10 NOT IN (7, 8) THEN d ELSE 0 END
        FROM generate_series(0, %4$s - 1) n, LATERAL (SELECT CASE WHEN n %% 10 = 9 THEN 0 ELSE 4 ^ pick('d' || n, 3) END) l(d)$f$,
             s, i_id, run, n_items);
    EXECUTE format($f$
        INSERT INTO %1$I.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight, shown)
        SELECT %2$s, %3$s, CASE WHEN n %% 15 = 14 THEN zeros(20) ELSE halves('u' || n, 20) END,
               CASE WHEN n %% 15 = 14 THEN 0 ELSE 4 END, seen,
               CASE WHEN n %% 3 > 0 THEN (SELECT array_agg((pick('w' || n || e, 4) - 1)::real ORDER BY e)
                                          FROM unnest(seen) e) END,
               CASE WHEN n %% 4 > 0 THEN (SELECT array_agg(e ORDER BY e) FROM unnest(seen) e WHERE e %% 2 = 0) END
        FROM generate_series(0, 76) n,
             LATERAL (SELECT coalesce(array_agg(DISTINCT i ORDER BY i), '{}')
                      FROM generate_series(1, n %% 12) g, pick('s' || n || g, %4$s) i) l(seen)$f$, s, u_id, run, n_items);
    UPDATE gnnrec.model SET live_run = run WHERE name = s;
END $$;

CREATE TABLE events (who bigint, what int);
SELECT gnnrec.create_model('everyone', 'events', user_column => 'who', item_column => 'what');

-- before there is a run
SELECT * FROM failure('SELECT * FROM everyone.recommend_all()');

SELECT fill_run('everyone', 300, '100 + n * 3', '1000 + n * 7');

--
-- Every user's list, and the order of lists
--
-- the answer with its order; recommend_all is not to be put into order by anyone else
CREATE FUNCTION all_rows(k int, users bigint[]) RETURNS TABLE (n bigint, user_id bigint, item_id int, score real, rank int)
    LANGUAGE sql AS $$ SELECT row_number() OVER (), * FROM everyone.recommend_all(k, users) $$;
CREATE FUNCTION each_rows(k int, users bigint[]) RETURNS TABLE (n bigint, user_id bigint, item_id int, score real, rank int)
    LANGUAGE sql AS $$ SELECT row_number() OVER (ORDER BY place, rank), u, item_id, score, rank
       FROM unnest(coalesce(users, ARRAY(SELECT user_id FROM everyone.user_embedding ORDER BY user_id)))
            WITH ORDINALITY a(u, place),
            everyone.recommend(u, k, fresh => false) $$;
SELECT k, count(*) AS rows, count(DISTINCT (e).user_id) AS users, count(*) FILTER (WHERE a IS DISTINCT FROM e) AS wrong
FROM (VALUES (1), (10), (250), (300), (100000), (NULL)) v(k),
     LATERAL (SELECT a, e FROM all_rows(k, NULL) a FULL JOIN each_rows(k, NULL) e USING (n)) c
GROUP BY k ORDER BY k;
SELECT count(*) = 77 * 10 AS by_default FROM everyone.recommend_all();

-- the same data hold what the comparison is for: ties, users without edges, and items without
SELECT count(*) FILTER (WHERE score = next) > 100 AS ties, count(*) FILTER (WHERE score = 0 AND next = 0) > 100 AS isolated
FROM (SELECT *, lead(score) OVER (PARTITION BY user_id ORDER BY rank) AS next FROM everyone.recommend_all(NULL)) s;

-- some users: in the order asked for, again where asked for again; unknown ones and NULL get the popular items
INSERT INTO events SELECT 4711, item_id FROM everyone.item_embedding LIMIT 5;
SELECT name, count(e) AS rows, count(*) FILTER (WHERE a IS DISTINCT FROM e) AS wrong
FROM (VALUES ('one', ARRAY[103::bigint]), ('backwards', ARRAY(SELECT generate_series(328, 100, -3))),
             ('unknown', '{5, 4711, -1, 100, 9223372036854775807}'), ('NULL', '{NULL, 100, NULL, 106}'),
             ('twice', '{106, 106, 142, 106}'), ('without edges', '{142, 187}'),
             ('dimensions', '{{100, 103}, {106, 109}}')) v(name, users)
     LEFT JOIN LATERAL (SELECT a, e FROM all_rows(12, users) a FULL JOIN each_rows(12, users) e USING (n)) c ON true
GROUP BY name ORDER BY name;
SELECT count(*) AS nobody FROM everyone.recommend_all(users => '{}');
SELECT count(*) AS from_a_query
FROM everyone.recommend_all(3, ARRAY(SELECT user_id FROM everyone.user_embedding WHERE user_id < 130));

--
-- How many
--
SELECT count(*) FROM everyone.recommend_all(0);
SELECT * FROM failure('SELECT * FROM everyone.recommend_all(-1)');

--
-- Rows come as they are asked for
--
-- the wrapper is inlined, and its function is where rows are not collected first
EXPLAIN (COSTS OFF) SELECT item_id FROM everyone.recommend_all(5) LIMIT 3;
SELECT l = e AS same
FROM (SELECT array_agg(a) FROM (SELECT * FROM everyone.recommend_all(4) LIMIT 135) a) x(l),
     (SELECT array_agg((user_id, item_id, score, rank) ORDER BY n) FROM each_rows(4, NULL) WHERE n <= 135) y(e);
BEGIN;
DECLARE c CURSOR FOR SELECT user_id, rank FROM everyone.recommend_all(1);
FETCH 2 FROM c;
MOVE 40 FROM c;
FETCH 1 FROM c;
-- the run is live no more, and its rows are gone: the cursor goes on with what it began with
UPDATE gnnrec.model SET live_run = NULL WHERE name = 'everyone';
DELETE FROM everyone.user_embedding;
SELECT code, message FROM failure('SELECT * FROM everyone.recommend_all()');
FETCH 1 FROM c;
CLOSE c;
ROLLBACK;
-- the rest of a cursor that outlives its transaction
BEGIN;
DECLARE held CURSOR WITH HOLD FOR SELECT user_id, rank FROM everyone.recommend_all(1);
FETCH 1 FROM held;
COMMIT;
FETCH 1 FROM held;
MOVE ALL FROM held;
CLOSE held;

--
-- Again and again: a rescan starts afresh, and one that is left early leaves nothing behind
--
CREATE FUNCTION memory() RETURNS numeric LANGUAGE sql VOLATILE AS $$ SELECT sum(total_bytes) FROM pg_backend_memory_contexts $$;
SELECT count(*) AS rows, count(DISTINCT (n, user_id, rank)) AS different
FROM generate_series(1, 3) n, LATERAL (SELECT * FROM everyone.recommend_all(n) OFFSET 0) a;
SELECT max(bytes) - min(bytes) < 100000 AS same_memory, count(*) AS points
FROM (SELECT n, CASE WHEN n % 100 = 0 THEN memory() END AS bytes
      FROM generate_series(1, 400) n, LATERAL (SELECT * FROM everyone.recommend_all(1 + n % 5) LIMIT 2) a OFFSET 0) m
WHERE bytes IS NOT NULL;
-- many users take no more memory than few
CREATE TABLE crowd AS SELECT array_agg(100 + n % 77 * 3)::bigint[] AS users FROM generate_series(1, 20000) n;
SELECT max(bytes) - min(bytes) < 100000 AS same_memory, count(*) AS points
FROM (SELECT n, CASE WHEN n % 100000 = 50000 THEN memory() END AS bytes
      FROM (SELECT row_number() OVER () AS n
            FROM (SELECT gnnrec.recommend_all_core('everyone.item_embedding', NULL::int, 20, users) FROM crowd) a) r OFFSET 0) m
WHERE bytes IS NOT NULL;

--
-- It can be cancelled, also where no row is returned
--
CREATE TABLE larger_crowd AS SELECT array_agg(100 + n % 77 * 3)::bigint[] AS users FROM generate_series(1, 2000000) n;
CREATE VIEW no_row AS SELECT a.* FROM larger_crowd, everyone.recommend_all(0, users) a;
SELECT clock_timestamp() AS began \gset
SELECT count(*) FROM no_row;
SELECT extract(epoch FROM clock_timestamp() - :'began') AS whole, clock_timestamp() AS began,
       'SET statement_timeout = ' || ceil(extract(epoch FROM clock_timestamp() - :'began') * 200) AS a_fifth \gset
:a_fifth;
SELECT count(*) FROM no_row;
RESET statement_timeout;
SELECT extract(epoch FROM clock_timestamp() - :'began') < :whole / 2 AS in_time;

--
-- In a parallel worker
--
CREATE TABLE asked AS SELECT 100 + n % 77 * 3 AS who FROM generate_series(1, 1000) n;
ANALYZE asked;
CREATE VIEW answered AS
    SELECT count(*), sum((r).score) FROM (SELECT everyone.recommend_all(2, ARRAY[who::bigint]) AS r FROM asked) a;
SELECT count AS in_leader_count, sum AS in_leader_sum FROM answered \gset
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
EXPLAIN (COSTS OFF) SELECT * FROM answered;
SELECT count, (count, sum) = (:in_leader_count, :in_leader_sum) AS same FROM answered;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

--
-- Ids of all types, users and items of different ones
--
CREATE DOMAIN short_code AS varchar(20) CHECK (value <> '');
CREATE DOMAIN positive AS int CHECK (value > 0);
-- expressions of n that keep the order of keys
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
-- a model of the two types with the same vectors: the same lists for all users, and for some of them
CREATE FUNCTION try_types(user_type text, u_id text, item_type text, i_id text,
                          OUT rows bigint, OUT wrong bigint, OUT wrong_of_some bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE typed_events (who %s, what %s)', user_type, item_type);
    PERFORM gnnrec.create_model('typed', 'typed_events', user_column => 'who', item_column => 'what');
    PERFORM fill_run('typed', 60, u_id, i_id);
    EXECUTE format($f$
        SELECT count(e), count(*) FILTER (WHERE a IS DISTINCT FROM e)
        FROM (SELECT row_number() OVER () AS n, a.* FROM typed.recommend_all(7) a) a FULL JOIN
             (SELECT row_number() OVER (ORDER BY u, rank) AS n, %s AS user_id, item_id, score, rank
              FROM generate_series(0, 76) u(n), LATERAL (SELECT n AS u) x,
                   typed.recommend(%1$s, 7, fresh => false)) e USING (n)$f$, u_id)
    INTO rows, wrong;
    EXECUTE format($f$
        SELECT count(*) FILTER (WHERE a IS DISTINCT FROM e)
        FROM (SELECT row_number() OVER () AS n, a.*
              FROM typed.recommend_all(7, (SELECT array_agg(%s ORDER BY n DESC) FROM generate_series(0, 76, 4) n)) a) a FULL JOIN
             (SELECT row_number() OVER (ORDER BY u DESC, rank) AS n, %1$s AS user_id, item_id, score, rank
              FROM generate_series(0, 76, 4) u(n), LATERAL (SELECT n AS u) x,
                   typed.recommend(%1$s, 7, fresh => false)) e USING (n)$f$, u_id)
    INTO wrong_of_some;
    PERFORM gnnrec.drop_model('typed');
    DROP TABLE typed_events;
END $$;
SELECT user_type, item_type, t.*
FROM (VALUES ('smallint', 'uuid'), ('uuid', 'text'), ('text', 'date'), ('varchar', 'oid'), ('short_code', 'positive'),
             ('positive', 'short_code'), ('date', 'bigint'), ('oid', 'int')) v(user_type, item_type)
     JOIN id_type u ON u.type = user_type JOIN id_type i ON i.type = item_type,
     LATERAL try_types(user_type, u.id, item_type, i.id) t
ORDER BY user_type;

-- ids of another type are refused
SELECT f.code, f.message
FROM unnest(ARRAY['NULL::int, 1, NULL::int[]', 'NULL::bigint, 1, NULL::bigint[]',
                           $$NULL::int, 1, ARRAY['']$$]) c(arguments),
     failure(format('SELECT gnnrec.recommend_all_core(''everyone.item_embedding'', %s)', arguments)) f;

--
-- Rights: SELECT on both tables, and no row security
--
CREATE ROLE gnnrec_all_role;
GRANT USAGE ON SCHEMA everyone, recommend_all_test TO gnnrec_all_role;
GRANT SELECT ON everyone.item_embedding TO gnnrec_all_role;
SET ROLE gnnrec_all_role;
SELECT code, message FROM failure('SELECT * FROM everyone.recommend_all()');
RESET ROLE;
REVOKE SELECT ON everyone.item_embedding FROM gnnrec_all_role;
GRANT SELECT ON everyone.user_embedding TO gnnrec_all_role;
SET ROLE gnnrec_all_role;
SELECT code, message FROM failure('SELECT * FROM everyone.recommend_all()');
RESET ROLE;
GRANT SELECT ON everyone.item_embedding TO gnnrec_all_role;
SET ROLE gnnrec_all_role;
SELECT count(*) FROM everyone.recommend_all(2);
RESET ROLE;
ALTER TABLE everyone.user_embedding ENABLE ROW LEVEL SECURITY;
SET ROLE gnnrec_all_role;
SELECT code, message FROM failure('SELECT * FROM everyone.recommend_all()');
RESET ROLE;

DROP VIEW answered, no_row;
SELECT gnnrec.drop_model('everyone');
DROP OWNED BY gnnrec_all_role;
DROP ROLE gnnrec_all_role;
DROP SCHEMA recommend_all_test CASCADE;
