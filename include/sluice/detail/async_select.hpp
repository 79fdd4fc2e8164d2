// What a coroutine awaits of several channels: a select, a group; and of a timer.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/cases.hpp>
#include <sluice/detail/async_channel.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/group.hpp>
#include <sluice/detail/select_engine.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/detail/timer_core.hpp>
#include <sluice/result.hpp>
#include <sluice/select.hpp>
#include <sluice/timer.hpp>

namespace sluice::detail {

// A coroutine that drives the select engine.
class select_suspension : public stepped_suspension {
    // What peers tell. Not a base: those call its virtual functions until end() has returned, while destructors of derived
    // classes write to the places of the bases where virtual functions are found.
    class sleeper final : public select_sleeper {
    public:
        explicit sleeper(select_suspension& s) noexcept : of_(s) {}
        void attach(waiter& w) noexcept override {
            w.has_callback = true;
            w.callback = [](waiter& told) noexcept {
                select_sleeper& of = static_cast<select_claim&>(*told.decision).sleeper;
                told.looks_again ? of.poke() : of.wake();
            };
        }
        void wake() noexcept override { of_.complete(); }
        void poke() noexcept override { of_.look_again(); }
        void wait_for_wake() override { of_.wait_for_completion(); }

    private:
        select_suspension& of_;
    };
    sleeper sleeper_{*this};

public:
    static constexpr bool tells_handlers = true;

protected:
    explicit select_suspension(preference prefers) noexcept : engine_(nullptr, nullptr, 0, prefers) {}
    select_suspension(const select_suspension&) = delete;
    select_suspension& operator=(const select_suspension&) = delete;
    ~select_suspension() = default;
    // The destructor of the most derived class calls this first.
    void end() noexcept {
        stepped_suspension::end();
        engine_.finish();  // also where it has thrown before it was suspended
    }

    // Gives the engine its cases, and begins; false if the choice is made.
    virtual bool start() = 0;
    // True if the choice is made before the coroutine is suspended.
    bool look() {
        if (!may_look()) return false;
        has_begun_ = true;
        if (start() && !engine_.look(nullptr)) {
            has_looked_ = true;
            return false;
        }
        engine_.finish();
        return true;
    }
    select_engine engine_;

private:
    progress step() final {
        if (!has_begun_) {
            has_begun_ = true;
            if (!start()) return progress::over();
        }
        deadline until = deadline::never();
        for (;;) {
            if (!is_registered_) {
                if (!std::exchange(has_looked_, false) && engine_.look(nullptr)) break;
                is_registered_ = true;
                if (engine_.enter(sleeper_) && engine_.must_wait(until)) return progress::wait(until);
            } else if (engine_.must_wait(until)) {
                return progress::wait(until);
            }
            is_registered_ = false;
            if (engine_.leave()) break;
        }
        engine_.finish();
        return progress::over();
    }
    void withdraw() noexcept final { engine_.abandon(); }

    bool has_begun_ = false, has_looked_ = false, is_registered_ = false;
};

template <class Case>
inline constexpr bool case_needs_time = false;
template <class When, class Handler>
inline constexpr bool case_needs_time<time_case<When, Handler>> = true;
template <class Timer, class Handler, bool is_stored>
inline constexpr bool case_needs_time<timer_case<Timer, Handler, is_stored>> = true;

template <preference prefers, class... Cases>
class select_operation : public select_suspension {
    static_assert((0 + ... + int(is_otherwise<Cases>)) <= 1, "sluice: a select takes at most one otherwise");

public:
    static constexpr bool needs_time = (false || ... || case_needs_time<Cases>);

protected:
    explicit select_operation(Cases&&... cases) : select_suspension(prefers), registrations_(cases...) {
        (clear_storage(cases.handler), ...);
    }
    ~select_operation() { end(); }

    // Before it is suspended: what ends it with `stopped`.
    void stop_with(stop_token stop) noexcept { stop_ = std::move(stop); }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    result<std::size_t> take_result() {
        finish();
        if (engine_.chosen() == no_case) return unexpected(engine_.failure());
        cases_[engine_.chosen()]->run();
        return engine_.chosen();
    }

private:
    bool start() final {
        std::apply(
            [this](auto&... r) {
                std::size_t i = 0;
                ((cases_[i++] = &r), ...);
            },
            registrations_);
        engine_.take(cases_, order_, sizeof...(Cases), nullptr);
        if (const std::size_t stop = requested_stop<Cases...>(engine_); stop != no_case) {
            engine_.decide(stop);
            return false;
        }
        engine_.begin(no_deadline, errc::timeout, stop_);
        return true;
    }

    std::tuple<typename Cases::registration...> registrations_;
    select_case* cases_[sizeof...(Cases) + 1];
    std::uint32_t order_[sizeof...(Cases) + 1];
    stop_token stop_;
};

template <class When>
class group_operation : public select_suspension {
public:
    static constexpr bool needs_time = true;  // for cases that are added at run time

protected:
    group_operation(group& cases, const When& when, const stop_token& stop)
        : select_suspension(cases.prefers()), group_(cases), until_(deadline_of(when)), stop_(stop) {}
    ~group_operation() { end(); }

    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    result<std::size_t> take_result() {
        finish();
        return has_chosen_before_ ? group_.conclude(before_) : group_.conclude(engine_);
    }

private:
    bool start() final {
        before_ = group_.begin(engine_, until_, stop_);
        has_chosen_before_ = before_.is_decided;
        if (has_chosen_before_) return false;
        engine_.begin(until_, errc::timeout, stop_);
        return true;
    }

    group& group_;
    const deadline until_;
    const stop_token stop_;
    group::preparation before_;
    bool has_chosen_before_ = false;
};

// A coroutine that receives from a timer: see timer_wait.
template <class When>
class timer_operation : public stepped_suspension {
public:
    static constexpr bool needs_time = true;

protected:
    timer_operation(const timer& t, const When& when, const stop_token& stop)
        : core_(core_of(t)), until_(deadline_of(when)), stop_(stop) {
        self_.has_callback = true;
        self_.owner = this;
        self_.callback = [](waiter& w) noexcept { static_cast<place&>(w).owner->look_again(); };
    }
    ~timer_operation() { end(); }

    static bool look() noexcept { return false; }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    result<timer_core::clock::time_point> take_result() {
        finish();
        if (outcome_ != errc{}) return unexpected(outcome_);
        return tick_;
    }

private:
    struct place : timer_waiter {
        timer_operation* owner = nullptr;
    };
    class stopper {
    public:
        explicit stopper(timer_operation& t) noexcept : of_(t) {}
        void operator()() const {
            if (of_.until_.passed()) return;
            of_.stopped_.store(true, std::memory_order_release);
            of_.look_again();
        }

    private:
        timer_operation& of_;
    };

    progress step() final {
        if (!has_begun_) {
            has_begun_ = true;
            if (stop_.stop_requested() || !core_) {
                outcome_ = stop_.stop_requested() ? errc::stopped : errc::closed;
                return progress::over();
            }
            if (stop_.stop_possible()) on_stop_.emplace(stop_, stopper(*this));
        }
        const bool stopped = stopped_.load(std::memory_order_acquire), over = stopped || until_.passed();
        timer_look found;
        const op_status tried =
            over ? core_->take(tick_, found) : core_->try_register(tick_, self_, timer_end::none, found);
        if (tried == op_status::blocked && !over)
            return progress::wait(deadline::sooner(until_, deadline::at_steady(core_->wake_time(self_))));
        leave();
        outcome_ = tried == op_status::done     ? errc{}
                   : tried == op_status::closed ? errc::closed
                   : stopped                    ? errc::stopped
                                                : errc::timeout;
        return progress::over();
    }
    void withdraw() noexcept final { leave(); }
    void leave() {
        on_stop_.reset();
        core_->unregister(self_);
    }

    timer_core* const core_;
    const deadline until_;
    const stop_token stop_;
    place self_;
    bool has_begun_ = false;
    errc outcome_ = errc::closed;
    result<timer_core::clock::time_point> tick_ = unexpected(errc::closed);
    sync::atomic<bool> stopped_{false};
    std::optional<stop_callback<stopper>> on_stop_;
};

}  // namespace sluice::detail
