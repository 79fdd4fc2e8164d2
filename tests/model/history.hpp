// What was done to the channels of a model, in which order, and whether a plain sequential channel could have done the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <model/scheduler.hpp>

namespace model {

// An event of a channel, as a caller sees it.
enum class event : std::uint8_t {
    sent,
    received,
    no_room,          // a send gave up
    no_message,       // a receive gave up
    send_refused,     // closed
    receive_refused,  // closed and drained
    closed,           // by this call
    was_closed,       // before this call
    sender_dropped,
    receiver_dropped,
};

// The search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993): an order of the events that each thread and each
// happens-before agrees with, and in which a sequential channel does what was seen.
class history {
public:
    static constexpr int most_events = 28, most_channels = 3;

    void clear() {
        count_ = channels_ = 0;
        pending_ = {};
        operations_ = 0;
        stopped_ = false;
    }

    // A channel with one handle of each side; `capacity` is empty if it is unbounded.
    int add_channel(std::optional<std::size_t> capacity) {
        expect(channels_ < most_channels, "too many channels");
        specs_[static_cast<std::size_t>(channels_)] = {capacity ? static_cast<int>(*capacity) : most_events};
        return channels_++;
    }
    void more_senders(int channel, int n) { spec(channel).senders += n; }
    void more_receivers(int channel, int n) { spec(channel).receivers += n; }

    // A stop was requested of all operations that can be stopped.
    void stopped() { stopped_ = true; }

    // An operation, from its beginning to its end; what it came to is added in between, in the order in which it happened, or in
    // no order at all for the cases of a select that were not ready.
    class operation {
    public:
        explicit operation(history& h, const char* what) : of_(h), number_(++h.operations_) {
            doing(what);
            thread_ = self();
            h.pending_[static_cast<std::size_t>(thread_)] = {};
            begun_ = begin_operation();
            first_ = -1;
        }
        operation(const operation&) = delete;
        operation& operator=(const operation&) = delete;
        ~operation() {
            end();
            doing("");
        }

        // What it waits for; the model looks at it when all is quiet.
        operation& wants_to_send(int channel) { return wants(channel, true); }
        operation& wants_to_send_many(int channel) {
            of_.pending_[static_cast<std::size_t>(thread_)].many |= 1u << channel;
            return wants(channel, true);
        }
        operation& wants_to_receive(int channel) { return wants(channel, false); }

        operation& ends_when_stopped() {
            of_.pending_[static_cast<std::size_t>(thread_)].until_stopped = true;
            return *this;
        }

        void came_to(event e, int channel, int value = -1, bool in_order = true) {
            expect(of_.count_ < most_events, "too many events");
            entry& n = of_.entries_[static_cast<std::size_t>(of_.count_)];
            n = {e, static_cast<std::int8_t>(channel), value, thread_, number_, in_order, begun_, 0};
            if (first_ < 0) first_ = of_.count_;
            ++of_.count_;
        }
        void end() {
            if (ended_) return;
            ended_ = true;
            const std::uint32_t step = end_operation();
            for (int i = 0; i < of_.count_; ++i) {
                entry& n = of_.entries_[static_cast<std::size_t>(i)];
                if (n.operation == number_) n.ended = step;
            }
            of_.pending_[static_cast<std::size_t>(thread_)] = {};
        }

    private:
        operation& wants(int channel, bool send) {
            wish& w = of_.pending_[static_cast<std::size_t>(thread_)];
            (send ? w.send : w.receive) |= 1u << channel;
            return *this;
        }

        history& of_;
        int number_;
        int thread_;
        int first_;
        bool ended_ = false;
        vector_clock begun_;
    };

    // When nobody can go on: fails if one waits for what is there. `sizes` are those of the channels where they are known: a send of
    // many that is under way may have sent some.
    void check_quiet(std::array<std::optional<std::size_t>, most_channels> sizes = {}) const {
        for (const wish& w : pending_)
            expect(!stopped_ || !w.until_stopped, "lost wake-up: an operation waits though its stop was requested");
        for (int c = 0; c < channels_; ++c) {
            int buffered = 0;
            bool open = true;
            int senders = specs_[static_cast<std::size_t>(c)].senders,
                receivers = specs_[static_cast<std::size_t>(c)].receivers;
            for (int i = 0; i < count_; ++i) {
                const entry& n = entries_[static_cast<std::size_t>(i)];
                if (n.channel != c) continue;
                buffered += n.what == event::sent ? 1 : n.what == event::received ? -1 : 0;
                if (n.what == event::closed || n.what == event::was_closed || n.what == event::send_refused ||
                    n.what == event::receive_refused) {
                    open = false;
                }
                if (n.what == event::sender_dropped) --senders;
                if (n.what == event::receiver_dropped) --receivers;
            }
            if (senders == 0 || receivers == 0) open = false;
            const int capacity = specs_[static_cast<std::size_t>(c)].capacity;
            int at_most = buffered;
            for (const wish& w : pending_) at_most += static_cast<int>(w.many >> c & 1);
            if (const auto size = sizes[static_cast<std::size_t>(c)]) {
                expect(static_cast<int>(*size) >= buffered && static_cast<int>(*size) <= at_most,
                       "lost wake-up, or lost message: size() is not what was sent without what was received");
                buffered = at_most = static_cast<int>(*size);
            }
            for (std::size_t a = 0; a < most_threads; ++a) {
                const bool sends = (pending_[a].send >> c & 1) != 0, receives = (pending_[a].receive >> c & 1) != 0;
                if (!sends && !receives) continue;
                expect(open, "lost wake-up: an operation waits on a closed channel");
                expect(!receives || buffered == 0, "lost wake-up: a receive waits though there is a message");
                expect(!sends || at_most >= capacity, "lost wake-up: a send waits though there is room");
                for (std::size_t b = 0; sends && b < most_threads; ++b) {
                    expect(b == a || (pending_[b].receive >> c & 1) == 0,
                           "lost wake-up: a send and a receive wait for each other");
                }
            }
        }
    }

    // Fails if no order of the events explains them.
    void check() {
        for (int i = 0; i < count_; ++i) {
            before_[static_cast<std::size_t>(i)] = 0;
            const entry& later = entries_[static_cast<std::size_t>(i)];
            for (int j = 0; j < count_; ++j) {
                const entry& earlier = entries_[static_cast<std::size_t>(j)];
                const bool first = earlier.operation == later.operation
                                       ? j < i && earlier.in_order && later.in_order
                                       : earlier.ended != 0 && later.begun.knows(earlier.thread, earlier.ended);
                if (first) before_[static_cast<std::size_t>(i)] |= 1u << j;
            }
        }
        for (int c = 0; c < channels_; ++c) {
            const auto& s = specs_[static_cast<std::size_t>(c)];
            states_[static_cast<std::size_t>(c)] = {.senders = s.senders, .receivers = s.receivers};
        }
        if (!search(0)) fail("not linearizable: no sequential channel does this:" + text());
    }

    std::string text() const {
        constexpr const char* names[] = {"sent",           "received",        "no room", "no message",
                                         "send refused",   "receive refused", "closed",  "was closed",
                                         "sender dropped", "receiver dropped"};
        std::string t;
        for (int i = 0; i < count_; ++i) {
            const entry& n = entries_[static_cast<std::size_t>(i)];
            t += "\n  event " + std::to_string(i) + ": thread " + std::to_string(n.thread) + ", channel " +
                 std::to_string(n.channel) + ": " + names[static_cast<int>(n.what)] +
                 (n.value >= 0 ? " " + std::to_string(n.value) : "") + ", after";
            for (int j = 0; j < count_; ++j) {
                if ((before_[static_cast<std::size_t>(i)] >> j & 1) != 0) t += " " + std::to_string(j);
            }
        }
        return t;
    }

private:
    struct spec_of_channel {
        int capacity = 0;
        int senders = 1, receivers = 1;
    };
    struct entry {
        event what;
        std::int8_t channel;
        int value;
        int thread;
        int operation;
        bool in_order;
        vector_clock begun;
        std::uint32_t ended;
    };
    struct wish {
        unsigned send = 0, receive = 0, many = 0;  // a bit for each channel
        bool until_stopped = false;
    };
    struct state {
        std::array<int, most_events> queue{};
        int first = 0, last = 0;
        int senders, receivers;
        bool closed = false;
        int size() const { return last - first; }
    };

    spec_of_channel& spec(int channel) { return specs_[static_cast<std::size_t>(channel)]; }

    bool may_be_next(int i, unsigned done) const {
        return (done >> i & 1) == 0 && (before_[static_cast<std::size_t>(i)] & ~done) == 0;
    }

    bool search(unsigned done) {
        if (done == (count_ == 32 ? ~0u : (1u << count_) - 1)) return true;
        for (int i = 0; i < count_; ++i) {
            if (!may_be_next(i, done)) continue;
            const entry& n = entries_[static_cast<std::size_t>(i)];
            state& s = states_[static_cast<std::size_t>(n.channel)];
            const int capacity = specs_[static_cast<std::size_t>(n.channel)].capacity;
            if (capacity == 0 && n.what == event::sent) {
                if (s.closed) continue;
                for (int j = 0; j < count_; ++j) {
                    const entry& partner = entries_[static_cast<std::size_t>(j)];
                    if (partner.what == event::received && partner.channel == n.channel && partner.value == n.value &&
                        partner.operation != n.operation && may_be_next(j, done) && search(done | 1u << i | 1u << j)) {
                        return true;
                    }
                }
                continue;
            }
            const state saved = s;
            if (take(s, n, capacity) && search(done | 1u << i)) return true;
            states_[static_cast<std::size_t>(n.channel)] = saved;
        }
        return false;
    }

    static bool take(state& s, const entry& n, int capacity) {
        switch (n.what) {
            case event::sent:
                if (s.closed || s.size() >= capacity) return false;
                s.queue[static_cast<std::size_t>(s.last++)] = n.value;
                return true;
            case event::received:
                if (s.size() == 0 || s.queue[static_cast<std::size_t>(s.first)] != n.value) return false;
                ++s.first;
                return true;
            case event::no_room: return !s.closed && s.size() >= capacity;
            case event::no_message: return !s.closed && s.size() == 0;
            case event::send_refused: return s.closed;
            case event::receive_refused: return s.closed && s.size() == 0;
            case event::closed:
                if (s.closed) return false;
                s.closed = true;
                return true;
            case event::was_closed: return s.closed;
            case event::sender_dropped:
                if (--s.senders == 0) s.closed = true;
                return true;
            case event::receiver_dropped:
                if (--s.receivers == 0) {
                    s.closed = true;
                    s.first = s.last;
                }
                return true;
        }
        return false;
    }

    std::array<entry, most_events> entries_;
    std::array<unsigned, most_events> before_{};
    std::array<spec_of_channel, most_channels> specs_;
    std::array<state, most_channels> states_;
    std::array<wish, most_threads> pending_{};
    int count_ = 0, channels_ = 0, operations_ = 0;
    bool stopped_ = false;
};

// Of the running execution. Outside of the model's memory: writing it down orders nothing.
inline history book;

}  // namespace model
