// Every wait can be limited: by a duration, by a deadline, or by a stop token; and a send that gave up keeps its
// message.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>

using clock_type = std::chrono::steady_clock;
using message = std::unique_ptr<std::string>;

void report(const char* what, sluice::errc error, clock_type::time_point start) {
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(clock_type::now() - start).count();
    std::printf("%s: %s, after %lld ms\n", what, make_error_code(error).message().c_str(),
                static_cast<long long>(took));
}

bool late_send(std::chrono::milliseconds patience) {
    auto [tx, rx] = sluice::bounded<message>(1);
    auto second = std::make_unique<std::string>("the second");
    const auto start = clock_type::now();
    if (!tx.send(std::make_unique<std::string>("the first"))) return false;
    const auto sent = tx.send_timeout(std::move(second), patience);
    if (sent || !second) return false;
    report("send_timeout", sent.error(), start);
    const auto first = rx.recv();  // makes room
    const bool sent_later = tx.send(std::move(second)).has_value();
    const auto later = rx.recv();
    std::printf("received %s, and later %s\n", (*first)->c_str(), (*later)->c_str());
    return sent_later && sent.error() == sluice::errc::timeout;
}

bool limited_receives(std::chrono::milliseconds patience) {
    auto [tx, rx] = sluice::bounded<int>(1);
    auto start = clock_type::now();
    const auto timed = rx.recv_timeout(patience);
    report("recv_timeout", timed.error(), start);
    bool right = timed.error() == sluice::errc::timeout && clock_type::now() - start >= patience;

    start = clock_type::now();
    const auto deadline = start + patience;  // one deadline for both calls together
    const auto once = rx.recv_until(deadline);
    const auto again = rx.recv_until(deadline);
    report("recv_until, twice", again.error(), start);
    right = right && once.error() == sluice::errc::timeout && again.error() == sluice::errc::timeout;

    const auto none = rx.try_recv();
    report("try_recv", none.error(), clock_type::now());
    return right && none.error() == sluice::errc::empty;
}

bool stopped_receive() {
    auto [tx, rx] = sluice::bounded<int>(1);
    auto [outcome_tx, outcome] = sluice::bounded<sluice::errc>(1);
    std::jthread blocked([in = rx, out = outcome_tx](std::stop_token stop) {
        const auto nothing = in.recv(stop);  // no message will ever come
        (void)out.send(nothing.error());
    });
    const auto start = clock_type::now();
    blocked.request_stop();
    const auto error = outcome.recv();
    report("recv with a stop token", *error, start);
    return *error == sluice::errc::stopped;
}

int main(int argc, char** argv) {
    example::args args(argc, argv,
                       "Sends and receives that give up: after a time, at a deadline, or when told to stop.");
    const auto patience = args.delay("patience", 10, "how long a call waits");
    args.finish();

    const bool sends = late_send(patience);
    const bool receives = limited_receives(patience);
    const bool stops = stopped_receive();
    return example::checked(sends && receives && stops, "every wait ended for the right reason, no message was lost");
}
