// Pollables: the descriptor alone says when to look, and nothing is missed; a pollable goes while it is told.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <sluice/pollable.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using M = steady;
using descriptor = sluice::detail::event_signal<sluice::detail::owned_fd>;
using receiving_end = sluice::pollable<M>;
using group_end = sluice::pollable<sluice::selector>;

// How a loop is told.
enum class loop_kind { level, edge };

// Receives until the channel has closed, and returns how many messages there were. A level is told again after each
// message; an edge is not, so that the loop goes on until there is nothing.
int receive_all(const receiving_end& in, loop_kind kind) {
    descriptor& fd = descriptor::of(in.fd());
    int got = 0, seen = 0;
    for (;;) {
        kind == loop_kind::level ? fd.wait() : fd.wait_for_edge(seen);
        do {
            const auto message = in.try_recv();
            if (message) ++got;
            if (!message && message.error() == sluice::errc::closed) {
                fd.wait();  // it is readable for good, if not at once: another thread may just have looked
                return got;
            }
            if (!message) break;
        } while (kind == loop_kind::edge);
    }
}
// The same with the cases of a group, until none is left; returns how many ran.
int run_all(group_end& any, loop_kind kind) {
    descriptor& fd = descriptor::of(any.fd());
    int ran = 0, seen = 0;
    for (;;) {
        kind == loop_kind::level ? fd.wait() : fd.wait_for_edge(seen);
        do {
            const auto one = any.try_wait();
            if (one) ++ran;
            if (!one && one.error() == sluice::errc::closed) return ran;
            if (!one) break;
        } while (kind == loop_kind::edge);
    }
}

sluice::channel<M> made(std::optional<std::size_t> capacity) {
    return capacity ? sluice::bounded<M>(*capacity) : sluice::unbounded<M>();
}
void send_all(sluice::sender<M> tx, int first, int count) {
    for (int i = 0; i < count; ++i) expect(tx.send(M(first + i)).has_value(), "a send fails though somebody receives");
}
constexpr auto ignore = [](const M&) {};

template <class Body>
void add_program(const std::string& name, const std::string& property, budgets limits, Body body) {
    add("pollable/" + name, property, limits, [body] {
        descriptor::forget_all();
        body();
    });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets two{.preemptions = 3, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets three{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 1};
    const std::string told = "A loop that looks when its descriptor is readable, and only then, gets everything.";
    const std::string gone = "A pollable goes at any time, and nobody touches its descriptor after that.";

    for (const auto& [kind, capacity] : {std::pair<std::string, std::optional<std::size_t>>{"unbounded", std::nullopt},
                                         {"one", 1},
                                         {"rendezvous", 0}}) {
        for (const loop_kind how : {loop_kind::level, loop_kind::edge}) {
            const std::string name = kind + (how == loop_kind::level ? "/level" : "/edge");
            add_program(name + "/sender", told, two, [capacity, how] {
                auto [tx, rx] = made(capacity);
                const receiving_end in(std::move(rx));
                thread a([mine = std::move(tx)]() mutable { send_all(std::move(mine), 1, 2); });
                expect(receive_all(in, how) == 2, "a message is lost");
            });
            add_program(name + "/two-senders", told, three, [capacity, how] {
                auto [tx, rx] = made(capacity);
                const receiving_end in(std::move(rx));
                thread a([mine = tx]() mutable { send_all(std::move(mine), 1, 1); });
                thread b([mine = std::move(tx)]() mutable { send_all(std::move(mine), 2, 1); });
                expect(receive_all(in, how) == 2, "a message is lost");
            });
            add_program(name + "/two-pollables", told, three, [capacity, how] {
                auto [tx, rx] = made(capacity);
                int first = 0;
                const receiving_end in(rx), other(std::move(rx));
                std::optional<thread> a(std::in_place, [&] { first = receive_all(in, how); });
                thread b([mine = std::move(tx)]() mutable { send_all(std::move(mine), 1, 2); });
                const int second = receive_all(other, how);
                a.reset();
                expect(first + second == 2, "a message is lost, or received twice");
            });
            add_program(name + "/group", told, two, [capacity, how] {
                auto a = made(capacity), b = made(capacity);
                sluice::selector group;
                group_end any(group);
                group.add(sluice::on_recv(std::exchange(a.rx, {}), ignore));
                thread x([mine = std::move(a.tx)]() mutable { send_all(std::move(mine), 1, 1); });
                // Its case comes when the other has been looked at.
                thread y([mine = std::move(b.tx)]() mutable { send_all(std::move(mine), 2, 1); });
                int ran = any.try_wait() ? 1 : 0;
                group.add(sluice::on_recv(std::exchange(b.rx, {}), ignore));
                ran += any.try_wait() ? 1 : 0;
                group.add(sluice::on_recv(sluice::receiver<M>(), ignore));
                ran += run_all(any, how);
                expect(ran == 2, "a message is lost");
            });
        }
        const std::string name = kind;
        add_program(name + "/added", told, two, [capacity] {
            auto quiet = made(capacity), ready = made(capacity);
            sluice::selector group;
            group.add(sluice::on_recv(quiet.rx, ignore));
            group_end any(group);
            (void)any.try_wait();
            thread a([mine = std::move(ready.tx)]() mutable { (void)mine.send(M(1)); });
            group.add(sluice::on_recv(ready.rx, ignore));
            do {
                descriptor::of(any.fd()).wait();
            } while (!any.try_wait());
        });
        add_program(name + "/receiver-beside", told, three, [capacity] {
            auto [tx, rx] = made(capacity);
            int received = 0;
            const receiving_end in(rx);
            std::optional<thread> a(std::in_place, [&received, mine = std::move(rx)] {
                if (mine.try_recv()) ++received;
            });
            thread b([mine = std::move(tx)]() mutable { send_all(std::move(mine), 1, 2); });
            const int got = receive_all(in, loop_kind::level);
            a.reset();
            expect(got + received == 2, "a message is lost");
        });
        add_program(name + "/shared", told, three, [capacity] {
            auto [tx, rx] = made(capacity);
            int first = 0;
            const receiving_end in(std::move(rx));
            std::optional<thread> a(std::in_place, [&] { first = receive_all(in, loop_kind::level); });
            thread b([mine = std::move(tx)]() mutable { send_all(std::move(mine), 1, 2); });
            const int second = receive_all(in, loop_kind::level);
            a.reset();
            expect(first + second == 2, "a message is lost");
        });
        add_program(name + "/gone", gone, two, [capacity] {
            auto [tx, rx] = made(capacity);
            const auto kept = rx;
            std::optional<thread> a(std::in_place, [mine = tx]() mutable { (void)mine.send(M(1)); });
            {
                receiving_end in(std::move(rx));
                (void)in.try_recv();
                const receiving_end moved(std::move(in));
                (void)moved.try_recv();
            }
            kept.close();
        });
        add_program(name + "/group-gone", gone, two, [capacity] {
            auto [tx, rx] = made(capacity);
            thread a([mine = tx]() mutable { (void)mine.send(M(1)); });
            sluice::selector group;
            group.add(sluice::on_recv(rx, ignore));
            {
                group_end any(group);
                (void)any.try_wait();
            }
            rx.close();
        });
        add_program(name + "/selector-gone", gone, two, [capacity] {
            auto [tx, rx] = made(capacity);
            std::optional<sluice::selector> group(std::in_place);
            group->add(sluice::on_recv(rx, ignore));
            thread a([mine = tx]() mutable { (void)mine.send(M(1)); });
            group_end any(*group);
            (void)any.try_wait();
            group.reset();
            descriptor::of(any.fd()).wait();
            expect(any.try_wait().error() == sluice::errc::closed, "a group that is gone still has cases");
            rx.close();
        });
        add_program(name + "/room", told, two, [capacity] {
            auto [tx, rx] = made(capacity);
            thread a([mine = std::move(rx)] {
                for (int i = 0; i < 2; ++i) expect(mine.recv().has_value(), "a message is lost");
            });
            sluice::selector group;
            group_end any(group);
            group.add(sluice::on_send(tx, M(1)));
            group.add(sluice::on_send(std::exchange(tx, {}), M(2)));
            expect(run_all(any, loop_kind::level) == 2, "a message is not sent");
        });
        add_program(name + "/wait-beside", told, two, [capacity] {
            auto [tx, rx] = made(capacity);
            thread a([mine = std::move(tx)]() mutable { send_all(std::move(mine), 1, 2); });
            sluice::selector group;
            group.add(sluice::on_recv(std::move(rx), ignore));
            group_end any(group);
            int ran = any.try_wait() ? 1 : 0;
            ran += group.wait() ? 1 : 0;
            ran += run_all(any, loop_kind::level);
            expect(ran == 2, "a message is lost");
        });
        add_program(name + "/wait-meets", told, two, [capacity] {
            auto [tx, rx] = made(capacity);
            sluice::selector receives, sends;
            receives.add(sluice::on_recv(std::move(rx), ignore));
            sends.add(sluice::on_send(std::exchange(tx, {}), M(1)));
            group_end in(receives);
            thread a([&sends] {
                group_end out(sends);
                expect(run_all(out, loop_kind::level) == 1, "a message is not sent");
            });
            expect(receives.wait().has_value(), "a message is not received");
            run_all(in, loop_kind::level);
        });
        add_program(name + "/removed", told, two, [capacity] {
            auto [tx, rx] = made(capacity);
            thread a([mine = tx]() mutable { (void)mine.send(M(1)); });
            sluice::selector group;
            const auto id = group.add(sluice::on_recv(rx, ignore));
            group_end any(group);
            (void)any.try_wait();
            group.remove(id);
            run_all(any, loop_kind::level);
            rx.close();
        });
    }
    add_program("stop", "A stop makes the descriptor readable for a case that waits for it.", two, [] {
        auto [tx, rx] = sluice::unbounded<M>();
        stop_source stop;
        thread a([&] { stop.request_stop(); });
        sluice::selector group;
        group.add(sluice::on_recv(rx, ignore));
        group_end any(group);
        const bool late = choose_below(2) == 0;
        if (late) (void)any.try_wait();
        std::optional<std::size_t> id = group.add(sluice::on_stop(stop.get_token()));
        for (;;) {
            descriptor::of(any.fd()).wait();
            const auto ran = any.try_wait();
            if (ran && *ran == *id) break;
        }
    });
    add_program("message-and-stop", "So it does where it comes as the descriptor is lowered after something else.", two,
                [] {
                    auto [tx, rx] = sluice::unbounded<M>();
                    stop_source stop;
                    sluice::selector group;
                    group.add(sluice::on_recv(rx, ignore));
                    const auto id = group.add(sluice::on_stop(stop.get_token()));
                    group_end any(group);
                    thread a([&, &tx = tx] {
                        send_all(tx, 1, 1);
                        stop.request_stop();
                    });
                    for (;;) {
                        descriptor::of(any.fd()).wait();
                        const auto ran = any.try_wait();
                        if (ran && *ran == id) break;
                    }
                });
    add_program("nothing-to-wait-for",
                "A group that can wait for nothing has a readable descriptor from the beginning.", two, [] {
                    sluice::selector group;
                    if (choose_below(2) == 1) group.add(sluice::on_stop(stop_token()));
                    group_end any(group);
                    descriptor::of(any.fd()).wait();
                    const auto ran = any.try_wait();
                    expect(!ran && ran.error() == sluice::errc::closed, "a group waits for nothing");
                });
    return true;
}();

}  // namespace model
