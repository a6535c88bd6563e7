-- materialize(): the lists of recommend_all() in a table of one's own, by a worker, in one transaction.
SET client_min_messages = warning;
CREATE SCHEMA materialize_test;
SET search_path = materialize_test, public;
\set ECHO none
\i test/helpers.sql
\set ECHO all

-- 600 users of 1024 dimensions: more than maintenance_work_mem has room for at its least. User 600 dislikes all they know.
CREATE TABLE events AS
    SELECT u AS user_id, 'item ' || pick(u || 'i' || n, 90) AS item_id, CASE WHEN u = 600 THEN -1 ELSE 1 END::real AS value
    FROM generate_series(1, 600) u, generate_series(1, 8) n;
CREATE INDEX ON events (user_id);
SELECT gnnrec.create_model('mat', 'events', value_column => 'value', params => '{"dim": 1024, "steps": 1, "negatives": 16}');
CREATE TABLE lists (user_id int, item_id text, score real, rank int, made_by text DEFAULT current_user,
                    PRIMARY KEY (user_id, rank));
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'lists')$$);
CALL gnnrec.retrain('mat');

-- rows of the table that differ from those it is to have, missing ones included
CREATE FUNCTION wrong_rows(of_table regclass, k int, OUT rows bigint, OUT wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE (t.item_id, t.score) IS DISTINCT FROM (r.item_id, r.score))
                    FROM mat.recommend_all(%s) r FULL JOIN %s t USING (user_id, rank)', k, of_table) INTO rows, wrong;
END $$;

--
-- replace
--
INSERT INTO lists VALUES (-5, 'nothing of ours', 0, 1), (1, 'out of date', 0, 1);
SELECT gnnrec.materialize('mat', 'lists', 7) > 0 AS asked;
SELECT gnnrec.wait('mat');
SELECT * FROM wrong_rows('lists', 7);
SELECT count(*) FILTER (WHERE made_by = current_user) = count(*) AS defaults_hold FROM lists;
SELECT task, status, phase, step, steps, params, metrics - '{run,rank_seconds,write_seconds}'::text[] AS metrics,
       (metrics ->> 'run')::bigint = (SELECT live_run FROM gnnrec.models WHERE name = 'mat') AS of_the_live_run, stored
FROM gnnrec.run ORDER BY run_id DESC LIMIT 1;
SELECT live_run IS NOT NULL AS live, newest_run_state FROM gnnrec.models WHERE name = 'mat';

-- the same lists in several rounds, by one process, by this worker itself; a longer one than there are items
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET maintenance_work_mem = 1024', current_database()); END $$;
SELECT gnnrec.materialize('mat', 'lists', 7) > 0 AS asked;
SELECT gnnrec.wait('mat');
SELECT * FROM wrong_rows('lists', 7);
SET gnnrec.threads = 1;
SELECT gnnrec.materialize('mat', 'lists', 1000) > 0 AS asked;
SELECT gnnrec.wait('mat');
SELECT * FROM wrong_rows('lists', 1000);
SET gnnrec.isolate = off;
SELECT gnnrec.materialize('mat', 'lists', 3) > 0 AS asked;
SELECT gnnrec.wait('mat');
SELECT * FROM wrong_rows('lists', 3);
RESET gnnrec.isolate;
RESET gnnrec.threads;
DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET maintenance_work_mem', current_database()); END $$;

--
-- merge: users whom the run does not know keep their rows
--
INSERT INTO lists VALUES (-5, 'nothing of ours', 0, 1);
SELECT gnnrec.materialize('mat', 'lists', 2, mode => 'merge') > 0 AS asked;
SELECT gnnrec.wait('mat');
SELECT user_id, item_id, score, rank FROM lists WHERE user_id < 0;
DELETE FROM lists WHERE user_id < 0;
SELECT * FROM wrong_rows('lists', 2);

--
-- Any relation that can be inserted into: casts, partitions, triggers, a name that needs quotes, renamed before the worker starts
--
CREATE TABLE "odd ""table" (rank numeric, score float8, item_id varchar(20), user_id bigint) PARTITION BY LIST (rank);
CREATE TABLE odd_first PARTITION OF "odd ""table" FOR VALUES IN (1);
CREATE TABLE odd_rest PARTITION OF "odd ""table" DEFAULT;
CREATE FUNCTION halve() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.score := NEW.score / 2; RETURN NEW; END $$;
CREATE TRIGGER halve BEFORE INSERT ON odd_first FOR EACH ROW EXECUTE FUNCTION halve();
BEGIN;
SELECT gnnrec.materialize('mat', '"odd ""table"', 2) > 0 AS asked;
ALTER TABLE "odd ""table" RENAME TO odd;
COMMIT;
SELECT gnnrec.wait('mat');
SELECT count(*), count(*) FILTER (WHERE r.item_id = o.item_id AND r.score =
                                  CASE r.rank WHEN 1 THEN 2 ELSE 1 END * o.score) AS right
FROM mat.recommend_all(2) r FULL JOIN odd o USING (user_id, rank);
SELECT params ->> 'target' AS target FROM gnnrec.run ORDER BY run_id DESC LIMIT 1;

--
-- A row that the table does not take: nothing is lost. What a deferred trigger finds is found before the end.
--
ALTER TABLE lists ADD CONSTRAINT short CHECK (rank < 3);
SELECT gnnrec.materialize('mat', 'lists', 3) > 0 AS asked;
SELECT code, regexp_replace(message, '\d+$', 'N') AS message, split_part(detail, E'\n', 1) AS detail, hint
FROM failure($$SELECT gnnrec.wait('mat')$$);
SELECT * FROM wrong_rows('lists', 2);
ALTER TABLE lists DROP CONSTRAINT short;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not today, % of %', current_user, TG_OP; END $$;
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON lists DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT gnnrec.materialize('mat', 'lists', 3) > 0 AS asked;
SELECT code, replace(detail, current_user, 'us') FROM failure($$SELECT gnnrec.wait('mat')$$);
SELECT * FROM wrong_rows('lists', 2);
DROP TRIGGER refuse ON lists;

--
-- What is refused
--
CREATE TABLE narrow (user_id int, item_id text, rank int);
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'narrow')$$);
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'lists', 0)$$);
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'lists', mode => 'append')$$);
SELECT * FROM failure($$SELECT gnnrec.materialize('no such model', 'lists')$$);
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 0::regclass)$$);
SELECT gnnrec.materialize('mat', NULL) IS NULL AS nothing;
CREATE TEMP TABLE temporary (LIKE lists);
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'temporary')$$);
CREATE MATERIALIZED VIEW frozen AS SELECT * FROM lists;
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'frozen')$$);
CREATE TABLE other_ids (user_id uuid, item_id text, score real, rank int);
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'other_ids')$$);
CREATE TABLE text_ids (user_id text, item_id text, score real, rank int);
SELECT code, message FROM failure($$SELECT gnnrec.materialize('mat', 'text_ids', mode => 'merge')$$);
CREATE TABLE numbered (user_id int, item_id text, score real, rank int GENERATED ALWAYS AS IDENTITY);
SELECT code, message FROM failure($$SELECT gnnrec.materialize('mat', 'numbered')$$);
-- one job of a model at a time
BEGIN;
SELECT gnnrec.materialize('mat', 'lists') > 0 AS asked;
SAVEPOINT here;
SELECT code, regexp_replace(message, '\d+$', 'N') AS message, hint FROM failure($$SELECT gnnrec.materialize('mat', 'lists')$$);
SET LOCAL client_min_messages = notice;
\set VERBOSITY terse
DO $$ BEGIN PERFORM gnnrec.train('mat'); EXCEPTION WHEN object_in_use THEN RAISE NOTICE 'refused'; END $$;
\set VERBOSITY default
SELECT model, task, state FROM gnnrec.progress;
ROLLBACK;
SELECT count(*) FROM gnnrec.progress;
-- retrain, which can wait, trains when the lists have been written
CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.pg_sleep(0.5); RETURN NULL; END $$;
CREATE TRIGGER linger BEFORE INSERT ON lists EXECUTE FUNCTION linger();
SELECT gnnrec.materialize('mat', 'lists', 2) > 0 AS asked;
CALL gnnrec.retrain('mat', '{"dim": 0}');        -- what is wrong is said at once
SELECT count(*) AS going_on FROM gnnrec.progress;
CALL gnnrec.retrain('mat');
SELECT task, state, requested_at > lag(finished_at) OVER (ORDER BY run_id) AS after_the_one_before
FROM (SELECT * FROM gnnrec.runs ORDER BY run_id DESC LIMIT 2) r ORDER BY run_id;
DROP TRIGGER linger ON lists;
-- what is asked for in this transaction cannot be waited for in it
BEGIN;
SELECT gnnrec.materialize('mat', 'lists') > 0 AS asked;
SELECT code, hint FROM failure($$SELECT gnnrec.wait('mat')$$);
ROLLBACK;
-- a table that goes in the meantime
CREATE TABLE gone (LIKE lists);
BEGIN;
SELECT gnnrec.materialize('mat', 'gone') > 0 AS asked;
DROP TABLE gone;
COMMIT;
SELECT code, regexp_replace(detail, '\d+', 'N') AS detail FROM failure($$SELECT gnnrec.wait('mat')$$);

--
-- Rights: of the model's owner, and of the role that asks on the table
--
CREATE ROLE regress_mat_owner;
CREATE ROLE regress_mat_stranger;
GRANT USAGE ON SCHEMA materialize_test TO regress_mat_owner, regress_mat_stranger;
GRANT USAGE ON SCHEMA mat TO regress_mat_stranger;
GRANT SELECT ON ALL TABLES IN SCHEMA mat TO regress_mat_stranger;
GRANT ALL ON lists TO regress_mat_stranger;
SET ROLE regress_mat_stranger;
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'lists')$$);
RESET ROLE;
ALTER TABLE mat.item_embedding OWNER TO regress_mat_owner;
GRANT USAGE ON SCHEMA mat TO regress_mat_owner;
GRANT SELECT ON mat.user_embedding TO regress_mat_owner;
GRANT INSERT ON lists TO regress_mat_owner;
SET ROLE regress_mat_owner;
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'lists')$$);
RESET ROLE;
GRANT DELETE ON lists TO regress_mat_owner;
SET ROLE regress_mat_owner;
SELECT * FROM failure($$SELECT gnnrec.materialize('mat', 'lists', mode => 'merge')$$);
SELECT gnnrec.materialize('mat', 'lists', 4) > 0 AS asked;
SELECT gnnrec.wait('mat');
RESET ROLE;
SELECT * FROM wrong_rows('lists', 4);
SELECT DISTINCT made_by FROM lists;
SELECT trained_by FROM gnnrec.run ORDER BY run_id DESC LIMIT 1;

-- columns are enough to insert; a superuser writes as the table's owner, with no more rights for its triggers; deferred ones run
REVOKE ALL ON lists FROM regress_mat_owner;
GRANT INSERT (user_id, item_id, score, rank), DELETE ON lists TO regress_mat_owner;
SET ROLE regress_mat_owner;
SELECT gnnrec.materialize('mat', 'lists', 2) > 0 AS asked;
SELECT gnnrec.wait('mat');
RESET ROLE;
SELECT * FROM wrong_rows('lists', 2);
GRANT CREATE ON SCHEMA materialize_test TO regress_mat_owner;
ALTER TABLE lists OWNER TO regress_mat_owner;
CREATE FUNCTION note_role() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() = 1 AND NEW.made_by <> 'regress_mat_owner' THEN RAISE 'made by %', NEW.made_by; END IF;
    RETURN NEW;
END $$;
CREATE CONSTRAINT TRIGGER note_role AFTER INSERT ON lists DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note_role();
SELECT gnnrec.materialize('mat', 'lists', 3) > 0 AS asked;
SELECT gnnrec.wait('mat');
SELECT DISTINCT made_by FROM lists;
SET ROLE regress_mat_owner;
SELECT gnnrec.materialize('mat', 'lists', 2) > 0 AS asked;
SELECT gnnrec.wait('mat');
RESET ROLE;
SELECT * FROM wrong_rows('lists', 2);

SELECT gnnrec.drop_model('mat');
DROP SCHEMA materialize_test CASCADE;
DROP OWNED BY regress_mat_owner, regress_mat_stranger;
DROP ROLE regress_mat_owner, regress_mat_stranger;
