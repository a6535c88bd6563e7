-- The type gnnrec.embedding: text, binary, type modifier, casts, operators, indexes, aggregates.
-- Numbers are small halves wherever sums are compared, so that double arithmetic is exact and answers are equal, not close.

-- what a statement fails with
CREATE FUNCTION pg_temp.failure(statement text, OUT code text, OUT message text, OUT detail text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
END $$;

-- dim halves, another vector for another seed
CREATE FUNCTION pg_temp.halves(seed int, dim int) RETURNS real[] LANGUAGE sql AS
    'SELECT array_agg(hashint4(seed * 16001 + i) % 41 / 2.0 ORDER BY i)::real[] FROM generate_series(1, dim) i';

--
-- Text
--
SELECT e::gnnrec.embedding
FROM (VALUES ('[1,2,3]'), (E' [\t1 ,\n2.50 , -3e-2]\r\n'), ('[.5,5.,+7E+2,-0,0]'), ('[1e-60,-1e-60]')) t(e);

-- the largest, the smallest normal, the smallest of all; thirds; each with the fewest digits that come back, whatever the setting
SET extra_float_digits = 0;
SELECT '[3.4028235e38,-3.4028235e38,1.1754944e-38,1.1754942e-38,1e-45,-1e-45,0.33333334,16777216,1e22]'::gnnrec.embedding;
RESET extra_float_digits;

-- a dump of many magnitudes comes back bit by bit
SELECT count(*), bool_and(e::real[] = r AND e::text::gnnrec.embedding::real[] = r AND e::text::gnnrec.embedding::text = e::text)
FROM (SELECT r, r::gnnrec.embedding AS e
      FROM (SELECT array_agg((s.sign || '0.' || i * 7919 || 'e' || i % 77 - 38)::real ORDER BY i) AS r
            FROM generate_series(1, 3000) i, (VALUES (''), ('-')) s(sign) GROUP BY i % 10, sign) a) b;

-- 16000 dimensions, out of line and back
CREATE TABLE wide (e gnnrec.embedding);
INSERT INTO wide SELECT pg_temp.halves(1, 16000);
SELECT gnnrec.dims(e), e::real[] = pg_temp.halves(1, 16000) AS same, e::text::gnnrec.embedding::real[] = e::real[] AS back,
       pg_column_size(e), attstorage
FROM wide, pg_attribute WHERE attrelid = 'wide'::regclass AND attname = 'e';

-- wrong texts
SELECT t, f.* FROM (VALUES
    (''), ('1,2'), ('{1,2}'), ('[1,2'), ('[1,'), ('[]'), ('[1,,2]'), ('[1,2,]'), ('[1, two]'), ('[1 2]'), ('[1;2]'), ('[0x10]'),
    ('[1] 2'), ('[[1,2]]'), ('[NaN]'), ('[1,-Infinity]'), ('[1,2,1e39]'), ('[1]]'))
    t(t), pg_temp.failure(format('SELECT %L::gnnrec.embedding', t)) f;
SELECT f.* FROM (VALUES (array_fill(1, ARRAY[16001])::text), (array_fill(1, ARRAY[100])::text || ' and much more')) t(t),
    pg_temp.failure(format('SELECT %L::gnnrec.embedding', translate(t, '{}', '[]'))) f;

-- no character of any encoding is cut in two where the complaint shows the text
SELECT f.code, substring(t FROM 2 FOR char_length(found)) = found AS whole
FROM (SELECT '[a' || repeat(convert_from('\xc3a9', getdatabaseencoding()), 20) AS t) t,
    pg_temp.failure(format('SELECT %L::gnnrec.embedding', t)) f, substring(f.detail FROM 'found "(.*)\.\.\."') found;

--
-- Binary: int16 dimensions, int16 0, then a float4 each
--
SELECT gnnrec.embedding_send('[1,-2.5,0,-0,3.4028235e38,1e-45]');

-- reads one value by COPY BINARY
CREATE TABLE received (e gnnrec.embedding);
CREATE TABLE received_3 (e gnnrec.embedding(3));
CREATE FUNCTION pg_temp.receive(target regclass, value bytea) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    copy_data bytea := 'PGCOPY\012\377\015\012\000'::bytea || int4send(0) || int4send(0)
        || int2send(1::int2) || int4send(length(value)) || value || int2send((-1)::int2);
    octal text;
BEGIN
    SELECT string_agg(format('\%s%s%s', b >> 6, (b >> 3) & 7, b & 7), '' ORDER BY i) INTO octal
    FROM generate_series(0, length(copy_data) - 1) i, get_byte(copy_data, i) b;
    EXECUTE format('COPY %s FROM PROGRAM %L (FORMAT binary)', target, format('printf ''%s''', octal));
END $$;

SELECT pg_temp.receive('received', gnnrec.embedding_send(t::gnnrec.embedding))
FROM (VALUES ('[1,-2.5,0,-0,3.4028235e38,1e-45]'), ('[7]')) t(t);
SELECT pg_temp.receive('received', gnnrec.embedding_send(pg_temp.halves(2, 500)::gnnrec.embedding));
SELECT gnnrec.dims(e), left(e::text, 40), gnnrec.embedding_send(e) = gnnrec.embedding_send(e::text::gnnrec.embedding) AS same
FROM received;
SELECT e::real[] = pg_temp.halves(2, 500) AS same FROM received WHERE gnnrec.dims(e) = 500;

SELECT value, f.* FROM (VALUES
    ('\x'), ('\x0001'), ('\x00010000'), ('\x000100003f80'), ('\x000200003f800000'), ('\x000100003f8000003f800000'),
    ('\x000100013f800000'),
    ('\x00000000'), ('\x3e810000'), ('\xffff0000'), ('\x000100007fc00000'), ('\x00010000ff800000'))
    t(value), pg_temp.failure(format('SELECT pg_temp.receive(''received'', %L)', value)) f;
SELECT pg_temp.receive('received_3', gnnrec.embedding_send('[1,2,3]'));
SELECT * FROM pg_temp.failure($$SELECT pg_temp.receive('received_3', gnnrec.embedding_send('[1,2]'))$$);
SELECT * FROM received_3;

--
-- Type modifier
--
CREATE TABLE typed (id int GENERATED ALWAYS AS IDENTITY, e gnnrec.embedding(3));
SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'typed'::regclass AND attname = 'e';
INSERT INTO typed (e) VALUES ('[1,2,3]'), (ARRAY[4,5,6]), (ARRAY[1.5,2,3]), (ARRAY[1,2,3]::real[]), (ARRAY[1,2,3]::float8[]),
    ('[1,2,3]'::gnnrec.embedding);
SELECT * FROM typed ORDER BY id;
SELECT '[1,2,3]'::gnnrec.embedding::gnnrec.embedding(3), ARRAY[1,2]::gnnrec.embedding(2);
SELECT statement, f.* FROM (VALUES
    ($$INSERT INTO typed (e) VALUES ('[1,2]')$$),
    ($$INSERT INTO typed (e) VALUES ('[1,2]'::gnnrec.embedding)$$),
    ($$COPY typed (e) FROM PROGRAM 'echo [1,2]'$$),
    ($$INSERT INTO typed (e) VALUES (ARRAY[1,2,3,4])$$),
    ($$UPDATE typed SET e = ARRAY[1]$$),
    ($$SELECT '[1,2,3]'::gnnrec.embedding::gnnrec.embedding(2)$$),
    ($$ALTER TABLE typed ALTER e TYPE gnnrec.embedding(4)$$),
    ($$CREATE TABLE t (e gnnrec.embedding(0))$$),
    ($$CREATE TABLE t (e gnnrec.embedding(16001))$$),
    ($$CREATE TABLE t (e gnnrec.embedding(2,3))$$),
    ($$CREATE TABLE t (e gnnrec.embedding('x'))$$)) t(statement), pg_temp.failure(statement) f;
ALTER TABLE typed ALTER e TYPE gnnrec.embedding;
INSERT INTO typed (e) VALUES ('[1,2]');

--
-- Casts
--
SELECT '{1,-2}'::int[]::gnnrec.embedding AS int, '{0.1,1e-45}'::real[]::gnnrec.embedding AS real,
       '{0.1,1e-60}'::float8[]::gnnrec.embedding AS float8, '{0.1,-2}'::numeric[]::gnnrec.embedding AS numeric,
       '[2:3]={7,8}'::int[]::gnnrec.embedding AS bounds;
SELECT '[0.1,2]'::gnnrec.embedding::real[], '[0.1,2]'::gnnrec.embedding::float8[],
       array_length('[1,2,3]'::gnnrec.embedding::real[], 1);
CREATE FUNCTION pg_temp.takes_reals(r real[]) RETURNS int LANGUAGE sql AS 'SELECT cardinality(r)';
SELECT pg_temp.takes_reals('[1,2,3]'::gnnrec.embedding) AS implicitly;
SELECT array_value, f.* FROM (VALUES
    ('''{}''::real[]'), ('''{1,NULL}''::real[]'), ('''{NULL}''::int[]'), ('''{{1,2},{3,4}}''::real[]'),
    ('''{1,NaN}''::real[]'), ('''{1,2,-Infinity}''::float8[]'), ('''{1,1e39}''::float8[]'),
    ('''{NaN}''::numeric[]'), ('''{1,1e39}''::numeric[]'), ('''{1,1e-60}''::numeric[]'),
    ('array_fill(1::real, ARRAY[16001])'), ('array_fill(1, ARRAY[16001])'), ('''{a}''::text[]'))
    t(array_value), pg_temp.failure(format('SELECT (%s)::gnnrec.embedding', array_value)) f;

--
-- Functions and operators, against plain SQL over the elements
--
CREATE TABLE pairs AS
    SELECT d AS dim, pg_temp.halves(d, d)::gnnrec.embedding AS a, pg_temp.halves(3 * d + 1, d)::gnnrec.embedding AS b
    FROM generate_series(1, 100) d;
CREATE VIEW plain AS
    SELECT dim, sqrt(sum((x - y) ^ 2)) AS l2, sum(x * y) AS ip, sum(abs(x - y)) AS l1, sqrt(sum(x * x)) AS norm_a,
           CASE WHEN sum(x * x) > 0 AND sum(y * y) > 0 THEN 1 - sum(x * y) / sqrt(sum(x * x) * sum(y * y))
                ELSE 'NaN' END AS cosine,
           array_agg((x + y)::real ORDER BY i) AS add, array_agg((x - y)::real ORDER BY i) AS sub,
           array_agg((x * y)::real ORDER BY i) AS mul
    FROM pairs, unnest(a::float8[], b::float8[]) WITH ORDINALITY e(x, y, i) GROUP BY dim;
SELECT count(*),
       bool_and(a OPERATOR(gnnrec.<->) b = l2 AND gnnrec.l2_distance(a, b) = l2) AS l2,
       bool_and(a OPERATOR(gnnrec.<#>) b = -ip AND gnnrec.negative_inner_product(a, b) = -ip) AS negative_ip,
       bool_and(gnnrec.inner_product(a, b) = ip) AS ip,
       bool_and(a OPERATOR(gnnrec.<=>) b = cosine AND gnnrec.cosine_distance(a, b) = cosine) AS cosine,
       bool_and(a OPERATOR(gnnrec.<+>) b = l1 AND gnnrec.l1_distance(a, b) = l1) AS l1,
       bool_and(gnnrec.norm(a) = norm_a AND gnnrec.dims(a) = dim) AS norm,
       bool_and((a OPERATOR(gnnrec.+) b)::real[] = add) AS add,
       bool_and((a OPERATOR(gnnrec.-) b)::real[] = sub) AS sub,
       bool_and((a OPERATOR(gnnrec.*) b)::real[] = mul) AS mul,
       bool_and(norm_a = 0 OR abs(gnnrec.norm(gnnrec.l2_normalize(a)) - 1) < 1e-6) AS unit,
       bool_and(norm_a = 0 OR abs(gnnrec.cosine_distance(a, gnnrec.l2_normalize(a))) < 1e-6) AS direction
FROM pairs JOIN plain USING (dim);

-- with the schema in the path
SET search_path = public, gnnrec;
SELECT '[1,2]'::embedding <-> '[4,6]' AS l2, '[1,2]'::embedding <#> '[3,4]' AS ip, '[1,0]'::embedding <=> '[0,1]' AS cosine,
       '[1,2]'::embedding <+> '[4,6]' AS l1, '[1,2]'::embedding + '[1,1]' AS add, '[1,2]'::embedding - '[1,1]' AS sub,
       '[1,2]'::embedding * '[3,4]' AS mul, dims('[1,2]'), norm('[3,4]'), l2_normalize('[3,4]');

-- no finite input overflows a distance, none underflows a direction; a zero vector has none
SELECT '[3e38,3e38]'::embedding <-> '[-3e38,3e38]' AS l2, '[3e38]'::embedding <#> '[3e38]' AS ip,
       '[3e38,3e38]'::embedding <+> '[-3e38,-3e38]' AS l1,
       '[1e-45,0]'::embedding <=> '[1e38,0]' AS cosine, '[1e-30,1e-30]'::embedding <=> '[-3,-3]' AS opposite,
       '[0,0]'::embedding <=> '[1,0]' AS zero, l2_normalize('[0,-0]') AS zero_unit, l2_normalize('[1e-45,0]') AS small_unit,
       l2_normalize('[3e38,-3e38]') AS large_unit;
SELECT statement, f.* FROM unnest(ARRAY[
    $$'[1,2]'::embedding <-> '[1]'$$, $$'[1,2]'::embedding <#> '[1]'$$, $$'[1,2]'::embedding <=> '[1]'$$,
    $$'[1,2]'::embedding <+> '[1]'$$, $$inner_product('[1,2]', '[1]')$$,
    $$'[1,2]'::embedding + '[1]'$$, $$'[1,2]'::embedding - '[1]'$$, $$'[1,2]'::embedding * '[1]'$$,
    $$'[1,3e38]'::embedding + '[1,3e38]'$$, $$'[3e38]'::embedding - '[-3e38]'$$, $$'[1e20]'::embedding * '[1e20]'$$,
    $$'[1e-30]'::embedding * '[1e-30]'$$]) statement,
    pg_temp.failure('SELECT ' || statement) f;

-- nearest first, zero vectors last
SELECT e FROM (VALUES ('[0,0]'::embedding), ('[0,1]'), ('[1,1]'), ('[5,1]')) t(e) ORDER BY e <=> '[1,0]';

--
-- Order: that of real[]
--
CREATE TABLE ordered AS
    SELECT e, e::real[] AS r FROM (SELECT t::embedding AS e FROM
        (VALUES ('[1]'), ('[1,0]'), ('[1,-0]'), ('[0]'), ('[-0]'), ('[-1]'), ('[1,2]'), ('[1,2,3]'), ('[0,9,9,9]'), ('[-1,5]'),
                ('[2]')) t(t)) x;
SELECT count(*), bool_and((x.e < y.e) = (x.r < y.r)) AS lt, bool_and((x.e <= y.e) = (x.r <= y.r)) AS le,
       bool_and((x.e = y.e) = (x.r = y.r)) AS eq, bool_and((x.e <> y.e) = (x.r <> y.r)) AS ne,
       bool_and((x.e >= y.e) = (x.r >= y.r)) AS ge, bool_and((x.e > y.e) = (x.r > y.r)) AS gt,
       bool_and(embedding_cmp(x.e, y.e) = btarraycmp(x.r, y.r)) AS cmp,
       bool_and(x.e <> y.e OR embedding_hash(x.e) = embedding_hash(y.e)) AS hash,
       bool_and(x.e <> y.e OR embedding_hash_extended(x.e, 7) = embedding_hash_extended(y.e, 7)) AS hash_extended
FROM ordered x, ordered y;
SELECT count(DISTINCT embedding_hash(e)) AS hashes, count(DISTINCT embedding_hash_extended(e, 7)) AS seeded,
       count(*) FILTER (WHERE embedding_hash_extended(e, 0) & 4294967295 = embedding_hash(e)::bigint & 4294967295) AS low_half
FROM ordered;
SELECT r FROM ordered ORDER BY e, r::text;
SELECT count(DISTINCT e), min(r), max(r) FROM ordered;

--
-- Indexes; short values, and values out of line
--
CREATE TABLE items AS SELECT i AS id, pg_temp.halves(i, 4)::embedding AS e FROM generate_series(1, 1000) i;
INSERT INTO items SELECT i, '[0,0]' FROM generate_series(1001, 1002) i;
INSERT INTO items VALUES (1003, '[-0,0]'), (1004, '[0,-0]');
CREATE INDEX items_btree ON items (e);
ANALYZE items;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM items WHERE e = '[0,0]';
SELECT id FROM items WHERE e = '[0,0]' ORDER BY id;
EXPLAIN (COSTS OFF) SELECT e FROM items WHERE e >= '[9,0]' ORDER BY e LIMIT 3;
SELECT count(*) > 0 AS found, count(*) FILTER (WHERE e::real[] < '{9,0}' OR e::real[] >= '{9.5}') AS wrong
FROM items WHERE e >= '[9,0]' AND e < '[9.5]';
SELECT (SELECT count(*) FROM items WHERE e >= '[9,0]' AND e < '[9.5]') = count(*) AS complete
FROM (SELECT e::real[] AS r FROM items OFFSET 0) x WHERE r >= '{9,0}' AND r < '{9.5}';
SELECT bool_and(r >= lag) AS sorted FROM (SELECT e::real[] AS r, lag(e::real[]) OVER (ORDER BY e) FROM items) x;
DROP INDEX items_btree;
CREATE INDEX items_hash ON items USING hash (e);
EXPLAIN (COSTS OFF) SELECT id FROM items WHERE e = '[0,0]';
SELECT id FROM items WHERE e = '[0,0]' ORDER BY id;
SELECT count(*) AS found FROM items x WHERE EXISTS (SELECT FROM items y WHERE y.e = x.e AND y.id = x.id);
RESET enable_seqscan;
RESET enable_bitmapscan;

SELECT code, message FROM pg_temp.failure('CREATE UNIQUE INDEX unequal ON items (e) WHERE id > 1000');
INSERT INTO wide VALUES (array_fill(1, ARRAY[3000])), (array_fill(1, ARRAY[3000])), (array_fill(1, ARRAY[2999]));
SELECT dims(e), count(*) FROM wide GROUP BY e ORDER BY e;

SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT e, count(*) FROM items GROUP BY e;
SELECT count(*), sum(n) FROM (SELECT e, count(*) AS n FROM items GROUP BY e) x;
RESET enable_sort;
SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) AS "[0,0] joined" FROM items x JOIN items y USING (e) WHERE dims(e) = 2;
SELECT count(*) AS "[0,0] joined" FROM items x JOIN items y USING (e) WHERE dims(e) = 2;
SET enable_mergejoin = on;
SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) AS "[0,0] joined" FROM items x JOIN items y USING (e) WHERE dims(e) = 2;
SELECT count(*) AS "[0,0] joined" FROM items x JOIN items y USING (e) WHERE dims(e) = 2;
RESET enable_nestloop;
RESET enable_hashjoin;

CREATE TABLE parted (id int, e embedding) PARTITION BY HASH (e);
CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parted SELECT * FROM items;
SELECT count(*) AS rows, count(DISTINCT tableoid) AS partitions FROM parted;
SELECT count(DISTINCT tableoid) AS partitions_of_zero FROM parted WHERE dims(e) = 2;

--
-- Aggregates
--
SELECT sum(e), avg(e) FROM (VALUES ('[1,2]'::embedding), (NULL), ('[3,5]')) t(e);
SELECT sum(e), avg(e) FROM (VALUES ('[1,2]'::embedding), (NULL)) t(e) WHERE e IS NULL;
SELECT sum(e), avg(e) FROM ordered WHERE false;
SELECT dims(e) AS dim, count(*), avg(e) FROM ordered GROUP BY dims(e) ORDER BY dim;
SELECT avg(e) AS "mean of the largest"
FROM (VALUES ('[3.4028235e38,-3.4028235e38]'::embedding), ('[3.4028235e38,-3.4028235e38]')) t(e);
SELECT statement, f.* FROM unnest(ARRAY[
    $$sum(e) FROM (VALUES ('[1,2]'::embedding), ('[1]')) t(e)$$, $$avg(e) FROM (VALUES ('[1,2]'::embedding), ('[1]')) t(e)$$,
    $$sum(e) FROM (VALUES ('[1,3e38]'::embedding), ('[1,3e38]')) t(e)$$,
    $$embedding_combine('{1,2}', '{1,2,3}')$$, $$embedding_accum('{}', '[1]')$$, $$embedding_accum('{1,NULL}', '[1]')$$,
    $$embedding_accum('{{1,2}}', '[1]')$$, $$embedding_sum('{1,1e300}')$$, $$embedding_avg('{0,1}')$$]) statement,
    pg_temp.failure('SELECT ' || statement) f;
SELECT embedding_combine('{0}', '{0}') AS none, embedding_combine('{2,3,4}', '{0}') AS left,
       embedding_combine('{0}', '{2,3,4}') AS right,
       embedding_combine('{2,3,4}', '{5,6,7}') AS both;

-- outside an aggregate a state is not its to change
SELECT embedding_accum(state, '[5,5]'), embedding_combine(state, '{1,5,5}'), state
FROM (SELECT array_agg(i::float8) AS state FROM generate_series(1, 3) i OFFSET 0) s;

-- in a window the state outlives a row
SELECT id, sum(e) OVER (ORDER BY id), avg(e) OVER (ORDER BY id ROWS 1 PRECEDING)
FROM (VALUES (1, '[1,1]'::embedding), (2, '[3,0]'), (3, '[5,2]')) t(id, e);

-- in parallel
CREATE TABLE many AS SELECT i AS id, i % 3 AS g, pg_temp.halves(i, 5)::embedding AS e FROM generate_series(1, 10000) i;
ALTER TABLE many SET (parallel_workers = 2);
ANALYZE many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET parallel_leader_participation = off;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT sum(e), avg(e) FROM many;
EXPLAIN (COSTS OFF) SELECT g, avg(e) FROM many GROUP BY g;
CREATE TABLE answer AS SELECT sum(e), avg(e) FROM many;
CREATE TABLE answers AS SELECT g, sum(e), avg(e) FROM many GROUP BY g;
WITH plain AS (
    SELECT g, array_agg(sum::real ORDER BY i) AS sum, array_agg(avg::real ORDER BY i) AS avg
    FROM (SELECT g, i, sum(x), avg(x) FROM many, unnest(e::float8[]) WITH ORDINALITY u(x, i)
          GROUP BY GROUPING SETS ((g, i), (i))) s GROUP BY g)
SELECT count(*), bool_and(a.sum::real[] = p.sum) AS sum, bool_and(a.avg::real[] = p.avg) AS avg
FROM (SELECT NULL AS g, * FROM answer UNION ALL SELECT * FROM answers) a JOIN plain p ON p.g IS NOT DISTINCT FROM a.g;
RESET ALL;

DROP VIEW plain;
DROP TABLE wide, received, received_3, typed, pairs, ordered, items, parted, many, answer, answers;
