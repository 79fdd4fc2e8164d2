// via: awaits an operation in a coroutine of any type, or later.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/detail/async_operation.hpp>
#include <sluice/detail/handle.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/executor.hpp>
#include <sluice/select.hpp>

namespace sluice {

namespace detail {

// An lvalue that is only referred to. Assigning makes this refer to another one, where that of a reference would assign to
// the lvalue.
template <class Referred>
class kept_reference {
public:
    kept_reference(Referred& to) noexcept : to_(std::addressof(to)) {}
    operator Referred&() const noexcept { return *to_; }

private:
    Referred* to_;
};
template <class Kept>
using place_of_kept =
    std::conditional_t<std::is_reference_v<Kept>, kept_reference<std::remove_reference_t<Kept>>, Kept>;

// A case of a select is kept as a group keeps it.
template <class Kept, class Arg>
Kept keep(Arg&& arg) {
    if constexpr (is_case<Arg>) {
        return std::forward<Arg>(arg).into_stored();
    } else {
        return std::forward<Arg>(arg);
    }
}

}  // namespace detail

/// What via() returns: an operation with all that it needs. Movable, not copyable; awaited once, as an rvalue:
/// `co_await std::move(op)`. One that is not awaited has done nothing, and drops what it holds.
template <executor Executor, class Kind, class... Kept>
class [[nodiscard]] via_operation {
public:
    /// @cond
    template <class Operation>
    via_operation(const Executor& executor, Operation&& op)
        : executor_(executor), kept_(std::forward<Operation>(op).apply([](auto&&... args) {
              return places(detail::keep<Kept>(std::forward<decltype(args)>(args))...);
          })) {}
    via_operation(const via_operation&) = delete;
    via_operation(via_operation&&) = default;
    via_operation& operator=(const via_operation&) = delete;
    via_operation& operator=(via_operation&&) = default;
    ~via_operation() = default;

    auto operator co_await() && {
        return std::apply([this](auto&... kept) { return awaiter(executor_, static_cast<Kept&&>(kept)...); }, kept_);
    }
    template <class Lvalue = void>
    detail::never_awaited<Lvalue> operator co_await() & {
        static_assert(!std::is_void_v<Lvalue>,
                      "sluice: what via returns is awaited once, as an rvalue: co_await std::move(operation)");
        return {};
    }
    /// @endcond

private:
    using places = std::tuple<detail::place_of_kept<Kept>...>;
    using operation = typename Kind::template operation<Kept&&...>;

    static_assert(detail::fits_frame<operation>,
                  "sluice: the frame of a coroutine is not aligned for this message: send a std::unique_ptr to it");

    class awaiter final : public operation {
    public:
        explicit awaiter(const Executor& executor, Kept&&... kept)
            : operation(static_cast<Kept&&>(kept)...), executor_(executor) {}

        bool await_ready() { return this->look(); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> h) {
            static_assert(!detail::knows_executor<Promise>,
                          "sluice: this coroutine knows its executor, so await the operation itself, without via");
            static_assert(!operation::needs_time || timed_executor<Executor>,
                          "sluice: a timeout, a deadline or a timer needs an executor with post_at and cancel, a "
                          "sluice::timed_executor");
            using found = detail::executor_in_place<Executor>;
            return this->suspend_in(h, {&detail::executor_functions<found>::all, std::addressof(executor_)});
        }
        [[nodiscard]] auto await_resume() { return this->take_result(); }
        auto await_resume() requires detail::tells_handlers<operation> { return this->take_result(); }

    private:
        const Executor& executor_;
    };

    Executor executor_;
    places kept_;
};

/// The operation, to be awaited by a coroutine of any type, which goes on by `executor`; at once, or later, by what this
/// returns. That owns copies of the handle, of the token and of the cases, and the message, moved where it was an rvalue,
/// which is destroyed if it is not sent; a range that was an lvalue, a group and what a handler refers to stay where they
/// are. A duration counts from when it is awaited. Nothing happens before that. A coroutine whose promise has
/// `sluice_executor()`, as a task's has, awaits the operation itself. A promise keeps what is thrown in its coroutine: an
/// exception that leaves the coroutine as it is resumed may end the program, by `std::terminate`.
template <executor Executor, class Kind, class... Args>
via_operation<Executor, Kind, typename Kind::template kept<Args>...> via(const Executor& executor,
                                                                         detail::async_operation<Kind, Args...> op) {
    return {executor, std::move(op)};
}

/// @cond
template <class Executor, class Operation>
    requires(!executor<std::remove_cvref_t<Executor>> || !detail::is_async_operation<std::remove_cvref_t<Operation>>)
detail::never_awaited<void> via(Executor&&, Operation&&) {
    static_assert(
        executor<std::remove_cvref_t<Executor>>,
        "sluice: via takes an executor first, whose post(std::coroutine_handle<>) is const and noexcept; of a "
        "loop loop.executor()");
    static_assert(detail::is_async_operation<std::remove_cvref_t<Operation>>,
                  "sluice: via takes an operation second: via(executor, rx.async_recv())");
    return {};
}
/// @endcond

}  // namespace sluice
