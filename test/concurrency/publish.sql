-- publishes a run, which deletes the oldest, goes back to the one before it, and nearly so once more; one client at a time
\set seed random(1, 1000000)
SELECT pg_try_advisory_lock(1) AS mine \gset
\if :mine
CALL gnnrec.retrain('busy', '{"steps": 2, "seed": :seed}');
\sleep 100 ms
BEGIN;
SELECT gnnrec.rollback('busy') AS run \gset
SELECT demand(count(*) = 10 AND bool_and(is_live(:run, 7, item_id, score)), 'recommend after rollback()')
FROM busy.recommend(7, 10, fresh => false);
ROLLBACK;
SELECT gnnrec.rollback('busy');
\sleep 100 ms
SELECT pg_advisory_unlock(1);
\endif
