// Channels whose counters pass 2^31, 2^32, 2^63 or 2^64 while they are used. Without a test framework, so that programs
// of another word size use this too: what is not as it should be is thrown.
#pragma once

#include "payload.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <limits>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace test {

/// What a counter can pass: 0, as its end, and the powers of two below it at which a narrower or a signed one ends.
inline std::vector<std::size_t> counter_limits() {
    std::vector<std::size_t> limits{0};
    for (const int bits : {31, 32, 63}) {
        if (bits < std::numeric_limits<std::size_t>::digits) limits.push_back(std::size_t{1} << bits);
    }
    return limits;
}

/// Large, so that few fit into a ring.
struct roomy {
    explicit roomy(int id) : number(id) {}
    int id() const { return number; }
    int number;
    std::array<std::byte, 1000> rest{};
};

/// A channel, and what it should hold: the messages from received() to sent(), which are numbered from 0 here and from
/// `first` in the channel. Every member does what it says as far as there is room, or messages, and checks the outcome.
template <class T>
class crossing {
public:
    crossing(std::optional<std::size_t> capacity, std::size_t first) : capacity_(capacity) {
        auto* const core = sluice::detail::channel_core<T>::make(capacity, 1, first);
        tx_ = sluice::sender<T>(core);
        rx_ = sluice::receiver<T>(core);
        check();
    }

    int sent() const { return sent_; }
    std::size_t inside() const { return static_cast<std::size_t>(sent_ - received_); }
    std::size_t room(std::size_t wanted) const {
        return capacity_ ? (std::min)(wanted, *capacity_ - inside()) : wanted;
    }

    void send(std::size_t count) {
        for (; count > 0; --count) {
            T message(sent_);
            const bool fits = room(1) == 1;
            const auto outcome = tx_.try_send(std::move(message));
            expect(outcome.has_value() == fits, "a message is sent if it fits");
            expect(fits || (outcome == sluice::errc::full && id_of(message) == sent_), "what is not sent is kept");
            if (fits) ++sent_;
        }
        check();
    }
    void send_many(std::size_t count) {
        std::vector<T> messages = next_messages(count);
        const std::size_t fit = room(count);
        expect(tx_.try_send_many(std::move(messages)) == fit, "as many are sent as fit");
        sent_ += static_cast<int>(fit);
        check();
    }
    void send_in_select() {
        const bool fits = room(1) == 1;
        bool chosen = false;
        sluice::select(sluice::on_send(tx_, T(sent_), [&] { chosen = true; }), sluice::otherwise([] {}));
        expect(chosen == fits, "a select sends if there is room");
        if (chosen) ++sent_;
        check();
    }

    void receive(std::size_t count) {
        for (; count > 0; --count) {
            const auto message = rx_.try_recv();
            expect(message.has_value() == (inside() > 0), "a message is received if there is one");
            if (message) take(*message);
        }
        check();
    }
    void receive_many(std::size_t count) {
        std::vector<T> messages;
        const std::size_t there = (std::min)(count, inside());
        expect(rx_.try_recv_many(std::back_inserter(messages), count) == there, "as many are received as are there");
        expect(messages.size() == there, "what is received is written");
        for (const T& message : messages) take(message);
        check();
    }
    void receive_in_select() {
        const bool there = inside() > 0;
        bool chosen = false;
        const auto handler = [&](const T& message) {
            chosen = true;
            take(message);
        };
        sluice::select(sluice::on_recv(rx_, handler), sluice::otherwise([] {}));
        expect(chosen == there, "a select receives if there is a message");
        check();
    }

    /// Each side in a thread of its own, blocked for as long as it takes; the second half of the messages in batches.
    void hand_over(std::size_t count) {
        std::vector<T> ones = next_messages(count), many = next_messages(count, count);
        std::size_t sent = 0;
        std::thread other([&] {
            for (T& message : ones) {
                if (tx_.send(std::move(message))) ++sent;
            }
            sent += tx_.send_many(std::move(many));
        });
        sent_ += static_cast<int>(2 * count);
        bool in_order = true;
        const auto came = [&](const T& message) { in_order = in_order && id_of(message) == received_++; };
        while (in_order && inside() > count) came(rx_.recv().value());
        while (in_order && inside() > 0) {
            std::vector<T> messages;
            if (rx_.recv_many(std::back_inserter(messages), 10) == 0) break;
            for (const T& message : messages) came(message);
        }
        if (!in_order) rx_.close();
        other.join();
        expect(in_order && sent == 2 * count, "what is sent by one thread comes to the other, in order");
        check();
    }

    /// The receiver leaves what is in the channel.
    void leave() {
        rx_ = {};
        expect(tx_.size() == 0 && tx_.is_closed(), "nothing is kept for nobody");
        expect(tx_.try_send(T(sent_)) == sluice::errc::closed, "nobody can be sent to");
    }
    /// The sender leaves, and what is in the channel is received.
    void drain() {
        tx_ = {};
        for (const T& message : rx_) take(message);
        expect(inside() == 0 && rx_.size() == 0, "what was sent is received");
    }

private:
    void take(const T& message) {
        expect(id_of(message) == received_, "the messages come in order");
        ++received_;
    }

    std::vector<T> next_messages(std::size_t count, std::size_t skipped = 0) const {
        std::vector<T> messages;
        messages.reserve(count);
        for (std::size_t i = skipped; i < skipped + count; ++i) messages.emplace_back(sent_ + static_cast<int>(i));
        return messages;
    }

    void check() const {
        expect(tx_.size() == inside() && rx_.empty() == (inside() == 0), "the size is the number of messages");
        expect(tx_.full() == (capacity_ && inside() == *capacity_), "it is full when nothing fits");
    }

    static void expect(bool so, const char* what) {
        if (!so) throw std::logic_error(what);
    }

    const std::optional<std::size_t> capacity_;
    sluice::sender<T> tx_;
    sluice::receiver<T> rx_;
    int sent_ = 0, received_ = 0;
};

/// Goes with a channel of that capacity from a little before the number `limit` to beyond, in several ways.
template <class T>
void cross(std::optional<std::size_t> capacity, std::size_t limit) {
    const audit books;
    const std::size_t most = capacity.value_or(1000);
    const auto go = [&](int before, auto&& way) {
        for (const bool leave : {true, false}) {
            crossing<T> c(capacity, limit - static_cast<std::size_t>(before));
            way(c, 2 * before);
            if (c.sent() <= before) throw std::logic_error("the limit is not reached");
            leave ? c.leave() : c.drain();
            if (!books.balanced()) throw std::logic_error("a message is lost, destroyed twice, or misused");
        }
    };
    const auto in_bursts = [&](std::size_t burst) {
        return [burst](auto& c, int enough) {
            while (c.sent() < enough) {
                c.send(burst);
                c.receive(burst / 2);
                c.send_many(burst);
                c.receive_many(2 * burst);
                c.receive(1);
            }
            c.send(burst);
        };
    };

    go(200, [](auto& c, int enough) { c.hand_over(static_cast<std::size_t>(enough)); });
    if (most == 0) return;
    for (const int before : {1, 17, 300}) {
        for (const std::size_t kept : {std::size_t{1}, most / 2, most - 1, most}) {
            go(before, [&](auto& c, int enough) {
                c.send(kept);
                while (c.sent() < enough) {
                    if (kept == most) c.receive(1);
                    c.send_in_select();
                    if (kept != most) c.receive_in_select();
                }
            });
        }
        for (const std::size_t burst : {std::size_t{3}, std::size_t{40}, most, most + 1}) go(before, in_bursts(burst));
        go(before, [&](auto& c, int enough) {
            std::minstd_rand chance;
            while (c.sent() < enough) {
                const std::size_t count = chance() % 50 % most + 1;
                switch (chance() % 4) {
                    case 0: c.send(count); break;
                    case 1: c.send_many(count); break;
                    case 2: c.receive(count); break;
                    default: c.receive_many(count); break;
                }
            }
        });
    }
    // The limit lies in a ring of the largest size, which follows several that are full.
    const int many = static_cast<int>((std::min)(most, 100'000 / sizeof(T)));
    if (!capacity || most >= 1000) go(many - 1, in_bursts(static_cast<std::size_t>(many)));
}

/// The capacities to be tried.
inline std::vector<std::optional<std::size_t>> crossing_capacities() { return {std::nullopt, 0, 1, 3, 64, 1000}; }

}  // namespace test
