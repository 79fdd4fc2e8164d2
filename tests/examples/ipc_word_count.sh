#!/bin/sh
# ipc_word_count counts by processes what word_count counts by threads.
. "$(dirname "$0")/common.sh"

# Words on both sides of every border between two blocks, one that is longer than a block, and bytes that are no text.
awk 'BEGIN { for (n = 0; n < 60000; ++n) printf "%s%c", (n % 7 ? "river" : "Water"), (n % 11 ? 32 : 10) }' \
    >"$scratch/long"
awk 'BEGIN { for (n = 0; n < 20000; ++n) printf "sluice"; print " gate" }' >"$scratch/long_word"
printf "one\000two\377three isn't 4four4\r\n" >"$scratch/odd_bytes"
: >"$scratch/empty"
set -- "$scratch/long" "$scratch/long_word" "$scratch/odd_bytes" "$scratch/empty" "$root"/examples/*.cpp

counts() { grep '^ *[0-9][0-9]* [a-z][a-z]*$'; }

"$(command_for "$(dirname "$built")/word_count")" --top 0 "$@" | counts >"$scratch/expected"
[ -s "$scratch/expected" ] || fail "word_count counted nothing"
for workers in 1 3; do
    "$program" --top 0 --workers "$workers" "$@" | counts >"$scratch/actual"
    same "$scratch/expected" "$scratch/actual" "$workers processes count other than threads"
done
