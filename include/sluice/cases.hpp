// on_recv, on_send, on_closed, on_timeout, on_deadline, on_stop and otherwise: what a select waits for.
#pragma once

#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/batch.hpp>
#include <sluice/detail/cases.hpp>
#include <sluice/detail/deadline.hpp>

namespace sluice {

/// @{
/// A case of select(): ready when a message can be received. If it is chosen, the message is received and the handler
/// called with it. A channel that is closed and drained takes the case out of the race; but if the handler is declared
/// to take a `result<T>`, the case is ready then, and the handler is called with `closed`. What it returns is ignored.
///
/// It is the declared parameter that counts: of a lambda, a function, a std::function, or a class with one operator().
/// What declares no type takes the message: a generic handler, and what std::bind_front, std::bind and std::ref return.
/// If a message throws as it is moved into the parameter, it has been received, and is lost with the exception.
///
/// A receiver and a handler that are lvalues are referred to until the select returns. A case on an empty handle is
/// never ready, whatever its handler: this switches a case off.
template <class T, class Handler>
[[nodiscard]] detail::receive_case<T, const receiver<T>&, Handler> on_recv(const receiver<T>& rx, Handler&& handler) {
    return {rx, std::forward<Handler>(handler)};
}
template <class T, class Handler>
[[nodiscard]] detail::receive_case<T, receiver<T>, Handler> on_recv(receiver<T>&& rx, Handler&& handler) {
    return {std::move(rx), std::forward<Handler>(handler)};
}
/// @}

/// @{
/// A case of select(): the same without a handler. If it is chosen, what a handler would be called with is in `into`
/// when the select returns: a message in a `std::optional<T>`, with which the case drops out when the channel is closed
/// and drained; or a message or `closed` in a `result<T>`, with which it is ready then.
///
/// `into` is an lvalue, and is referred to. A select empties it as it begins, a result to `empty`, so that it holds
/// something afterwards only if this case was chosen; no other case may refer to what was in it. A selector touches it
/// only when the case is chosen, and may be told to store into it again and again. If the move of a message into it
/// throws, the message has been received, and is lost with the exception, and `into` is empty.
template <class T, detail::storage_of<T> Into>
[[nodiscard]] detail::receive_case<T, const receiver<T>&, detail::store_into<Into>> on_recv(const receiver<T>& rx,
                                                                                            Into& into) {
    return {rx, {into}};
}
template <class T, detail::storage_of<T> Into>
[[nodiscard]] detail::receive_case<T, receiver<T>, detail::store_into<Into>> on_recv(receiver<T>&& rx, Into& into) {
    return {std::move(rx), {into}};
}
/// @}

/// @{
/// A case of select(): ready when the value can be sent. If it is chosen, the value is sent, and then the handler
/// called, if there is one: with nothing, or if it is declared to take a `result<void>`, with that. A closed channel
/// takes the case out of the race; but for a handler that takes a `result<void>`, the case is ready then, and the
/// handler is called with `closed`.
///
/// The value is a `T`, or what converts to `T` implicitly. It is referred to until the select returns. An rvalue is
/// moved from only if this case is chosen. An lvalue is copied at most once, and possibly in vain if the select has to
/// wait; a selector owns the value, and makes no other copy. A sender and a handler that are lvalues are referred to as
/// well. A case on an empty handle is never ready.
template <class T, class Handler = detail::no_handler>
[[nodiscard]] detail::send_case<T, const sender<T>&, const T&, Handler> on_send(const sender<T>& tx,
                                                                                const std::type_identity_t<T>& value,
                                                                                Handler&& handler = {}) {
    return {tx, std::forward<Handler>(handler), value};
}
template <class T, class Handler = detail::no_handler>
[[nodiscard]] detail::send_case<T, const sender<T>&, T&&, Handler> on_send(const sender<T>& tx,
                                                                           std::type_identity_t<T>&& value,
                                                                           Handler&& handler = {}) {
    return {tx, std::forward<Handler>(handler), std::move(value)};
}
template <class T, class Handler = detail::no_handler>
[[nodiscard]] detail::send_case<T, sender<T>, const T&, Handler> on_send(sender<T>&& tx,
                                                                         const std::type_identity_t<T>& value,
                                                                         Handler&& handler = {}) {
    return {std::move(tx), std::forward<Handler>(handler), value};
}
template <class T, class Handler = detail::no_handler>
[[nodiscard]] detail::send_case<T, sender<T>, T&&, Handler> on_send(sender<T>&& tx, std::type_identity_t<T>&& value,
                                                                    Handler&& handler = {}) {
    return {std::move(tx), std::forward<Handler>(handler), std::move(value)};
}
/// @}

/// A case of select(): ready when the channel of `handle` is closed, whether or not messages are left in it. It is for
/// leaving a loop, or for waiting for nothing else: it never drops out of the race, and stays ready, so that a loop over
/// it needs an end. A case that receives from a channel which closes at the same time is as likely to be chosen. The
/// handler, if there is one, takes nothing.
///
/// `handle` is a sender, a receiver, or a weak handle. One that is an lvalue is referred to until the select returns; a
/// selector holds only a weak handle, which does not keep the channel open, and removes the case when it is chosen,
/// before the handler is called. A case on an empty handle is never ready.
template <class Handle, class Handler = detail::no_handler>
    requires detail::handle_of_channel<std::remove_cvref_t<Handle>>
[[nodiscard]] detail::closed_case<Handle, Handler> on_closed(Handle&& handle, Handler&& handler = {}) {
    return {std::forward<Handle>(handle), std::forward<Handler>(handler)};
}

/// A case of select(): chosen if no other case is ready within `timeout`, which counts from the beginning of the
/// select, or of each wait of a selector. A duration of any unit, rounded up to that of steady_clock (nanoseconds, as a
/// rule). One that is not positive is chosen if nothing is ready now, and before an otherwise(); `duration::max()` is
/// never over. The handler, if there is one, takes nothing.
template <class Rep, class Period, class Handler = detail::no_handler>
[[nodiscard]] detail::time_case<std::chrono::duration<Rep, Period>, Handler> on_timeout(
    const std::chrono::duration<Rep, Period>& timeout, Handler&& handler = {}) {
    return {timeout, std::forward<Handler>(handler)};
}

/// A case of select(): chosen if no other case is ready by `deadline`, a time point of any clock, whose changes are
/// followed. One in the past is chosen if nothing is ready now, and before an otherwise(); `time_point::max()` never
/// comes. The handler, if there is one, takes nothing.
template <class Clock, class Duration, class Handler = detail::no_handler>
[[nodiscard]] detail::time_case<std::chrono::time_point<Clock, Duration>, Handler> on_deadline(
    const std::chrono::time_point<Clock, Duration>& deadline, Handler&& handler = {}) {
    return {deadline, std::forward<Handler>(handler)};
}

#if defined(__cpp_lib_jthread)
/// A case of select(): ready when a stop is requested. If that was before the call, it is chosen before all others,
/// except by select_biased() and a biased selector, which keep to their order. A token for which no stop can be
/// requested takes the case out of the race. The handler, if there is one, takes nothing. Only where the standard
/// library has std::stop_token.
template <class Handler = detail::no_handler>
[[nodiscard]] detail::stop_case<Handler> on_stop(detail::stop_token token, Handler&& handler = {}) {
    return {std::move(token), std::forward<Handler>(handler)};
}
#endif

/// A case of select(): chosen if no other case is ready now, so that the select never blocks. A select takes at most
/// one: a second does not compile, and selector::add() throws. The handler, if there is one, takes
/// nothing.
template <class Handler = detail::no_handler>
[[nodiscard]] detail::otherwise_case<Handler> otherwise(Handler&& handler = {}) {
    return {std::forward<Handler>(handler)};
}

/// @cond
// What is no case does not compile, with a sentence that says why.
template <class T, class Handler>
detail::refused_case on_recv(const sender<T>&, Handler&&) {
    static_assert(!std::is_object_v<T>, "sluice: on_recv takes a receiver, or a timer; this is a sender");
    return {};
}
template <class T, class Handler>
detail::refused_case on_recv(const weak_receiver<T>&, Handler&&) {
    static_assert(!std::is_object_v<T>,
                  "sluice: on_recv takes a receiver; this is a weak one: lock() returns a full one");
    return {};
}
template <class Source>
detail::refused_case on_recv(const Source&) {
    static_assert(
        !std::is_object_v<Source>,
        "sluice: on_recv takes a handler, which is called with the message: on_recv(rx, [](T message) { ... }); or a "
        "std::optional or a sluice::result, in which it is stored: on_recv(rx, message)");
    return {};
}
template <class T, class... Arguments>
detail::refused_case on_send(const receiver<T>&, Arguments&&...) {
    static_assert(!std::is_object_v<T>, "sluice: on_send takes a sender; this is a receiver");
    return {};
}
template <class Source, class... Handler>
    requires(!detail::handle_of_channel<Source>)
detail::refused_case on_closed(const Source&, Handler&&...) {
    static_assert(!std::is_object_v<Source>, "sluice: on_closed takes a handle of a channel: a sender or a receiver");
    return {};
}
template <class T, class U, class... Handler>
    requires(!detail::sendable<U, T>)
detail::refused_case on_send(const sender<T>&, U&&, Handler&&...) {
    detail::refuse_to_send<U, T>();
    return {};
}
/// @endcond

}  // namespace sluice
