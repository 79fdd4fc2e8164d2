// The kinds of case that a select takes: receive, send, closed, deadline, stop and otherwise.
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/handler.hpp>
#include <sluice/detail/select_case.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/detail/watch.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// What an on_...() function returns holds its arguments, those that are lvalues by reference. `stored` is the same with
// everything copied or moved in, for a selector to keep. `registration` is what the engine works with while it chooses.

// What the cases of channels have in common, whatever the type of the message. A closed channel takes a case out of the
// race, unless its handler hears of the closing, which then makes the case ready.
class channel_case : public select_case {
public:
    bool is_unchanged() const final { return !channel_ || closed_ || stays_blocked(); }
    bool must_register_first() const noexcept final { return channel_ && channel_->is_rendezvous(); }
    bool is_switched_off() const noexcept final { return !channel_; }
    // A wait stands in line on a rendezvous, and may find a peer there that only waits for it to do so.
    bool watch(watcher& w) final { return !channel_->is_rendezvous() && watch_anywhere(w); }
    bool watch_between_waits(watcher& w) final { return channel_->is_rendezvous() && watch_anywhere(w); }
    op_status notify(watch_hub&) final { return op_status::done; }
    void prepare() override {
        op_.emplace();
        op_->ignores_close = !hears_of_close_;
    }
    waiter* in_line() noexcept final { return &*op_; }
    op_status try_register() final {
        if (!channel_) return op_status::closed;
        const op_status tried = noted(register_op(), nullptr);
        return tried == op_status::done && closed_ ? claim::claim_own(*op_) : tried;
    }

protected:
    channel_case(channel_base* channel, const message_ops& ops, handler_kind takes) noexcept
        : channel_(channel), ops_(ops), hears_of_close_(takes == handler_kind::outcome) {}

    virtual bool stays_blocked() const noexcept = 0;
    virtual op_status register_op() = 0;
    virtual bool put_in_line(watcher& w) = 0;

    op_status noted(op_status tried, const precondition* others) {
        closed_ = tried == op_status::closed;
        if (!closed_ || !hears_of_close_) return tried;
        return holds(others) ? op_status::done : op_status::superseded;
    }
    bool watch_anywhere(watcher& w) { return !maybe_ready() && put_in_line(w); }
    bool is_done_by_close(bool chosen) const noexcept { return closed_ && (chosen || !hears_of_close_); }

    channel_base* const channel_;
    const message_ops& ops_;
    std::optional<blocked_op> op_;  // from prepare() on; most choices are made before it
    snapshot seen_ = 0;
    const bool hears_of_close_;
    bool closed_ = false;  // for a receive: and drained
};

class recv_registration : public channel_case {
public:
    op_status try_now(const precondition* others) final {
        if (!channel_) return op_status::closed;
        if (!channel_->maybe_ready_to_recv(seen_)) return op_status::blocked;
        return noted(others ? channel_->try_recv_if(ops_, *others, out_) : try_recv(), others);
    }
    bool maybe_ready() const noexcept final { return channel_ && channel_->maybe_ready_to_recv(); }
    void unregister() final {
        if (!channel_ || channel_->unregister_receiver(*op_) || op_->state != waiter::status::closed) return;
        closed_ = channel_->size() == 0;  // another case of this select may have sent to the channel before it closed
    }
    bool is_done(bool chosen) const noexcept final { return is_done_by_close(chosen); }
    bool unwatch(watcher& w) final { return channel_->unwatch_message(w); }
    void discard() noexcept override {
        if (op_->state == waiter::status::done) channel_->count_dropped();
    }
    bool retains_memory() const noexcept final { return channel_ && channel_->retains_memory(); }
    void give_back_memory() final {
        if (retains_memory()) channel_->give_back_memory(ops_);
    }

protected:
    // `out` is a result<T>*.
    recv_registration(channel_base* channel, const message_ops& ops, handler_kind takes, void* out) noexcept
        : channel_case(channel, ops, takes), out_(out) {}

    // An attempt that prefers no other case.
    virtual op_status try_recv() = 0;

private:
    bool stays_blocked() const noexcept final { return channel_->recv_stays_blocked(seen_); }
    bool put_in_line(watcher& w) final { return channel_->watch_for_message(w); }
    op_status register_op() final { return channel_->register_receiver(ops_, out_, *op_); }

    void* const out_;
};

class send_registration : public channel_case {
public:
    op_status try_now(const precondition* others) final {
        if (!channel_) return op_status::closed;
        if (!channel_->maybe_ready_to_send(seen_)) return op_status::blocked;
        const op_status tried = channel_->is_closed() ? op_status::closed
                                : others              ? channel_->try_send_if(ops_, *others, message())
                                                      : try_send();
        sent_ = tried == op_status::done;
        return noted(tried, others);
    }
    bool maybe_ready() const noexcept final { return channel_ && channel_->maybe_ready_to_send(); }
    void prepare() final {
        channel_case::prepare();
        if (channel_) message();
    }
    void unregister() final {
        if (channel_ && !channel_->unregister_sender(*op_) && op_->state == waiter::status::closed) closed_ = true;
    }
    void on_completed() final {
        if (op_->state == waiter::status::failed) op_->rethrow();
        sent_ = true;
    }
    bool is_done(bool chosen) const noexcept final { return sent_ || is_done_by_close(chosen); }
    bool unwatch(watcher& w) final { return channel_->unwatch_room(w); }

protected:
    send_registration(channel_base* channel, const message_ops& ops, handler_kind takes) noexcept
        : channel_case(channel, ops, takes) {}

    // Where the message is; a copy is made at the first call.
    virtual void* message() = 0;
    // An attempt that prefers no other case.
    virtual op_status try_send() = 0;

    bool is_closed() const noexcept { return closed_; }

private:
    bool stays_blocked() const noexcept final { return channel_->send_stays_blocked(seen_); }
    bool put_in_line(watcher& w) final { return channel_->watch_for_room(w); }
    op_status register_op() final {
        const op_status tried = channel_->register_sender(ops_, message(), *op_);
        sent_ = tried == op_status::done;
        return tried;
    }

    bool sent_ = false;
};

template <class T, class Receiver, class Handler>
struct receive_case {
    static constexpr handler_kind takes = receive_handler<Handler, T, parameter_of<Handler>>::kind;

    using stored = receive_case<T, receiver<T>, std::decay_t<Handler>>;
    stored into_stored() && { return {std::forward<Receiver>(from), std::forward<Handler>(handler)}; }

    Receiver from;
    Handler handler;

    class registration final : public recv_registration {
    public:
        explicit registration(receive_case& c)
            : recv_registration(core_of(std::as_const(c.from)), ops_of<T>, takes, std::addressof(got_)), case_(c) {}
        void run() override { detail::call<takes>(case_.handler, got_); }
        // In a group the case is there for the next choice, which receives under a lock, where no message may end.
        void discard() noexcept override {
            recv_registration::discard();
            got_ = unexpected(errc::closed);
        }

    private:
        op_status try_recv() override { return core_of(std::as_const(case_.from))->try_recv(got_); }

        receive_case& case_;
        result<T> got_ = unexpected(errc::closed);
    };
};

// `Value` is const T& or T&&; T where the case is stored.
template <class T, class Sender, class Value, class Handler>
struct send_case {
    static constexpr handler_kind takes = kind_of_handler<Handler, result<void>>();
    static_assert(
        send_handler<Handler>,
        "sluice: the handler of on_send must take nothing, or a sluice::result<void> to hear of closing as well");

    using stored = send_case<T, sender<T>, T, std::decay_t<Handler>>;
    stored into_stored() && {
        return {std::forward<Sender>(to), std::forward<Handler>(handler), static_cast<T>(std::forward<Value>(value))};
    }

    Sender to;
    Handler handler;
    Value value;  // last, since copying the others may throw

    class registration final : public send_registration {
    public:
        explicit registration(send_case& c)
            : send_registration(core_of(std::as_const(c.to)), ops_of<T>, takes), case_(c) {}

        void run() override {
            if constexpr (takes == handler_kind::message) {
                run_handler(case_.handler);
            } else if constexpr (takes == handler_kind::outcome) {
                run_handler(case_.handler, is_closed() ? result<void>(unexpected(errc::closed)) : result<void>());
            }
        }

    private:
        // An lvalue is copied by the send itself if that runs no code of the user's, and otherwise before the first
        // attempt that may send it.
        static constexpr bool in_place = !std::is_lvalue_reference_v<Value> || copies_in_place<T>;

        op_status try_send() override {
            return core_of(std::as_const(case_.to))
                ->try_send(*static_cast<typename channel_core<T>::message_type*>(message()));
        }
        void* message() override {
            if constexpr (in_place) {
                return channel_core<T>::address_of(case_.value);
            } else {
                if (!copy_) copy_.emplace(case_.value);
                return std::addressof(*copy_);
            }
        }

        send_case& case_;
        std::optional<std::conditional_t<in_place, char, T>> copy_;
    };
};

// What a selector holds of a handle whose channel it watches: one that does not keep it open.
template <class Handle>
auto weakened(const Handle& h) {
    if constexpr (requires { h.downgrade(); }) {
        return h.downgrade();
    } else {
        return h;
    }
}

template <class Handle>
concept handle_of_channel = requires(const Handle& h) {
    { core_of(h) } -> std::convertible_to<channel_state*>;
};

// Ready once its channel is closed, and for good. No message is involved: who closes the channel decides the select for
// no case, so that it looks at all of them again.
class closed_registration : public select_case {
public:
    op_status try_now(const precondition* others) final {
        if (!channel_) return op_status::closed;
        if (!channel_->is_closed()) return op_status::blocked;
        return holds(others) ? op_status::done : op_status::superseded;
    }
    waiter* in_line() noexcept final { return &self_; }
    bool is_unchanged() const final { return !maybe_ready(); }
    bool maybe_ready() const noexcept final { return channel_ && channel_->is_closed(); }
    bool is_switched_off() const noexcept final { return !channel_; }
    op_status try_register() final {
        if (!channel_) return op_status::closed;
        return channel_->observe_close(self_) ? op_status::blocked : claim::claim_own(self_);
    }
    void unregister() final {
        if (channel_) channel_->unobserve_close(self_);
    }
    bool is_done(bool chosen) const noexcept final { return chosen; }
    bool watch(watcher& w) final { return channel_->observe_close(w); }
    op_status notify(watch_hub&) final { return op_status::done; }
    bool unwatch(watcher& w) final { return channel_->unobserve_close(w); }

protected:
    explicit closed_registration(channel_state* channel) noexcept : channel_(channel) {}

private:
    channel_state* const channel_;
    waiter self_;
};

template <class Handle, class Handler>
struct closed_case {
    static_assert(callable_with<std::decay_t<Handler>>, "sluice: the handler of on_closed must take nothing");

    using stored = closed_case<decltype(weakened(std::declval<Handle>())), std::decay_t<Handler>>;
    stored into_stored() && { return {weakened(of), std::forward<Handler>(handler)}; }

    Handle of;
    Handler handler;

    class registration final : public closed_registration {
    public:
        explicit registration(closed_case& c) : closed_registration(core_of(std::as_const(c.of))), case_(c) {}
        void run() override { run_handler(case_.handler); }

    private:
        closed_case& case_;
    };
};

// What runs when nothing else is ready by a certain time.
template <class When, class Handler>
struct time_case {
    static_assert(callable_with<std::decay_t<Handler>>,
                  "sluice: the handler of on_timeout and on_deadline must take nothing");

    using stored = time_case<When, std::decay_t<Handler>>;
    stored into_stored() && { return {when, std::forward<Handler>(handler)}; }

    When when;
    Handler handler;

    class registration final : public select_case {
    public:
        explicit registration(time_case& c) : select_case(kind::deadline), case_(c) {}

        void start() override { until_ = make_deadline(case_.when); }
        void run() override { run_handler(case_.handler); }
        deadline wake_time() const override { return until_; }
        bool is_due() const override { return until_.passed(); }

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

    using stored = otherwise_case<std::decay_t<Handler>>;
    stored into_stored() && { return {std::forward<Handler>(handler)}; }

    Handler handler;

    class registration final : public select_case {
    public:
        explicit registration(otherwise_case& c) : select_case(kind::otherwise), case_(c) {}
        void run() override { run_handler(case_.handler); }
        op_status notify(watch_hub&) override { return op_status::done; }

    private:
        otherwise_case& case_;
    };
};

template <class Handler>
struct stop_case {
    static_assert(callable_with<std::decay_t<Handler>>, "sluice: the handler of on_stop must take nothing");

    using stored = stop_case<std::decay_t<Handler>>;
    stored into_stored() && { return {std::move(token), std::forward<Handler>(handler)}; }

    stop_token token;
    Handler handler;

    class registration final : public select_case {
    public:
        explicit registration(stop_case& c) : select_case(kind::stop), case_(c) {}

        void run() override { run_handler(case_.handler); }
        op_status try_now(const precondition* others) override {
            if (case_.token.stop_requested()) return holds(others) ? op_status::done : op_status::superseded;
            return case_.token.stop_possible() ? op_status::blocked : op_status::closed;
        }
        bool is_unchanged() const override { return !case_.token.stop_requested(); }
        bool is_due() const override { return case_.token.stop_requested(); }
        bool maybe_ready() const noexcept override { return case_.token.stop_requested(); }
        waiter* in_line() noexcept override { return &self_; }
        // The thread that requests the stop completes the case, as a peer.
        op_status try_register() override {
            if (!case_.token.stop_possible()) return op_status::closed;
            if (!on_stop_) on_stop_.emplace(case_.token, completion{&self_});
            return op_status::blocked;
        }
        void unregister() override { on_stop_.reset(); }
        // From the first call on the hub rings, whether somebody listens or not. One that comes too early to ring, in
        // the midst of the request, finds it requested.
        op_status notify(watch_hub& hub) override {
            if (!case_.token.stop_possible()) return op_status::closed;
            if (!on_stop_ring_) on_stop_ring_.emplace(case_.token, bell{&hub});
            return case_.token.stop_requested() ? op_status::done : op_status::blocked;
        }

    private:
        struct completion {
            waiter* of;
            void operator()() const {
                if (claim::claim_without_transfer(*of)) of->wake();
            }
        };
        struct bell {
            watch_hub* hub;
            void operator()() const { hub->ring(); }
        };

        stop_case& case_;
        waiter self_;
        std::optional<stop_callback<completion>> on_stop_;
        std::optional<stop_callback<bell>> on_stop_ring_;
    };
};

template <class Case>
inline constexpr bool is_otherwise = false;
template <class Handler>
inline constexpr bool is_otherwise<otherwise_case<Handler>> = true;

template <class Case>
inline constexpr bool is_stop = false;
template <class Handler>
inline constexpr bool is_stop<stop_case<Handler>> = true;

// What stands for a case that did not compile, so that select reports no second error.
struct refused_case {};

template <class Case>
inline constexpr bool is_case = requires {
    typename std::remove_cvref_t<Case>::registration;
};
template <class Case>
inline constexpr bool is_refused = std::is_same_v<std::remove_cvref_t<Case>, refused_case>;

}  // namespace sluice::detail
