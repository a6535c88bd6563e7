-- Everything the extension makes has a comment: no rows. What comes with something else is not of its making: types of
-- arrays and of the rows of tables, sequences of columns.
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS "without a comment"
FROM pg_depend d
JOIN pg_extension x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e'
JOIN pg_class catalog ON catalog.oid = d.classid
LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
LEFT JOIN pg_class rows ON rows.oid = t.typrelid
WHERE x.extname = 'gnnrec'
  AND obj_description(d.objid, catalog.relname) IS NULL
  AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)
  AND (rows.relkind IS NULL OR rows.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend part
                  WHERE part.classid = d.classid AND part.objid = d.objid AND part.objsubid = 0
                    AND part.refclassid = 'pg_class'::regclass AND part.refobjsubid > 0 AND part.deptype IN ('a', 'i'))
ORDER BY 1;

-- and nothing it makes is outside its schema, where there is one to be in
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS "outside the schema"
FROM pg_depend d
JOIN pg_extension x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid AND d.deptype = 'e'
CROSS JOIN pg_identify_object(d.classid, d.objid, d.objsubid) o
WHERE x.extname = 'gnnrec' AND o.schema <> 'gnnrec'
ORDER BY 1;
