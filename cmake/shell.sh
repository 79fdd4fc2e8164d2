# For the scripts of this repository to source: messages, and the installation of what a fresh machine lacks. POSIX sh.

missing=

say() {
    printf '\n==> %s\n' "$*"
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# need COMMAND PACKAGE: notes the Debian package of a command that is not there.
need() {
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}

# need_compiler COMMAND: a compiler by its name, as Debian names its package: g++-12 is in g++-12, clang++-19 in clang-19.
need_compiler() {
    need "$1" "$(basename "$1" | sed 's/^clang++/clang/; s/^c++$/g++/')"
}

# install_missing: installs what was noted, or says how to and stops.
install_missing() {
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 || fail "missing here, to be installed with this system's package manager:$missing"
    if [ "$(id -u)" = 0 ]; then
        as_root=env
    elif command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        as_root="sudo env"
    else
        fail "missing here; to install it, run as root: apt-get update && apt-get install -y$missing"
    fi
    say "Installing$missing"
    $as_root apt-get update -qq || fail "apt-get update failed"
    # shellcheck disable=SC2086 # one word for each package
    $as_root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing ||
        fail "apt-get install failed for$missing"
    missing=
}

# install_optional PACKAGE HEADER: installs the package where $compiler does not find the header, if that is possible.
install_optional() {
    command -v apt-get >/dev/null 2>&1 || return 0
    printf '#include <%s>\n' "$2" | "$compiler" -x c++ -std=c++20 -fsyntax-only - >/dev/null 2>&1 && return 0
    missing=$1
    (install_missing) || say "Without $1"
    missing=
}

# want_nats: installs the NATS C client and server where it can, and says so where it cannot.
want_nats() {
    pkg-config --exists libnats 2>/dev/null || missing="$missing libnats-dev"
    command -v nats-server >/dev/null 2>&1 || [ -x /usr/sbin/nats-server ] || missing="$missing nats-server"
    (install_missing) || say "Without NATS: what needs libnats-dev and nats-server is skipped"
    missing=
}

# configure_and_build FOLDER TARGET OPTION...: configures build/FOLDER of the repository at $root with the options, and builds the
# target.
configure_and_build() {
    folder=$root/build/$1
    goal=$2
    shift 2
    say "Building in $folder"
    cmake -S "$root" -B "$folder" -G Ninja "$@" || fail "CMake could not configure $folder"
    cmake --build "$folder" --target "$goal" || fail "the build in $folder failed"
}
