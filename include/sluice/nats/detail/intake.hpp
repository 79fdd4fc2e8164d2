// intake: how an endpoint takes messages from a channel, without a thread of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/batching.hpp>
#include <sluice/ipc/detail/handler_waiter.hpp>
#include <sluice/nats/detail/client.hpp>
#include <sluice/result.hpp>

namespace sluice::nats::detail {

// For the loop's thread. Where there is no message it stands in line as a receiver, and whoever sends one, or closes the
// channel, posts the handler. While the endpoint does not ask for messages, the closing of the channel posts it too.
template <class T>
class intake {
public:
    intake(receiver<T> from, ipcd::io_handler& of) : from_(std::move(from)), waiting_(of), closing_(of) {
        closing_.arm();
        if (!core_of(from_)->observe_close(closing_)) closing_.disarm();
    }
    ~intake() {
        waiting_.cancel([this](auto& w) { return core_of(from_)->unregister_receiver(w); });
        closing_.cancel([this](auto& w) { return core_of(from_)->unobserve_close(w); });
    }

    // The next message, which stays where it is until the next call; null if there is none now, or never again: see
    // has_ended().
    T* next() {
        T* const there = peek();
        if (there) ++next_;
        return there;
    }
    // The same, and leaves it to be the next.
    T* peek() { return find(true); }
    // The same, but where there is none the handler is not posted by the next one. For whoever looks again soon: while
    // messages come all the time, nobody who sends has to wake the loop.
    T* look() { return find(false); }
    // The channel is closed, and all its messages were taken.
    bool has_ended() const noexcept { return ended_; }
    bool is_closed() const noexcept { return from_.is_closed(); }
    // Whether peek() finds a message; if not, and it was called since the last one, the handler will be posted.
    bool is_ready() const noexcept { return next_ != batch_.size() || (!waiting_.armed() && !ended_); }
    void close(std::exception_ptr why) noexcept { from_.close(std::move(why)); }
    // After peek(): how many have come and were not returned by next(), those that are sent meanwhile perhaps not
    // counted.
    std::size_t pending() const noexcept { return batch_.size() - next_ + from_.size(); }

private:
    // A sender that is blocked spins, sleeps and is woken once for each batch, and so takes the less of a processor from
    // who writes and reads.
    static constexpr std::size_t batch_size = ipcd::plain<T> ? std::clamp<std::size_t>(32768 / sizeof(T), 1, 2048) : 64;

    // Makes the element of batch_ in its place: as an argument it would be moved once more.
    struct from_channel {
        T&& message;
        operator ipcd::boxed<T>() const { return {std::move(message)}; }
    };

    T* find(bool waits) {
        if (next_ == batch_.size() && !fetch(waits)) return nullptr;
        return &batch_[next_].message;
    }
    bool fetch(bool waits) {
        batch_.clear();
        next_ = 0;
        if (waiting_.armed()) {
            if (!waiting_.notified()) return false;
            waiting_.disarm();
        }
        batch_.reserve(batch_size);  // not under the lock of the channel
        if (arrived_) {
            batch_.push_back({*std::move(arrived_)});
            arrived_ = unexpected(errc::empty);
        }
        core_of(from_)->try_recv_some([this](T&& m) { batch_.emplace_back(from_channel{std::move(m)}); },
                                      batch_size - batch_.size());
        if (!batch_.empty()) return true;
        if (!waits) return false;
        if (batch_size * sizeof(T) > ipcd::max_idle_bytes) batch_ = std::vector<ipcd::boxed<T>>();
        waiting_.arm();
        const auto tried = core_of(from_)->register_receiver(arrived_, waiting_);
        if (tried == sluice::detail::op_status::blocked) return false;
        waiting_.disarm();
        if (tried == sluice::detail::op_status::closed) {
            ended_ = true;
            return false;
        }
        batch_.push_back({*std::move(arrived_)});
        arrived_ = unexpected(errc::empty);
        return true;
    }

    const receiver<T> from_;
    ipcd::handler_waiter<sluice::detail::blocked_op> waiting_;
    ipcd::handler_waiter<sluice::detail::waiter> closing_;
    result<T> arrived_ = unexpected(errc::empty);  // what the waiting receiver got
    std::vector<ipcd::boxed<T>> batch_;
    std::size_t next_ = 0;  // in batch_
    bool ended_ = false;
};

}  // namespace sluice::nats::detail
