// What one thread wrote before it sent or closed, another reads after it received. The writes are plain ones: of a read
// that nothing orders after its write ThreadSanitizer tells, and everywhere the value is compared.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <array>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

constexpr int messages = scaled(2000);

/// A place for each message, and one more: written before it is sent, by its sender alone.
class notes {
public:
    void write(int id) { written_[static_cast<std::size_t>(id)] = id + 1; }
    bool is_written(int id) const { return written_[static_cast<std::size_t>(id)] == id + 1; }

private:
    std::vector<int> written_ = std::vector<int>(messages + 1);
};

enum class way { recv, try_recv, recv_many, iteration, select };

/// Receives all messages in one of these ways; whether each note was there.
bool read_all(const sluice::receiver<int>& rx, const notes& seen, way how) {
    bool right = true;
    const auto check = [&](int id) { right = seen.is_written(id) && right; };
    for (int received = 0; received < messages;) {
        switch (how) {
            case way::recv: check(rx.recv().value()), ++received; break;
            case way::try_recv:
                if (const auto id = rx.try_recv()) {
                    check(*id), ++received;
                } else {
                    std::this_thread::yield();
                }
                break;
            case way::recv_many: {
                std::array<int, 7> ids{};
                const std::size_t count = rx.recv_many(ids.begin(), ids.size());
                for (std::size_t i = 0; i < count; ++i) check(ids[i]);
                received += static_cast<int>(count);
                break;
            }
            case way::iteration:
                for (const int id : rx) {
                    check(id);
                    if (++received == messages) break;
                }
                break;
            case way::select:
                sluice::select(sluice::on_recv(rx, [&](int id) { check(id), ++received; }),
                               sluice::on_timeout(patience, [&] { right = false, received = messages; }));
                break;
        }
    }
    return right;
}

// Writes a note before each message that it sends; whether all were sent.
template <class Send>
bool write_all(notes& written, Send&& send) {
    bool sent = true;
    for (int id = 0; id < messages; ++id) {
        written.write(id);
        sent = send(id) && sent;
    }
    return sent;
}

}  // namespace

TEST_CASE("a send happens before the receive of its message", "[ordering]") {
    const auto which = EACH_KIND();
    const auto how = GENERATE(way::recv, way::try_recv, way::recv_many, way::iteration, way::select);
    CAPTURE(which, static_cast<int>(how));
    auto [tx, rx] = make_channel<int>(which);
    notes written;
    task sending([&, &tx = tx] { return write_all(written, [&](int id) { return tx.send(id).has_value(); }); });
    CHECK(read_all(rx, written, how));
    CHECK(sending.get());
}

TEST_CASE("the send of a select happens before the receive of its message", "[ordering][select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    notes written;
    task sending([&, &tx = tx] {
        return write_all(written, [&](int id) { return sluice::select(sluice::on_send(tx, id)).has_value(); });
    });
    CHECK(read_all(rx, written, way::recv));
    CHECK(sending.get());
}

TEST_CASE("a close, and each drop of a sender, happens before the receive that reports it", "[ordering]") {
    const auto which = EACH_KIND();
    const bool dropped = GENERATE(false, true);
    CAPTURE(which, dropped);
    for (int round = 0; round < scaled(200); ++round) {
        auto [tx, rx] = make_channel<int>(which);
        notes written;
        const auto leave = [&](sluice::sender<int> own, int id) {
            written.write(id);
            if (dropped) {
                own = {};
            } else {
                own.close();
            }
            return true;
        };
        task one([&, own = tx]() mutable { return leave(std::move(own), 0); });
        std::optional<task<bool>> two;
        if (dropped) two.emplace([&, own = std::move(tx)]() mutable { return leave(std::move(own), 1); });
        CHECK(error_in(rx.recv()) == errc::closed);
        CHECK(written.is_written(0));
        if (two) CHECK(written.is_written(1));
    }
}

TEST_CASE("on a rendezvous the receive happens before its send returns", "[ordering]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    notes written;
    task receiving([&, &rx = rx] {
        bool right = true;
        for (int id = 0; id < messages; ++id) {
            written.write(id);
            right = rx.recv() == id && right;
        }
        return right;
    });
    bool right = true;
    for (int id = 0; id < messages; ++id) {
        right = tx.send(id).has_value() && written.is_written(id) && right;
    }
    CHECK(right);
    CHECK(receiving.get());
}
