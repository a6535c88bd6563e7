-- check(): what is wrong with data and surroundings, in words, with counts; nothing changes.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA check_test;
SET search_path = check_test, public;

-- nothing to say but what there is
CREATE TABLE good AS SELECT u AS user_id, i AS item_id FROM generate_series(1, 20) u, generate_series(1, 6) i
WHERE (u + i) % 3 > 0;
CREATE INDEX ON good (user_id);
SELECT gnnrec.create_model('check_good', 'good', params => '{"dim": 4, "steps": 2}');
SELECT * FROM gnnrec.check('check_good');
CALL gnnrec.retrain('check_good');
SELECT * FROM gnnrec.check('check_good');

-- everything that can be doubtful about rows; users 4, 5 and 6: one item, none they like, twice the same
CREATE TABLE rows (who text, what bigint, kind text, value float8, at timestamptz);
INSERT INTO rows SELECT u, i, 'buy', 1, '2026-01-01' FROM generate_series(1, 3) u, generate_series(1, 4) i;
INSERT INTO rows VALUES ('4', 1, 'buy', 1, '2026-01-01'), ('5', 1, 'return', 1, '2026-01-01'),
    ('5', 9, 'return', 1, '2026-01-01'),
    ('6', 2, 'buy', 1, '2026-01-01'), ('6', 2, 'buy', 1, '2026-01-02'), ('6', 8, 'buy', 1, '2026-01-02'),
    (NULL, 1, 'buy', 1, '2026-01-01'), ('1', NULL, 'buy', 1, '2026-01-01'),
    ('1', 1, 'look', 1, '2026-01-01'), ('1', 1, 'stare', 1, '2026-01-01'), ('1', 1, NULL, 1, '2026-01-01'),
    ('1', 1, 'buy', 'NaN', '2026-01-01'), ('1', 1, 'buy', 'infinity', '2026-01-01'), ('1', 1, 'buy', NULL, '2026-01-01'),
    ('1', 1, 'buy', 1, 'infinity'), ('1', 1, 'buy', 1, NULL), ('2', 1, 'buy', 1, '2999-01-01');
SELECT gnnrec.create_model('check_rows', 'rows', user_column => 'who', item_column => 'what', event_column => 'kind',
    event_weights => '{"buy": 1, "return": -1}', value_column => 'value', time_column => 'at',
    params => '{"dim": 4, "steps": 2}');
SELECT * FROM gnnrec.check('check_rows');
CREATE INDEX ON rows USING hash (who);
SELECT level, finding FROM gnnrec.check('check_rows') WHERE finding LIKE '%index%';

-- nothing to learn from
TRUNCATE rows;
SELECT * FROM gnnrec.check('check_rows') WHERE level = 'error';
INSERT INTO rows VALUES (NULL, 1, 'buy', 1, '2026-01-01');
SELECT * FROM gnnrec.check('check_rows') WHERE level = 'error';
SELECT gnnrec.train('check_rows') IS NOT NULL AS asked;
DO $$ BEGIN PERFORM gnnrec.wait('check_rows'); EXCEPTION WHEN OTHERS THEN NULL; END $$;
SELECT * FROM gnnrec.check('check_rows') WHERE finding LIKE '%newest run%';

-- too small a budget, to train or to read
SET gnnrec.train_memory = '16MB';
SELECT gnnrec.alter_model('check_good', params => '{"dim": 1024, "negatives": 65536}');
SELECT level, count > 16 AS "more than 16", finding, hint FROM gnnrec.check('check_good') WHERE level = 'error';
CREATE TABLE many AS SELECT n AS user_id, n AS item_id FROM generate_series(1, 300000) n;
SELECT gnnrec.create_model('check_many', 'many');
SELECT * FROM gnnrec.check('check_many');
RESET gnnrec.train_memory;
-- parameters that do not go together: said here and by an estimate, with what to do
SELECT gnnrec.alter_model('check_good', params => '{"dim": 4, "model": "kgat", "sampling": "neighbours"}');
SELECT * FROM gnnrec.check('check_good') WHERE level = 'error';
SELECT gnnrec.estimate('check_good');
SELECT gnnrec.alter_model('check_good', params => '{"model": null, "sampling": null}');

-- definitions that time has overtaken
ALTER TABLE rows RENAME what TO which;
SELECT * FROM gnnrec.check('check_rows') WHERE level = 'error';
ALTER TABLE rows RENAME which TO what;
ALTER TABLE rows ALTER what TYPE int;
SELECT * FROM gnnrec.check('check_rows') WHERE level = 'error';
DROP TABLE rows;
SELECT regexp_replace(finding, '\d+', 'N') AS finding FROM gnnrec.check('check_rows') WHERE level = 'error';
CREATE VIEW fails AS SELECT user_id, item_id / (user_id - user_id) AS item_id FROM good;
SELECT gnnrec.create_model('check_view', 'fails');
SELECT * FROM gnnrec.check('check_view');
DROP TABLE check_view.user_embedding CASCADE;
SELECT * FROM gnnrec.check('check_view');

-- the rows that the caller sees; the models of others are theirs
CREATE ROLE regress_check_owner;
GRANT USAGE ON SCHEMA check_test TO regress_check_owner;
GRANT CREATE ON SCHEMA check_test TO regress_check_owner;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_check_owner', current_database()); END $$;
GRANT SELECT ON good TO regress_check_owner;
ALTER TABLE good ENABLE ROW LEVEL SECURITY;
CREATE POLICY few ON good USING (user_id < 4);
SET ROLE regress_check_owner;
SELECT gnnrec.create_model('check_few', 'good');
SELECT * FROM gnnrec.check('check_few');
SELECT * FROM gnnrec.check('check_good');
RESET ROLE;
REVOKE SELECT ON good FROM regress_check_owner;
SET ROLE regress_check_owner;
SELECT level, finding, hint FROM gnnrec.check('check_few') WHERE level = 'error';
RESET ROLE;
SELECT * FROM gnnrec.check('no such model');

-- in a read-only transaction, and cancelled
BEGIN READ ONLY;
SELECT count(*) FROM gnnrec.check('check_good');
COMMIT;
CREATE VIEW slow AS SELECT user_id, item_id FROM good WHERE pg_sleep(user_id) IS NOT NULL;
SELECT gnnrec.create_model('check_slow', 'slow');
SET statement_timeout = 200;
SELECT * FROM gnnrec.check('check_slow');
RESET statement_timeout;

SELECT gnnrec.drop_model(name, cascade => true) FROM gnnrec.model WHERE name LIKE 'check\_%';
DROP SCHEMA check_test CASCADE;
DROP OWNED BY regress_check_owner;
DROP ROLE regress_check_owner;
