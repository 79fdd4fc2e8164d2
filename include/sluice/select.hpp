// select, select_biased and selector: wait for several channels, deadlines and stop tokens at once, and do exactly one
// thing. The cases that they take are in cases.hpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/cases.hpp>
#include <sluice/channel.hpp>
#include <sluice/detail/cases.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/group.hpp>
#include <sluice/detail/select_engine.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace detail {

// What select and selector::add take.
template <class Case>
constexpr bool check_case() {
    static_assert(is_case<Case> || is_refused<Case>,
                  "sluice: a select takes cases: on_recv(rx, handler), on_send(tx, value), on_closed(handle), "
                  "on_timeout(duration), on_deadline, on_stop or otherwise");
    static_assert(
        !is_case<Case> || !std::is_lvalue_reference_v<Case>,
        "sluice: a case refers to what it was made of, which may be gone when it is kept in a variable: write it "
        "inside the call of select, or of selector::add");
    return is_case<Case> && !std::is_lvalue_reference_v<Case>;
}

// What async_select takes.
template <class Case>
constexpr bool check_awaited_case() {
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
    if constexpr (is_case<Case>) {
        using kept = decltype(std::remove_cvref_t<Case>::handler);
        static_assert(std::is_reference_v<kept> || std::is_trivially_destructible_v<kept>,
                      "sluice: g++ before 13 destroys a lambda that is written inside a co_await twice, which its "
                      "captures do not survive: name the handler before, or capture by reference");
    }
#endif
    return check_case<Case>();
}

// See select_cases. Most selects have no such case, and need not look for it.
template <class... Cases>
std::size_t requested_stop([[maybe_unused]] const select_engine& engine) {
    if constexpr ((false || ... || is_stop<Cases>)) {
        return engine.requested_stop();
    } else {
        return no_case;
    }
}

template <class... Cases>
result<std::size_t> select_from(preference prefers, Cases&... cases) {
    static_assert((0 + ... + int(is_otherwise<Cases>)) <= 1, "sluice: a select takes at most one otherwise");
    (clear_storage(cases.handler), ...);
    std::tuple<typename Cases::registration...> registrations(cases...);
    return std::apply(
        [prefers](auto&... registration) -> result<std::size_t> {
            select_case* const all[]{&registration..., nullptr};
            std::uint32_t order[sizeof...(registration) + 1];
            select_engine engine(all, order, sizeof...(registration), prefers);
            if (const std::size_t stop = requested_stop<Cases...>(engine); stop != no_case) {
                engine.decide(stop);
            } else {
                engine.choose(no_deadline, errc::timeout);
            }
            if (engine.chosen() == no_case) return unexpected(engine.failure());
            all[engine.chosen()]->run();
            return engine.chosen();
        },
        registrations);
}

}  // namespace detail

/// Waits until a case is ready, chooses one that is, and does what it stands for: receives or sends, and calls the
/// handler, in this thread and with no lock held, so that it may use any channel. What the handler returns is ignored;
/// one that returns what is to be awaited does not compile. A `switch` over the index that select returns may do what a
/// handler cannot: leave a loop or a function.
///
/// **Choice.** Of cases that are ready at once each is equally likely, except that an on_stop() whose stop was
/// requested before the call comes first. A case that is not chosen has no effect: nothing is received, no value is
/// moved from. An otherwise(), an on_timeout() or an on_deadline() is chosen only if there was a moment during the call
/// at which no other case was ready. (Timers that others set anew meanwhile are looked at one after the other.)
///
/// **Blocking.** Blocks until a case is ready, or the first on_timeout() or on_deadline() is over; with an otherwise(),
/// never.
///
/// **Failure.** Returns the index of the chosen case, counted from 0, or `closed` if none can ever become ready: if
/// there is no case for time, no otherwise(), and all others are out of the race or on empty handles. So
/// `while (sluice::select(...)) {}` ends when everything is closed and drained, unless an on_closed() is among the
/// cases, which is never out. What a handler throws leaves the call, after the case has been done. What the move of a
/// message throws, or std::bad_alloc, leaves it too, and then no handler runs, and no other case has an effect.
///
/// **Cases** are made in the call itself, since they refer to their arguments; one that was stored in a variable does
/// not compile. Rvalue handles and handlers are moved into them.
///
/// **Thread safety.** May be called by any number of threads at once, on the same channels and handles, but not from a
/// signal handler. Selects may complete each other, also on a rendezvous; a select never completes itself, even with
/// both ends of a channel among its cases.
template <class... Cases>
result<std::size_t> select(Cases&&... cases) {
    if constexpr ((detail::check_case<Cases>() && ...)) {
        return detail::select_from(detail::preference::random, cases...);
    } else {
        return unexpected(errc::closed);
    }
}

/// As select(), but of cases that are ready at once chooses the one that is listed first, on_stop() included.
template <class... Cases>
result<std::size_t> select_biased(Cases&&... cases) {
    if constexpr ((detail::check_case<Cases>() && ...)) {
        return detail::select_from(detail::preference::listed, cases...);
    } else {
        return unexpected(errc::closed);
    }
}

/// @{
/// As select() and select_biased(), for a coroutine, which awaits them: `co_await async_select(...)` gives what they return,
/// and the handler of the case runs in the coroutine. A handler cannot suspend it: store the message, and go on after the
/// select. Defined in `<sluice/async.hpp>`. Where a case is for time, the executor must be a timed_executor. With g++ before 13,
/// which destroys them twice, rvalue handlers whose captures have destructors do not compile: name them before.
template <class... Cases, class Async = detail::async_header>
[[nodiscard]] auto async_select(Cases&&... cases) {
    if constexpr ((detail::check_awaited_case<Cases>() && ...)) {
        return detail::async_forms<Async>::template select<detail::preference::random>(std::forward<Cases>(cases)...);
    } else {
        return detail::never_awaited<result<std::size_t>>();
    }
}
template <class... Cases, class Async = detail::async_header>
[[nodiscard]] auto async_select_biased(Cases&&... cases) {
    if constexpr ((detail::check_awaited_case<Cases>() && ...)) {
        return detail::async_forms<Async>::template select<detail::preference::listed>(std::forward<Cases>(cases)...);
    } else {
        return detail::never_awaited<result<std::size_t>>();
    }
}
/// @}

/// The type of `biased`.
struct biased_t {
    /// Explicit, so that `{}` does not stand for it.
    explicit biased_t() = default;
};
/// Makes a selector that prefers its cases in the order in which they were added: `selector group(sluice::biased);`
inline constexpr biased_t biased{};

/// A select whose cases are known only at run time: they are added and removed, and each wait chooses one of them, as
/// select() does.
///
/// **Cases.** A case in a selector holds copies of its handles and its handler, moved where they were rvalues, and owns
/// the value of an on_send(); of the handle of an on_closed() it holds a weak one. It removes itself before its handler
/// is called, once nothing more can come of it: when its value was sent, when its channel has closed (for an on_recv():
/// and is drained), or when it is an on_closed() that is chosen. A handler that takes a result is then called once more,
/// with `closed`. So a handler may add its own successor. The case of a timer stays until it is removed. A handler may
/// remove its own case, and what it holds stays until the handler returns: `const auto id =
/// std::make_shared<std::size_t>(); *id = group.add(on_recv(rx, [&, id](job j) { if (last(j)) group.remove(*id); }));`.
///
/// **Choice.** It is fair: no ready case waits for more than size() others. A selector made with `biased` chooses the
/// one that was added first instead.
///
/// **Failure.** What a handler throws leaves the wait, after its case has been done. What the move of a message throws,
/// or std::bad_alloc, leaves it too, and then no handler runs. The selector can be used afterwards in both cases.
///
/// **Thread safety.** A selector is used by one thread at a time; others may use its channels meanwhile. Handlers may
/// add and remove cases of the selector that calls them, but not wait on it, nor move or destroy it. In a child that was
/// forked a selector from before may be destroyed, as handles may be dropped, and must not be used otherwise: make one.
class selector {
public:
    /// Without cases, and fair.
    selector() = default;
    /// Without cases; prefers those that were added first.
    explicit selector(biased_t) noexcept : biased_(true) {}
    selector(const selector&) = delete;
    selector& operator=(const selector&) = delete;
    /// @{
    /// Moves the cases, with their ids; not while a thread waits.
    selector(selector&&) = default;
    selector& operator=(selector&&) = default;
    /// @}
    ~selector() = default;

    /// Adds a case, and returns its id, which no other case of this selector ever has. Does not block. Throws
    /// std::invalid_argument for a second otherwise(), std::bad_alloc, and what copying the handler or the value
    /// throws; then nothing was added, and the value of an on_send() is as it was.
    template <class Case>
    std::size_t add(Case&& c) {
        if constexpr (detail::check_case<Case>()) {
            using stored = typename std::remove_cvref_t<Case>::stored;
            if (detail::is_otherwise<stored> && cases().has_otherwise())
                detail::throw_error(std::invalid_argument("sluice: a selector takes at most one otherwise"));
            return cases().add([&c] {
                const auto held = std::make_shared<member_of<stored>>(std::forward<Case>(c));
                return std::shared_ptr<detail::select_case>(held, &held->registration);
            });
        } else {
            return 0;
        }
    }

    /// Removes a case, with the handles, the handler and the value that it holds. Does not block. Returns false if no
    /// case has this id, or none has it any more.
    bool remove(std::size_t id) { return cases_ && cases_->remove(id); }

    /// How many cases there are.
    std::size_t size() const noexcept { return cases_ ? cases_->size() : 0; }
    /// Whether there is no case.
    bool empty() const noexcept { return size() == 0; }

    /// Waits until a case is ready, does what it stands for, and returns its id. Blocks until then, or until the first
    /// on_timeout() or on_deadline() is over. Fails with `stopped` if a stop was requested before the call, or is
    /// requested before a case is ready; or with `closed` if none can ever be ready, as without cases.
    result<std::size_t> wait(const detail::stop_token& stop = {}) {
        return choose(detail::deadline::never(), errc::timeout, stop);
    }
    /// @cond
    template <class Rep, class Period>
    result<std::size_t> wait(const std::chrono::duration<Rep, Period>&) {
        static_assert(!std::is_object_v<Rep>,
                      "sluice: wait takes nothing but a stop token; for a duration there is wait_timeout");
        return unexpected(errc::timeout);
    }
    /// @endcond
    /// As wait(), but never blocks: fails with `empty` if no case is ready now, and there is no otherwise().
    result<std::size_t> try_wait() { return choose(detail::deadline::immediate(), errc::empty, {}); }
    /// @{
    /// As wait(), but blocks for at most `timeout` (of any unit; zero and less is one try), or until `deadline` (of any
    /// clock, whose changes are followed). Fails with `timeout` if no case is ready by then, and there is no
    /// otherwise().
    template <class Rep, class Period>
    result<std::size_t> wait_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                     const detail::stop_token& stop = {}) {
        return choose(detail::deadline::after(timeout), errc::timeout, stop);
    }
    template <class Clock, class Duration>
    result<std::size_t> wait_until(const std::chrono::time_point<Clock, Duration>& deadline,
                                   const detail::stop_token& stop = {}) {
        return choose(detail::deadline::at(deadline), errc::timeout, stop);
    }
    /// @}

    /// @{
    /// The same for a coroutine, which awaits them, as async_select(). Its executor must be a timed_executor. The selector
    /// must stay where it is meanwhile.
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_wait(const detail::stop_token& stop = {}) {
        return detail::async_forms<Async>::wait(cases(), Async::not_limited, stop);
    }
    template <class Rep, class Period, class Async = detail::async_header>
    [[nodiscard]] auto async_wait_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                          const detail::stop_token& stop = {}) {
        return detail::async_forms<Async>::wait(cases(), timeout, stop);
    }
    template <class Clock, class Duration, class Async = detail::async_header>
    [[nodiscard]] auto async_wait_until(const std::chrono::time_point<Clock, Duration>& when,
                                        const detail::stop_token& stop = {}) {
        return detail::async_forms<Async>::wait(cases(), when, stop);
    }
    /// @}

private:
    template <class Case>
    struct member_of {
        template <class Source>
        explicit member_of(Source&& c) : stored(std::forward<Source>(c).into_stored()) {}
        Case stored;
        typename Case::registration registration{stored};
    };

    detail::group& cases() {
        if (!cases_) cases_ = std::make_shared<detail::group>(biased_);
        return *cases_;
    }
    result<std::size_t> choose(const detail::deadline& limit, errc on_expiry, const detail::stop_token& stop) {
        return cases().choose(limit, on_expiry, stop);
    }

    // For the other parts of the library.
    friend std::weak_ptr<detail::group> group_of(selector& s) {
        s.cases();
        return s.cases_;
    }

    // Made when it is needed, and not moved, since threads may tell it something. A pollable refers to it.
    std::shared_ptr<detail::group> cases_;
    bool biased_ = false;
};

}  // namespace sluice
