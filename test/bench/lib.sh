# lib.sh: what the benchmarks share: a throw-away server with data in it, and the figures of a run. Sourced.
. "$(dirname "${BASH_SOURCE[0]}")/../cluster.sh"

# the database `bench` with the extension, on a server of ordinary size
bench_start()
{
    need demo
    cluster_make
    cluster_start
    sql postgres -c "ALTER SYSTEM SET shared_buffers = '512MB'" -c "ALTER SYSTEM SET max_wal_size = '4GB'"
    as_owner pg_ctl -D "$place/data" -l "$place/server.log" -s -w restart
    as_owner createdb bench
    sql bench -c "CREATE EXTENSION gnnrec"
}

# psql, quiet, stops at the first error; rows as tab-separated values
sql()    # DATABASE ARGUMENT...
{
    local database=$1
    shift
    as_owner psql -X -q -A -t -F "$(printf '\t')" -v ON_ERROR_STOP=1 -d "$database" "$@"
}

# a table of two integer columns from a gzipped, tab-separated file with a header
load_pairs()    # TABLE FILE
{
    sql bench -c "CREATE TABLE $1 (user_id integer, item_id integer)"
    zcat "$2" | sql bench -c "COPY $1 FROM STDIN CSV HEADER DELIMITER E'\t'"
    sql bench -c "CREATE INDEX ON $1 (user_id)" -c "ANALYZE $1"
}

# trains and says what it took: seconds of each phase, megabytes
train()    # MODEL PARAMS [SETTING=VALUE...]
{
    local model=$1 params=$2 set="LOAD 'gnnrec';" setting
    shift 2
    for setting in "$@"; do
        set="$set SET ${setting%%=*} = '${setting#*=}';"
    done
    sql bench -c "$set" -c "CALL gnnrec.retrain('$model', '$params')" >/dev/null
}

# one line: read, fit, store, whole (seconds), peak memory (MB) of the newest run
cost()    # MODEL
{
    sql bench -c "SELECT metrics ->> 'read_seconds', metrics ->> 'fit_seconds', metrics ->> 'store_seconds',
                         round(extract(epoch FROM finished_at - requested_at), 1), peak_memory / 1048576
                  FROM gnnrec.run JOIN gnnrec.model USING (model_id) WHERE name = '$1' ORDER BY run_id DESC LIMIT 1"
}

# one line: recall@20 and ndcg@20
quality()    # MODEL TEST [trained|folded]
{
    sql bench -c "SELECT string_agg(round(value::numeric, 4)::text, E'\t' ORDER BY metric DESC)
                  FROM gnnrec.evaluate('$1', '$2', '{20}', '${3:-trained}') WHERE metric IN ('recall', 'ndcg')"
}

# the middle one of the numbers of stdin
median()
{
    sort -g | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }'
}

# milliseconds: the median call of a pgbench script, one client, prepared, and that of the first call of a new connection
latency()    # SCRIPT SECONDS
{
    printf '%s\n' "$1" >"$place/tmp/script.sql"
    chown "$owner" "$place/tmp/script.sql"
    as_owner pgbench -n -M prepared -c 1 -T "$2" -l --log-prefix="$place/tmp/latency" -f "$place/tmp/script.sql" bench >/dev/null 2>&1
    cat "$place"/tmp/latency.* | awk '{ print $3 / 1000 }' | median
    rm -f "$place"/tmp/latency.*
}

first_call()    # QUERY
{
    local i
    for i in 1 2 3 4 5 6 7 8 9 10 11; do
        as_owner psql -X -q -d bench -c '\timing on' -c "$1" | sed -n 's/^Time: \([0-9.]*\) ms.*/\1/p'
    done | median
}

line()    # LABEL TAB-SEPARATED VALUES...
{
    local label=$1
    shift
    printf '%-34s' "$label"
    printf '%s\t' "$@" | tr '\t' '\n' | sed '/^$/d' | while read -r value; do printf '%10s' "$value"; done
    printf '\n'
}
