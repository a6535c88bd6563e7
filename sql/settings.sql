-- What a session has set does not tell what it is answered: a worker read the sources with other settings.
SET client_min_messages = error;
CREATE SCHEMA settings_test;
SET search_path = settings_test, public;

-- two kinds of people, who differ by values that become texts, and in a view by a time that becomes a day
CREATE TABLE people AS
    SELECT u AS user_id, date '1980-12-01' + u % 2 AS born,
           timestamptz '2026-01-31 11:00+00' + u % 2 * interval '1 hour' AS since, u % 2 + 0.1::float8 AS size, (u % 2 || ' day 1 hour')::interval AS stays, decode('0' || u % 2, 'hex') AS key
    FROM generate_series(1, 60) u;
ALTER TABLE people ADD PRIMARY KEY (user_id);
CREATE VIEW members AS SELECT *, (since + interval '12 hours')::date AS day FROM people;
CREATE TABLE events AS
    SELECT u AS user_id, 1 + (u + 2 * n * n) % 20 AS item_id, timestamp '2026-02-01 00:00' + n * interval '1 minute' AS at
    FROM generate_series(1, 58) u, generate_series(1, 5) n;
CREATE INDEX ON events (user_id);
CREATE TABLE films AS SELECT i AS item_id, i % 2 AS kind FROM generate_series(1, 20) i;

CREATE PROCEDURE ask_with(setting text, value text, INOUT answer text DEFAULT NULL) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config(setting, value, true);
    SELECT string_agg(item_id || ' ' || score::numeric || ' ' || source, ', ' ORDER BY rank) INTO answer
    FROM asked, LATERAL settings.recommend(user_id, 10);
    COMMIT;
END $$;
CREATE FUNCTION sources(answer text) RETURNS text LANGUAGE sql AS $$
    SELECT string_agg(DISTINCT s[1], ' ') FROM regexp_matches(answer, '[a-z_]+', 'g') s $$;
-- is the answer to those asked the same, whatever is set?
CREATE PROCEDURE compare() LANGUAGE plpgsql AS $$
DECLARE
    s record;
    usual text;
    now text;
BEGIN
    CALL ask_with('work_mem', '8MB', usual);
    RAISE INFO 'sources: %', sources(usual);
    FOR s IN SELECT * FROM (VALUES ('DateStyle', 'German, DMY'), ('TimeZone', 'Asia/Tokyo'), ('TimeZone', 'America/Los_Angeles'),
                            ('extra_float_digits', '-15'), ('IntervalStyle', 'iso_8601'), ('bytea_output', 'escape'))
                           AS settings (name, value) LOOP
        CALL ask_with(s.name, s.value, now);
        IF now IS DISTINCT FROM usual THEN
            RAISE INFO 'other answers with % = %', s.name, s.value;
        END IF;
    END LOOP;
END $$;

-- features of those who come later
SELECT gnnrec.create_model('settings', 'events', items => 'films', users => 'members',
                           params => '{"model": "dnn", "dim": 8, "steps": 20, "temperature": 0.3, "negatives": 50}');
CREATE PROCEDURE try(column_name name) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM gnnrec.add_feature('settings', 'user', column_name, 'category');
    COMMIT;
    CALL gnnrec.retrain('settings');
    INSERT INTO people SELECT user_id + 100, born, since, size, stays, key FROM people WHERE user_id < 3;
    RAISE INFO '%', column_name;
    CALL compare();
    DELETE FROM people WHERE user_id > 100;
    PERFORM gnnrec.drop_feature('settings', 'user', column_name);
END $$;
CREATE TABLE asked AS SELECT u AS user_id FROM generate_series(101, 102) u;
CALL try('born');
CALL try('since');
CALL try('size');
CALL try('stays');
CALL try('key');
CALL try('day');
SELECT gnnrec.drop_model('settings');

-- times without a zone: what came a minute after the training's newest event is later, wherever the session is
SELECT gnnrec.create_model('settings', 'events', time_column => 'at', half_life => '1 day',
                           params => '{"dim": 8, "steps": 5, "negatives": 20}');
CALL gnnrec.retrain('settings');
TRUNCATE asked;
INSERT INTO asked VALUES (1), (61);
INSERT INTO events SELECT user_id, item_id, timestamp '2026-02-01 00:06' FROM asked, generate_series(3, 5) item_id;
CALL compare();

SELECT gnnrec.drop_model('settings');
DROP SCHEMA settings_test CASCADE;
