-- Training from SQL: what is read, what is learned, what is kept. Structure is planted and looked for; numbers that depend on
-- the last bit are compared, not printed.
SET client_min_messages = warning;
CREATE SCHEMA train_test;
SET search_path = train_test, public;

-- evenly spread in [0, 1): one number for each key and purpose
CREATE FUNCTION chance(key bigint, purpose text) RETURNS float8 LANGUAGE sql IMMUTABLE
    RETURN ((hashint8extended(key, hashtextextended(purpose, 1)) >> 11) & ((1::bigint << 53) - 1)) / (1::bigint << 53)::float8;

-- Four communities: user u belongs to u % 4, item i to i / 100. Every user has about eight items of the own community, and one
-- event in a hundred goes anywhere.
CREATE TABLE planted AS
SELECT DISTINCT ON (u, item_id) u AS user_id, item_id
FROM   generate_series(0, 239) u, generate_series(1, 9) n,
LATERAL (SELECT u * 100 + n AS key) k,
LATERAL (SELECT 100 * CASE WHEN chance(key, 'noise') < 0.01 THEN floor(4 * chance(key, 'community'))::int ELSE u % 4 END
                + floor(24 * chance(key, 'item'))::int AS item_id) i;

-- the share of users whose recommendations all stay in their community
CREATE FUNCTION purity(model text, users text DEFAULT 'SELECT generate_series(0, 239)') RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE share float8;
BEGIN
    EXECUTE format('SELECT avg(pure::int) FROM (SELECT bool_and(r.item_id / 100 = u.id %% 4) AS pure '
                   'FROM (%s) u(id), %I.recommend(u.id, 5) r GROUP BY u.id) users', users, model) INTO share;
    RETURN share;
END $$;

-- what an ERROR says, run numbers and our own name left out
CREATE FUNCTION complaint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text; state text;
BEGIN
    EXECUTE statement;
    RETURN 'no complaint';
EXCEPTION WHEN OTHERS OR query_canceled THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
    state = RETURNED_SQLSTATE;
    RETURN regexp_replace(replace(concat_ws(E'\n', state || ': ' || message, nullif(detail, ''), nullif(hint, '')),
                                  'role "' || current_user || '"', 'role R'), 'run \d+', 'run N', 'g');
END $$;

-- both tables of a model, all columns, as they are: one number for all their bits
CREATE FUNCTION bits(model text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE users text; items text;
BEGIN
    EXECUTE format('SELECT md5(string_agg(concat_ws('' '', user_id, embedding, degree, seen, seen_weight), E''\n'' ORDER BY user_id)) '
                   'FROM %I.user_embedding WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = %L)', model,
                   model) INTO users;
    EXECUTE format('SELECT md5(string_agg(concat_ws('' '', item_id, item_no, embedding, fold_in, degree), E''\n'' ORDER BY item_id)) '
                   'FROM %I.item_embedding WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = %L)', model,
                   model) INTO items;
    RETURN users || items;
END $$;

CREATE VIEW runs AS
SELECT m.name AS model, row_number() OVER (PARTITION BY m.name ORDER BY r.run_id) AS nth, r.*, r.run_id = m.live_run AS live
FROM   gnnrec.run r JOIN gnnrec.model m USING (model_id);

------------------------------------------------------------------------------------------------------------------------
-- Planted communities are found: each model with each loss, parameters of the model and of the call
------------------------------------------------------------------------------------------------------------------------
SELECT gnnrec.create_model('train_planted', 'planted',
    params => '{"dim": 16, "steps": 40, "negatives": 64, "temperature": 0.2, "negative_alpha": 0.3}');
CALL gnnrec.retrain('train_planted');
SELECT purity('train_planted') > 0.95 AS lightgcn_softmax;
CALL gnnrec.retrain('train_planted', '{"loss": "bpr", "negatives": 8, "learning_rate": 0.02}');
SELECT purity('train_planted') > 0.95 AS lightgcn_bpr;
CALL gnnrec.retrain('train_planted', '{"model": "gcn", "learning_rate": 0.01}');
SELECT purity('train_planted') > 0.95 AS gcn_softmax;
CALL gnnrec.retrain('train_planted', '{"model": "gcn", "loss": "bpr", "negatives": 8, "learning_rate": 0.01}');
SELECT purity('train_planted') > 0.95 AS gcn_bpr;
CALL gnnrec.retrain('train_planted', '{"contrast": "noise", "weight_decay": 0.001, "clip_norm": 1}');
SELECT purity('train_planted') > 0.9 AS contrast_noise;
CALL gnnrec.retrain('train_planted', '{"contrast": "edges"}');
SELECT purity('train_planted') > 0.9 AS contrast_edges;
SELECT part FROM gnnrec.estimate('train_planted', '{"contrast": "edges"}') WHERE part = 'contrast' AND bytes > 0;
-- without propagation only what was learned can find them, and one small step has not learned it
CALL gnnrec.retrain('train_planted', '{"layers": 0, "steps": 100}');
SELECT purity('train_planted') > 0.9 AS learned;
CALL gnnrec.retrain('train_planted', '{"layers": 0, "steps": 1, "learning_rate": 1e-6}');
SELECT purity('train_planted') < 0.5 AS untrained;

-- A run says what it was asked for, did and left; the two newest are kept.
SELECT nth, status, phase, step, steps, params ->> 'model' AS model, params ->> 'loss' AS loss, params ->> 'dim' AS dim, stored,
       live,
       loss IS NOT NULL AS has_loss, rows_read, rows_skipped, peak_memory > 1e6 AS has_memory, message,
       trained_by = current_user AS by_us,
       requested_at <= started_at AND started_at <= finished_at AS in_order
FROM   runs WHERE model = 'train_planted' ORDER BY nth;
SELECT r.nth, count(*) AS rows, min(s.step), max(s.step), count(s.loss) AS losses, count(s.ndcg) AS ndcgs,
       bool_and(s.seconds >= 0) AS timed,
       bool_or(s.loss = r.loss AND s.step = r.steps) AS last_loss
FROM   runs r JOIN gnnrec.run_step s USING (run_id) WHERE r.model = 'train_planted' GROUP BY 1 ORDER BY 1;
SELECT metrics - '{read_seconds,fit_seconds,store_seconds}'::text[] AS metrics FROM runs WHERE model = 'train_planted'
       AND nth = 1;
SELECT (metrics ->> 'users')::int = (SELECT count(DISTINCT user_id) FROM planted) AS users,
       (metrics ->> 'items')::int = (SELECT count(DISTINCT item_id) FROM planted) AS items,
       (metrics ->> 'interactions')::int = (SELECT count(*) FROM planted) AS interactions,
       rows_read = (SELECT count(*) FROM planted) AS rows
FROM   runs WHERE model = 'train_planted' AND nth = 1;

-- A holdout is measured every fifth step, training ends when it gets no better, and the best step is the one that is stored.
CALL gnnrec.retrain('train_planted', '{"holdout": 0.2, "patience": 10, "steps": 1000}');
SELECT status, steps, step < steps AS stopped_early, step - (metrics ->> 'best_step')::int AS patience,
       (metrics ->> 'ndcg@20')::float8 BETWEEN 0.2 AND 1 AS ndcg, (metrics ->> 'recall@20')::float8 BETWEEN 0.2 AND 1 AS recall
FROM   runs WHERE model = 'train_planted' AND live;
SELECT bool_and((s.step % 5 = 0) = (s.ndcg IS NOT NULL)) AS every_fifth, count(*) = max(s.step) AS all_steps,
       abs(max(s.ndcg) - max((r.metrics ->> 'ndcg@20')::float8)) < 1e-5 AS best_is_kept,
       min(s.step) FILTER (WHERE s.ndcg = best) = max((r.metrics ->> 'best_step')::int) AS best_step
FROM   (SELECT *, max(ndcg) OVER () AS best FROM gnnrec.run_step
        WHERE run_id = (SELECT run_id FROM runs WHERE model = 'train_planted' AND live)) s
       JOIN gnnrec.run r USING (run_id);
SELECT purity('train_planted') > 0.95 AS still_found;

------------------------------------------------------------------------------------------------------------------------
-- Same seed, same bits: for one thread and two, and in whatever order the rows lie
------------------------------------------------------------------------------------------------------------------------
CREATE TABLE bits_of (what text, bits text);
SET gnnrec.threads = 1;
CALL gnnrec.retrain('train_planted');
INSERT INTO bits_of VALUES ('one thread', bits('train_planted'));
SET gnnrec.threads = 2;
CALL gnnrec.retrain('train_planted');
INSERT INTO bits_of VALUES ('two threads', bits('train_planted'));
RESET gnnrec.threads;
SET gnnrec.isolate = off;
CALL gnnrec.retrain('train_planted');
INSERT INTO bits_of VALUES ('in the worker itself', bits('train_planted'));
RESET gnnrec.isolate;
CREATE TABLE shuffled AS SELECT * FROM planted ORDER BY chance(user_id * 1000 + item_id, 'order');
SELECT gnnrec.alter_model('train_planted', source => 'shuffled');
CALL gnnrec.retrain('train_planted');
INSERT INTO bits_of VALUES ('shuffled', bits('train_planted'));
CREATE INDEX shuffled_item ON shuffled (item_id DESC, user_id);
CLUSTER shuffled USING shuffled_item;
CALL gnnrec.retrain('train_planted');
INSERT INTO bits_of VALUES ('clustered', bits('train_planted'));
SELECT what, bits = first_value(bits) OVER () AS the_same FROM bits_of;
CALL gnnrec.retrain('train_planted', '{"seed": 2}');
SELECT bits('train_planted') = bits AS other_seed_the_same FROM bits_of LIMIT 1;
SELECT gnnrec.drop_model('train_planted');

------------------------------------------------------------------------------------------------------------------------
-- What a row weighs: kinds of events, values, age; what is skipped; duplicates
------------------------------------------------------------------------------------------------------------------------
CREATE TABLE events (user_id int, item_id int, kind text, amount numeric, at timestamptz);
INSERT INTO events
SELECT user_id, item_id, (ARRAY['view', 'view', 'cart', 'buy'])[1 + n % 4], 1 + n % 3,
       timestamptz '2025-01-01 UTC' + n * interval '1 day'
FROM   (SELECT *, (chance(user_id * 1000 + item_id, 'kind') * 48)::int AS n FROM planted) p;
INSERT INTO events SELECT user_id, item_id, 'view', 2, at + interval '1 hour' FROM events WHERE item_id % 3 = 0;
-- user 0 of community 0 returns items 1 to 5, and only looks in passing at 6 to 8
INSERT INTO events SELECT 0, n, 'return', 100, '2025-01-20 UTC' FROM generate_series(1, 5) n;
INSERT INTO events SELECT 0, n, 'pass', 100, '2025-01-20 UTC' FROM generate_series(6, 8) n;
INSERT INTO events VALUES (NULL, 1, 'buy', 1, '2025-01-20 UTC'), (1, NULL, 'buy', 1, '2025-01-20 UTC'),
    (NULL, NULL, 'buy', 1, '2025-01-20 UTC'),
                          (1, 1, NULL, 1, '2025-01-20 UTC'), (1, 1, 'share', 1, '2025-01-20 UTC'),
                          (1, 1, 'gift', 1, '2025-01-20 UTC'),
                          (1, 1, 'share', 1, '2025-01-20 UTC'), (1, 1, 'buy', NULL, '2025-01-20 UTC'),
                          (1, 1, 'buy', 'NaN', '2025-01-20 UTC'),
                          (1, 1, 'buy', 1, NULL), (1, 1, 'buy', 1, 'infinity');

-- the model's tables beside what plain SQL makes of the same events
CREATE FUNCTION compare(model text, expected text)
    RETURNS TABLE (pairs bigint, missing bigint, surplus bigint, wrong_weight bigint, wrong_user_degree bigint,
                   wrong_item_degree bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'WITH expected AS (%2$s), live AS (SELECT live_run AS run_id FROM gnnrec.models WHERE name = %1$L), '
        'stored AS (SELECT u.user_id, i.item_id, coalesce(s.weight, 1) AS weight '
        '           FROM %1$I.user_embedding u JOIN live USING (run_id), '
        '           ROWS FROM (unnest(u.seen), unnest(u.seen_weight)) s(item_no, weight) '
        '           JOIN %1$I.item_embedding i ON i.item_no = s.item_no WHERE i.run_id = u.run_id), '
        'both_sides AS (SELECT user_id, item_id, e.weight AS expected, s.weight AS stored FROM expected e FULL JOIN stored s USING (user_id, item_id)) '
        'SELECT count(*), count(*) FILTER (WHERE stored IS NULL), count(*) FILTER (WHERE expected IS NULL), '
        '       count(*) FILTER (WHERE abs(stored - expected) > 1e-5 * abs(expected)), '
        '       (SELECT count(*) FROM (SELECT user_id, sum(greatest(weight, 0)) AS degree FROM expected GROUP BY 1) e '
        '               FULL JOIN (SELECT user_id, degree FROM %1$I.user_embedding JOIN live USING (run_id)) s USING (user_id) '
        '        WHERE (abs(e.degree - s.degree) <= 1e-5 * e.degree) IS NOT TRUE), '
        '       (SELECT count(*) FROM (SELECT item_id, sum(greatest(weight, 0)) AS degree FROM expected GROUP BY 1) e '
        '               FULL JOIN (SELECT item_id, degree FROM %1$I.item_embedding JOIN live USING (run_id)) s USING (item_id) '
        '        WHERE (abs(e.degree - s.degree) <= 1e-5 * e.degree) IS NOT TRUE) '
        'FROM both_sides', model, expected);
END $$;

-- neither kinds nor values: every row weighs 1
SELECT gnnrec.create_model('train_weights', 'events', params => '{"dim": 8, "steps": 20, "negatives": 64, "temperature": 0.2}');
CALL gnnrec.retrain('train_weights');
SELECT * FROM compare('train_weights', 'SELECT user_id, item_id, count(*)::float8 AS weight FROM events
    WHERE user_id IS NOT NULL AND item_id IS NOT NULL GROUP BY 1, 2');
SELECT rows_read - (SELECT count(*) FROM events) AS unread, rows_skipped, message FROM runs WHERE model = 'train_weights'
       AND live;

-- kinds; the WARNING has a run's number in it
SET client_min_messages = error;
SELECT gnnrec.alter_model('train_weights', event_column => 'kind',
                          event_weights => '{"view": 1, "cart": 2.5, "buy": 4, "pass": 0, "return": -100}');
CALL gnnrec.retrain('train_weights');
SELECT * FROM compare('train_weights', $$SELECT user_id, item_id, sum(w)::float8 AS weight
    FROM events JOIN (VALUES ('view', 1), ('cart', 2.5), ('buy', 4), ('pass', 0), ('return', -100)) k(kind, w) USING (kind)
    WHERE user_id IS NOT NULL AND item_id IS NOT NULL GROUP BY 1, 2$$);
SELECT rows_skipped, message FROM runs WHERE model = 'train_weights' AND live;
SELECT item_id FROM train_weights.recommend(0, 1000) WHERE item_id BETWEEN 1 AND 8;
SELECT bool_and(item_id NOT BETWEEN 1 AND 5) AS never_disliked FROM train_weights.recommend(0, 1000, exclude_seen => false);
SELECT purity('train_weights') > 0.9 AS found;

-- and values
SELECT gnnrec.alter_model('train_weights', value_column => 'amount');
CALL gnnrec.retrain('train_weights');
SELECT * FROM compare('train_weights', $$SELECT user_id, item_id, sum(w * amount)::float8 AS weight
    FROM events JOIN (VALUES ('view', 1), ('cart', 2.5), ('buy', 4), ('pass', 0), ('return', -100)) k(kind, w) USING (kind)
    WHERE user_id IS NOT NULL AND item_id IS NOT NULL AND amount <> 'NaN' GROUP BY 1, 2$$);
SELECT rows_skipped FROM runs WHERE model = 'train_weights' AND live;
SET client_min_messages = warning;

-- age alone: 1 for the newest row, half of it ten days earlier
SELECT gnnrec.alter_model('train_weights', reset => '{event_column,value_column}', time_column => 'at', half_life => '10 days');
CALL gnnrec.retrain('train_weights');
SELECT * FROM compare('train_weights', $$SELECT user_id, item_id,
                      sum(2 ^ (extract(epoch FROM at - newest) / 864000.0))::float8 AS weight
    FROM events, (SELECT max(at) FROM events WHERE isfinite(at) AND user_id IS NOT NULL AND item_id IS NOT NULL) n(newest)
    WHERE isfinite(at) AND user_id IS NOT NULL AND item_id IS NOT NULL GROUP BY 1, 2$$);
SELECT rows_skipped FROM runs WHERE model = 'train_weights' AND live;

-- and since
SELECT gnnrec.alter_model('train_weights', reset => '{half_life}', since => '2025-01-15 UTC');
CALL gnnrec.retrain('train_weights');
SELECT * FROM compare('train_weights', $$SELECT user_id, item_id, count(*)::float8 AS weight
    FROM events WHERE at >= '2025-01-15 UTC' AND isfinite(at) AND user_id IS NOT NULL AND item_id IS NOT NULL GROUP BY 1, 2$$);
SELECT rows_read = (SELECT count(*) FROM events WHERE at >= '2025-01-15 UTC') AS rows_read FROM runs WHERE model = 'train_weights'
       AND live;

-- time as date, timestamp, seconds
CREATE VIEW events_times AS SELECT user_id, item_id, at::date AS day, at AT TIME ZONE 'UTC' AS local,
    extract(epoch FROM at) AS seconds,
    extract(epoch FROM at)::bigint AS whole FROM events WHERE isfinite(at);
SELECT gnnrec.alter_model('train_weights', source => 'events_times', time_column => 'local', half_life => '10 days');
CALL gnnrec.retrain('train_weights');
TRUNCATE bits_of;
INSERT INTO bits_of VALUES ('local', bits('train_weights'));
SELECT gnnrec.alter_model('train_weights', time_column => 'seconds');
CALL gnnrec.retrain('train_weights');
INSERT INTO bits_of VALUES ('seconds', bits('train_weights'));
SELECT gnnrec.alter_model('train_weights', time_column => 'whole');
CALL gnnrec.retrain('train_weights');
INSERT INTO bits_of VALUES ('whole', bits('train_weights'));
SELECT gnnrec.alter_model('train_weights', time_column => 'day');
CALL gnnrec.retrain('train_weights');
SELECT what, bits = first_value(bits) OVER () AS the_same FROM bits_of;
-- duplicates are summed in an order of their own: in that of the rows these would be 12 and 16
CREATE TABLE summed AS SELECT user_id, item_id, value FROM planted, (VALUES (1, 1e17), (2, -1e17), (3, 12)) v(n, value)
ORDER BY n;
CREATE TABLE summed_otherwise AS SELECT user_id, item_id, value FROM planted, (VALUES (1, 1e17), (2, 12), (3, -1e17)) v(n, value)
ORDER BY n;
SELECT gnnrec.alter_model('train_weights', source => 'summed', value_column => 'value', reset => '{time_column}');
CALL gnnrec.retrain('train_weights');
SELECT bits('train_weights') AS before \gset
SELECT gnnrec.alter_model('train_weights', source => 'summed_otherwise');
CALL gnnrec.retrain('train_weights');
SELECT bits('train_weights') = :'before' AS the_same;
-- the latest are held out where times are known
CREATE VIEW late_noise AS
SELECT *, timestamptz '2025-01-01 UTC' AS at FROM planted
UNION ALL SELECT u, 900 + u % 2, '2025-02-01 UTC' FROM generate_series(0, 239) u;
SELECT gnnrec.alter_model('train_weights', source => 'late_noise', time_column => 'at', reset => '{value_column}');
CALL gnnrec.retrain('train_weights', '{"holdout": 0.2}');
SELECT sum(degree) FILTER (WHERE item_id >= 900) AS late_trained_on,
       sum(degree) FILTER (WHERE item_id < 900) > 1600 AS others_trained_on
FROM   train_weights.item_embedding WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'train_weights');
SELECT gnnrec.drop_model('train_weights');

------------------------------------------------------------------------------------------------------------------------
-- Sources and id types
------------------------------------------------------------------------------------------------------------------------
CREATE DOMAIN sku AS text CHECK (value <> '');
CREATE DOMAIN member AS bigint CHECK (value >= 0);
CREATE TABLE typed AS
SELECT user_id, item_id, user_id::smallint AS u2, user_id::bigint << 33 AS u8, md5(user_id::text)::uuid AS uu,
       'user ' || user_id AS ut,
       user_id::member AS um, item_id::smallint AS i2, item_id::bigint - 5000000000 AS i8, md5(item_id::text)::uuid AS iu,
       repeat('é', item_id % 7) || item_id AS it, ('v' || item_id)::varchar(20) AS iv, ('sku-' || item_id)::sku AS isku
FROM   planted;
CREATE TABLE parted (LIKE planted) PARTITION BY LIST (user_id);
CREATE TABLE parted_a PARTITION OF parted FOR VALUES IN (0, 1, 2, 3, 4, 5, 6, 7);
CREATE TABLE parted_b PARTITION OF parted DEFAULT;
INSERT INTO parted SELECT * FROM planted;
CREATE VIEW viewed AS SELECT * FROM planted;
CREATE MATERIALIZED VIEW materialized AS SELECT * FROM planted;
CREATE EXTENSION file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE foreign_rows (user_id int, item_id int) SERVER files
    OPTIONS (program 'for u in 0 1 2 3 4 5 6 7 8 9 10 11; do for i in 0 1 2 3 4 5 6 7; do echo "$u,$(( u % 4 * 100 + (u / 4 * 4 + i) % 12 ))"; done; done', format 'csv');

-- trains a small model of a source, and says whether a user's recommendations and the ids in the tables are right
CREATE PROCEDURE train_typed(source regclass, user_column name, item_column name) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.create_model('train_typed', source, user_column, item_column,
                                params => '{"dim": 8, "steps": 20, "negatives": 64, "temperature": 0.2}');
    COMMIT;
    CALL gnnrec.retrain('train_typed');
END $$;
CREATE FUNCTION check_typed(source regclass, user_column name, item_column name)
    RETURNS TABLE (user_type regtype, item_type regtype, ids boolean, found boolean) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT m.user_id_type, m.item_id_type, '
        '       NOT EXISTS (SELECT DISTINCT %2$I FROM %1$s EXCEPT SELECT user_id FROM train_typed.user_embedding) '
        '       AND NOT EXISTS (SELECT item_id FROM train_typed.item_embedding EXCEPT SELECT %3$I FROM %1$s) '
        '       AND (SELECT count(DISTINCT (%2$I, %3$I)) FROM %1$s) = (SELECT sum(cardinality(seen)) FROM train_typed.user_embedding), '
        '       (SELECT avg((i.community = u.community)::int) > 0.9 '
        '        FROM (SELECT DISTINCT %2$I AS id, user_id %% 4 AS community FROM %1$s) u, train_typed.recommend(u.id, 3) r '
        '             JOIN (SELECT DISTINCT %3$I AS id, item_id / 100 AS community FROM %1$s) i ON i.id = r.item_id) '
        'FROM gnnrec.models m WHERE name = ''train_typed''', source, user_column, item_column);
    PERFORM gnnrec.drop_model('train_typed');
END $$;
CALL train_typed('typed', 'u2', 'i8');
SELECT * FROM check_typed('typed', 'u2', 'i8');
CALL train_typed('typed', 'u8', 'i2');
SELECT * FROM check_typed('typed', 'u8', 'i2');
CALL train_typed('typed', 'uu', 'it');
SELECT * FROM check_typed('typed', 'uu', 'it');
CALL train_typed('typed', 'ut', 'iu');
SELECT * FROM check_typed('typed', 'ut', 'iu');
CALL train_typed('typed', 'um', 'iv');
SELECT * FROM check_typed('typed', 'um', 'iv');
CALL train_typed('typed', 'user_id', 'isku');
SELECT * FROM check_typed('typed', 'user_id', 'isku');
CALL train_typed('parted', 'user_id', 'item_id');
SELECT * FROM check_typed('parted', 'user_id', 'item_id');
CALL train_typed('viewed', 'user_id', 'item_id');
SELECT * FROM check_typed('viewed', 'user_id', 'item_id');
CALL train_typed('materialized', 'user_id', 'item_id');
SELECT * FROM check_typed('materialized', 'user_id', 'item_id');
CALL train_typed('foreign_rows', 'user_id', 'item_id');
SELECT * FROM check_typed('foreign_rows', 'user_id', 'item_id');

-- names that need quotes
CREATE TABLE "Odd.tab""le" ("from" int, "It'em; --" int);
INSERT INTO "Odd.tab""le" SELECT * FROM planted;
SELECT gnnrec.create_model('train''s "odd"; name', '"Odd.tab""le"', 'from', 'It''em; --', params => '{"dim": 8, "steps": 5}');
CALL gnnrec.retrain('train''s "odd"; name');
SELECT count(*) FROM "train's ""odd""; name".recommend(1, 3);
SELECT count(*) FROM gnnrec.recommend('train''s "odd"; name', '1', 3);
SELECT gnnrec.drop_model('train''s "odd"; name');

------------------------------------------------------------------------------------------------------------------------
-- Rights: the trainer's row security holds; others may not
------------------------------------------------------------------------------------------------------------------------
CREATE ROLE regress_gnnrec_group NOLOGIN;
CREATE ROLE regress_gnnrec_owner LOGIN IN ROLE regress_gnnrec_group;
CREATE ROLE regress_gnnrec_other LOGIN;
GRANT USAGE ON SCHEMA train_test TO regress_gnnrec_group, regress_gnnrec_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_gnnrec_group, regress_gnnrec_other',
                           current_database()); END $$;
CREATE TABLE secured AS SELECT * FROM planted;
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON secured TO regress_gnnrec_group USING (user_id < 120 AND current_user = 'regress_gnnrec_group');
CREATE POLICY few ON secured TO regress_gnnrec_owner USING (user_id < 12 AND current_user = 'regress_gnnrec_owner');
GRANT SELECT ON secured TO regress_gnnrec_group;
SET SESSION AUTHORIZATION regress_gnnrec_owner;
SET ROLE regress_gnnrec_group;
SELECT gnnrec.create_model('train_secured', 'train_test.secured', params => '{"dim": 8, "steps": 5}');
CALL gnnrec.retrain('train_secured');
SELECT users, (SELECT trained_by FROM gnnrec.runs ORDER BY run_id DESC LIMIT 1) FROM gnnrec.models WHERE name = 'train_secured';
RESET ROLE;
CALL gnnrec.retrain('train_secured');
SELECT users, (SELECT trained_by FROM gnnrec.runs ORDER BY run_id DESC LIMIT 1) FROM gnnrec.models WHERE name = 'train_secured';
-- the owner of the model has lost the right to read
RESET SESSION AUTHORIZATION;
REVOKE SELECT ON secured FROM regress_gnnrec_group;
SET SESSION AUTHORIZATION regress_gnnrec_owner;
SELECT gnnrec.train('train_secured') IS NOT NULL AS asked;
SELECT train_test.complaint($$SELECT gnnrec.wait('train_secured')$$);
-- someone else
SET SESSION AUTHORIZATION regress_gnnrec_other;
\set VERBOSITY terse
SELECT gnnrec.train('train_secured');
CALL gnnrec.retrain('train_secured');
SELECT gnnrec.wait('train_secured');
SELECT gnnrec.cancel('train_secured');
SELECT gnnrec.rollback('train_secured');
SELECT gnnrec.estimate('train_secured');
SELECT gnnrec.alter_model('train_secured', keep_runs => 1);
SELECT gnnrec.drop_model('train_secured');
SELECT (SELECT count(*) FROM gnnrec.models) AS models, (SELECT count(*) FROM gnnrec.runs) AS runs,
       (SELECT count(*) FROM gnnrec.run_steps) AS run_steps,
       (SELECT count(*) FROM gnnrec.progress) AS progress;
UPDATE gnnrec.model SET live_run = 1;
INSERT INTO gnnrec.run (model_id, status, params, trained_by) VALUES (1, 'starting', '{}', 'postgres');
SET gnnrec.train_memory = '100GB';
SET gnnrec.threads = 64;
SET gnnrec.isolate = off;
-- a search_path with other operators in it is not followed with higher rights
CREATE SCHEMA regress_gnnrec_trap;
DO $$
DECLARE type text;
BEGIN
    FOREACH type IN ARRAY ARRAY['int', 'bigint', 'text'] LOOP
        EXECUTE format('CREATE FUNCTION regress_gnnrec_trap.trap(%1$s, %1$s) RETURNS boolean LANGUAGE plpgsql AS '
                       '$f$BEGIN RAISE EXCEPTION ''trapped as %%'', current_user; END$f$', type);
        EXECUTE format('CREATE OPERATOR regress_gnnrec_trap.= (LEFTARG = %1$s, RIGHTARG = %1$s, FUNCTION = regress_gnnrec_trap.trap)', type);
    END LOOP;
END $$;
CREATE TABLE regress_gnnrec_trap.rows AS SELECT 1 AS user_id, 2 AS item_id;
SET search_path = regress_gnnrec_trap, pg_catalog, pg_temp;
SELECT 1::int = 1::int;
SELECT gnnrec.create_model('train_trap', 'rows', params => '{"dim": 4, "steps": 2}');
SELECT gnnrec.train('train_trap') IS NOT NULL AS asked;
SELECT gnnrec.wait('train_trap');
SELECT gnnrec.cancel('train_trap');
SELECT gnnrec.rollback('train_trap');
SELECT count(*) >= 5 AS parts FROM gnnrec.estimate('train_trap');
SELECT gnnrec.alter_model('train_trap', keep_runs => 1);
SELECT source FROM train_trap.recommend(1, 1, exclude_seen => false);
SELECT source FROM train_trap.recommend(2, 1);
SELECT gnnrec.drop_model('train_trap');
RESET SESSION AUTHORIZATION;
SET search_path = train_test, public;
SELECT gnnrec.drop_model('train_secured');
DROP OWNED BY regress_gnnrec_group, regress_gnnrec_owner, regress_gnnrec_other;
DROP TABLE secured;
DROP ROLE regress_gnnrec_group, regress_gnnrec_owner, regress_gnnrec_other;

------------------------------------------------------------------------------------------------------------------------
-- Runs: kept, gone back to, refused, failed
------------------------------------------------------------------------------------------------------------------------
\set VERBOSITY default
CREATE TABLE changing AS SELECT * FROM planted;
SELECT gnnrec.create_model('train_runs', 'changing', params => '{"dim": 8, "steps": 5}', keep_runs => 3);
CALL gnnrec.retrain('train_runs', '{"seed": 1}');
CALL gnnrec.retrain('train_runs', '{"seed": 2}');
CALL gnnrec.retrain('train_runs', '{"seed": 3}');
CALL gnnrec.retrain('train_runs', '{"seed": 4}');
CREATE VIEW kept AS
SELECT r.nth, r.stored, r.live, (SELECT count(*) FROM train_runs.user_embedding u WHERE u.run_id = r.run_id) AS user_rows,
       (SELECT count(*) FROM train_runs.item_embedding i WHERE i.run_id = r.run_id) AS item_rows
FROM   runs r WHERE r.model = 'train_runs';
SELECT * FROM kept ORDER BY nth;
-- back one, back another, no further; forward by number
SELECT r.nth FROM gnnrec.rollback('train_runs') b JOIN runs r ON r.run_id = b;
SELECT r.nth FROM gnnrec.rollback('train_runs') b JOIN runs r ON r.run_id = b;
SELECT gnnrec.rollback('train_runs');
SELECT complaint(format('SELECT gnnrec.rollback(%L, %s)', 'train_runs', (SELECT run_id FROM runs WHERE model = 'train_runs'
                                                                         AND nth = 1)));
SELECT r.nth FROM gnnrec.rollback('train_runs', (SELECT run_id FROM runs WHERE model = 'train_runs' AND nth = 3)) b
    JOIN runs r ON r.run_id = b;
-- the live one stays though it is not among the newest
SELECT gnnrec.alter_model('train_runs', keep_runs => 2);
CALL gnnrec.retrain('train_runs', '{"seed": 5}');
SELECT * FROM kept ORDER BY nth;
-- what a rollback of the transaction takes back, rollback() included
SELECT bits('train_runs') AS before \gset
BEGIN;
SELECT r.nth FROM gnnrec.rollback('train_runs') b JOIN runs r ON r.run_id = b;
SELECT bits('train_runs') = :'before' AS the_same;
ROLLBACK;
SELECT bits('train_runs') = :'before' AS the_same;

-- the budget
SELECT part, bytes > 0 AS counted FROM gnnrec.estimate('train_runs');
SELECT sum(bytes) FILTER (WHERE part <> 'total') = sum(bytes) FILTER (WHERE part = 'total') AS adds_up
FROM gnnrec.estimate('train_runs');
SELECT (SELECT sum(bytes) FROM gnnrec.estimate('train_runs', '{"dim": 1024}') WHERE part IN ('plan', 'result'))
       > 10 * (SELECT sum(bytes) FROM gnnrec.estimate('train_runs', '{"dim": 16}') WHERE part IN ('plan', 'result')) AS grows;
SET gnnrec.threads = 1;
SELECT bytes AS one_thread FROM gnnrec.estimate('train_runs') WHERE part = 'total' \gset
SET gnnrec.threads = 8;
SELECT bytes - :one_thread >= 7 * 2048 * 8 * 4 AS each_thread_counts FROM gnnrec.estimate('train_runs') WHERE part = 'total';
RESET gnnrec.threads;
SELECT gnnrec.estimate('train_runs', '{"dim": 0}');
SET gnnrec.train_memory = '16MB';
SELECT gnnrec.train('train_runs', '{"dim": 1024, "negatives": 65536}') IS NOT NULL AS asked;
SELECT regexp_replace(complaint($$SELECT gnnrec.wait('train_runs')$$), 'about \d+ MB', 'about N MB');
SELECT bits('train_runs') = :'before' AS still_live;
-- many rows that make few edges: reading them is not for free either
CREATE VIEW many AS SELECT n % 50 AS user_id, n % 7 AS item_id FROM generate_series(1, 3000000) n;
SELECT gnnrec.create_model('train_many', 'many', params => '{"dim": 4, "steps": 2}');
SELECT gnnrec.train('train_many') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_many')$$);
SELECT gnnrec.drop_model('train_many');
RESET gnnrec.train_memory;

-- parameters are checked when they are given
SELECT gnnrec.train('train_runs', '{"dim": 64.5}');
SELECT gnnrec.train('train_runs', '{"dims": 64}');
-- and so is what does not go together
SELECT gnnrec.train('train_runs', '{"model": "rgcn", "sampling": "walks"}');
SELECT gnnrec.estimate('train_runs', '{"model": "kgat", "sampling": "neighbours"}');
SELECT gnnrec.train('train_runs', '{"contrast": "noise", "sampling": "neighbours"}');
SELECT gnnrec.train('train_runs', '{"loss": "hinge"}');
SELECT gnnrec.train('train_runs', '{"holdout": 0.9}');
SELECT gnnrec.train('train_runs', '{"seed": -1}');
SELECT gnnrec.train('train_runs', '{"contrast": "views"}');
SELECT gnnrec.train('train_runs', '{"contrast_weight": -0.1}');
SELECT gnnrec.train('train_runs', '{"contrast_temperature": 0}');
SELECT gnnrec.train('train_runs', '{"contrast_nodes": 1}');
SELECT gnnrec.train('train_runs', '{"edge_dropout": 1}');
SELECT gnnrec.train('train_runs', '{"weight_decay": 1.5}');
SELECT gnnrec.train('train_runs', '{"clip_norm": -1}');
SELECT gnnrec.train('train_runs', '{"steps": {"a": 1}}');
SELECT gnnrec.train('train_runs', '{"steps": null}');
SELECT gnnrec.train('train_runs', '5');
SELECT gnnrec.train('train_runs', if_running => 'maybe');
SELECT gnnrec.train('no_such_model');
SELECT gnnrec.train(NULL);
CALL gnnrec.retrain(NULL);
CALL gnnrec.retrain('train_runs', NULL);
SELECT count(*) AS runs FROM runs WHERE model = 'train_runs';

-- transactions
BEGIN;
SELECT gnnrec.train('train_runs') IS NOT NULL AS asked;
SAVEPOINT before_wait;
SELECT complaint($$SELECT gnnrec.wait('train_runs')$$);
ROLLBACK TO before_wait;
CALL gnnrec.retrain('train_runs');
ROLLBACK;
DO $$BEGIN PERFORM gnnrec.train('train_runs'); RAISE division_by_zero; EXCEPTION WHEN division_by_zero THEN NULL; END$$;
BEGIN TRANSACTION READ ONLY;
SELECT gnnrec.train('train_runs');
ROLLBACK;
SELECT count(*) AS runs FROM runs WHERE model = 'train_runs';
-- the workers of transactions that rolled back have nothing to do, and end
-- (a worker that was just launched is not seen yet: none for half a second is none)
CREATE PROCEDURE await_no_workers() LANGUAGE plpgsql AS $$
DECLARE
    quiet int := 0;
BEGIN
    FOR i IN 1..1500 LOOP
        PERFORM pg_stat_clear_snapshot();
        quiet := CASE WHEN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'gnnrec training'
                                   AND datname = current_database())
                      THEN 0 ELSE quiet + 1 END;
        EXIT WHEN quiet = 25;
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;
-- until so many workers wait for the end of this transaction
CREATE PROCEDURE await_workers(wanted int) LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..1500 LOOP
        EXIT WHEN (SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid
                   AND NOT granted) >= wanted;
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;
CALL await_no_workers();
SELECT count(*) AS workers FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND datname = current_database();
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
-- A run asked for after a savepoint that took the first back. The first's worker, which waits for this transaction as well, does
-- not stand in its way, however much of a start it had.
BEGIN;
SAVEPOINT first_try;
SELECT gnnrec.train('train_runs', '{"seed": 6}') IS NOT NULL AS asked;
CALL await_workers(1);
ROLLBACK TO first_try;
SELECT gnnrec.train('train_runs', '{"seed": 7}') IS NOT NULL AS asked;
CALL await_workers(2);
COMMIT;
SELECT gnnrec.wait('train_runs');
SELECT params ->> 'seed' AS seed, status FROM runs WHERE model = 'train_runs' AND live;
-- asked for and called off in one transaction
BEGIN;
SELECT gnnrec.train('train_runs') IS NOT NULL AS asked;
SELECT gnnrec.cancel('train_runs');
SELECT gnnrec.cancel('train_runs');
COMMIT;
SELECT complaint($$SELECT gnnrec.wait('train_runs')$$);
-- no training is going on: nothing to cancel; time is up before the run is over
SELECT gnnrec.cancel('train_runs');
SELECT gnnrec.train('train_runs', '{"steps": 100000}') IS NOT NULL AS asked;
SELECT gnnrec.wait('train_runs', interval '0') IN ('starting', 'running') AS not_over;
SELECT gnnrec.wait('train_runs', interval '20 milliseconds') IN ('starting', 'running') AS not_over;
SET client_min_messages = error;
SELECT gnnrec.train('train_runs') = max(run_id) AS the_same_run FROM runs WHERE model = 'train_runs';
SELECT complaint($$SELECT gnnrec.train('train_runs', if_running => 'error')$$);
SELECT gnnrec.drop_model('train_runs', cascade => true);
SET client_min_messages = warning;
CALL await_no_workers();
SELECT count(*) AS rows_left FROM gnnrec.run r WHERE NOT EXISTS (SELECT FROM gnnrec.model m WHERE m.model_id = r.model_id);

-- made, trained and dropped, all in one transaction: it does not wait for a worker that waits for it
BEGIN;
SELECT gnnrec.create_model('train_brief', 'planted', params => '{"dim": 4, "steps": 1}');
SELECT gnnrec.train('train_brief') IS NOT NULL AS asked;
CALL await_workers(1);
SET LOCAL statement_timeout = '20s';
SELECT gnnrec.drop_model('train_brief');
COMMIT;
SELECT count(*) AS models FROM gnnrec.models WHERE name = 'train_brief';

------------------------------------------------------------------------------------------------------------------------
-- Sources that are not what they were, or next to nothing
------------------------------------------------------------------------------------------------------------------------
CREATE TABLE fragile (user_id int, item_id int);
SELECT gnnrec.create_model('train_fragile', 'fragile', params => '{"dim": 4, "steps": 5}');
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
INSERT INTO fragile VALUES (NULL, 1), (1, NULL);
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
INSERT INTO fragile VALUES (7, 8);
CALL gnnrec.retrain('train_fragile');
SELECT item_id, rank, source FROM train_fragile.recommend(7, 10, exclude_seen => false);
SELECT count(*) AS nothing_left FROM train_fragile.recommend(7);
-- both losses and models bear one item, and a user who has all items
INSERT INTO fragile VALUES (8, 8), (9, 8);
CALL gnnrec.retrain('train_fragile', '{"loss": "bpr"}');
CALL gnnrec.retrain('train_fragile', '{"model": "gcn", "holdout": 0.5}');
SELECT status, split_part(message, E'\n', 1) AS message FROM runs WHERE model = 'train_fragile' ORDER BY nth;
ALTER TABLE fragile ALTER item_id TYPE bigint;
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
-- nor does recommend(), which reads there what a new user has done, take one type for another
SELECT complaint($$SELECT train_fragile.recommend(1000)$$);
ALTER TABLE fragile ALTER item_id TYPE text;
SELECT complaint($$SELECT train_fragile.recommend(1000)$$);
ALTER TABLE fragile ALTER item_id TYPE int USING item_id::int, ALTER user_id TYPE text;
SELECT complaint($$SELECT train_fragile.recommend(1000)$$);
ALTER TABLE fragile ALTER user_id TYPE int USING user_id::int;
ALTER TABLE fragile RENAME item_id TO product_id;
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
DROP TABLE fragile;
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
SELECT item_id, rank, source FROM train_fragile.recommend(7, 10, exclude_seen => false);
CREATE TABLE fragile (user_id int, item_id int, weight float8);
INSERT INTO fragile SELECT 1, n, -n FROM generate_series(0, 3) n;
SELECT gnnrec.alter_model('train_fragile', source => 'fragile', value_column => 'weight');
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
-- a sum of weights that is no real would go live and could not be served
INSERT INTO fragile SELECT 1, n, 3e38 FROM generate_series(1, 3) n;
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
-- an error in the middle of reading is the run's message
CREATE VIEW failing AS SELECT user_id, item_id / (item_id - 100) AS item_id FROM planted;
SELECT gnnrec.alter_model('train_fragile', source => 'failing', reset => '{value_column}');
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
SELECT item_id, rank, source FROM train_fragile.recommend(7, 10, exclude_seen => false);
DROP TABLE train_fragile.user_embedding;
SELECT gnnrec.train('train_fragile') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('train_fragile')$$);
SELECT gnnrec.drop_model('train_fragile');

------------------------------------------------------------------------------------------------------------------------
-- Two models of one table; a user who came after the training
------------------------------------------------------------------------------------------------------------------------
SELECT gnnrec.create_model('train_one', 'planted',
                           params => '{"dim": 16, "steps": 40, "negatives": 64, "temperature": 0.2, "negative_alpha": 0.3}');
SELECT gnnrec.create_model('train_two', 'planted', user_column => 'item_id', item_column => 'user_id',
                           params => '{"dim": 8, "steps": 30, "negatives": 64}');
SELECT count(*) AS asked FROM (SELECT gnnrec.train('train_one'), gnnrec.train('train_two')) t;
SELECT gnnrec.wait('train_one'), gnnrec.wait('train_two');
INSERT INTO planted SELECT 1002, 200 + n FROM generate_series(1, 5) n;
SELECT purity('train_one') > 0.95 AS one;
SELECT avg((r.item_id % 4 = i.id / 100)::int) > 0.95 AS two FROM (SELECT DISTINCT item_id FROM planted) i(id),
       train_two.recommend(i.id, 5) r;
SELECT bool_and(item_id BETWEEN 200 AND 223) AS in_community, bool_and(item_id NOT IN (201, 202, 203, 204, 205)) AS unseen,
       array_agg(DISTINCT source) AS source
FROM   train_one.recommend(1002, 5);
SELECT DISTINCT source FROM train_one.recommend(1003, 5);
SELECT gnnrec.drop_model('train_one');
SELECT count(*) FROM train_two.recommend(1, 3);
SELECT gnnrec.drop_model('train_two');

DROP SERVER files CASCADE;
DROP EXTENSION file_fdw;
DROP SCHEMA train_test CASCADE;
