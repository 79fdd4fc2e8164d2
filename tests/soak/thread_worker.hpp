// A thread that works on all channels of a round. It waits for nothing without a limit, so that it comes to its end.
#pragma once

#include "worker.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace soak {

class thread_worker : worker {
public:
    using worker::worker;

    void run(unsigned share) {
        for (unsigned i = 0; i < share; ++i) below(4) == 0 ? pass_note() : one_operation();
        ended(share);
    }

private:
    void pass_note() {
        const auto p = patience();
        const auto take_it = [this](note n) { take(n); };
        switch (below(6)) {
            case 0: {
                const note n = make_note();
                gave(n, notes_.tx.send_timeout(n, p).has_value());
                break;
            }
            case 1: {
                const note n = make_note();
                gave(n, notes_.tx.try_send(n).has_value());
                break;
            }
            case 2: got(notes_.rx.recv_timeout(p, stop_)); break;
            case 3: got(notes_.rx.try_recv()); break;
            case 4: (void)sluice::select(sluice::on_recv(notes_.rx, take_it), sluice::on_timeout(p)); break;
            default: {
                const note n = make_note();
                bool sent = false;
                (void)sluice::select(sluice::on_recv(notes_.rx, take_it), sluice::on_timeout(p),
                                     sluice::on_send(notes_.tx, n, [&] { sent = true; }));
                gave(n, sent);
            }
        }
    }

    void one_operation() {
        const std::size_t c = any_channel();
        const std::size_t d = any_channel();
        channel& ch = channels_[c];
        const auto p = patience();
        switch (below(25)) {
            case 0: {
                message m = make(c);
                gave(m, ch.tx.send_timeout(std::move(m), p).has_value());
                break;
            }
            case 1: {
                message m = make(c);
                gave(m, ch.tx.try_send(std::move(m)).has_value());
                break;
            }
            case 2: {
                message m = make(c);
                gave(m, ch.tx.send_until(std::move(m), steady::now() + p).has_value());
                break;
            }
            case 3: {
                message m = make(c);
                gave(m, ch.tx.send_timeout(std::move(m), p, stop_).has_value());
                break;
            }
            case 4:
            case 5: {
                std::vector<message> batch;
                const std::uint32_t n = 1 + below(20);
                for (std::uint32_t i = 0; i < n; ++i) batch.push_back(make(c));
                const std::size_t sent = ch.tx.try_send_many(given_up(batch));
                for (std::size_t i = 0; i < batch.size(); ++i) gave(batch[i], i < sent);
                break;
            }
            case 6:
            case 7: got(c, ch.rx.recv_timeout(p)); break;
            case 8:
            case 9: got(c, ch.rx.try_recv()); break;
            case 10: got(c, ch.rx.recv_until(std::chrono::system_clock::now() + p)); break;
            case 11: got(c, ch.rx.recv_timeout(p, stop_)); break;
            case 12:
            case 13: {
                std::vector<message> some;
                const std::size_t n = ch.rx.try_recv_many(std::back_inserter(some), 1 + below(20));
                if (n != some.size()) lost("try_recv_many counted wrong");
                for (message& m : some) take(c, m);
                break;
            }
            case 14:
            case 15:
                (void)(sluice::select(sluice::on_recv(ch.rx, [&](message m) { take(c, m); }),
                                      sluice::on_recv(channels_[d].rx, [&](message m) { take(d, m); }),
                                      sluice::on_timeout(p, [] {})));
                break;
            case 16:
            case 17: {
                message m = make(c), n = make(d);
                bool first = false, second = false;
                (void)(sluice::select(sluice::on_send(ch.tx, std::move(m), [&] { first = true; }),
                                      sluice::on_send(channels_[d].tx, std::move(n), [&] { second = true; }),
                                      sluice::on_timeout(p, [] {})));
                gave(m, first);
                gave(n, second);
                break;
            }
            case 18:
            case 19: {
                message m = make(c);
                bool sent = false;
                (void)(sluice::select(
                    sluice::on_recv(channels_[d].rx, [&](sluice::result<message> r) { got(d, r); }),
                    sluice::on_send(ch.tx, std::move(m), [&](const sluice::result<void>& r) { sent = r.has_value(); }),
                    sluice::on_timeout(p, [] {})));
                gave(m, sent);
                break;
            }
            case 20:
                (void)(sluice::select_biased(sluice::on_recv(ch.rx, [&](message m) { take(c, m); }),
                                             sluice::otherwise([] {})));
                break;
            case 21: {
                const sluice::timer t = sluice::after(p);
                (void)(sluice::select(sluice::on_recv(ch.rx, [&](message m) { take(c, m); }),
                                      sluice::on_recv(t, [](steady::time_point) {}), sluice::on_stop(stop_, [] {})));
                break;
            }
            case 22: {
                sluice::selector group;
                for (std::size_t i = 0; i < channels_.size(); ++i) {
                    group.add(sluice::on_recv(channels_[i].rx, [this, i](message m) { take(i, m); }));
                }
                (void)group.wait_timeout(p);
                break;
            }
            case 23: {
                message m = make(c);
                sluice::result<std::optional<message>> forced = ch.tx.force_send(std::move(m));
                gave(m, forced.has_value());
                if (forced && *forced) (*forced)->end(fate::returned);
                break;
            }
            default: {
                // A channel of its own, whose other end another thread drops.
                auto [tx, rx] = sluice::bounded<message>(below(3));
                std::thread other([rx = std::move(rx), patient = p] {
                    if (auto m = rx.recv_timeout(patient)) m->end(fate::received);
                });
                message m = make_private();
                gave(m, tx.send(std::move(m)).has_value());
                tx = {};
                other.join();
            }
        }
    }
};

}  // namespace soak
