// The only names for mutex, condition variable, atomics, clock and thread pause; the model tests put a scheduler in
// their place. Durations, time points and clocks come with <condition_variable>, whose functions take them: <chrono> itself
// would bring calendars and their formatting into every file of the user's, which takes longer to compile than this.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <version>

#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

#include <sluice/detail/compiler.hpp>

namespace sluice::detail::sync {

using mutex = std::mutex;
using condition_variable = std::condition_variable;
using clock = std::chrono::steady_clock;
using system_clock = std::chrono::system_clock;  // the one other clock that a condition variable can wait on

template <class T>
using atomic = std::atomic<T>;

#if defined(__cpp_lib_jthread)
using stop_token = std::stop_token;
using stop_source = std::stop_source;
template <class F>
using stop_callback = std::stop_callback<F>;
#else
// For a standard library without stop tokens: one for which no stop is ever requested.
struct stop_token {
    bool stop_requested() const noexcept { return false; }
    bool stop_possible() const noexcept { return false; }
};
struct stop_source {
    stop_token get_token() const noexcept { return {}; }
    bool request_stop() noexcept { return false; }
};
template <class F>
struct stop_callback {
    stop_callback(const stop_token&, F) noexcept {}
};
#endif

// No static of the library is initialised at its first use (see immortal.hpp): here several threads may find out
// the same at once.

// Whether another thread can run while this one spins.
inline bool multicore() noexcept {
    static std::atomic<unsigned> cpus{0};
    unsigned known = cpus.load(std::memory_order_relaxed);
    if (known == 0) {
        known = std::thread::hardware_concurrency();
        if (known == 0) known = 1;  // it can't be told
        cpus.store(known, std::memory_order_relaxed);
    }
    return known > 1;
}

// Whether the process has only this thread. It may start the next one at any time, also in a message's move, so this
// serves only to choose the quicker of two ways that are both right.
inline bool single_threaded() noexcept {
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded;
#else
    return false;
#endif
}

// Changes in the child of each fork: what was made under another number may be locked for ever there, by a thread that
// only the parent has. One number for all shared objects of a process. Each of them registers a handler of its own,
// since the handlers of one that is unloaded go with it.
#if defined(__unix__) || defined(__APPLE__)
struct SLUICE_SHARED fork_counter {
    inline static std::atomic<unsigned> count{0};
};
// When it is loaded: a thread that registers one later may do so within the fork of another, which then does not call it.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wglobal-constructors"
#endif
SLUICE_LOCAL [[maybe_unused]] inline const int fork_handler =
    ::pthread_atfork(nullptr, nullptr, [] { fork_counter::count.fetch_add(1, std::memory_order_relaxed); });
#if defined(__clang__)
#pragma clang diagnostic pop
#endif
inline unsigned fork_count() noexcept { return fork_counter::count.load(std::memory_order_relaxed); }
#else
inline unsigned fork_count() noexcept { return 0; }
#endif

using compiler::pause;
using compiler::prefetch_to_write;

// How many pauses a thread spins for before it blocks: those that take ten microseconds, or none where no other thread
// runs meanwhile. A pause takes 3 to 60 nanoseconds, as processors have it, so it is measured once; the least of three
// counts, since a thread may be interrupted.
inline unsigned spin_pauses() noexcept {
    static std::atomic<unsigned> pauses{0};
    if (!multicore()) return 0;
    unsigned known = pauses.load(std::memory_order_relaxed);
    if (known != 0) return known;
    constexpr unsigned sample = 32, least = 160, most = 1280;
    constexpr auto budget = std::chrono::nanoseconds(10'000);
    auto shortest = (clock::duration::max)();
    for (int i = 0; i < 3; ++i) {
        const clock::time_point begin = clock::now();
        for (unsigned n = 0; n < sample; ++n) pause();
        if (const clock::duration took = clock::now() - begin; took < shortest) shortest = took;
    }
    known = most;
    if (shortest * (most / sample) > budget) known = static_cast<unsigned>(budget * sample / shortest);
    if (known < least) known = least;
    pauses.store(known, std::memory_order_relaxed);
    return known;
}

inline void yield() noexcept { std::this_thread::yield(); }

// What a thread knows of the coroutines that it runs.
struct thread_context {
    void* running_loop = nullptr;     // what runs them, see loop_core.hpp; null outside of it
    unsigned completed_in_a_row = 0;  // operations since the coroutine was resumed that did not suspend it
};
// Not to be inlined into a coroutine, which may go on in another thread: some compilers look up only once where it is.
inline thread_context& this_thread() noexcept {
    thread_local thread_context context;
    return context;
}

// A pseudo-random number in [0, bound): Steele, Lea and Flood's SplitMix64, one stream a thread. The state has no
// destructor, so that destructors of thread-local objects may call it too.
inline std::uint32_t random_below(std::uint32_t bound) noexcept {
    thread_local std::uint64_t state = 0;
    if (state == 0)
        state = reinterpret_cast<std::uintptr_t>(&state) ^
                static_cast<std::uint64_t>(clock::now().time_since_epoch().count());
    std::uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<std::uint32_t>(((z >> 32) * bound) >> 32);
}

}  // namespace sluice::detail::sync
