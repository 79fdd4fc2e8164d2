#!/bin/sh
# parallel_grep prints what grep -rn prints, in the order of the names of the files, and ends with the same status.
. "$(dirname "$0")/common.sh"

tree=$scratch/tree
mkdir -p "$tree/b/deep/er" "$tree/a" "$tree/c.d" "$tree/empty"
printf 'needle\nhay\nneedle and hay\n' >"$tree/a/one"
printf 'hay\n\n  needle without an end of line' >"$tree/b/two"
printf 'a needle\000 in a binary file\n' >"$tree/b/binary"
printf 'needle\r\n\377 needle\n' >"$tree/b/deep/odd_bytes"
awk 'BEGIN { for (n = 0; n < 30000; ++n) print (n % 100 ? "hay" : "needle"), n }' >"$tree/b/deep/er/long"
: >"$tree/b/nothing"
printf 'a[b*c] needle.\n' >"$tree/c.d/symbols"
printf 'needle behind a space\n' >"$tree/c.d/name with spaces"
ln -s ../a/one "$tree/b/link"
ln -s ../a "$tree/b/link_to_folder"
cp -R "$root/include" "$root/examples" "$tree"

# usage: compare PATTERN PATH...: same lines and same status as grep; each path below is a folder or one of several.
compare() {
    expected_status=0
    grep -rnI -e "$@" >"$scratch/grep" 2>"$scratch/grep_errors" || expected_status=$?
    for workers in 1 4; do
        status "$expected_status" "$program" --workers "$workers" -- "$@"
        sort "$scratch/grep" >"$scratch/expected"
        sort "$scratch/out" >"$scratch/actual"
        same "$scratch/expected" "$scratch/actual" "the matches of '$*' differ from those of grep"
        sed 's/^grep: //' "$scratch/grep_errors" >"$scratch/expected"
        sed 's/^parallel_grep: //' "$scratch/err" >"$scratch/actual"
        same "$scratch/expected" "$scratch/actual" "the errors of '$*' differ from those of grep"
    done
}
for pattern in needle '^needle' 'n[eE]*dle' 'needle.$' '^$' '' 'a\[b\*c]' 'sluice::\(send\|recv\)' '-' '\<on_recv\>' \
    'no such text'; do
    compare "$pattern" "$tree"
done
compare needle "$tree/"
compare needle "$tree/a" "$tree/b" "$tree/c.d/symbols"
compare needle "$tree/a/one"
compare needle "$tree/b/link"
compare needle "$tree/b/binary"
compare needle "$tree/absent" "$tree/a"
compare 'no such text' "$tree/absent"
(cd "$tree" && compare needle . a)
if [ "$(id -u)" -ne 0 ]; then
    chmod 0 "$tree/a"
    chmod 0 "$tree/b/two"
    compare needle "$tree"
    chmod 700 "$tree/a"
    chmod 600 "$tree/b/two"
fi

find "$tree" -type f | tr / '\001' | sort | tr '\001' / >"$scratch/names"
while read -r name; do
    grep -nHI needle "$name" || :
done <"$scratch/names" >"$scratch/expected"
"$program" needle "$tree" >"$scratch/actual"
same "$scratch/expected" "$scratch/actual" "the matches are not in the order of the files"

status 2 "$program" '\(' "$tree"
[ "$(wc -l <"$scratch/err")" -eq 1 ] || fail "a bad pattern deserves one line"
