-- What the files in sql/ share. Read with \i, ECHO none, after the file's own schema is first in search_path.

-- a number from 0 to below n, another one for another seed
CREATE FUNCTION pick(seed text, n int) RETURNS int LANGUAGE sql IMMUTABLE AS
    $$ SELECT ('x' || substr(md5(seed), 1, 6))::bit(24)::int % n $$;

-- vectors to fill tables with by hand: of halves from -1 to 1, so that scores are exact and there are ties, or of nothing
CREATE FUNCTION halves(seed text, dim int) RETURNS gnnrec.embedding LANGUAGE sql IMMUTABLE AS
    $$ SELECT array_agg((pick(seed || ' ' || c, 5) - 2) / 2.0 ORDER BY c)::gnnrec.embedding FROM generate_series(1, dim) c $$;
CREATE FUNCTION zeros(dim int) RETURNS gnnrec.embedding LANGUAGE sql IMMUTABLE AS
    $$ SELECT array_fill(0::real, ARRAY[dim])::gnnrec.embedding $$;

-- the run that such rows are of, of a model
CREATE FUNCTION add_run(run bigint, of_model text) RETURNS bigint LANGUAGE sql AS
    $$ INSERT INTO gnnrec.run (run_id, model_id, status, stored, params, trained_by, explainable)
       SELECT run, model_id, 'succeeded', true, '{}', 'hand', true FROM gnnrec.model WHERE name = of_model RETURNING run_id $$;

-- what a statement fails with
CREATE FUNCTION failure(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    code := 'none';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
                            detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
