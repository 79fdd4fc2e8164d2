// What threads and coroutines that work on channels have in common: handles, chance, and how they keep the ledger.
#pragma once

#include "ledger.hpp"

#include <sluice/sluice.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <random>
#include <stop_token>
#include <utility>
#include <vector>

namespace soak {

using steady = std::chrono::steady_clock;

/// Messages to be moved from: what clang 14 makes no std::ranges::subrange of.
class given_up {
public:
    explicit given_up(std::vector<message>& messages) : messages_(messages) {}
    auto begin() const { return std::make_move_iterator(messages_.begin()); }
    auto end() const { return std::make_move_iterator(messages_.end()); }

private:
    std::vector<message>& messages_;
};

/// Handles of one of a round's channels.
struct channel {
    sluice::sender<message> tx;
    sluice::receiver<message> rx;
    bool may_discard;
};

/// What all workers of a round are given.
struct workplace {
    std::vector<channel> channels;
    ledger& book;
    sluice::channel<note> notes;
    ledger& note_book;
    std::stop_token stop;
    std::uint32_t workers;  // in all
    bool leave;             // a worker that has ended drops its handles
};

class worker {
public:
    worker(const workplace& place, std::uint32_t number, std::uint64_t seed)
        : channels_(place.channels),
          notes_(place.notes),
          stop_(place.stop),
          leaves_(place.leave),
          book_(place.book),
          note_book_(place.note_book),
          number_(number),
          random_(seed),
          last_(channels_.size(), std::vector<std::int64_t>(place.workers, -1)),
          sequence_(channels_.size(), 0) {}
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

protected:
    ~worker() = default;

    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    std::size_t any_channel() { return below(static_cast<std::uint32_t>(channels_.size())); }
    std::chrono::microseconds patience() { return std::chrono::microseconds(below(40) * below(10)); }

    message make(std::size_t c) {
        return {book_, {number_, sequence_[c]++, static_cast<std::uint32_t>(c), channels_[c].may_discard}};
    }
    /// For a channel of the worker's own, which may discard it.
    message make_private() { return {book_, {number_, 0, static_cast<std::uint32_t>(sequence_.size()), true}}; }

    /// What a send has come to: one that came to nothing gives its message back.
    static void gave(message& m, bool sent) {
        if (sent == m.whole())
            lost(sent ? "a send that succeeded left its message" : "a send that failed took its message");
        m.end(fate::returned);
    }
    void take(std::size_t c, message& m) {
        if (!m.whole()) lost("an empty message");
        if (m.way().channel != c) lost("a message came out of another channel");
        std::int64_t& last = last_[c].at(m.way().sender);
        if (m.way().sequence <= last) lost("the messages of a sender are out of order");
        last = m.way().sequence;
        m.end(fate::received);
    }
    template <class R>
    void got(std::size_t c, R&& r) {
        if (r) take(c, *r);
    }

    note make_note() { return {note_book_.make()}; }
    void gave(note n, bool sent) {
        if (!sent) note_book_.settle(n.id, 0, fate::returned);
    }
    void take(note n) { note_book_.settle(n.id, 0, fate::received); }
    void got(const sluice::result<note>& r) {
        if (r) take(*r);
    }

    void ended(unsigned operations) {
        done.operations.fetch_add(operations, std::memory_order_relaxed);
        if (!leaves_) return;
        channels_.clear();
        notes_ = {};
    }

    std::vector<channel> channels_;
    sluice::channel<note> notes_;
    const std::stop_token stop_;
    const bool leaves_;

private:
    ledger& book_;
    ledger& note_book_;
    const std::uint32_t number_;
    std::mt19937_64 random_;
    std::vector<std::vector<std::int64_t>> last_;  // by channel and sender
    std::vector<std::uint32_t> sequence_;          // by channel
};

}  // namespace soak
