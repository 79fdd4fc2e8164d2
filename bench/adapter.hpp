// What a channel must offer to be measured: its abilities, and how its two ends are opened and used.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace bench {

/// Values sent, and numbers of messages.
using number = std::int64_t;

/// How many messages a channel buffers: none given for any number, 0 for a rendezvous.
using limit = std::optional<std::size_t>;
inline constexpr limit unbounded = std::nullopt;
inline constexpr limit rendezvous = 0;

struct abilities {
    bool unbounded = false;
    bool bounded = false;
    bool rendezvous = false;
    bool many_senders = true;
    bool many_receivers = true;

    constexpr bool open(const limit& capacity) const {
        return !capacity ? unbounded : *capacity == 0 ? rendezvous : bounded;
    }
};

/// A channel's two ends. Each thread works on a copy of its own.
template <class Tx, class Rx>
struct ends {
    Tx tx;
    Rx rx;
};

template <class M, class T>
concept maybe = requires(M m) {
    static_cast<bool>(m);
    { *m } -> std::convertible_to<const T&>;
};

template <class E, class T>
concept ends_for = requires(E e, T message) {
    e.tx.send(std::move(message));
    { e.rx.recv() } -> maybe<T>;
};

/// What has the name of a library, and says which channels it makes.
template <class A>
concept described = requires {
    { A::name } -> std::convertible_to<const char*>;
    { A::can } -> std::convertible_to<abilities>;
};

/// An adapter of a channel. `closes` says that a sending end has close(), after which recv() returns nothing once all
/// was received; without it, recv() always returns a message.
template <class A>
concept adapter = described<A> && requires(limit capacity) {
    { A::closes } -> std::convertible_to<bool>;
    { A::template open<number>(capacity) } -> ends_for<number>;
    requires !A::closes || requires { A::template open<number>(capacity).tx.close(); };
};

/// An adapter of a channel that also moves many messages at once.
template <class A>
concept batching = adapter<A> && requires(limit capacity, std::span<number> messages) {
    A::template open<number>(capacity).tx.send_many(std::span<const number>(messages));
    { A::template open<number>(capacity).rx.recv_many(messages) } -> std::convertible_to<std::size_t>;
};

}  // namespace bench
