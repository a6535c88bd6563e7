-- Every function there is, called with what no caller should send: whatever happens, the server stays up, no error is an
-- internal one (XX000, which says that we did not think of it), and nothing has changed afterwards.
--
-- Arguments are drawn by hashes of a seed. For longer: psql -v calls=5000 -v seed=7 -f sql/monkey.sql, from the root of the tree,
-- in a database that has the extension.
\if :{?calls} \else \set calls 60 \endif
\if :{?seed} \else \set seed 1 \endif
CREATE SCHEMA monkey;
SET search_path = monkey, public;

\i test/fuzz/models.sql
\i test/fuzz/nasty.sql

CREATE TABLE outcome (function regproc, statement text, code text, message text);
CREATE TABLE json_value AS SELECT unnest(ARRAY['null', 'true', '0', '-0', '1', '-1', '0.5', '1.5', '1e-400', '1e400', '-1e400',
                                               '2147483648', '-2147483649', '9007199254740992',
    '9007199254740993', '0.1000000000000000055511151231257827', '"1"', '""', '"lightgcn"', '"gcn"', '"bpr"', '"GCN"',
    '"\u00e9\n\"''"', '[]', '[1]', '{}', '{"dim": 1}']) AS value;
CREATE TABLE json_key AS SELECT name FROM gnnrec.parameters UNION ALL
    SELECT unnest(ARRAY['', ' dim', 'DIM', 'view', 'buy', 'cart', 'kind"''', repeat('k', 3000), 'ユーザー']);

-- number n of a seed, from 0 to below `below`
CREATE FUNCTION pick(seed text, below bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    $$ SELECT (hashtextextended(seed, 0) & ((1::bigint << 62) - 1)) % below $$;

-- an argument of a call: a likely value or any
CREATE FUNCTION value_of(argument_name name, of_type regtype, likely_of_100 bigint, seed text) RETURNS text
    LANGUAGE sql STABLE AS $$
    SELECT format('(%s)::%s', value, of_type)
    FROM (SELECT value, 1 FROM nasty WHERE type = of_type AND pick(seed || 'nasty', 100) >= likely_of_100
          UNION ALL
          SELECT value, CASE WHEN argument IS NULL THEN 2 ELSE 3 END FROM likely
          WHERE type = of_type AND (argument = argument_name OR argument IS NULL) AND pick(seed || 'nasty', 100) < likely_of_100
          UNION ALL
          SELECT value, 0 FROM nasty WHERE type = of_type) v(value, fit)
    ORDER BY fit DESC, hashtextextended(value, hashtextextended(seed, 1)) LIMIT 1 $$;

-- what a polymorphic argument is to be in one call: all of a group the same
CREATE FUNCTION concrete(type regtype, seed text) RETURNS regtype LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN type IN ('anyelement', 'anycompatible') THEN element
                WHEN type IN ('anyarray', 'anycompatiblearray') THEN (element || '[]')::regtype
                ELSE type END
    FROM (SELECT (ARRAY['integer', 'integer', 'integer', 'text', 'uuid', 'bigint'])[1 + pick(seed ||
            CASE WHEN type::text LIKE 'anycomp%' THEN 'c' ELSE 'e' END, 6)]::regtype) e(element) $$;

-- in one call of three most are likely, in the others few
CREATE FUNCTION arguments(p pg_proc, seed text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT string_agg(value_of(p.proargnames[n], concrete(type, seed), CASE pick(seed, 3) WHEN 0 THEN 90 ELSE 40 END,
                               seed || ' ' || n), ', ' ORDER BY n)
    FROM unnest(p.proargtypes::regtype[]) WITH ORDINALITY t(type, n) $$;

-- as a table, or as a value; aggregates over some rows
CREATE FUNCTION statement(p pg_proc, seed text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p.prokind = 'p' THEN 'CALL ' || call
                WHEN p.prokind = 'a' THEN format('SELECT %s FROM generate_series(1, 3)', call)
                WHEN pick(seed || 'how', 3) = 0 THEN 'SELECT ' || call
                ELSE 'SELECT count(*) FROM ' || call END
    FROM format('%s(%s)', p.oid::regproc, arguments(p, seed)) call $$;

-- runs a statement, takes back what it did, and says what became of it
CREATE FUNCTION attempt(statement text, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RAISE EXCEPTION 'done' USING ERRCODE = 'GN000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    code := replace(code, 'GN000', '00000');
END $$;

-- one transaction a function: a worker that train() has asked for waits until it ends
CREATE PROCEDURE call_all(calls int, seed int) LANGUAGE plpgsql AS $$
DECLARE
    p pg_proc;
    call text;
    result record;
BEGIN
    FOR p IN SELECT * FROM pg_proc WHERE pronamespace IN ('gnnrec'::regnamespace, 'monkey_shop'::regnamespace,
                                                          'monkey_words'::regnamespace)
                 AND NOT 'internal'::regtype = ANY (proargtypes::oid[]) AND prorettype <> 'event_trigger'::regtype
                 ORDER BY oid::regprocedure::text COLLATE "C"
    LOOP
        FOR n IN 1 .. calls LOOP
            call := statement(p, format('%s %s %s', seed, p.proname, n));
            result := attempt(call);
            INSERT INTO outcome VALUES (p.oid, call, result.code, result.message);
        END LOOP;
        COMMIT;
    END LOOP;
END $$;

-- what is not to change
-- What becomes of bytes that COPY hands to the type's receive function, by way of a file: what is taken is given back as
-- it came.
CREATE TABLE wire (bytes bytea);
CREATE TABLE arrival (value gnnrec.embedding);
CREATE FUNCTION wire_file() RETURNS text LANGUAGE sql AS $$ SELECT current_setting('data_directory') || '/gnnrec_monkey_wire' $$;
CREATE FUNCTION receive(bytes bytea, OUT code text, OUT message text) LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO wire VALUES (bytes);
    EXECUTE format('COPY wire TO %L (FORMAT binary)', wire_file());
    EXECUTE format('COPY arrival FROM %L (FORMAT binary)', wire_file());
    IF (SELECT gnnrec.embedding_send(value) <> bytes FROM arrival) THEN
        RAISE EXCEPTION 'it came as %', (SELECT value FROM arrival) USING ERRCODE = 'XX000';
    END IF;
    RAISE EXCEPTION 'done' USING ERRCODE = 'GN000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
    code := replace(code, 'GN000', '00000');
END $$;

-- a sound value, changed in a byte, cut short or made longer, or not; of up to 20 dimensions, the bytes of each number any
CREATE FUNCTION wire_bytes(seed text) RETURNS bytea LANGUAGE sql AS $$
    SELECT CASE pick(seed || 'how', 4)
               WHEN 0 THEN bytes
               WHEN 1 THEN set_byte(bytes, pick(seed || 'at', length(bytes))::int, pick(seed || 'to', 256)::int)
               WHEN 2 THEN substr(bytes, 1, pick(seed || 'at', length(bytes) + 1)::int)
               ELSE bytes || substr(decode(md5(seed), 'hex'), 1, 1 + pick(seed || 'more', 8)::int) END
    FROM (SELECT decode(lpad(to_hex(n), 4, '0') || '0000' || string_agg(substr(md5(seed || i), 1, 8), ''), 'hex')
          FROM (SELECT 1 + pick(seed || 'dim', 20)::int) d(n), generate_series(1, n) i GROUP BY n) w(bytes) $$;
\i test/fuzz/state.sql

CALL call_all(:calls, :seed);

-- a function that has never answered has not been tried: none but retrain(), which cannot commit in here
SELECT function AS "never answered" FROM outcome GROUP BY function HAVING count(*) FILTER (WHERE code = '00000') = 0
ORDER BY function::text;
SELECT count(DISTINCT function) > 70 AS "many functions" FROM outcome;

-- internal errors: no rows
SELECT DISTINCT ON (function, message) code, message, statement FROM outcome WHERE code LIKE 'XX%' ORDER BY function, message,
       statement;

-- JSON: every parameter with every kind of value, alone and in company, the same as weights of events
TRUNCATE outcome;
INSERT INTO outcome
    SELECT NULL, call, (attempt(call)).*
    FROM (SELECT format('{%s: %s}', to_jsonb(name), value) FROM json_key, json_value
          UNION ALL
          SELECT format('{%s}', string_agg(format('%s: %s', to_jsonb(name), value), ', ' ORDER BY n))
          FROM generate_series(1, :calls * 10) n,
               LATERAL (SELECT * FROM json_key, json_value
                        ORDER BY hashtextextended(name || value, n + :seed) LIMIT 1 + n % 5) entry GROUP BY n) j(object),
         LATERAL (VALUES (format('SELECT gnnrec.alter_model(''monkey_shop'', params => %L)', object)),
                         (format('SELECT gnnrec.train(''monkey_shop'', params => %L)', object)),
                         (format('SELECT gnnrec.alter_model(''monkey_shop'', event_weights => %L)', object))) c(call)
    WHERE call NOT LIKE '%train%' OR pick(object, 10) = 0;
SELECT count(*) > 1000 AS "thousands", count(*) FILTER (WHERE code = '00000') > 50 AS "some accepted",
       count(*) FILTER (WHERE code = '22023') > 500 AS "many refused" FROM outcome;
SELECT code, message, left(statement, 200) AS statement FROM outcome WHERE code NOT IN ('00000', '22023', '53000', '22P02',
        '22003', '53400') ORDER BY statement LIMIT 20;

-- the binary form
TRUNCATE outcome;
INSERT INTO outcome SELECT NULL, encode(bytes, 'hex'), (receive(bytes)).*
    FROM (SELECT wire_bytes(:seed || ' ' || n) FROM generate_series(1, :calls * 10) n
          UNION ALL SELECT * FROM unnest('{"\\x","\\x00","\\x00000000","\\xffff0000","\\x7fff0000","\\x80000000","\\x0001000000000000","\\x000100013f800000"}'::bytea[])) w(bytes);
SELECT count(*) FILTER (WHERE code = '00000') > 50 AS "some taken", count(*) FILTER (WHERE code = '22P03') > 100 AS "many refused"
FROM outcome;
SELECT code, message, statement FROM outcome WHERE code NOT IN ('00000', '22P03', '22003', '22000', '08P01', '54000')
ORDER BY statement LIMIT 20;

DO $$ BEGIN EXECUTE format('COPY (SELECT) TO PROGRAM %L', format('cat > /dev/null; rm ''%s''', wire_file())); END $$;

-- nothing has changed, and nothing is left behind
SELECT * FROM changed;
SELECT count(*) AS locks FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();

RESET search_path;
DROP SCHEMA monkey CASCADE;
SELECT gnnrec.drop_model(m) FROM unnest('{monkey_shop,monkey_words}'::text[]) m;
DROP SCHEMA monkey_room;
