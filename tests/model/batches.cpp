// recv_batch: whoever hands over a message puts the receiver back in line; stops, deadlines and closings come between.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <array>
#include <cstddef>
#include <optional>

namespace model {

namespace {

constexpr std::size_t most = 3;

// A batch, and what follows it: each message once, and those of one sender in order.
template <class M>
struct received {
    template <class... Stop>
    std::size_t take(const sluice::receiver<M>& rx, std::size_t limit, clock::duration linger, const Stop&... stop) {
        std::array<std::optional<M>, most> got;
        const std::size_t n = rx.recv_batch(got.begin(), limit, linger, stop...);
        expect(n <= limit, "a batch is larger than its limit");
        for (std::size_t i = 0; i < n; ++i) add(got[i]->id());
        for (std::size_t i = n; i < most; ++i) expect(!got[i], "a batch does not count a message");
        return n;
    }
    void drain(const sluice::receiver<M>& rx) {
        while (auto m = rx.try_recv()) add(m->id());
    }
    void add(int id) {
        expect(count < ids.size(), "a message is received twice");
        for (std::size_t i = 0; i < count; ++i) expect(ids[i] < id, "messages are out of order, or received twice");
        ids[count++] = id;
    }
    std::array<int, most> ids{};
    std::size_t count = 0;
};

template <class M>
sluice::channel<M> make(std::optional<std::size_t> capacity) {
    return capacity ? sluice::bounded<M>(*capacity) : sluice::unbounded<M>();
}

template <class M>
void add_batches_of(const std::string& kind, std::optional<std::size_t> capacity) {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 1, .detours = 2};
    constexpr budgets fewer{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr auto for_ever = clock::duration::max();
    const auto send_from = [](const sluice::sender<M>& tx, int first, int last) {
        int sent = 0;
        for (int id = first; id < last; ++id) sent += tx.send(M(id)).has_value() ? 1 : 0;
        return sent;
    };

    add("batch/" + kind + "/full", "A batch that lingers for ever ends when it has its messages.", limits, [=] {
        auto [tx, rx] = make<M>(capacity);
        received<M> all;
        thread a([&, &rx = rx] { expect(all.take(rx, 2, for_ever) == 2, "a batch is not full"); });
        expect(send_from(tx, 0, 2) == 2, "a send fails");
    });

    if (capacity != std::size_t{0}) {
        add("batch/" + kind + "/patient", "A batch that waits a little for more to gather loses nothing by it.", fewer,
            [=] {
                several_cpus = true;
                auto [tx, rx] = make<M>(capacity);
                // A receiver tries whether it helps at every 32nd message.
                for (int i = 0; i < 31; ++i) {
                    expect(tx.try_send(M(0)) && rx.try_recv(), "a message does not pass");
                }
                received<M> all;
                thread a([&, &rx = rx] { expect(all.take(rx, most, for_ever) == most, "a batch is not full"); });
                expect(send_from(tx, 0, int{most}) == int{most}, "a send fails");
            });
    }

    add("batch/" + kind + "/close", "A batch that lingers for ever ends with the channel, after its messages.", limits,
        [=] {
            auto [tx, rx] = make<M>(capacity);
            received<M> all;
            int sent = 0;
            thread a([&, &rx = rx] {
                all.take(rx, most, for_ever);
                all.drain(rx);
            });
            thread b([&, &tx = tx] { sent = send_from(tx, 0, 2); });
            tx.close();
            a.join();
            b.join();
            expect(static_cast<int>(all.count) == sent, "a message is lost, or made up");
        });

    add("batch/" + kind + "/stop", "A stop ends a batch, and what it does not take stays in the channel.", limits, [=] {
        auto [tx, rx] = make<M>(capacity);
        stop_source stop;
        received<M> all;
        int sent = 0;
        thread a([&, &rx = rx] { all.take(rx, 2, for_ever, stop.get_token()); });
        thread b([&, &tx = tx] { sent = tx.send(M(0), stop.get_token()) ? 1 : 0; });
        stop.request_stop();
        a.join();
        b.join();
        all.drain(rx);
        expect(static_cast<int>(all.count) == sent, "a message is lost, or made up");
    });

    add("batch/" + kind + "/linger", "A deadline ends a batch, and what it does not take stays in the channel.", limits,
        [=] {
            auto [tx, rx] = make<M>(capacity);
            received<M> all;
            int sent = 0;
            thread a(
                [&, &rx = rx] { expect(all.take(rx, most, clock::tick) > 0, "an open channel gives an empty batch"); });
            thread b([&, &tx = tx] {
                sent = send_from(tx, 0, 1);
                sent += tx.send_timeout(M(1), clock::tick) ? 1 : 0;
            });
            a.join();
            b.join();
            all.drain(rx);
            expect(static_cast<int>(all.count) == sent, "a message is lost, or made up");
        });

    add("batch/" + kind + "/shared", "Another receiver and a select that sends share the channel with a batch.", fewer,
        [=] {
            auto [tx, rx] = make<M>(capacity);
            received<M> all, other;
            int sent = 0;
            thread a([&, &rx = rx] {
                while (all.take(rx, 2, for_ever) > 0) {
                }
            });
            thread b([&, &rx = rx] {
                if (auto m = rx.recv()) other.add(m->id());
            });
            thread c([&, &tx = tx] { sluice::select(sluice::on_send(tx, M(0), [&] { ++sent; })); });
            c.join();
            sent += send_from(tx, 1, 2);
            tx.close();
            a.join();
            b.join();
            expect(static_cast<int>(all.count + other.count) == sent, "a message is lost, or made up");
        });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    add_batches_of<steady>("rendezvous", 0);
    add_batches_of<steady>("one", 1);
    add_batches_of<small>("small-rendezvous", 0);
    add_batches_of<steady>("unbounded", std::nullopt);
    add_batches_of<number>("one-by-one", 1);  // a message whose move may throw: nothing is taken in advance
    return true;
}();

}  // namespace model
