// A channel whose messages go to a descriptor: written by a loop, or by the thread that sends.
#include <model/models.hpp>

#include <sluice/sluice.hpp>

#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/outgoing.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

constexpr int unspeakable = 63;  // a message that cannot be encoded

}  // namespace

}  // namespace model

template <>
struct sluice::codec<model::number> {
    static void encode(const model::number& n, std::vector<std::byte>& out) {
        model::expect_unlocked("a message is encoded");
        ipc::detail::append_plain(out, n.id());
        if (n.id() == model::unspeakable) throw std::runtime_error("no words for it");
    }
};

namespace model {

namespace {

namespace ipc = sluice::ipc::detail;
using sluice::ipc::ipc_errc;

constexpr std::uint64_t frame = sizeof(ipc::frame_length) + sizeof(int);  // so many bytes a message takes
constexpr std::uint64_t plenty = 1000;

// The system, which takes so many bytes until the peer makes room. What was written is plain memory: nothing orders two
// who write.
struct wire {
    explicit wire(std::uint64_t at_first) : room(at_first) {}

    std::vector<std::byte> bytes;
    atomic<std::uint64_t> room;
    atomic<bool> hung_up{false};
};

// What the wire says.
struct heard {
    std::vector<int> ids;
    int deaf = 0;
    bool ended = false, cut = false;
    std::optional<ipc_errc> broken;

    explicit heard(std::span<const std::byte> bytes) {
        const auto next = [&](auto& to) {
            if (bytes.size() < sizeof to) {
                cut = true;
                return false;
            }
            std::memcpy(&to, bytes.data(), sizeof to);
            bytes = bytes.subspan(sizeof to);
            return true;
        };
        while (!bytes.empty() && !cut) {
            expect(!ended && !broken, "something follows the last word");
            ipc::frame_length length = 0;
            int id = 0;
            std::uint32_t reason = 0;
            if (!next(length)) break;
            if (length == ipc::end_of_stream) {
                ended = true;
            } else if (length == ipc::nobody_reads) {
                ++deaf;
            } else if (length == ipc::broken_off) {
                if (next(reason)) broken = static_cast<ipc_errc>(reason);
            } else {
                expect(length == sizeof id, "the wire holds no frames");
                if (next(id)) ids.push_back(id);
            }
        }
    }
};

// What the loop's thread is told to do, or finds out by reading.
enum class order : std::uint8_t { none, look, tell_deaf, abandon, break_off, finish };

class written;

struct fixture {
    fixture(std::uint64_t room, std::size_t capacity) : w(room), ends(sluice::bounded<number>(capacity)) {}

    // The loop's thread.
    void run();
    bool send(int id) {
        const bool done = ends.tx.send(number(id)).has_value();
        sent[static_cast<std::size_t>(id)] = done;
        return done;
    }
    void tell(order o) {
        loop->change([&] { pending = o; });
    }
    void make_room(std::uint64_t size) {
        loop->change([&] { w.room.fetch_add(size, std::memory_order_relaxed); });
    }
    void hang_up() {
        loop->change([&] {
            w.hung_up.store(true, std::memory_order_relaxed);
            pending = order::look;
        });
    }

    std::shared_ptr<ipc::io_loop> loop = std::make_shared<ipc::io_loop>();
    std::shared_ptr<sluice::ipc::fault> report = std::make_shared<sluice::ipc::fault>();
    wire w;
    sluice::channel<number> ends;
    std::unique_ptr<written> stream;
    order pending = order::none;  // guarded by the lock of the loop
    std::array<bool, 64> sent{};  // each by its sender
};

// As the library's stream, but for what that reads.
class written final : public ipc::station, private ipc::outgoing {
public:
    explicit written(fixture& of)
        : station(of.loop), outgoing(static_cast<ipc::station&>(*this), of.report), fixture_(of) {
        attach(std::move(of.ends.rx), {});
    }

    void run() {
        order next = order::none;
        while (work(next)) {
            loop().wait_for_work(*this, [&] {
                next = std::exchange(fixture_.pending, order::none);
                return next != order::none || (blocked_ && writable());
            });
        }
        expect(closed(), "nothing more is written, and the channel is open");
    }

private:
    bool work(order next) {
        switch (next) {
            case order::none:
            case order::look: break;
            case order::tell_deaf: tell_deaf(); break;
            case order::abandon: abandon(); break;
            case order::break_off: break_off(ipc_errc::not_decoded); break;
            case order::finish: finish(); break;
        }
        take_turn_for_deaf();
        const flow f = write();
        blocked_ = f == flow::blocked;
        expect(!gone_ || f == flow::over, "nobody reads what is still to be written");
        return f != flow::over;
    }

    bool writable() const {
        return fixture_.w.room.load(std::memory_order_relaxed) > 0 ||
               fixture_.w.hung_up.load(std::memory_order_relaxed);
    }
    flushed flush(ipc::outbox& box) noexcept override {
        expect_unlocked("the system is called");
        wire& w = fixture_.w;
        while (!box.empty()) {
            if (w.hung_up.load(std::memory_order_relaxed)) return flushed::gone;
            const std::uint64_t size = (std::min)(w.room.load(std::memory_order_relaxed), std::uint64_t{box.size()});
            if (size == 0) return flushed::blocked;
            w.room.fetch_sub(size, std::memory_order_relaxed);
            iovec parts[2];
            expect(box.parts(parts) == 1, "a small message lies apart");
            ipc::append(w.bytes, std::span(static_cast<const std::byte*>(parts[0].iov_base), size));
            box.wrote(size);
        }
        return flushed::all;
    }
    void say_end(ipc::outbox& box) override { ipc::append_plain(box.bytes, ipc::end_of_stream); }
    void say_broken(ipc::outbox& box, ipc_errc why) override { ipc::append_plain(box.bytes, ipc::breaking_off(why)); }
    void note_gone() noexcept override { gone_ = true; }

    fixture& fixture_;
    bool blocked_ = false, gone_ = false;  // for the loop's thread
};

void fixture::run() {
    stream->run();
    stream.reset();  // at once: nobody else has to do with it any more
}

void sleep_for(clock::duration d) {
    mutex m;
    condition_variable never;
    std::unique_lock lock(m);
    const auto until = clock::now() + d;
    while (clock::now() < until) never.wait_until(lock, until);
}

using action = std::function<void(fixture&)>;

// How it ends.
enum class ending : std::uint8_t {
    clean,    // with all that was sent, and the end
    broken,   // with the reason, after some of it
    cut_off,  // anyhow, after some of it
};

struct setting {
    ending how = ending::clean;
    std::optional<ipc_errc> why = std::nullopt;  // it is broken off
    int deaf = 0;                                // so often that is said
    std::uint64_t room = plenty;
    std::size_t capacity = 1;
    bool late = true;       // the first message comes long after the loop has begun
    bool stays = true;      // the channel is closed when all is quiet and was written; otherwise as the actions end
    std::size_t most = 64;  // so many messages are written at most
    bool over = false;      // then it is over already
    bool looks = false;     // the loop looks for another message for a while
};

void check(const fixture& s, const setting& how) {
    const heard h(s.w.bytes);
    std::array<bool, 64> on_wire{};
    std::array<int, 7> last{};
    for (const int id : h.ids) {
        expect(id > 0 && id < 64, "a message is damaged");
        int& before = last.at(static_cast<std::size_t>(id) / 10);
        expect(id > before, "a message came twice, or out of order");
        before = id;
        on_wire[static_cast<std::size_t>(id)] = true;
    }
    for (std::size_t id = 0; id < on_wire.size(); ++id) {
        expect(s.sent[id] || !on_wire[id], "a message came that was not sent");
        if (how.how == ending::clean) expect(on_wire[id] || !s.sent[id], "a message is lost");
        const bool follows = on_wire[id] && id % 10 > 1;
        expect(!follows || on_wire[id - 1], "a message is missing before another");
    }
    expect(h.ids.size() <= how.most, "a message follows that was not to be written any more");
    expect(h.deaf <= how.deaf, "it is said twice that nobody reads, or nobody was to say it");
    if (how.how == ending::cut_off) return;
    expect(!h.cut, "the last frame is not complete");
    expect(h.ended == (how.how == ending::clean),
           how.how == ending::clean ? "the end is not said" : "an error passes for the end");
    expect(h.broken == how.why, "why it is broken off is not said, or said of one that is not");
}

// All that was sent is on its way, though nothing more happens.
void check_quiet(const fixture& s, const setting& how) {
    expect(!how.over || !s.stream, "it is not over");
    if (how.how != ending::clean) return;
    const heard h(s.w.bytes);
    expect(!h.cut, "a frame is not complete");
    expect(h.ids.size() == static_cast<std::size_t>(std::count(s.sent.begin(), s.sent.end(), true)),
           "a message lies in the channel");
    expect(h.deaf == how.deaf, "it is not said that nobody reads");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 0};

    const auto add_model = [](const std::string& name, const char* property, const budgets& these, const setting& how,
                              action first, action second = nullptr) {
        add("outgoing/" + name, property, these, [=] {
            several_cpus = how.looks;
            fixture s(how.room, how.capacity);
            s.stream = std::make_unique<written>(s);
            {
                thread loop([&s] { s.run(); });
                if (how.late) sleep_for(clock::tick);
                {
                    thread a([&s, &first] { first(s); });
                    std::optional<thread> b;
                    if (second) b.emplace([&s, &second] { second(s); });
                }
                if (how.stays) {
                    wait_until_quiet();
                    check_quiet(s, how);
                }
                s.ends.tx.close();
            }
            check(s, how);
        });
    };

    const action one = [](fixture& s) { s.send(1); };
    const action two = [](fixture& s) {
        s.send(1);
        s.send(2);
    };
    const action another = [](fixture& s) { s.send(11); };
    const action apart = [](fixture& s) {
        s.send(1);
        sleep_for(clock::tick);
        s.send(2);
    };
    const action close = [](fixture& s) { s.ends.tx.close(); };
    const action three_until_closed = [](fixture& s) {
        for (int id = 1; id <= 3; ++id) {
            if (!s.send(id)) return;
        }
    };
    const action hang_up = [](fixture& s) { s.hang_up(); };

    // Once the loop has been idle for long, who sends writes; before that, the loop.
    const auto both = [&](const std::string& name, const char* property, setting how, action first,
                          action second = nullptr, int ticks = 0) {
        budgets these = limits;
        these.ticks = ticks;
        how.late = false;
        if (ticks == 0 || !second) add_model(name + "-early", property, these, how, first, second);
        how.late = true;
        if (ticks == 0) {
            these.preemptions = 3;
            these.stale_reads = 1;
        }
        add_model(name, property, these, how, first, second);
    };
    const auto with = [](setting s, auto&& change) {
        change(s);
        return s;
    };

    const setting stays, closes = with(stays, [](setting&s) { s.stays = false; });
    both("one", "A lone message is on its way.", stays, one);
    both("two", "Two messages, one after the other.", stays, two);
    both("apart", "Two messages, one long after the other.", stays, apart, nullptr, 1);
    both("two-and-close", "Two messages, and at once the end.", closes, two);
    both("apart-and-close", "Two messages, one long after the other, and the end.", closes, apart, nullptr, 1);
    both("two-senders", "Two send, whose messages one of them writes, or the loop.", stays, one, another);
    both("close", "The end comes beside a message, which is sent or not.", closes, one, close);
    const budgets looking{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 0};
    add_model("looks", "The loop looks for a message, and then puts the turn down.", looking,
              with(stays,
                   [](setting& s) {
                       s.late = false;
                       s.looks = true;
                   }),
              two);

    const auto narrow = [&](const setting& how) { return with(how, [](setting& s) { s.room = frame / 2 + 1; }); };
    const action room = [](fixture& s) {
        s.make_room(2);
        s.make_room(plenty);
    };
    both("narrow", "A part of a message is written, and the rest when there is room.", narrow(stays), one, room);
    both("narrow-two", "So are two.", narrow(stays), two, room);
    both("narrow-and-close", "So is the end.", narrow(closes), one, room);

    const auto told = [](order o) -> action { return [o](fixture& s) { s.tell(o); }; };
    const auto told_with_room = [](order o) -> action {
        return [o](fixture& s) {
            s.tell(o);
            s.make_room(plenty);
        };
    };
    const setting deaf = with(stays, [](setting& s) { s.deaf = 1; });
    both("deaf", "It is said between two messages that nobody reads.", deaf, one, told(order::tell_deaf));
    both("deaf-two", "So it is beside two messages.", deaf, two, told(order::tell_deaf));
    both("deaf-apart", "So it is beside two messages, one long after the other.", deaf, apart, told(order::tell_deaf),
         1);
    both("deaf-narrow", "So it is when there is room.", narrow(deaf), one, told_with_room(order::tell_deaf));

    const setting cut_off = with(stays, [](setting& s) { s.how = ending::cut_off; });
    const setting abandoned = with(cut_off, [](setting& s) { s.over = true; });
    both("abandon", "Nothing is written any more, and who sends hears of it.", abandoned, two, told(order::abandon));
    both("abandon-narrow", "So does who waits for room.", narrow(abandoned), three_until_closed, told(order::abandon));
    both("gone", "So it does when the system takes nothing any more.", cut_off, three_until_closed, hang_up);

    const setting broken = with(stays, [](setting& s) {
        s.how = ending::broken;
        s.why = ipc_errc::not_decoded;
        s.over = true;
    });
    both("break-off", "After a whole message it is said why this ends.", broken, two, told(order::break_off));
    both("break-off-narrow", "So it is when there is room.", narrow(broken), one, told_with_room(order::break_off));
    add_model("break-off-queued", "What is in the channel then is not written.", limits,
              with(narrow(broken), [](setting& s) { s.most = 1; }), [](fixture& s) {
                  s.send(1);
                  s.send(2);
                  wait_until_quiet();
                  s.tell(order::break_off);
                  s.make_room(plenty);
              });
    const setting told_ours = with(broken, [](setting& s) { s.why = ipc_errc::not_encoded; });
    both("unspeakable", "So it is when a message cannot be encoded, and that is noted.", told_ours, one,
         [](fixture& s) {
             (void)s.ends.tx.send(number(unspeakable));
             wait_until_quiet();
             expect(s.report->error() == make_error_code(ipc_errc::not_encoded), "no error is noted");
         });

    const setting finished = with(stays, [](setting& s) { s.over = true; });
    both("finish", "What was sent is written, and no more is sent.", finished, two, told(order::finish));
    return true;
}();

}  // namespace model
