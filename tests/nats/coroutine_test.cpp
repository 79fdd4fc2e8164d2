// Coroutines on remote ends: they wait for NATS as for any channel.
#include "support.hpp"

#include <sluice/async.hpp>

namespace {

using namespace test;

server& shared_server() {
    static server one;
    return one;
}

sluice::task<int> sum_of(sluice::receiver<int> rx, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        const auto m = co_await rx.async_recv();
        if (!m) co_return -1;
        sum += *m;
    }
    co_return sum;
}
sluice::task<bool> send_all(sluice::sender<int> tx, int count) {
    for (int i = 1; i <= count; ++i) {
        if (!co_await tx.async_send(i)) co_return false;
    }
    co_return true;
}
sluice::task<int> acknowledge(sluice::receiver<nats::delivery<int>> rx, int count) {
    int sum = 0;
    for (int i = 0; i < count; ++i) {
        auto d = co_await rx.async_recv();
        if (!d || !d->ack()) co_return -1;
        sum += **d;
    }
    co_return sum;
}
sluice::task<sluice::errc> outcome_of(sluice::receiver<int> rx) { co_return (co_await rx.async_recv()).error(); }

}  // namespace

TEST_CASE("coroutines send to a subject, and receive from it") {
    const auto bus = connect(shared_server());
    const auto rx = bus.receiver<int>("co.numbers");
    const auto tx = bus.sender<int>("co.numbers", {.capacity = 4});
    const int count = 1000;
    task sends([&] { return sluice::sync_wait(send_all(tx, count)); });
    CHECK(sluice::sync_wait(sum_of(rx, count)) == count * (count + 1) / 2);
    CHECK(sends.get());
}

TEST_CASE("a coroutine that waits for a remote end is told that it has closed") {
    const auto bus = connect(shared_server());
    const auto rx = bus.receiver<int>("co.closing");
    task waits([&] { return sluice::sync_wait(outcome_of(rx)); });
    REQUIRE(wait_until_asleep(waits));
    rx.close();
    CHECK(waits.get() == sluice::errc::closed);
}

TEST_CASE("a coroutine acknowledges the deliveries of a stream") {
    const auto bus = connect(shared_server());
    const auto stream = bus.stream("CO", {.subjects = {"co.stream"}, .in_memory = true});
    const auto rx = stream.receiver<int>({.durable = "w"});
    const auto tx = stream.sender<int>("co.stream");
    const int count = 100;
    task receives([&] { return sluice::sync_wait(acknowledge(rx, count)); });
    CHECK(sluice::sync_wait(send_all(tx, count)));
    CHECK(receives.get() == count * (count + 1) / 2);
}
