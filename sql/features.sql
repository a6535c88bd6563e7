-- Features: columns of catalogues. Each kind finds what was planted among items that nobody has seen; and what cannot be a
-- feature.
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE SCHEMA features_test;
SET search_path = features_test, public;

-- Users and films of four groups; films from 41 on have no events. All that a column of films tells is the group.
CREATE TYPE genre AS ENUM ('drama', 'comedy', 'crime', 'war');
CREATE TABLE events AS
    SELECT u AS user_id, 1 + (u + 4 * abs(hashint4(u * 100 + k) % 10)) % 40 AS item_id FROM generate_series(1, 160) u,
           generate_series(1, 6) k;
CREATE TABLE films AS
    SELECT i AS item_id, (enum_range(NULL::genre))[1 + i % 4] AS genre, ARRAY['tag ' || i % 4, NULL, 'any ' || i % 3] AS tags,
           1000 * (i % 4) AS code, (i % 4 / 2) * 10 + i % 3 AS minutes,
           date '2000-01-01' + (i % 4 / 2) * 9000 + i % 7 AS released,
           (ARRAY['Love, and death', 'The LOVE of pie!', 'Knives in the dark', 'Dark trenches'])[1 + i % 4] || ' ' || i AS title,
           format('[%s,%s,%s]', i % 4 % 2, i % 4 / 2, i % 3)::gnnrec.embedding AS poster,
           ARRAY[i % 4 % 2, i % 4 / 2, i % 3]::real[] AS taste, i % 2 = 0 AS is_even, NULL::text AS plot, 7 AS wheels,
           '{}'::jsonb AS rest
    FROM generate_series(1, 52) i;
CREATE TABLE people AS SELECT u AS user_id, 20 + u % 4 AS age FROM generate_series(1, 170) u;
SELECT gnnrec.create_model('films', 'events', items => 'films', users => 'people', schema => 'features_test',
                           params => '{"dim": 16, "steps": 30, "temperature": 0.3, "negatives": 200}');

-- of each user's three best films without events, the share that is of the user's group, or of the pair of groups; chance is a
-- quarter, or a half
CREATE FUNCTION found(OUT of_group numeric, OUT of_pair numeric) LANGUAGE sql AS $$
    SELECT round(avg((item_id % 4 = (user_id + 1) % 4)::int), 1), round(avg((item_id % 4 / 2 = (user_id + 1) % 4 / 2)::int), 1)
    FROM (SELECT user_id, item_id, rank() OVER (PARTITION BY user_id ORDER BY features_test.score(user_id, item_id) DESC,
                                                item_id) AS n
          FROM generate_series(1, 160) user_id, generate_series(41, 52) item_id) ranked
    WHERE n <= 3
$$;
-- what one feature alone finds
CREATE PROCEDURE try(node_type text, column_name name, kind text, size int, params jsonb DEFAULT '{}') LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.add_feature('films', $1, $2, $3, $4);
    COMMIT;
    CALL gnnrec.retrain('films', params);
END $$;

-- nothing is known of them
CALL gnnrec.retrain('films');
SELECT count(*), min(features_test.score(1, item_id)), max(features_test.score(1, item_id)) FROM generate_series(41, 52) item_id;

CALL try('item', 'genre', NULL, NULL);
SELECT of_group > 0.8 AS category FROM found();
SELECT bool_and(s.item_id % 4 = i % 4) AS similar FROM generate_series(41, 52) i, features_test.similar_items(i, 3) s;
SELECT gnnrec.drop_feature('films', 'item', 'genre');
CALL try('item', 'genre', NULL, NULL, '{"sampling": "neighbours", "fanout": 5, "users_per_step": 80}');
SELECT of_group > 0.8 AS sampled FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'genre');
CALL try('item', 'tags', NULL, NULL);
SELECT of_group > 0.8 AS categories FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'tags');
CALL try('item', 'code', 'category', 50);
SELECT of_group > 0.8 AS hashed FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'code');
CALL try('item', 'minutes', NULL, NULL);
SELECT of_pair > 0.8 AS number FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'minutes');
CALL try('item', 'released', NULL, NULL);
SELECT of_pair > 0.8 AS time FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'released');
CALL try('item', 'title', NULL, NULL, '{"encoder": "mlp"}');
SELECT of_group > 0.6 AS words, of_pair > 0.8 AS pairs FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'title');
CALL try('item', 'poster', NULL, NULL);
SELECT of_group > 0.6 AS embedding FROM found();
SELECT gnnrec.drop_feature('films', 'item', 'poster');
CALL try('item', 'taste', NULL, NULL, '{"model": "mf"}');
SELECT of_group > 0.6 AS array FROM found();

-- two towers; users 161 to 170 have no events, and are known by their age
SELECT gnnrec.add_feature('films', 'item', 'genre'), gnnrec.add_feature('films', 'user', 'age', 'category');
CALL gnnrec.retrain('films', '{"model": "dnn"}');
SELECT of_group > 0.8 AS towers FROM found();
SELECT bool_and(b.item_id % 4 = (user_id + 1) % 4) AS cold_users
FROM generate_series(161, 170) user_id,
     LATERAL (SELECT item_id FROM generate_series(1, 52) item_id ORDER BY features_test.score(user_id, item_id) DESC LIMIT 1) b;
SELECT * FROM gnnrec.features WHERE model = 'films';
SELECT gnnrec.drop_feature('films', 'item', 'genre'), gnnrec.drop_feature('films', 'item', 'taste'),
       gnnrec.drop_feature('films', 'user', 'age');
CALL gnnrec.retrain('films');
SELECT min(features_test.score(1, item_id)), max(features_test.score(1, item_id)) FROM generate_series(41, 52) item_id;

-- Missing values: what is known of a film decides, whatever else is not; columns that tell nothing are named.
UPDATE films SET code = NULL WHERE item_id % 5 = 0;
ALTER TABLE films ALTER code TYPE float8 USING CASE item_id % 7 WHEN 0 THEN 'NaN' WHEN 1 THEN 'infinity' WHEN 2 THEN 1e300
                                                    ELSE code END;
UPDATE films SET taste = NULL WHERE item_id % 3 = 0;
UPDATE films SET taste = '{1,NULL,2}' WHERE item_id = 1;
SELECT gnnrec.add_feature('films', 'item', column_name) FROM unnest('{genre,code,taste,plot,wheels}'::name[]) column_name;
ALTER TABLE films RENAME is_even TO "in ""two"" %s; --";
SELECT gnnrec.add_feature('films', 'item', 'in "two" %s; --', kind, 5) FROM (VALUES ('category')) v(kind);
CALL gnnrec.retrain('films');
SELECT of_group > 0.8 AS found FROM found();
SELECT message FROM gnnrec.runs WHERE model = 'films' ORDER BY run_id DESC LIMIT 1;
-- a score is the sum of what explains it, of films with events and without
SELECT count(*), bool_and(abs(features_test.score(u, i) - (SELECT sum(contribution)
                                                           FROM features_test.explain(u, i, NULL))) < 1e-4) AS explained
FROM generate_series(1, 160, 20) u, generate_series(1, 52, 5) i;
SELECT finding, hint FROM gnnrec.check('films') WHERE finding LIKE '%feature%';
-- 8 bytes a column and an entry, of which the text has 16384 columns
SELECT round(bytes / 1000) AS kilobytes FROM gnnrec.estimate('films') WHERE part = 'features';
-- whatever the columns are called
ALTER TABLE films RENAME tags TO v;
SELECT gnnrec.add_feature('films', 'item', 'v');
SELECT count(*) > 0 AS estimated FROM gnnrec.estimate('films');
SELECT gnnrec.drop_feature('films', 'item', 'v');
ALTER TABLE films RENAME v TO tags;

-- The same rows in another order are the same model.
CREATE TABLE vectors AS SELECT item_id, embedding FROM features_test.item_embedding e
    WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'films');
CREATE TABLE films_backwards AS SELECT * FROM films ORDER BY item_id DESC;
SELECT gnnrec.alter_model('films', items => 'films_backwards');
CALL gnnrec.retrain('films');
SELECT count(*), bool_and(v.embedding::text = e.embedding::text) FROM vectors v
    JOIN features_test.item_embedding e USING (item_id)
    WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'films');
SELECT gnnrec.alter_model('films', items => 'films');

-- What cannot be a feature.
SELECT gnnrec.add_feature('films', 'item', 'director');
SELECT gnnrec.add_feature('films', 'brand', 'name');
SELECT gnnrec.add_feature('nothing', 'item', 'genre');
SELECT gnnrec.add_feature('films', 'item', 'genre');
SELECT gnnrec.add_feature('films', 'item', NULL);
SELECT gnnrec.add_feature('films', 'item', 'title', 'song');
SELECT gnnrec.add_feature('films', 'item', 'title', 'number');
SELECT gnnrec.add_feature('films', 'item', 'title', 'vector');
SELECT gnnrec.add_feature('films', 'item', 'tags', 'text');
SELECT gnnrec.add_feature('films', 'item', 'rest', 'text');
SELECT gnnrec.add_feature('films', 'item', 'minutes', size => 10);
SELECT gnnrec.add_feature('films', 'item', 'title', size => 0);
SELECT gnnrec.add_feature('films', 'item', 'title', size => 1048577);
SELECT gnnrec.drop_feature('films', 'item', 'title');
SELECT gnnrec.create_model('bare', 'events');
SELECT gnnrec.add_feature('bare', 'item', 'genre');
SELECT gnnrec.drop_model('bare');
-- what each type suggests
SELECT gnnrec.add_feature('films', 'item', column_name) FROM unnest('{tags,released,title,poster,rest}'::name[]) column_name;
SELECT column_name, kind, size FROM gnnrec.features WHERE model = 'films';

-- What the catalogue has become.
SELECT gnnrec.drop_feature('films', 'item', column_name) FROM gnnrec.features WHERE model = 'films'
       AND column_name NOT IN ('genre', 'taste');
INSERT INTO films SELECT * FROM films WHERE item_id = 9;
SELECT level, finding, hint FROM gnnrec.check('films') WHERE level = 'error';
DELETE FROM films WHERE item_id = 9;
UPDATE films SET taste = '{1,2,3,4}' WHERE item_id = 50;
SELECT level, finding, hint FROM gnnrec.check('films') WHERE level = 'error';
ALTER TABLE films ALTER taste TYPE text;
SELECT level, finding, hint FROM gnnrec.check('films') WHERE level = 'error';
ALTER TABLE films DROP taste;
SELECT level, finding, hint FROM gnnrec.check('films') WHERE level = 'error';
SELECT gnnrec.train('films') > 0;
DO $$ BEGIN PERFORM gnnrec.wait('films'); EXCEPTION WHEN OTHERS THEN NULL; END $$;
SELECT message FROM gnnrec.runs WHERE model = 'films' ORDER BY run_id DESC LIMIT 1;
SELECT gnnrec.set_catalogue('films', 'item', NULL);
SELECT level, finding, hint FROM gnnrec.check('films') WHERE level = 'error';
SELECT gnnrec.estimate('films');

-- A dump takes features along; they go with the model.
SELECT count(*) FROM pg_extension WHERE extname = 'gnnrec' AND 'gnnrec.feature'::regclass = ANY (extconfig);
SELECT gnnrec.drop_model('films');
SELECT count(*) FROM gnnrec.feature;
DROP SCHEMA features_test CASCADE;
