// What is done to the channels of a model: the program writes it down, and it is checked when the execution is over.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <model/event_log.hpp>
#include <model/explorer/control.hpp>
#include <model/linearization.hpp>

namespace model {

class event_history {
    using pending_case = event_log::pending_case;
    using entry = event_log::entry;
    using record = event_log::record;
    static constexpr int most_events = event_log::most_events, most_channels = event_log::most_channels;

public:
    void clear() {
        log_.count = log_.channels = log_.operations = 0;
        pending_.fill(-1);
    }

    // A channel with one handle of each side; `capacity` is empty if it is unbounded.
    int add_channel(std::optional<std::size_t> capacity, sluice::overflow rule = sluice::overflow::block) {
        expect(log_.channels < most_channels, "too many channels");
        log_.specs[static_cast<std::size_t>(log_.channels)] = {
            .capacity = capacity ? static_cast<int>(*capacity) : most_events, .rule = rule};
        return log_.channels++;
    }
    // One that delivers a message when it is due, and is closed after it.
    int add_timer(clock::time_point due) {
        const int channel = add_channel(0);
        log_.spec(channel).due = due;
        return channel;
    }
    void more_senders(int channel, int n) { log_.spec(channel).senders += n; }
    void more_receivers(int channel, int n) { log_.spec(channel).receivers += n; }
    bool is_rendezvous(int channel) const { return log_.spec(channel).capacity == 0; }

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
        operation& hears_of_closing(int channel, int place = -1) {
            return add({pending_case::kind::closing, static_cast<std::int8_t>(channel), true}, place);
        }
        // Up to two, of which it may have sent, or received, the first by the time that it waits.
        operation& sends_many(int channel) {
            mine().many = true;
            return sends(channel);
        }
        operation& receives_many(int channel) {
            mine().many = true;
            return receives(channel);
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
                expect(w.what != pending_case::kind::closing, "a select gives up waiting for a closing");
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
            for (int i = 0; i < of_.log_.count; ++i) {
                entry& n = of_.log_.noted[static_cast<std::size_t>(i)];
                if (n.operation == number_ && n.ended == 0) n.ended = r.ended;
            }
            of_.pending_[static_cast<std::size_t>(r.thread)] = -1;
        }

    private:
        record& mine() { return of_.log_.records[static_cast<std::size_t>(number_)]; }
        operation& add(pending_case w, int place) {
            record& r = mine();
            expect(r.case_count < event_log::most_cases, "too many cases");
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
    // known: a send of many that is under way may have sent some, and a receive of many may have received some.
    void check_quiet(std::array<std::optional<std::size_t>, most_channels> sizes = {}) {
        bool stopped = false;
        for (const entry& n : log_.entries()) stopped |= n.what == event::stop_requested;
        for (int thread = 0; thread < max_threads; ++thread) {
            if (thread == self() || !pending(thread)) continue;
            expect(!stopped || !pending(thread)->has_token,
                   "lost wake-up: an operation waits though its stop was requested");
        }
        for (int c = 0; c < log_.channels; ++c) {
            if (log_.spec(c).due == clock::time_point::max()) check_quiet(c, sizes[static_cast<std::size_t>(c)]);
        }
        for (int thread = 0; thread < max_threads; ++thread) {
            if (thread != self() && pending(thread) && is_asleep(thread)) seen_asleep(thread);
        }
    }

    // Fails if no order of the events explains them.
    void check() {
        if (!order_.exists()) fail("not linearizable: no sequential channel does this:" + order_.text());
    }

private:
    const record* pending(int thread) const {
        const int n = pending_[static_cast<std::size_t>(thread)];
        return n < 0 ? nullptr : &log_.records[static_cast<std::size_t>(n)];
    }

    void add(const entry& n) {
        expect(log_.count < most_events, "too many events");
        log_.noted[static_cast<std::size_t>(log_.count++)] = n;
    }

    void check_quiet(int c, std::optional<std::size_t> size) const {
        int buffered = 0;
        bool open = true;
        int senders = log_.spec(c).senders, receivers = log_.spec(c).receivers;
        for (const entry& n : log_.entries()) {
            if (n.channel != c) continue;
            buffered += n.what == event::sent ? 1 : n.what == event::received ? -1 : 0;
            if (n.what == event::forced && forced_out(n.value) < 0) ++buffered;
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
        int at_least = buffered, at_most = buffered;
        for (int a = 0; a < max_threads; ++a) {
            at_most += wants(a, pending_case::kind::send) && pending(a)->many ? 1 : 0;
            at_least -= wants(a, pending_case::kind::receive) && pending(a)->many ? 1 : 0;
        }
        if (size) {
            expect(
                log_.spec(c).discards() || (static_cast<int>(*size) >= at_least && static_cast<int>(*size) <= at_most),
                "lost wake-up, or lost message: size() is not what was sent without what was received");
            at_least = at_most = static_cast<int>(*size);
        }
        for (int a = 0; a < max_threads; ++a) {
            const bool sends = wants(a, pending_case::kind::send), receives = wants(a, pending_case::kind::receive);
            if (!sends && !receives && !wants(a, pending_case::kind::closing)) continue;
            expect(open, "lost wake-up: an operation waits on a closed channel");
            expect(!receives || at_least <= 0, "lost wake-up: a receive waits though there is a message");
            expect(!sends || at_most >= log_.spec(c).capacity, "lost wake-up: a send waits though there is room");
            for (int b = 0; sends && b < max_threads; ++b) {
                expect(b == a || !wants(b, pending_case::kind::receive),
                       "lost wake-up: a send and a receive wait for each other");
            }
        }
    }

    event_log log_;
    linearization order_{log_};
    std::array<int, max_threads> pending_{};
};

// Of the running execution. Outside of the model's memory: writing it down orders nothing.
inline event_history history;

using operation = event_history::operation;

inline operation::operation(const char* what) : of_(history), number_(history.log_.operations) {
    expect(number_ < event_log::most_operations, "too many operations");
    ++of_.log_.operations;
    doing(what);
    mine() = {};
    mine().thread = self();
    of_.pending_[static_cast<std::size_t>(mine().thread)] = number_;
    mine().begun = begin_operation();
    if (time_matters) mine().from = time_of_the_model();
}

}  // namespace model
