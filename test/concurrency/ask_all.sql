-- so is everybody's, read slowly
BEGIN;
DECLARE everybody CURSOR FOR
    SELECT demand(is_live(live_run, user_id, item_id, score), 'recommend_all')
    FROM busy.recommend_all(2), gnnrec.model WHERE name = 'busy';
FETCH 300 FROM everybody;
\sleep 50 ms
FETCH ALL FROM everybody;
COMMIT;
