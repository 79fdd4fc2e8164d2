// What can fail on the way: each move of a message, and each allocation.
#include <model/models.hpp>
#include <model/operations.hpp>

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
    history::operation op(book, "select(send)");
    op.wants_to_send(p.number);
    bulky m(id);
    try {
        bool sent = false;
        const auto chosen = sluice::select(sluice::on_send(p.ends.tx, std::move(m), [&] { sent = true; }));
        op.came_to(chosen ? event::sent : event::send_refused, p.number, id);
    } catch (const spark&) {
        expect(m.id() == id, "a send that threw has moved from its message");
    } catch (const std::bad_alloc&) {
        expect(m.id() == id, "a send that threw has moved from its message");
    }
}
void select_receives(probe<bulky>& p) {
    history::operation op(book, "select(recv)");
    op.wants_to_receive(p.number);
    try {
        int got = -1;
        const auto chosen = sluice::select(sluice::on_recv(p.ends.rx, [&](const bulky& m) { got = m.id(); }));
        op.came_to(chosen ? event::received : event::receive_refused, p.number, got);
    } catch (const spark&) {
    }
}

struct scene {
    const char* name;
    std::optional<std::size_t> capacity;
    int filled;
};

template <class Send, class Receive>
void add_scene(const char* what, const char* property, const scene& s, const char* how, bool moves, Send send_one,
               Receive receive_one, budgets limits) {
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
            book.check_quiet({p.ends.rx.size()});
            close(p.ends.tx, p.number);
        }
        messages.moves_throw = false;
        while (try_recv(p.ends.rx, p.number) == sluice::errc{}) {
        }
    });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    budgets limits;
    limits.preemptions = 2;
    limits.stale_reads = 0;
    limits.faults = 2;
    limits.detours = 1;
    const std::vector<scene> scenes = {
        {"rendezvous", 0, 0}, {"one", 1, 0}, {"one-full", 1, 1}, {"unbounded-filled", std::nullopt, 2}};
    const char* const throws =
        "A move that throws leaves the message where it was, its caller hears of it, and nobody waits in vain.";
    const char* const no_memory =
        "An allocation that fails leaves the message where it was, its caller hears of it, and nobody waits in vain.";
    for (const scene& s : scenes) {
        for (const bool moves : {true, false}) {
            const char* const what = moves ? "throwing-move" : "no-memory";
            const char* const property = moves ? throws : no_memory;
            add_scene(what, property, s, "send+recv", moves, sends, receives, limits);
            add_scene(what, property, s, "send+select_recv", moves, sends, select_receives, limits);
            add_scene(what, property, s, "select_send+recv", moves, select_sends, receives, limits);
            add_scene(what, property, s, "select_send+select_recv", moves, select_sends, select_receives, limits);
        }
    }
    return true;
}();

}  // namespace model
