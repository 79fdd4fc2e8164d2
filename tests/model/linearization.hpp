// Whether plain sequential channels could have done what was seen.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <model/event_log.hpp>
#include <model/explorer/control.hpp>

namespace model {

// The search of Wing and Gong ("Testing and Verifying Concurrent Objects", 1993): an order of the events that each
// thread and each happens-before agrees with, and in which sequential channels do what was seen, as time passes. A
// channel does not say who waits, so a thread counts as waiting from when it was seen to, until its operation comes to
// something.
class linearization {
public:
    explicit linearization(const event_log& log) : log_(log) {}

    // Whether there is such an order.
    bool exists() {
        for (int i = 0; i < log_.count; ++i) {
            before_[static_cast<std::size_t>(i)] = 0;
            for (int j = 0; j < log_.count; ++j) {
                const entry &earlier = log_.at(j), &later = log_.at(i);
                const bool first = earlier.operation == later.operation ? precedes_in_operation(j, i)
                                                                        : log_.ended_before(earlier, log_.of(later));
                if (first) before_[static_cast<std::size_t>(i)] |= bit(j);
            }
        }
        // What a biased select takes on a rendezvous is ready once its peer has come.
        for (int i = 0; i < log_.count; ++i) {
            const entry* const peer =
                log_.at(i).what == event::first_ready ? log_.peer_of(log_.at(i).operation) : nullptr;
            for (int j = 0; peer && j < log_.count; ++j) {
                if (log_.at(j).operation != peer->operation && log_.at(j).operation != log_.at(i).operation &&
                    log_.ended_before(log_.at(j), log_.of(*peer))) {
                    before_[static_cast<std::size_t>(i)] |= bit(j);
                }
            }
        }
        world start;
        for (int c = 0; c < log_.channels; ++c) {
            start.channels[static_cast<std::size_t>(c)].senders = log_.spec(c).senders;
            start.channels[static_cast<std::size_t>(c)].receivers = log_.spec(c).receivers;
        }
        return search(0, start);
    }

    // The events, and which must come before each.
    std::string text() const {
        constexpr const char* names[] = {"sent",
                                         "received",
                                         "send refused",
                                         "receive refused",
                                         "closed",
                                         "was closed",
                                         "sender dropped",
                                         "receiver dropped",
                                         "forced in (and 256 times what came out, plus 1)",
                                         "stop requested",
                                         "begun before the stop",
                                         "seen to wait",
                                         "its case is the first that is ready",
                                         "nothing is ready",
                                         "stopped",
                                         "threw"};
        std::string t;
        for (int i = 0; i < log_.count; ++i) {
            const entry& n = log_.at(i);
            t += "\n  event " + std::to_string(i) + ": thread " + std::to_string(log_.of(n).thread) + ", operation " +
                 std::to_string(n.operation);
            if (n.channel >= 0) t += ", channel " + std::to_string(n.channel);
            t += std::string(": ") + names[static_cast<int>(n.what)];
            if (n.value >= 0) t += " " + std::to_string(n.value);
            t += ", after";
            for (int j = 0; j < log_.count; ++j) {
                if ((before_[static_cast<std::size_t>(i)] & bit(j)) != 0) t += " " + std::to_string(j);
            }
        }
        return t;
    }

private:
    using pending_case = event_log::pending_case;
    using spec_of_channel = event_log::spec_of_channel;
    using entry = event_log::entry;
    using record = event_log::record;
    static constexpr int most_events = event_log::most_events, most_channels = event_log::most_channels;

    using events = std::uint64_t;      // a bit for each
    using operations = std::uint64_t;  // likewise
    static_assert(most_events <= 64 && event_log::most_operations <= 64);

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

    bool precedes_in_operation(int earlier, int later) const {
        const auto phase = [](event e) { return e == event::begun ? 0 : e == event::waits ? 1 : 2; };
        const int a = phase(log_.at(earlier).what), b = phase(log_.at(later).what);
        return a != b ? a < b : earlier < later && log_.at(earlier).in_order && log_.at(later).in_order;
    }

    bool may_be_next(int i, events done) const {
        return (done & bit(i)) == 0 && (before_[static_cast<std::size_t>(i)] & ~done) == 0;
    }

    bool search(events done, const world& now) const {
        if (done == bit(log_.count) - 1) return true;
        for (int i = 0; i < log_.count; ++i) {
            if (!may_be_next(i, done)) continue;
            const entry& n = log_.at(i);
            if (n.what == event::sent && log_.spec(n.channel).capacity == 0) {
                if (meets_somebody(i, done, now)) return true;
                continue;
            }
            world next = now;
            if (happens(n, next) && search(done | bit(i), next)) return true;
        }
        return false;
    }

    bool meets_somebody(int i, events done, const world& now) const {
        const entry& n = log_.at(i);
        if (now.channels[static_cast<std::size_t>(n.channel)].closed) return false;
        for (int j = 0; j < log_.count; ++j) {
            const entry& peer = log_.at(j);
            if (peer.what != event::received || peer.channel != n.channel || peer.value != n.value ||
                peer.operation == n.operation || !may_be_next(j, done)) {
                continue;
            }
            if (!log_.of(n).may_wait && !log_.of(peer).may_wait) continue;
            world next = now;
            if (passes(n, next) && passes(peer, next) && search(done | bit(i) | bit(j), next)) return true;
        }
        return false;
    }

    // Before that the case which a biased select takes cannot be ready.
    clock::time_point ready_from(const entry& n) const {
        const pending_case& c = log_.of(n).cases[static_cast<std::size_t>(log_.of(n).chosen)];
        if (c.channel < 0) return {};
        if (log_.spec(c.channel).is_timer()) return log_.spec(c.channel).due;
        const entry* const peer = log_.peer_of(n.operation);
        return peer ? log_.of(*peer).from : clock::time_point{};
    }

    // Time passes to where the event is possible; false if it is too late for it. Who has come to something no longer
    // waits.
    bool passes(const entry& n, world& w) const {
        const record& r = log_.of(n);
        clock::time_point earliest = r.from;
        if (n.what == event::nothing_ready && r.until) earliest = std::max(earliest, *r.until);
        if (n.what == event::received && log_.spec(n.channel).is_timer())
            earliest = std::max(earliest, log_.spec(n.channel).due);
        if (n.what == event::first_ready) earliest = std::max(earliest, ready_from(n));
        w.time = std::max(w.time, earliest);
        if (w.time > std::min(r.to, n.by)) return false;
        if (n.what != event::begun && n.what != event::waits && n.what != event::first_ready)
            w.waiting &= ~(operations{1} << n.operation);
        return true;
    }

    bool someone_waits(pending_case::kind what, int channel, const world& w) const {
        for (int i = 0; i < log_.operations; ++i) {
            if ((w.waiting >> i & 1) != 0 && log_.records[static_cast<std::size_t>(i)].wants(what, channel))
                return true;
        }
        return false;
    }

    // Whether the same, tried by another at that moment, would do something.
    bool ready(const pending_case& c, const world& w) const {
        if (c.what == pending_case::kind::stop) return w.stopped;
        const channel_state& s = w.channels[static_cast<std::size_t>(c.channel)];
        const spec_of_channel& kind = log_.spec(c.channel);
        if (c.what == pending_case::kind::closing) return s.closed;
        if (kind.is_timer()) return s.closed ? c.hears_closing : w.time >= kind.due;
        if (c.what == pending_case::kind::receive) {
            if (s.size() > 0) return true;
            return s.closed ? c.hears_closing : someone_waits(pending_case::kind::send, c.channel, w);
        }
        if (s.closed) return c.hears_closing;
        return s.size() < kind.capacity || kind.discards() || someone_waits(pending_case::kind::receive, c.channel, w);
    }
    bool any_ready(const record& r, int cases, const world& w) const {
        return std::any_of(r.cases.begin(), r.cases.begin() + cases,
                           [&](const pending_case& c) { return ready(c, w); });
    }

    bool is_first_ready(const record& r, const world& w) const {
        const pending_case& c = r.cases[static_cast<std::size_t>(r.chosen)];
        const bool by_peer = c.channel >= 0 && c.what != pending_case::kind::closing &&
                             log_.spec(c.channel).capacity == 0 && !log_.spec(c.channel).is_timer() &&
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
        const record& r = log_.of(n);
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
            default: return happens_to(w.channels[static_cast<std::size_t>(n.channel)], log_.spec(n.channel), n);
        }
    }

    static bool happens_to(channel_state& s, const spec_of_channel& kind, const entry& n) {
        switch (n.what) {
            case event::sent:
                if (s.closed) return false;
                if (s.size() >= kind.capacity) {
                    if (!kind.discards()) return false;
                    if (kind.rule == sluice::overflow::drop_newest) return true;
                    ++s.first;
                }
                s.queue[static_cast<std::size_t>(s.last++)] = static_cast<std::int8_t>(n.value);
                return true;
            case event::forced: {
                const int out = forced_out(n.value);
                if (s.closed || (out >= 0) != (s.size() >= kind.capacity)) return false;
                if (out >= 0 && s.queue[static_cast<std::size_t>(s.first++)] != out) return false;
                s.queue[static_cast<std::size_t>(s.last++)] = static_cast<std::int8_t>(forced_in(n.value));
                return true;
            }
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

    const event_log& log_;
    std::array<events, most_events> before_{};
};

}  // namespace model
