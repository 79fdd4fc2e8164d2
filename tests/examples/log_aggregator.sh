#!/bin/sh
# log_aggregator, when a signal stops it, has written every record that was logged and says so.
. "$(dirname "$0")/common.sh"

for signal in INT TERM; do
    mkfifo "$scratch/output"
    "$program" --records 1000000 >"$scratch/output" &
    writer=$!
    {
        read -r first # the threads are at work now
        kill -s "$signal" "$writer"
        cat >"$scratch/rest"
    } <"$scratch/output"
    wait "$writer" || fail "the program ended with status $? after SIG$signal"
    grep -q '^stopped: \([0-9]*\) records logged, \1 written in' "$scratch/rest" || fail "not all records were written"
    rm "$scratch/output"
done
