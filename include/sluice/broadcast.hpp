// broadcaster: a channel to each subscriber, and one send that reaches them all.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/audience.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/publication.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/overflow.hpp>

namespace sluice {

/// How many messages a broadcaster remembers for those who subscribe later; made by replay().
class replay_last {
public:
    /// So many.
    constexpr explicit replay_last(std::size_t count) noexcept : count_(count) {}
    /// The number.
    constexpr std::size_t count() const noexcept { return count_; }

private:
    std::size_t count_;
};

/// For a broadcaster that remembers its last `count` messages: `broadcaster<state> latest(replay(1));`
constexpr replay_last replay(std::size_t count) noexcept { return replay_last(count); }

/// Sends each message to every subscriber: each has a channel of its own, and receives from it as from any other. A
/// broadcaster is a handle, and each copy is one more publisher to the same subscribers; when the last one is dropped,
/// the channels of all subscribers close, after what was sent.
///
/// All members may be called from any number of threads at once, on the same handle or on copies of it; assigning to a
/// handle object beside its use is not safe. One that was moved from has no subscribers and never will.
///
/// **Order.** The messages of one publisher reach each subscriber in the order in which it sent them. Those of several
/// publishers may reach two subscribers in different orders.
///
/// **Replay.** A broadcaster made with replay(n) remembers the last n messages that were sent, to whomever, and who
/// subscribes gets those first. To be remembered, and to be addressed to those who listen, is one step: so each message
/// reaches a subscriber once, replayed or live, replayed ones first. The replay waits for nobody, disconnects nobody and
/// drops nothing: a subscriber with room for less gets the newest that fit.
///
/// **Messages.** `T` must be copyable. Copies are made and destroyed, and discarded messages are destroyed, with no
/// lock held, so these operations of a `T` may use this broadcaster and any channel; its move constructor must use
/// none. (But where messages are replayed, its copy constructor must not send to this broadcaster.)
template <class T>
class broadcaster {
    static_assert(std::is_copy_constructible_v<T>, "sluice: a message that is broadcast must be copyable");
    using stop_token = detail::stop_token;

public:
    /// The type of the messages.
    using value_type = T;

    /// A broadcaster without subscribers. Throws std::bad_alloc.
    broadcaster() : broadcaster(replay(0)) {}

    /// A broadcaster without subscribers that remembers the last so many messages for them, one copy of each, from the
    /// send until as many others were sent; it takes memory for so many pointers at once. Throws std::bad_alloc, and
    /// std::length_error for a number that no memory can hold.
    explicit broadcaster(replay_last remembered)
        : audience_(std::make_shared<detail::audience<T>>(remembered.count())) {}

    /// Whether it can have subscribers: not if it was moved from.
    explicit operator bool() const noexcept { return audience_ != nullptr; }
    /// Whether both are handles of the same broadcaster.
    friend bool operator==(const broadcaster&, const broadcaster&) noexcept = default;

    /// A new subscriber, which gets what is remembered and then every message whose send begins after this call, through
    /// an unbounded channel: it misses nothing, never holds up a publisher, and takes memory for all that it has not
    /// received. It leaves when the last copy of the receiver is dropped, or when the receiver is closed.
    ///
    /// Never waits for a publisher, and takes constant time on average, however many subscribers there are, and the time
    /// for the copies of what is replayed. Throws std::bad_alloc and what a copy throws, and then there is no new
    /// subscriber. Of a broadcaster that was closed, the receiver gets what is remembered, then `closed`; of one that was
    /// moved from, `closed`.
    [[nodiscard]] receiver<T> subscribe() const { return join(std::nullopt, overflow::block); }

    /// The same through a channel for at most `capacity` messages, 0 for a rendezvous, and with a rule for what happens
    /// when it is full. On a rendezvous there is no message to discard: `drop_oldest` does as `drop_newest` there.
    ///
    /// dropped() of the receiver tells how many messages it missed by its rule, or since a publisher that waited for it
    /// was stopped; that it was disconnected tells is_closed().
    ///
    /// Throws as above, and std::invalid_argument if the rule is to drop messages while the move of a `T` may throw.
    [[nodiscard]] receiver<T> subscribe(std::size_t capacity, overflow when_full) const {
        if constexpr (!std::is_nothrow_move_constructible_v<T>) {
            if (detail::discards(when_full))
                detail::throw_error(std::invalid_argument(
                    "sluice: a subscriber that drops messages needs messages whose move does not throw"));
        }
        // Nothing is in a rendezvous that could make room.
        if (capacity == 0 && when_full == overflow::drop_oldest) when_full = overflow::drop_newest;
        return join(capacity, when_full);
    }

    /// Closes the channels of all subscribers, who still get what was sent to them; those who come later get what is
    /// remembered and are closed then. A send that begins later reaches nobody and is not remembered; one that waits for
    /// a subscriber goes on without it. Never blocks. Returns true for the call that closed it, false if it was closed
    /// before or was moved from.
    bool close() const {
        const auto all = audience_ ? audience_->close() : std::nullopt;
        if (!all) return false;
        for (const auto& s : *all) s.close();
        audience_->forget_those_who_left();
        return true;
    }

    /// How many subscribers there are, as it was at some moment of the call. Waits for no publisher; takes time in
    /// proportion to their number.
    std::size_t subscriber_count() const {
        if (!audience_) return 0;
        std::size_t count = 0;
        for (const auto& s : audience_->now()) {
            if (!s.to.is_closed()) ++count;
        }
        return count;
    }

    /// Sends the message to all that had subscribed before the call, one after the other in the order in which they have
    /// subscribed. Returns into how many of their channels it was put: not into those that have closed, have no room for
    /// it, or are passed over because of a stop.
    ///
    /// Blocks while the channel of a subscriber with overflow::block is full; meanwhile others may subscribe, leave and
    /// send. A stop ends that wait: the subscriber under way does not get the message, and those after it get it if
    /// that needs no wait. If a stop was requested before the call, it returns 0 and nothing happens.
    ///
    /// If a copy or a move throws, or there is no memory, the exception leaves the call: the subscribers before have
    /// got the message, those after have not, and the broadcaster and all subscribers stay usable.
    ///
    /// The message is copied for each subscriber in its turn, and the copy moved into its channel; before that once if it
    /// is to be remembered. No copy is made for a subscriber that has left, nor for one that does not get the message
    /// because its channel has no room.
    [[nodiscard]] std::size_t send(const T& message, const stop_token& stop = {}) const {
        return publish(message, nullptr, stop);
    }

    /// The same with one copy less: the last of the subscribers that have not left gets the message itself. It is moved
    /// from only if that subscriber got it; otherwise it is as it was.
    [[nodiscard]] std::size_t send(T&& message, const stop_token& stop = {}) const {
        return publish(message, std::addressof(message), stop);
    }

    /// @{
    /// The same for a coroutine, which awaits it: see sender::async_send().
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_send(const T& message, const stop_token& stop = {}) const {
        return detail::async_forms<Async>::broadcast(*this, message, stop);
    }
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_send(T&& message, const stop_token& stop = {}) const {
        return detail::async_forms<Async>::broadcast(*this, std::move(message), stop);
    }
    /// @}

private:
    receiver<T> join(std::optional<std::size_t> capacity, overflow when_full) const {
        channel<T> c = detail::make_channel<T>(capacity, detail::discards(when_full) ? when_full : overflow::block);
        if (!audience_) return std::move(c.rx);
        detail::subscription<T> newcomer{std::move(c.tx), when_full};
        std::size_t replayed = audience_->remembers();
        if (capacity && replayed > *capacity) replayed = *capacity;
        if (replayed > 0) newcomer.before = std::make_shared<detail::backlog<T>>(replayed);
        const bool open = audience_->add(newcomer);
        if (newcomer.before) newcomer.before->put_into(*core_of(newcomer.to));
        if (!open) newcomer.close();
        return std::move(c.rx);
    }

    // `original` is the message if it may be moved from, else null.
    std::size_t publish(const T& message, T* original, const stop_token& stop) const {
        if (!audience_ || stop.stop_requested()) return 0;
        detail::publication<T> out(*audience_, message, original);
        while (out.goes_on(stop)) out.settle(core_of(out.to())->send(out.message(), detail::deadline::never(), stop));
        return out.reached();
    }

    friend detail::audience<T>* audience_of(const broadcaster& b) noexcept { return b.audience_.get(); }

    std::shared_ptr<detail::audience<T>> audience_;
};

}  // namespace sluice
