#!/bin/sh
# run.sh BUILD SECONDS SEED TARGET: one target for so many seconds; a line of TAP, and what libFuzzer said where it failed.
build=$1 seconds=$2 seed=$3 target=$4
mkdir -p "$build/corpus/$target"
log=$build/$target.log
if "$build/$target" -max_total_time="$seconds" -seed="$seed" -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 \
    -artifact_prefix="$build/$target-" "$build/corpus/$target" "corpus/$target" >"$log" 2>&1; then
    echo "ok - fuzz $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
else
    # one write, so that two targets do not mix
    printf '%s\nnot ok - fuzz %s\n' "$(tail -n 60 "$log" | sed 's/^/# /')" "$target"
    exit 1
fi
