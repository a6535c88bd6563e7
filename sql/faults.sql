-- What may happen to a source before a training and while it goes on, values no one can learn from, and subtransactions.
SET client_min_messages = warning;
CREATE SCHEMA faults_test;
SET search_path = faults_test, public;

-- Two gates, advisory locks of this database: the source's view passes the first before it gives rows, a trigger of the items'
-- table the second. While we hold one the training waits there.
CREATE FUNCTION gate(n int) RETURNS boolean VOLATILE LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(676100 + n); RETURN true; END $$;
CREATE FUNCTION storing_gate() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM faults_test.gate(2); RETURN NULL; END $$;
CREATE PROCEDURE close_gate(n int) LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(676100 + n); END $$;
CREATE PROCEDURE open_gate(n int) LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_unlock(676100 + n); END $$;
CREATE PROCEDURE await_training() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 1500 LOOP
        PERFORM pg_stat_clear_snapshot();
        EXIT WHEN EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'gnnrec training' AND datname = current_database()
                          AND wait_event = 'advisory');
        PERFORM pg_sleep(0.02);
    END LOOP;
END $$;

-- what an ERROR says, run numbers left out
CREATE FUNCTION complaint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE message text; detail text; hint text; state text;
BEGIN
    EXECUTE statement;
    RETURN 'no complaint';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT,
    state = RETURNED_SQLSTATE;
    RETURN regexp_replace(replace(concat_ws(E'\n', state || ': ' || message, nullif(detail, ''), nullif(hint, '')),
                                  'role "' || current_user || '"', 'role R'), 'run \d+', 'run N', 'g');
END $$;

-- what the model answers, for all users; and how it was the last time it was asked
CREATE FUNCTION answers(model text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE answer text;
BEGIN
    EXECUTE format('SELECT md5(string_agg(concat_ws('' '', u, item_id, rank), '','' ORDER BY u, rank)) '
                   'FROM generate_series(1, 40) u, %I.recommend(u, 5, fresh => false)', model) INTO answer;
    RETURN answer;
END $$;

CREATE TABLE shop AS
SELECT u AS user_id, u % 4 * 10 + (u * 7 + n * 3) % 10 AS item_id, 1.5::float8 AS amount, now() - n * interval '1 day' AS at
FROM   generate_series(1, 40) u, generate_series(1, 6) n;
SELECT gnnrec.create_model('faults_shop', 'shop', value_column => 'amount', time_column => 'at', half_life => '10 days',
                           params => '{"dim": 8, "steps": 5, "negatives": 64}');
CALL gnnrec.retrain('faults_shop');
SELECT answers('faults_shop') AS before \gset

------------------------------------------------------------------------------------------------------------------------
-- Values no one can learn from. The run that is live stays live.
------------------------------------------------------------------------------------------------------------------------
CREATE PROCEDURE try(change text, undo text, INOUT outcome text DEFAULT NULL) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE change;
    PERFORM gnnrec.train('faults_shop');
    COMMIT;
    outcome := faults_test.complaint($c$SELECT gnnrec.wait('faults_shop')$c$);
    EXECUTE undo;
END $$;
CALL try($$UPDATE shop SET amount = 'NaN'$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET amount = 'Infinity'$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET amount = '-Infinity'$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET amount = 1e300$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET amount = NULL$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET amount = -1.5$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET amount = 0$$, $$UPDATE shop SET amount = 1.5$$);
CALL try($$UPDATE shop SET at = 'infinity'$$, $$UPDATE shop SET at = now()$$);
CALL try($$UPDATE shop SET at = '-infinity'$$, $$UPDATE shop SET at = now()$$);
CALL try($$ALTER TABLE shop RENAME at TO moment$$, $$ALTER TABLE shop RENAME moment TO at$$);
CALL try($$ALTER TABLE shop RENAME amount TO price$$, $$ALTER TABLE shop RENAME price TO amount$$);
CALL try($$ALTER TABLE shop ALTER amount TYPE text USING 'much'$$, $$ALTER TABLE shop ALTER amount TYPE float8 USING 1.5$$);
CALL try($$ALTER TABLE shop ALTER user_id TYPE bigint$$, $$ALTER TABLE shop ALTER user_id TYPE int$$);
CREATE TABLE copy AS SELECT * FROM shop;
CALL try($$TRUNCATE shop$$, $$INSERT INTO shop SELECT * FROM copy$$);
CALL try($$DELETE FROM shop WHERE user_id > 0$$, $$INSERT INTO shop SELECT * FROM copy$$);
SELECT answers('faults_shop') = :'before' AS still_live;
SELECT count(*) AS runs, count(*) FILTER (WHERE status = 'succeeded') AS succeeded FROM gnnrec.run
    JOIN gnnrec.model USING (model_id) WHERE name = 'faults_shop';

-- A table that goes by another name, in another schema, is the same table.
CREATE SCHEMA faults_other;
CALL try($$ALTER TABLE shop RENAME TO store; ALTER TABLE store SET SCHEMA faults_other$$,
         $$ALTER TABLE faults_other.store SET SCHEMA faults_test; ALTER TABLE store RENAME TO shop$$);
DROP SCHEMA faults_other;

-- A single time in the future leaves something of all the others, and does not go unnoticed.
\set VERBOSITY terse
INSERT INTO shop VALUES (1, 1, 1.5, '9999-12-31 UTC');
SELECT gnnrec.train('faults_shop') IS NOT NULL AS asked;
SET client_min_messages = error;
SELECT gnnrec.wait('faults_shop');
SELECT message FROM gnnrec.run ORDER BY run_id DESC LIMIT 1;
SELECT count(*) AS users, count(*) FILTER (WHERE degree > 0.1) AS that_count
FROM   faults_shop.user_embedding WHERE run_id = (SELECT live_run FROM gnnrec.models WHERE name = 'faults_shop');
SET client_min_messages = warning;
-- as much of them as a time of tomorrow does, and that needs no warning
UPDATE shop SET at = now() + interval '20 hours' WHERE at > now() + interval '1 year';
CALL gnnrec.retrain('faults_shop');
SELECT message FROM gnnrec.run ORDER BY run_id DESC LIMIT 1;
DELETE FROM shop WHERE at > now();
\set VERBOSITY default

------------------------------------------------------------------------------------------------------------------------
-- The source changes while a training goes on
------------------------------------------------------------------------------------------------------------------------
CREATE TABLE base AS SELECT user_id, item_id FROM shop;
CREATE VIEW gated AS SELECT user_id, item_id FROM base WHERE (SELECT gate(1));
SELECT gnnrec.create_model('faults_gated', 'gated', params => '{"dim": 8, "steps": 5, "negatives": 64}');
CREATE TRIGGER gate BEFORE INSERT ON faults_gated.item_embedding EXECUTE FUNCTION storing_gate();
CALL gnnrec.retrain('faults_gated');
SELECT answers('faults_gated') AS before \gset
-- while it reads, the source is locked like that of any query
CALL close_gate(1);
SELECT gnnrec.train('faults_gated') IS NOT NULL AS asked;
CALL await_training();
SET lock_timeout = '10ms';
TRUNCATE base;
ALTER TABLE base RENAME item_id TO product_id;
ALTER TABLE base ALTER item_id TYPE bigint;
DROP TABLE base CASCADE;
DROP VIEW gated;
RESET lock_timeout;
-- rows that come or go meanwhile are of the next training
INSERT INTO base SELECT 1, 100 + n FROM generate_series(1, 10) n;
CALL open_gate(1);
SELECT gnnrec.wait('faults_gated');
SELECT answers('faults_gated') = :'before' AS the_same;
DELETE FROM base WHERE item_id > 100;
-- from then on it is nobody's business
CALL close_gate(2);
SELECT gnnrec.train('faults_gated') IS NOT NULL AS asked;
CALL await_training();
TRUNCATE base;
DROP TABLE base CASCADE;
CALL open_gate(2);
SELECT gnnrec.wait('faults_gated');
SELECT answers('faults_gated') = :'before' AS the_same;
SELECT gnnrec.train('faults_gated') IS NOT NULL AS asked;
SELECT complaint($$SELECT gnnrec.wait('faults_gated')$$);
SELECT answers('faults_gated') = :'before' AS still_live;
SELECT gnnrec.drop_model('faults_gated');

------------------------------------------------------------------------------------------------------------------------
-- Asked for in a subtransaction: it starts when all of the transaction commits
------------------------------------------------------------------------------------------------------------------------
CREATE VIEW runs AS SELECT count(*) AS runs FROM gnnrec.run JOIN gnnrec.model USING (model_id) WHERE name = 'faults_shop';
SELECT runs FROM runs \gset
BEGIN;
SAVEPOINT a;
SELECT gnnrec.train('faults_shop') IS NOT NULL AS asked;
RELEASE a;
COMMIT;
SELECT gnnrec.wait('faults_shop');
DO $$BEGIN PERFORM gnnrec.train('faults_shop'); EXCEPTION WHEN OTHERS THEN RAISE; END$$;
SELECT gnnrec.wait('faults_shop');
SELECT runs - :runs AS runs FROM runs;
-- an inner one that is kept, in an outer one that is not
BEGIN;
SAVEPOINT a;
SAVEPOINT b;
SELECT gnnrec.train('faults_shop') IS NOT NULL AS asked;
RELEASE b;
ROLLBACK TO a;
COMMIT;
SELECT runs - :runs AS runs FROM runs;

SELECT gnnrec.drop_model('faults_shop');
DROP SCHEMA faults_test CASCADE;
