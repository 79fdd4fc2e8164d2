// broadcaster: a channel to each subscriber, and one send that reaches them all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
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
#include <sluice/result.hpp>

namespace sluice {

/// What happens to a message for a subscriber whose channel is full.
enum class overflow : std::uint8_t {
    block,        ///< the publisher waits
    drop_oldest,  ///< the oldest message in the channel makes room for it
    drop_newest,  ///< the subscriber does not get it
    disconnect,   ///< the subscriber's channel is closed; what is in it can still be received
};

namespace detail {

template <class T>
struct subscription {
    sender<T> to;
    overflow when_full = overflow::block;

    // Whether it is worthwhile to make a message for it: false if it has no room, and does not get any made.
    bool can_take(const stop_token& stop) const {
        if (when_full == overflow::drop_oldest || (when_full == overflow::block && !stop.stop_requested())) return true;
        return core_of(to)->maybe_ready_to_send();
    }

    // Whether the message was delivered. It is moved from only then. Once a stop was requested, nothing blocks.
    bool deliver(T& message, const stop_token& stop) const {
        channel_core<T>& channel = *core_of(to);
        if (when_full == overflow::block) {
            const errc sent = channel.send(message, deadline::never(), stop);
            if (sent != errc::stopped) return sent == errc{};
        } else if (when_full == overflow::drop_oldest) {
            if constexpr (std::is_nothrow_move_constructible_v<T>) {
                std::optional<T> evicted;  // destroyed with no lock held
                return channel.send_evicting(message, evicted) == op_status::done;
            }
        }
        return channel.try_send(message) == op_status::done;
    }
};

// The subscribers: an array that grows at its end. What is in it is never changed, so that a send can walk through a
// view of it, as it was when the send began, without the lock. To grow beyond its capacity, and to forget those who
// have left, the array is replaced by a copy; a send that still walks through the old one keeps it alive.
//
// `lock_` guards `current_` and the size of what it points to. Under it only a pointer or a subscription is put in its
// place: no allocation, no user code, no destructor of a message, a channel or an array.
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

    // Amortised O(1): a full array is copied into one twice as large as those who are still there, so that those who
    // have left do not accumulate. If there is no memory for that, the exception leaves the audience as it was.
    void add(subscription<T> newcomer) {
        while (!append(newcomer)) renew();
    }

    // If there is no memory for that, they stay until a later call.
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

    // Replaces the array by a copy without those who have left, unless it was replaced, or too many have come, in the
    // meantime.
    void renew() {
        const auto there = [](const subscription<T>& s) { return !s.to.is_closed(); };
        const view seen = now();
        const auto count = static_cast<std::size_t>(std::count_if(seen.begin(), seen.end(), there));
        auto fresh = std::make_shared<array>();
        fresh->reserve((std::max)(2 * count, std::size_t{1}));
        std::copy_if(seen.begin(), seen.end(), std::back_inserter(*fresh), there);

        const spin_lock_guard held(
            lock_);  // ends before `fresh` and `seen`, which may be the last to know the old array
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

/// Sends each message to every subscriber. A broadcaster is a copyable handle, and each copy one more publisher; when
/// the last one is dropped, the channels of all subscribers close, after what was sent.
///
/// Every member may be called from any number of threads at once, on the same handle or on copies of it; assigning to
/// one handle object beside its use is not safe. The messages of one publisher arrive at each subscriber in the order
/// in which it sent them; those of several may come to two subscribers in different orders.
///
/// `T` must be copyable. Its copies are made and destroyed, and discarded messages are destroyed, with no lock held, so
/// they may use this broadcaster and any channel.
template <class T>
class broadcaster {
    static_assert(std::is_copy_constructible_v<T>, "sluice: a message that is broadcast must be copyable");
    using stop_token = detail::stop_token;

public:
    /// A broadcaster without subscribers.
    broadcaster() : audience_(std::make_shared<detail::audience<T>>()) {}

    /// Whether it can reach anyone: not if it was moved from.
    explicit operator bool() const noexcept { return audience_ != nullptr; }
    /// Whether both reach the same subscribers.
    friend bool operator==(const broadcaster&, const broadcaster&) noexcept = default;

    /// A new subscriber, which gets every message whose send begins from now on, through an unbounded channel. It leaves
    /// by dropping the receiver, or by closing it.
    ///
    /// Never waits for a publisher, and takes constant time on average, however many subscribers there are. Throws
    /// std::bad_alloc; then there is no new subscriber. Of a broadcaster that was moved from the receiver is closed.
    [[nodiscard]] receiver<T> subscribe() const { return join(unbounded<T>(), overflow::block); }

    /// The same through a channel of that capacity (0 for a rendezvous), and with a rule for what happens when it is
    /// full. Throws also std::invalid_argument if the rule is to drop messages, and the move of a `T` may throw.
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

    /// How many subscribers there are. Never blocks; tells what was so at some moment of the call.
    std::size_t subscriber_count() const {
        if (!audience_) return 0;
        const auto all = audience_->now();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [](const auto& s) { return !s.to.is_closed(); }));
    }

    /// Sends the message to those who had subscribed before the call, one after the other in the order in which they
    /// have subscribed. Returns how many got it.
    ///
    /// Blocks while the channel of a subscriber with overflow::block is full; meanwhile others may subscribe, leave and
    /// send. A stop ends that wait: the subscriber under way does not get the message, and those behind it get it if
    /// that needs no wait. If a stop was requested before the call, it returns 0 and nothing happens.
    ///
    /// Each gets a copy, which is made when its turn comes and moved into its channel. None is made for a subscriber
    /// that has left, nor for one that does not get the message because its channel has no room. If a copy or a move
    /// throws, or there is no memory, the exception leaves the call: those before have got the message, and the
    /// broadcaster and all subscribers stay usable.
    [[nodiscard]] std::size_t send(const T& message, const stop_token& stop = {}) const {
        return publish(message, nullptr, stop);
    }

    /// The same with a message that is moved to the last of those who are there, so that one is copied less. It is
    /// moved from only if that subscriber got it; otherwise it is as it was.
    [[nodiscard]] std::size_t send(T&& message, const stop_token& stop = {}) const {
        return publish(message, std::addressof(message), stop);
    }

private:
    receiver<T> join(channel<T> c, overflow when_full) const {
        if (audience_) audience_->add({std::move(c.tx), when_full});
        return std::move(c.rx);
    }

    // `original` is the message itself if it may be moved from, else null.
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
