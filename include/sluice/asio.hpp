// async_recv, async_send and async_select for Asio, by its completion tokens.
#pragma once

#include <asio/version.hpp>

#if ASIO_VERSION < 101900
#error "sluice: <sluice/asio.hpp> needs an Asio with cancellation slots, 1.19 or later"
#else

#include <chrono>
#include <cstddef>
#include <utility>

#include <asio/associated_allocator.hpp>
#include <asio/associated_cancellation_slot.hpp>
#include <asio/associated_executor.hpp>
#include <asio/async_result.hpp>
#include <asio/basic_waitable_timer.hpp>
#include <asio/cancellation_type.hpp>
#include <asio/error_code.hpp>
#include <asio/execution/context.hpp>
#include <asio/execution/executor.hpp>
#include <asio/execution_context.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/post.hpp>
#include <asio/query.hpp>
#include <asio/system_executor.hpp>

#include <sluice/detail/asio_functions.hpp>
#include <sluice/sluice.hpp>

namespace sluice {

namespace detail {

// What the operations use of Asio.
struct standalone_asio {
    using execution_context = asio::execution_context;
    using cancellation_type = asio::cancellation_type_t;
    using error_code = asio::error_code;
    template <class Executor>
    using work_guard = asio::executor_work_guard<Executor>;
    using system_executor = asio::system_executor;
    template <class Executor>
    static constexpr bool is_executor = asio::execution::is_executor<Executor>::value;
    template <class Executor>
    static constexpr bool tells_context = asio::can_query<const Executor&, asio::execution::context_t>::value;
    template <class Executor>
    using timer =
        asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
    template <class Handler>
    using executor_of = asio::associated_executor_t<Handler>;
    template <class Handler>
    using allocator_of = asio::associated_allocator_t<Handler>;

    template <class Handler>
    static auto get_executor(const Handler& h) noexcept {
        return asio::get_associated_executor(h);
    }
    template <class Handler>
    static auto get_allocator(const Handler& h) noexcept {
        return asio::get_associated_allocator(h);
    }
    template <class Handler>
    static auto get_slot(const Handler& h) noexcept {
        return asio::get_associated_cancellation_slot(h);
    }
    template <class Executor>
    static execution_context& query_context(const Executor& e) {
        return asio::query(e, asio::execution::context);
    }
    template <class Service>
    static Service& use_service(execution_context& c) {
        return asio::use_service<Service>(c);
    }
    template <class Executor, class Function>
    static void post(const Executor& e, Function&& f) {
        asio::post(e, std::forward<Function>(f));
    }
    template <class Signature, class Initiation, class Token, class... Kept>
    static auto initiate(Initiation&& initiation, Token& token, Kept&&... kept) {
        return asio::async_initiate<Token, Signature>(std::forward<Initiation>(initiation), token,
                                                      std::forward<Kept>(kept)...);
    }
};

}  // namespace detail

// Apart from those of the other library: who includes both headers writes sluice::for_asio::async_recv.
inline namespace for_asio {

/// @{
/// Asynchronous operations like Asio's own, for every completion token: they receive a message, as receiver::recv() does,
/// send one, as sender::send() does, or wait until a case is ready and do what it stands for, as select() does; with the
/// completion signature `void(sluice::result<T>)`, `void(sluice::result<void>)`, `void(sluice::result<std::size_t>)`.
///
/// **Effect.** They stand in the same lines as blocked threads and suspended coroutines. The handler is called by its
/// associated executor, never inside the initiating function, and the handler of a case just before it, likewise. A
/// pending operation is work of that executor, and uses the associated allocator. When the execution context is
/// destroyed, the operation is withdrawn, and its handler destroyed, not called.
///
/// **Blocking.** None of them blocks. What `deferred` returns may be kept; nothing happens before it is called, and a
/// duration counts from then. Durations, deadlines and timers in the cases use Asio's timers.
///
/// **Failure.** `closed`, as the blocking forms. Cancellation of the associated slot, of any type, ends the operation with
/// `stopped` unless it was completed before, and then nothing was taken or sent; as everywhere in Asio, it must not meet
/// the end of the operation on another thread, and is best emitted on the executor. What the move of a message throws, or
/// the handler of a case, leaves the function that runs the executor, and the completion handler is destroyed, not called.
/// std::bad_alloc leaves the initiating function; where there is no memory later, to post a function object or to wait
/// for a timer, the program ends.
///
/// **Arguments.** The operation owns its handle, its message, or its cases with their handles, values and handlers. A
/// message that is not sent is destroyed with it. The cases are written in the call.
///
/// **Thread safety.** May be called by any number of threads at once, on the same channels and handles.
template <class T, class Token>
auto async_recv(const receiver<T>& rx, Token&& token) {
    return detail::asio_functions<detail::standalone_asio>::recv(rx, token);
}
template <class T, class Message, class Token>
auto async_send(const sender<T>& tx, Message&& message, Token&& token) {
    if constexpr (detail::sendable<Message, T>) {
        return detail::asio_functions<detail::standalone_asio>::send(tx, T(std::forward<Message>(message)), token);
    } else {
        detail::refuse_to_send<Message, T>();
    }
}
template <class Token, class... Cases>
    requires(!detail::is_case<Token> && !detail::is_refused<Token>)
auto async_select(Token&& token, Cases&&... cases) {
    if constexpr ((detail::check_case<Cases>() && ...)) {
        return detail::asio_functions<detail::standalone_asio>::select(token,
                                                                       std::forward<Cases>(cases).into_stored()...);
    }
}
/// @}

}  // namespace for_asio

}  // namespace sluice

#endif
