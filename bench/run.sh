#!/bin/sh
# Builds the benchmarks and runs them beside other libraries: installs what is missing, and writes tables and plots.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/shell.sh"

usage() {
    cat <<'END'
Usage: sh bench/run.sh [--quick] [--compiler COMMAND] [-- BENCHMARK-OPTION...]
  --quick              two minutes instead of ten; rougher
  --compiler COMMAND   the C++ compiler; otherwise $CXX, or c++
  BENCHMARK-OPTION     for Google Benchmark, as --benchmark_filter='^(spsc|mpmc)/b512'
A full run writes bench/results.md, bench/results.svg, bench/trends.svg and, between processes, bench/ipc-results.md; one with --quick
or options writes them to build/bench.
END
}

compiler=${CXX:-c++}
quick=
while [ $# -gt 0 ]; do
    case $1 in
        --quick) quick=--quick; shift ;;
        --compiler)
            [ $# -ge 2 ] || fail "$1 needs a value"
            compiler=$2
            shift 2
            ;;
        --help) usage; exit 0 ;;
        --) shift; break ;;
        *) usage >&2; fail "unknown option: $1" ;;
    esac
done

# need_header HEADER PACKAGE: notes the Debian package of a header that is not there. Elsewhere, CMake downloads Google Benchmark, and
# libraries that are not there don't take part.
need_header() {
    command -v apt-get >/dev/null 2>&1 || return 0
    printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$1" | "$compiler" -x c++ -E - >/dev/null 2>&1 || missing="$missing $2"
}

need_compiler "$compiler"
need cmake cmake
need ninja ninja-build
need python3 python3
install_missing
need_header benchmark/benchmark.h libbenchmark-dev
need_header tbb/concurrent_queue.h libtbb-dev
need_header boost/fiber/buffered_channel.hpp libboost-fiber-dev
need_header concurrentqueue/blockingconcurrentqueue.h libconcurrentqueue-dev
need_header readerwriterqueue/readerwritercircularbuffer.h libreaderwriterqueue-dev
need_header zmq.h libzmq3-dev
need pkg-config pkg-config
install_missing

configure_and_build bench -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER="$compiler" \
    -D SLUICE_BUILD_TESTS=OFF -D SLUICE_BUILD_EXAMPLES=OFF -D SLUICE_BUILD_BENCHMARKS=ON

say "Measuring"
# shellcheck disable=SC2154 # configure_and_build sets it
if [ -z "$quick" ] && [ $# -eq 0 ]; then results=$root/bench; else results=$folder; fi
"$folder/bench/sluice_bench" ${quick:+"$quick"} --benchmark_enable_random_interleaving=true \
    --benchmark_out="$folder/results.json" --benchmark_out_format=json "$@" ||
    fail "sluice_bench failed"
set -- "$folder/results.json"
# Not built where allocations can't be counted.
if [ -x "$folder/bench/sluice_bench_memory" ]; then
    "$folder/bench/sluice_bench_memory" --benchmark_out="$folder/memory.json" --benchmark_out_format=json ||
        fail "sluice_bench_memory failed"
    set -- "$@" "$folder/memory.json"
fi

# Not built where there is no inter-process part.
if [ -x "$folder/bench/sluice_bench_ipc" ]; then
    say "Measuring between processes"
    "$folder/bench/sluice_bench_ipc" ${quick:+"$quick"} >"$folder/ipc-table.md" || fail "sluice_bench_ipc failed"
fi
if [ -x "$folder/bench/sluice_bench_ipc_crowd" ]; then
    "$folder/bench/sluice_bench_ipc_crowd" ${quick:+"$quick"} >"$folder/ipc-crowd.md" || fail "sluice_bench_ipc_crowd failed"
fi

processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
python3 "$root/bench/plot.py" "$@" --svg "$results/results.svg" --trends "$results/trends.svg" --markdown "$results/results.md" \
    --about "${processor:+$processor, }$("$compiler" --version | head -n 1)" --command "sh bench/run.sh${quick:+ $quick}" ||
    fail "plot.py failed"
if [ -f "$folder/ipc-table.md" ]; then
    {
        echo "# Between processes"
        echo
        echo "${processor:+$processor, }$("$compiler" --version | head -n 1). Medians, all taking turns in one run of"
        echo "\`sh bench/run.sh${quick:+ $quick}\`. *bare* is write() and read(), or mq_send() and mq_receive(), without any framing."
        echo
        cat "$folder/ipc-table.md"
        if [ -f "$folder/ipc-crowd.md" ]; then
            echo
            echo "A listener with clients that say nothing, on a unix socket: half of a round trip to one more client, who answers through"
            echo "the same listener, or a session of its own; resident memory of the listener's process."
            echo
            cat "$folder/ipc-crowd.md"
        fi
    } >"$results/ipc-results.md"
fi
say "Written: $results/results.md, results.svg and trends.svg there, and $folder/results.json"
