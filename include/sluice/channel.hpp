// The factories of channels, and with them the handles through which everything is sent and received.
#pragma once

#include <cstddef>
#include <optional>
#include <type_traits>
#include <variant>

#include <sluice/detail/channel_core.hpp>
#include <sluice/receiver.hpp>
#include <sluice/sender.hpp>

namespace sluice {

#include <sluice/weak.hpp>
/// Both ends of a channel: `auto [tx, rx] = sluice::bounded<int>(64);`. An aggregate of two handles.
template <class T>
struct channel {
    sender<T> tx;    ///< The sending half.
    receiver<T> rx;  ///< The receiving half.
};

namespace detail {
template <class T>
channel<T> make_channel(std::optional<std::size_t> limit) {
    auto* const c = channel_core<T>::make(limit);
    return {sender<T>(c), receiver<T>(c)};
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

/// A new synchronous channel, which holds no message: a send blocks until a receiver has taken it. The same as
/// `bounded<T>(0)`. Does not block; throws std::bad_alloc.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> rendezvous() { return bounded<T>(0); }

namespace detail {
// A channel without messages does not exist; what is written for one gets a channel of signals and a sentence.
template <class T>
channel<std::monostate> refuse_void() {
    static_assert(!std::is_void_v<T>,
                  "sluice: there is no channel of void: for mere signals make one of std::monostate");
    return {};
}
}  // namespace detail
/// @cond
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> unbounded() { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> bounded(std::size_t) { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> rendezvous() { return detail::refuse_void<T>(); }
/// @endcond

}  // namespace sluice
