#!/bin/sh
# Builds the examples in release mode and runs each on real input: installs what is missing, stops at the first failure.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/shell.sh"

compiler=${CXX:-c++}
need_compiler "$compiler"
need cmake cmake
need ninja ninja-build
need pkg-config pkg-config
install_missing
install_optional libasio-dev asio.hpp
want_nats

configure_and_build examples all -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER="$compiler" -D SLUICE_BUILD_TESTS=OFF

# run_example IDEA INPUT PROGRAM ARGUMENT...
run_example() {
    say "$1"
    input=$2
    shift 2
    "$@" <"$input" || fail "${1##*/} ended with status $?"
}

cd "$root"
# Written by CMake: a call of run_example for each sluice_example() in examples/CMakeLists.txt.
. "$folder/examples/runs.sh"
say "All examples ran"
