// Takes the place of the library's detail/sync.hpp in the model tests: the same names, with the explorer of the models behind them.
#pragma once

#include <cstdint>
#include <version>

#include <model/explorer/atomic.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>
#include <model/explorer/stop_token.hpp>

namespace sluice::detail::sync {

using model::atomic;
using model::clock;
using model::condition_variable;
using model::mutex;
using model::stop_callback;
using model::stop_source;
using model::stop_token;
using model::thread_context;
using model::yield;

using system_clock = clock;

inline bool multicore() noexcept { return model::several_cpus; }
inline bool single_threaded() noexcept { return false; }
inline unsigned fork_count() noexcept { return 0; }
inline void pause() noexcept {}  // whatever a thread does next, another may go first
inline unsigned spin_pauses() noexcept { return multicore() ? 160 : 0; }
inline void prefetch_to_write(const void*) noexcept {}
inline thread_context& this_thread() noexcept { return model::context_of_this_thread(); }
inline std::uint32_t random_below(std::uint32_t bound) noexcept { return model::choose_below(bound); }

}  // namespace sluice::detail::sync
