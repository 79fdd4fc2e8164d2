#!/bin/sh
# char_to_line gives back its input unchanged, from standard input and from a file, whatever the length of the lines.
. "$(dirname "$0")/common.sh"

: >"$scratch/empty"
printf 'a\n\n\nb' >"$scratch/open_end"
printf 'nul \000 and high \377\376 bytes\r\n' | as_text >"$scratch/odd_bytes"
cat "$root"/include/sluice/*.hpp "$built" | as_text | head -c 300000 >"$scratch/mixed"
for file in "$root/LICENSE" "$root/examples/char_to_line.cpp" "$scratch/empty" "$scratch/open_end" \
    "$scratch/odd_bytes" "$scratch/mixed"; do
    "$program" <"$file" >"$scratch/copy"
    same "$file" "$scratch/copy" "$file was changed on its way from standard input"
    for longest in 1 10 1000; do
        "$program" --maxline "$longest" "$file" >"$scratch/copy"
        same "$file" "$scratch/copy" "$file was changed with lines of at most $longest"
    done
done

status 1 "$program" "$scratch/absent"
grep -q "^char_to_line: $scratch/absent: No such file" "$scratch/err" || fail "the absent file was not named"
