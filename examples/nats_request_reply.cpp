// Several services share the queries to one subject of a NATS server, and each query is answered by one of them; where
// nobody serves, who asks hears so at once.
#include "args.hpp"
#include "checked.hpp"
#include "nats_server.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

struct query {
    std::uint64_t a, b;
};

int main(int argc, char** argv) {
    example::args args(argc, argv, "Services over a NATS server of this program's own add numbers.");
    const auto services = args.number("services", 3, "threads that serve", 1, 50);
    const auto count = args.number("requests", 1000, "in all");
    args.finish();

    const example::nats_server server;
    const sluice::nats::connection bus(server.url(), {.connect_timeout = 10s, .retry_first_connect = true});
    const auto nobody = bus.receiver<int>("ready");  // returns when there is a server
    const bool alone =
        bus.request<std::uint64_t>("add", query{1, 2}, 10s).error_or(sluice::errc::empty) == sluice::errc::closed;

    std::atomic<std::uint64_t> answered{0}, wrong{0};
    {
        std::vector<sluice::receiver<sluice::nats::call<query, std::uint64_t>>> calls;
        std::vector<std::jthread> serving;
        for (std::uint64_t s = 0; s < services; ++s) {
            calls.push_back(bus.service<query, std::uint64_t>("add", {.queue = "adders"}));
            serving.emplace_back([mine = calls.back(), &answered] {
                for (auto& c : mine) {
                    if (c.reply(c.request().a + c.request().b)) ++answered;
                }
            });
        }
        for (std::uint64_t i = 0; i < count; ++i) {
            if (bus.request<std::uint64_t>("add", query{i, i}, 10s) != 2 * i) ++wrong;
        }
        for (const auto& c : calls) c.close();
    }
    std::printf("%llu requests, %llu answers\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(answered.load()));
    return example::checked(alone && wrong == 0 && answered == count,
                            "each request got its own answer, from one service, and none where nobody served");
}
