// The ledger: what became of each message of a round. And the messages, which settle their own entries.
//
// All threads write to it, in relaxed order, and a message that ends settles its own entry, in whatever thread that is.
// So one that ends twice, or is destroyed though it may not vanish, stops the program at once, with the seed of its
// round. The contention tests keep pages instead (../support/pages.hpp), which share nothing between threads and tell
// several faults, once all threads have ended.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace soak {

/// What is done, for whoever reports it.
struct progress {
    std::atomic<std::uint64_t> operations{0};
    std::atomic<std::uint64_t> coroutines{0};
    std::atomic<std::uint64_t> loops_destroyed{0};
    std::atomic<std::uint64_t> rounds{0};
    std::atomic<std::uint64_t> seed_of_round{0};
};
inline progress done;

/// Stops the program: something is wrong.
[[noreturn]] inline void lost(const std::string& what) {
    std::fprintf(stderr, "\nFAILED: %s, in round %llu; --seed %llu --rounds 1 runs its program again\n", what.c_str(),
                 static_cast<unsigned long long>(done.rounds.load()),
                 static_cast<unsigned long long>(done.seed_of_round.load()));
    std::fflush(stderr);
    std::_Exit(1);
}

/// How a message ends: received; back with its sender, whose send failed or was withdrawn; destroyed by the library.
enum class fate : std::uint8_t { none, received, returned, discarded };

class ledger {
public:
    ledger(std::size_t most, std::size_t channels)
        : ends_(std::make_unique<std::atomic<fate>[]>(most)),
          discarded_(std::make_unique<std::atomic<std::uint32_t>[]>(channels)),
          most_(most) {}

    std::uint32_t make() {
        const std::uint32_t id = next_.fetch_add(1, std::memory_order_relaxed);
        if (id >= most_) lost("the ledger is too small");
        return id;
    }
    void settle(std::uint32_t id, std::uint32_t channel, fate end) {
        if (id >= next_.load(std::memory_order_relaxed)) lost("a message that nobody made");
        if (ends_[id].exchange(end, std::memory_order_relaxed) != fate::none) lost("a message has ended twice");
        if (end == fate::discarded) discarded_[channel].fetch_add(1, std::memory_order_relaxed);
    }
    void check() const {
        for (std::uint32_t id = 0; id < next_.load(); ++id) {
            if (ends_[id].load() == fate::none) lost("a message is lost");
        }
    }
    std::size_t discarded(std::size_t channel) const { return discarded_[channel].load(); }

private:
    std::unique_ptr<std::atomic<fate>[]> ends_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> discarded_;  // by channel
    std::size_t most_;
    std::atomic<std::uint32_t> next_{0};
};

/// Where a message comes from and goes to.
struct route {
    std::uint32_t sender;
    std::uint32_t sequence;  // among those of its sender for this channel
    std::uint32_t channel;
    bool may_vanish;  // the channel may discard it
};

/// Owns its number, so that a message that is doubled or used after its move shows.
class message {
public:
    message(ledger& book, route way) : way_(way), book_(&book), id_(std::make_unique<std::uint32_t>(book.make())) {}
    message(message&& other) noexcept = default;
    message& operator=(message&& other) noexcept {
        vanish();
        way_ = other.way_;
        book_ = other.book_;
        id_ = std::move(other.id_);
        return *this;
    }
    ~message() { vanish(); }

    void end(fate f) {
        if (id_) book_->settle(*std::exchange(id_, nullptr), way_.channel, f);
    }
    bool whole() const { return id_ != nullptr; }
    const route& way() const { return way_; }

private:
    void vanish() {
        if (!id_) return;
        if (!way_.may_vanish) lost("a message was destroyed that nobody received");
        end(fate::discarded);
    }

    route way_;
    ledger* book_;
    std::unique_ptr<std::uint32_t> id_;
};

/// A message that a sender writes where its receiver waits, since it is small and trivially copyable. It cannot tell
/// when it is destroyed.
struct note {
    std::uint32_t id;
};

}  // namespace soak
