// The books of a contention test: who sent what, who got it, who got it back.
//
// Each thread fills a page of its own, and the pages are compared once all threads have ended: keeping books adds
// nothing to what the threads share, and a failure tells several faults. The soak test keeps a ledger instead
// (../soak/ledger.hpp), which its threads share, so that a message which ends twice, or is destroyed unreceived, stops the
// program at once.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace test {

/// Where a message comes from: the number of its sender, and its place among all that this sender made.
struct tag {
    int sender;
    int sequence;
};

/// A message that owns what it says, so that a message doubled, torn or used after its move shows.
struct parcel {
    explicit parcel(tag what) : content(std::make_unique<tag>(what)) {}
    explicit operator tag() const { return content ? *content : tag{-1, -1}; }
    std::unique_ptr<tag> content;
};

/// A message of 4 KiB that is the same all over.
struct block {
    explicit block(tag what) { copies.fill(what); }
    explicit operator tag() const {
        for (const tag& each : copies) {
            if (each.sender != copies.front().sender || each.sequence != copies.front().sequence) {
                return {-1, -1};
            }
        }
        return copies.front();
    }
    std::array<tag, 512> copies;
};

/// What one thread that sends has to say: how many messages it made, and which of them it still holds.
struct sent_page {
    int made = 0;
    std::vector<int> returned;

    /// Notes what a send that failed left of its argument.
    template <class Message>
    void take_back(const Message& message) {
        returned.push_back(tag(message).sequence);
    }
};

/// What one thread that receives has to say: what it got, in the order in which it got it.
using received_page = std::vector<tag>;

/// Empty if each message was received once or returned to its sender once, and each receiver saw the messages of each
/// sender in the order in which they were sent. Otherwise the first few faults, in words.
///
/// With `discarded` messages may be missing: those that a channel destroyed when its last receiver went.
inline std::string faults(const std::vector<sent_page>& sent, const std::vector<received_page>& received,
                          bool discarded = false) {
    std::ostringstream report;
    int count = 0;
    const auto fault = [&](const auto&... words) {
        if (++count <= 5) {
            (report << ... << words) << '\n';
        }
    };
    std::vector<std::vector<int>> seen;
    for (const auto& page : sent) {
        seen.emplace_back(static_cast<std::size_t>(page.made), 0);
    }
    for (std::size_t s = 0; s < sent.size(); ++s) {
        for (const int sequence : sent[s].returned) {
            if (sequence < 0 || sequence >= sent[s].made) {
                fault("sender ", s, " got a message back damaged");
                continue;
            }
            ++seen[s][static_cast<std::size_t>(sequence)];
        }
    }
    for (std::size_t r = 0; r < received.size(); ++r) {
        std::vector<int> last(sent.size(), -1);
        for (const tag& message : received[r]) {
            const auto s = static_cast<std::size_t>(message.sender);
            if (message.sender < 0 || s >= sent.size() || message.sequence >= sent[s].made) {
                fault("receiver ", r, " got a message that nobody sent: ", message.sender, "/", message.sequence);
                continue;
            }
            ++seen[s][static_cast<std::size_t>(message.sequence)];
            if (message.sequence <= last[s]) {
                fault("receiver ", r, " got ", s, "/", message.sequence, " after ", s, "/", last[s]);
            }
            last[s] = message.sequence;
        }
    }
    for (std::size_t s = 0; s < seen.size(); ++s) {
        for (std::size_t i = 0; i < seen[s].size(); ++i) {
            if (seen[s][i] > 1) {
                fault("message ", s, "/", i, " was delivered or returned ", seen[s][i], " times");
            } else if (seen[s][i] == 0 && !discarded) {
                fault("message ", s, "/", i, " is lost");
            }
        }
    }
    if (count > 5) {
        report << "and " << count - 5 << " more faults\n";
    }
    return report.str();
}

}  // namespace test
