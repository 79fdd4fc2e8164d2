// Closing with a cause: whoever finds the channel closed is told why.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace model {

namespace {

// What the cause is known by; its end must not come under a lock.
struct reason {
    explicit reason(int n) : number(n) {}
    reason(const reason&) = default;
    ~reason() { expect_unlocked("a cause is destroyed"); }
    int number;
};
std::exception_ptr because(int number) { return std::make_exception_ptr(reason(number)); }
int number_in(const std::exception_ptr& cause) {
    if (!cause) return 0;
    try {
        std::rethrow_exception(cause);
    } catch (const reason& r) {
        return r.number;
    }
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 2, .ticks = 0};
    constexpr budgets timed{.preemptions = 2, .stale_reads = 0, .ticks = 1};

    for (const std::size_t capacity : {0u, 1u}) {
        const std::string kind = capacity == 0 ? "rendezvous" : "one";
        add("cause/recv-" + kind, "A receive that reports closed sees the cause.", limits, [capacity] {
            auto [tx, rx] = sluice::bounded<number>(capacity);
            thread closing([mine = std::move(tx)]() mutable {
                expect(mine.close(because(1)), "the first closing was not the first");
                mine = {};
            });
            expect(!rx.recv().has_value(), "a message that nobody sent");
            expect(number_in(rx.close_cause()) == 1, "a receive reports closed and there is no cause");
        });
        add("cause/send-" + kind, "A send that reports closed sees the cause.", limits, [capacity] {
            auto [tx, rx] = sluice::bounded<number>(capacity);
            thread closing([&rx = rx] { rx.close(because(1)); });
            while (tx.send(number(1))) {
            }
            expect(number_in(tx.close_cause()) == 1, "a send reports closed and there is no cause");
        });
        add("cause/select-" + kind, "A select that hears of the closing sees the cause.", timed, [capacity] {
            auto [tx, rx] = sluice::bounded<number>(capacity);
            thread closing([&tx = tx] { tx.close(because(1)); });
            const auto told = [&, &rx = rx](const sluice::result<number>& r) {
                expect(!r && number_in(rx.close_cause()) == 1, "a handler hears of the closing and there is no cause");
            };
            (void)sluice::select(sluice::on_recv(rx, told), sluice::on_timeout(clock::tick, [] {}));
        });
    }
    add("cause/observers", "is_closed() and the cause agree, whoever looks when.", limits, [] {
        auto [tx, rx] = sluice::bounded<number>(1);
        thread closing([&tx = tx] { tx.close(because(1)); });
        thread looking([&rx = rx] {
            const int before = number_in(rx.close_cause());
            const bool closed = rx.is_closed();
            const int after = number_in(rx.close_cause());
            expect(before == 0 || closed, "there is a cause before the closing");
            expect(after == 1 || !closed, "a channel is closed and there is no cause");
        });
    });
    add("cause/first", "Of two that close at once one is the first, and the cause is its own.", limits, [] {
        auto [tx, rx] = sluice::bounded<number>(1);
        bool first[3] = {};
        {
            thread a([&, &tx = tx] { first[1] = tx.close(because(1)); });
            thread b([&, &rx = rx] { first[2] = rx.close(because(2)); });
        }
        expect(first[1] != first[2], "two closings were the first, or none");
        expect(number_in(rx.close_cause()) == (first[1] ? 1 : 2), "the cause is that of another closing");
    });
    add("cause/drop", "A drop that closes the channel leaves no cause; the cause goes with the last handle.", limits,
        [] {
            auto [tx, rx] = sluice::bounded<number>(1);
            thread closing([mine = rx]() mutable {
                const bool first = mine.close(because(1));
                expect(number_in(mine.close_cause()) == (first ? 1 : 0), "the cause is that of another closing");
                mine = {};
            });
            thread dropping([mine = std::move(tx)]() mutable { mine = {}; });
            rx = {};
        });
    return true;
}();

}  // namespace model
