-- wrappers.sql: functions for SQLsmith, which calls those that return one value of a type it knows, and makes arguments of such types
-- from columns: f_1(...) for each function of gnnrec and of the models that returns rows or is polymorphic, and a table of values.
-- In the current schema, with models.sql and nasty.sql in it.

CREATE FUNCTION concrete(type regtype, element regtype) RETURNS regtype LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN type IN ('anyelement', 'anycompatible') THEN element
                WHEN type IN ('anyarray', 'anycompatiblearray') THEN (element || '[]')::regtype
                ELSE type END $$;

SELECT format('CREATE FUNCTION %I(%s) RETURNS text LANGUAGE sql AS %L', proname || '_' || row_number() OVER (PARTITION BY proname ORDER BY p.oid, element),
              args.types, format('SELECT string_agg(r::text, '' '') FROM %s(%s) r', p.oid::regproc, args.numbers))
FROM pg_proc p, unnest('{int,text,uuid}'::regtype[]) element,
     LATERAL (SELECT string_agg(concrete(type, element)::text, ', ' ORDER BY n), string_agg('$' || n, ', ' ORDER BY n)
              FROM unnest(proargtypes::regtype[]) WITH ORDINALITY t(type, n)) args(types, numbers)
WHERE pronamespace IN ('gnnrec'::regnamespace, 'monkey_shop'::regnamespace, 'monkey_words'::regnamespace)
  AND prorettype <> 'event_trigger'::regtype AND (proretset OR EXISTS (SELECT FROM unnest(proargtypes) type WHERE type::regtype::text LIKE 'any%'))
  AND (element = 'int'::regtype OR EXISTS (SELECT FROM unnest(proargtypes) type WHERE type::regtype::text LIKE 'any%'))
\gexec

-- a column a type, the values of nasty and likely below one another
CREATE TABLE argument (n int PRIMARY KEY);
INSERT INTO argument SELECT generate_series(1, 60);
SELECT format('ALTER TABLE argument ADD COLUMN %I %s', 'of ' || type, type)
FROM (SELECT DISTINCT type FROM nasty WHERE type <> 'cstring'::regtype AND type <> 'cstring[]'::regtype ORDER BY 1) t
\gexec
SELECT format('UPDATE argument SET %I = (%s)::%s WHERE n %% %s = %s', 'of ' || type, value, type, count(*) OVER (PARTITION BY type),
              row_number() OVER (PARTITION BY type ORDER BY value) - 1)
FROM (SELECT type, value FROM nasty UNION ALL SELECT type, value FROM likely) v WHERE type <> 'cstring'::regtype AND type <> 'cstring[]'::regtype
\gexec
