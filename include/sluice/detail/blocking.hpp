// The only place where a thread blocks on one channel: it spins, registers, and parks.
#pragma once

#include <atomic>
#include <exception>
#include <optional>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/channel_base.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/feeder.hpp>
#include <sluice/detail/parker.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// What a blocking operation does with the channel. A table, so that the rest is compiled once for both directions.
struct direction {
    bool receives;
    bool (*maybe_ready)(const channel_base&) noexcept;
    op_status (*try_now)(channel_base&, const message_ops&, void* message);
    op_status (*try_register)(channel_base&, const message_ops&, void* message, blocked_op& self);
    bool (*unregister)(channel_base&, waiter& self);
};

// A thread that blocks backs off, watching the other end's counter without a lock, before it registers and parks; on a
// rendezvous, where nothing can happen before one side registers, it registers at once, and backs off watching its own
// parker. Where a stop and a deadline may both come, a first attempt is made here, after the stop callback was
// registered, so that it is known which of the two was first.
class blocking {
public:
    static const direction sending, receiving;

    blocking(const direction& way, channel_base& channel, const message_ops& ops, void* message,
             const deadline& until) noexcept
        : way_(way), channel_(channel), ops_(ops), message_(message), until_(until) {}

    // A stop, or a deadline that has passed, counts only if the operation is found to be blocked after it.
    errc operator()(const stop_token& stop) {
        std::optional<registered_op> me;  // made late where possible, since that takes time
        const auto interrupt = [this, &me] {
            if (until_.passed()) return;
            me->stopped.store(true, std::memory_order_release);
            me->sleeper.interrupt();
        };
        std::optional<stop_callback<decltype(interrupt)>> on_stop;
        op_status tried = op_status::blocked;
        if (stop.stop_possible()) {
            me.emplace(way_, channel_, ops_);
            on_stop.emplace(stop, interrupt);
        } else if (until_.is_immediate()) {
            return errc::timeout;  // the caller has tried already
        }
        if (!until_.is_never()) {
            const bool passed = until_.passed();
            if (passed || stop.stop_possible()) tried = try_now();
            if (passed && tried == op_status::blocked)
                return me && me->stopped.load(std::memory_order_acquire) ? errc::stopped : errc::timeout;
        }
        backoff spin;
        const visit source(way_, channel_);
        const bool must_register_first = channel_.is_rendezvous() || source.fetches();
        while (!must_register_first && tried == op_status::blocked && spin.wait()) {
            if (way_.maybe_ready(channel_)) tried = try_now();
        }
        if (tried == op_status::blocked) {
            if (!me) me.emplace(way_, channel_, ops_);
            tried = way_.try_register(channel_, ops_, message_, me->self);
            if (tried == op_status::blocked) return park(*me, source.of, spin);
        }
        return tried == op_status::done ? errc{} : errc::closed;
    }

private:
    // An operation that is blocked, and its thread. Leaves the line however this ends, also where the thread is
    // cancelled in its sleep. What a peer touches as a rule lies on one cache line: `self` and the state of the parker.
    struct alignas(cache_line) registered_op {
        registered_op(const direction& w, channel_base& c, const message_ops& ops) noexcept : way(w), channel(c) {
            self.sleeper = &sleeper;
            self.carries_message = ops.fits_waiter;
        }
        registered_op(const registered_op&) = delete;
        registered_op& operator=(const registered_op&) = delete;
        ~registered_op() {
            if (in_line) leave();
        }

        // Leaves the line; false if the operation was completed, and then its peer does not touch it any more. The
        // thread may be cancelled as it waits for that, so `in_line` is cleared last.
        bool leave() {
            const bool withdrawn = way.unregister(channel, self);
            if (!withdrawn) sleeper.wait_for_wake();
            in_line = false;
            return withdrawn;
        }

        blocked_op self;
        parker sleeper;
        const direction& way;
        channel_base& channel;
        bool in_line = false;
        sync::atomic<bool> stopped{false};  // before the deadline
    };
    static_assert(sizeof(blocked_op) < cache_line);

    // The presence of a receiver's thread at the feeder of the channel, if there is one.
    struct visit {
        visit(const direction& way, channel_base& c) {
            if (!way.receives || !c.feeder_.load(std::memory_order_acquire)) return;
            const spin_lock_guard front(c.front_lock_);
            of = c.feeder_.load(std::memory_order_relaxed);
            if (of) of->enter();
        }
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
        ~visit() {
            if (of) of->leave();
        }
        bool fetches() const noexcept { return of && of->fetches(); }
        feeder* of = nullptr;
    };

    op_status try_now() { return way_.try_now(channel_, ops_, message_); }

    // Sleeps until the operation, which stands in line, is completed, or it is time to give up. A receiver that has
    // slept for a while gives back the memory that is retained for a stream.
    errc park(registered_op& me, feeder* source, backoff& spin) {
        me.in_line = true;
        const auto gives_up = [&] { return me.stopped.load(std::memory_order_acquire) || until_.passed(); };
        const auto sleep = [&](const deadline& d) {
            return source ? source->wait(me.sleeper, d, spin) : me.sleeper.wait(d, spin);
        };
        bool woken = false, over = false;
        if (way_.receives && channel_.retains_memory()) {
            const deadline idle = deadline::in(std::chrono::milliseconds(10));
            woken = sleep(deadline::sooner(until_, idle));
            over = !woken && gives_up();
            if (!woken && !over) channel_.give_back_memory(ops_);
        }
        while (!woken && !over) {
            woken = sleep(until_);
            over = !woken && gives_up();
        }
        if (!woken && me.leave()) return me.stopped.load(std::memory_order_acquire) ? errc::stopped : errc::timeout;
        me.in_line = false;
        if (me.self.state == waiter::status::failed) me.self.rethrow();
        if (way_.receives && me.self.carries_message && me.self.state == waiter::status::done)
            ops_.take(me.self.carried, message_);
        return me.self.state == waiter::status::done ? errc{} : errc::closed;
    }

    const direction& way_;
    channel_base& channel_;
    const message_ops& ops_;
    void* const message_;
    const deadline& until_;
};

inline constexpr direction blocking::sending = {
    .receives = false,
    .maybe_ready = [](const channel_base& c) noexcept { return c.maybe_ready_to_send(); },
    .try_now = [](channel_base& c, const message_ops& ops,
                  void* message) { return c.try_send(erased_messages(ops), message, true); },
    .try_register = [](channel_base& c, const message_ops& ops, void* message,
                       blocked_op& self) { return c.register_sender(ops, message, self); },
    .unregister = [](channel_base& c, waiter& self) { return c.unregister_sender(self); },
};
inline constexpr direction blocking::receiving = {
    .receives = true,
    .maybe_ready = [](const channel_base& c) noexcept { return c.maybe_ready_to_recv(); },
    .try_now = [](channel_base& c, const message_ops& ops,
                  void* out) { return c.try_recv(erased_messages(ops), out, true); },
    .try_register = [](channel_base& c, const message_ops& ops, void* out,
                       blocked_op& self) { return c.register_receiver(ops, out, self); },
    .unregister = [](channel_base& c, waiter& self) { return c.unregister_receiver(self); },
};

SLUICE_NOINLINE inline errc channel_base::send_blocking(const message_ops& ops, void* message, const deadline& until,
                                                        const stop_token& stop) {
    return blocking(blocking::sending, *this, ops, message, until)(stop);
}
SLUICE_NOINLINE inline errc channel_base::recv_blocking(const message_ops& ops, void* out, const deadline& until,
                                                        const stop_token& stop) {
    return blocking(blocking::receiving, *this, ops, out, until)(stop);
}

}  // namespace sluice::detail
