-- Further node types: their table and functions in a model's schema, and what these answer, against the tables in plain SQL.
-- Nothing is trained here; vectors are of small halves, so that scores are exact and there are ties.
SET client_min_messages = warning;
CREATE ROLE regress_gnnrec_types;
CREATE SCHEMA node_types_test;
SET search_path = node_types_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

CREATE TABLE events (user_id int, item_id int);
CREATE TABLE products (id int, brand text, line uuid);
INSERT INTO products SELECT n, 'brand ' || n % 7, md5((n % 3)::text)::uuid FROM generate_series(1, 20) n;
SELECT gnnrec.create_model('typed', 'events');

-- 20 items and 12 users, of whom the last has no edges; users have 5 more edges than those of what they have seen, of other
-- relations
CREATE FUNCTION fill_run(run bigint) RETURNS void LANGUAGE sql AS $$
    SELECT add_run(run, 'typed');
    INSERT INTO typed.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
        SELECT n + 1, run, n, halves('i' || n || run, 8), halves('f' || n || run, 8), 4, 4 FROM generate_series(0, 19) n;
    INSERT INTO typed.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight)
        SELECT n, run, CASE WHEN n < 12 THEN halves('u' || n || run, 8) ELSE zeros(8) END, CASE WHEN n < 12 THEN 9 ELSE 0 END,
               CASE WHEN n < 12 THEN ARRAY[n, n + 1, n + 3, n + 5] ELSE '{}' END, NULL
        FROM generate_series(1, 12) n;
    UPDATE gnnrec.model SET live_run = run WHERE name = 'typed' $$;
SELECT fill_run(6001);
CREATE FUNCTION lists() RETURNS text LANGUAGE sql AS
    $$ SELECT md5(string_agg(u || r::text, ' ' ORDER BY u, rank)) FROM generate_series(1, 13) u, typed.recommend(u, 15) r $$;
SELECT lists() AS before_types \gset

--
-- What is made
--
SELECT gnnrec.add_relation('typed', 'made by', 'products', 'item', 'id', 'brand', 'brand');
\d typed.brand_embedding
SELECT proname, pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result FROM pg_proc
WHERE  pronamespace = 'typed'::regnamespace AND proname LIKE '%brand' ORDER BY proname;
-- everything says what it is
SELECT count(*) AS described, count(*) FILTER (WHERE comment IS NULL) AS silent FROM (
    SELECT obj_description(oid, 'pg_proc') AS comment FROM pg_proc WHERE pronamespace = 'typed'::regnamespace
           AND proname LIKE '%brand'
    UNION ALL SELECT obj_description('typed.brand_embedding'::regclass, 'pg_class')
    UNION ALL SELECT col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'typed.brand_embedding'::regclass
    AND attnum > 1) o;
SELECT gnnrec.add_relation('typed', 'sold as', 'products', 'item', 'id', 'label', 'brand');
-- ids of another type, and a name that is a key word
SELECT gnnrec.add_relation('typed', 'of a line', 'products', 'item', 'id', 'order', 'line');
\d typed.order_embedding
-- names that would be mistaken
SELECT name, f.code, f.message, f.detail FROM unnest(ARRAY['users', 'items', 'for', 'all', 'run']) name,
    failure(format('SELECT gnnrec.add_relation(''typed'', ''r'', ''products'', ''item'', ''id'', %L, ''brand'')', name)) f;

--
-- A type that came after the run is empty; the rest is as it was, in this session, in another, and from another file
--
SELECT count(*) FROM typed.recommend_brand(1);
SELECT count(*) FROM typed.similar_brand('brand 1');
SELECT lists() = :'before_types' AS same;
\c -
SET search_path = node_types_test, public;
SELECT count(*) FROM typed.recommend_brand(1);
SELECT lists() = :'before_types' AS same;

--
-- A run with nodes of the types: brands, of which one has features and no edges and one has neither, and lines
--
SELECT fill_run(6002);
INSERT INTO typed.brand_embedding (brand_id, run_id, brand_no, embedding, degree)
    SELECT 'brand ' || chr(97 + n), 6002, n, CASE WHEN n = 13 THEN zeros(8) ELSE halves('b' || n, 8) END,
           CASE WHEN n < 12 THEN 1 + pick('d' || n, 6) ELSE 0 END
    FROM generate_series(0, 13) n;
INSERT INTO typed.order_embedding
    SELECT line, 6002, row_number() OVER (ORDER BY line) - 1, halves('l' || line, 8), 2
    FROM (SELECT DISTINCT line FROM products) l;
INSERT INTO typed.label_embedding SELECT label, 6002, n - 1, halves('s' || n, 8), n
FROM unnest('{a,brand a,brand b}'::text[]) WITH ORDINALITY l(label, n);
INSERT INTO events VALUES (100, 3), (100, 4), (5, 17), (5, 18);

-- the vector of a user: of the run; with what they have done since; from that alone
CREATE FUNCTION share_of(items int[], d_u float8) RETURNS float8[] LANGUAGE sql AS $$
    SELECT array_agg(s ORDER BY c) FROM (SELECT c, sum(x / sqrt(d_u * i.degree)) AS s
        FROM typed.item_embedding i, unnest(fold_in::float8[]) WITH ORDINALITY v(x, c) WHERE run_id = 6002
             AND item_no = ANY (items) GROUP BY c) p $$;
CREATE FUNCTION vector_of(u int, fresh bool) RETURNS float8[] LANGUAGE sql AS $$
    SELECT CASE WHEN u = 100 AND fresh THEN share_of('{2,3}', 2)
                WHEN u = 5 AND fresh THEN (SELECT array_agg(z - a + b ORDER BY n)
                                           FROM unnest(embedding::float8[], share_of(seen, 9), share_of(seen || '{16,17}', 11))
                                                                                      WITH ORDINALITY v(z, a, b, n))
                ELSE embedding::float8[] END
    FROM (SELECT) one LEFT JOIN typed.user_embedding ON run_id = 6002 AND user_id = u AND degree > 0 $$;
CREATE FUNCTION reference(u int, k int, candidates text[], exclude text[], fresh bool)
RETURNS TABLE (brand_id text, score real, rank int, source text) LANGUAGE sql AS $$
    SELECT brand_id, score::real, place::int,
           CASE WHEN class = 2 THEN 'cold' WHEN class = 3 OR z IS NULL THEN 'popular' WHEN NOT fresh
                OR u NOT IN (5, 100) THEN 'model'
                WHEN u = 5 THEN 'fresh' ELSE 'fold_in' END
    FROM (SELECT *, row_number() OVER (ORDER BY class, score DESC, brand_no) AS place
          FROM (SELECT b.*, z, class, CASE WHEN z IS NULL OR class = 3 THEN degree
                                      ELSE (SELECT sum(x * y) FROM unnest(b.embedding::float8[], z) v(x, y)) END AS score
                FROM typed.brand_embedding b, vector_of(u, fresh) z,
                     LATERAL (SELECT CASE WHEN degree > 0 THEN 1 WHEN gnnrec.norm(b.embedding) > 0 THEN 2 ELSE 3 END) c(class)
                WHERE run_id = 6002 AND (candidates IS NULL OR brand_id = ANY (candidates))
                AND brand_id = ANY (exclude) IS NOT TRUE) s) o
    WHERE k IS NULL OR place <= k $$;
SELECT name, count(r) AS rows, string_agg(DISTINCT (r).source, ' ' ORDER BY (r).source) AS sources,
       count(*) FILTER (WHERE (a).brand_id IS DISTINCT FROM (r).brand_id OR abs((a).score - (r).score) > 1e-5
                        OR (a).source <> (r).source) AS wrong
FROM (VALUES ('all', NULL::text[], NULL::text[], true), ('not fresh', NULL, NULL, false), ('none', '{}', NULL, true),
             ('some', '{brand a,brand c,brand e,brand m,brand n,no brand,NULL}', NULL, true),
             ('without', NULL, '{brand b,brand m,NULL}', true)) v(name, candidates, exclude, fresh),
     (VALUES (1), (5), (14), (NULL)) w(k), (SELECT generate_series(1, 12) UNION SELECT unnest('{100,101}'::int[])) x(u),
     LATERAL (SELECT a, r FROM typed.recommend_brand(u, k, candidates, exclude, fresh) a
              FULL JOIN reference(u, k, candidates, exclude, fresh) r USING (rank)) c
GROUP BY name ORDER BY name;
SELECT count(*), count(DISTINCT source) FROM typed.recommend_brand(NULL);
-- what they have seen is of no account: brands are nobody's
SELECT count(*) FROM typed.recommend_brand(1, NULL);
-- alike
SELECT count(*) AS rows, count(*) FILTER (WHERE abs(s.score - cosine) > 1e-6 OR s.rank <> place) AS wrong
FROM typed.brand_embedding a, LATERAL typed.similar_brand(a.brand_id, 20) s
     JOIN LATERAL (SELECT b.brand_id, cosine, row_number() OVER (ORDER BY cosine DESC, brand_no) AS place
                   FROM typed.brand_embedding b, LATERAL (SELECT (gnnrec.inner_product(a.embedding, b.embedding)
                                                                  / nullif(gnnrec.norm(a.embedding) * gnnrec.norm(b.embedding),
                                                                           0))::real) c(cosine)
                   WHERE b.brand_id <> a.brand_id AND cosine IS NOT NULL) r USING (brand_id);
SELECT count(order_id), max(rank), min(source) FROM typed.recommend_order(3);
SELECT count(*) FROM products p, typed.similar_order(line) WHERE id <= 3;

-- the cores: a type that there is not, ids of another type
SELECT code, message, hint FROM failure($$SELECT gnnrec.recommend_type_core('typed.item_embedding', 'colour', 1, ''::text, 5,
                                                                            NULL, NULL, true)$$);
SELECT code, message FROM failure($$SELECT gnnrec.recommend_type_core('typed.item_embedding', NULL, 1, ''::text, 5, NULL, NULL,
                                                                      true)$$);
SELECT code, message FROM failure($$SELECT gnnrec.recommend_type_core('typed.item_embedding', 'brand', 1, 1, 5, NULL, NULL,
                                                                      true)$$);
SELECT code, message FROM failure($$SELECT gnnrec.recommend_type_core('typed.item_embedding', 'brand', 1::bigint, ''::text, 5,
                                                                      NULL, NULL, true)$$);
SELECT code, message FROM failure('SELECT typed.recommend_brand(1, -1)');
-- the same array, of one type and then of another: not taken for the one before
CREATE TABLE asked (n int, type text, ids text[]);
INSERT INTO asked VALUES (1, 'brand', '{brand a}'), (2, 'brand', '{brand a}'), (3, 'label', '{brand a}'),
    (4, 'label', '{brand b}'), (5, 'brand', '{brand b}');
SELECT n, type, node_id FROM asked, gnnrec.recommend_type_core('typed.item_embedding', type, 1, ''::text, 5, ids, NULL, true)
ORDER BY n;

--
-- What the planner expects
--
CREATE FUNCTION planned(call text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) SELECT * FROM ' || call INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT call, planned(call) FROM unnest('{"typed.recommend_brand(1)","typed.recommend_brand(1, 3)","typed.recommend_brand(1, NULL)",
    "typed.recommend_brand(1, NULL, ''{brand a,brand b}'')","typed.similar_brand(''brand a'', 5)","typed.similar_brand(''brand a'', NULL)"}'::text[]) call;

--
-- Rights: an answer is made of users, items (whose vectors fold users in) and brands
--
CREATE FUNCTION as_role(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    SET LOCAL ROLE regress_gnnrec_types;
    EXECUTE statement;
    RAISE SQLSTATE 'ZZZZZ';
EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN RETURN 'ok'; WHEN OTHERS THEN RETURN SQLERRM;
END $$;
GRANT USAGE ON SCHEMA typed TO regress_gnnrec_types;
CREATE VIEW attempts AS SELECT as_role('SELECT typed.recommend_brand(1)') AS recommend,
    as_role('SELECT typed.similar_brand(''brand a'')') AS similar,
                               as_role('SELECT typed.recommend(1)') AS items;
SELECT * FROM attempts;
GRANT SELECT ON typed.brand_embedding TO regress_gnnrec_types;
SELECT * FROM attempts;
GRANT SELECT ON typed.user_embedding TO regress_gnnrec_types;
SELECT * FROM attempts;
GRANT SELECT ON typed.item_embedding TO regress_gnnrec_types;
SELECT * FROM attempts;
REVOKE SELECT ON typed.brand_embedding FROM regress_gnnrec_types;
SELECT * FROM attempts;
-- whoever adds a type, the table is the model's owner's
CREATE ROLE regress_gnnrec_owner;
ALTER TABLE typed.item_embedding OWNER TO regress_gnnrec_owner;
GRANT CREATE, USAGE ON SCHEMA typed TO regress_gnnrec_owner;
GRANT USAGE ON SCHEMA node_types_test TO regress_gnnrec_owner;
GRANT SELECT ON products, events TO regress_gnnrec_owner;
SELECT gnnrec.add_relation('typed', 'again', 'products', 'item', 'id', 'thing', 'brand');
SELECT relowner::regrole FROM pg_class WHERE oid = 'typed.thing_embedding'::regclass
UNION ALL SELECT proowner::regrole FROM pg_proc WHERE proname IN ('recommend_thing', 'similar_thing');

--
-- Dropping: a type with what was made for it, but not what is another's; another type at its place; the model with all its types
--
SELECT gnnrec.drop_relation('typed', 'again');
SELECT gnnrec.drop_relation('typed', 'sold as');
SELECT count(*) FROM typed.recommend_order(1);
SELECT gnnrec.drop_relation('typed', 'of a line');
SELECT count(*) FROM typed.recommend(1);
SELECT gnnrec.add_relation('typed', 'of colour', 'products', 'item', 'id', 'colour', 'brand');
SELECT count(*) FROM typed.recommend_colour(1);
SELECT count(*) FROM typed.recommend_brand(1);
\c -
SET search_path = node_types_test, public;
SET client_min_messages = warning;
SELECT count(*) FROM typed.recommend_colour(1);
INSERT INTO typed.colour_embedding SELECT brand_id, 6003, brand_no, embedding, degree FROM typed.brand_embedding
WHERE run_id = 6002 AND brand_no < 3;
SELECT fill_run(6003);
SELECT array_agg(colour_id ORDER BY colour_id) FROM typed.recommend_colour(1);
CREATE VIEW depends AS SELECT * FROM typed.colour_embedding;
SELECT code, message FROM failure($$SELECT gnnrec.drop_relation('typed', 'of colour')$$);
DROP VIEW depends;
SELECT gnnrec.drop_relation('typed', 'of colour');
SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'typed'::regnamespace AND c.relkind = 'r'
UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'typed'::regnamespace AND proname NOT IN (SELECT proname FROM pg_proc
        WHERE pronamespace = 'gnnrec'::regnamespace) ORDER BY 1;

--
-- A table dropped by hand: items are recommended without it, and who asks for the type is told. What is rolled back is there
-- again, also for who would read a file that was made in between
--
SELECT gnnrec.add_relation('typed', 'in shade', 'products', 'item', 'id', 'shade', 'brand');
INSERT INTO typed.shade_embedding SELECT brand_id, run, brand_no, embedding, degree
    FROM typed.brand_embedding, (VALUES (6004), (6005)) r(run) WHERE run_id = 6002 AND brand_no < 3;
SELECT fill_run(6004);
UPDATE gnnrec.run SET metrics = '{"nodes": {"shade": 3}}' WHERE run_id = 6004;
BEGIN;
DROP TABLE typed.shade_embedding;
SELECT count(*) FROM typed.recommend(1);
ROLLBACK;
SELECT count(*) FROM typed.recommend_shade(1);
SELECT lists() AS before_drop \gset
SELECT fill_run(6005);
UPDATE gnnrec.run SET metrics = '{"nodes": {"shade": 3}}' WHERE run_id = 6005;
DROP TABLE typed.shade_embedding;
SELECT count(*), lists() <> :'before_drop' AS of_the_new_run FROM typed.recommend(1);
SELECT lists() AS without_table \gset
SELECT count(*) FROM typed.recommend_brand(1);
SELECT code, message, hint FROM unnest('{recommend_shade(1),similar_shade(NULL)}'::text[]) call, failure('SELECT typed.' || call);
SELECT finding, hint FROM gnnrec.check('typed') WHERE level = 'error';
-- what the hint says is what helps
SELECT gnnrec.drop_relation('typed', 'in shade');
SELECT gnnrec.add_relation('typed', 'in shade', 'products', 'item', 'id', 'shade', 'brand');
SELECT count(*), lists() = :'without_table' AS same FROM typed.recommend_shade(1);
SELECT count(*) AS errors FROM gnnrec.check('typed') WHERE level = 'error';
SELECT gnnrec.drop_relation('typed', 'in shade');
-- without the tables of users or items there is no model
SELECT gnnrec.create_model('bare', 'events');
DROP TABLE bare.user_embedding;
SELECT code, message, hint FROM failure('SELECT bare.recommend(1)');
SELECT finding, hint FROM gnnrec.check('bare') WHERE level = 'error';
DROP TABLE bare.item_embedding CASCADE;
SELECT code, message, hint FROM failure($$SELECT gnnrec.recommend('bare', '1', 3)$$);
SELECT gnnrec.drop_model('bare');
DROP SCHEMA bare;
-- what the same statement has added goes, too
SELECT gnnrec.create_model('both', 'events');
SELECT gnnrec.add_relation('both', 'of brand', 'products', 'item', 'id', 'brand', 'brand'), gnnrec.drop_model('both');
DROP SCHEMA node_types_test CASCADE;
SELECT gnnrec.drop_model('typed');
SELECT count(*) AS left_over FROM pg_namespace WHERE nspname = 'typed';
DROP ROLE regress_gnnrec_types, regress_gnnrec_owner;
