// async_operation: what an async_ call returns, to be awaited at once.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/detail/handle.hpp>
#include <sluice/detail/suspension.hpp>

namespace sluice::detail {

// What lies in the frame of a coroutine must not be aligned more than memory from operator new is: compilers place it as
// if it were, and some of them ask for no more.
template <class Operation>
inline constexpr bool fits_frame = alignof(Operation) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__;

// Whether what the `co_await` gives need not be looked at, since handlers were told: a select, the wait of a group.
template <class Operation>
concept tells_handlers = requires {
    Operation::tells_handlers;
};

// What an awaiter offers to the compiler, around an operation. Where its coroutine goes on is found in the promise.
template <class Operation>
class awaiter final : public Operation {
    static_assert(fits_frame<Operation>,
                  "sluice: the frame of a coroutine is not aligned for this message: send a std::unique_ptr to it");

public:
    template <class... Args>
    explicit awaiter(Args&&... args) : Operation(std::forward<Args>(args)...) {}

    bool await_ready() { return this->look(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        if constexpr (requires { this->lend(h.promise().place_in_line); }) this->lend(h.promise().place_in_line);
        return this->suspend_in(h, executor_of<Operation::needs_time>(h.promise()));
    }
    [[nodiscard]] auto await_resume() { return this->take_result(); }
    auto await_resume() requires tells_handlers<Operation> { return this->take_result(); }
};

// What via() keeps in the place of an argument, as a rule.
template <class Arg>
using kept_by_value = std::remove_cvref_t<Arg>;

// Which operation, and references to its arguments. It is awaited in the expression that makes it: operator co_await
// takes it by value, and it can be neither copied nor moved. `Kind::operation` of the types of the arguments is the
// class of the operation, which is made of them; `Kind::kept` of each what via() keeps in its place.
template <class Kind, class... Args>
class [[nodiscard]] async_operation {
public:
    explicit async_operation(Args... args) noexcept : args_(static_cast<Args>(args)...) {}
    async_operation(const async_operation&) = delete;
    async_operation& operator=(const async_operation&) = delete;
    ~async_operation() = default;

    template <std::same_as<async_operation> Prvalue>
    friend auto operator co_await(Prvalue op) {
        return std::move(op).template make_awaiter<typename Kind::template operation<Args...>>();
    }
    friend never_awaited<void> operator co_await(async_operation&) {
        static_assert(
            !std::is_same_v<Kind, Kind>,
            "sluice: an operation refers to its arguments, and is awaited where it is made: co_await "
            "rx.async_recv(); elsewhere than in a task, what sluice::via(executor, operation) returns may be kept");
        return {};
    }

    // For a coroutine whose promise has a place for what stands in line.
    auto awaiter_in_task() && {
        if constexpr (requires { typename Kind::template operation_in_task<Args...>; }) {
            return std::move(*this).template make_awaiter<typename Kind::template operation_in_task<Args...>>();
        } else {
            return std::move(*this).template make_awaiter<typename Kind::template operation<Args...>>();
        }
    }

    // For via(): calls `f` with the arguments.
    template <class F>
    auto apply(F&& f) && {
        return apply_at(f, std::index_sequence_for<Args...>());
    }

private:
    template <class Operation>
    auto make_awaiter() && {
        return std::move(*this).apply([](auto&&... args) { return awaiter<Operation>(static_cast<Args>(args)...); });
    }
    template <class F, std::size_t... at>
    auto apply_at(F& f, std::index_sequence<at...>) {
        return f(static_cast<Args>(std::get<at>(args_))...);
    }

    std::tuple<Args...> args_;
};

template <class Operation>
inline constexpr bool is_async_operation = false;
template <class Kind, class... Args>
inline constexpr bool is_async_operation<async_operation<Kind, Args...>> = true;

}  // namespace sluice::detail
