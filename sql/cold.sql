-- Cold items: without interactions, and known all the same by relations or by features. Lists against the tables, in plain SQL.
-- Nothing is trained here; vectors are of small halves, so that scores are exact and there are ties.
SET client_min_messages = warning;
CREATE SCHEMA cold_test;
SET search_path = cold_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- 60 items. Of twelve that follow each other, two are cold and have edges, one is cold and has none (its vector is of its
-- features), two are isolated, of which one has interactions that the training left out; the others have interactions, and more
-- edges than these. 30 users. Of ten, one has a vector and no edges, and one has neither.
CREATE TABLE events (user_id int, item_id text);
SELECT gnnrec.create_model('cold', 'events');
SELECT add_run(5001, 'cold');
INSERT INTO cold.item_embedding (item_id, run_id, item_no, embedding, fold_in, degree, interactions)
    SELECT 'item ' || lpad(n::text, 2, '0'), 5001, n, CASE WHEN n % 12 IN (5, 11) THEN zeros(10) ELSE halves('i' || n, 10) END,
           halves('f' || n, 10),
           CASE WHEN n % 12 IN (3, 5, 11) THEN 0 ELSE 4 ^ (2 + pick('d' || n, 2)) END,
           CASE WHEN n % 12 IN (2, 3, 5, 8) THEN 0 ELSE 1 + pick('n' || n, 8) END
    FROM generate_series(0, 59) n;
INSERT INTO cold.user_embedding (user_id, run_id, embedding, degree, seen, seen_weight)
    SELECT n, 5001, CASE WHEN n % 10 = 9 THEN zeros(10) ELSE halves('u' || n, 10) END,
           CASE WHEN n % 10 IN (8, 9) THEN 0 ELSE 4 END,
           seen, NULL
    FROM generate_series(0, 29) n,
         LATERAL (SELECT coalesce(array_agg(DISTINCT i ORDER BY i), '{}') FROM generate_series(1, n % 8) g,
                  pick('s' || n || g, 60) i) l(seen);
UPDATE gnnrec.model SET live_run = 5001 WHERE name = 'cold';

CREATE VIEW classes AS
    SELECT *, CASE WHEN degree = 0 AND gnnrec.norm(embedding) = 0 THEN 'isolated' WHEN interactions > 0 THEN 'popular'
                   ELSE 'cold' END AS class
    FROM cold.item_embedding WHERE run_id = 5001;
SELECT class, count(*), count(*) FILTER (WHERE degree = 0) AS without_edges FROM classes GROUP BY class ORDER BY class;

-- the items of a class in their order for a user, those left out that are to be
CREATE FUNCTION ranking(u int, candidates text[], exclude text[], exclude_seen bool)
RETURNS TABLE (class text, place bigint, item_id text, score real) LANGUAGE sql AS $$
    SELECT class, row_number() OVER (PARTITION BY class ORDER BY CASE WHEN class = 'popular' OR class = 'cold'
                                                                      AND known THEN score END DESC, item_no),
           item_id, score
    FROM (SELECT c.*, known, CASE WHEN known AND class <> 'isolated' THEN gnnrec.inner_product(q.embedding, c.embedding)
                             ELSE interactions END::real AS score
          FROM classes c, (SELECT *, gnnrec.norm(embedding) > 0 AS known FROM cold.user_embedding WHERE user_id = u) q
          WHERE (candidates IS NULL OR c.item_id = ANY (candidates)) AND (exclude IS NULL OR c.item_id <> ALL (exclude))
          AND NOT (exclude_seen AND item_no = ANY (seen))) s $$;

--
-- Every list: how many of each class, which ones, their scores, their order within the class
--
-- what recommend() answers, and what it should, item by item of each class; counts are those of the class
CREATE FUNCTION compared(u int, k int, share real, candidates text[], exclude text[], exclude_seen bool)
RETURNS TABLE (class text, shown bigint, wanted bigint, wrong bigint) LANGUAGE sql AS $$
    WITH r AS (SELECT * FROM ranking(u, candidates, exclude, exclude_seen)),
    n AS (SELECT count(*) FILTER (WHERE r.class = 'popular') AS popular, count(*) FILTER (WHERE r.class = 'cold') AS cold,
                 count(*) FILTER (WHERE r.class = 'isolated') AS isolated, coalesce(k, 60) AS k,
                 CASE WHEN u % 10 = 9 THEN 0 ELSE round((share * coalesce(k, 60))::numeric) END AS places FROM r),
    wanted AS (SELECT 'popular' AS class, least(popular, k - least(places, cold)) AS n FROM n
               UNION ALL SELECT 'cold', least(cold, greatest(places, k - popular)) FROM n
               UNION ALL SELECT 'isolated', least(isolated, greatest(k - popular - cold, 0)) FROM n),
    a AS (SELECT c.class, row_number() OVER (PARTITION BY c.class ORDER BY a.rank) AS place, a.*,
                 CASE WHEN c.class = 'cold' THEN 'cold' WHEN c.class = 'isolated' OR u % 10 = 9 THEN 'popular'
                      ELSE 'model' END AS its_source
          FROM cold.recommend(u, k, candidates, exclude, exclude_seen, cold_share => share) a JOIN classes c USING (item_id))
    SELECT w.class, count(a.rank), w.n::bigint,
           count(a.rank) FILTER (WHERE a.item_id IS DISTINCT FROM r.item_id OR a.score IS DISTINCT FROM r.score
                                 OR a.source <> its_source)
    FROM wanted w LEFT JOIN a USING (class) LEFT JOIN r USING (class, place) GROUP BY w.class, w.n $$;

CREATE TABLE limits (name text, candidates text[], exclude text[], exclude_seen bool);
INSERT INTO limits VALUES
    ('all', NULL, NULL, true), ('seen too', NULL, NULL, false), ('no candidate', '{}', NULL, true),
    ('some', ARRAY(SELECT item_id FROM classes WHERE item_no % 7 < 3), NULL, true),
    ('cold ones', ARRAY(SELECT item_id FROM classes WHERE class = 'cold') || '{nobody,NULL}', NULL, false),
    ('not half of the cold', NULL, ARRAY(SELECT item_id FROM classes WHERE class = 'cold' AND item_no % 2 = 0), true),
    ('no cold one', NULL, ARRAY(SELECT item_id FROM classes WHERE class = 'cold'), true);
SELECT name, class, sum(shown) AS shown, sum(abs(shown - wanted)) AS too_few_or_many, sum(wrong) AS wrong
FROM (VALUES (1, 0::real), (7, 0.5), (10, 0.1), (10, 1), (40, 0), (40, 0.3), (NULL, 0), (NULL, 0.8)) v(k, share),
     generate_series(0, 29) u, limits,
     LATERAL compared(u, k, share, candidates, exclude, exclude_seen)
GROUP BY name, class ORDER BY name, class;
-- never short, each item once, ranks without a gap
SELECT count(*) AS lists, count(*) FILTER (WHERE rows <> least(k, items) OR distinct_items <> rows OR last <> rows) AS wrong
FROM (VALUES (1), (30), (59), (60), (61)) a(k), (VALUES (0::real), (0.3), (1)) b(share), generate_series(0, 29) u,
     LATERAL (SELECT count(*) AS rows, count(DISTINCT item_id) AS distinct_items, max(rank) AS last
              FROM cold.recommend(u, k, exclude_seen => false, cold_share => share)) l, (SELECT count(*) AS items FROM classes) c;

--
-- The places
--
SELECT k, share, string_agg(rank::text, ' ' ORDER BY rank) FILTER (WHERE source = 'cold') AS cold_places, count(*) AS rows
FROM (VALUES (10, 0::real), (10, 0.04), (10, 0.05), (10, 0.1), (10, 0.2), (10, 0.25), (10, 0.3), (10, 0.5), (10, 0.8), (10, 1),
      (1, 0.4), (1, 0.5),
             (3, 0.5), (5, 0.3), (20, 0.1), (60, 0.1), (100, 0.1)) v(k, share),
             cold.recommend(0, k, cold_share => share, exclude_seen => false)
GROUP BY k, share ORDER BY k, share;
-- fewer cold ones than places, and fewer popular ones than there is room for
SELECT count(*) AS rows, string_agg(rank::text, ' ' ORDER BY rank) FILTER (WHERE source = 'cold') AS cold_places
FROM cold.recommend(0, 10, exclude => ARRAY(SELECT item_id FROM classes WHERE class = 'cold' AND item_no > 10),
                    cold_share => 0.8);
SELECT count(*) AS rows, string_agg(rank::text, ' ' ORDER BY rank) FILTER (WHERE source = 'cold') AS cold_places
FROM cold.recommend(0, 10, candidates => ARRAY(SELECT item_id FROM classes WHERE class = 'cold' OR item_no < 2),
                    cold_share => 0.2);
-- a basket
SELECT count(*) AS rows, string_agg(rank::text, ' ' ORDER BY rank) FILTER (WHERE source = 'cold') AS cold_places,
       string_agg(DISTINCT source, ' ' ORDER BY source) AS sources
FROM cold.recommend_for('{item 00,item 01}', k => 10, cold_share => 0.3);
SELECT count(*) AS rows, string_agg(rank::text, ' ' ORDER BY rank) FILTER (WHERE source = 'cold') AS cold_places,
       string_agg(DISTINCT source, ' ' ORDER BY source) AS sources
FROM cold.recommend_for('{}', k => 10, cold_share => 0.3);
-- NULL is none; what is no share
SELECT count(*) FILTER (WHERE source = 'cold') AS cold FROM cold.recommend(0, cold_share => NULL);
SELECT share, f.* FROM (VALUES ('-0.01'), ('1.01'), ('NaN'), ('Infinity')) v(share),
    failure(format('SELECT * FROM cold.recommend(0, cold_share => %L)', share)) f;
SELECT code, message FROM failure('SELECT * FROM cold.recommend_for(''{item 00}'', cold_share => 2)');
-- the other options leave the cold part alone, and it them: as without a share, but for the places
SELECT count(*) AS rows, count(*) FILTER (WHERE w.item_id IS DISTINCT FROM s.item_id OR w.score IS DISTINCT FROM s.score) AS wrong
FROM (VALUES (0::real, 0::real), (0.5, 0), (0, 0.2), (0.5, 0.2)) v(diversity, penalty), generate_series(0, 7) u,
     LATERAL (SELECT row_number() OVER (ORDER BY rank) AS place, * FROM cold.recommend(u, 12, diversity => v.diversity,
             popularity_penalty => penalty,
                                                                                      cold_share => 0.25) WHERE source <> 'cold') s
     LEFT JOIN LATERAL cold.recommend(u, 12, diversity => v.diversity, popularity_penalty => penalty) w ON w.rank = s.place;

--
-- Who asks: a user who has nothing but features has a vector; the answer as text; the audience of a cold item
--
SELECT u % 10 AS user, source, count(*) FROM generate_series(0, 29) u, cold.recommend(u, NULL) GROUP BY 1, 2 ORDER BY 1, 2;
SELECT item_id, score, rank, source FROM gnnrec.recommend('cold', '0', 60)
EXCEPT SELECT item_id, score, rank, source FROM cold.recommend(0, 60);
SELECT count(*) AS rows, count(*) FILTER (WHERE a.score IS DISTINCT FROM expected OR place <> rank) AS wrong,
       bool_or(a.user_id = 8) AS by_features
FROM classes c, LATERAL cold.recommend_users(c.item_id, 30, false) a
     JOIN LATERAL (SELECT user_id, row_number() OVER (ORDER BY gnnrec.inner_product(u.embedding, c.embedding) DESC,
                                                      user_id) AS place,
                          gnnrec.inner_product(u.embedding, c.embedding)::real AS expected
                   FROM cold.user_embedding u WHERE user_id % 10 <> 9) e USING (user_id)
WHERE class = 'cold';

--
-- Other answers about cold items: alike, scored, explained
--
SELECT c.class, count(*) AS rows, count(*) FILTER (WHERE abs(s.score - gnnrec.inner_product(c.embedding, o.embedding)
                                            / (gnnrec.norm(c.embedding) * gnnrec.norm(o.embedding))) > 1e-6) AS wrong,
       count(DISTINCT o.item_id) FILTER (WHERE o.class = 'cold') AS cold_answers,
       count(*) FILTER (WHERE o.class = 'isolated') AS isolated_answers
FROM classes c, LATERAL cold.similar_items(c.item_id, 60) s JOIN classes o ON o.item_id = s.item_id
GROUP BY c.class ORDER BY c.class;
SELECT count(*) AS scores, count(*) FILTER (WHERE cold.score(user_id, item_id) <> gnnrec.inner_product(u.embedding,
        c.embedding)) AS wrong
FROM classes c, cold.user_embedding u WHERE class = 'cold';
SELECT count(*) AS explained, count(*) FILTER (WHERE abs(total - cold.score(user_id, item_id)) > 1e-5) AS wrong
FROM classes c, cold.user_embedding u, LATERAL (SELECT sum(contribution) AS total FROM cold.explain(user_id, item_id, NULL)) e
WHERE class = 'cold';
-- evaluate() finds a cold item where lists come to it
CREATE TABLE held_out (user_id int, item_id text);
INSERT INTO held_out SELECT 0, item_id FROM classes WHERE class = 'cold'
    AND item_no <> ALL (SELECT unnest(seen) FROM cold.user_embedding WHERE user_id = 0);
SELECT metric, k, round(value::numeric, 4) AS value FROM gnnrec.evaluate('cold', 'held_out', '{20,40}') WHERE metric = 'recall'
ORDER BY k;
SELECT (SELECT count(*) FROM cold.recommend(0, 20) JOIN held_out USING (item_id)) AS at_20,
       round((SELECT count(*) FROM cold.recommend(0, 40) JOIN held_out USING (item_id)) / (SELECT count(*)
               FROM held_out)::numeric, 4) AS at_40;


--
-- Trained: two halves of a shop, of three genres each. Nobody has bought the last fifth of each genre, which the genres alone
-- tell of.
--
CREATE TABLE products AS SELECT n AS id, 'genre ' || n % 6 AS genre FROM generate_series(0, 89) n;
CREATE TABLE bought AS
    SELECT DISTINCT u AS user_id, 6 * pick('b' || u || n, 12) + 2 * pick('g' || u || n, 3) + u % 2 AS item_id
    FROM generate_series(1, 80) u, generate_series(1, 12) n;
SELECT gnnrec.create_model('cold_shop', 'bought', params => '{"dim": 16, "steps": 30, "negatives": 32}');
SELECT gnnrec.add_relation('cold_shop', 'is', 'products', 'item', 'id', 'genre', 'genre');
CALL gnnrec.retrain('cold_shop');
SELECT interactions = 0 AS cold, count(*), bool_and(degree > interactions) AS with_edges FROM cold_shop.item_embedding GROUP BY 1
ORDER BY 1;
SELECT count(*) FILTER (WHERE abs(i.interactions - n) > 1e-6) AS wrong FROM cold_shop.item_embedding i
    LEFT JOIN LATERAL (SELECT count(*) AS n FROM bought b WHERE b.item_id = i.item_id) b ON true;
-- the cold items of a user's half come first among the cold ones, and have their places
SELECT source, count(*), round(avg((item_id % 2 = u % 2)::int), 1) >= 0.9 AS of_their_half
FROM generate_series(1, 80) u, cold_shop.recommend(u, 10, cold_share => 0.4) GROUP BY source ORDER BY source;
-- and so do genres
SELECT count(*), round(avg((right(genre_id, 1)::int % 2 = u % 2)::int), 1) >= 0.9 AS of_their_half
FROM generate_series(1, 80) u, cold_shop.recommend_genre(u, 3);
SELECT round(avg((right(a.genre_id, 1)::int % 2 = right(b.genre_id, 1)::int % 2)::int), 1) >= 0.9 AS alike_within_a_half
FROM cold_shop.genre_embedding a, cold_shop.similar_genre(a.genre_id, 2) b;
-- what lists for all users say is what each is told, without a share
SELECT count(*) AS rows, count(*) FILTER (WHERE a IS DISTINCT FROM e) AS wrong FROM (
    SELECT a, e FROM cold_shop.recommend_all(90) a FULL JOIN (SELECT u AS user_id, r.item_id, r.score, r.rank
                                                              FROM generate_series(1, 80) u,
                                                              cold_shop.recommend(u, 90, fresh => false) r) e USING (user_id,
                                                                      item_id)) c;
-- tables that arrive one after the other: a type that the run has nodes of is waited for, and one that came later is not
BEGIN;
INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, metrics, trained_by)
    SELECT 777777, r.model_id, status, stored, r.params, metrics, trained_by FROM gnnrec.run r
    JOIN gnnrec.model m ON r.run_id = m.live_run WHERE name = 'cold_shop';
UPDATE gnnrec.model SET live_run = 777777 WHERE name = 'cold_shop';
UPDATE cold_shop.item_embedding SET run_id = 777777;
UPDATE cold_shop.user_embedding SET run_id = 777777;
SELECT code, message, detail FROM failure('SELECT * FROM cold_shop.recommend(1)');
SELECT gnnrec.drop_relation('cold_shop', 'is');
SELECT gnnrec.add_relation('cold_shop', 'is', 'products', 'item', 'id', 'genre', 'genre');
SELECT count(*), (SELECT count(*) FROM cold_shop.recommend_genre(1)) AS genres FROM cold_shop.recommend(1);
ROLLBACK;
SELECT gnnrec.drop_model('cold_shop');
DROP SCHEMA cold_test CASCADE;
SELECT gnnrec.drop_model('cold');
