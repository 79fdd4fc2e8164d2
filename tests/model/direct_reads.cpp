// A channel that is fed from a descriptor: read by a loop, or by the thread that waits for a message.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <sluice/ipc/detail/direct_reading.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace model {

namespace {

// The system: messages that have arrived, and threads that sleep until some do.
class wire {
public:
    void put() {
        change([&] { ++arrived_; });
    }
    void hang_up() {
        change([&] { over_ = true; });
    }
    template <class F>
    void change(F&& f) {
        const std::lock_guard lock(mutex_);
        f();
        changed_.notify_all();
    }
    template <class F>
    void wait(F&& done, const sluice::detail::deadline& until = sluice::detail::deadline::never()) {
        std::unique_lock lock(mutex_);
        while (!done() && !until.passed()) until.sleep(changed_, lock);
    }
    // With its lock held, as in wait() and change().
    bool readable() const { return taken_ != arrived_ || over_; }
    // How many have arrived since the last call; whether those were all.
    std::pair<int, bool> take() {
        const std::lock_guard lock(mutex_);
        return {arrived_ - std::exchange(taken_, arrived_), over_};
    }

private:
    mutex mutex_;
    condition_variable changed_;
    int arrived_ = 0, taken_ = 0;
    bool over_ = false;
};

wire* current = nullptr;  // the bells ring here

// What reads: each message is its number.
class wire_reader {
public:
    class bell final : public sluice::detail::bell {
    public:
        static std::unique_ptr<bell> make() { return std::make_unique<bell>(); }
        void ring() noexcept override {
            current->change([this] { rung_ = true; });
        }
        void sleep(int, const sluice::detail::deadline& until) {
            current->wait([this] { return rung_ || current->readable(); }, until);
            current->change([this] { rung_ = false; });
        }

    private:
        bool rung_ = false;
    };

    wire_reader(wire& from, sluice::sender<number> to) : wire_(from), to_(std::move(to)) {
        core_of(*to_)->feed_by(&reading_);
    }
    ~wire_reader() {
        reading_.retire([this] { close(); });
    }

    // The loop: reads whenever something has arrived and no other thread polls.
    void loop() {
        for (bool over = false; !over;) {
            wire_.wait([this] { return watched_ && wire_.readable(); });
            const auto held = reading_.lock_work();
            over = !fetch();
        }
    }

    bool lend() {
        if (!to_) return false;
        wire_.change([this] { watched_ = false; });
        return true;
    }
    void take_back() {
        wire_.change([this] { watched_ = true; });
    }
    int fd() const { return to_ ? 0 : -1; }
    int spins() const { return 0; }
    bool has_backlog() const { return to_ && !to_->empty(); }
    bool fetch() {
        const auto [count, over] = wire_.take();
        for (int i = 0; i < count; ++i) expect(to_->try_send(number(next_++)).has_value(), "there is no room");
        if (over) {
            close();
            wire_.change([this] { watched_ = true; });  // the loop is to end
        }
        return !over;
    }

private:
    void close() {
        if (to_) core_of(*to_)->feed_by(nullptr);
        to_.reset();
    }

    wire& wire_;
    std::optional<sluice::sender<number>> to_;
    sluice::ipc::detail::direct_reading<wire_reader> reading_{*this};
    bool watched_ = true;
    int next_ = 1;
};

// Threads that receive what was written to the wire, beside the loop.
struct fixture {
    wire w;
    sluice::channel<number> ends = sluice::unbounded<number>();
    std::unique_ptr<wire_reader> reader = std::make_unique<wire_reader>(w, std::move(ends.tx));
    mutex m;
    int received = 0;
    stop_source stop;

    fixture() { current = &w; }

    // The reader goes when the wire is hung up, while threads may be about to borrow from it.
    void loop() {
        reader->loop();
        reader.reset();
    }

    bool count(const sluice::result<number>& got) {
        if (!got) return false;
        const std::lock_guard lock(m);
        ++received;
        return true;
    }
    void receive_all() {
        while (count(ends.rx.recv())) {
        }
    }
};

using op = std::function<void(fixture&)>;

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 2};

    // So many messages are `written`, and then the wire is hung up; in the end all were received, by one of the ops or
    // after them.
    const auto add_model = [limits](const char* name, const char* property, int written, op first, op second,
                                    int ticks = 0) {
        budgets these = limits;
        these.ticks = ticks;
        if (second) these.preemptions = 1;
        add(std::string("direct-read/") + name, property, these, [=] {
            fixture s;
            {
                thread loop([&s] { s.loop(); });
                thread a([&s, &first] { first(s); });
                std::optional<thread> b;
                if (second) b.emplace([&s, &second] { second(s); });
                thread writer([&s, written] {
                    for (int i = 0; i < written; ++i) s.w.put();
                    s.w.hang_up();
                });
            }
            s.receive_all();
            if (!s.ends.rx.is_closed()) fail("the channel of a wire that was hung up is open");
            expect(s.received == written, "a message is lost, or came twice");
        });
    };
    const op all = [](fixture& s) { s.receive_all(); };
    const op one = [](fixture& s) { s.count(s.ends.rx.recv()); };

    add_model("one", "A thread that waits for a message gets it, and then hears of the end.", 1, all, nullptr);
    add_model("two", "Two messages, one after the other.", 2, all, nullptr);
    add_model("one-of-two", "A thread that has its message leaves the rest to the loop.", 2, one, nullptr);
    add_model("two-receivers", "One reads, the other is served by it or by the loop.", 2, one, one);
    add_model("two-to-the-end", "Both hear of the end.", 1, all, all);
    add_model(
        "timeout", "A receive that times out has taken nothing.", 1,
        [](fixture& s) { s.count(s.ends.rx.recv_timeout(clock::tick)); }, nullptr, 1);
    add_model(
        "select", "A select waits for the loop, or for a thread that reads.", 2,
        [](fixture& s) {
            sluice::select(sluice::on_recv(s.ends.rx, [&](const sluice::result<number>& got) { s.count(got); }));
        },
        one);
    add_model(
        "stop", "A stop request wakes a thread that reads.", 1,
        [](fixture& s) { s.count(s.ends.rx.recv(s.stop.get_token())); }, [](fixture& s) { s.stop.request_stop(); });

    const auto add_end = [limits](const char* name, const char* property, op ends_it) {
        add(std::string("direct-read/") + name, property, limits, [=] {
            fixture s;
            thread loop([&s] { s.loop(); });
            {
                thread a([&s] { expect(!s.ends.rx.recv(s.stop.get_token()), "a message came from nowhere"); });
                thread b([&s, &ends_it] { ends_it(s); });
            }
            s.w.hang_up();
        });
    };
    add_end("close-alone", "A close wakes a thread that reads, though nothing arrives.",
            [](fixture& s) { s.ends.rx.close(); });
    add_end("stop-alone", "A stop request does.", [](fixture& s) { s.stop.request_stop(); });

    add("direct-read/reader-goes", "A thread that reads when the reader goes hears of the end.", limits, [] {
        fixture s;
        thread a([&s] { s.receive_all(); });
        thread writer([&s] { s.w.put(); });
        s.reader.reset();
    });
    return true;
}();

}  // namespace model
