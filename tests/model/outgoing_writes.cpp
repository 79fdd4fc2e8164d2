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

constexpr int unencodable = 63;  // a message that cannot be encoded

}  // namespace

}  // namespace model

template <>
struct sluice::codec<model::number> {
    static void encode(const model::number& n, std::vector<std::byte>& out) {
        model::expect_unlocked("a message is encoded");
        ipc::detail::append_plain(out, n.id());
        if (n.id() == model::unencodable) throw std::runtime_error("it cannot be encoded");
    }
};

namespace model {

namespace {

namespace ipc = sluice::ipc::detail;
using sluice::ipc::ipc_errc;

constexpr std::uint64_t frame = sizeof(ipc::frame_length) + sizeof(int);  // so many bytes a message takes
constexpr std::uint64_t plenty = 1000;

// The system, which takes `room` bytes until the peer makes more. What was written is plain memory: nothing orders two
// threads that write.
struct wire {
    explicit wire(std::uint64_t at_first) : room(at_first) {}

    std::vector<std::byte> bytes;
    atomic<std::uint64_t> room;
    atomic<bool> hung_up{false};
};

// What was written.
struct decoded_wire {
    std::vector<int> ids;
    int stop_sending = 0;
    bool ended = false, cut = false;
    std::optional<ipc_errc> error;

    explicit decoded_wire(std::span<const std::byte> bytes) {
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
            expect(!ended && !error, "something follows the end");
            ipc::frame_length length = 0;
            int id = 0;
            std::uint32_t reason = 0;
            if (!next(length)) break;
            if (length == ipc::end_of_stream) {
                ended = true;
            } else if (length == ipc::stop_sending_mark) {
                ++stop_sending;
            } else if (length == ipc::error_mark) {
                if (next(reason)) error = static_cast<ipc_errc>(reason);
            } else {
                expect(length == sizeof id, "the wire holds no frames");
                if (next(id)) ids.push_back(id);
            }
        }
    }
};

// What the loop's thread is to do.
enum class command : std::uint8_t { none, look, request_stop_sending, abandon, end_with_error, finish };

class writer;

struct fixture {
    fixture(std::uint64_t room, std::size_t capacity) : w(room), ends(sluice::bounded<number>(capacity)) {}

    // The loop's thread.
    void run();
    bool send(int id) {
        const bool done = ends.tx.send(number(id)).has_value();
        sent[static_cast<std::size_t>(id)] = done;
        return done;
    }
    void post(command c) {
        loop->change([&] { pending = c; });
    }
    void make_room(std::uint64_t size) {
        loop->change([&] { w.room.fetch_add(size, std::memory_order_relaxed); });
    }
    void hang_up() {
        loop->change([&] {
            w.hung_up.store(true, std::memory_order_relaxed);
            pending = command::look;
        });
    }

    std::shared_ptr<ipc::io_loop> loop = std::make_shared<ipc::io_loop>();
    std::shared_ptr<sluice::ipc::error_sink> errors = std::make_shared<sluice::ipc::error_sink>();
    wire w;
    sluice::channel<number> ends;
    std::unique_ptr<writer> stream;
    command pending = command::none;  // guarded by the lock of the loop
    std::array<bool, 64> sent{};      // each by its sender
};

// Writes as the library's stream does.
class writer final : public ipc::io_handler, private ipc::outgoing {
public:
    explicit writer(fixture& of)
        : io_handler(of.loop), outgoing(static_cast<ipc::io_handler&>(*this), of.errors), fixture_(of) {
        attach(std::move(of.ends.rx), {});
    }

    void run() {
        command next = command::none;
        while (work(next)) {
            loop().wait_for_work(*this, [&] {
                next = std::exchange(fixture_.pending, command::none);
                return next != command::none || (blocked_ && writable());
            });
        }
        expect(closed(), "nothing more is written, and the channel is open");
    }

private:
    bool work(command next) {
        switch (next) {
            case command::none:
            case command::look: break;
            case command::request_stop_sending: request_stop_sending(); break;
            case command::abandon: abandon(); break;
            case command::end_with_error: end_with_error(ipc_errc::not_decoded, ipc_errc::not_decoded); break;
            case command::finish: finish(); break;
        }
        take_token_for_stop_sending();
        const flow f = write();
        blocked_ = f == flow::blocked;
        expect(!failed_ || f == flow::done, "it goes on though the system takes nothing any more");
        return f != flow::done;
    }

    bool writable() const {
        return fixture_.w.room.load(std::memory_order_relaxed) > 0 ||
               fixture_.w.hung_up.load(std::memory_order_relaxed);
    }
    flushed flush(ipc::write_buffer& box) noexcept override {
        expect_unlocked("the system is called");
        wire& w = fixture_.w;
        while (!box.empty()) {
            if (w.hung_up.load(std::memory_order_relaxed)) return flushed::failed;
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
    void append_end(ipc::write_buffer& box) override { ipc::append_plain(box.bytes, ipc::end_of_stream); }
    void append_error(ipc::write_buffer& box, ipc_errc why) override {
        ipc::append_plain(box.bytes, ipc::make_error_frame(why));
    }
    void note_write_error() noexcept override { failed_ = true; }

    fixture& fixture_;
    bool blocked_ = false, failed_ = false;  // for the loop's thread
};

void fixture::run() {
    stream->run();
    stream.reset();  // at once: no other thread uses it any more
}

// Time goes by on the clock of the models, which the protocol reads: a sender writes by itself only long after the last
// write. It orders nothing.
void pass_time(clock::duration d) {
    mutex m;
    condition_variable never;
    std::unique_lock lock(m);
    const auto until = clock::now() + d;
    while (clock::now() < until) never.wait_until(lock, until);
}

using op = std::function<void(fixture&)>;

// How it ends.
enum class ending : std::uint8_t {
    clean,    // with all that was sent, and the end
    error,    // with the reason, after some of it
    cut_off,  // anyhow, after some of it
};

struct config {
    ending how = ending::clean;
    std::optional<ipc_errc> why = std::nullopt;  // the reason in the error frame
    int stop_sending = 0;                        // how many such frames are written
    std::uint64_t room = plenty;
    std::size_t capacity = 1;
    bool late = true;       // the first message comes long after the loop has begun
    bool stays = true;      // the channel is closed when all is quiet and was written; otherwise as the ops end
    std::size_t most = 64;  // how many messages are written at most
    bool done = false;      // when all is quiet, nothing more can be written
    bool spins = false;     // the loop spins for another message before it parks the token
};

void check(const fixture& s, const config& how) {
    const decoded_wire h(s.w.bytes);
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
    expect(h.stop_sending <= how.stop_sending, "stop_sending is written too often");
    if (how.how == ending::cut_off) return;
    expect(!h.cut, "the last frame is not complete");
    expect(h.ended == (how.how == ending::clean),
           how.how == ending::clean ? "the end is not written" : "the end is written after an error");
    expect(h.error == how.why, "the error frame is missing, has another reason, or should not be there");
}

// All that was sent is written, though nothing more happens.
void check_quiet(const fixture& s, const config& how) {
    expect(!how.done || !s.stream, "it is not over");
    if (how.how != ending::clean) return;
    const decoded_wire h(s.w.bytes);
    expect(!h.cut, "a frame is not complete");
    expect(h.ids.size() == static_cast<std::size_t>(std::count(s.sent.begin(), s.sent.end(), true)),
           "a message lies in the channel");
    expect(h.stop_sending == how.stop_sending, "stop_sending is not written");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 0};

    const auto add_model = [](const std::string& name, const char* property, const budgets& these, const config& how,
                              op first, op second = nullptr) {
        add("outgoing/" + name, property, these, [=] {
            several_cpus = how.spins;
            fixture s(how.room, how.capacity);
            s.stream = std::make_unique<writer>(s);
            {
                thread loop([&s] { s.run(); });
                if (how.late) pass_time(clock::tick);
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

    const op one = [](fixture& s) { s.send(1); };
    const op two = [](fixture& s) {
        s.send(1);
        s.send(2);
    };
    const op another = [](fixture& s) { s.send(11); };
    const op apart = [](fixture& s) {
        s.send(1);
        pass_time(clock::tick);
        s.send(2);
    };
    const op close = [](fixture& s) { s.ends.tx.close(); };
    const op three_until_closed = [](fixture& s) {
        for (int id = 1; id <= 3; ++id) {
            if (!s.send(id)) return;
        }
    };
    const op hang_up = [](fixture& s) { s.hang_up(); };

    // Once the loop has been idle for long, the sender writes; before that, the loop.
    const auto both = [&](const std::string& name, const char* property, config how, op first, op second = nullptr,
                          int ticks = 0) {
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
    const auto with = [](config s, auto&& change) {
        change(s);
        return s;
    };

    const config stays, closes = with(stays, [](config&s) { s.stays = false; });
    both("one", "A lone message is written.", stays, one);
    both("two", "Two messages, one after the other.", stays, two);
    both("apart", "Two messages, one long after the other.", stays, apart, nullptr, 1);
    both("two-and-close", "Two messages, and at once the end.", closes, two);
    both("apart-and-close", "Two messages, one long after the other, and the end.", closes, apart, nullptr, 1);
    both("two-senders", "Two threads send; one of them writes, or the loop.", stays, one, another);
    both("close", "The end comes beside a message, which is sent or not.", closes, one, close);
    budgets looking = limits;
    looking.preemptions = 1;
    add_model("spins", "The loop spins for a message, and then parks the token.", looking,
              with(stays,
                   [](config& s) {
                       s.late = false;
                       s.spins = true;
                   }),
              two);

    const auto narrow = [&](const config& how) { return with(how, [](config& s) { s.room = frame / 2 + 1; }); };
    const op room = [](fixture& s) {
        s.make_room(2);
        s.make_room(plenty);
    };
    both("narrow", "A part of a message is written, and the rest when there is room.", narrow(stays), one, room);
    both("narrow-two", "So are two.", narrow(stays), two, room);
    both("narrow-and-close", "So is the end.", narrow(closes), one, room);

    const auto posts = [](command c) -> op { return [c](fixture& s) { s.post(c); }; };
    const auto posts_and_makes_room = [](command c) -> op {
        return [c](fixture& s) {
            s.post(c);
            s.make_room(plenty);
        };
    };
    const config stop_sending = with(stays, [](config& s) { s.stop_sending = 1; });
    both("stop-sending", "Between two messages stop_sending is written.", stop_sending, one,
         posts(command::request_stop_sending));
    both("stop-sending-two", "So it is beside two messages.", stop_sending, two, posts(command::request_stop_sending));
    both("stop-sending-apart", "So it is beside two messages, one long after the other.", stop_sending, apart,
         posts(command::request_stop_sending), 1);
    both("stop-sending-narrow", "So it is when there is room.", narrow(stop_sending), one,
         posts_and_makes_room(command::request_stop_sending));

    const config cut_off = with(stays, [](config& s) { s.how = ending::cut_off; });
    const config abandoned = with(cut_off, [](config& s) { s.done = true; });
    both("abandon", "Nothing is written any more, and the sender hears of it.", abandoned, two,
         posts(command::abandon));
    both("abandon-narrow", "So does a sender that waits for room.", narrow(abandoned), three_until_closed,
         posts(command::abandon));
    both("gone", "So it does when the system takes nothing any more.", cut_off, three_until_closed, hang_up);

    const config error = with(stays, [](config& s) {
        s.how = ending::error;
        s.why = ipc_errc::not_decoded;
        s.done = true;
    });
    both("error", "After a whole message an error frame is written.", error, two, posts(command::end_with_error));
    both("error-narrow", "So it is when there is room.", narrow(error), one,
         posts_and_makes_room(command::end_with_error));
    add_model("error-queued", "What is in the channel then is not written.", limits,
              with(narrow(error), [](config& s) { s.most = 1; }), [](fixture& s) {
                  s.send(1);
                  s.send(2);
                  wait_until_quiet();
                  s.post(command::end_with_error);
                  s.make_room(plenty);
              });
    const config encode_failed = with(error, [](config& s) { s.why = ipc_errc::not_encoded; });
    both("unencodable", "So it is when a message cannot be encoded, and that is noted.", encode_failed, one,
         [](fixture& s) {
             (void)s.ends.tx.send(number(unencodable));
             wait_until_quiet();
             expect(s.errors->error() == make_error_code(ipc_errc::not_encoded), "no error is noted");
         });

    const config finished = with(stays, [](config& s) { s.done = true; });
    both("finish", "What was sent is written, and no more is sent.", finished, two, posts(command::finish));
    return true;
}();

}  // namespace model
