-- one user's list is of one run, the one that is live
\set u random(1, 400)
SELECT demand(count(*) = 10 AND bool_and(is_live(live_run, :u, item_id, score)), 'recommend')
FROM gnnrec.model, busy.recommend(:u, 10, fresh => false) WHERE name = 'busy';
