// What a co_await may contain with g++ before 13, which destroys some temporaries there twice: it is destroyed once.
#include "catch.hpp"

#include <sluice/async.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using counted = std::shared_ptr<int>;  // an end too many is a use after the end, and shows in the count

// Sends after some turns of the loop.
sluice::task<> send_later(sluice::sender<counted> tx, counted message, int turns) {
    for (; turns > 0; --turns) co_await sluice::yield();
    (void)co_await tx.async_send(std::move(message));
}

}  // namespace

TEST_CASE("awaited handlers: one that is named before is destroyed once", "[async]") {
    const auto shared = std::make_shared<int>(0);
    const int turns = GENERATE(0, 3);  // does not suspend, and does
    const auto test = [](counted owned, int later) -> sluice::task<> {
        sluice::task_group group(co_await sluice::this_executor());
        for (int n = 0; n < 3; ++n) {
            auto [tx, rx] = sluice::bounded<counted>(1);
            auto message = std::make_shared<int>(n);
            group.spawn(send_later(tx, message, later));
            if (later == 0) co_await sluice::yield();
            const auto handler = [owned](const counted& got) { *owned += 1 + *got; };
            const auto on_time = [owned] { *owned = -1000; };
            const auto before = owned.use_count();
            const auto chosen = n % 2 == 0 ? co_await sluice::async_select(sluice::on_recv(rx, handler),
                                                                           sluice::on_timeout(1h, on_time))
                                           : co_await sluice::async_select_biased(sluice::on_recv(rx, handler),
                                                                                  sluice::on_timeout(1h, on_time));
            CHECK(chosen == 0u);
            CHECK(owned.use_count() == before);
            co_await group.join();
            CHECK(message.use_count() == 1);
        }
    };
    sluice::sync_wait(test(shared, turns));
    CHECK(*shared == 1 + 2 + 3);
    CHECK(shared.use_count() == 1);
}

TEST_CASE("awaited handlers: what is received into a variable is destroyed once", "[async]") {
    const int turns = GENERATE(0, 3);
    const auto test = [](int later) -> sluice::task<> {
        sluice::task_group group(co_await sluice::this_executor());
        auto [tx, rx] = sluice::bounded<counted>(1);
        const auto message = std::make_shared<int>(1);
        std::optional<counted> into;
        sluice::result<counted> as_result;
        for (int n = 0; n < 4; ++n) {
            group.spawn(send_later(tx, message, later));
            if (later == 0) co_await sluice::yield();
            if (n % 2 == 0) {
                const auto chosen = co_await sluice::async_select(sluice::on_recv(rx, into), sluice::on_closed(rx));
                CHECK(chosen == 0u);
            } else {
                const auto chosen = co_await sluice::async_select_biased(sluice::on_recv(rx, as_result));
                CHECK(chosen == 0u);
            }
            co_await group.join();
            CHECK(message.use_count() == (n == 0 ? 2 : 3));
        }
    };
    sluice::sync_wait(test(turns));
}

TEST_CASE("awaited handlers: a lambda that captures by reference may be written in the co_await", "[async]") {
    const auto test = []() -> sluice::task<> {
        auto [tx, rx] = sluice::bounded<std::string>(1);
        const std::string text(100, 'x');
        std::string got;
        // Temporaries that a function returns, messages and handles, are destroyed once too.
        const auto sent = co_await sluice::async_select(sluice::on_send(sluice::sender(tx), std::string(text)));
        CHECK(sent == 0u);
        const auto received =
            co_await sluice::async_select(sluice::on_recv(sluice::receiver(rx), [&](std::string s) { got = s; }));
        CHECK(received == 0u);
        CHECK(got == text);
        CHECK(tx.sender_count() == 1);
        CHECK(rx.receiver_count() == 1);
        const auto again = co_await tx.async_send(std::string(text));
        CHECK(again.has_value());
        const auto last = co_await rx.async_recv();
        CHECK(last == text);
    };
    sluice::sync_wait(test());
}
