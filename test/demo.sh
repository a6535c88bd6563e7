#!/usr/bin/env bash
# demo.sh: `make demo`: a shop, trained and served, from a throw-away server that is gone afterwards.
set -u
. "$(dirname "$0")/cluster.sh"

need demo
cluster_make
cluster_start
as_owner createdb shop
run_job become 600 psql -X -q -d shop -f test/demo/demo.sql || {
    status=$?
    tail -n 40 "$place/server.log" >&2
    exit $status
}
