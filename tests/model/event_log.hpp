// The events of an execution as they were written down, and the operations and channels that they belong to.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <sluice/overflow.hpp>

#include <model/explorer/control.hpp>

namespace model {

enum class event : std::uint8_t {
    // Of a channel, as a caller sees it
    sent,
    received,
    send_refused,     // closed
    receive_refused,  // closed and drained
    closed,           // by this call
    was_closed,       // before this call
    sender_dropped,
    receiver_dropped,
    forced,  // sent, and what has come out for it: see forced()
    // Of all operations that can be stopped
    stop_requested,
    // Of an operation
    begun,          // before a stop was requested
    waits,          // it was seen to wait for its cases
    first_ready,    // the case that a biased select takes was ready, and none before it
    nothing_ready,  // it gave up: not one of its cases was ready, and its deadline had passed if it has one
    stopped,        // it gave up
    threw,          // it heard of an exception, and has done nothing
};

// The value of `forced`: the number of what was sent, and of what has come out; -1 if nothing has.
constexpr int forced(int sent, int out) { return sent + 256 * (out + 1); }
constexpr int forced_in(int value) { return value % 256; }
constexpr int forced_out(int value) { return value / 256 - 1; }

// Plain data, with what its two readers ask of it: event_history, which writes it, and linearization.
struct event_log {
    static constexpr int most_events = 48, most_operations = 64, most_channels = 3, most_cases = 4;

    // What an operation tries, or waits for.
    struct pending_case {
        enum class kind : std::uint8_t { send, receive, closing, stop } what;
        std::int8_t channel;
        bool hears_closing;
    };

    struct spec_of_channel {
        int capacity = 0;
        int senders = 1, receivers = 1;
        sluice::overflow rule = sluice::overflow::block;
        bool discards() const { return rule != sluice::overflow::block; }
        clock::time_point due = clock::time_point::max();  // of a timer
        bool is_timer() const { return due != clock::time_point::max(); }
    };
    // One event.
    struct entry {
        event what;
        std::int8_t channel;
        int value;
        int operation;
        bool in_order = true;
        std::uint32_t ended = 0;
        clock::time_point by = clock::time_point::max();  // when it was seen
    };
    // One operation, from its beginning to its end.
    struct record {
        int thread = 0;
        vector_clock begun;
        std::uint32_t ended = 0;
        clock::time_point from{}, to = clock::time_point::max();
        std::array<pending_case, most_cases> cases{};
        int case_count = 0;
        int chosen = 0;
        std::optional<clock::time_point> until;
        bool may_wait = true, biased = false, many = false;
        bool has_token = false;  // that of its stop case, or the one that it obeys
        bool obeys = false;
        bool ended_by_stop = false;
        circumstances seen;

        struct span {
            const pending_case *first, *last;
            const pending_case* begin() const { return first; }
            const pending_case* end() const { return last; }
        };
        span pending_cases() const { return {cases.data(), cases.data() + case_count}; }
        bool wants(pending_case::kind what, int channel) const {
            return std::any_of(pending_cases().begin(), pending_cases().end(),
                               [=](const pending_case& w) { return w.what == what && w.channel == channel; });
        }
    };

    const entry& at(int i) const { return noted[static_cast<std::size_t>(i)]; }
    const record& of(const entry& n) const { return records[static_cast<std::size_t>(n.operation)]; }
    spec_of_channel& spec(int channel) { return specs[static_cast<std::size_t>(channel)]; }
    const spec_of_channel& spec(int channel) const { return specs[static_cast<std::size_t>(channel)]; }
    struct entry_span {
        const entry *first, *last;
        const entry* begin() const { return first; }
        const entry* end() const { return last; }
    };
    entry_span entries() const { return {noted.data(), noted.data() + count}; }

    bool ended_before(const entry& earlier, const record& later) const {
        return earlier.ended != 0 && later.begun.knows(of(earlier).thread, earlier.ended);
    }
    // Of an operation that has sent or received on a rendezvous, what was the peer's.
    const entry* peer_of(int number) const {
        for (const entry& n : entries()) {
            if (n.operation != number || n.channel < 0 || spec(n.channel).capacity > 0) continue;
            if (n.what != event::sent && n.what != event::received) continue;
            const event other = n.what == event::sent ? event::received : event::sent;
            for (const entry& p : entries()) {
                if (p.what == other && p.channel == n.channel && p.value == n.value) return &p;
            }
        }
        return nullptr;
    }

    std::array<entry, most_events> noted;
    std::array<record, most_operations> records;
    std::array<spec_of_channel, most_channels> specs;
    int count = 0, channels = 0, operations = 0;  // that are in use
};

}  // namespace model
