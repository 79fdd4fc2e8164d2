// "Nothing is ready" is said only if there was a moment at which nothing was.
#include <model/models.hpp>
#include <model/operations.hpp>
#include <model/readiness.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using namespace readiness;

// ---- Threads that ask

// How it is asked whether something is ready.
enum class asking { otherwise, no_time, try_wait, wait_no_time };
constexpr std::pair<asking, const char*> all_askings[] = {{asking::otherwise, "otherwise"},
                                                          {asking::no_time, "no-time"},
                                                          {asking::try_wait, "try_wait"},
                                                          {asking::wait_no_time, "wait_no_time"}};

constexpr clock::duration no_time{};

template <class... Cases>
void ask_now(operation& op, asking how, Cases&&... cases) {
    if (how == asking::otherwise) {
        chose(op, sluice::select(std::forward<Cases>(cases)..., giving_up(op)), false);
    } else {
        chose(op, sluice::select(std::forward<Cases>(cases)..., giving_up_after(op, no_time)), false);
    }
}

// What a group is asked; its cases have been told to the operation.
void ask_group(fixture& s, operation& op, asking how) {
    op.never_waits();
    s.now = &op;
    const auto chosen = how == asking::try_wait ? s.group->try_wait() : s.group->wait_timeout(no_time);
    if (chosen) return;
    if (chosen.error() == sluice::errc::closed) return op.all_closed();
    expect(chosen.error() == (how == asking::try_wait ? sluice::errc::empty : sluice::errc::timeout),
           "a group fails for a reason that it cannot have");
    op.gave_up();
}
bool asks_group(asking how) { return how == asking::try_wait || how == asking::wait_no_time; }

void add_to_group(fixture& s, const sluice::receiver<M>& rx, int channel, bool hears) {
    if (hears) {
        s.group->add(sluice::on_recv(rx, [&s, channel](const sluice::result<M>& m) {
            s.now->came_to(m ? event::received : event::receive_refused, channel, m ? m->id() : -1);
        }));
    } else {
        s.group->add(
            sluice::on_recv(rx, [&s, channel](const M& m) { s.now->came_to(event::received, channel, m.id()); }));
    }
}
void add_to_group(fixture& s, const sluice::sender<M>& tx, int channel, bool hears, int id) {
    if (hears) {
        s.group->add(sluice::on_send(tx, M(id), [&s, channel, id](const sluice::result<void>& r) {
            s.now->came_to(r ? event::sent : event::send_refused, channel, r ? id : -1);
        }));
    } else {
        s.group->add(sluice::on_send(tx, M(id), [&s, channel, id] { s.now->came_to(event::sent, channel, id); }));
    }
}

// Who asks: what is done before the threads start, and by its thread.
struct asker {
    std::string name;
    std::function<void(fixture&)> prepare, ask;
};

asker receives_either(asking how, const char* name, bool hears) {
    return {std::string(hears ? "recv-or-closed/" : "recv/") + name,
            [=](fixture& s) {
                if (!asks_group(how)) return;
                s.group.emplace();
                add_to_group(s, s.a.ends.rx, s.a.number, hears);
                add_to_group(s, s.b.ends.rx, s.b.number, hears);
            },
            [=](fixture& s) {
                operation op("asks for a message");
                if (asks_group(how)) {
                    op.receives(s.a.number, hears).receives(s.b.number, hears);
                    ask_group(s, op, how);
                } else if (hears) {
                    ask_now(op, how, receiving_or_closed(op, s.a.ends.rx, s.a.number),
                            receiving_or_closed(op, s.b.ends.rx, s.b.number));
                } else {
                    ask_now(op, how, receiving(op, s.a.ends.rx, s.a.number), receiving(op, s.b.ends.rx, s.b.number));
                }
            }};
}
asker sends_either(asking how, const char* name, bool hears) {
    return {std::string(hears ? "send-or-closed/" : "send/") + name,
            [=](fixture& s) {
                if (!asks_group(how)) return;
                s.group.emplace();
                add_to_group(s, s.a.ends.tx, s.a.number, hears, 10);
                add_to_group(s, s.b.ends.tx, s.b.number, hears, 11);
            },
            [=](fixture& s) {
                operation op("asks for room");
                if (asks_group(how)) {
                    op.sends(s.a.number, hears).sends(s.b.number, hears);
                    return ask_group(s, op, how);
                }
                M m(10), n(11);
                if (hears) {
                    ask_now(op, how, sending_or_closed(op, s.a.ends.tx, s.a.number, m),
                            sending_or_closed(op, s.b.ends.tx, s.b.number, n));
                } else {
                    ask_now(op, how, sending(op, s.a.ends.tx, s.a.number, m), sending(op, s.b.ends.tx, s.b.number, n));
                }
            }};
}
// Receives from the one or sends to the other.
asker exchanges(asking how, const char* name, bool hears) {
    return {std::string(hears ? "both-or-closed/" : "both/") + name,
            [=](fixture& s) {
                if (!asks_group(how)) return;
                s.group.emplace();
                add_to_group(s, s.a.ends.rx, s.a.number, hears);
                add_to_group(s, s.b.ends.tx, s.b.number, hears, 10);
            },
            [=](fixture& s) {
                operation op("asks for a message or room");
                if (asks_group(how)) {
                    op.receives(s.a.number, hears).sends(s.b.number, hears);
                    return ask_group(s, op, how);
                }
                M m(10);
                if (hears) {
                    ask_now(op, how, receiving_or_closed(op, s.a.ends.rx, s.a.number),
                            sending_or_closed(op, s.b.ends.tx, s.b.number, m));
                } else {
                    ask_now(op, how, receiving(op, s.a.ends.rx, s.a.number), sending(op, s.b.ends.tx, s.b.number, m));
                }
            }};
}

// Receives from the one, or hears that the other is closed; `first` is that.
asker hears_or_receives(asking how, const char* name, bool first) {
    return {
        std::string(first ? "closed-recv/" : "recv-closed/") + name,
        [=](fixture& s) {
            if (!asks_group(how)) return;
            const auto watch = [&s] {
                s.group->add(sluice::on_closed(s.a.ends.tx, [&s] { s.now->came_to(event::was_closed, s.a.number); }));
            };
            s.group.emplace();
            if (first) watch();
            add_to_group(s, s.b.ends.rx, s.b.number, false);
            if (!first) watch();
        },
        [=](fixture& s) {
            operation op("asks for a closing or a message");
            if (asks_group(how)) {
                op.hears_of_closing(s.a.number).receives(s.b.number, false);
                ask_group(s, op, how);
            } else if (first) {
                ask_now(op, how, hearing_of_closing(op, s.a.ends.tx, s.a.number),
                        receiving(op, s.b.ends.rx, s.b.number));
            } else {
                ask_now(op, how, receiving(op, s.b.ends.rx, s.b.number),
                        hearing_of_closing(op, s.a.ends.tx, s.a.number));
            }
        }};
}

// A thread that asks, beside one that moves.
void add_moving(const buffered& kind, const std::string& what, const asker& who, int in_a, int in_b,
                const std::vector<move>& moves, budgets limits) {
    add("exact/" + std::string(kind.name) + "/" + what + "/" + who.name,
        "Nothing is ready only if there was a moment at which nothing was.", limits, [=] {
            fixture s(kind.capacity);
            s.fill(s.a, in_a);
            s.fill(s.b, in_b);
            if (who.prepare) who.prepare(s);
            {
                thread asks([&] { who.ask(s); });
                thread moves_on([&] {
                    for (const move& m : moves) m(s);
                });
                s.finish();
            }
            s.drain();
        });
}

// ---- On a rendezvous threads that wait come and go

// One asks while another stands in line, a third joins it on the other channel, and the first leaves.
void add_coming(const std::string& what, const asker& who, const comes& first, const comes& second, const move& goes,
                budgets limits) {
    add("exact/rendezvous/" + what + "/" + who.name,
        "Nothing is ready only if there was a moment at which nobody was waiting.", limits, [=] {
            fixture s(0);
            if (who.prepare) who.prepare(s);
            {
                thread waits([&] { first(s); });
                wait_for(waits);
                thread asks([&] { who.ask(s); });
                std::optional<thread> joins;
                if (second) {
                    joins.emplace([&] { second(s); });
                    wait_for(*joins);
                }
                goes(s);
                s.finish();
            }
        });
}

// Two send in turn, each twice, so that one of them is waiting at every moment until the last has begun to.
void add_turns(const asker& who, budgets limits) {
    add("exact/rendezvous/turns/" + who.name,
        "Nothing is ready only if there was a moment at which nobody was waiting.", limits, [=] {
            fixture s(0);
            {
                const auto twice = [](const comes& first, const comes& second, fixture& on) { first(on), second(on); };
                thread to_b([&] { twice(sends_to_b(1), sends_to_b(2), s); });
                wait_for(to_b);
                thread asks([&] { who.ask(s); });
                thread to_a([&] { twice(sends_to_a(3), sends_to_a(4), s); });
                wait_for(to_a);
                for (const auto& [takes, waits] : {std::pair(takes_b(), &to_b), std::pair(takes_a(), &to_a)}) {
                    takes(s);
                    wait_for(*waits);
                }
                takes_b()(s);
                s.finish();
            }
        });
}

// With a sender in line, a channel for one message is never empty.
void add_behind_one(const asker& who, budgets limits) {
    add("exact/one/behind-one/" + who.name, "Nothing is ready only if there was a moment at which nobody was waiting.",
        limits, [=] {
            fixture s(1);
            s.fill(s.a, 1);
            {
                thread waits([&] { sends_to_a(1)(s); });
                wait_for(waits);
                thread asks([&] { who.ask(s); });
                takes_a()(s);
                s.finish();
            }
            s.drain();
        });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    // Of two threads; and of three and the first, which comes last.
    constexpr budgets limits{.preemptions = 5, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets lines{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets turns{.preemptions = 3, .stale_reads = 0, .ticks = 0, .detours = 1};

    const std::vector<buffered> kinds = {{"one", 1}, {"two", 2}, {"unbounded", std::nullopt}};
    for (const auto& [how, name] : all_askings) {
        for (const buffered& k : kinds) {
            add_moving(k, "to-and-fro", receives_either(how, name, false), 1, 0,
                       {sends_b(), takes_a(), sends_a(), takes_b()}, limits);
            add_moving(k, "closing", receives_either(how, name, true), 1, 0, {closes_b(), takes_a()}, limits);
            add_moving(k, "through-closing", receives_either(how, name, true), 1, 0,
                       {sends_b(), takes_a(), closes_b(), takes_b()}, limits);
            for (const bool first : {true, false}) {
                add_moving(k, "hearing", hears_or_receives(how, name, first), 1, 1, {closes_a(), takes_b()}, limits);
                add_moving(k, "hearing-late", hears_or_receives(how, name, first), 0, 0,
                           {sends_b(), takes_b(), closes_a()}, limits);
            }
            if (!k.capacity) continue;
            const int full = k.room();
            add_moving(k, "to-and-fro", sends_either(how, name, false), full, full - 1,
                       {takes_a(), sends_b(), takes_b(), sends_a()}, limits);
            add_moving(k, "closing", sends_either(how, name, true), full, full - 1, {closes_a(), sends_b()}, limits);
            add_moving(k, "to-and-fro", exchanges(how, name, false), 1, full,
                       {takes_b(), takes_a(), sends_a(), sends_b()}, limits);
            add_moving(k, "closing", exchanges(how, name, true), 1, full, {closes_b(), takes_a()}, limits);
        }
        for (const bool first : {true, false}) {
            add_coming(
                "hearing", hears_or_receives(how, name, first), sends_to_b(1), [](fixture& s) { closes_a()(s); },
                takes_b(), lines);
        }
        add_coming("another-sends", receives_either(how, name, false), sends_to_a(1), sends_to_b(2), takes_a(), lines);
        add_coming("another-selects", receives_either(how, name, false), sends_to_a(1), selects_to_b(2), takes_a(),
                   lines);
        add_coming("one-is-stopped", receives_either(how, name, false), sends_to_a_until_stopped(1), sends_to_b(2),
                   stops(), lines);
        add_coming("select-goes", receives_either(how, name, false), sends_to_either(1), {}, takes_b(), lines);
        add_coming(
            "closing", receives_either(how, name, true), sends_to_a(1), [](fixture& s) { closes_b()(s); }, takes_a(),
            lines);
        add_coming("another-receives", sends_either(how, name, false), receives_from_a(), receives_from_b(), sends_a(),
                   lines);
        add_coming("another-selects", sends_either(how, name, false), receives_from_a(), selects_from_b(), sends_a(),
                   lines);
        add_coming("one-is-stopped", sends_either(how, name, false), receives_from_a_until_stopped(), receives_from_b(),
                   stops(), lines);
        add_coming("another-receives", exchanges(how, name, false), sends_to_a(1), receives_from_b(), takes_a(), lines);
        add_coming("another-sends", exchanges(how, name, false), receives_from_b(), sends_to_a(1), sends_b(), lines);
    }

    // With a stop among what may be ready; and where there is always room.
    for (const auto& [how, name] : all_askings) {
        if (asks_group(how)) continue;
        const asker message_or_stop{std::string("recv-stop/") + name, {}, [how = how](fixture& s) {
                                        operation op("asks for a message or a stop");
                                        ask_now(op, how, receiving(op, s.a.ends.rx, s.a.number), stopping(op, s.token));
                                    }};
        const asker room_or_stop{std::string("send-stop/") + name, {}, [how = how](fixture& s) {
                                     operation op("asks for room or a stop");
                                     M m(10);
                                     ask_now(op, how, sending(op, s.a.ends.tx, s.a.number, m), stopping(op, s.token));
                                 }};
        const asker room{std::string("send/") + name, {}, [how = how](fixture& s) {
                             operation op("asks for room");
                             M m(10);
                             ask_now(op, how, sending(op, s.a.ends.tx, s.a.number, m));
                         }};
        add_moving({"one", 1}, "stop", message_or_stop, 1, 0, {stops(), takes_a()}, limits);
        add_moving({"one", 1}, "stop", room_or_stop, 0, 0, {stops(), sends_a()}, limits);
        add_coming(
            "stop", message_or_stop, sends_to_a(1), [](fixture& s) { stops()(s); }, takes_a(), lines);
        const asker message{std::string("recv-alone/") + name, {}, [how = how](fixture& s) {
                                operation op("asks for a message");
                                ask_now(op, how, receiving(op, s.a.ends.rx, s.a.number));
                            }};
        const asker message_of_either = receives_either(how, name, false);
        add_turns(message_of_either, turns);
        add_behind_one(message, limits);
        add_moving({"two", 2}, "to-and-fro", room, 1, 0, {takes_a(), sends_a()}, limits);
        for (const buffered& k : {buffered{"unbounded", std::nullopt}, buffered{"three", 3}}) {
            add_moving(k, "passing", room, 1, 0, {sends_a(), takes_a(), takes_a()}, limits);
            add_moving(k, "filling", room, 0, 0, {sends_a(), sends_a(), takes_a(), takes_a()}, limits);
        }
    }
    const asker tries_to_send{"try_send", {}, [](fixture& s) { try_send(s.a.ends.tx, s.a.number, 10); }};
    for (const buffered& k : {buffered{"unbounded", std::nullopt}, buffered{"three", 3}})
        add_moving(k, "passing", tries_to_send, 1, 0, {sends_a(), takes_a(), takes_a()}, limits);
    return true;
}();

}  // namespace model
