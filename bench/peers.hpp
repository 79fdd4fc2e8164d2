// The one list of who is measured: sluice, the textbook queue, and those libraries that CMake found.
#pragma once

#include "adapter.hpp"
#include "adapters/sluice.hpp"
#include "adapters/textbook.hpp"

#ifdef SLUICE_BENCH_ONETBB
#include "adapters/onetbb.hpp"
#endif
#ifdef SLUICE_BENCH_BOOST_FIBER
#include "adapters/boost_fiber.hpp"
#endif
#ifdef SLUICE_BENCH_MOODYCAMEL_MPMC
#include "adapters/moodycamel_mpmc.hpp"
#endif
#ifdef SLUICE_BENCH_MOODYCAMEL_SPSC
#include "adapters/moodycamel_spsc.hpp"
#endif

namespace bench {

template <adapter... A, class F>
void for_each_of(F f) {
    (f.template operator()<A>(), ...);
}

/// Calls f.operator()<A>() for the adapter A of each channel that is here.
template <class F>
void for_each_peer(F f) {
    for_each_of<sluice_channel, textbook>(f);
#ifdef SLUICE_BENCH_ONETBB
    for_each_of<onetbb>(f);
#endif
#ifdef SLUICE_BENCH_BOOST_FIBER
    for_each_of<boost_fiber<boost::fibers::buffered_channel>, boost_fiber<boost::fibers::unbuffered_channel>>(f);
#endif
#ifdef SLUICE_BENCH_MOODYCAMEL_MPMC
    for_each_of<moodycamel_mpmc>(f);
#endif
#ifdef SLUICE_BENCH_MOODYCAMEL_SPSC
    for_each_of<moodycamel_spsc<false>, moodycamel_spsc<true>>(f);
#endif
}

}  // namespace bench
