// async_recv, async_send and async_select for Boost.Asio, by its completion tokens.
#pragma once

#include <boost/asio/version.hpp>

#if BOOST_ASIO_VERSION < 101900
#error "sluice: <sluice/boost_asio.hpp> needs a Boost.Asio with cancellation slots, Boost 1.77 or later"
#else

#include <chrono>
#include <cstddef>
#include <utility>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/system_executor.hpp>
#include <boost/system/error_code.hpp>

#include <sluice/detail/asio_functions.hpp>
#include <sluice/sluice.hpp>

namespace sluice {

namespace detail {

// What the operations use of Asio.
struct boost_asio {
    using execution_context = boost::asio::execution_context;
    using cancellation_type = boost::asio::cancellation_type_t;
    using error_code = boost::system::error_code;
    template <class Executor>
    using work_guard = boost::asio::executor_work_guard<Executor>;
    using system_executor = boost::asio::system_executor;
    template <class Executor>
    static constexpr bool is_executor = boost::asio::execution::is_executor<Executor>::value;
    template <class Executor>
    static constexpr bool tells_context =
        boost::asio::can_query<const Executor&, boost::asio::execution::context_t>::value;
    template <class Executor>
    using timer = boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                                    boost::asio::wait_traits<std::chrono::steady_clock>, Executor>;
    template <class Handler>
    using executor_of = boost::asio::associated_executor_t<Handler>;
    template <class Handler>
    using allocator_of = boost::asio::associated_allocator_t<Handler>;

    template <class Handler>
    static auto get_executor(const Handler& h) noexcept {
        return boost::asio::get_associated_executor(h);
    }
    template <class Handler>
    static auto get_allocator(const Handler& h) noexcept {
        return boost::asio::get_associated_allocator(h);
    }
    template <class Handler>
    static auto get_slot(const Handler& h) noexcept {
        return boost::asio::get_associated_cancellation_slot(h);
    }
    template <class Executor>
    static execution_context& query_context(const Executor& e) {
        return boost::asio::query(e, boost::asio::execution::context);
    }
    template <class Service>
    static Service& use_service(execution_context& c) {
        return boost::asio::use_service<Service>(c);
    }
    template <class Executor, class Function>
    static void post(const Executor& e, Function&& f) {
        boost::asio::post(e, std::forward<Function>(f));
    }
    template <class Signature, class Initiation, class Token, class... Kept>
    static auto initiate(Initiation&& initiation, Token& token, Kept&&... kept) {
        return boost::asio::async_initiate<Token, Signature>(std::forward<Initiation>(initiation), token,
                                                             std::forward<Kept>(kept)...);
    }
};

}  // namespace detail

// Apart from those of the other library: who includes both headers writes sluice::for_boost_asio::async_recv.
inline namespace for_boost_asio {

/// @{
/// What `<sluice/asio.hpp>` has for Asio, for the completion tokens of Boost.Asio: see there.
template <class T, class Token>
auto async_recv(const receiver<T>& rx, Token&& token) {
    return detail::asio_functions<detail::boost_asio>::recv(rx, token);
}
template <class T, class Message, class Token>
auto async_send(const sender<T>& tx, Message&& message, Token&& token) {
    if constexpr (detail::sendable<Message, T>) {
        return detail::asio_functions<detail::boost_asio>::send(tx, T(std::forward<Message>(message)), token);
    } else {
        detail::refuse_to_send<Message, T>();
    }
}
template <class Token, class... Cases>
    requires(!detail::is_case<Token> && !detail::is_refused<Token>)
auto async_select(Token&& token, Cases&&... cases) {
    if constexpr ((detail::check_case<Cases>() && ...)) {
        return detail::asio_functions<detail::boost_asio>::select(token, std::forward<Cases>(cases).into_stored()...);
    }
}
/// @}

}  // namespace for_boost_asio

}  // namespace sluice

#endif
