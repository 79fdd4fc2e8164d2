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

/// Calls f.operator()<A>() for the adapter A of each channel that is here.
template <class F>
void for_each_peer(F f) {
    const auto call = [&f]<adapter A>() { f.template operator()<A>(); };
    call.template operator()<sluice_channel>();
    call.template operator()<textbook>();
#ifdef SLUICE_BENCH_ONETBB
    call.template operator()<onetbb>();
#endif
#ifdef SLUICE_BENCH_BOOST_FIBER
    call.template operator()<boost_fiber_buffered>();
    call.template operator()<boost_fiber_unbuffered>();
#endif
#ifdef SLUICE_BENCH_MOODYCAMEL_MPMC
    call.template operator()<moodycamel_mpmc>();
#endif
#ifdef SLUICE_BENCH_MOODYCAMEL_SPSC
    call.template operator()<moodycamel_spsc_unbounded>();
    call.template operator()<moodycamel_spsc_bounded>();
#endif
}

}  // namespace bench
