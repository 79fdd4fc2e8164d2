#!/bin/sh
# co_pipeline does what tr and cat do, with one line or many, also where there are none.
. "$(dirname "$0")/common.sh"

: >"$scratch/empty"
printf '\n\n\nOne\n\n\nTwo\n' >"$scratch/short"
cat "$root"/include/sluice/*.hpp >"$scratch/long"
for file in "$scratch/empty" "$scratch/short" "$root/LICENSE" "$scratch/long"; do
    tr A-Z a-z <"$file" | cat -s | cat -n >"$scratch/expected"
    "$program" <"$file" >"$scratch/lines"
    same "$scratch/expected" "$scratch/lines" "the lines of $file are not those of tr and cat"
done
