-- Models are defined, changed and dropped; what is wrong is said.
SET client_min_messages = warning;
CREATE SCHEMA define_test;
SET search_path = define_test, public;

CREATE DOMAIN sku AS text CHECK (value <> '');
CREATE TABLE events (user_id bigint, product_id integer, kind text, amount numeric, at timestamptz, "Odd ""name" sku,
                     payload jsonb, ip inet);
CREATE VIEW events_view AS SELECT * FROM events;
CREATE MATERIALIZED VIEW events_mat AS SELECT * FROM events;
CREATE TABLE events_part (user_id uuid, item_id smallint) PARTITION BY LIST (item_id);
CREATE TABLE events_one PARTITION OF events_part FOR VALUES IN (1);
CREATE SEQUENCE not_a_table;

-- What is made: typed tables and functions in the model's schema.
SELECT gnnrec.create_model('shop', 'events', item_column => 'product_id');
\d shop.item_embedding
\d shop.user_embedding
SELECT p.proname, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result, p.provolatile,
       p.prosecdef, p.proconfig
FROM pg_proc p WHERE p.pronamespace = 'shop'::regnamespace ORDER BY 1;
SELECT count(*) AS without_comment FROM pg_proc p WHERE p.pronamespace = 'shop'::regnamespace
       AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT name, item_table, user_table, user_id_type, item_id_type, source, user_column, item_column, params, keep_runs, live_run,
       newest_run_state
FROM gnnrec.models WHERE name = 'shop';

-- All id types, a name that needs quotes, a schema that is there already, every kind of source.
CREATE SCHEMA "My Models";
SELECT gnnrec.create_model('Ünïcode "model"', 'events', item_column => 'Odd "name', schema => 'My Models',
    event_column => 'kind', event_weights => '{"view": 1, "buy": 5, "return": -1}', value_column => 'amount',
    time_column => 'at', half_life => '30 days', since => '2020-01-01 UTC', params => '{"dim": 16, "model": "gcn"}',
    keep_runs => 3);
SELECT gnnrec.create_model('part', 'events_part');
SELECT gnnrec.create_model('view', 'events_view', item_column => 'Odd "name', user_column => 'product_id');
SELECT gnnrec.create_model('mat', 'events_mat', item_column => 'product_id');
SELECT name, item_table, user_id_type, item_id_type, source, event_column, event_weights, value_column, time_column, half_life,
       since AT TIME ZONE 'UTC' AS since, params, keep_runs
FROM gnnrec.models WHERE name IN ('shop', 'part', 'view', 'mat', 'Ünïcode "model"') ORDER BY name COLLATE "C";

-- What is refused.
\set VERBOSITY default
SELECT gnnrec.create_model('shop', 'events', item_column => 'product_id');
SELECT gnnrec.create_model('', 'events', item_column => 'product_id');
SELECT gnnrec.create_model(repeat('x', 64), 'events', item_column => 'product_id');
SELECT gnnrec.create_model(NULL, 'events');
SELECT gnnrec.create_model('m', NULL);
SELECT gnnrec.create_model('define_test', 'events', item_column => 'product_id');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', schema => 'shop');
SELECT gnnrec.create_model('m', 'no_such_table');
SELECT gnnrec.create_model('m', 'not_a_table');
CREATE TEMP TABLE brief AS SELECT 1 AS user_id, 1 AS item_id;
SELECT gnnrec.create_model('m', 'brief', schema => 'public');
SELECT gnnrec.create_model('m', 'events');
SELECT gnnrec.create_model('m', 'events', item_column => 'payload');
SELECT gnnrec.create_model('m', 'events', item_column => 'ip');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', event_column => 'kind');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', event_weights => '{"view": 1}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', event_column => 'nope', event_weights => '{"view": 1}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', event_column => 'kind', event_weights => '[1]');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', event_column => 'kind',
                           event_weights => '{"view": "much"}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', event_column => 'kind',
                           event_weights => '{"view": 1e300}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', value_column => 'kind');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', time_column => 'kind');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', half_life => '1 day');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', since => 'yesterday');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', time_column => 'at', half_life => '-1 day');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', time_column => 'at', since => 'infinity');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', keep_runs => 0);
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '[]');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '{"dimension": 64}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '{"dim": 0}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '{"dim": "64"}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '{"model": "transformer"}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '{"model": 1}');
SELECT gnnrec.create_model('m', 'events', item_column => 'product_id', params => '{"seed": 1.5}');
-- and nothing of it is left
SELECT count(*) FROM gnnrec.model WHERE name = 'm' OR name = '';
SELECT count(*) FROM pg_namespace WHERE nspname = 'm';

-- A rollback takes all of a model along.
BEGIN;
SELECT gnnrec.create_model('gone', 'events', item_column => 'product_id');
ROLLBACK;
SELECT count(*) FROM gnnrec.models WHERE name = 'gone';

-- Changing: what is given changes, the rest stays; a null parameter is taken back; reset takes options away.
SELECT gnnrec.alter_model('shop', params => '{"dim": 32, "steps": 10}', keep_runs => 4);
SELECT gnnrec.alter_model('shop', params => '{"dim": null, "seed": 7}', event_column => 'kind', event_weights => '{"view": 1}',
                          time_column => 'at', half_life => '1 day');
SELECT params, keep_runs, event_column, event_weights, time_column, half_life FROM gnnrec.models WHERE name = 'shop';
SELECT gnnrec.alter_model('shop', reset => '{event_column,time_column,params}', source => 'events_view', new_name => 'store');
SELECT name, params, keep_runs, source, event_column, event_weights, time_column, half_life FROM gnnrec.models
WHERE name IN ('shop', 'store');
SELECT gnnrec.alter_model('store', params => '{"dim": 0}');
SELECT gnnrec.alter_model('store', source => 'events_part');
SELECT gnnrec.alter_model('store', item_column => 'user_id');
SELECT gnnrec.alter_model('store', reset => '{item_column}');
SELECT gnnrec.alter_model('store', new_name => 'view');
SELECT gnnrec.alter_model('shop', keep_runs => 1);

-- The parameters are documented where they are checked.
SELECT name, type, "default", allowed FROM gnnrec.parameters;
SELECT count(*) AS undocumented FROM gnnrec.parameters WHERE coalesce(description, '') = '';

-- So are the models and the losses: what is chosen from is what is listed, with the parameters that not every model looks at.
SELECT m.name, m.learning_rate, m.fold_in, m.explains, m.paper <> '' AND m.description <> '' AS documented,
    array(SELECT p.name FROM gnnrec.parameters p WHERE p.name = ANY (m.parameters)
          AND EXISTS (SELECT FROM gnnrec.models_available o WHERE p.name <> ALL (o.parameters))) AS not_all_have
    FROM gnnrec.models_available m;
SELECT name, negatives, reg_weight, contrast_weight, description <> '' AS documented FROM gnnrec.losses_available;
SELECT p.name FROM gnnrec.parameters p WHERE p.name = 'model' AND p.allowed = (SELECT string_agg(name, ', ')
                                                                               FROM gnnrec.models_available)
    OR p.name = 'loss' AND p.allowed = (SELECT string_agg(name, ', ') FROM gnnrec.losses_available);
SELECT p.name FROM gnnrec.parameters p WHERE p.name <> ALL (ARRAY(SELECT unnest(parameters) FROM gnnrec.models_available));

-- Untrained: said, not crashed.
SELECT * FROM shop.recommend(1);
SELECT gnnrec.wait('store');
SELECT gnnrec.rollback('store');
SELECT gnnrec.cancel('store');
SELECT gnnrec.cancel(999999);
SELECT part, bytes >= 0 AS counted FROM gnnrec.estimate('store');

-- Dropping: only what is the model's, not what depends on it.
CREATE VIEW shop.mine AS SELECT item_id FROM shop.item_embedding;
SELECT gnnrec.drop_model('store');
SELECT gnnrec.drop_model('store', cascade => true);
CREATE TABLE part.kept (a int);
SELECT gnnrec.drop_model('part');
SELECT gnnrec.drop_model('Ünïcode "model"');
SELECT nspname FROM pg_namespace WHERE nspname IN ('shop', 'part', 'My Models') ORDER BY 1;
-- tables or the schema dropped behind our back
DROP TABLE "view".item_embedding CASCADE;
SELECT gnnrec.drop_model('view');
DROP SCHEMA mat CASCADE;
SELECT gnnrec.drop_model('mat');
-- or the type of the ids, with what was made of it
CREATE DOMAIN short_lived AS text;
CREATE TABLE of_short_lived (user_id int, item_id short_lived);
SELECT gnnrec.create_model('of_short_lived', 'of_short_lived');
DROP DOMAIN short_lived CASCADE;
SELECT gnnrec.drop_model('of_short_lived');
SELECT count(*) AS schemas FROM pg_namespace WHERE nspname = 'of_short_lived';
CREATE DOMAIN short_lived AS int;
CREATE TABLE by_short_lived (user_id short_lived, item_id int);
SELECT gnnrec.create_model('by_short_lived', 'by_short_lived');
DROP DOMAIN short_lived CASCADE;
SELECT gnnrec.add_relation('by_short_lived', 'is', 'by_short_lived', 'item', 'item_id', 'thing', 'item_id');
SELECT gnnrec.drop_model('by_short_lived');
SET client_min_messages = notice;
SELECT gnnrec.drop_model('mat', if_exists => true);
SET client_min_messages = warning;
SELECT gnnrec.drop_model('mat');
SELECT count(*) FROM gnnrec.model WHERE name IN ('shop', 'store', 'part', 'view', 'mat', 'Ünïcode "model"');

DROP SCHEMA "My Models", part CASCADE;
DROP SCHEMA define_test CASCADE;
