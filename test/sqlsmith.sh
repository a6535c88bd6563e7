#!/usr/bin/env bash
# sqlsmith.sh: `make sqlsmith MINUTES=60 SEED=1`: random queries, by SQLsmith, over everything gnnrec has.
#
# SQLsmith asks as an ordinary role that owns two small models, and rolls back what it did. At the end one line for each of
# these: no server process went down, no error was an internal one of ours (XX000), nothing has changed.
# It calls only functions that return one value: test/fuzz/wrappers.sql makes such ones of the others.
set -u
. "$(dirname "$0")/cluster.sh"

: "${MINUTES:=60}" "${SEED:=1}"

if ! command -v sqlsmith >/dev/null; then
    echo "SQLsmith is missing: apt-get install sqlsmith" >&2
    exit 1
fi

as_smith()    # COMMAND...
{
    PGUSER=smith as_owner "$@"
}

check()    # COMMAND... WHAT: the command prints nothing
{
    local what=${!#} found
    found=$("${@:1:$#-1}")
    if [ -z "$found" ]; then
        echo "ok - $what"
    else
        printf 'not ok - %s\n%s\n' "$what" "$found"
        status=1
    fi
}

# what the server logged of ours with SQLSTATE XX000: the lines where it says which file it was
internal_errors()
{
    cd "$root" || return
    grep -A 10 -E 'ERROR:  XX000' "$place/server.log" | grep -E 'ERROR:  XX000|LOCATION: ' |
        awk '/ERROR:/ { error = $0; next }
            { split($NF, at, ":"); if (system("ls src/*/" at[1] " >/dev/null 2>&1") == 0) print error, $NF }' |
        sort | uniq -c
}

crashes()
{
    grep -E 'PANIC|TRAP:|was terminated by signal|crash of another' "$place/server.log"
}

# the seeds follow one another: SQLsmith ends when it loses a connection
smith()
{
    local end=$((SECONDS + MINUTES * 60)) left target="host=$place dbname=smith user=smith"
    for ((seed = SEED; (left = end - SECONDS) > 0; seed++)); do
        run_job become "$left" nice sqlsmith --target="$target" --seed="$seed" >>"$place/smith.log" 2>&1
    done
}

need test
cluster_make
cluster_start
as_owner tee -a "$place/data/postgresql.conf" >/dev/null <<-CONF
	log_error_verbosity = verbose
	restart_after_crash = on
	statement_timeout = 2s
	track_functions = all
CONF
as_owner pg_ctl -D "$place/data" -s reload
as_owner psql -X -q -v ON_ERROR_STOP=1 <<-SQL || exit
	CREATE ROLE smith LOGIN;
	CREATE DATABASE smith OWNER smith;
	\connect smith
	CREATE EXTENSION gnnrec;
	CREATE SCHEMA smith AUTHORIZATION smith;
	ALTER DATABASE smith SET search_path = smith, monkey_shop, monkey_words, gnnrec;
SQL
as_smith psql -X -q -v ON_ERROR_STOP=1 -d smith -o /dev/null \
    -f test/fuzz/models.sql -f test/fuzz/nasty.sql -f test/fuzz/wrappers.sql || exit
as_owner psql -X -q -v ON_ERROR_STOP=1 -d smith -f test/fuzz/state.sql || exit

smith

as_owner psql -X -q -A -t -d smith -c "SELECT format('%s calls of %s functions of gnnrec and the models', sum(calls), count(*))
    FROM pg_stat_user_functions WHERE schemaname <> 'smith'"
status=0
check crashes "no server process went down"
check internal_errors "no internal error came from gnnrec"
check as_owner psql -X -q -A -t -d smith -c 'SELECT * FROM changed' "nothing has changed"
exit $status
