#!/bin/sh
# Builds and passes all tests: installs what is missing, and stops at the first step that fails.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/shell.sh"

usage() {
    cat <<'END'
Usage: sh tests/run.sh [--compiler COMMAND] [--sanitize thread|address] [-- CTEST-OPTION...]
       sh tests/run.sh --target windows|arm64|armhf|i386 [--build TARGET] [-- CTEST-OPTION...]
Without options for ctest, the tests that take seconds. What takes longer is run by:
    sh tests/run.sh -- --label-regex "example|portability|model|mutants|soak|helgrind"
  --compiler COMMAND   the C++ compiler; otherwise $CXX, or c++
  --sanitize WHICH     the unit tests alone, with ThreadSanitizer, or with AddressSanitizer and UndefinedBehaviorSanitizer
  --target WHICH       the unit tests, those between processes where the system has them, and the examples: cross-compiled, and
                       run by Wine or by qemu
  --build TARGET       with --target: what CMake builds, where that is not all of these: sluice_tests for the unit tests alone, of
                       which ctest is to be told too
END
}

compiler=${CXX:-c++}
sanitize=
target=
build=sluice_target_tests
while [ $# -gt 0 ]; do
    case $1 in
        --compiler | --sanitize | --target | --build)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
                --compiler) compiler=$2 ;;
                --sanitize) sanitize=$2 ;;
                --target) target=$2 ;;
                *) build=$2 ;;
            esac
            shift 2
            ;;
        --help) usage; exit 0 ;;
        --) shift; break ;;
        *) usage >&2; fail "unknown option: $1" ;;
    esac
done

case $sanitize in
    '') flag= ;;
    thread) flag=-fsanitize=thread ;;
    address) flag=-fsanitize=address,undefined ;;
    *) fail "--sanitize takes thread or address, not: $sanitize" ;;
esac

# What is installed for this system serves the others, whose compilers do not look there.
has_catch2() {
    [ -e /usr/include/catch2/catch.hpp ] || [ -e /usr/include/catch2/catch_all.hpp ] ||
        printf '#if !__has_include(<catch2/catch.hpp>) && !__has_include(<catch2/catch_all.hpp>)\n#error\n#endif\n' | probe -E
}

case $target in
    '') ;;
    windows) compiler=x86_64-w64-mingw32-g++-posix package=g++-mingw-w64-x86-64-posix runner=wine runners="wine wine64" ;;
    arm64) compiler=aarch64-linux-gnu-g++ package=g++-aarch64-linux-gnu runner=qemu-aarch64 runners=qemu-user ;;
    armhf) compiler=arm-linux-gnueabihf-g++ package=g++-arm-linux-gnueabihf runner=qemu-arm runners=qemu-user ;;
    i386) compiler=g++ package=g++ runner=qemu-i386 runners=qemu-user ;;
    *) fail "--target takes windows, arm64, armhf or i386, not: $target" ;;
esac
[ -z "$target" ] || [ -z "$sanitize" ] || fail "--sanitize is not for --target"

probe() {
    "$compiler" -x c++ "$@" - >/dev/null 2>&1
}

# What g++ needs for programs of 32 bits, by its version: the package without one takes the place of the cross compilers.
multilib() {
    case $(basename "$compiler") in
        g++-*) echo "$(basename "$compiler")-multilib" ;;
        *) echo "g++-$(g++ -dumpversion)-multilib" ;;
    esac
}

if [ -z "$target" ]; then
    need_compiler "$compiler"
else
    need "$compiler" "$package"
    need "$runner" "$runners"
    if [ "$target" = i386 ]; then
        install_missing
        dpkg -s "$(multilib)" >/dev/null 2>&1 || missing="$missing $(multilib)"
    fi
fi
need cmake cmake
need ninja ninja-build
need pkg-config pkg-config
need python3 python3
# Where there is no apt-get, CMake looks for Catch2 and downloads it if there is none.
if command -v apt-get >/dev/null 2>&1 && ! has_catch2; then
    missing="$missing catch2"
fi
install_missing
# Debian keeps clang's sanitizer runtimes apart, by version, which only the installed compiler knows.
if [ -n "$flag" ] && ! echo 'int main() {}' | probe "$flag" -o /dev/null; then
    missing="libclang-rt-$("$compiler" -dumpversion | cut -d. -f1)-dev"
    install_missing
fi

if [ -n "$target" ]; then
    [ $# -gt 0 ] || set -- --label-exclude none
    configure_and_build "tests-$target" "$build" -D CMAKE_TOOLCHAIN_FILE="$root/cmake/toolchains/$target.cmake" \
        -D CMAKE_BUILD_TYPE=RelWithDebInfo -D CMAKE_CXX_FLAGS_RELWITHDEBINFO="-Og"
    say "Testing for $target"
    jobs=$(getconf _NPROCESSORS_ONLN)
    if [ "$target" = windows ]; then
        # Else the first test starts the server and the services of Wine, and these keep open what CTest reads to its end. The
        # server, if it does not run already, goes on for a minute after its last program.
        mkdir -p "${WINEPREFIX:-$HOME/.wine}"
        wineserver -p60 >/dev/null 2>&1 || :
        WINEDEBUG=-all wine wineboot >/dev/null 2>&1 || fail "Wine does not start"
        # There a thread is seen to be asleep by a clock that ticks slowly: most of the time nothing is computed.
        jobs=$((3 * jobs))
    fi
    ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$jobs" "$@" ||
        fail "a test failed in $folder"
    exit 0
fi

# The tests of the operations for Asio are skipped where it is not there.
install_optional libasio-dev asio.hpp
install_optional libboost1.81-dev boost/asio.hpp
# The tests over NATS are skipped where its client or its server is missing.
want_nats

# The tests of 32 bits are skipped where such programs can't be built or run.
if [ -z "$sanitize" ] && [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
    narrow=$(mktemp)
    trap 'rm -f "$narrow"' EXIT
    builds_narrow() {
        printf '#include <thread>\nint main() {}\n' | probe -m32 -idirafter /usr/include/x86_64-linux-gnu -o "$narrow"
    }
    if ! builds_narrow; then
        need g++ g++
        { (install_missing) && missing=$(multilib) && (install_missing); } || say "Without programs of 32 bits"
    fi
    if builds_narrow && ! "$narrow" 2>/dev/null && ! command -v qemu-i386 >/dev/null 2>&1; then
        missing=qemu-user
        (install_missing) || say "Without an emulator for programs of 32 bits"
    fi
    missing=
fi

[ $# -gt 0 ] || set -- --label-exclude "example|portability|model|mutants|soak|helgrind"
configure_and_build "tests-$(basename "$compiler" | tr + x)${sanitize:+-$sanitize}" sluice_short_tests \
    -D CMAKE_BUILD_TYPE=RelWithDebInfo -D CMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1" \
    -D CMAKE_CXX_COMPILER="$compiler" -D SLUICE_SANITIZE="$sanitize" ${sanitize:+-D SLUICE_BUILD_EXAMPLES=OFF}

say "Testing with $compiler${sanitize:+ and the $sanitize sanitizer}"
# ThreadSanitizer of these compilers can't place its shadow where the kernel randomises addresses widely.
if [ "$sanitize" = thread ] && setarch -R true 2>/dev/null; then
    fixed_addresses="setarch -R"
fi
${fixed_addresses:-} ctest --test-dir "$folder" --output-on-failure --no-tests=error -j "$(getconf _NPROCESSORS_ONLN)" "$@" ||
    fail "a test failed in $folder"
