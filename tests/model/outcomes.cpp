// What an operation reports: a stop that was requested before it began; else what the channel says; else, of a stop and
// a deadline, what came first, if nothing else had come by then.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace model {

namespace {

using M = number;
using sluice::errc;

constexpr clock::time_point deadline{clock::tick};

struct fixture {
    explicit fixture(std::optional<std::size_t> capacity) : p(capacity) {}

    probe<M> p;
    stop_source stop;
    stop_token token = stop.get_token();
    std::optional<timer_probe> timer;
    std::optional<sluice::selector> group;
    operation* now = nullptr;  // of the thread that waits on the group

    const sluice::sender<M>& tx() const { return p.ends.tx; }
    const sluice::receiver<M>& rx() const { return p.ends.rx; }
    int number() const { return p.number; }

    void finish() {
        wait_until_quiet();
        history.check_quiet({p.ends.rx.size()});
        request_stop(stop);
        close(p.ends.tx, p.number);
    }
    void drain() {
        while (try_recv(p.ends.rx, p.number) == errc{}) {
        }
    }
};

using action = std::function<void(fixture&)>;

// An operation, and how it ends though its channel has nothing for it.
enum class ends : std::uint8_t { never, when_stopped, in_time, either_way };

struct tested_op {
    tested_op(const char* called, ends how, action does, action before = {})
        : name(called),
          stops(how == ends::when_stopped || how == ends::either_way),
          times_out(how == ends::in_time || how == ends::either_way),
          run(std::move(does)),
          prepare(std::move(before)) {}

    const char* name;
    bool stops, times_out;
    action run, prepare;
};

void add_source(fixture& s) {
    if (s.timer) {
        s.group->add(sluice::on_recv(s.timer->timer, [&s](clock::time_point when) {
            s.now->came_to(event::received, s.timer->number, received_id(when));
        }));
    } else {
        s.group->add(sluice::on_recv(s.rx(), [&s](const sluice::result<M>& m) {
            s.now->came_to(m ? event::received : event::receive_refused, s.number(), m ? m->id() : -1);
        }));
    }
}
void make_group(fixture& s) {
    s.group.emplace();
    add_source(s);
}
void make_group_with_stop(fixture& s) {
    s.group.emplace();
    s.group->add(sluice::on_stop(s.token, [&s] { s.now->was_stopped(); }));
    add_source(s);
}
template <class Wait>
void wait_on_group(fixture& s, operation& op, Wait&& wait) {
    s.timer ? op.receives(s.timer->number, false) : op.receives(s.number());
    s.now = &op;
    const auto chosen = wait();
    if (chosen) return;
    if (chosen.error() == errc::stopped) return op.was_stopped();
    if (chosen.error() == errc::closed) return op.all_closed();
    expect(chosen.error() == errc::timeout, "a group fails for a reason that it cannot have");
    op.gave_up();
}
void wait_with_stop_case(fixture& s) {
    operation op("selector.wait_until");
    op.hears_of_stop(s.token).until(deadline);
    wait_on_group(s, op, [&] { return s.group->wait_until(deadline); });
}
void wait_under_stop(fixture& s) {
    operation op("selector.wait(stop)");
    op.obeys(s.token);
    wait_on_group(s, op, [&] { return s.group->wait(s.token); });
}
void wait_until_under_stop(fixture& s) {
    operation op("selector.wait_until(stop)");
    op.obeys(s.token).until(deadline);
    wait_on_group(s, op, [&] { return s.group->wait_until(deadline, s.token); });
}

auto receiving(operation& op, fixture& s, int place = -1) { return receiving_or_closed(op, s.rx(), s.number(), place); }
auto sending(operation& op, fixture& s, M& m) { return sending_or_closed(op, s.tx(), s.number(), m); }
auto timer_of(operation& op, fixture& s, int place = -1) { return receiving(op, *s.timer, place); }
auto stop_of(operation& op, fixture& s, int place = -1) { return stopping(op, s.token, place); }

const std::vector<tested_op>& receives() {
    static const std::vector<tested_op> all = {
        tested_op("recv_stop", ends::when_stopped, [](fixture& s) { recv(s.rx(), s.number(), s.token); }),
        tested_op("recv_until", ends::in_time, [](fixture& s) { recv_until(s.rx(), s.number(), deadline); }),
        tested_op("recv_timeout", ends::in_time, [](fixture& s) { recv_timeout(s.rx(), s.number()); }),
        tested_op("recv_until_stop", ends::either_way,
                  [](fixture& s) { recv_until(s.rx(), s.number(), deadline, s.token); }),
        tested_op("select_stop", ends::when_stopped,
                  [](fixture& s) {
                      operation op("select(recv, stop)");
                      chose(op, sluice::select(receiving(op, s), stop_of(op, s)), false);
                  }),
        tested_op("select_deadline", ends::in_time,
                  [](fixture& s) {
                      operation op("select(recv, deadline)");
                      chose(op, sluice::select(receiving(op, s), giving_up_by(op, deadline)), false);
                  }),
        tested_op("select_timeout", ends::in_time,
                  [](fixture& s) {
                      operation op("select(recv, timeout)");
                      chose(op, sluice::select(receiving(op, s), giving_up_after(op, clock::tick)), false);
                  }),
        tested_op("select_stop_deadline", ends::either_way,
                  [](fixture& s) {
                      operation op("select(recv, stop, deadline)");
                      chose(op, sluice::select(receiving(op, s), stop_of(op, s), giving_up_by(op, deadline)), false);
                  }),
        tested_op("biased_stop_deadline", ends::either_way,
                  [](fixture& s) {
                      operation op("select_biased(recv, stop, deadline)");
                      op.biased();
                      chose(op,
                            sluice::select_biased(receiving(op, s, 0), stop_of(op, s, 1), giving_up_by(op, deadline)),
                            false);
                  }),
        tested_op("group_stop_until", ends::either_way, wait_with_stop_case, make_group_with_stop),
        tested_op("group_wait_stop", ends::when_stopped, wait_under_stop, make_group),
        tested_op("group_until_stop", ends::either_way, wait_until_under_stop, make_group),
    };
    return all;
}

const std::vector<tested_op>& sends() {
    static const std::vector<tested_op> all = {
        tested_op("send_stop", ends::when_stopped, [](fixture& s) { send(s.tx(), s.number(), 10, s.token); }),
        tested_op("send_until", ends::in_time, [](fixture& s) { send_until(s.tx(), s.number(), 10, deadline); }),
        tested_op("send_timeout", ends::in_time, [](fixture& s) { send_timeout(s.tx(), s.number(), 10); }),
        tested_op("send_until_stop", ends::either_way,
                  [](fixture& s) { send_until(s.tx(), s.number(), 10, deadline, s.token); }),
        tested_op("select_stop", ends::when_stopped,
                  [](fixture& s) {
                      operation op("select(send, stop)");
                      M m(10);
                      chose(op, sluice::select(sending(op, s, m), stop_of(op, s)), false);
                  }),
        tested_op("select_deadline", ends::in_time,
                  [](fixture& s) {
                      operation op("select(send, deadline)");
                      M m(10);
                      chose(op, sluice::select(sending(op, s, m), giving_up_by(op, deadline)), false);
                  }),
        tested_op("select_stop_deadline", ends::either_way,
                  [](fixture& s) {
                      operation op("select(send, stop, deadline)");
                      M m(10);
                      chose(op, sluice::select(sending(op, s, m), stop_of(op, s), giving_up_by(op, deadline)), false);
                  }),
    };
    return all;
}

const std::vector<tested_op>& receives_of_timer() {
    static const std::vector<tested_op> all = {
        tested_op("recv_stop", ends::when_stopped, [](fixture& s) { recv(s.timer->timer, s.timer->number, s.token); }),
        tested_op("recv_until", ends::in_time,
                  [](fixture& s) { recv_until(s.timer->timer, s.timer->number, deadline); }),
        tested_op("recv_timeout", ends::in_time, [](fixture& s) { recv_timeout(s.timer->timer, s.timer->number); }),
        tested_op("recv_until_stop", ends::either_way,
                  [](fixture& s) { recv_until(s.timer->timer, s.timer->number, deadline, s.token); }),
        tested_op("select_stop", ends::when_stopped,
                  [](fixture& s) {
                      operation op("select(timer, stop)");
                      chose(op, sluice::select(timer_of(op, s), stop_of(op, s)), false);
                  }),
        tested_op("select_deadline", ends::in_time,
                  [](fixture& s) {
                      operation op("select(timer, deadline)");
                      chose(op, sluice::select(timer_of(op, s), giving_up_by(op, deadline)), false);
                  }),
        tested_op("select_otherwise", ends::never,
                  [](fixture& s) {
                      operation op("select(timer, otherwise)");
                      chose(op, sluice::select(timer_of(op, s), giving_up(op)), false);
                  }),
        tested_op("select_recv_otherwise", ends::never,
                  [](fixture& s) {
                      operation op("select(timer, recv, otherwise)");
                      chose(op, sluice::select(timer_of(op, s), receiving(op, s), giving_up(op)), false);
                  }),
        tested_op("biased_timer_stop", ends::when_stopped,
                  [](fixture& s) {
                      operation op("select_biased(timer, stop)");
                      op.biased();
                      chose(op, sluice::select_biased(timer_of(op, s, 0), stop_of(op, s, 1)), false);
                  }),
        tested_op("biased_stop_timer", ends::when_stopped,
                  [](fixture& s) {
                      operation op("select_biased(stop, timer)");
                      op.biased();
                      chose(op, sluice::select_biased(stop_of(op, s, 0), timer_of(op, s, 1)), false);
                  }),
        tested_op("biased_timer_recv", ends::never,
                  [](fixture& s) {
                      operation op("select_biased(timer, recv)");
                      op.biased();
                      chose(op, sluice::select_biased(timer_of(op, s, 0), receiving(op, s, 1)), false);
                  }),
        tested_op("biased_recv_timer", ends::never,
                  [](fixture& s) {
                      operation op("select_biased(recv, timer)");
                      op.biased();
                      chose(op, sluice::select_biased(receiving(op, s, 0), timer_of(op, s, 1)), false);
                  }),
        tested_op("group_stop_until", ends::either_way, wait_with_stop_case, make_group_with_stop),
        tested_op("group_wait_stop", ends::when_stopped, wait_under_stop, make_group),
        tested_op("group_until_stop", ends::either_way, wait_until_under_stop, make_group),
    };
    return all;
}

struct start_state {
    std::string name;
    std::optional<std::size_t> capacity;
    int filled;
};

const char* const in_time = "What came before the stop or the deadline counts; of these two, the first.";

// What happens meanwhile, in this order.
struct events {
    const char* name;
    std::vector<action> actions;
    bool stop;
};

void add_beside(const std::string& family, const start_state& where, const tested_op& what, const events& meanwhile,
                budgets limits, clock::duration timer = {}) {
    if (!what.stops && meanwhile.stop) return;
    if (!what.times_out && !meanwhile.stop && timer == clock::duration{}) return;
    add("outcome/" + family + "/" + where.name + "/" + what.name + "+" + meanwhile.name, in_time, limits, [=] {
        fixture s(where.capacity);
        if (timer > clock::duration{}) s.timer.emplace(timer);
        for (int i = 0; i < where.filled; ++i) expect(try_send(s.tx(), s.number(), 20 + i) == errc{}, "a fill fails");
        if (what.prepare) what.prepare(s);
        {
            thread under_way([&] { what.run(s); });
            thread beside([&] {
                for (const action& d : meanwhile.actions) d(s);
            });
            s.finish();
        }
        s.drain();
    });
}

// On a rendezvous: a thread comes to wait, and then the stop is requested.
void add_peer(const std::string& family, const tested_op& what, const char* name, const action& peer, budgets limits) {
    add("outcome/" + family + "/rendezvous/" + what.name + "+" + name, in_time, limits, [=] {
        fixture s(0);
        if (what.prepare) what.prepare(s);
        {
            thread under_way([&] { what.run(s); });
            thread other([&] { peer(s); });
            if (wait_until_asleep(other)) history.seen_asleep(other.number());
            if (what.stops) request_stop(s.stop);
            s.finish();
        }
    });
}

// ---- Requested before

template <class Result>
void expect_stopped(const Result& r) {
    expect(!r && r.error() == errc::stopped, "an operation goes on although its stop was requested before");
}

void add_before() {
    constexpr budgets limits{.preemptions = 0, .stale_reads = 0, .detours = 3};
    const start_state starts[] = {
        {"one", 1, 0}, {"one-full", 1, 1}, {"rendezvous", 0, 0}, {"unbounded", std::nullopt, 1}};
    const std::string property = "A stop that was requested before the operation wins over everything.";
    for (const auto* ops : {&receives(), &sends(), &receives_of_timer()}) {
        const bool timed = ops == &receives_of_timer();
        const std::string family = timed ? "timer" : ops == &sends() ? "send" : "recv";
        for (const tested_op& what : *ops) {
            // A biased select takes what is listed before its stop.
            if (!what.stops || std::string(what.name).starts_with("biased")) continue;
            for (const start_state& where : starts) {
                for (const bool closed : {false, true}) {
                    for (const bool late : {false, true}) {
                        add("outcome/before/" + family + "/" + where.name + (closed ? "-closed/" : "/") + what.name +
                                (late ? "-late" : ""),
                            property, limits, [=] {
                                fixture s(where.capacity);
                                if (timed) s.timer.emplace(clock::tick);
                                for (int i = 0; i < where.filled; ++i)
                                    expect(try_send(s.tx(), s.number(), 20 + i) == errc{}, "a fill fails");
                                if (what.prepare) what.prepare(s);
                                if (closed) close(s.tx(), s.number());
                                request_stop(s.stop);
                                if (late) (void)sluice::after(clock::tick).recv();
                                what.run(s);
                                s.finish();
                                s.drain();
                            });
                    }
                }
            }
        }
    }
    add("outcome/before/empty-handles", property, limits, [] {
        stop_source stop;
        const stop_token token = stop.get_token();
        request_stop(stop);
        const sluice::sender<M> tx;
        const sluice::receiver<M> rx;
        const sluice::timer timer;
        M m(1);
        expect_stopped(tx.send(std::move(m), token));
        expect_stopped(tx.send_until(std::move(m), deadline, token));
        expect_stopped(tx.send_timeout(std::move(m), clock::duration{}, token));
        expect(m.id() == 1, "a send that failed has moved from its message");
        expect_stopped(rx.recv(token));
        expect_stopped(rx.recv_until(deadline, token));
        expect_stopped(rx.recv_timeout(clock::duration{}, token));
        expect_stopped(timer.recv(token));
        expect_stopped(timer.recv_timeout(clock::duration{}, token));
    });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 0, .detours = 1};

    const action sends_one = [](fixture& s) { try_send(s.tx(), s.number(), 1); };
    const action takes_one = [](fixture& s) { try_recv(s.rx(), s.number()); };
    const action closes = [](fixture& s) { close(s.tx(), s.number()); };
    const action stops = [](fixture& s) { request_stop(s.stop); };
    const action sends_waiting = [](fixture& s) { send(s.tx(), s.number(), 1); };
    const action takes_one_late = [](fixture& s) {
        (void)sluice::after(clock::tick).recv();
        try_recv(s.rx(), s.number());
    };
    const action receives_waiting = [](fixture& s) { recv(s.rx(), s.number()); };

    for (const auto& [family, ops, come] :
         {std::tuple("recv", &receives(), sends_one), std::tuple("send", &sends(), takes_one)}) {
        const bool receiving = ops == &receives();
        const char* const it = receiving ? "message" : "room";
        const std::vector<events> all = {
            {it, {come}, false},
            {"closing", {closes}, false},
            {receiving ? "message-stop" : "room-stop", {come, stops}, true},
            {"closing-stop", {closes, stops}, true},
            {receiving ? "stop-message" : "stop-room", {stops, come}, true},
            {"stop-closing", {stops, closes}, true},
            {"stop", {stops}, true},
        };
        std::vector<start_state> starts = {{"rendezvous", 0, 0}};
        if (receiving) {
            starts.push_back({"one", 1, 0});
            starts.push_back({"unbounded", std::nullopt, 0});
        } else {
            starts.push_back({"one-full", 1, 1});
        }
        for (const tested_op& what : *ops) {
            for (const start_state& where : starts) {
                for (const events& e : all) add_beside(family, where, what, e, limits);
            }
            add_peer(family, what, what.stops ? "peer-stop" : "peer", receiving ? sends_waiting : receives_waiting,
                     limits);
        }
    }

    for (const tested_op& what : receives_of_timer()) {
        for (const int due : {1, 2}) {
            const start_state where{"due-" + std::to_string(due), 0, 0};
            add_beside("timer", where, what, {"nothing", {}, false}, limits, due * clock::tick);
            add_beside("timer", where, what, {"stop", {stops}, true}, limits, due * clock::tick);
            add_beside("timer", where, what, {"message", {sends_one}, false}, limits, due * clock::tick);
            add_beside("timer", where, what,
                       {"recv", {[](fixture& s) { try_recv(s.timer->timer, s.timer->number); }}, false}, limits,
                       due * clock::tick);
        }
    }
    for (const tested_op& what : receives_of_timer()) {
        if (std::string(what.name) == "select_recv_otherwise") {
            add_beside("timer", {"after-message", 1, 1}, what, {"recv-late", {takes_one_late}, false}, limits,
                       clock::tick);
        }
    }
    add_before();
    return true;
}();

}  // namespace model
