-- diversity and popularity_penalty of recommend() and recommend_for(), by their formulas in plain SQL over the tables.
SET client_min_messages = warning;
CREATE SCHEMA diversity_test;
SET search_path = diversity_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all


-- Four communities of 20 items, users of two of them each, and items that are popular the more the smaller their number is; and
-- an interaction that weighs nothing: an item and a user without edges.
CREATE TABLE likes AS
    SELECT DISTINCT u AS user_id, (u + CASE WHEN n < 4 THEN 1 ELSE 0 END) % 4 * 100
                                  + least(pick('a' || u || n, 20), pick('b' || u || n, 20)) AS item_id,
           1 AS weight
    FROM generate_series(1, 120) u, generate_series(1, 8) n;
INSERT INTO likes VALUES (121, 999, 0);
SELECT gnnrec.create_model('diverse', 'likes', value_column => 'weight',
                           params => '{"dim": 12, "steps": 20, "negatives": 64, "temperature": 0.2}');
CALL gnnrec.retrain('diverse');

CREATE TABLE scored AS
    SELECT user_id, item_id, item_no, i.degree, ln(1 + i.degree::float8) AS penalty,
           (SELECT sum(x * y) FROM unnest(u.embedding::float8[], i.embedding::float8[]) v(x, y)) AS product,
           item_no = ANY (seen) AS seen
    FROM diverse.user_embedding u JOIN diverse.item_embedding i USING (run_id);
CREATE TABLE alike AS
    SELECT a.item_id AS a, b.item_id AS b, coalesce(c.sum / nullif(sqrt(c.of_a * c.of_b), 0), 0) AS cosine
    FROM diverse.item_embedding a JOIN diverse.item_embedding b USING (run_id),
         LATERAL (SELECT sum(x * y), sum(x * x) AS of_a, sum(y * y) AS of_b
                  FROM unnest(a.embedding::float8[], b.embedding::float8[]) v(x, y)) c;
CREATE INDEX ON alike (a, b);

--
-- The penalty: the k with the highest penalised score. Scores are reals, so compared to five digits.
--
SELECT p AS penalty, k, count(*) AS rows, count(*) FILTER (WHERE abs(answered - expected) > 1e-5 OR abs(answered - own) > 1e-5
                                                           OR answered - expected - own IS NULL) AS wrong
FROM (VALUES (0, 10), (0.01, 10), (0.3, 10), (0.3, NULL), (0.3, 1), (5, 10)) v(p, k), generate_series(1, 120, 7) u,
     LATERAL (SELECT r.item_id, r.score AS answered, e.score AS expected
              FROM diverse.recommend(u, k, popularity_penalty => p::real) r
              FULL JOIN (SELECT row_number() OVER (ORDER BY degree > 0 DESC, product - p * penalty DESC, item_no)::int AS rank,
                                CASE WHEN degree > 0 THEN product - p * penalty ELSE 0 END AS score
                         FROM scored WHERE user_id = u AND NOT seen ORDER BY 1 LIMIT k) e USING (rank)) c
     LEFT JOIN LATERAL (SELECT CASE WHEN degree > 0 THEN product - p * penalty ELSE 0 END AS own FROM scored s
                        WHERE s.user_id = u AND s.item_id = c.item_id) o ON true
GROUP BY p, k ORDER BY p, k;
-- the same among candidates, where all are asked for; and a basket
SELECT count(*) AS rows, count(*) FILTER (WHERE abs(r.score - product + 0.5 * penalty) > 1e-5) AS wrong,
       count(*) FILTER (WHERE r.score > before) AS out_of_order, count(DISTINCT r.item_id) AS items
FROM (SELECT *, lag(score) OVER (ORDER BY rank) AS before
      FROM diverse.recommend(1, 30, candidates => ARRAY(SELECT item_id FROM diverse.item_embedding WHERE item_no < 40),
                             exclude_seen => false, popularity_penalty => 0.5)) r
     JOIN scored ON user_id = 1 AND scored.item_id = r.item_id;
SELECT count(*) AS rows, count(*) FILTER (WHERE abs(a.score - b.score + 0.5 * penalty) > 1e-5) AS wrong,
       count(*) FILTER (WHERE a.score > before) AS out_of_order
FROM (SELECT *, lag(score) OVER (ORDER BY rank) AS before FROM diverse.recommend_for(ARRAY[1, 102], k => 30,
        popularity_penalty => 0.5)) a
     JOIN diverse.recommend_for(ARRAY[1, 102], k => NULL) b USING (item_id)
     JOIN scored ON user_id = 1 AND scored.item_id = a.item_id;
-- it does what it is for
SELECT avg(degree) FILTER (WHERE p = 0) > 1.5 * avg(degree) FILTER (WHERE p = 1) AS less_popular
FROM (VALUES (0), (1)) v(p), generate_series(1, 120) u, diverse.recommend(u, popularity_penalty => p)
    JOIN diverse.item_embedding USING (item_id);

--
-- Diversity: every choice, but for the last digits, is the best by the formula
--
CREATE FUNCTION wrong_choices(u int, how_many int, diversity real, penalty real, OUT rows int, OUT wrong int)
    LANGUAGE plpgsql AS $$
DECLARE
    list int[];                 -- the best 5 * how_many by score, where diversity chooses from
    scores float8[];
    chosen int[];
    best float8;
    of_chosen float8;
BEGIN
    SELECT array_agg(item_id ORDER BY rank), array_agg(score ORDER BY rank) INTO list, scores
    FROM diverse.recommend(u, 5 * how_many, popularity_penalty => penalty) WHERE source = 'model';
    SELECT array_agg(item_id ORDER BY rank) INTO chosen
    FROM diverse.recommend(u, how_many, diversity => wrong_choices.diversity, popularity_penalty => penalty)
    WHERE source = 'model';
    rows := cardinality(chosen);
    wrong := 0;
    FOR n IN 1 .. rows LOOP
        SELECT max(v), max(v) FILTER (WHERE item = chosen[n]) INTO best, of_chosen
        FROM (SELECT item, (1 - diversity) * (score - scores[cardinality(scores)]) / (scores[1] - scores[cardinality(scores)])
                     - diversity * coalesce((SELECT max(cosine) FROM alike WHERE a = item AND b = ANY (chosen[1 : n - 1])),
                                            0) AS v
              FROM unnest(list, scores) l(item, score) WHERE item <> ALL (chosen[1 : n - 1])) s;
        wrong := wrong + (of_chosen IS NULL OR of_chosen < best - 1e-5)::int;
    END LOOP;
END $$;
SELECT d AS diversity, p AS penalty, k, sum(rows) AS rows, sum(wrong) AS wrong
FROM (VALUES (0.2, 0, 5), (0.5, 0, 8), (1, 0, 5), (0.5, 0.3, 5), (0.5, 0, 100)) v(d, p, k), generate_series(1, 120, 40) u,
     wrong_choices(u, k, d::real, p::real)
GROUP BY d, p, k ORDER BY d, p, k;
-- each row once, with its own score, numbered in the order of choice; and items without edges after them, as ever
SELECT count(*) AS rows, count(DISTINCT item_id) AS items, count(*) FILTER (WHERE rank <> place) AS misplaced,
       count(*) FILTER (WHERE source = 'model' AND score <> diverse.score(1, item_id)) AS other_scores,
       max(item_id) FILTER (WHERE source = 'popular') AS last
FROM diverse.recommend(1, NULL, diversity => 0.7) WITH ORDINALITY r(item_id, score, rank, source, place);
-- it does what it is for: the lists are less alike within, and of more communities
SELECT avg(cosine) FILTER (WHERE d = 0) > avg(cosine) FILTER (WHERE d = 0.6) + 0.1 AS less_alike
FROM (VALUES (0), (0.6)) v(d), generate_series(1, 120) u,
     LATERAL (SELECT array_agg(item_id) AS list FROM diverse.recommend(u, 6, diversity => d::real)) l,
     alike WHERE a = ANY (list) AND b = ANY (list) AND a < b;
SELECT count(DISTINCT item_id / 100) FILTER (WHERE d = 0) < count(DISTINCT item_id / 100) FILTER (WHERE d = 0.8) AS more_communities
FROM (VALUES (0), (0.8)) v(d), diverse.recommend_for(ARRAY[1, 2, 3], k => 5, diversity => d::real);
-- 0, NULL and nothing said are the same, and so is a list for whom nothing is known
SELECT count(*) AS rows, count(*) FILTER (WHERE r IS DISTINCT FROM n OR r IS DISTINCT FROM z) AS wrong
FROM generate_series(0, 120, 10) u,
     LATERAL (SELECT r, n, z FROM diverse.recommend(u, 7) r
              FULL JOIN diverse.recommend(u, 7, diversity => NULL, popularity_penalty => NULL) n USING (rank)
              FULL JOIN diverse.recommend(u, 7, NULL, NULL, true, true, 0, 0) z USING (rank)) c;
SELECT count(*) AS rows, count(*) FILTER (WHERE r IS DISTINCT FROM d) AS wrong
FROM diverse.recommend(-1) r FULL JOIN diverse.recommend(-1, diversity => 1, popularity_penalty => 3) d USING (rank);
SELECT count(*) FROM diverse.recommend(1, 0, diversity => 0.5);

--
-- Out of range
--
SELECT f.* FROM unnest(ARRAY['diversity => -0.1', 'diversity => 1.5', $$diversity => 'NaN'$$, 'popularity_penalty => -1',
                             $$popularity_penalty => 'NaN'$$, $$popularity_penalty => 'Infinity'$$]) WITH ORDINALITY a(argument,
                                     n),
     failure(format('SELECT diverse.recommend(1, %s)', argument)) f ORDER BY n;
SELECT f.code, f.message FROM unnest(ARRAY['diversity => 2', 'popularity_penalty => -1']) WITH ORDINALITY a(argument, n),
     failure(format('SELECT diverse.recommend_for(ARRAY[1], %s)', argument)) f ORDER BY n;

SELECT gnnrec.drop_model('diverse');
DROP SCHEMA diversity_test CASCADE;
