// batch_wait: how recv_batch waits for the rest of its messages.
#pragma once

#include <cstddef>
#include <mutex>
#include <type_traits>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/batch.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// A receiver that waits for up to a chunk of messages, and sleeps until it has them all. It stands in the line of its
// channel for one message at a time; the thread that hands it one puts it back in line for the next, by the callback of
// the waiter, and only the last one, or the closing of the channel, wakes the thread that sleeps.
//
// `lock_` guards everything but what the channel guards of a waiter. It is taken before the locks of the channel, and
// never under them: a callback runs with none held. While `waiting_` is true, this either stands in line, or the
// callback of a thread that has taken it out of the line is still to come; so leave() waits for that callback, and
// nobody touches this afterwards. Under `lock_` messages are moved, as under a lock of the channel.
template <class T>
class batch_wait final : blocked_op {
    static_assert(std::is_nothrow_move_constructible_v<T>);

public:
    // Waits for `wanted` messages, at most a chunk.
    batch_wait(channel_core<T>& channel, std::size_t wanted) noexcept : channel_(channel), wanted_(wanted) {
        has_callback = true;
        callback = [](waiter& w) noexcept { static_cast<batch_wait&>(w).on_completed(); };
    }
    batch_wait(const batch_wait&) = delete;
    batch_wait& operator=(const batch_wait&) = delete;
    ~batch_wait() { leave(); }  // also where the thread is cancelled in its sleep

    // Called once. Waits until it has as many messages as wanted, the channel is closed and drained, `until` has
    // passed, or a stop is requested; then nobody adds to what it has received.
    void operator()(const deadline& until, const stop_token& stop) {
        {
            const std::lock_guard<sync::mutex> held(lock_);
            stand_in_line();
        }
        sleep(until, stop);
        leave();
    }

    // After the wait: what was received, in order, and whether the channel is closed and drained.
    chunk_buffer<T>& received() noexcept { return received_; }
    bool is_closed() const noexcept { return closed_; }

private:
    void sleep(const deadline& until, const stop_token& stop) {
        const auto note_stop = [this] {
            const std::lock_guard<sync::mutex> held(lock_);
            stopped_ = true;
            changed_.notify_one();
        };
        const stop_callback<decltype(note_stop)> on_stop(stop, note_stop);
        std::unique_lock<sync::mutex> lock(lock_);
        // As other receivers do, it gives back the memory that is retained for a stream when it has slept for a while.
        deadline idle = channel_.retains_memory() ? deadline::in(std::chrono::milliseconds(10)) : deadline::never();
        while (waiting_ && !stopped_ && !until.passed()) {
            if (idle.passed()) {
                channel_.give_back_memory();
                idle = deadline::never();
            }
            deadline::sooner(until, idle).sleep(changed_, lock);
        }
    }

    void leave() {
        std::unique_lock<sync::mutex> lock(lock_);
        leaving_ = true;
        if (waiting_ && channel_.unregister_receiver(*this)) waiting_ = false;
        while (waiting_) changed_.wait(lock);
    }

    // By the thread that has handed over a message, or has closed the channel.
    void on_completed() noexcept {
        const std::lock_guard<sync::mutex> held(lock_);
        if (state == status::done) {
            keep_next();
            stand_in_line();
        } else {
            closed_ = true;
            end_wait();
        }
    }

    // With lock_ held and out of the line: takes what is there, and stands in line if that is not enough.
    void stand_in_line() {
        waiting_ = true;
        while (!leaving_ && received_.size() < wanted_) {
            if (channel_.size() > 0) {
                channel_.try_recv_some([this](T&& m) { received_.add([&m]() -> T { return std::move(m); }); },
                                       wanted_ - received_.size());
                continue;
            }
            const op_status tried = channel_.register_receiver(next_, *this);
            if (tried == op_status::blocked) return;
            if (tried == op_status::closed) {
                closed_ = true;
                break;
            }
            keep_next();
        }
        end_wait();
    }
    void keep_next() {
        received_.add([this]() -> T { return *std::move(next_); });
        next_ = unexpected(errc::closed);
    }
    void end_wait() {
        waiting_ = false;
        changed_.notify_one();
    }

    channel_core<T>& channel_;
    const std::size_t wanted_;
    sync::mutex lock_;
    sync::condition_variable changed_;
    bool waiting_ = false, leaving_ = false, stopped_ = false, closed_ = false;
    result<T> next_ = unexpected(errc::closed);
    chunk_buffer<T> received_;
};

// Receives what follows the first messages of a batch, up to `limit`; returns how many. Each round looks at the clock
// and the stop first and at the channel after them, so that what came before is taken.
//
// A thread backs off for once in the whole batch, since a stream may be under way; then it sleeps. Where neither a move
// nor writing to `out` throws, or there is room in a std::vector, it sleeps until a chunk is complete. Otherwise nothing
// may be taken before its predecessor is written, and it sleeps for one message at a time.
template <class T, class Out>
std::size_t recv_rest(channel_core<T>& channel, Out& out, std::size_t limit, const deadline& until,
                      const stop_token& stop) {
    constexpr bool appends = !std::is_null_pointer_v<decltype(appended_container<T>(out))>;
    std::size_t taken = 0;
    backoff spin;
    while (taken < limit) {
        const bool over = stop.stop_requested() || until.passed();
        const std::size_t wanted = wanted_after_look(channel, limit - taken, over);
        const std::size_t got = recv_some(channel, out, wanted, stop, true);
        taken += got;
        if (over) break;
        if (got == wanted) continue;
        bool seems_ready = false;
        while (!channel.is_rendezvous() && !seems_ready && spin.wait()) seems_ready = channel.maybe_ready_to_recv();
        if (seems_ready && !channel.is_closed()) continue;
        if constexpr (std::is_nothrow_move_constructible_v<T> && (writes_freely<T, Out> || appends)) {
            const std::size_t missing = limit - taken < max_chunk<T> ? limit - taken : max_chunk<T>;
            if constexpr (appends && !writes_freely<T, Out>) make_room(*appended_container<T>(out), missing);
            batch_wait<T> wait(channel, missing);
            wait(until, stop);
            chunk_buffer<T>& rest = wait.received();
            for (std::size_t i = 0; i < rest.size(); ++i, ++out) *out = std::move(rest[i]);
            taken += rest.size();
            if (wait.is_closed()) break;
        } else {
            result<T> next = unexpected(errc::closed);
            if (channel.recv(next, until, stop) != errc{}) break;
            *out = *std::move(next);
            ++out;
            ++taken;
        }
    }
    return taken;
}

}  // namespace sluice::detail
