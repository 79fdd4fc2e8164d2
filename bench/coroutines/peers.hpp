// The one list of whose coroutines are measured: sluice's, and those of the libraries that CMake found.
#pragma once

#include "adapter.hpp"
#include "sluice.hpp"

#ifdef SLUICE_BENCH_ASIO
#include "asio.hpp"
#endif
#ifdef SLUICE_BENCH_BOOST_FIBER
#include "boost_fiber.hpp"
#endif

namespace bench {

/// Calls f.operator()<A>() for the adapter A of each library's coroutines that are here: for use in one thread, or
/// between several.
template <bool Threads, class F>
void for_each_coroutine_peer(F f) {
    f.template operator()<sluice_coroutines>();
#ifdef SLUICE_BENCH_ASIO
    f.template operator()<asio_coroutines<Threads, false>>();
    f.template operator()<asio_coroutines<Threads, true>>();
#endif
#ifdef SLUICE_BENCH_BOOST_FIBER
    f.template operator()<boost_fiber_tasks<boost::fibers::buffered_channel>>();
    f.template operator()<boost_fiber_tasks<boost::fibers::unbuffered_channel>>();
#endif
}

}  // namespace bench
