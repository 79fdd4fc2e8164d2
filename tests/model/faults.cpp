// What can fail on the way: each move of a message, and each allocation.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace model {

namespace {

// One of four operations on a channel, as a select or not.
void sends(probe<bulky>& p, int id) { send(p.ends.tx, p.number, id); }
void receives(probe<bulky>& p) { recv(p.ends.rx, p.number); }
void select_sends(probe<bulky>& p, int id) {
    operation op("select(send)");
    bulky m(id);
    try {
        chose(op, sluice::select(sending(op, p.ends.tx, p.number, m)));
        return;
    } catch (const injected_error&) {
        messages.heard();
    } catch (const std::bad_alloc&) {
    }
    op.came_to(event::threw);
    op.end();
    expect(m.id() == id, "a send that threw has moved from its message");
}
void select_receives(probe<bulky>& p) {
    operation op("select(recv)");
    try {
        chose(op, sluice::select(receiving(op, p.ends.rx, p.number)));
    } catch (const injected_error&) {
        expect(!history.is_rendezvous(p.number),
               "a select that receives hears what the move of a blocked sender's message has thrown");
        messages.heard();
        op.came_to(event::threw);
    }
}

struct start_state {
    const char* name;
    std::optional<std::size_t> capacity;
    int filled;
};

template <class Send, class Receive>
void add_failing(const char* what, const char* property, const start_state& s, const char* how, bool moves,
                 Send send_one, Receive receive_one, budgets limits) {
    add(std::string(what) + "/" + s.name + "/" + how, property, limits, [=] {
        probe<bulky> p(s.capacity);
        for (int i = 0; i < s.filled; ++i) expect(try_send(p.ends.tx, p.number, i) == sluice::errc{}, "a fill fails");
        {
            messages.moves_throw = moves;
            thread a([&p, send_one, moves] {
                std::optional<scarce_memory> scarce;
                if (!moves) scarce.emplace();
                send_one(p, 10);
            });
            thread b([&p, receive_one] { receive_one(p); });
            wait_until_quiet();
            messages.moves_throw = false;
            history.check_quiet({p.ends.rx.size()});
            close(p.ends.tx, p.number);
        }
        messages.moves_throw = false;
        while (try_recv(p.ends.rx, p.number) == sluice::errc{}) {
        }
    });
}

// ---- On a rendezvous the exception is the sender's to hear, whoever moves the message.

// The channel in question, and another that only selects use.
struct meeting {
    probe<number> a{0}, b{1};
    stop_source stop;
    stop_token token = stop.get_token();
};

struct op_kind {
    const char* name;
    std::function<void(meeting&, int id)> run;
};

// A select that sends; what its own case throws ends it, and the other case has no effect.
template <class Select>
void select_that_sends(const char* what, int id, Select&& choose) {
    operation op(what);
    number m(id);
    try {
        chose(op, choose(op, m));
        return;
    } catch (const injected_error&) {
        messages.heard();
    }
    op.came_to(event::threw);
    op.end();
    expect(m.id() == id, "a send that threw has moved from its message");
}
template <class Select>
void select_that_receives(const char* what, Select&& choose) {
    operation op(what);
    try {
        chose(op, choose(op));
    } catch (const injected_error&) {
        fail("a select that receives hears what the move of a blocked sender's message has thrown");
    }
}

const std::vector<op_kind>& senders() {
    static const std::vector<op_kind> all = {
        {"send", [](meeting& m, int id) { send(m.a.ends.tx, m.a.number, id); }},
        {"send_timeout", [](meeting& m, int id) { send_timeout(m.a.ends.tx, m.a.number, id); }},
        {"send_stop", [](meeting& m, int id) { send(m.a.ends.tx, m.a.number, id, m.token); }},
        {"select_send",
         [](meeting& m, int id) {
             select_that_sends("select(send)", id, [&](operation& op, number& n) {
                 return sluice::select(sending(op, m.a.ends.tx, m.a.number, n));
             });
         }},
        {"select_send_recv",
         [](meeting& m, int id) {
             select_that_sends("select(send, recv)", id, [&](operation& op, number& n) {
                 return sluice::select(sending(op, m.a.ends.tx, m.a.number, n), receiving(op, m.b.ends.rx, m.b.number));
             });
         }},
    };
    return all;
}
const std::vector<op_kind>& receivers() {
    static const std::vector<op_kind> all = {
        {"recv", [](meeting& m, int) { recv(m.a.ends.rx, m.a.number); }},
        {"recv_timeout", [](meeting& m, int) { recv_timeout(m.a.ends.rx, m.a.number); }},
        {"recv_stop", [](meeting& m, int) { recv(m.a.ends.rx, m.a.number, m.token); }},
        {"try_recv", [](meeting& m, int) { try_recv(m.a.ends.rx, m.a.number); }},
        {"select_recv",
         [](meeting& m, int) {
             select_that_receives(
                 "select(recv)", [&](operation& op) { return sluice::select(receiving(op, m.a.ends.rx, m.a.number)); });
         }},
        {"select_recv_recv",
         [](meeting& m, int) {
             select_that_receives("select(recv, recv)", [&](operation& op) {
                 return sluice::select(receiving(op, m.a.ends.rx, m.a.number), receiving(op, m.b.ends.rx, m.b.number));
             });
         }},
        {"select_recv_timeout",
         [](meeting& m, int) {
             select_that_receives("select(recv, timeout)", [&](operation& op) {
                 return sluice::select(receiving(op, m.a.ends.rx, m.a.number), giving_up_after(op, clock::tick));
             });
         }},
        {"select_recv_otherwise",
         [](meeting& m, int) {
             select_that_receives("select(recv, otherwise)", [&](operation& op) {
                 return sluice::select(receiving(op, m.a.ends.rx, m.a.number), giving_up(op));
             });
         }},
    };
    return all;
}

// A sender and a receiver, or two senders. A thread that is still blocked then is as before: the next that comes meets
// it.
void add_meeting(const op_kind& sender, const op_kind& receiver, int count, budgets limits) {
    const std::string name = std::string(sender.name) + (count > 1 ? "+send+" : "+") + receiver.name;
    add("throwing-move/meeting/" + name,
        "What a message throws on its way to a receiver, its sender hears alone, and nothing else has happened.",
        limits, [=] {
            meeting m;
            {
                messages.moves_throw = true;
                thread sends([&] { sender.run(m, 10); });
                std::optional<thread> also_sends;
                if (count > 1) also_sends.emplace([&] { send(m.a.ends.tx, m.a.number, 12); });
                thread receives([&] { receiver.run(m, 20); });
                wait_until_quiet();
                messages.moves_throw = false;
                history.check_quiet({m.a.ends.rx.size(), m.b.ends.rx.size()});
                try_send(m.a.ends.tx, m.a.number, 30);
                for (int i = 0; i < count; ++i) try_recv(m.a.ends.rx, m.a.number);
                close(m.a.ends.tx, m.a.number);
                close(m.b.ends.tx, m.b.number);
            }
        });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .faults = 2, .detours = 1};
    const std::vector<start_state> scenes = {
        {"rendezvous", 0, 0}, {"one", 1, 0}, {"one-full", 1, 1}, {"unbounded-filled", std::nullopt, 2}};
    const char* const throws =
        "A move that throws leaves the message where it was, its caller hears of it, and nobody waits in vain.";
    const char* const no_memory =
        "An allocation that fails leaves the message where it was, its caller hears of it, and nobody waits in vain.";
    for (const start_state& s : scenes) {
        for (const bool moves : {true, false}) {
            const char* const what = moves ? "throwing-move" : "no-memory";
            const char* const property = moves ? throws : no_memory;
            add_failing(what, property, s, "send+recv", moves, sends, receives, limits);
            add_failing(what, property, s, "send+select_recv", moves, sends, select_receives, limits);
            add_failing(what, property, s, "select_send+recv", moves, select_sends, receives, limits);
            add_failing(what, property, s, "select_send+select_recv", moves, select_sends, select_receives, limits);
        }
    }
    constexpr budgets meeting{.preemptions = 2, .stale_reads = 0, .ticks = 0, .faults = 2, .detours = 1};
    constexpr budgets crowded{.preemptions = 1, .stale_reads = 0, .ticks = 0, .faults = 1, .detours = 1};
    for (const op_kind& sender : senders()) {
        for (const op_kind& receiver : receivers()) {
            add_meeting(sender, receiver, 1, meeting);
            if (std::string(sender.name) == "send" || std::string(sender.name) == "select_send")
                add_meeting(sender, receiver, 2, crowded);
        }
    }
    return true;
}();

}  // namespace model
