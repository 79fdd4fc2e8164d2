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
#include <sluice/detail/line_suspension.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// A coroutine in the line of a channel with a stop or a deadline, or both; and for what is sent or received in several
// rounds, each of which stands in line at most once. Without either see line_suspension.
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

template <class T, class Place>
class recv_operation : public line_operation<Place> {
public:
    static constexpr bool needs_time = false;

protected:
    explicit recv_operation(const receiver<T>& rx) noexcept : channel_(core_of(rx)) {}
    ~recv_operation() { this->end(); }

    bool look() {
        if (!this->may_look()) return false;
        if (!channel_) return this->looked(op_status::closed);
        if (this->looks_before_locks(*channel_) && !channel_->maybe_ready_to_recv()) return false;
        return this->looked(channel_->try_recv(out_));
    }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) {
        return this->suspend({&blocking::receiving, channel_, &ops_of<T>, std::addressof(out_)}, h, e);
    }
    result<T> take_result() {
        if (const errc e = this->finish(); e != errc{}) return unexpected(e);
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

template <class T, class Message, class Place>
class send_operation : public line_operation<Place> {
public:
    static constexpr bool needs_time = false;

protected:
    send_operation(const sender<T>& tx, Message&& m) noexcept
        : channel_(core_of(tx)), message_(static_cast<Message&&>(m)) {}
    ~send_operation() { this->end(); }

    bool look() {
        if (!this->may_look()) return false;
        if (!channel_ || (message_to_send<T, Message>::is_copied && channel_->is_closed()))
            return this->looked(op_status::closed);
        if (this->looks_before_locks(*channel_) && !channel_->maybe_ready_to_send()) return false;
        return this->looked(channel_->try_send(*static_cast<typename channel_core<T>::message_type*>(message_.get())));
    }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) {
        return this->suspend({&blocking::sending, channel_, &ops_of<T>, channel_ ? message_.get() : nullptr}, h, e);
    }
    result<void> take_result() { return to_result(this->finish()); }

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
