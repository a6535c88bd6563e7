-- catalogue.sql: all there is to know of what an extension has made, a line each, in an order that does not depend on when it
-- was made: for comparing an upgraded extension with a fresh one. The variable `extension` names it; search_path is pg_catalog.
--
-- OIDs, column numbers of dropped columns and the order of creation are left out; all else that somebody could tell is in: objects,
-- definitions of functions, aggregates, operators, classes, casts, types and views, columns, constraints, indexes, policies,
-- triggers, sequences, owners, privileges, comments, and what a dump takes along.
SET search_path = pg_catalog;

CREATE TEMPORARY VIEW member AS
SELECT d.classid, d.objid, d.objsubid, pg_describe_object(d.classid, d.objid, d.objsubid) AS name
FROM pg_depend d JOIN pg_extension x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e'
WHERE x.extname = :'extension';

-- the relations that are members, and what belongs to them: indexes, sequences, toast tables are not members
CREATE TEMPORARY VIEW relation AS
SELECT m.name, c.* FROM member m JOIN pg_class c ON m.classid = 'pg_class'::regclass AND c.oid = m.objid;

CREATE TEMPORARY VIEW line(text) AS
SELECT 'version ' || extversion || ', schema ' || extnamespace::regnamespace || ', relocatable ' || extrelocatable
FROM pg_extension WHERE extname = :'extension'
UNION ALL
SELECT name || ' is there' FROM member
UNION ALL
SELECT name || ' comment ' || obj_description(objid, classid::regclass::text) FROM member
WHERE obj_description(objid, classid::regclass::text) IS NOT NULL
UNION ALL
-- functions and procedures, by their definition; aggregates have none
SELECT m.name || ' owner ' || p.proowner::regrole || ' acl ' || coalesce(p.proacl::text, '-') || ' '
       || CASE WHEN p.prokind = 'a' THEN (SELECT to_jsonb(a) - 'aggfnoid' FROM pg_aggregate a WHERE a.aggfnoid = p.oid)::text
          ELSE pg_get_functiondef(p.oid) || ' symbol ' || p.prosrc END
FROM member m JOIN pg_proc p ON m.classid = 'pg_proc'::regclass AND p.oid = m.objid
UNION ALL
SELECT m.name || ' ' || (to_jsonb(t) - '{oid,typrelid,typarray,typelem,typnamespace}'::text[])::text
FROM member m JOIN pg_type t ON m.classid = 'pg_type'::regclass AND t.oid = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', '', oprkind, oprcanmerge, oprcanhash, oprresult::regtype, oprcom::regoperator, oprnegate::regoperator,
                           oprcode::regprocedure, oprrest::regprocedure, oprjoin::regprocedure, oprowner::regrole)
FROM member m JOIN pg_operator o ON m.classid = 'pg_operator'::regclass AND o.oid = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', '', opcmethod, opcdefault, opcintype::regtype, opckeytype::regtype)
FROM member m JOIN pg_opclass c ON m.classid = 'pg_opclass'::regclass AND c.oid = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', ' operator', o.amopstrategy, o.amoppurpose, o.amopopr::regoperator)
FROM member m JOIN pg_amop o ON m.classid = 'pg_opfamily'::regclass AND o.amopfamily = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', ' function', p.amprocnum, p.amproc::regprocedure)
FROM member m JOIN pg_amproc p ON m.classid = 'pg_opfamily'::regclass AND p.amprocfamily = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', '', castfunc::regprocedure, castcontext, castmethod)
FROM member m JOIN pg_cast c ON m.classid = 'pg_cast'::regclass AND c.oid = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', '', evtevent, evtowner::regrole, evtfoid::regprocedure, evtenabled, evttags)
FROM member m JOIN pg_event_trigger e ON m.classid = 'pg_event_trigger'::regclass AND e.oid = m.objid
UNION ALL
SELECT m.name || concat_ws(' ', '', nspowner::regrole, nspacl)
FROM member m JOIN pg_namespace n ON m.classid = 'pg_namespace'::regclass AND n.oid = m.objid
UNION ALL
-- tables, views, sequences
SELECT name || concat_ws(' ', '', relkind, relpersistence, relowner::regrole, relacl, reloptions, relrowsecurity, relforcerowsecurity, relreplident)
FROM relation
UNION ALL
SELECT r.name || ' view ' || pg_get_viewdef(r.oid) FROM relation r WHERE relkind IN ('v', 'm')
UNION ALL
-- the place of a column counts: rows are read by it
SELECT r.name || ' column ' || a.attnum || ' ' || a.attname || ' '
       || concat_ws(' ', format_type(a.atttypid, a.atttypmod), a.attcollation::regcollation, a.attnotnull, a.attidentity, a.attgenerated, a.attstorage,
                    a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(r.oid, a.attnum))
FROM relation r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
     LEFT JOIN pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
UNION ALL
SELECT r.name || ' constraint ' || c.conname || ' ' || pg_get_constraintdef(c.oid) || coalesce(' ' || obj_description(c.oid, 'pg_constraint'), '')
FROM relation r JOIN pg_constraint c ON c.conrelid = r.oid
UNION ALL
SELECT r.name || ' index ' || pg_get_indexdef(i.indexrelid) FROM relation r JOIN pg_index i ON i.indrelid = r.oid
UNION ALL
SELECT r.name || ' trigger ' || pg_get_triggerdef(t.oid) FROM relation r JOIN pg_trigger t ON t.tgrelid = r.oid AND NOT t.tgisinternal
UNION ALL
SELECT r.name || ' policy ' || concat_ws(' ', p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[], pg_get_expr(p.polqual, r.oid),
                                         'check', pg_get_expr(p.polwithcheck, r.oid), obj_description(p.oid, 'pg_policy'))
FROM relation r JOIN pg_policy p ON p.polrelid = r.oid
UNION ALL
SELECT q.name || ' sequence ' || concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
FROM (SELECT * FROM relation
      UNION ALL
      SELECT 'sequence of ' || r.name, c.* FROM relation r
          JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid AND d.deptype IN ('a', 'i') AND d.classid = 'pg_class'::regclass
          JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S') q
     JOIN pg_sequence s ON s.seqrelid = q.oid
UNION ALL
-- what REVOKE and GRANT a dump starts from, and which rows it takes
SELECT m.name || concat_ws(' ', ' initially', p.privtype, p.initprivs)
FROM member m JOIN pg_init_privs p ON p.classoid = m.classid AND p.objoid = m.objid
UNION ALL
SELECT pg_describe_object('pg_class'::regclass, t, 0) || ' dumped ' || condition
FROM pg_extension x, unnest(x.extconfig, x.extcondition) c(t, condition) WHERE x.extname = :'extension';

SELECT text FROM line ORDER BY text COLLATE "C";
