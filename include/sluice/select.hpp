// select, select_biased and selector: wait for several channels, deadlines and stop tokens at once, and do exactly one
// thing.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/cases.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/select_engine.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace detail {

// What select and selector::add take.
template <class Case>
constexpr bool check_case() {
    static_assert(
        is_case<Case> || is_refused<Case>,
        "sluice: a select takes cases: on_recv(rx, handler), on_send(tx, value), on_timeout(duration, handler), "
        "on_deadline, on_stop or otherwise");
    static_assert(
        !is_case<Case> || !std::is_lvalue_reference_v<Case>,
        "sluice: a case refers to what it was made of, which may be gone when it is kept in a variable: write it "
        "inside the call of select, or of selector::add");
    return is_case<Case> && !std::is_lvalue_reference_v<Case>;
}

template <class... Cases>
result<std::size_t> select_from(preference prefers, Cases&... cases) {
    static_assert((0 + ... + int(is_otherwise<Cases>)) <= 1, "sluice: a select takes at most one otherwise");
    std::tuple<typename Cases::registration...> registrations(cases...);
    return std::apply(
        [prefers](auto&... registration) -> result<std::size_t> {
            const std::array<select_case*, sizeof...(registration)> all{&registration...};
            std::array<std::uint32_t, sizeof...(registration)> order;
            const result<std::size_t> chosen =
                select_engine(all, order, prefers).choose(deadline::never(), errc::timeout);
            if (chosen) all[*chosen]->run();
            return chosen;
        },
        registrations);
}

}  // namespace detail

// ---- The cases. A case refers to what it was given as an lvalue, and to the value of an on_send in any event: use it
// in the full expression that makes it. A handler may be anything that can be called; what it returns is ignored. A case
// on an empty handle is never ready, which is the way to switch it off.

/// Ready when a message can be received. A handler that takes the message is called with it; a closed and drained
/// channel takes the case out of the race. A handler that is declared to take a `result<T>` is then called too, with
/// `closed`: a lambda, a function, a std::function, a class with one operator(). What declares no type takes the message:
/// a generic handler, and what std::bind_front, std::bind and std::ref return.
template <class T, class Handler>
[[nodiscard]] detail::receive_case<T, const receiver<T>&, Handler> on_recv(const receiver<T>& rx, Handler&& handler) {
    return {rx, std::forward<Handler>(handler)};
}
template <class T, class Handler>
[[nodiscard]] detail::receive_case<T, receiver<T>, Handler> on_recv(receiver<T>&& rx, Handler&& handler) {
    return {std::move(rx), std::forward<Handler>(handler)};
}

template <class T, class Handler>
detail::refused_case on_recv(const sender<T>&, Handler&&) {
    static_assert(!std::is_object_v<T>, "sluice: on_recv takes a receiver, or a timer; this is a sender");
    return {};
}
template <class Source>
detail::refused_case on_recv(const Source&) {
    static_assert(
        !std::is_object_v<Source>,
        "sluice: on_recv takes a handler, which is called with the message: on_recv(rx, [](T message) { ... })");
    return {};
}

/// Ready when the value can be sent. An rvalue is moved from only if this case is chosen; an lvalue may be copied
/// beforehand, once, unless the select can send it at once: where that is dear, give an rvalue, or use a selector, which
/// owns it. A handler that takes nothing is called after that; a closed channel takes the case out of the race. One
/// that is declared to take a `result<void>` is then called too, with `closed`.
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
template <class T, class... Arguments>
detail::refused_case on_send(const receiver<T>&, Arguments&&...) {
    static_assert(!std::is_object_v<T>, "sluice: on_send takes a sender; this is a receiver");
    return {};
}
template <class T, class U, class... Handler>
    requires(!detail::sendable<U, T>)
detail::refused_case on_send(const sender<T>&, U&&, Handler&&...) {
    detail::refuse_to_send<U, T>();
    return {};
}

/// Runs if nothing else was ready for that long, counted from the beginning of the select.
template <class Rep, class Period, class Handler>
[[nodiscard]] detail::time_case<std::chrono::duration<Rep, Period>, Handler> on_timeout(
    const std::chrono::duration<Rep, Period>& timeout, Handler&& handler) {
    return {timeout, std::forward<Handler>(handler)};
}

/// Runs if nothing else was ready by then, on the clock of the time point.
template <class Clock, class Duration, class Handler>
[[nodiscard]] detail::time_case<std::chrono::time_point<Clock, Duration>, Handler> on_deadline(
    const std::chrono::time_point<Clock, Duration>& deadline, Handler&& handler) {
    return {deadline, std::forward<Handler>(handler)};
}

#if defined(__cpp_lib_jthread)
/// Ready when a stop was requested.
template <class Handler>
[[nodiscard]] detail::stop_case<Handler> on_stop(detail::stop_token token, Handler&& handler) {
    return {std::move(token), std::forward<Handler>(handler)};
}
#endif

/// Runs if nothing else is ready now, so that the select never blocks.
template <class Handler>
[[nodiscard]] detail::otherwise_case<Handler> otherwise(Handler&& handler) {
    return {std::forward<Handler>(handler)};
}

/// Waits until one of the cases is ready, does what it says, and runs its handler with no lock held; its exceptions
/// pass through. Among cases that are ready at once each is equally likely, but that a stop which was requested before the
/// call comes first. The others have no effect at all: nothing is received, no value moved from. Returns the index of the
/// case that ran, or `closed` when nothing can ever become ready, and none ran.
template <class... Cases>
result<std::size_t> select(Cases&&... cases) {
    if constexpr ((detail::check_case<Cases>() && ...)) {
        return detail::select_from(detail::preference::random, cases...);
    } else {
        return unexpected(errc::closed);
    }
}

/// The same, but of several cases that are ready at once the first is taken.
template <class... Cases>
result<std::size_t> select_biased(Cases&&... cases) {
    if constexpr ((detail::check_case<Cases>() && ...)) {
        return detail::select_from(detail::preference::listed, cases...);
    } else {
        return unexpected(errc::closed);
    }
}

/// Makes a selector that prefers its cases in the order in which they were added.
struct biased_t {
    explicit biased_t() = default;
};
inline constexpr biased_t biased{};

/// A select whose cases are known only at run time. A case holds copies of its handles and handler, and owns the value
/// of an on_send. It removes itself, before its handler is called, once nothing more can come of it: when its value was
/// sent; when its channel has closed (for an on_recv: and is drained), after which a handler that takes a result is
/// called once more, with `closed`. So a handler may add its own successor. Timers' cases stay, also when they are over.
///
/// The choice among cases that are ready is fair: no ready case waits for more than size() others.
///
/// A selector is used by one thread at a time; it is movable while nobody waits. Handlers may add and remove cases of
/// their own group, but not wait on it.
class selector {
public:
    selector() = default;
    explicit selector(biased_t) noexcept : biased_(true) {}
    selector(const selector&) = delete;
    selector& operator=(const selector&) = delete;
    selector(selector&&) = default;
    selector& operator=(selector&&) = default;
    ~selector() = default;

    /// Adds a case and returns its id, which is never used again. Throws std::invalid_argument for a second
    /// `otherwise`. If it throws, the value of an on_send is as it was.
    template <class Case>
    std::size_t add(Case&& c) {
        if constexpr (detail::check_case<Case>()) {
            using stored = typename std::remove_cvref_t<Case>::stored;
            if (detail::is_otherwise<stored> && has_otherwise())
                detail::throw_error(std::invalid_argument("sluice: a selector takes at most one otherwise"));
            // What may throw comes before the value of an on_send is moved from.
            if (members_.size() == members_.capacity()) members_.reserve(2 * members_.size() + 1);
            const auto held = std::make_shared<member_of<stored>>(std::forward<Case>(c));
            members_.push_back({next_id_, std::shared_ptr<detail::select_case>(held, &held->registration)});
        }
        return next_id_++;
    }

    /// Removes a case, and with it its handles; false if there is none of this id (any more).
    bool remove(std::size_t id) {
        const auto found = std::find_if(members_.begin(), members_.end(), [id](const member& m) { return m.id == id; });
        if (found == members_.end()) return false;
        const member removed = std::move(*found);  // what it drops may use the group
        members_.erase(found);
        return true;
    }

    /// How many cases there are.
    std::size_t size() const noexcept { return members_.size(); }
    bool empty() const noexcept { return members_.empty(); }

    /// Runs one case as select does, and returns its id. Blocks until one is ready. Fails with `closed` if none can ever
    /// be, as in an empty group, or with `stopped` if a stop was requested first.
    result<std::size_t> wait(const detail::stop_token& stop = {}) {
        return choose(detail::deadline::never(), errc::timeout, stop);
    }
    /// The same if one is ready now; else fails with `empty`. Never blocks.
    result<std::size_t> try_wait() { return choose(detail::deadline::immediate(), errc::empty, {}); }
    /// The same if one is ready in time; else fails with `timeout`.
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

private:
    template <class Case>
    struct member_of {
        template <class Source>
        explicit member_of(Source&& c) : stored(std::forward<Source>(c).into_stored()) {}
        Case stored;
        typename Case::registration registration{stored};
    };
    struct member {
        std::size_t id;
        std::shared_ptr<detail::select_case> registration;
    };

    bool has_otherwise() const {
        return std::any_of(members_.begin(), members_.end(), [](const member& m) {
            return m.registration->of_kind() == detail::select_case::kind::otherwise;
        });
    }

    result<std::size_t> choose(const detail::deadline& limit, errc on_expiry, const detail::stop_token& stop) {
        using detail::preference;
        cases_.resize(members_.size());
        order_.resize(members_.size());
        for (std::size_t i = 0; i < members_.size(); ++i) cases_[i] = members_[i].registration.get();
        removed_.reserve(members_.size());  // before anything is received
        detail::select_engine engine(cases_, order_, biased_ ? preference::listed : preference::in_turn);
        result<std::size_t> chosen = engine.choose(limit, on_expiry, stop);
        if (!chosen && engine.all_are_live()) return chosen;
        const member ready = chosen ? members_[*chosen] : member{};  // the handler may remove it
        // The others have waited for longer from now on.
        if (chosen && !biased_)
            std::rotate(members_.begin() + static_cast<std::ptrdiff_t>(*chosen),
                        members_.begin() + static_cast<std::ptrdiff_t>(*chosen) + 1, members_.end());
        remove_done(ready.registration.get());
        if (!chosen) return chosen;
        ready.registration->run();
        chosen = ready.id;
        return chosen;
    }

    void remove_done(const detail::select_case* chosen) {
        const auto is_done = [chosen](const member& m) {
            return m.registration->is_done(m.registration.get() == chosen);
        };
        const auto first = std::find_if(members_.begin(), members_.end(), is_done);
        if (first == members_.end()) return;
        std::vector<member> removed = std::move(removed_);  // what they drop may use the group
        auto kept = first;
        for (auto m = first; m != members_.end(); ++m) {
            if (is_done(*m)) {
                removed.push_back(std::move(*m));
            } else {
                *kept++ = std::move(*m);
            }
        }
        members_.erase(kept, members_.end());
    }

    std::vector<member> members_;  // in the order in which they are preferred
    std::size_t next_id_ = 0;
    bool biased_ = false;
    std::vector<detail::select_case*> cases_;  // scratch space
    std::vector<std::uint32_t> order_;
    std::vector<member> removed_;
};

}  // namespace sluice
