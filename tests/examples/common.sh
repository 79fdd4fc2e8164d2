# What the checks of example programs share: $program, $root, an empty folder $scratch, and how a check fails. A check is given the
# path of the program and, where that is of another system, the words of the command that emulates it.
set -eu
export LC_ALL=C
built=$1
shift
emulator=$*
case $built in
    *.exe) windows=true ;;
    *) windows=false ;;
esac
root=$(cd "$(dirname "$0")/../.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# command_for PROGRAM: what runs it: itself, or a script that has it emulated. Lines from Windows then end as they do here.
command_for() {
    if [ -z "$emulator" ]; then
        echo "$1"
        return
    fi
    script=$scratch/$(basename "$1" .exe)
    if $windows; then
        cat >"$script" <<END
#!/bin/sh
ended=0
$emulator '$1' "\$@" >'$script.out' || ended=\$?
tr -d '\\r' <'$script.out'
exit "\$ended"
END
    else
        printf "#!/bin/sh\nexec %s '%s' \"\$@\"\n" "$emulator" "$1" >"$script"
    fi
    chmod +x "$script"
    echo "$script"
}
program=$(command_for "$built")

# as_text: its input; on Windows, without what text can't have there: carriage returns of its own, and Ctrl-Z, which ends it.
as_text() {
    if $windows; then tr -d '\r\032'; else cat; fi
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
