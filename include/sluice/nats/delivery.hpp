// delivery<T>: a message of a stream, which is delivered again until somebody has acknowledged it.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/nats/delivery.hpp needs POSIX; it is tested on Linux"
#endif

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <sluice/detail/deadline.hpp>
#include <sluice/nats/detail/ticket.hpp>
#include <sluice/result.hpp>

namespace sluice::nats {

/// A message of a stream, and what its receiver says to it. Move-only. One that is dropped without a word is delivered
/// again once `ack_wait` has passed; one that was never received, since its channel ended before, at once.
///
/// The first of ack(), nak() and term() counts; each later one fails with `closed`. All fail with `closed` if the
/// connection was given up. They block only while the connection is lost and very many messages wait for it already. A
/// delivery that was moved from has no members to be called; the others may be called from any thread, those that are not
/// const by one at a time.
template <class T>
class delivery {
public:
    /// For the library's own use; deliveries come from a stream's receiver.
    delivery(T value, std::shared_ptr<detail::ticket> t) : value_(std::move(value)), ticket_(std::move(t)) {}

    /// Moves the message, and the right to acknowledge it.
    delivery(delivery&& other) noexcept(std::is_nothrow_move_constructible_v<T>)
        : value_(std::move(other.value_)), ticket_(std::move(other.ticket_)) {
        if (ticket_) ticket_->moved();
    }
    /// The same; what was here before is dropped.
    delivery& operator=(delivery&& other) noexcept(std::is_nothrow_move_assignable_v<T>) {
        delivery_drop(std::exchange(ticket_, nullptr));
        value_ = std::move(other.value_);
        ticket_ = std::move(other.ticket_);
        if (ticket_) ticket_->moved();
        return *this;
    }
    /// Without a word to the servers, unless it was never received.
    ~delivery() { delivery_drop(std::move(ticket_)); }

    /// @{
    /// The message.
    T& operator*() noexcept { return value_; }
    const T& operator*() const noexcept { return value_; }
    T* operator->() noexcept { return &value_; }
    const T* operator->() const noexcept { return &value_; }
    /// @}

    /// The subject to which it was sent.
    const std::string& subject() const noexcept { return ticket_->subject; }
    /// How often it was delivered, to whomever, this time included.
    std::uint64_t attempt() const noexcept { return ticket_->attempt; }

    /// Done with: it is not delivered again. Sent, and not waited for: see the other ack().
    [[nodiscard]] result<void> ack() { return ticket_->settle("+ACK"); }
    /// The same, and blocks until the servers have confirmed it. Fails with `timeout`, and may then be called again.
    template <class Rep, class Period>
    [[nodiscard]] result<void> ack(const std::chrono::duration<Rep, Period>& timeout,
                                   const sluice::detail::stop_token& stop = {}) {
        return ticket_->confirm(sluice::detail::deadline::after(timeout).wake_time(), stop);
    }
    /// Not done: it is delivered again at once.
    [[nodiscard]] result<void> nak() { return ticket_->settle("-NAK"); }
    /// Not done: it is delivered again after `delay`.
    template <class Rep, class Period>
    [[nodiscard]] result<void> nak(const std::chrono::duration<Rep, Period>& delay) {
        const auto wait = sluice::detail::saturated<std::chrono::nanoseconds>(delay).count();
        return ticket_->settle("-NAK {\"delay\": " + std::to_string(wait > 0 ? wait : 1) + "}");
    }
    /// Not to be delivered again, though nobody is done with it.
    [[nodiscard]] result<void> term() { return ticket_->settle("+TERM"); }
    /// Still at work: `ack_wait` begins anew.
    [[nodiscard]] result<void> in_progress() { return ticket_->say_in_progress(); }

private:
    static void delivery_drop(std::shared_ptr<detail::ticket> t) noexcept {
        if (t) t->dropped();
    }

    T value_;
    std::shared_ptr<detail::ticket> ticket_;
};

}  // namespace sluice::nats
