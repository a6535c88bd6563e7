-- The model that everybody asks while it changes: 400 users, 150 items, two kept runs. A training takes a moment.
CREATE EXTENSION IF NOT EXISTS gnnrec;
CREATE TABLE busy_rows AS
    SELECT u AS user_id, (u % 3 * 50 + (u * 7 + n * 11) % 50) AS item_id FROM generate_series(1, 400) u, generate_series(1, 8) n;
SELECT gnnrec.create_model('busy', 'busy_rows', params => '{"dim": 16, "negatives": 64}');
CALL gnnrec.retrain('busy', '{"steps": 2}');

-- Whether a row of an answer is of the run that is live for the query that asked. Another run's vectors make other scores.
CREATE FUNCTION is_live(run bigint, u int, i int, score real) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT count(*) = 1 AND bool_and(abs(score + (a.embedding OPERATOR(gnnrec.<#>) b.embedding)) < 1e-5 * (1 + abs(score)))
    FROM busy.user_embedding a JOIN busy.item_embedding b USING (run_id) WHERE run_id = run AND user_id = u AND item_id = i $$;

-- an ERROR unless it is so
CREATE FUNCTION demand(holds boolean, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF holds IS NOT TRUE THEN
        RAISE EXCEPTION '%', what;
    END IF;
END $$;
