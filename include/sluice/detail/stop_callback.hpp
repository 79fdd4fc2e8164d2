// stop_callback: calls a function when a stop is requested, and ends when no such call is under way.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include <sluice/detail/sync.hpp>

namespace sluice::detail {

// A stop callback that waits by itself for its call. Where the system has no futex, as on Windows, the destructor of
// libstdc++'s sleeps on a condition variable for that, and for ever if the call ends between its last look and its sleep:
// who notifies it takes no lock. So here a call that is under way ends the std::stop_callback from within, which never
// waits, and its owner waits for `ended`. What is left to that destructor is a call that has been taken out of the list and
// has not begun when the owner leaves: it has a few instructions to go, and the destructor spins for longer before it sleeps.
//
// `state_` goes from `starts` to `armed`, by the owner; from there to `calls`, by the thread that requests the stop, or to
// `leaves`, by the owner; and to `ended`, by the thread that has called, as its last access. A call that comes at
// `starts` waits, since the callback must not be ended before it is made; but one by the owner itself, from within the
// constructor below it, is registered nowhere, and leaves the callback to the owner.
template <class F, template <class> class Callback = sync::stop_callback>
class awaiting_stop_callback {
public:
    awaiting_stop_callback(const sync::stop_token& token, F call) : call_(std::move(call)) {
        callback_.emplace(token, announced_call{this});
        state before = state::starts;
        state_.compare_exchange_strong(before, state::armed, std::memory_order_acq_rel);
    }
    awaiting_stop_callback(const awaiting_stop_callback&) = delete;
    awaiting_stop_callback& operator=(const awaiting_stop_callback&) = delete;
    ~awaiting_stop_callback() {
        state before = state::armed;
        if (state_.compare_exchange_strong(before, state::leaves, std::memory_order_acq_rel)) return;
        while (state_.load(std::memory_order_acquire) != state::ended) sync::yield();
    }

private:
    enum class state : std::uint8_t { starts, armed, calls, leaves, ended };

    struct announced_call {
        awaiting_stop_callback* of;
        void operator()() const { of->run(); }  // this may be gone when it returns
    };

    void run() {
        const bool within_constructor =
            owner_ == &sync::this_thread() && state_.load(std::memory_order_relaxed) == state::starts;
        if (within_constructor) {
            call_();
        } else {
            while (state_.load(std::memory_order_acquire) == state::starts) sync::yield();
            state before = state::armed;
            if (!state_.compare_exchange_strong(before, state::calls, std::memory_order_acq_rel)) return;
            call_();
            callback_.reset();
        }
        state_.store(state::ended, std::memory_order_release);
    }

    F call_;
    const void* const owner_ = &sync::this_thread();
    sync::atomic<state> state_{state::starts};
    std::optional<Callback<announced_call>> callback_;  // the last member: it uses the others
};

#if defined(__cpp_lib_jthread) && defined(__GLIBCXX__) && !defined(_GLIBCXX_HAVE_LINUX_FUTEX)
template <class F>
using stop_callback = awaiting_stop_callback<F>;
#else
using sync::stop_callback;
#endif

}  // namespace sluice::detail
