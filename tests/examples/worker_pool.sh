#!/bin/sh
# worker_pool, when a signal stops it, has done every job that it accepted and says so.
. "$(dirname "$0")/common.sh"

for signal in INT TERM; do
    mkfifo "$scratch/output"
    "$program" --jobs 1000000 >"$scratch/output" &
    pool=$!
    {
        read -r first # the pool is at work now
        kill -s "$signal" "$pool"
        cat >"$scratch/rest"
    } <"$scratch/output"
    wait "$pool" || fail "the pool ended with status $? after SIG$signal"
    grep -q '^stopped: \([0-9]*\) jobs accepted, \1 done$' "$scratch/rest" || fail "not all accepted jobs were done"
    rm "$scratch/output"
done
