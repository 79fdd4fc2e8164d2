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
#include <sluice/detail/core.hpp>
#include <sluice/detail/selection.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace detail {

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
enum class wants : std::uint8_t { message, outcome, neither };

template <class Handler, class Outcome, class... Message>
constexpr wants wanted() {
    using F = std::decay_t<Handler>;
    using Parameter = typename decltype(declared_parameter<F>())::type;
    if constexpr (std::is_same_v<Parameter, Outcome>) {
        return callable_with<F, Outcome> ? wants::outcome : wants::neither;
    } else if constexpr (is_result<Parameter>) {
        return wants::neither;  // it would never hear of the closing
    } else if constexpr (callable_with<F, Message...>) {
        return wants::message;
    } else if constexpr (callable_with<F, Outcome>) {
        return wants::outcome;
    } else {
        return wants::neither;
    }
}

// These name the types in a compiler's message: of a handler also its parameter, since a lambda has no name.
template <class Handler>
using parameter_of = typename decltype(declared_parameter<std::decay_t<Handler>>())::type;
template <class Handler, class Message, class Parameter>
struct receive_handler {
    static constexpr wants kind = wanted<Handler, result<Message>, Message>();
    static_assert(
        kind != wants::neither,
        "sluice: the handler of on_recv must take the message, or a sluice::result of it to hear of closing as "
        "well");
};
template <class Handler>
concept send_handler = wanted<Handler, result<void>>()
!= wants::neither;

// Moves from the outcome, and ends what the handler leaves of it: a message may hold a channel.
template <wants Wanted, class Handler, class Outcome>
void call(Handler& handler, Outcome& outcome) {
    struct end_of_message {
        Outcome& outcome;
        ~end_of_message() { outcome = unexpected(errc::closed); }
    };
    const end_of_message end{outcome};
    if constexpr (Wanted == wants::message) {
        handler(*std::move(outcome));
    } else if constexpr (Wanted == wants::outcome) {
        handler(std::move(outcome));
    }
}

// A case of select: what was written, by reference where it was an lvalue. `owned` is the same with everything copied
// or moved in, for a selector to keep. `runner` is what the engine works with while it chooses.

template <class T, class Receiver, class Handler>
struct receive_case {
    static constexpr wants handler_wants = receive_handler<Handler, T, parameter_of<Handler>>::kind;

    using owned = receive_case<T, receiver<T>, std::decay_t<Handler>>;
    owned own() && { return {std::forward<Receiver>(from), std::forward<Handler>(handler)}; }

    Receiver from;
    Handler handler;

    class runner final : public select_case {
    public:
        explicit runner(receive_case& c) : select_case(self_), case_(c), core_(core_of(c.from)) {
            self_.drops_out = handler_wants == wants::message;
        }

        void run() override { call<handler_wants>(case_.handler, got_); }
        attempt try_now(const precondition* others) override {
            if (!core_) return attempt::closed;
            if (!core_->may_receive(seen_)) return attempt::blocked;
            return outcome(core_->try_receive_if(others, got_), others);
        }
        bool unchanged() const override { return !core_ || closed_ || core_->receive_stays_blocked(seen_); }
        bool may_be_ready() const noexcept override { return core_ && core_->may_receive(); }
        bool must_stand_in_line() const noexcept override { return core_ && core_->is_rendezvous(); }
        attempt enlist() override {
            if (!core_) return attempt::closed;
            const attempt tried = outcome(core_->enlist(got_, self_), nullptr);
            return tried == attempt::done && closed_ ? decide_for(self_) : tried;
        }
        void withdraw() override {
            if (!core_ || core_->withdraw(self_) || self_.what != waiter::outcome::closed) return;
            closed_ = core_->size() == 0;  // another case of this select may have sent to the channel before it closed
        }
        bool dropped_out(bool chosen) const noexcept override {
            return closed_ && (chosen || handler_wants == wants::message);
        }
        bool retains_memory() const noexcept override { return core_ && core_->retains_memory(); }
        void give_back_memory() override {
            if (retains_memory()) core_->give_back_memory();
        }

    private:
        attempt outcome(attempt tried, const precondition* others) {
            closed_ = tried == attempt::closed;
            if (!closed_ || handler_wants != wants::outcome) return tried;
            return holds(others) ? attempt::done : attempt::lost;
        }

        receive_case& case_;
        core<T>* const core_;
        waiting_receiver<T> self_;
        result<T> got_ = unexpected(errc::closed);
        snapshot seen_ = 0;
        bool closed_ = false;  // and drained
    };
};

struct no_handler {
    void operator()() const noexcept {}
};

// `Value` is const T& or T&&; T where the case is owned.
template <class T, class Sender, class Value, class Handler>
struct send_case {
    static constexpr wants handler_wants = wanted<Handler, result<void>>();
    static_assert(
        send_handler<Handler>,
        "sluice: the handler of on_send must take nothing, or a sluice::result<void> to hear of closing as well");

    using owned = send_case<T, sender<T>, T, std::decay_t<Handler>>;
    owned own() && {
        return {std::forward<Sender>(to), std::forward<Handler>(handler), static_cast<T>(std::forward<Value>(value))};
    }

    Sender to;
    Handler handler;
    Value value;  // after what may throw as it is copied

    class runner final : public select_case {
    public:
        explicit runner(send_case& c) : select_case(self_), case_(c), core_(core_of(c.to)) {
            self_.drops_out = handler_wants == wants::message;
        }

        void run() override {
            if constexpr (handler_wants == wants::message) {
                case_.handler();
            } else if constexpr (handler_wants == wants::outcome) {
                case_.handler(closed_ ? result<void>(unexpected(errc::closed)) : result<void>());
            }
        }
        attempt try_now(const precondition* others) override {
            if (!core_) return attempt::closed;
            if (!core_->may_send(seen_)) return attempt::blocked;
            return outcome(core_->is_closed() ? attempt::closed : core_->try_send_if(others, message()), others);
        }
        bool unchanged() const override { return !core_ || closed_ || core_->send_stays_blocked(seen_); }
        bool may_be_ready() const noexcept override { return core_ && core_->may_send(); }
        bool must_stand_in_line() const noexcept override { return core_ && core_->is_rendezvous(); }
        void prepare() override {
            if (core_) message();
        }
        attempt enlist() override {
            if (!core_) return attempt::closed;
            const attempt tried = outcome(core_->enlist(message(), self_), nullptr);
            return tried == attempt::done && closed_ ? decide_for(self_) : tried;
        }
        void withdraw() override {
            if (core_ && !core_->withdraw(self_) && self_.what == waiter::outcome::closed) closed_ = true;
        }
        void completed() override {
            if (self_.error) std::rethrow_exception(std::exchange(self_.error, nullptr));
            sent_ = true;
        }
        bool dropped_out(bool chosen) const noexcept override {
            return sent_ || (closed_ && (chosen || handler_wants == wants::message));
        }

    private:
        // Copied by the send itself if that runs nobody's code, and before the first time that it may be sent if not.
        static constexpr bool in_place = !std::is_lvalue_reference_v<Value> || std::is_trivially_copyable_v<T>;

        auto& message() {
            if constexpr (in_place) {
                return case_.value;
            } else {
                if (!copy_) copy_.emplace(case_.value);
                return *copy_;
            }
        }
        attempt outcome(attempt tried, const precondition* others) {
            sent_ = tried == attempt::done;
            closed_ = tried == attempt::closed;
            if (!closed_ || handler_wants != wants::outcome) return tried;
            return holds(others) ? attempt::done : attempt::lost;
        }

        send_case& case_;
        core<T>* const core_;
        waiting_sender<T> self_;
        std::optional<std::conditional_t<in_place, char, T>> copy_;
        snapshot seen_ = 0;
        bool closed_ = false, sent_ = false;
    };
};

// What runs when nothing else is ready by a certain time.
template <class When, class Handler>
struct time_case {
    static_assert(callable_with<std::decay_t<Handler>>,
                  "sluice: the handler of on_timeout and on_deadline must take nothing");

    using owned = time_case<When, std::decay_t<Handler>>;
    owned own() && { return {when, std::forward<Handler>(handler)}; }

    When when;
    Handler handler;

    class runner final : public select_case {
    public:
        explicit runner(time_case& c) : select_case(kind::deadline), case_(c) {}

        void start() override { until_ = make_deadline(case_.when); }
        void run() override { case_.handler(); }
        deadline next_look() const override { return until_; }
        bool due() const override { return until_.passed(); }

    private:
        template <class Rep, class Period>
        static deadline make_deadline(const std::chrono::duration<Rep, Period>& d) {
            return deadline::after(d);
        }
        template <class Clock, class Duration>
        static deadline make_deadline(const std::chrono::time_point<Clock, Duration>& t) {
            return deadline::at(t);
        }

        time_case& case_;
        deadline until_ = deadline::never();
    };
};

template <class Handler>
struct otherwise_case {
    static_assert(callable_with<std::decay_t<Handler>>, "sluice: the handler of otherwise must take nothing");

    using owned = otherwise_case<std::decay_t<Handler>>;
    owned own() && { return {std::forward<Handler>(handler)}; }

    Handler handler;

    class runner final : public select_case {
    public:
        explicit runner(otherwise_case& c) : select_case(kind::otherwise), case_(c) {}
        void run() override { case_.handler(); }

    private:
        otherwise_case& case_;
    };
};

template <class Handler>
struct stop_case {
    static_assert(callable_with<std::decay_t<Handler>>, "sluice: the handler of on_stop must take nothing");

    using owned = stop_case<std::decay_t<Handler>>;
    owned own() && { return {std::move(token), std::forward<Handler>(handler)}; }

    stop_token token;
    Handler handler;

    class runner final : public select_case {
    public:
        explicit runner(stop_case& c) : select_case(self_, kind::stop), case_(c) {}

        void run() override { case_.handler(); }
        attempt try_now(const precondition* others) override {
            if (case_.token.stop_requested()) return holds(others) ? attempt::done : attempt::lost;
            return case_.token.stop_possible() ? attempt::blocked : attempt::closed;
        }
        bool unchanged() const override { return !case_.token.stop_requested(); }
        bool due() const override { return case_.token.stop_requested(); }
        bool may_be_ready() const noexcept override { return case_.token.stop_requested(); }
        // The one who requests the stop completes the case, as a peer.
        attempt enlist() override {
            if (!case_.token.stop_possible()) return attempt::closed;
            if (!on_stop_) on_stop_.emplace(case_.token, completion{&self_});
            return attempt::blocked;
        }
        void withdraw() override { on_stop_.reset(); }

    private:
        struct completion {
            waiter* of;
            void operator()() const {
                if (decide_as_peer(*of)) of->wake();
            }
        };

        stop_case& case_;
        waiter self_;
        std::optional<stop_callback<completion>> on_stop_;
    };
};

template <class Case>
inline constexpr bool is_otherwise = false;
template <class Handler>
inline constexpr bool is_otherwise<otherwise_case<Handler>> = true;

// What stands for a case whose making was refused, so that a select does not complain once more.
struct refused_case {};

template <class Case>
inline constexpr bool is_case = requires {
    typename std::remove_cvref_t<Case>::runner;
};
template <class Case>
inline constexpr bool is_refused = std::is_same_v<std::remove_cvref_t<Case>, refused_case>;

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
    std::tuple<typename Cases::runner...> runners(cases...);
    return std::apply(
        [prefers](auto&... runner) -> result<std::size_t> {
            const std::array<select_case*, sizeof...(runner)> all{&runner...};
            std::array<std::uint32_t, sizeof...(runner)> order;
            const result<std::size_t> chosen = selection(all, order, prefers).choose(deadline::never(), errc::timeout);
            if (chosen) all[*chosen]->run();
            return chosen;
        },
        runners);
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
    const std::chrono::duration<Rep, Period>& patience, Handler&& handler) {
    return {patience, std::forward<Handler>(handler)};
}

/// Runs if nothing else was ready by then, on the clock of the time point.
template <class Clock, class Duration, class Handler>
[[nodiscard]] detail::time_case<std::chrono::time_point<Clock, Duration>, Handler> on_deadline(
    const std::chrono::time_point<Clock, Duration>& when, Handler&& handler) {
    return {when, std::forward<Handler>(handler)};
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
            using owned = typename std::remove_cvref_t<Case>::owned;
            if (detail::is_otherwise<owned> && has_otherwise())
                detail::throw_error(std::invalid_argument("sluice: a selector takes at most one otherwise"));
            // What may throw comes before the value of an on_send is moved from.
            if (members_.size() == members_.capacity()) members_.reserve(2 * members_.size() + 1);
            const auto held = std::make_shared<member_of<owned>>(std::forward<Case>(c));
            members_.push_back({next_id_, std::shared_ptr<detail::select_case>(held, &held->runner)});
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
    result<std::size_t> try_wait() { return choose(detail::deadline::passed_already(), errc::empty, {}); }
    /// The same if one is ready in time; else fails with `timeout`.
    template <class Rep, class Period>
    result<std::size_t> wait_timeout(const std::chrono::duration<Rep, Period>& patience,
                                     const detail::stop_token& stop = {}) {
        return choose(detail::deadline::after(patience), errc::timeout, stop);
    }
    template <class Clock, class Duration>
    result<std::size_t> wait_until(const std::chrono::time_point<Clock, Duration>& when,
                                   const detail::stop_token& stop = {}) {
        return choose(detail::deadline::at(when), errc::timeout, stop);
    }

private:
    template <class Case>
    struct member_of {
        template <class Source>
        explicit member_of(Source&& c) : what(std::forward<Source>(c).own()) {}
        Case what;
        typename Case::runner runner{what};
    };
    struct member {
        std::size_t id;
        std::shared_ptr<detail::select_case> runner;
    };

    bool has_otherwise() const {
        return std::any_of(members_.begin(), members_.end(),
                           [](const member& m) { return m.runner->what() == detail::select_case::kind::otherwise; });
    }

    result<std::size_t> choose(const detail::deadline& limit, errc at_limit, const detail::stop_token& stop) {
        using detail::preference;
        cases_.resize(members_.size());
        order_.resize(members_.size());
        for (std::size_t i = 0; i < members_.size(); ++i) cases_[i] = members_[i].runner.get();
        removed_.reserve(members_.size());  // before anything is received
        detail::selection choice(cases_, order_, biased_ ? preference::listed : preference::in_turn);
        result<std::size_t> chosen = choice.choose(limit, at_limit, stop);
        if (!chosen && choice.all_in_race()) return chosen;
        const member ready = chosen ? members_[*chosen] : member{};  // the handler may remove it
        // The others have waited for longer from now on.
        if (chosen && !biased_)
            std::rotate(members_.begin() + static_cast<std::ptrdiff_t>(*chosen),
                        members_.begin() + static_cast<std::ptrdiff_t>(*chosen) + 1, members_.end());
        remove_dropped_out(ready.runner.get());
        if (!chosen) return chosen;
        ready.runner->run();
        chosen = ready.id;
        return chosen;
    }

    void remove_dropped_out(const detail::select_case* chosen) {
        const auto is_out = [chosen](const member& m) { return m.runner->dropped_out(m.runner.get() == chosen); };
        const auto first = std::find_if(members_.begin(), members_.end(), is_out);
        if (first == members_.end()) return;
        std::vector<member> removed = std::move(removed_);  // what they drop may use the group
        auto kept = first;
        for (auto m = first; m != members_.end(); ++m) {
            if (is_out(*m)) {
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
