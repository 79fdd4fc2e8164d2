// What a coroutine awaits of one channel: a send or a receive.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <sluice/channel.hpp>
#include <sluice/detail/blocking.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// A coroutine in the line of a channel, for as long as it takes: neither a stop nor a deadline. Whoever completes it has
// taken it out of the line and posts it; so nothing is left to be told apart when it is resumed, and nothing of it is
// touched once it stands in line.
class line_suspension : public suspension, private blocked_op {
public:
    line_suspension(const line_suspension&) = delete;
    line_suspension& operator=(const line_suspension&) = delete;

protected:
    line_suspension(const direction& way, channel_base* channel, const message_ops& ops) noexcept
        : suspension(&line_suspension::on_resume), way_(way), channel_(channel), ops_(ops) {
        has_callback = true;
        callback = [](waiter& w) noexcept { static_cast<line_suspension&>(static_cast<blocked_op&>(w)).post(); };
    }
    // The destructor of the most derived class calls this first, if nobody has before.
    void end() noexcept {
        const phase was = std::exchange(phase_, phase::idle);
        if (was == phase::idle) return;
        if (was == phase::begins) return revoke();
        if (way_.unregister(*channel_, *this)) return;
        revoke();
        if (way_.receives && state == status::done) channel_->count_dropped();
    }

    // Before a first look at the channel: whether it may look now, or is to let other coroutines run before.
    bool may_look() noexcept {
        yields_ = !takes_turn();
        return !yields_;
    }
    // What that look has found, if it is the outcome.
    void looked(op_status found) noexcept { outcome_ = to_errc(found, errc{}); }
    bool suspend(void* place, std::coroutine_handle<> coroutine, executor_ref executor) {
        message_ = place;
        attach(coroutine, executor, yields_);
        if (yields_) {
            phase_ = phase::begins;
            post();
            return true;
        }
        return !stand_in_line();
    }
    // Ends the wait with `stopped`, from any thread, unless somebody has completed it before. Whoever calls this makes sure
    // that it is not resumed meanwhile, and takes no turn to begin.
    void stop() noexcept {
        if (phase_ != phase::waits || !way_.unregister(*channel_, *this)) return;
        stopped_ = true;
        post();
    }
    errc finish() {
        if (phase_ == phase::waits) {
            phase_ = phase::idle;
            if (!where().use->takes_nodes) begin_turn();  // it was resumed by its handle alone
            if (way_.receives && carries_message && state == status::done) ops_.take(carried, message_);
            outcome_ = stopped_ ? errc::stopped : state == status::closed ? errc::closed : errc{};
        }
        if (state == status::failed) rethrow();
        return outcome_;
    }

private:
    enum class phase : std::uint8_t { idle, begins, waits };

    // True if the operation is over. Otherwise this may be gone.
    bool stand_in_line() {
        if (!channel_) return leave_off(errc::closed);  // an empty handle, which has let others run
        carries_message = ops_.fits_waiter;
        phase_ = phase::waits;
        op_status tried = op_status::done;
        std::exception_ptr thrown = thrown_by([&] { tried = way_.try_register(*channel_, ops_, message_, *this); });
        if (thrown) {
            fail(std::move(thrown));
        } else if (tried == op_status::blocked) {
            return false;
        }
        return leave_off(to_errc(tried, errc{}));
    }
    bool leave_off(errc outcome) noexcept {
        phase_ = phase::idle;
        outcome_ = outcome;
        return true;
    }
    static void on_resume(resumption& r) {
        auto& self = static_cast<line_suspension&>(r);
        if (self.phase_ == phase::begins && !self.stand_in_line()) return;
        self.resume_coroutine();
    }

    const direction& way_;
    channel_base* const channel_;
    const message_ops& ops_;
    void* message_ = nullptr;
    phase phase_ = phase::idle;
    bool yields_ = false;
    bool stopped_ = false;
    errc outcome_ = errc::closed;
};

// The same with a stop or a deadline, or both; and for what is sent or received in several rounds, each of which stands in
// line at most once.
class limited_line_suspension : public stepped_suspension, private blocked_op {
protected:
    limited_line_suspension(const direction& way, const message_ops& ops, const deadline& until, const stop_token& stop)
        : until_(until), way_(way), ops_(ops), stop_(stop) {
        has_callback = true;
        callback = [](waiter& w) noexcept {
            static_cast<limited_line_suspension&>(static_cast<blocked_op&>(w)).complete();
        };
    }

    limited_line_suspension(const limited_line_suspension&) = delete;
    limited_line_suspension& operator=(const limited_line_suspension&) = delete;
    ~limited_line_suspension() = default;

    // Before each round: what is sent, or where to receive, and by which channel, if any. False if no round is to follow;
    // `outcome_` tells why.
    virtual bool prepare() = 0;
    // A round has come to `outcome_`, a stop and the deadline included; whether another one is to follow.
    virtual bool has_more() { return false; }

    errc outcome() {
        stepped_suspension::finish();
        return outcome_;
    }

    channel_base* channel_ = nullptr;
    void* message_ = nullptr;
    errc outcome_ = errc::closed;
    deadline until_;
    const stop_token& stop() const noexcept { return stop_; }

private:
    // A stop that was requested before comes first; a stop, or a deadline that has passed, counts later if the operation
    // is found to be blocked after it; of the two the earlier.
    progress step() final {
        if (in_line_) {
            if (!is_completed() && !until_.passed()) return progress::wait(until_);
            errc outcome = errc::timeout;
            if (is_completed() || !way_.unregister(*channel_, *this)) {
                wait_for_completion();
                outcome = stopped_ ? errc::stopped : state == status::done ? errc{} : errc::closed;
                if (way_.receives && carries_message && outcome == errc{}) ops_.take(carried, message_);
            }
            round_is_over(outcome);
            if (state == status::failed) rethrow();
            if (!has_more()) return progress::over();
        } else if (stop_.stop_requested()) {
            outcome_ = errc::stopped;
            return progress::over();
        }
        while (prepare()) {
            if (!attempt()) return progress::wait(until_);
            if (!has_more()) break;
        }
        return progress::over();
    }
    void withdraw() noexcept final {
        on_stop_.reset();
        if (!in_line_ || way_.unregister(*channel_, *this)) return;
        wait_for_completion();
        if (way_.receives && !stopped_ && state == status::done) channel_->count_dropped();
    }

    // False if it stands in line.
    bool attempt() {
        outcome_ = errc::closed;
        if (!channel_) return true;
        const bool passed = until_.passed();
        op_status tried = way_.try_now(*channel_, ops_, message_);
        if (tried == op_status::blocked) {
            outcome_ = errc::timeout;
            if (passed) return true;
            carries_message = ops_.fits_waiter;
            tried = way_.try_register(*channel_, ops_, message_, *this);
        }
        if (tried != op_status::blocked) {
            outcome_ = to_errc(tried, errc{});
            return true;
        }
        stopped_ = false;
        in_line_ = true;
        if (stop_.stop_possible()) on_stop_.emplace(stop_, stopper(*this));
        return false;
    }
    void round_is_over(errc outcome) noexcept {
        on_stop_.reset();
        in_line_ = false;
        outcome_ = outcome;
    }

    class stopper {
    public:
        explicit stopper(limited_line_suspension& s) noexcept : of_(s) {}
        void operator()() const {
            if (of_.until_.passed() || !of_.way_.unregister(*of_.channel_, of_)) return;
            of_.stopped_ = true;
            of_.complete();
        }

    private:
        limited_line_suspension& of_;
    };

    const direction& way_;
    const message_ops& ops_;
    const stop_token stop_;
    bool in_line_ = false;
    bool stopped_ = false;  // by the thread that has taken it out of the line
    std::optional<stop_callback<stopper>> on_stop_;
};

// ---- How long an operation waits

struct no_time {};
inline deadline deadline_of(no_time) noexcept { return deadline::never(); }
template <class Rep, class Period>
deadline deadline_of(const std::chrono::duration<Rep, Period>& d) {
    return deadline::after(d);
}
template <class Clock, class Duration>
deadline deadline_of(const std::chrono::time_point<Clock, Duration>& t) {
    return deadline::at(t);
}

// ---- The operations

template <class T>
class recv_operation : public line_suspension {
public:
    static constexpr bool needs_time = false;

protected:
    explicit recv_operation(const receiver<T>& rx) noexcept
        : line_suspension(blocking::receiving, core_of(rx), ops_of<T>), channel_(core_of(rx)) {}
    ~recv_operation() { end(); }

    bool look() {
        if (!may_look()) return false;
        op_status tried = op_status::closed;
        if (channel_) {
            if (channel_->is_rendezvous() && !channel_->maybe_ready_to_recv()) return false;
            tried = channel_->try_recv(out_);
            if (tried == op_status::blocked) return false;
        }
        looked(tried);
        return true;
    }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(std::addressof(out_), h, e); }
    result<T> take_result() {
        if (const errc e = finish(); e != errc{}) return unexpected(e);
        return result<T>(std::in_place, *std::move(out_));
    }

private:
    channel_core<T>* const channel_;
    result<T> out_ = unexpected(errc::closed);
};

// What is sent: a T that is moved from, or where that is as good a const T; a copy that is made when it is certain that
// it may be sent.
template <class T, class Message>
class message_to_send {
    static constexpr bool in_place = !std::is_lvalue_reference_v<Message> || copies_in_place<T>;

public:
    explicit message_to_send(Message&& m) noexcept : original_(m) {}

    void* get() {
        if constexpr (in_place) {
            return channel_core<T>::address_of(original_);
        } else {
            if (!copy_) copy_.emplace(original_);
            return channel_core<T>::address_of(*copy_);
        }
    }
    static constexpr bool is_copied = !in_place;

private:
    std::conditional_t<std::is_lvalue_reference_v<Message>, const T, T>& original_;
    [[no_unique_address]] std::conditional_t<in_place, std::monostate, std::optional<T>> copy_;
};

template <class T, class Message>
class send_operation : public line_suspension {
public:
    static constexpr bool needs_time = false;

protected:
    send_operation(const sender<T>& tx, Message&& m) noexcept
        : line_suspension(blocking::sending, core_of(tx), ops_of<T>),
          channel_(core_of(tx)),
          message_(static_cast<Message&&>(m)) {}
    ~send_operation() { end(); }

    bool look() {
        if (!may_look()) return false;
        op_status tried = op_status::closed;
        if (channel_ && !(message_to_send<T, Message>::is_copied && channel_->is_closed())) {
            if (channel_->is_rendezvous() && !channel_->maybe_ready_to_send()) return false;
            tried = channel_->try_send(*static_cast<typename channel_core<T>::message_type*>(message_.get()));
            if (tried == op_status::blocked) return false;
        }
        looked(tried);
        return true;
    }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) {
        return suspend(channel_ ? message_.get() : nullptr, h, e);
    }
    result<void> take_result() { return to_result(finish()); }

private:
    channel_core<T>* const channel_;
    message_to_send<T, Message> message_;
};

template <class T, bool timed>
class limited_recv_operation : public limited_line_suspension {
public:
    static constexpr bool needs_time = timed;

protected:
    template <class When>
    limited_recv_operation(const receiver<T>& rx, const When& when, const stop_token& stop)
        : limited_line_suspension(blocking::receiving, ops_of<T>, deadline_of(when), stop) {
        channel_ = core_of(rx);
        message_ = std::addressof(out_);
    }
    ~limited_recv_operation() { end(); }

    static bool look() noexcept { return false; }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    result<T> take_result() {
        if (const errc e = outcome(); e != errc{}) return unexpected(e);
        return result<T>(std::in_place, *std::move(out_));
    }

private:
    bool prepare() final { return true; }

    result<T> out_ = unexpected(errc::closed);
};

template <class T, class Message, bool timed>
class limited_send_operation : public limited_line_suspension {
public:
    static constexpr bool needs_time = timed;

protected:
    template <class When>
    limited_send_operation(const sender<T>& tx, Message&& m, const When& when, const stop_token& stop)
        : limited_line_suspension(blocking::sending, ops_of<T>, deadline_of(when), stop),
          core_(core_of(tx)),
          to_send_(static_cast<Message&&>(m)) {
        channel_ = core_;
    }
    ~limited_send_operation() { end(); }

    static bool look() noexcept { return false; }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    result<void> take_result() { return to_result(outcome()); }

private:
    // Makes no copy where it is certain beforehand that it can't be sent.
    bool prepare() final {
        if (!core_) return true;
        if (message_to_send<T, Message>::is_copied) {
            outcome_ = core_->is_closed() ? errc::closed : errc::timeout;
            if (core_->is_closed() || (until_.is_immediate() && !core_->maybe_ready_to_send())) return false;
        }
        message_ = to_send_.get();
        return true;
    }

    channel_core<T>* const core_;
    message_to_send<T, Message> to_send_;
};

}  // namespace sluice::detail
