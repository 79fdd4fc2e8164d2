// Weak handles: lock() against the drop of the last handle, and who frees the channel.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace model {

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 2, .ticks = 0};

    add("weak/sender-lock-or-drop", "lock() and the drop of the last sender are one or the other.", limits, [] {
        auto [tx, rx] = sluice::bounded<number>(1);
        const auto weak = tx.downgrade();
        thread dropping([mine = std::move(tx)]() mutable { mine = {}; });
        thread locking([weak, &rx = rx] {
            if (const auto mine = weak.lock()) {
                expect(!rx.is_closed() && mine.try_send(number(1)).has_value(),
                       "a sender does not keep its channel open");
                expect(static_cast<bool>(weak.lock()), "a sender is there and not found");
            } else {
                expect(!weak.lock(), "a sender is there again");
            }
        });
        while (rx.recv()) {
        }
        expect(!weak.lock(), "a sender is there though the channel has closed");
    });
    add("weak/receiver-lock-or-drop", "lock() and the drop of the last receiver are one or the other.", limits, [] {
        auto [tx, rx] = sluice::bounded<number>(1);
        expect(tx.try_send(number(1)).has_value(), "a send failed");
        const auto weak = rx.downgrade();
        {
            thread dropping([mine = std::move(rx)]() mutable { mine = {}; });
            thread locking([weak, &tx = tx] {
                if (const auto mine = weak.lock()) {
                    const auto m = mine.try_recv();
                    expect(!tx.is_closed() && m && m->id() == 1, "a receiver does not keep its messages");
                } else {
                    expect(!weak.lock(), "a receiver is there again");
                }
            });
        }
        expect(tx.is_closed() && !weak.lock(), "a channel without receivers is open");
    });
    // The short cut of the only handle must not be taken where a weak one was made in another thread, locked, and has
    // gone again.
    add("weak/short-cut", "A handle that is the only one to be seen is not taken for the last while others are made.",
        limits, [] {
            auto [tx, rx] = sluice::bounded<number>(1);
            sluice::sender<number> again;
            {
                thread a([mine = tx]() mutable { mine = {}; });
                thread b([mine = std::move(tx), &again]() mutable {
                    const auto weak = mine.downgrade();
                    mine = {};
                    again = weak.lock();
                });
            }
            expect(rx.is_closed() == !again, "a channel is closed that has a sender, or open without one");
            if (again) expect(again.try_send(number(1)).has_value(), "a sender does not keep its channel open");
        });
    add("weak/last-of-all", "The channel is freed once, by the last handle of whatever kind.", limits, [] {
        auto [tx, rx] = sluice::bounded<number>(1);
        expect(tx.try_send(number(1)).has_value(), "a send failed");
        thread a([mine = std::move(tx)]() mutable {
            const auto weak = mine.downgrade();
            mine = {};
        });
        thread b([weak = rx.downgrade()] { (void)weak.lock(); });
        thread c([mine = std::move(rx)]() mutable { mine = {}; });
    });
    add("weak/downgrade-while-drop", "A weak handle that is made while other senders go holds on to the channel.",
        limits, [] {
            auto [tx, rx] = sluice::bounded<number>(1);
            thread a([mine = tx]() mutable { mine = {}; });
            thread b([mine = std::move(tx)]() mutable {
                const auto weak = mine.downgrade();
                mine = {};
                if (const auto locked = weak.lock()) (void)locked.try_send(number(1));
            });
            rx = {};
        });
    return true;
}();

}  // namespace model
