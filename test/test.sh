#!/usr/bin/env bash
# test.sh: `make test`: every test there is, and at the end one line: N passed, N failed.
#
# A stage is a command whose output is counted: TAP lines (layers, units, prove, pg_regress since 16) and the lines of
# the older pg_regress. A stage that fails without naming a test, or names none at all, counts as one failure. The
# stages that need a server are those of `make installcheck`, one at a time.
set -u
. "$(dirname "$0")/cluster.sh"

stage_seconds=1200
passed_line='^ok |^test .*\.\.\. ok '
failed_line='^not ok|^test .*\.\.\. (FAILED|failed)'
total_passed=0
total_failed=0

# what helps to understand a failure: the differences that pg_regress saw, or the output; of a long one what failed, and its end
explain()    # LOG
{
    local diffs
    diffs=$(find "$place/tree" -name regression.diffs -size +0)
    if [ -n "$diffs" ]; then
        cat "$diffs"
        rm -f "$diffs"
    else
        head -n -100 "$1" | grep -E "$failed_line"
        tail -n 100 "$1"
    fi
}

stage()    # NAME become|exec COMMAND...
{
    local name=$1 as=$2 log=$place/$1.log status=0 passed failed
    shift 2
    run_job "$as" $stage_seconds "$@" >"$log" 2>&1 || status=$?
    passed=$(grep -E "$passed_line" "$log" | grep -vicE '# *skip')
    failed=$(grep -cE "$failed_line" "$log")
    if [ "$failed" = 0 ] && { [ $status != 0 ] || [ "$passed" = 0 ]; }; then
        failed=1
        echo "not ok - $name: exit status $status after $passed tests" >>"$log"
    fi
    printf '%-12s %4d passed %4d failed\n' "$name" "$passed" "$failed"
    [ "$failed" = 0 ] || explain "$log"
    total_passed=$((total_passed + passed))
    total_failed=$((total_failed + failed))
}

# one stage of the Makefile's installcheck, in the copy of the tree, against the server of $place
installcheck()    # NAME VARIABLE=...: those that switch the other stages off
{
    local name=$1
    shift
    stage "$name" become make --no-print-directory installcheck PG_CONFIG="$bin/pg_config" "$@"
}

need test
# shellcheck disable=SC2046
want $(wanted)
cluster_make
stage layers exec make -s -C "$root" layercheck PG_CONFIG="$PG_CONFIG"
stage units exec make -s -C "$root/test/unit" check
if can_fuzz; then
    stage fuzz exec make -s -C "$root/test/fuzz" check PG_CONFIG="$PG_CONFIG" CLANG="$CLANG" SECONDS=10
else
    echo "fuzz         skipped: there is no clang with libFuzzer, and apt has none"
fi
cluster_start
installcheck regress ISOLATION= TAP_TESTS=
installcheck isolation REGRESS= TAP_TESTS=
stage demo become bash -c 'createdb shop && psql -X -q -d shop -f test/demo/demo.sql && echo "ok - the demo runs to its end"'
# TAP tests may bring a process down, and have servers and logs of their own. The others may not.
stage crashes exec awk '/PANIC|TRAP:|was terminated by signal/ { print; n++ }
    END { print (n ? "not ok" : "ok") " - the server did not crash"; exit n > 0 }' "$place/server.log"
installcheck tap REGRESS= ISOLATION= PROVE_FLAGS=--verbose

if [ $total_failed != 0 ]; then
    find "$place/server.log" "$place/tree/tmp_check/log" -name '*.log' 2>/dev/null | xargs tail -n 40
fi
echo "$total_passed passed, $total_failed failed"
[ $total_failed = 0 ]
