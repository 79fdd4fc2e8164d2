// What an operation reports: a stop that was requested before it began; else what the channel says; else, of a stop and a deadline, what
// came first, if nothing else had come by then.
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

struct stage {
    explicit stage(std::optional<std::size_t> capacity) : p(capacity) {}

    probe<M> p;
    stop_source stop;
    stop_token token = stop.get_token();
    std::optional<timer_probe> timer;
    std::optional<sluice::selector> group;
    history::operation* now = nullptr;  // of the one who waits on the group

    const sluice::sender<M>& tx() const { return p.ends.tx; }
    const sluice::receiver<M>& rx() const { return p.ends.rx; }
    int number() const { return p.number; }

    void finish() {
        wait_until_quiet();
        book.check_quiet({p.ends.rx.size()});
        request_stop(stop);
        close(p.ends.tx, p.number);
    }
    void drain() {
        while (try_recv(p.ends.rx, p.number) == errc{}) {
        }
    }
};

using deed = std::function<void(stage&)>;

// An operation, and how it ends though its channel has nothing for it.
enum class ends : std::uint8_t { never, when_stopped, in_time, either_way };

struct part {
    part(const char* called, ends how, deed does, deed before = {})
        : name(called),
          stops(how == ends::when_stopped || how == ends::either_way),
          times_out(how == ends::in_time || how == ends::either_way),
          play(std::move(does)),
          prepare(std::move(before)) {}

    const char* name;
    bool stops, times_out;
    deed play, prepare;
};

void wait_on_group(stage& s) {
    history::operation op(book, "selector.wait_until");
    op.hears_of_stop(s.token).until(deadline);
    s.timer ? op.receives(s.timer->number, false) : op.receives(s.number());
    s.now = &op;
    const auto chosen = s.group->wait_until(deadline);
    if (chosen) return;
    expect(chosen.error() == errc::timeout, "a group fails for a reason that it cannot have");
    op.gave_up();
}
void make_group(stage& s) {
    s.group.emplace();
    s.group->add(sluice::on_stop(s.token, [&s] { s.now->was_stopped(); }));
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

auto receiving(history::operation& op, stage& s, int place = -1) {
    return receiving_or_closed(op, s.rx(), s.number(), place);
}
auto sending(history::operation& op, stage& s, M& m) { return sending_or_closed(op, s.tx(), s.number(), m); }
auto timer_of(history::operation& op, stage& s, int place = -1) { return receiving(op, *s.timer, place); }
auto stop_of(history::operation& op, stage& s, int place = -1) { return stopping(op, s.token, place); }

const std::vector<part>& receives() {
    static const std::vector<part> all = {
        part("recv_stop", ends::when_stopped, [](stage& s) { recv(s.rx(), s.number(), s.token); }),
        part("recv_until", ends::in_time, [](stage& s) { recv_until(s.rx(), s.number(), deadline); }),
        part("recv_timeout", ends::in_time, [](stage& s) { recv_timeout(s.rx(), s.number()); }),
        part("recv_until_stop", ends::either_way, [](stage& s) { recv_until(s.rx(), s.number(), deadline, s.token); }),
        part("select_stop", ends::when_stopped,
             [](stage& s) {
                 history::operation op(book, "select(recv, stop)");
                 chose(op, sluice::select(receiving(op, s), stop_of(op, s)), false);
             }),
        part("select_deadline", ends::in_time,
             [](stage& s) {
                 history::operation op(book, "select(recv, deadline)");
                 chose(op, sluice::select(receiving(op, s), giving_up_by(op, deadline)), false);
             }),
        part("select_timeout", ends::in_time,
             [](stage& s) {
                 history::operation op(book, "select(recv, timeout)");
                 chose(op, sluice::select(receiving(op, s), giving_up_after(op, clock::tick)), false);
             }),
        part("select_stop_deadline", ends::either_way,
             [](stage& s) {
                 history::operation op(book, "select(recv, stop, deadline)");
                 chose(op, sluice::select(receiving(op, s), stop_of(op, s), giving_up_by(op, deadline)), false);
             }),
        part("biased_stop_deadline", ends::either_way,
             [](stage& s) {
                 history::operation op(book, "select_biased(recv, stop, deadline)");
                 op.biased();
                 chose(op, sluice::select_biased(receiving(op, s, 0), stop_of(op, s, 1), giving_up_by(op, deadline)),
                       false);
             }),
        part("group_stop_until", ends::either_way, wait_on_group, make_group),
    };
    return all;
}

const std::vector<part>& sends() {
    static const std::vector<part> all = {
        part("send_stop", ends::when_stopped, [](stage& s) { send(s.tx(), s.number(), 10, s.token); }),
        part("send_until", ends::in_time, [](stage& s) { send_until(s.tx(), s.number(), 10, deadline); }),
        part("send_timeout", ends::in_time, [](stage& s) { send_timeout(s.tx(), s.number(), 10); }),
        part("send_until_stop", ends::either_way,
             [](stage& s) { send_until(s.tx(), s.number(), 10, deadline, s.token); }),
        part("select_stop", ends::when_stopped,
             [](stage& s) {
                 history::operation op(book, "select(send, stop)");
                 M m(10);
                 chose(op, sluice::select(sending(op, s, m), stop_of(op, s)), false);
             }),
        part("select_deadline", ends::in_time,
             [](stage& s) {
                 history::operation op(book, "select(send, deadline)");
                 M m(10);
                 chose(op, sluice::select(sending(op, s, m), giving_up_by(op, deadline)), false);
             }),
        part("select_stop_deadline", ends::either_way,
             [](stage& s) {
                 history::operation op(book, "select(send, stop, deadline)");
                 M m(10);
                 chose(op, sluice::select(sending(op, s, m), stop_of(op, s), giving_up_by(op, deadline)), false);
             }),
    };
    return all;
}

const std::vector<part>& receives_of_timer() {
    static const std::vector<part> all = {
        part("recv_stop", ends::when_stopped, [](stage& s) { recv(s.timer->timer, s.timer->number, s.token); }),
        part("recv_until", ends::in_time, [](stage& s) { recv_until(s.timer->timer, s.timer->number, deadline); }),
        part("recv_timeout", ends::in_time, [](stage& s) { recv_timeout(s.timer->timer, s.timer->number); }),
        part("recv_until_stop", ends::either_way,
             [](stage& s) { recv_until(s.timer->timer, s.timer->number, deadline, s.token); }),
        part("select_stop", ends::when_stopped,
             [](stage& s) {
                 history::operation op(book, "select(timer, stop)");
                 chose(op, sluice::select(timer_of(op, s), stop_of(op, s)), false);
             }),
        part("select_deadline", ends::in_time,
             [](stage& s) {
                 history::operation op(book, "select(timer, deadline)");
                 chose(op, sluice::select(timer_of(op, s), giving_up_by(op, deadline)), false);
             }),
        part("select_otherwise", ends::never,
             [](stage& s) {
                 history::operation op(book, "select(timer, otherwise)");
                 chose(op, sluice::select(timer_of(op, s), giving_up(op)), false);
             }),
        part("select_recv_otherwise", ends::never,
             [](stage& s) {
                 history::operation op(book, "select(timer, recv, otherwise)");
                 chose(op, sluice::select(timer_of(op, s), receiving(op, s), giving_up(op)), false);
             }),
        part("biased_timer_stop", ends::when_stopped,
             [](stage& s) {
                 history::operation op(book, "select_biased(timer, stop)");
                 op.biased();
                 chose(op, sluice::select_biased(timer_of(op, s, 0), stop_of(op, s, 1)), false);
             }),
        part("biased_stop_timer", ends::when_stopped,
             [](stage& s) {
                 history::operation op(book, "select_biased(stop, timer)");
                 op.biased();
                 chose(op, sluice::select_biased(stop_of(op, s, 0), timer_of(op, s, 1)), false);
             }),
        part("biased_timer_recv", ends::never,
             [](stage& s) {
                 history::operation op(book, "select_biased(timer, recv)");
                 op.biased();
                 chose(op, sluice::select_biased(timer_of(op, s, 0), receiving(op, s, 1)), false);
             }),
        part("biased_recv_timer", ends::never,
             [](stage& s) {
                 history::operation op(book, "select_biased(recv, timer)");
                 op.biased();
                 chose(op, sluice::select_biased(receiving(op, s, 0), timer_of(op, s, 1)), false);
             }),
        part("group_stop_until", ends::either_way, wait_on_group, make_group),
    };
    return all;
}

struct scene {
    std::string name;
    std::optional<std::size_t> capacity;
    int filled;
};

const char* const in_time = "What came before the stop or the deadline counts; of these two, the first.";

// What happens meanwhile, in this order.
struct events {
    const char* name;
    std::vector<deed> deeds;
    bool stop;
};

void add_beside(const std::string& family, const scene& where, const part& what, const events& meanwhile,
                budgets limits, clock::duration timer = {}) {
    if (!what.stops && meanwhile.stop) return;
    if (!what.times_out && !meanwhile.stop && timer == clock::duration{}) return;
    add("outcome/" + family + "/" + where.name + "/" + what.name + "+" + meanwhile.name, in_time, limits, [=] {
        stage s(where.capacity);
        if (timer > clock::duration{}) s.timer.emplace(timer);
        for (int i = 0; i < where.filled; ++i) expect(try_send(s.tx(), s.number(), 20 + i) == errc{}, "a fill fails");
        if (what.prepare) what.prepare(s);
        {
            thread under_way([&] { what.play(s); });
            thread beside([&] {
                for (const deed& d : meanwhile.deeds) d(s);
            });
            s.finish();
        }
        s.drain();
    });
}

// On a rendezvous: somebody comes to wait, and then the stop is requested.
void add_peer(const std::string& family, const part& what, const char* name, const deed& peer, budgets limits) {
    add("outcome/" + family + "/rendezvous/" + what.name + "+" + name, in_time, limits, [=] {
        stage s(0);
        if (what.prepare) what.prepare(s);
        {
            thread under_way([&] { what.play(s); });
            thread other([&] { peer(s); });
            if (wait_until_asleep(other)) book.seen_asleep(other.number());
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
    budgets limits;
    limits.preemptions = 0;
    limits.stale_reads = 0;
    limits.detours = 3;
    const scene scenes[] = {{"one", 1, 0}, {"one-full", 1, 1}, {"rendezvous", 0, 0}, {"unbounded", std::nullopt, 1}};
    const std::string property = "A stop that was requested before the operation wins over everything.";
    for (const auto* parts : {&receives(), &sends(), &receives_of_timer()}) {
        const bool timed = parts == &receives_of_timer();
        const std::string family = timed ? "timer" : parts == &sends() ? "send" : "recv";
        for (const part& what : *parts) {
            // A biased select takes what is listed before its stop.
            if (!what.stops || std::string(what.name).starts_with("biased")) continue;
            for (const scene& where : scenes) {
                for (const bool closed : {false, true}) {
                    for (const bool late : {false, true}) {
                        add("outcome/before/" + family + "/" + where.name + (closed ? "-closed/" : "/") + what.name +
                                (late ? "-late" : ""),
                            property, limits, [=] {
                                stage s(where.capacity);
                                if (timed) s.timer.emplace(clock::tick);
                                for (int i = 0; i < where.filled; ++i)
                                    expect(try_send(s.tx(), s.number(), 20 + i) == errc{}, "a fill fails");
                                if (what.prepare) what.prepare(s);
                                if (closed) close(s.tx(), s.number());
                                request_stop(s.stop);
                                if (late) (void)sluice::after(clock::tick).recv();
                                what.play(s);
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
    budgets limits;
    limits.preemptions = 3;
    limits.stale_reads = 0;
    limits.detours = 1;

    const deed sends_one = [](stage& s) { try_send(s.tx(), s.number(), 1); };
    const deed takes_one = [](stage& s) { try_recv(s.rx(), s.number()); };
    const deed closes = [](stage& s) { close(s.tx(), s.number()); };
    const deed stops = [](stage& s) { request_stop(s.stop); };
    const deed sends_waiting = [](stage& s) { send(s.tx(), s.number(), 1); };
    const deed receives_waiting = [](stage& s) { recv(s.rx(), s.number()); };

    for (const auto& [family, parts, come] :
         {std::tuple("recv", &receives(), sends_one), std::tuple("send", &sends(), takes_one)}) {
        const bool receiving = parts == &receives();
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
        std::vector<scene> scenes = {{"rendezvous", 0, 0}};
        if (receiving) {
            scenes.push_back({"one", 1, 0});
            scenes.push_back({"unbounded", std::nullopt, 0});
        } else {
            scenes.push_back({"one-full", 1, 1});
        }
        for (const part& what : *parts) {
            for (const scene& where : scenes) {
                for (const events& e : all) add_beside(family, where, what, e, limits);
            }
            add_peer(family, what, what.stops ? "peer-stop" : "peer", receiving ? sends_waiting : receives_waiting,
                     limits);
        }
    }

    for (const part& what : receives_of_timer()) {
        for (const int due : {1, 2}) {
            const scene where{"due-" + std::to_string(due), 0, 0};
            add_beside("timer", where, what, {"nothing", {}, false}, limits, due * clock::tick);
            add_beside("timer", where, what, {"stop", {stops}, true}, limits, due * clock::tick);
            add_beside("timer", where, what, {"message", {sends_one}, false}, limits, due * clock::tick);
            add_beside("timer", where, what,
                       {"recv", {[](stage& s) { try_recv(s.timer->timer, s.timer->number); }}, false}, limits,
                       due * clock::tick);
        }
    }
    add_before();
    return true;
}();

}  // namespace model
