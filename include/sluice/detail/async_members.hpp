// What the async_ members of the handles return, and async_select.
#pragma once

#include <cstddef>
#include <ranges>
#include <type_traits>
#include <utility>

#include <sluice/detail/async_broadcast.hpp>
#include <sluice/detail/async_channel.hpp>
#include <sluice/detail/async_many.hpp>
#include <sluice/detail/async_operation.hpp>
#include <sluice/detail/async_select.hpp>
#include <sluice/sluice.hpp>
#include <sluice/via.hpp>

namespace sluice {

namespace detail {

template <class Handle>
using message_of = typename std::remove_cvref_t<Handle>::value_type;

// ---- Which operation is made of which arguments, in a task another one where its promise has a part of it; and which of
// the arguments via() only refers to

struct owning {
    template <class Arg>
    using kept = kept_by_value<Arg>;
};

struct recv_kind : owning {
    template <class Rx>
    using operation = recv_operation<message_of<Rx>, own_place>;
    template <class Rx>
    using operation_in_task = recv_operation<message_of<Rx>, lent_place>;
};
struct limited_recv_kind : owning {
    template <class Rx, class When, class Stop>
    using operation = limited_recv_operation<message_of<Rx>, !std::is_same_v<std::remove_cvref_t<When>, no_time>>;
};
struct send_kind : owning {
    template <class Tx, class Message>
    using operation = send_operation<message_of<Tx>, Message, own_place>;
    template <class Tx, class Message>
    using operation_in_task = send_operation<message_of<Tx>, Message, lent_place>;
};
struct limited_send_kind : owning {
    template <class Tx, class Message, class When, class Stop>
    using operation =
        limited_send_operation<message_of<Tx>, Message, !std::is_same_v<std::remove_cvref_t<When>, no_time>>;
};
struct send_many_kind {
    template <class Arg>
    using kept =
        std::conditional_t<std::is_lvalue_reference_v<Arg> && std::ranges::range<Arg>, Arg, kept_by_value<Arg>>;
    template <class Tx, class Range, class Stop>
    using operation = send_many_operation<message_of<Tx>, Range>;
};
struct recv_batch_kind : owning {
    template <class Rx, class Out, class Limit, class Linger, class Stop>
    using operation = recv_batch_operation<message_of<Rx>, std::remove_cvref_t<Out>, std::remove_cvref_t<Linger>>;
};
struct timer_kind : owning {
    template <class Timer, class When, class Stop>
    using operation = timer_operation<std::remove_cvref_t<When>>;
};
struct broadcast_kind : owning {
    template <class Bus, class Message, class Stop>
    using operation = broadcast_operation<message_of<Bus>, Message>;
};
template <preference prefers>
struct select_kind {
    template <class Arg>
    using kept = typename std::remove_cvref_t<Arg>::stored;
    template <class... Cases>
    using operation = select_operation<prefers, std::remove_cvref_t<Cases>...>;
};
struct group_kind {
    template <class Arg>
    using kept = std::conditional_t<std::is_same_v<Arg, group&>, Arg, kept_by_value<Arg>>;
    template <class Group, class When, class Stop>
    using operation = group_operation<std::remove_cvref_t<When>>;
};

// ---- The members

struct async_header {
    static constexpr no_time not_limited{};

    template <class T>
    static auto recv(const receiver<T>& rx) {
        return async_operation<recv_kind, const receiver<T>&>(rx);
    }
    template <class T, class When>
    static auto recv(const receiver<T>& rx, const When& when, const stop_token& stop) {
        return async_operation<limited_recv_kind, const receiver<T>&, const When&, const stop_token&>(rx, when, stop);
    }
    template <class T, class Message>
    static auto send(const sender<T>& tx, Message&& message) {
        return async_operation<send_kind, const sender<T>&, Message&&>(tx, std::forward<Message>(message));
    }
    template <class T, class Message, class When>
    static auto send(const sender<T>& tx, Message&& message, const When& when, const stop_token& stop) {
        return async_operation<limited_send_kind, const sender<T>&, Message&&, const When&, const stop_token&>(
            tx, std::forward<Message>(message), when, stop);
    }
    template <class T, class Range>
    static auto send_many(const sender<T>& tx, Range&& range, const stop_token& stop) {
        return async_operation<send_many_kind, const sender<T>&, Range&&, const stop_token&>(
            tx, std::forward<Range>(range), stop);
    }
    template <class T, class Out, class Linger>
    static auto recv_batch(const receiver<T>& rx, Out&& out, const std::size_t& limit, const Linger& linger,
                           const stop_token& stop) {
        return async_operation<recv_batch_kind, const receiver<T>&, Out&&, const std::size_t&, const Linger&,
                               const stop_token&>(rx, std::forward<Out>(out), limit, linger, stop);
    }
    template <class When>
    static auto recv(const timer& t, const When& when, const stop_token& stop) {
        return async_operation<timer_kind, const timer&, const When&, const stop_token&>(t, when, stop);
    }
    template <class T, class Message>
    static auto broadcast(const broadcaster<T>& bus, Message&& message, const stop_token& stop) {
        return async_operation<broadcast_kind, const broadcaster<T>&, Message&&, const stop_token&>(
            bus, std::forward<Message>(message), stop);
    }
    template <class When>
    static auto wait(group& cases, const When& when, const stop_token& stop) {
        return async_operation<group_kind, group&, const When&, const stop_token&>(cases, when, stop);
    }
    template <preference prefers, class... Cases>
    static auto select(Cases&&... cases) {
        return async_operation<select_kind<prefers>, Cases&&...>(std::forward<Cases>(cases)...);
    }
};

}  // namespace detail

}  // namespace sluice
