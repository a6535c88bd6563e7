#!/usr/bin/env bash
# layercheck.sh: `make layercheck`: the rules of the house that no compiler knows, one TAP line each.
#
# Sources: src/ of the current directory. Symbols: what was built of it, build/ and the two libraries.
set -u
: "${PG_CONFIG:=pg_config}"
failed=0

if [ ! -f gnnrec.so ] || [ ! -f gnnrec_train.so ]; then
    echo "layercheck.sh: build first, and call it from where it was built" >&2
    exit 1
fi

# A rule is broken when its check prints something.
rule()    # WHAT COMMAND...
{
    local what=$1 found
    shift
    found=$("$@")
    if [ -z "$found" ]; then
        echo "ok - $what"
    else
        echo "not ok - $what"
        printf '%s\n' "$found" | sed 's/^/# /'
        failed=1
    fi
}

sources()
{
    find src -name '*.[ch]' | sort
}

# Every include: its place, the layer of the file (top: in src/ itself), the layer it names (-: none), " or <, the path.
includes()
{
    sources | xargs awk '
        BEGIN { split("core model train pg api", names); for (i in names) layer[names[i]] }
        /^[ \t]*#[ \t]*include/ && match($0, /["<][^">]+/) {
            kind = substr($0, RSTART, 1); path = substr($0, RSTART + 1, RLENGTH - 1)
            split(FILENAME, from, "/"); split(path, to, "/")
            print FILENAME ":" FNR, (from[2] in layer ? from[2] : "top"), (to[1] in layer ? to[1] : "-"), kind, path
        }'
}

upward_includes()
{
    includes | awk '
        BEGIN { n = split("core model train pg api top", names); for (i = 1; i <= n; i++) rank[names[i]] = i }
        $3 in rank && rank[$3] > rank[$2] { print $1 ": " $5 }'
}

# by its name in <>, or without a layer in ""
server_includes_of_pure_layers()
{
    local server place from to kind path
    server=$("$PG_CONFIG" --includedir-server)
    includes | while read -r place from to kind path; do
        [[ $from =~ ^(core|model|train)$ && $to = - ]] || continue
        if [ "$kind" = '"' ] || [ -e "$server/$path" ]; then
            echo "$place: $path"
        fi
    done
}

sql_functions_outside_api()
{
    sources | grep -v '^src/api/' | xargs grep -n 'PG_FUNCTION_INFO_V1'
}

# it marks what the server looks up by name and SQL does not: the worker's entry, the module's start
exports_outside_pg()
{
    sources | grep -vE '^src/(pg/)?[^/]*$' | xargs -r grep -n 'PGDLLEXPORT'
}

# global names these objects define that do not match
names_other_than()    # PATTERN OBJECT-OR-DIRECTORY...
{
    local pattern=$1
    shift
    find "$@" -name '*.o' -exec nm -A --extern-only --defined-only {} + 2>&1 |
        awk -v ok="^($pattern)$" '$NF !~ ok { print $1 " " $NF }'
}

exports()    # LIBRARY
{
    nm -D --extern-only --defined-only "$1" | awk '{ print $NF }'
}

exports_other_than()    # PATTERN LIBRARY
{
    exports "$2" | grep -vxE "$1"
}

exports_but_the_entry()
{
    diff <(exports gnnrec_train.so) <(echo gnn_train_main)
}

links_to()    # PATTERN LIBRARY
{
    readelf -d "$2" | grep NEEDED | grep -E "$1"
}

server_names='gnnrec_.*|pg_finfo_gnnrec_.*|_PG_init|_PG_fini|Pg_magic_func'

rule 'includes point one way: api, pg, train, model, core' upward_includes
rule 'core, model and train include no header of the server' server_includes_of_pure_layers
rule 'SQL-callable functions live in api' sql_functions_outside_api
rule 'only pg and the module itself mark what the server looks up' exports_outside_pg
rule 'names of core, model and train begin with gnn_' names_other_than 'gnn_.*' build/train
rule 'names of pg, api and the module begin with gnnrec_' names_other_than "$server_names" \
    build/server/*.o build/server/pg build/server/api
rule 'gnnrec.so exports names of the server side only' exports_other_than "$server_names" gnnrec.so
rule 'gnnrec.so has neither BLAS nor threads' links_to 'blas|libgomp|pthread' gnnrec.so
rule 'gnnrec_train.so exports its entry alone' exports_but_the_entry
exit $failed
