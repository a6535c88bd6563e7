-- nasty.sql: what no argument should be: table nasty, an SQL expression a row, by type. And, so that not every call ends at its first
-- check, what one may be: table likely, by the name of an argument, or by type where the name is NULL.
--
-- Needs the models monkey_shop (integer ids) of a table events and monkey_words (users are text, items uuid) of a table word_events.

CREATE TABLE "odd ""name; DROP TABLE events --" ("User Id" int, "ïtem'id" text, kind "char");
INSERT INTO "odd ""name; DROP TABLE events --" VALUES (1, 'a', 'x'), (NULL, NULL, NULL);
CREATE TABLE nothing (user_id int, product_id int, kind text, at timestamptz);
CREATE TABLE nulls AS SELECT NULL::int AS user_id, NULL::int AS product_id, NULL::text AS kind, NULL::timestamptz AS at, NULL::int AS rank
    FROM generate_series(1, 5);
CREATE TABLE ranked AS SELECT user_id, product_id, row_number() OVER (PARTITION BY user_id ORDER BY product_id) AS rank FROM events;
CREATE TABLE parts (user_id bigint, product_id bigint, rank numeric) PARTITION BY HASH (user_id);
CREATE VIEW failing AS SELECT user_id, product_id, 1 / (product_id - product_id) AS rank FROM events;
CREATE VIEW endless AS SELECT user_id, 'NaN'::float8 AS product_id, 'infinity'::float8 AS value, 'infinity'::timestamptz AS at FROM events;
CREATE VIEW asking AS SELECT r.item_id AS product_id, user_id, r.rank FROM events, monkey_shop.recommend(user_id, 2) r;
CREATE MATERIALIZED VIEW unfilled AS SELECT user_id, product_id FROM events WITH NO DATA;

CREATE TABLE nasty (type regtype, value text);
INSERT INTO nasty SELECT 'boolean', unnest(ARRAY['true', 'false', 'NULL']);
INSERT INTO nasty SELECT 'integer', unnest(ARRAY['NULL', '0', '-1', '1', '2', '10', '10', '59', '60', '61', '16000', '16001', '100000',
    '2147483647', '-2147483648']);
INSERT INTO nasty SELECT 'bigint', unnest(ARRAY['NULL', '0', '-1', '1', '9223372036854775807', '-9223372036854775808', '2147483648',
    $$(SELECT live_run FROM gnnrec.models WHERE name = 'monkey_shop')$$, $$(SELECT live_run FROM gnnrec.models WHERE name = 'monkey_words')$$]);
INSERT INTO nasty SELECT 'oid', unnest(ARRAY['0', '1', '23', '4294967295']);
INSERT INTO nasty SELECT 'numeric', unnest(ARRAY['NULL', '0', '1e40', '-1e-40', $$'NaN'$$, $$'infinity'$$, '1e4000']);
INSERT INTO nasty SELECT 'real', unnest(ARRAY['NULL', '0', '-0.0', '1', '0.5', '-1', '1e-45', '3.4e38', '-3.4e38', $$'NaN'$$, $$'infinity'$$, $$'-infinity'$$]);
INSERT INTO nasty SELECT 'double precision', value FROM nasty WHERE type = 'real'::regtype;
INSERT INTO nasty SELECT 'double precision', unnest(ARRAY['1.7e308', '-1.7e308', '5e-324']);
INSERT INTO nasty SELECT 'uuid', unnest(ARRAY['NULL', $$'00000000-0000-0000-0000-000000000000'$$, $$'ffffffff-ffff-ffff-ffff-ffffffffffff'$$,
    $$(SELECT item FROM word_events ORDER BY item LIMIT 1)$$, $$(SELECT item FROM word_events ORDER BY item DESC LIMIT 1)$$]);
INSERT INTO nasty SELECT 'text', unnest(ARRAY['NULL', $$''$$, $$' '$$, $$'0'$$, $$'1'$$, $$'-1'$$, $$'abc'$$, $$'NaN'$$, $$'''"\%s%n$1'$$, $$E'\n\t\x01'$$,
    $$'ユーザー'$$, $$repeat('x', 63)$$, $$repeat('x', 64)$$, $$repeat('é', 100000)$$, $$'pg_catalog'$$, $$'gnnrec'$$, $$'user'$$, $$'item'$$, $$'word 7'$$,
    $$'skip'$$, $$'error'$$, $$'trained'$$, $$'folded'$$, $$'monkey_shop'$$, $$'Monkey_Shop'$$]);
INSERT INTO nasty SELECT 'cstring', value FROM nasty WHERE type = 'text'::regtype AND value NOT LIKE '%repeat%';
INSERT INTO nasty SELECT 'cstring', unnest(ARRAY[$$'[1,2,3]'$$, $$'[1,2'$$, $$'[1e999]'$$, $$'[,]'$$, $$'[]'$$]);
INSERT INTO nasty SELECT 'name', unnest(ARRAY['NULL', $$''$$, $$'user_id'$$, $$'product_id'$$, $$'kind'$$, $$'at'$$, $$'rank'$$, $$'value'$$,
    $$'User Id'$$, $$'ïtem''id'$$, $$'ctid'$$, $$'tableoid'$$, $$'none'$$, $$repeat('x', 63)$$, $$'a";b'$$, $$'public'$$, $$'pg_catalog'$$, $$'gnnrec'$$, $$'monkey_shop'$$,
    $$'monkey_room'$$]);
INSERT INTO nasty SELECT 'regclass', unnest(ARRAY['NULL', '0', '4294967295', $$'events'$$, $$'word_events'$$, $$'nothing'$$, $$'nulls'$$, $$'parts'$$, $$'failing'$$,
    $$'endless'$$, $$'asking'$$, $$'unfilled'$$, $$'"odd ""name; DROP TABLE events --"'$$, $$'pg_class'$$, $$'pg_class_oid_index'$$, $$'gnnrec.model_model_id_seq'$$,
    $$'gnnrec.run'$$, $$'gnnrec.models'$$, $$'monkey_shop.item_embedding'$$, $$'monkey_words.user_embedding'$$]);
INSERT INTO nasty SELECT 'interval', unnest(ARRAY['NULL', $$'0'$$, $$'-1 day'$$, $$'1 microsecond'$$, $$'7 days'$$, $$'1 mon -30 days'$$, $$'178000000 years'$$, $$'-178000000 years'$$]);
INSERT INTO nasty SELECT 'timestamp with time zone', unnest(ARRAY['NULL', $$'infinity'$$, $$'-infinity'$$, $$'4713-01-01 BC'$$, $$'294276-12-31'$$, $$'2020-01-01'$$, 'now()']);
INSERT INTO nasty SELECT 'jsonb', unnest(ARRAY['NULL', $$'null'$$, $$'{}'$$, $$'[]'$$, $$'1'$$, $$'"x"'$$, $$'[{"dim": 1}]'$$, $$'{"dim": 0}'$$, $$'{"dim": 1e400}'$$, $$'{"dim": -1e-400}'$$,
    $$'{"dim": 1.5}'$$, $$'{"dim": "8"}'$$, $$'{"dim": null}'$$, $$'{"dim": {}}'$$, $$'{"dim": [8]}'$$, $$'{"model": 1}'$$, $$'{"model": "none"}'$$, $$'{"model": "gcn", "dim": 8}'$$,
    $$'{"seed": 9007199254740993}'$$, $$'{"": 1}'$$, $$'{"dim": 8, "steps": 3}'$$, $$'{"steps": 100000, "dim": 1024, "layers": 8}'$$, $$'{"view": 1, "buy": 1e308}'$$, $$'{"view": -1e999}'$$,
    $$'{"view": 1}'$$, $$'{"view": "1"}'$$, $$'{"ユーザー\"''": 1}'$$, $$(repeat('[', 1000) || repeat(']', 1000))$$, $$(repeat('{"dim":', 500) || '1' || repeat('}', 500))$$,
    $$(SELECT jsonb_object_agg(n, n) FROM generate_series(1, 2000) n)$$]);
INSERT INTO nasty SELECT 'gnnrec.embedding', unnest(ARRAY['NULL', $$'[0]'$$, $$'[1,2,3]'$$, $$'[-1,0,1]'$$, $$'[3.4e38,3.4e38,-3.4e38]'$$, $$'[1e-45]'$$, $$array_fill(1::real, ARRAY[16000])$$,
    $$array_fill(3e38::real, ARRAY[16])$$, $$(SELECT embedding FROM monkey_shop.item_embedding LIMIT 1)$$]);
-- arrays: of one value, of some, empty, with NULL, of two dimensions, from elsewhere than 1, long
INSERT INTO nasty SELECT array_type, v FROM (SELECT t.typarray::regtype, n.value FROM nasty n JOIN pg_type t ON t.oid = n.type
        WHERE n.type IN ('integer'::regtype, 'bigint'::regtype, 'text'::regtype, 'uuid'::regtype, 'real'::regtype, 'double precision'::regtype, 'numeric'::regtype, 'cstring'::regtype)
          AND n.value NOT LIKE '%100000%') e(array_type, value),
    LATERAL (VALUES (format('ARRAY[%s]', value)), (format('ARRAY[%s, %s]', value, value)), ('''{}''')) w(v);
INSERT INTO nasty SELECT DISTINCT type, v FROM nasty, LATERAL (VALUES ('NULL'), ('''{NULL}'''), ('''{1,NULL,2}'''), ('''{{1,2},{3,4}}'''), ('''[-3:-2]={1,2}'''), ('''{-1,0,1,2,3}''')) w(v)
    WHERE type::text LIKE '%[]' AND NOT (type = 'uuid[]'::regtype AND v LIKE '%1%');
INSERT INTO nasty SELECT type, v FROM (VALUES ('integer[]'::regtype, 'ARRAY(SELECT generate_series(-5, 20000))'), ('bigint[]', 'ARRAY(SELECT generate_series(1, 20000))'),
    ('real[]', 'array_fill(1::real, ARRAY[20001])'), ('double precision[]', $$array_fill('NaN'::float8, ARRAY[70])$$), ('text[]', $$ARRAY(SELECT 'word ' || g FROM generate_series(1, 100) g)$$),
    ('text[]', $$'{half_life}'$$), ('text[]', $$'{view,buy}'$$), ('uuid[]', 'ARRAY(SELECT item FROM word_events)'), ('double precision[]', $$'{2,1,1}'$$), ('double precision[]', $$'{0}'$$)) w(type, v);

CREATE TABLE likely (argument name, type regtype, value text);
INSERT INTO likely SELECT NULL, 'integer', unnest(ARRAY['1', '10', '59', 'NULL']);
INSERT INTO likely SELECT NULL, 'bigint', unnest(ARRAY['1', '10']);
INSERT INTO likely SELECT NULL, 'text', unnest(ARRAY[$$'word 7'$$, $$'7'$$]);
INSERT INTO likely SELECT NULL, 'uuid', unnest(ARRAY['(SELECT min(item::text) FROM word_events)', '(SELECT max(item::text) FROM word_events)']);
INSERT INTO likely SELECT NULL, type, 'NULL' FROM unnest('{name,jsonb,interval,timestamptz,text[],integer[],uuid[],real[],real}'::regtype[]) type;
INSERT INTO likely SELECT NULL, 'integer[]', unnest(ARRAY['ARRAY(SELECT generate_series(1, 30))', '''{3,1,2}''']);
INSERT INTO likely SELECT NULL, 'text[]', $$'{word 7,word 8}'$$;
INSERT INTO likely SELECT NULL, 'uuid[]', 'ARRAY(SELECT item FROM word_events)';
INSERT INTO likely SELECT NULL, 'regclass', $$'events'$$;
INSERT INTO likely SELECT NULL, 'real', '0.5';
INSERT INTO likely SELECT NULL, 'gnnrec.embedding', unnest(ARRAY[$$'[1,2,3]'$$, $$'[0,-1,0.5]'$$]);
INSERT INTO likely SELECT 'model', 'text', unnest(ARRAY[$$'monkey_shop'$$, $$'monkey_shop'$$, $$'monkey_words'$$]);
INSERT INTO likely SELECT 'model', 'regclass', unnest(ARRAY[$$'monkey_shop.item_embedding'$$, $$'monkey_shop.item_embedding'$$, $$'monkey_words.item_embedding'$$]);
INSERT INTO likely SELECT 'run_id', 'bigint', $$(SELECT live_run FROM gnnrec.models WHERE name = 'monkey_shop')$$;
INSERT INTO likely VALUES ('user_column', 'name', $$'user_id'$$), ('item_column', 'name', $$'product_id'$$), ('rank_column', 'name', $$'rank'$$), ('recs', 'regclass', $$'ranked'$$),
    ('schema', 'name', $$'monkey_room'$$), ('keep_runs', 'integer', '2'), ('node_type', 'text', $$'item'$$), ('node_type', 'text', $$'user'$$),
    ('if_running', 'text', $$'skip'$$), ('user_vectors', 'text', $$'trained'$$), ('user_vectors', 'text', $$'folded'$$), ('params', 'jsonb', $$'{"dim": 8}'$$),
    ('new_name', 'text', 'NULL'), ('status', 'text', $$'running'$$),
    ('behaviours', 'text', $$'merged'$$), ('target_event', 'text', 'NULL'), ('items', 'regclass', 'NULL'), ('users', 'regclass', 'NULL'),
    ('relation', 'text', $$'another'$$), ('from_type', 'text', $$'user'$$), ('to_type', 'text', $$'item'$$), ('to_type', 'text', $$'maker'$$),
    ('column_name', 'name', $$'shelf'$$), ('column_name', 'name', $$'title'$$), ('kind', 'text', $$'category'$$), ('size', 'integer', '10'),
    ('from_column', 'name', $$'user_id'$$), ('to_column', 'name', $$'product_id'$$), ('weight', 'real', '2');
