#!/bin/sh
# conway does to its input what sed, tr and fold do.
. "$(dirname "$0")/common.sh"

printf '%s\n' 'a**b' '*' '*' '***' '****' 'x*y' '' 'no end of line: *' >"$scratch/stars"
for file in "$scratch/stars" "$root/examples/conway.cpp" "$root/LICENSE"; do
    for width in 1 7 125; do
        sed 's/$/ /' "$file" | tr -d '\n' | sed 's/\*\*/^/g' | fold -w "$width" >"$scratch/folded"
        awk -v "width=$width" '{ printf "%-" width "s\n", $0 }' "$scratch/folded" >"$scratch/expected"
        "$program" --width "$width" <"$file" >"$scratch/actual"
        same "$scratch/expected" "$scratch/actual" "$file is wrong in lines of $width"
    done
done
"$program" "$scratch/stars" | grep -q '^a^b \* \* ^\* ^^ x\*y' || fail "the pairs of asterisks were not squeezed"

status 1 "$program" "$scratch/absent"
grep -q "^conway: $scratch/absent: No such file" "$scratch/err" || fail "the absent file was not named"
