// sluice's coroutines, by the public interface alone.
#pragma once

#include "adapter.hpp"

#include <sluice/async.hpp>

#include <array>
#include <limits>
#include <utility>

namespace bench {

struct sluice_coroutines {
    static constexpr const char* name = "sluice";
    static constexpr abilities can{.unbounded = true, .bounded = true, .rendezvous = true};
    static constexpr bool sends_at_once = false;
    static constexpr bool selects = true;
    static constexpr number most_blocked = std::numeric_limits<number>::max();

    using task = sluice::task<>;
    using loop = sluice::run_loop;
    using sender = sluice::sender<number>;
    using receiver = sluice::receiver<number>;

    static ends<sender, receiver> open(loop&, const limit& capacity) {
        auto made = capacity ? sluice::bounded<number>(*capacity) : sluice::unbounded<number>();
        return {std::move(made.tx), std::move(made.rx)};
    }

    static auto send(sender& tx, const number& n) { return tx.async_send(n); }
    static auto recv(receiver& rx) { return rx.async_recv(); }
    static void check(const sluice::result<void>& sent) { demand(sent.has_value()); }
    static number value(const sluice::result<number>& received) {
        demand(received.has_value());
        return *received;
    }
    static void send_from_thread(sender& tx, number n) { check(tx.send(n)); }

    static task select_from(std::array<receiver, 4>& rx, number messages, number& sum) {
        const auto take = [&sum](number n) { sum += n; };
        for (; messages > 0; --messages) {
            const auto chosen =
                co_await sluice::async_select(sluice::on_recv(rx[0], take), sluice::on_recv(rx[1], take),
                                              sluice::on_recv(rx[2], take), sluice::on_recv(rx[3], take));
            demand(chosen.has_value());
        }
    }
};

}  // namespace bench
