// task: a coroutine that begins when it is awaited or spawned.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <sluice/detail/async_operation.hpp>
#include <sluice/detail/handle.hpp>
#include <sluice/detail/line_suspension.hpp>
#include <sluice/detail/loop_core.hpp>
#include <sluice/detail/loop_executor.hpp>
#include <sluice/detail/loop_task.hpp>
#include <sluice/detail/throw.hpp>

namespace sluice {

template <class T = void>
class task;

namespace detail {

struct task_access;

// At its end a task notes that whoever awaits it is next.
class task_end {
public:
    task_end() noexcept = default;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> ended) const noexcept {
        loop_core::follow_with(ended.promise());
    }
    void await_resume() const noexcept {}
};

template <class T>
inline constexpr bool is_over_aligned = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
template <class T>
inline constexpr bool is_over_aligned<T&> = false;
template <>
inline constexpr bool is_over_aligned<void> = false;

#if defined(__GNUC__) && !defined(__clang__)
// An awaiter that lies elsewhere until the end of the expression. GCC 12 copies one to which await_transform() returns a
// reference.
template <class Awaiter>
class referred_awaiter {
public:
    explicit referred_awaiter(Awaiter& a) noexcept : of_(a) {}
    decltype(auto) await_ready() { return of_.await_ready(); }
    template <class Handle>
    decltype(auto) await_suspend(Handle h) {
        return of_.await_suspend(h);
    }
    decltype(auto) await_resume() { return of_.await_resume(); }

private:
    Awaiter& of_;
};

// Whether an A is awaited without an operator co_await that makes an awaiter of it.
template <class A>
concept is_awaiter = requires(A a) {
    a.await_ready();
    a.await_resume();
}
&&!requires(A a) { std::forward<A>(a).operator co_await(); }
&&!requires(A a) { operator co_await(std::forward<A>(a)); };
#endif

// What all promises of tasks have. `Base` is spawned_task if a loop can be given such a task.
template <class Base>
class task_promise_base : public Base {
public:
    using Base::Base;

    std::suspend_always initial_suspend() const noexcept { return {}; }
    task_end final_suspend() const noexcept { return {}; }
    void unhandled_exception() noexcept { this->exception = std::current_exception(); }

    loop_executor sluice_executor() const noexcept { return loop_executor(*this->loop); }

    // An operation may use place_in_line. Everything else is awaited as elsewhere, by the operator co_await that is found
    // from where the coroutine stands.
    template <class Kind, class... Args>
    auto await_transform(async_operation<Kind, Args...> op) const {
        return std::move(op).awaiter_in_task();
    }
    template <class Kind, class... Args>
    never_awaited<void> await_transform(async_operation<Kind, Args...>& kept) {
        return operator co_await(kept);  // which says that it is not to be kept
    }
    template <class Awaitable>
    decltype(auto) await_transform(Awaitable&& other) const noexcept {
#if defined(__GNUC__) && !defined(__clang__)
        if constexpr (is_awaiter<Awaitable&>) {
            return referred_awaiter<std::remove_reference_t<Awaitable>>(other);
        } else
#endif
            return std::forward<Awaitable>(other);
    }
    line_place place_in_line;

protected:
    void rethrow() {
        if (this->exception) std::rethrow_exception(std::move(this->exception));
    }
};

template <class T>
class task_promise final : public task_promise_base<loop_task> {
public:
    task_promise() noexcept : task_promise_base<loop_task>(std::coroutine_handle<task_promise>::from_promise(*this)) {}
    ~task_promise() {
        if (has_value_) std::destroy_at(std::addressof(value_));
    }
    task<T> get_return_object() noexcept;

    template <class U = T>
        requires std::convertible_to<U, T>
    void return_value(U&& value) {
        std::construct_at(std::addressof(value_), std::forward<U>(value));
        has_value_ = true;
    }
    T take() {
        rethrow();
        return std::move(value_);
    }

private:
    union {
        T value_;
    };
    bool has_value_ = false;
};

template <class T>
class task_promise<T&> final : public task_promise_base<loop_task> {
public:
    task_promise() noexcept : task_promise_base<loop_task>(std::coroutine_handle<task_promise>::from_promise(*this)) {}
    task<T&> get_return_object() noexcept;

    void return_value(T& value) noexcept { value_ = std::addressof(value); }
    T& take() {
        rethrow();
        return *value_;
    }

private:
    T* value_ = nullptr;
};

template <>
class task_promise<void> final : public task_promise_base<spawned_task> {
public:
    task_promise() noexcept
        : task_promise_base<spawned_task>(std::coroutine_handle<task_promise>::from_promise(*this)) {}
    task<void> get_return_object() noexcept;

    void return_void() const noexcept {}
    void take() { rethrow(); }
};

[[noreturn]] inline void throw_no_coroutine() {
    throw_error(std::invalid_argument(
        "sluice: there is no coroutine to begin: the task was moved from, spawned or awaited before"));
}

// What `co_await` of a task makes.
template <class T>
class task_awaiter {
public:
    explicit task_awaiter(std::coroutine_handle<task_promise<T>> awaited) noexcept : awaited_(awaited) {}
    task_awaiter(const task_awaiter&) = delete;
    task_awaiter& operator=(const task_awaiter&) = delete;

    bool await_ready() const {
        if (!awaited_ || awaited_.done()) throw_no_coroutine();
        return false;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> awaiting) const noexcept {
        static_assert(
            std::is_base_of_v<loop_task, Promise>,
            "sluice: a task is awaited by a task alone; elsewhere it is given to run_loop::spawn() or sync_wait()");
        if constexpr (std::is_base_of_v<loop_task, Promise>) {
            loop_task& task = awaited_.promise();
            task.awaiting = &awaiting.promise();
            task.loop = task.awaiting->loop;
            loop_core::follow_with(task);
        }
    }
    T await_resume() const { return awaited_.promise().take(); }

private:
    const std::coroutine_handle<task_promise<T>> awaited_;
};

}  // namespace detail

/// What a coroutine returns that is declared `task<T>`: its frame, and with it the right to begin it, once. Nothing of it runs
/// before it is awaited by another task, spawned by a run_loop or a task_group, or given to sync_wait(). It runs where whoever
/// awaits it runs, in the loop that it was given to, and ends with `co_return`, whose value (an object, a reference or
/// nothing) the `co_await` gives, or with an exception, which the `co_await` throws.
///
/// However many tasks are awaited one after the other or inside one another, the stack of the thread does not grow.
///
/// Move-only. One that was not begun may be destroyed, which destroys the arguments of the coroutine; one that was
/// begun and is awaited goes with the coroutine that awaits it. A task serves one thread at a time.
template <class T>
class [[nodiscard]] task {
    static_assert(std::is_void_v<T> || std::is_lvalue_reference_v<T> || std::move_constructible<T>,
                  "sluice: a task gives an object that can be moved, an lvalue reference, or void");
    static_assert(
        !detail::is_over_aligned<T>,
        "sluice: coroutines do not keep over-aligned objects in place; a task may give a std::unique_ptr to one");

public:
    /// What the coroutine machinery of the language asks for.
    using promise_type = detail::task_promise<T>;

    /// Without a coroutine: it can be assigned to, and no more.
    task() noexcept = default;
    /// Takes the coroutine of `other`, and leaves it without one.
    task(task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    /// Likewise; the coroutine that it had is destroyed.
    task& operator=(task&& other) noexcept {
        task moved(std::move(other));
        std::swap(coroutine_, moved.coroutine_);
        return *this;
    }
    /// Destroys the coroutine: one that has not begun, or has ended, or, with all that it has begun itself, one whose
    /// awaiting coroutine is being destroyed.
    ~task() {
        if (!coroutine_) return;
        detail::loop_task& self = coroutine_.promise();
        // Awaited, and begun or ended where the loop does not run: see loop_core::follow_with().
        if (detail::resumption_list::is_linked(self)) self.loop->revoke(self);
        coroutine_.destroy();
    }

    /// Whether it has a coroutine.
    explicit operator bool() const noexcept { return coroutine_ != nullptr; }

    /// `co_await std::move(t)`, or of a call that returns a task: begins it, suspends the awaiting task until it has
    /// ended, and gives its value, or throws its exception. A task is awaited once: one without a coroutine, or whose
    /// coroutine has ended, throws std::invalid_argument.
    auto operator co_await() && noexcept { return detail::task_awaiter<T>(coroutine_); }
    /// Does not compile: a task is awaited once, as an rvalue.
    template <class U = T>
    detail::task_awaiter<U> operator co_await() & noexcept {
        static_assert(!std::is_same_v<U, T>,
                      "sluice: a task is awaited once, and as an rvalue: co_await std::move(task)");
        return detail::task_awaiter<U>(coroutine_);
    }

private:
    friend promise_type;
    friend detail::task_access;
    explicit task(std::coroutine_handle<promise_type> coroutine) noexcept : coroutine_(coroutine) {}

    std::coroutine_handle<promise_type> coroutine_;
};

namespace detail {

template <class T>
task<T> task_promise<T>::get_return_object() noexcept {
    return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
template <class T>
task<T&> task_promise<T&>::get_return_object() noexcept {
    return task<T&>(std::coroutine_handle<task_promise>::from_promise(*this));
}
inline task<void> task_promise<void>::get_return_object() noexcept {
    return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

struct task_access {
    // For a loop, which destroys it from here on.
    static spawned_task& release(task<void>&& spawned) {
        if (!spawned) throw_no_coroutine();
        return std::exchange(spawned.coroutine_, nullptr).promise();
    }
};

template <class R>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

// A callable that returns a task, as a task of its own, which keeps it until that has ended. It is called as this begins.
template <class F>
task<> keep_and_run(F callable) {
    (void)co_await callable();
}

// What a loop or a group was given to spawn, as a task.
template <class F>
task<> as_spawned(F&& what) {
    if constexpr (std::is_same_v<std::remove_cvref_t<F>, task<>>) {
        static_assert(!std::is_lvalue_reference_v<F>, "sluice: a task is spawned once: spawn(std::move(task))");
        return std::move(what);
    } else if constexpr (std::is_invocable_v<std::decay_t<F>&>) {
        static_assert(is_task<std::invoke_result_t<std::decay_t<F>&>>,
                      "sluice: spawn() takes a task<>, or a callable without parameters that returns a task");
        return keep_and_run<std::decay_t<F>>(std::forward<F>(what));
    } else {
        static_assert(std::is_invocable_v<std::decay_t<F>&>,
                      "sluice: spawn() takes a task<>, or a callable without parameters that returns a task");
    }
}

}  // namespace detail
}  // namespace sluice
