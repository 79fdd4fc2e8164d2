// The factories of channels, and with them the handles through which everything is sent and received.
#pragma once

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <variant>

#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/overflow.hpp>
#include <sluice/receiver.hpp>
#include <sluice/sender.hpp>
#include <sluice/weak.hpp>

namespace sluice {

/// Both ends of a channel: `auto [tx, rx] = sluice::bounded<int>(64);`. An aggregate of two handles.
template <class T>
struct channel {
    sender<T> tx;    ///< The sending half.
    receiver<T> rx;  ///< The receiving half.
};

namespace detail {
template <class T>
channel<T> make_channel(std::optional<std::size_t> limit, overflow rule = overflow::block) {
    auto* const c = channel_core<T>::make(limit, 1, 0, rule);
    return {sender<T>(c), receiver<T>(c)};
}

inline void check_rule(std::size_t capacity, overflow rule) {
    if (rule == overflow::block) return;
    if (rule != overflow::drop_oldest && rule != overflow::drop_newest)
        throw_error(std::invalid_argument("sluice: only a subscriber can be disconnected, not a channel"));
    if (capacity == 0)
        throw_error(std::invalid_argument("sluice: a rendezvous holds no message that could be discarded"));
}
}  // namespace detail

/// A new asynchronous channel, with no limit to the messages in it: a send never blocks. Takes memory as messages come;
/// what a burst has taken is given back when it has been received, but for 2 KiB; where bursts come again, what is kept
/// for the next one is at most 32 MiB in all channels of the process together. Does not block; throws std::bad_alloc.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> unbounded() { return detail::make_channel<T>(std::nullopt); }

/// A new channel that holds at most `capacity` messages: a send blocks while that many are in it. A capacity of 0 makes
/// a rendezvous. Takes and gives back memory as an unbounded channel does, so that a large capacity costs nothing by
/// itself. Does not block; throws std::bad_alloc.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> bounded(std::size_t capacity) { return detail::make_channel<T>(capacity); }

/// The same with a rule for a send that finds no room: `block` as above, or it never blocks, and discards the oldest
/// message in the channel (`drop_oldest`), or the new one (`drop_newest`). With these every way of sending succeeds
/// until the channel closes, none reports `full`, and its argument is given up in either case; dropped() of every handle
/// counts what was discarded. Taking the oldest out and putting the new one in is one step. What is discarded is
/// destroyed by the thread that sends, with no lock held.
///
/// Does not block; throws std::bad_alloc, and std::invalid_argument if the rule is `disconnect`, or not `block` where
/// the capacity is 0. Needs a `T` whose move does not throw, whichever the rule.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> bounded(std::size_t capacity, overflow when_full) {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "sluice: a channel with an overflow rule needs messages whose move does not throw, so that none is "
                  "lost between taking the oldest out and putting the new one in");
    detail::check_rule(capacity, when_full);
    return detail::make_channel<T>(capacity, when_full);
}

/// A new synchronous channel, which holds no message: a send blocks until a receiver has taken it. The same as
/// `bounded<T>(0)`. Does not block; throws std::bad_alloc.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> rendezvous() { return bounded<T>(0); }

namespace detail {
// A channel without messages does not exist; what is written for one gets a channel of signals and a sentence. The type is
// that of a void alone, so that such a channel is compiled for nobody else.
template <class T>
using not_void = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
template <class T>
channel<not_void<T>> refuse_void() {
    static_assert(!std::is_void_v<T>,
                  "sluice: there is no channel of void: for mere signals make one of std::monostate");
    return {};
}
}  // namespace detail
/// @cond
template <class T>
    requires(std::is_void_v<T>)
channel<detail::not_void<T>> unbounded() { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<detail::not_void<T>> bounded(std::size_t) { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<detail::not_void<T>> bounded(std::size_t, overflow) { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<detail::not_void<T>> rendezvous() { return detail::refuse_void<T>(); }
/// @endcond

}  // namespace sluice
