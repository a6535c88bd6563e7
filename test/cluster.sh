# shellcheck shell=bash
# cluster.sh: a throw-away PostgreSQL server with this build of gnnrec in it. Sourced.
#
#   cluster_make         builds, and makes $place: pg/ (a copy of the server, gnnrec installed in it), tree/ (what tests read)
#   cluster_start        a new data directory and a server on the private socket of $place; PGHOST and PGUSER point to it
#   as_owner COMMAND...  runs as the user the server belongs to, in tree/, with the copy's programs first in PATH
#   run_job become|exec SECONDS COMMAND...  for what takes long: ends with this script, or after so many seconds
#
# PostgreSQL finds its files relative to its programs, so a copy of its directories is a whole server, and nothing is
# installed into the real one: a normal user can do all this. The server does not run as root: then it, and the tests,
# run as another user, who may not be able to read this directory. So all that they need is copied to $place.
#
# Whatever ends the script (EXIT, HUP, INT, TERM), the job in the foreground, every server below $place and $place itself go.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
. "$root/test/needs.sh"

# the caller's make and client settings are not ours
unset MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES
for variable in ${!PG@}; do
    [ "$variable" = PG_CONFIG ] || unset "$variable"
done
unset variable
export LC_ALL=C PGCLIENTENCODING=UTF8

owner=$(id -un)
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 && owner=postgres || owner=nobody
fi

job=
place=

# this process becomes the command
become()
{
    cd "$place/tree" || exit
    export HOME=$place TMPDIR=$place/tmp PATH=$bin:$PATH
    if [ "$(id -un)" = "$owner" ]; then
        exec "$@"
    fi
    exec setpriv --reuid="$owner" --regid="$(id -g "$owner")" --init-groups "$@"
}

as_owner()
{
    (become "$@")
}

# Runs as the owner of the server (become) or as we are (exec), in the background, so that a signal to this script is
# not kept waiting; timeout gives it a process group of its own and passes the signal on.
run_job()    # become|exec SECONDS COMMAND...
{
    local as=$1
    shift
    $as timeout --kill-after=10 "$@" </dev/null &
    job=$!
    wait "$job"
    local status=$?
    job=
    return $status
}

build()
{
    make -s -C "$root" -j"$(nproc)" PG_CONFIG="$PG_CONFIG" all
}

copy_server()
{
    local dir
    for dir in --bindir --pkglibdir --sharedir; do
        dir=$("$PG_CONFIG" $dir)
        mkdir -p "$place/pg$dir"
        cp -R "$dir/." "$place/pg$dir"
    done
    make -s -C "$root" PG_CONFIG="$PG_CONFIG" DESTDIR="$place/pg" install
}

cluster_make()
{
    trap cluster_end EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    quietly "building" build
    place=$(mktemp -d "${TMPDIR:-/tmp}/gnnrec.XXXXXX") || exit
    bin=$place/pg$("$PG_CONFIG" --bindir)
    quietly "copying the server" copy_server
    mkdir "$place/tree" "$place/tmp"
    cp -R "$root"/{Makefile,*.control,sql,test} "$place/tree"
    [ ! -d "$root/expected" ] || cp -R "$root/expected" "$place/tree"
    chown -R "$owner" "$place"
}

cluster_start()
{
    quietly "initdb" as_owner initdb -D "$place/data" -U postgres -A trust -E UTF8 --no-locale -N
    as_owner tee -a "$place/data/postgresql.conf" >/dev/null <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$place'
		max_worker_processes = 16
		fsync = off
		shared_preload_libraries = ''
	CONF
    export PGHOST=$place PGUSER=postgres
    if ! as_owner pg_ctl -D "$place/data" -l "$place/server.log" -s -w start; then
        cat "$place/server.log" >&2
        exit 1
    fi
}

# every server below $place, those that a killed test left behind as well
stop_servers()
{
    local file
    find "$place" -name postmaster.pid | while read -r file; do
        as_owner pg_ctl -D "${file%/*}" -m immediate -s -w stop </dev/null
    done
}

cluster_end()
{
    trap '' HUP INT TERM
    [ -z "$job" ] || { kill "$job"; wait "$job"; } 2>/dev/null
    if [ -n "$place" ]; then
        stop_servers >/dev/null 2>&1
        rm -rf "$place"
    fi
}
