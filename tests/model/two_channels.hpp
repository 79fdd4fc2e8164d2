// Two channels of the same kind, and threads that do something to them at once.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include <model/models.hpp>
#include <model/operations.hpp>

namespace model {

template <class M>
struct two_channels {
    explicit two_channels(std::optional<std::size_t> capacity) : a(capacity), b(capacity) {}
    probe<M> a, b;

    // A thread that still waits waits for what cannot come, and is released.
    void finish() {
        wait_until_quiet();
        history.check_quiet({a.ends.rx.size(), b.ends.rx.size()});
        for (probe<M>* p : {&a, &b}) close(p->ends.tx, p->number);
    }
    void drain() {
        for (probe<M>* p : {&a, &b}) {
            while (try_recv(p->ends.rx, p->number) == sluice::errc{}) {
            }
        }
    }
};

// ---- Selects of a thread

template <class M>
void receive_either(probe<M>& first, probe<M>& second) {
    operation op("select(recv, recv)");
    chose(op, sluice::select(receiving(op, first.ends.rx, first.number), receiving(op, second.ends.rx, second.number)));
}
template <class M>
void send_either(probe<M>& first, probe<M>& second, int id) {
    operation op("select(send, send)");
    M m(id), n(id + 1);
    chose(op,
          sluice::select(sending(op, first.ends.tx, first.number, m), sending(op, second.ends.tx, second.number, n)));
}
template <class M>
void receive_or_send(probe<M>& from, probe<M>& to, int id) {
    operation op("select(recv, send)");
    M m(id);
    chose(op, sluice::select(receiving(op, from.ends.rx, from.number), sending(op, to.ends.tx, to.number, m)));
}

// Each in a thread of its own.
template <class Fixture>
void run_at_once(Fixture& t, const std::vector<std::function<void(Fixture&)>>& actions) {
    {
        std::vector<std::unique_ptr<thread>> threads;
        for (const auto& act : actions) threads.push_back(std::make_unique<thread>([&t, &act] { act(t); }));
        t.finish();
    }
    t.drain();
}

}  // namespace model
