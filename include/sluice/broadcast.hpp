// broadcaster: a channel to each subscriber, and one send that reaches them all.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/core.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/wait.hpp>
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

    // Delivers the message, which is moved from if that is possible; whether it was delivered.
    bool deliver(T& message) const {
        core<T>& channel = *core_of(to);
        switch (when_full) {
            case overflow::block: return channel.send(message, deadline::never(), {}) == errc{};
            case overflow::drop_oldest: {
                std::optional<T> displaced;  // ends here, with no lock held
                return channel.send_displacing(message, displaced) == attempt::done;
            }
            case overflow::drop_newest: return channel.try_send(message) == attempt::done;
            case overflow::disconnect:
                if (const attempt tried = channel.try_send(message); tried != attempt::blocked)
                    return tried == attempt::done;
                channel.close();
                return false;
        }
        return false;
    }
};

// Who listens. A send works on the list as it was when it began, so that a publisher who has to wait keeps nobody from
// joining.
template <class T>
class bus {
public:
    using list = std::vector<subscription<T>>;

    std::shared_ptr<const list> subscribers() const {
        const guard held(lock_);
        return subscribers_;
    }

    void add(subscription<T> s) {
        update([&](list& l) { l.push_back(std::move(s)); });
    }

    // Where memory is short they stay until a later call.
    void forget_those_who_left() {
        try {
            update([](list&) {});
        } catch (const std::bad_alloc&) {
        }
    }

private:
    // Replaces the list by a changed copy without those who have left. The old one may be the last to hold a message's
    // channel, so it is dropped with no lock held.
    template <class F>
    void update(F&& change) {
        std::shared_ptr<const list> old;
        const guard held(lock_);
        auto changed = std::make_shared<list>();
        changed->reserve(subscribers_->size() + 1);
        std::copy_if(subscribers_->begin(), subscribers_->end(), std::back_inserter(*changed),
                     [](const subscription<T>& s) { return !s.to.is_closed(); });
        change(*changed);
        old = std::exchange(subscribers_, std::move(changed));
    }

    mutable sync::mutex lock_;
    std::shared_ptr<const list> subscribers_ = std::make_shared<list>();
};

}  // namespace detail

/// Sends each message to every subscriber: a copyable handle, each copy one more publisher. When the last one is
/// dropped, the channels of all subscribers close. Every member may be called from any number of threads at once. `T`
/// must be copyable.
///
/// A subscriber gets the messages of one publisher in the order in which it sent them; those of several may come to two
/// subscribers in different orders.
template <class T>
class broadcaster {
    static_assert(std::is_copy_constructible_v<T>, "sluice: a message that is broadcast must be copyable");

public:
    broadcaster() : bus_(std::make_shared<detail::bus<T>>()) {}

    /// Whether it can reach anyone: not if it was moved from.
    explicit operator bool() const noexcept { return bus_ != nullptr; }
    friend bool operator==(const broadcaster&, const broadcaster&) noexcept = default;

    /// A new subscriber, who gets every message sent from now on, through an unbounded channel. He leaves by dropping
    /// the receiver.
    [[nodiscard]] receiver<T> subscribe() const { return join(unbounded<T>(), overflow::block); }
    /// The same through a channel of that capacity, and with a rule for what happens when it is full.
    [[nodiscard]] receiver<T> subscribe(std::size_t capacity, overflow when_full = overflow::block) const {
        return join(bounded<T>(capacity), when_full);
    }

    /// How many subscribers there are.
    std::size_t subscriber_count() const {
        if (!bus_) return 0;
        const auto subscribers = bus_->subscribers();
        return static_cast<std::size_t>(
            std::count_if(subscribers->begin(), subscribers->end(), [](const auto& s) { return !s.to.is_closed(); }));
    }

    /// Sends a copy of the message to each subscriber, to the last one the message itself if it was an rvalue. Returns
    /// how many got it. Blocks while the channel of a subscriber with overflow::block is full. If a copy throws, the
    /// exception leaves the call, and some subscribers may have got the message.
    [[nodiscard]] std::size_t send(const T& message) const {
        T copy(message);
        return send(std::move(copy));
    }
    [[nodiscard]] std::size_t send(T&& message) const {
        if (!bus_) return 0;
        const auto subscribers = bus_->subscribers();
        std::size_t reached = 0;
        bool anyone_left = false;
        for (auto s = subscribers->begin(); s != subscribers->end(); ++s) {
            bool delivered;
            if (s + 1 == subscribers->end()) {
                delivered = s->deliver(message);
            } else {
                T copy(std::as_const(message));
                delivered = s->deliver(copy);
            }
            if (delivered) ++reached;
            if (!delivered && s->to.is_closed()) anyone_left = true;
        }
        if (anyone_left) bus_->forget_those_who_left();
        return reached;
    }

private:
    receiver<T> join(channel<T> c, overflow when_full) const {
        if (bus_) bus_->add({std::move(c.tx), when_full});
        return std::move(c.rx);
    }

    std::shared_ptr<detail::bus<T>> bus_;
};

}  // namespace sluice
