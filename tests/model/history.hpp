// What was done to the channels of a model, in which order, and whether plain sequential channels could have done the
// same.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

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

// The search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993): an order of the events that each
// thread and each happens-before agrees with, and in which sequential channels do what was seen, as time passes. A
// channel does not say who waits, so a thread counts as waiting from when it was seen to, until its operation comes to
// something.
class event_history {
    struct pending_case {
        enum class kind : std::uint8_t { send, receive, stop } what;
        std::int8_t channel;
        bool hears_closing;
    };
    struct record;

public:
    static constexpr int most_events = 48, most_operations = 64, most_channels = 3, most_cases = 4;

    void clear() {
        count_ = channels_ = operations_ = 0;
        pending_.fill(-1);
    }

    // A channel with one handle of each side; `capacity` is empty if it is unbounded.
    int add_channel(std::optional<std::size_t> capacity) {
        expect(channels_ < most_channels, "too many channels");
        specs_[static_cast<std::size_t>(channels_)] = {capacity ? static_cast<int>(*capacity) : most_events};
        return channels_++;
    }
    // One that delivers a message when it is due, and is closed after it.
    int add_timer(clock::time_point due) {
        const int channel = add_channel(0);
        spec(channel).due = due;
        return channel;
    }
    void more_senders(int channel, int n) { spec(channel).senders += n; }
    void more_receivers(int channel, int n) { spec(channel).receivers += n; }
    bool is_rendezvous(int channel) const { return spec(channel).capacity == 0; }

    // An operation, from its beginning to its end; what it came to is added in between.
    class operation {
    public:
        explicit operation(const char* what);
        operation(const operation&) = delete;
        operation& operator=(const operation&) = delete;
        ~operation() {
            end();
            doing("");
        }

        // What it tries, or waits for. One that hears of closing does something when the channel is closed. Where a
        // select is biased, the place of each case matters.
        operation& sends(int channel, bool hears_closing = true, int place = -1) {
            return add({pending_case::kind::send, static_cast<std::int8_t>(channel), hears_closing}, place);
        }
        operation& receives(int channel, bool hears_closing = true, int place = -1) {
            return add({pending_case::kind::receive, static_cast<std::int8_t>(channel), hears_closing}, place);
        }
        operation& sends_many(int channel) {
            mine().many = true;
            return sends(channel);
        }
        operation& hears_of_stop(const stop_token& token, int place = -1) {
            mine().has_token = true;
            begins_under(token);
            return add({pending_case::kind::stop, -1, false}, place);
        }
        // Fails when a stop is requested.
        operation& obeys(const stop_token& token) {
            mine().has_token = mine().obeys = true;
            begins_under(token);
            return *this;
        }
        // Gives up when nothing is ready by then.
        operation& until(clock::time_point deadline) {
            if (time_matters) mine().until = deadline;
            return *this;
        }
        operation& no_longer_than(clock::duration patience) { return until(mine().from + patience); }
        // Two that never wait do not meet.
        operation& never_waits() {
            mine().may_wait = false;
            return *this;
        }
        operation& biased() {
            mine().biased = true;
            return *this;
        }

        // In the order in which it happened; or in no order at all, for what was seen of several channels.
        void came_to(event e, int channel = -1, int value = -1, bool in_order = true) {
            of_.add({e, static_cast<std::int8_t>(channel), value, number_, in_order});
        }
        void gave_up() { came_to(event::nothing_ready); }
        void was_stopped() {
            mine().ended_by_stop = true;
            came_to(event::stopped);
        }
        // A case of a select is chosen; it comes to something next.
        void takes(int place) {
            if (!mine().biased) return;
            mine().chosen = place;
            came_to(event::first_ready);
        }
        // Nothing can become ready any more.
        void all_closed() {
            for (const pending_case& w : mine().pending_cases()) {
                if (w.what != pending_case::kind::stop) {
                    came_to(w.what == pending_case::kind::send ? event::send_refused : event::receive_refused,
                            w.channel, -1, false);
                }
            }
        }
        void end() {
            if (ended_) return;
            ended_ = true;
            record& r = mine();
            r.seen = of_this_operation();
            if (r.has_token) {
                using request = circumstances::request;
                expect(r.biased || r.ended_by_stop || r.seen.at_first_step != request::complete,
                       "an operation goes on although its stop was requested before it began");
                if (r.seen.at_first_step == request::none) came_to(event::begun);
            }
            r.ended = end_operation();
            if (time_matters) r.to = time_of_the_model();
            for (int i = 0; i < of_.count_; ++i) {
                entry& n = of_.entries_[static_cast<std::size_t>(i)];
                if (n.operation == number_ && n.ended == 0) n.ended = r.ended;
            }
            of_.pending_[static_cast<std::size_t>(r.thread)] = -1;
        }

    private:
        record& mine() { return of_.records_[static_cast<std::size_t>(number_)]; }
        operation& add(pending_case w, int place) {
            record& r = mine();
            expect(r.case_count < most_cases, "too many cases");
            r.cases[static_cast<std::size_t>(place < 0 ? r.case_count : place)] = w;
            ++r.case_count;
            return *this;
        }

        event_history& of_;
        const int number_;
        bool ended_ = false;
    };

    // For a thread that has seen that thread asleep: its operation stands in every line that it waits in.
    void seen_asleep(int thread) {
        const int its = pending_[static_cast<std::size_t>(thread)];
        if (its < 0) return;
        add({event::waits, -1, -1, its, true, last_step(thread),
             time_matters ? time_of_the_model() : clock::time_point::max()});
    }

    // When nobody can go on: fails if one waits for what is there. `sizes` are those of the channels where they are
    // known: a send of many that is under way may have sent some.
    void check_quiet(std::array<std::optional<std::size_t>, most_channels> sizes = {}) {
        bool stopped = false;
        for (const entry& n : entries()) stopped |= n.what == event::stop_requested;
        for (int thread = 0; thread < max_threads; ++thread) {
            if (thread == self() || !pending(thread)) continue;
            expect(!stopped || !pending(thread)->has_token,
                   "lost wake-up: an operation waits though its stop was requested");
        }
        for (int c = 0; c < channels_; ++c) {
            if (spec(c).due == clock::time_point::max()) check_quiet(c, sizes[static_cast<std::size_t>(c)]);
        }
        for (int thread = 0; thread < max_threads; ++thread) {
            if (thread != self() && pending(thread) && is_asleep(thread)) seen_asleep(thread);
        }
    }

    // Fails if no order of the events explains them.
    void check() {
        for (int i = 0; i < count_; ++i) {
            before_[static_cast<std::size_t>(i)] = 0;
            for (int j = 0; j < count_; ++j) {
                const entry &earlier = at(j), &later = at(i);
                const bool first = earlier.operation == later.operation ? precedes_in_operation(j, i)
                                                                        : ended_before(earlier, of(later));
                if (first) before_[static_cast<std::size_t>(i)] |= bit(j);
            }
        }
        // What a biased select takes on a rendezvous is ready once its peer has come.
        for (int i = 0; i < count_; ++i) {
            const entry* const peer = at(i).what == event::first_ready ? peer_of(at(i).operation) : nullptr;
            for (int j = 0; peer && j < count_; ++j) {
                if (at(j).operation != peer->operation && at(j).operation != at(i).operation &&
                    ended_before(at(j), of(*peer))) {
                    before_[static_cast<std::size_t>(i)] |= bit(j);
                }
            }
        }
        world start;
        for (int c = 0; c < channels_; ++c) {
            start.channels[static_cast<std::size_t>(c)].senders = spec(c).senders;
            start.channels[static_cast<std::size_t>(c)].receivers = spec(c).receivers;
        }
        if (!search(0, start)) fail("not linearizable: no sequential channel does this:" + text());
    }

    std::string text() const {
        constexpr const char* names[] = {"sent",
                                         "received",
                                         "send refused",
                                         "receive refused",
                                         "closed",
                                         "was closed",
                                         "sender dropped",
                                         "receiver dropped",
                                         "stop requested",
                                         "begun before the stop",
                                         "seen to wait",
                                         "its case is the first that is ready",
                                         "nothing is ready",
                                         "stopped",
                                         "threw"};
        std::string t;
        for (int i = 0; i < count_; ++i) {
            const entry& n = at(i);
            t += "\n  event " + std::to_string(i) + ": thread " + std::to_string(of(n).thread) + ", operation " +
                 std::to_string(n.operation);
            if (n.channel >= 0) t += ", channel " + std::to_string(n.channel);
            t += std::string(": ") + names[static_cast<int>(n.what)];
            if (n.value >= 0) t += " " + std::to_string(n.value);
            t += ", after";
            for (int j = 0; j < count_; ++j) {
                if ((before_[static_cast<std::size_t>(i)] & bit(j)) != 0) t += " " + std::to_string(j);
            }
        }
        return t;
    }

private:
    using events = std::uint64_t;      // a bit for each
    using operations = std::uint64_t;  // likewise
    static_assert(most_events <= 64 && most_operations <= 64);

    struct spec_of_channel {
        int capacity = 0;
        int senders = 1, receivers = 1;
        clock::time_point due = clock::time_point::max();  // of a timer
        bool is_timer() const { return due != clock::time_point::max(); }
    };
    struct entry {
        event what;
        std::int8_t channel;
        int value;
        int operation;
        bool in_order = true;
        std::uint32_t ended = 0;
        clock::time_point by = clock::time_point::max();  // when it was seen
    };
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
    struct channel_state {
        std::array<std::int8_t, most_events> queue{};
        int first = 0, last = 0;
        int senders = 0, receivers = 0;
        bool closed = false;
        int size() const { return last - first; }
    };
    struct world {
        std::array<channel_state, most_channels> channels;
        operations waiting = 0;
        clock::time_point time{};
        bool stopped = false;
        clock::time_point stopped_from{}, stopped_to{};  // the request came in between
    };

    static events bit(int i) { return events{1} << i; }
    const entry& at(int i) const { return entries_[static_cast<std::size_t>(i)]; }
    const record& of(const entry& n) const { return records_[static_cast<std::size_t>(n.operation)]; }
    spec_of_channel& spec(int channel) { return specs_[static_cast<std::size_t>(channel)]; }
    const spec_of_channel& spec(int channel) const { return specs_[static_cast<std::size_t>(channel)]; }
    struct entry_span {
        const entry *first, *last;
        const entry* begin() const { return first; }
        const entry* end() const { return last; }
    };
    entry_span entries() const { return {entries_.data(), entries_.data() + count_}; }
    const record* pending(int thread) const {
        const int n = pending_[static_cast<std::size_t>(thread)];
        return n < 0 ? nullptr : &records_[static_cast<std::size_t>(n)];
    }

    void add(const entry& n) {
        expect(count_ < most_events, "too many events");
        entries_[static_cast<std::size_t>(count_++)] = n;
    }

    void check_quiet(int c, std::optional<std::size_t> size) const {
        int buffered = 0;
        bool open = true;
        int senders = spec(c).senders, receivers = spec(c).receivers;
        for (const entry& n : entries()) {
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
        const auto wants = [&](int thread, pending_case::kind what) {
            return thread != self() && pending(thread) && pending(thread)->wants(what, c);
        };
        int at_most = buffered;
        for (int a = 0; a < max_threads; ++a) at_most += wants(a, pending_case::kind::send) && pending(a)->many ? 1 : 0;
        if (size) {
            expect(static_cast<int>(*size) >= buffered && static_cast<int>(*size) <= at_most,
                   "lost wake-up, or lost message: size() is not what was sent without what was received");
            buffered = at_most = static_cast<int>(*size);
        }
        for (int a = 0; a < max_threads; ++a) {
            const bool sends = wants(a, pending_case::kind::send), receives = wants(a, pending_case::kind::receive);
            if (!sends && !receives) continue;
            expect(open, "lost wake-up: an operation waits on a closed channel");
            expect(!receives || buffered == 0, "lost wake-up: a receive waits though there is a message");
            expect(!sends || at_most >= spec(c).capacity, "lost wake-up: a send waits though there is room");
            for (int b = 0; sends && b < max_threads; ++b) {
                expect(b == a || !wants(b, pending_case::kind::receive),
                       "lost wake-up: a send and a receive wait for each other");
            }
        }
    }

    // ---- The order of events

    bool ended_before(const entry& earlier, const record& later) const {
        return earlier.ended != 0 && later.begun.knows(of(earlier).thread, earlier.ended);
    }
    bool precedes_in_operation(int earlier, int later) const {
        const auto phase = [](event e) { return e == event::begun ? 0 : e == event::waits ? 1 : 2; };
        const int a = phase(at(earlier).what), b = phase(at(later).what);
        return a != b ? a < b : earlier < later && at(earlier).in_order && at(later).in_order;
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

    bool may_be_next(int i, events done) const {
        return (done & bit(i)) == 0 && (before_[static_cast<std::size_t>(i)] & ~done) == 0;
    }

    bool search(events done, const world& now) const {
        if (done == bit(count_) - 1) return true;
        for (int i = 0; i < count_; ++i) {
            if (!may_be_next(i, done)) continue;
            const entry& n = at(i);
            if (n.what == event::sent && spec(n.channel).capacity == 0) {
                if (meets_somebody(i, done, now)) return true;
                continue;
            }
            world next = now;
            if (happens(n, next) && search(done | bit(i), next)) return true;
        }
        return false;
    }

    bool meets_somebody(int i, events done, const world& now) const {
        const entry& n = at(i);
        if (now.channels[static_cast<std::size_t>(n.channel)].closed) return false;
        for (int j = 0; j < count_; ++j) {
            const entry& peer = at(j);
            if (peer.what != event::received || peer.channel != n.channel || peer.value != n.value ||
                peer.operation == n.operation || !may_be_next(j, done)) {
                continue;
            }
            if (!of(n).may_wait && !of(peer).may_wait) continue;
            world next = now;
            if (passes(n, next) && passes(peer, next) && search(done | bit(i) | bit(j), next)) return true;
        }
        return false;
    }

    // Before that the case which a biased select takes cannot be ready.
    clock::time_point ready_from(const entry& n) const {
        const pending_case& c = of(n).cases[static_cast<std::size_t>(of(n).chosen)];
        if (c.channel < 0) return {};
        if (spec(c.channel).is_timer()) return spec(c.channel).due;
        const entry* const peer = peer_of(n.operation);
        return peer ? of(*peer).from : clock::time_point{};
    }

    // Time passes to where the event is possible; false if it is too late for it. Who has come to something no longer
    // waits.
    bool passes(const entry& n, world& w) const {
        const record& r = of(n);
        clock::time_point earliest = r.from;
        if (n.what == event::nothing_ready && r.until) earliest = std::max(earliest, *r.until);
        if (n.what == event::received && spec(n.channel).is_timer()) earliest = std::max(earliest, spec(n.channel).due);
        if (n.what == event::first_ready) earliest = std::max(earliest, ready_from(n));
        w.time = std::max(w.time, earliest);
        if (w.time > std::min(r.to, n.by)) return false;
        if (n.what != event::begun && n.what != event::waits && n.what != event::first_ready)
            w.waiting &= ~(operations{1} << n.operation);
        return true;
    }

    bool someone_waits(pending_case::kind what, int channel, const world& w) const {
        for (int i = 0; i < operations_; ++i) {
            if ((w.waiting >> i & 1) != 0 && records_[static_cast<std::size_t>(i)].wants(what, channel)) return true;
        }
        return false;
    }

    // Whether the same, tried by another at that moment, would do something.
    bool ready(const pending_case& c, const world& w) const {
        if (c.what == pending_case::kind::stop) return w.stopped;
        const channel_state& s = w.channels[static_cast<std::size_t>(c.channel)];
        const spec_of_channel& kind = spec(c.channel);
        if (kind.is_timer()) return s.closed ? c.hears_closing : w.time >= kind.due;
        if (c.what == pending_case::kind::receive) {
            if (s.size() > 0) return true;
            return s.closed ? c.hears_closing : someone_waits(pending_case::kind::send, c.channel, w);
        }
        if (s.closed) return c.hears_closing;
        return s.size() < kind.capacity || someone_waits(pending_case::kind::receive, c.channel, w);
    }
    bool any_ready(const record& r, int cases, const world& w) const {
        return std::any_of(r.cases.begin(), r.cases.begin() + cases,
                           [&](const pending_case& c) { return ready(c, w); });
    }

    bool is_first_ready(const record& r, const world& w) const {
        const pending_case& c = r.cases[static_cast<std::size_t>(r.chosen)];
        const bool by_peer = c.channel >= 0 && spec(c.channel).capacity == 0 && !spec(c.channel).is_timer() &&
                             !w.channels[static_cast<std::size_t>(c.channel)].closed;
        return !any_ready(r, r.chosen, w) && (by_peer || ready(c, w));
    }

    // Of a stop and a deadline the earlier counts; where it is awake as they come, an operation cannot tell which it
    // was.
    static bool stop_came_first(const record& r, const world& w) {
        return r.obeys && r.seen.slept_when_stopped && w.stopped && w.stopped_to < *r.until;
    }
    static bool deadline_came_first(const record& r, const world& w) {
        return r.until && r.seen.slept_when_due && w.stopped_from >= *r.until;
    }
    bool is_stopped(const record& r, const world& w) const {
        if (!w.stopped) return false;
        if (!r.obeys || r.seen.at_first_step != circumstances::request::none) return true;
        return !any_ready(r, r.case_count, w) && !deadline_came_first(r, w);
    }

    bool happens(const entry& n, world& w) const {
        const record& r = of(n);
        if (!passes(n, w)) return false;
        switch (n.what) {
            case event::stop_requested:
                if (std::exchange(w.stopped, true)) return true;
                w.stopped_from = r.from;
                w.stopped_to = r.to;
                return true;
            case event::begun: return !w.stopped;
            case event::waits: w.waiting |= operations{1} << n.operation; return true;
            case event::first_ready: return is_first_ready(r, w);
            case event::nothing_ready: return !any_ready(r, r.case_count, w) && !(r.until && stop_came_first(r, w));
            case event::stopped: return is_stopped(r, w);
            case event::threw: return true;
            default: return happens_to(w.channels[static_cast<std::size_t>(n.channel)], spec(n.channel), n);
        }
    }

    static bool happens_to(channel_state& s, const spec_of_channel& kind, const entry& n) {
        switch (n.what) {
            case event::sent:
                if (s.closed || s.size() >= kind.capacity) return false;
                s.queue[static_cast<std::size_t>(s.last++)] = static_cast<std::int8_t>(n.value);
                return true;
            case event::received:
                if (kind.is_timer()) return !std::exchange(s.closed, true);
                if (s.size() == 0 || s.queue[static_cast<std::size_t>(s.first)] != n.value) return false;
                ++s.first;
                return true;
            case event::send_refused: return s.closed;
            case event::receive_refused: return s.closed && s.size() == 0;
            case event::closed: return !std::exchange(s.closed, true);
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
            default: return false;
        }
    }

    std::array<entry, most_events> entries_;
    std::array<events, most_events> before_{};
    std::array<record, most_operations> records_;
    std::array<spec_of_channel, most_channels> specs_;
    std::array<int, max_threads> pending_{};
    int count_ = 0, channels_ = 0, operations_ = 0;
};

// Of the running execution. Outside of the model's memory: writing it down orders nothing.
inline event_history history;

using operation = event_history::operation;

inline operation::operation(const char* what) : of_(history), number_(history.operations_) {
    expect(number_ < most_operations, "too many operations");
    ++of_.operations_;
    doing(what);
    mine() = {};
    mine().thread = self();
    of_.pending_[static_cast<std::size_t>(mine().thread)] = number_;
    mine().begun = begin_operation();
    if (time_matters) mine().from = time_of_the_model();
}

}  // namespace model
