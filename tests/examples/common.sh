# What the checks of example programs share: $program, $root, an empty folder $scratch, and how a check fails.
set -eu
export LC_ALL=C
program=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# same EXPECTED ACTUAL WHAT: the two files have the same content.
same() {
    cmp -s "$1" "$2" && return
    diff "$1" "$2" | head -n 20 >&2 || :
    fail "$3"
}

# status EXPECTED COMMAND...: runs the command with its output in $scratch/out and $scratch/err, and checks its exit status.
status() {
    expected=$1
    shift
    actual=0
    "$@" >"$scratch/out" 2>"$scratch/err" || actual=$?
    [ "$actual" -eq "$expected" ] || fail "'$*' ended with status $actual, not $expected: $(cat "$scratch/err")"
}

# stopped_by_signals OPTION REPORT WRONG: the program, which is given the option and works on without an end in sight, is stopped by
# SIGINT, and by SIGTERM, ends well, and says what matches REPORT; else it fails with WRONG.
stopped_by_signals() {
    for signal in INT TERM; do
        mkfifo "$scratch/output"
        "$program" "$1" 1000000 >"$scratch/output" &
        running=$!
        {
            read -r first # its threads are at work now
            kill -s "$signal" "$running"
            cat >"$scratch/rest"
        } <"$scratch/output"
        wait "$running" || fail "the program ended with status $? after SIG$signal"
        grep -q "$2" "$scratch/rest" || fail "$3"
        rm "$scratch/output"
    done
}
