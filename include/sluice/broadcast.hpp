// broadcaster: a channel to each subscriber, and one send that reaches them all.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/overflow.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace detail {

template <class T>
struct subscription {
    sender<T> to;
    overflow when_full = overflow::block;

    // False if deliver() would fail for lack of room, so that no copy need be made for it. A hint: the channel may
    // change.
    bool can_take(const stop_token& stop) const {
        if (when_full == overflow::drop_oldest || (when_full == overflow::block && !stop.stop_requested())) return true;
        return core_of(to)->maybe_ready_to_send();
    }

    // Whether the message was delivered; it is moved from only then. Blocks for overflow::block alone, and until a stop
    // is requested. `disconnect` is left to the caller.
    bool deliver(T& message, const stop_token& stop) const {
        channel_core<T>& channel = *core_of(to);
        if (when_full == overflow::block) {
            const errc sent = channel.send(message, deadline::never(), stop);
            if (sent != errc::stopped) return sent == errc{};
        } else if (when_full == overflow::drop_oldest) {
            if constexpr (std::is_nothrow_move_constructible_v<T>) {
                result<T> evicted = unexpected(errc::empty);  // destroyed with no lock held
                return channel.force_send(message, evicted) == op_status::done;
            }
        }
        return channel.try_send(message) == op_status::done;
    }
};

// The subscribers: an array that is appended to, and copied on any other write. An element never changes, so that a
// send walks without the lock through a view of the array as it was when the send began. To grow beyond the capacity,
// and to remove subscribers that have left, the array is replaced by a copy; a view keeps the array alive that it is
// of.
//
// `lock_` guards `current_` and the size of what it points to. Under it a pointer or a subscription is put in its place
// and nothing else: no allocation, no user code, no destructor of a message, a channel or an array.
template <class T>
class audience {
    using array = std::vector<subscription<T>>;

public:
    class view {
    public:
        auto begin() const noexcept { return members_.begin(); }
        auto end() const noexcept { return members_.end(); }

    private:
        friend class audience;
        explicit view(const std::shared_ptr<array>& from) : keeps_alive_(from), members_(from->data(), from->size()) {}

        std::shared_ptr<const array> keeps_alive_;
        std::span<const subscription<T>> members_;
    };

    view now() const {
        const spin_lock_guard held(lock_);
        return view(current_);
    }

    // Amortised O(1): a full array is copied into one with room for twice the subscribers that are still there, so that
    // those that have left do not accumulate. If there is no memory for that, throws and changes nothing.
    void add(subscription<T> newcomer) {
        while (!append(newcomer)) renew();
    }

    // Removes subscribers whose channels have closed; if there is no memory for the copy, a later call does.
    void forget_those_who_left() noexcept {
        (void)thrown_by([this] { renew(); });
    }

private:
    bool append(subscription<T>& newcomer) {
        const spin_lock_guard held(lock_);
        if (current_->size() == current_->capacity()) return false;
        current_->push_back(std::move(newcomer));
        return true;
    }

    // Replaces the array by a copy without the closed ones, unless another thread replaces it first, or adds more than
    // the copy has room for; then the caller sees what is there and calls again if need be.
    void renew() {
        const auto there = [](const subscription<T>& s) { return !s.to.is_closed(); };
        const view seen = now();
        std::size_t count = 0;
        for (const subscription<T>& s : seen) {
            if (there(s)) ++count;
        }
        auto fresh = std::make_shared<array>();
        fresh->reserve(count == 0 ? 1 : 2 * count);
        for (const subscription<T>& s : seen) {
            if (fresh->size() < count && there(s)) fresh->push_back(s);
        }

        const spin_lock_guard held(lock_);  // ends before `fresh` and `seen`, which may destroy the old array
        if (current_ != seen.keeps_alive_) return;
        const std::span<const subscription<T>> latecomers = std::span(*current_).subspan(seen.members_.size());
        if (latecomers.size() > fresh->capacity() - fresh->size()) return;
        fresh->insert(fresh->end(), latecomers.begin(), latecomers.end());
        current_.swap(fresh);
    }

    mutable sync::mutex lock_;
    std::shared_ptr<array> current_ = std::make_shared<array>();
};

}  // namespace detail

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
/// **Messages.** `T` must be copyable. Copies are made and destroyed, and discarded messages are destroyed, with no
/// lock held, so these operations of a `T` may use this broadcaster and any channel; its move constructor must use
/// none.
template <class T>
class broadcaster {
    static_assert(std::is_copy_constructible_v<T>, "sluice: a message that is broadcast must be copyable");
    using stop_token = detail::stop_token;

public:
    /// A broadcaster without subscribers. Throws std::bad_alloc.
    broadcaster() : audience_(std::make_shared<detail::audience<T>>()) {}

    /// Whether it can have subscribers: not if it was moved from.
    explicit operator bool() const noexcept { return audience_ != nullptr; }
    /// Whether both are handles of the same broadcaster.
    friend bool operator==(const broadcaster&, const broadcaster&) noexcept = default;

    /// A new subscriber, which gets every message whose send begins after this call, through an unbounded channel: it
    /// misses nothing, never holds up a publisher, and takes memory for all that it has not received. It leaves when
    /// the last copy of the receiver is dropped, or when the receiver is closed.
    ///
    /// Never waits for a publisher, and takes constant time on average, however many subscribers there are. Throws
    /// std::bad_alloc, and then there is no new subscriber. Of a broadcaster that was moved from, the receiver is
    /// closed.
    [[nodiscard]] receiver<T> subscribe() const { return join(unbounded<T>(), overflow::block); }

    /// The same through a channel for at most `capacity` messages, 0 for a rendezvous, and with a rule for what happens
    /// when it is full. On a rendezvous there is no message to discard: `drop_oldest` does as `drop_newest` there.
    ///
    /// Throws std::bad_alloc, and std::invalid_argument if the rule is to drop messages while the move of a `T` may
    /// throw.
    [[nodiscard]] receiver<T> subscribe(std::size_t capacity, overflow when_full = overflow::block) const {
        if constexpr (!std::is_nothrow_move_constructible_v<T>) {
            if (when_full == overflow::drop_oldest || when_full == overflow::drop_newest)
                detail::throw_error(std::invalid_argument(
                    "sluice: a subscriber that drops messages needs messages whose move does not throw"));
        }
        // Nothing is in a rendezvous that could make room.
        if (capacity == 0 && when_full == overflow::drop_oldest) when_full = overflow::drop_newest;
        return join(bounded<T>(capacity), when_full);
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
    /// The message is copied for each subscriber in its turn, and the copy moved into its channel. No copy is made for
    /// a subscriber that has left, nor for one that does not get the message because its channel has no room.
    [[nodiscard]] std::size_t send(const T& message, const stop_token& stop = {}) const {
        return publish(message, nullptr, stop);
    }

    /// The same with one copy less: the last of the subscribers that have not left gets the message itself. It is moved
    /// from only if that subscriber got it; otherwise it is as it was.
    [[nodiscard]] std::size_t send(T&& message, const stop_token& stop = {}) const {
        return publish(message, std::addressof(message), stop);
    }

private:
    receiver<T> join(channel<T> c, overflow when_full) const {
        if (audience_) audience_->add({std::move(c.tx), when_full});
        return std::move(c.rx);
    }

    // `original` is the message if it may be moved from, else null.
    std::size_t publish(const T& message, T* original, const stop_token& stop) const {
        if (!audience_ || stop.stop_requested()) return 0;
        const auto all = audience_->now();
        bool anyone_left = false;
        const auto first_there = [&](auto from) {
            for (; from != all.end() && from->to.is_closed(); ++from) anyone_left = true;
            return from;
        };

        std::size_t reached = 0;
        std::optional<T> copy;  // one that was not delivered serves the next subscriber
        for (auto s = first_there(all.begin()); s != all.end(); s = first_there(s + 1)) {
            bool delivered = false;
            if (s->can_take(stop)) {
                if (original && first_there(s + 1) == all.end()) {
                    delivered = s->deliver(*original, stop);
                } else {
                    if (!copy) copy.emplace(message);
                    delivered = s->deliver(*copy, stop);
                    if (delivered) copy.reset();
                }
            }
            if (delivered) {
                ++reached;
            } else {
                if (s->when_full == overflow::disconnect) s->to.close();
                if (s->to.is_closed()) anyone_left = true;
            }
        }
        if (anyone_left) audience_->forget_those_who_left();
        return reached;
    }

    std::shared_ptr<detail::audience<T>> audience_;
};

}  // namespace sluice
