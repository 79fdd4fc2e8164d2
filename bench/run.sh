#!/bin/sh
# Builds the benchmarks and runs them beside other libraries: installs what is missing, and writes tables and plots.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
. "$root/cmake/shell.sh"

usage() {
    cat <<'END'
Usage: sh bench/run.sh [--quick] [--compiler COMMAND] [-- BENCHMARK-OPTION...]
  --quick              less, and rougher
  --compiler COMMAND   the C++ compiler; otherwise $CXX, or c++
  BENCHMARK-OPTION     for Google Benchmark, as --benchmark_filter='^(spsc|mpmc)/b512'
A full run writes results.md, coroutine-results.md, ipc-results.md, nats-results.md and the plots in bench; one with --quick or options
writes them in build/bench. Measure while the machine does nothing else.
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
# The headers of Boost come without this library, too.
if command -v apt-get >/dev/null 2>&1 && ! echo 'int main() {}' | "$compiler" -x c++ - -lboost_fiber -o /dev/null 2>/dev/null; then
    missing="$missing libboost-fiber-dev"
fi
need_header asio.hpp libasio-dev
need_header concurrentqueue/blockingconcurrentqueue.h libconcurrentqueue-dev
need_header readerwriterqueue/readerwritercircularbuffer.h libreaderwriterqueue-dev
need_header zmq.h libzmq3-dev
need pkg-config pkg-config
install_missing
want_nats

configure_and_build bench all -D CMAKE_BUILD_TYPE=Release -D CMAKE_CXX_COMPILER="$compiler" \
    -D SLUICE_BUILD_TESTS=OFF -D SLUICE_BUILD_EXAMPLES=OFF -D SLUICE_BUILD_BENCHMARKS=ON

# The share of the processors' time, in percent, that others take during five seconds; 0 where there is no /proc/stat.
busy_share() {
    [ -r /proc/stat ] || { echo 0; return; }
    { head -n 1 /proc/stat; sleep 5; head -n 1 /proc/stat; } | awk '
        { idle = $5 + $6; all = 0; for (i = 2; i <= 9; ++i) all += $i }
        NR == 1 { idle_before = idle; all_before = all }
        END { printf "%.0f\n", 100 * (1 - (idle - idle_before) / (all - all_before)) }'
}
say "Looking whether the machine is quiet"
busy=$(busy_share)
[ "$busy" -lt 5 ] || say "It is not: other programs take $busy % of its processors' time, and figures will be off"

say "Measuring"
# shellcheck disable=SC2154 # configure_and_build sets it
if [ -z "$quick" ] && [ $# -eq 0 ]; then
    results=$root/bench
    command="a full run of \`sh bench/run.sh\`"
else
    results=$folder
    command="\`sh bench/run.sh${quick:+ $quick}${*:+ -- $*}\`"
fi
# Some are not built everywhere: they need to count allocations, or the inter-process part, or Linux, or NATS.
measured=
for program in sluice_bench sluice_bench_coroutines sluice_bench_memory sluice_bench_ipc sluice_bench_ipc_crowd sluice_bench_nats; do
    [ -x "$folder/bench/$program" ] || continue
    "$folder/bench/$program" ${quick:+"$quick"} --benchmark_enable_random_interleaving=true \
        --benchmark_out="$folder/$program.json" --benchmark_out_format=json "$@" || fail "$program failed"
    measured="$measured $program"
done
if [ $# -eq 0 ]; then
    say "Measuring what a message type costs its compiler"
    python3 "$root/bench/compile_cost.py" --compiler "$compiler" ${quick:+--repetitions 1} --out "$folder/compile_cost.json" ||
        fail "compile_cost.py failed"
    measured="$measured compile_cost"
fi

processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
if grep -q '^flags.* hypervisor' /proc/cpuinfo 2>/dev/null; then processor="virtual machine${processor:+, $processor}"; fi
about="${processor:+$processor; }$("$compiler" --version | head -n 1); other programs took $busy % of the processors beforehand"
set --
for program in $measured; do set -- "$@" "$folder/$program.json"; done
python3 "$root/bench/plot.py" "$@" --out "$results" --about "$about" --command "$command" || fail "plot.py failed"
say "Written: the tables and plots in $results, and what they are made from, $folder/*.json"
