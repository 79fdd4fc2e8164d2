#!/bin/sh
# word_count counts what tr, sort and uniq -c count, names a file that can't be read, and still counts the others.
. "$(dirname "$0")/common.sh"

mkdir "$scratch/texts"
printf 'no newline at the end' >"$scratch/texts/open_end"
printf 'the end is not joined to' >"$scratch/texts/open_end_too"
printf "one\000two\377three isn't 4four4\r\n" >"$scratch/texts/odd_bytes"
: >"$scratch/texts/empty"
# Words on both sides of every border between two blocks, and one word that is longer than a block.
awk 'BEGIN { for (n = 0; n < 120000; ++n) printf "%s%c", (n % 7 ? "river" : "Water"), (n % 11 ? 32 : 10) }' \
    >"$scratch/texts/long"
awk 'BEGIN { for (n = 0; n < 70000; ++n) printf "sluice"; print " gate" }' >"$scratch/texts/long_word"
find "$root/include" "$root/examples" -type f >"$scratch/names"
find "$scratch/texts" -type f >>"$scratch/names"

# usage: expected_counts <NAMES
expected_counts() {
    while read -r name; do
        tr -cs 'A-Za-z' '\n' <"$name" | tr 'A-Z' 'a-z'
        echo
    done | grep . | sort | uniq -c | awk '{ print $1, $2 }' | sort
}
# usage: actual_counts <OUTPUT, without the last line, which is the summary
actual_counts() { sed '$d' | awk '{ print $1, $2 }' | sort; }

set --
while read -r name; do
    set -- "$@" "$name"
done <"$scratch/names"
expected_counts <"$scratch/names" >"$scratch/expected"
for workers in 1 3; do
    "$program" --top 0 --workers "$workers" "$@" >"$scratch/output"
    actual_counts <"$scratch/output" >"$scratch/actual"
    same "$scratch/expected" "$scratch/actual" "the counts of $workers workers differ from those of uniq -c"
done
tail -n 1 "$scratch/output" | grep -q ' MB/s$' || fail "the rate is missing"
sed '$d' "$scratch/output" | sort -c -k1,1nr -k2,2 || fail "the most frequent words do not come first"
[ "$("$program" --top 3 "$scratch/texts/long" | wc -l)" -eq 3 ] || fail "two words and a summary were expected"

status 1 "$program" --top 0 "$scratch/absent" "$scratch/texts/open_end" "$scratch/texts"
grep -q "^word_count: $scratch/absent: No such file" "$scratch/err" || fail "the absent file was not named"
is_folder="Is a directory"
if $windows; then is_folder="Permission denied"; fi
grep -q "^word_count: $scratch/texts: $is_folder" "$scratch/err" || fail "the folder was not named"
echo "$scratch/texts/open_end" | expected_counts >"$scratch/expected"
actual_counts <"$scratch/out" >"$scratch/actual"
same "$scratch/expected" "$scratch/actual" "the file that can be read was not counted"

status 0 "$program"
[ "$(wc -l <"$scratch/out")" -eq 11 ] || fail "ten words of this repository were expected"
[ ! -s "$scratch/err" ] || fail "progress was shown where there is no terminal"
