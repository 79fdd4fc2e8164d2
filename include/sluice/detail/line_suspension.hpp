// line_suspension: a coroutine in the line of one channel; and where it lies.
#pragma once

#include <coroutine>
#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

#include <sluice/detail/blocking.hpp>
#include <sluice/detail/channel_base.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// What is sent or received, and by which channel, if any.
struct line_request {
    const direction* way;
    channel_base* channel;
    const message_ops* ops;
    void* message;
};

// A coroutine in the line of a channel, for as long as it takes: neither a stop nor a deadline. Whoever completes it has
// taken it out of the line and posts it; so nothing is left to be told apart when it is resumed, and nothing of it is
// touched once it stands in line.
// It may be used again and again, for one operation after the other.
class line_suspension final : public suspension, private blocked_op {
public:
    line_suspension() noexcept : suspension(&line_suspension::on_resume) {
        has_callback = true;
        callback = [](waiter& w) noexcept { static_cast<line_suspension&>(static_cast<blocked_op&>(w)).post(); };
    }
    line_suspension(const line_suspension&) = delete;
    line_suspension& operator=(const line_suspension&) = delete;

    // False if the operation was over at once. With `yields` it lets other coroutines run before it begins.
    bool suspend(const line_request& of, std::coroutine_handle<> coroutine, executor_ref executor, bool yields) {
        of_ = of;
        attach(coroutine, executor, yields);
        if (yields) {
            phase_ = phase::begins;
            post();
            return true;
        }
        return !stand_in_line();
    }
    // What it came to, once the coroutine goes on.
    errc finish() {
        if (phase_ == phase::waits) {
            phase_ = phase::idle;
            if (!where().use->takes_nodes) begin_turn();  // it was resumed by its handle alone
            if (of_.way->receives && carries_message && state == status::done) of_.ops->take(carried, of_.message);
            outcome_ = stopped_ ? errc::stopped : state == status::closed ? errc::closed : errc{};
        }
        if (state == status::failed) rethrow();
        return outcome_;
    }
    // Withdraws it, in whatever state it is: before what it refers to ends.
    void end() noexcept {
        const phase was = std::exchange(phase_, phase::idle);
        if (was == phase::idle) return;
        if (was == phase::begins) return revoke();
        if (of_.way->unregister(*of_.channel, *this)) return;
        revoke();
        if (of_.way->receives && state == status::done) of_.channel->count_dropped();
    }
    // Ends the wait with `stopped`, from any thread, unless somebody has completed it before. Whoever calls this makes sure
    // that it is not resumed meanwhile, and takes no turn to begin.
    void stop() noexcept {
        if (phase_ != phase::waits || !of_.way->unregister(*of_.channel, *this)) return;
        stopped_ = true;
        post();
    }

private:
    enum class phase : std::uint8_t { idle, begins, waits };

    // True if the operation is over. Otherwise this may be gone.
    bool stand_in_line() {
        if (!of_.channel) return leave_off(errc::closed);  // an empty handle, which has let others run
        carries_message = of_.ops->fits_waiter;
        phase_ = phase::waits;
        op_status tried = op_status::done;
        std::exception_ptr thrown =
            thrown_by([&] { tried = of_.way->try_register(*of_.channel, *of_.ops, of_.message, *this); });
        if (thrown) {
            fail(std::move(thrown));
        } else if (tried == op_status::blocked) {
            return false;
        }
        return leave_off(tried == op_status::closed ? errc::closed : errc{});
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

    line_request of_{};
    phase phase_ = phase::idle;
    bool stopped_ = false;
    errc outcome_ = errc::closed;
};

// ---- Where it lies, from the suspension of its coroutine

using line_place = std::optional<line_suspension>;

// In the operation.
class own_place {
protected:
    line_suspension& make() noexcept { return place_.emplace(); }
    static void give_back() noexcept {}
    line_suspension* made() noexcept { return place_ ? &*place_ : nullptr; }

private:
    line_place place_;
};

// In the promise of the coroutine, which awaits one operation at a time: so the frame has room for one, however many
// operations are in it.
class lent_place {
public:
    void lend(line_place& of_promise) noexcept { place_ = &of_promise; }

protected:
    line_suspension& make() noexcept {
        is_made_ = true;
        return *place_ ? **place_ : place_->emplace();
    }
    // Once it is over: then there is nothing to end.
    void give_back() noexcept { is_made_ = false; }
    line_suspension* made() noexcept { return is_made_ ? &**place_ : nullptr; }

private:
    line_place* place_ = nullptr;
    bool is_made_ = false;
};

// What a send and a receive without a stop or a deadline have in common. They look at the channel before their coroutine is
// suspended.
template <class Place>
class line_operation : public Place {
protected:
    line_operation() noexcept = default;
    line_operation(const line_operation&) = delete;
    line_operation& operator=(const line_operation&) = delete;
    ~line_operation() = default;

    // Before a first look at the channel: whether it may look now, or is to let other coroutines run before.
    bool may_look() noexcept {
        yields_ = !suspension::takes_turn();
        return !yields_;
    }
    // Whether that begins with the counters: on a rendezvous, which has none that change; elsewhere not beside other threads,
    // from which each look would take the cache line of theirs.
    static bool looks_before_locks(const channel_state& channel) noexcept {
        return channel.is_rendezvous() || sync::single_threaded();
    }
    // What that look has found; whether it is the outcome.
    bool looked(op_status found) noexcept {
        if (found == op_status::blocked) return false;
        if (found == op_status::done) outcome_ = errc{};
        return true;
    }
    bool suspend(const line_request& request, std::coroutine_handle<> coroutine, executor_ref executor) {
        return this->make().suspend(request, coroutine, executor, yields_);
    }
    errc finish() {
        line_suspension* const waited = this->made();
        if (!waited) return outcome_;
        this->give_back();
        return waited->finish();
    }
    // The destructor of the most derived class calls this first.
    void end() noexcept {
        if (line_suspension* const waiting = this->made()) waiting->end();
    }

    // For what stands for a coroutine, while it is suspended.
    void resume() { this->made()->resume(); }
    void stop() noexcept {
        if (line_suspension* const waiting = this->made()) waiting->stop();
    }

private:
    bool yields_ = false;
    errc outcome_ = errc::closed;
};

}  // namespace sluice::detail
