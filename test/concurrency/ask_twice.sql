-- a transaction that keeps its snapshot keeps its run, whatever is published or deleted meanwhile
\set u random(1, 400)
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT live_run FROM gnnrec.model WHERE name = 'busy' \gset
\sleep 50 ms
SELECT demand(count(*) = 10 AND bool_and(is_live(:live_run, :u, item_id, score)), 'recommend in a transaction')
FROM busy.recommend(:u, 10, fresh => false);
COMMIT;
