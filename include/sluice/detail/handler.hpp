// What the handler of a case takes, by its declared parameter; and what stands in the place of one.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/result.hpp>

namespace sluice::detail {

template <class F, class... Args>
concept callable_with = requires(F& f, Args&&... args) {
    f(std::forward<Args>(args)...);
};

// The declared parameter of a callable that takes one, without const and reference; void where it is generic,
// overloaded, or takes another number of them.
template <class R, class A>
std::type_identity<std::remove_cvref_t<A>> parameter(R (*)(A));
template <class R, class C, class A>
std::type_identity<std::remove_cvref_t<A>> parameter(R (C::*)(A));
template <class R, class C, class A>
std::type_identity<std::remove_cvref_t<A>> parameter(R (C::*)(A) const);
template <class R, class C, class A>
std::type_identity<std::remove_cvref_t<A>> parameter(R (C::*)(A) &);
template <class R, class C, class A>
std::type_identity<std::remove_cvref_t<A>> parameter(R (C::*)(A) const&);

template <class F>
auto declared_parameter() {
    if constexpr (requires { parameter(std::declval<F>()); }) {
        return decltype(parameter(std::declval<F>())){};
    } else if constexpr (requires { parameter(&F::operator()); }) {
        return decltype(parameter(&F::operator())){};
    } else {
        return std::type_identity<void>{};
    }
}

// What a handler is called with: the message (for a send: nothing), or the outcome, which may also be that the channel
// is closed.
enum class handler_kind : std::uint8_t { message, outcome, neither };

template <class Handler, class Outcome, class... Message>
constexpr handler_kind kind_of_handler() {
    using F = std::decay_t<Handler>;
    using Parameter = typename decltype(declared_parameter<F>())::type;
    if constexpr (std::is_same_v<Parameter, Outcome>) {
        return callable_with<F, Outcome> ? handler_kind::outcome : handler_kind::neither;
    } else if constexpr (is_result<Parameter> && !(std::is_same_v<Parameter, Message> || ...)) {
        return handler_kind::neither;  // a result of another type is never told of the closing
    } else if constexpr ((std::is_same_v<Parameter, std::optional<Message>> || ...)) {
        return handler_kind::neither;  // nor is an optional, though it looks so
    } else if constexpr (callable_with<F, Message...>) {
        return handler_kind::message;
    } else if constexpr (callable_with<F, Outcome>) {
        return handler_kind::outcome;
    } else {
        return handler_kind::neither;
    }
}

// These name the types in a compiler's message: of a handler also its parameter, since a lambda has no name.
template <class Handler>
using parameter_of = typename decltype(declared_parameter<std::decay_t<Handler>>())::type;
template <class Handler, class Message, class Parameter>
struct receive_handler {
    static constexpr handler_kind kind = kind_of_handler<Handler, result<Message>, Message>();
    static_assert(
        kind != handler_kind::neither,
        "sluice: the handler of on_recv must take the message, or a sluice::result of it to hear of closing as well; "
        "in its place may stand a variable to store it in, a std::optional or a sluice::result of the message");
};
template <class Handler>
concept send_handler = kind_of_handler<Handler, result<void>>()
!= handler_kind::neither;

// In the place of a handler that takes nothing.
struct no_handler {
    void operator()() const noexcept {}
};

// In the place of a handler that takes a message: stores it.
template <class Into>
struct store_into;
template <class T>
struct store_into<std::optional<T>> {
    std::optional<T>& into;

    void clear() const noexcept { into.reset(); }
    void operator()(T&& message) const { into.emplace(std::move(message)); }
};
template <class T>
struct store_into<result<T>> {
    result<T>& into;

    void clear() const noexcept { into = unexpected(errc::empty); }
    void operator()(result<T>&& outcome) const {
        clear();
        if (outcome) {
            into.emplace(*std::move(outcome));
        } else {
            into = unexpected(outcome.error());
        }
    }
};
template <class Into, class Message>
concept storage_of = std::same_as<Into, std::optional<Message>> || std::same_as<Into, result<Message>>;

// Before a select begins.
template <class Handler>
void clear_storage(Handler&) noexcept {}
template <class Into>
void clear_storage(store_into<Into>& storage) noexcept {
    storage.clear();
}

template <class R>
concept awaited_as_it_is = requires {
    std::declval<R>().operator co_await();
}
|| requires { operator co_await(std::declval<R>()); }
|| requires {
    std::declval<R>().await_ready();
    std::declval<R>().await_resume();
};
// Whether an R is there to be awaited, as what a coroutine returns.
template <class R>
concept awaitable = awaited_as_it_is<R> || awaited_as_it_is<std::add_lvalue_reference_t<R>>;

// Calls the handler of a case.
template <class Handler, class... Arguments>
void run_handler(Handler& handler, Arguments&&... arguments) {
    static_assert(!awaitable<decltype(handler(std::forward<Arguments>(arguments)...))>,
                  "sluice: the handler of a case returns something that is to be awaited, which a select does not do: "
                  "it must not be a coroutine; await outside, by the index that select returns");
    static_cast<void>(handler(std::forward<Arguments>(arguments)...));
}

// Calls the handler with the outcome, as an rvalue, and destroys what the handler leaves of it: a message may hold
// handles, which would keep a channel open.
template <handler_kind Kind, class Handler, class Outcome>
void call(Handler& handler, Outcome& outcome) {
    struct end_of_message {
        Outcome& outcome;
        ~end_of_message() { outcome = unexpected(errc::closed); }
    };
    const end_of_message end{outcome};
    if constexpr (Kind == handler_kind::message) {
        run_handler(handler, *std::move(outcome));
    } else if constexpr (Kind == handler_kind::outcome) {
        run_handler(handler, std::move(outcome));
    }
}

}  // namespace sluice::detail
