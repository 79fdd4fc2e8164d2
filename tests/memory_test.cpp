// What channels cost in memory. Counts the allocations of the whole test program.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <malloc.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <ostream>
#include <stop_token>
#include <utility>
#include <vector>

namespace {

std::atomic<long> live_bytes{0};
std::atomic<long> allocations{0};

void count_allocation(std::size_t bytes) {
    live_bytes.fetch_add(static_cast<long>(bytes), std::memory_order_relaxed);
    allocations.fetch_add(1, std::memory_order_relaxed);
}
void count_release(std::size_t bytes) { live_bytes.fetch_sub(static_cast<long>(bytes), std::memory_order_relaxed); }

}  // namespace

#ifdef SLUICE_TEST_SANITIZED

// A sanitizer brings its own allocation functions, and lets others watch. Not every compiler installs the header that
// says so.
extern "C" {
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*, std::size_t),
                                              void (*on_free)(const volatile void*));
std::size_t __sanitizer_get_allocated_size(const volatile void* block);
}

namespace {

const int watching = __sanitizer_install_malloc_and_free_hooks(
    [](const volatile void* block, std::size_t) { count_allocation(__sanitizer_get_allocated_size(block)); },
    [](const volatile void* block) {
        if (block != nullptr) {
            count_release(__sanitizer_get_allocated_size(block));
        }
    });

}  // namespace

#else

namespace {

// How many more allocations this thread may make before one fails; negative: any number, also after that.
thread_local long allowance = -1;

void* allocate(std::size_t size, std::size_t alignment) {
    if (allowance >= 0 && allowance-- == 0) {
        throw std::bad_alloc();
    }
    void* block = nullptr;
    if (alignment <= alignof(std::max_align_t)) {
        block = std::malloc(size);
    } else if (posix_memalign(&block, alignment, size) != 0) {
        block = nullptr;
    }
    if (block == nullptr) {
        throw std::bad_alloc();
    }
    count_allocation(malloc_usable_size(block));
    return block;
}

void deallocate(void* block) noexcept {
    if (block != nullptr) {
        count_release(malloc_usable_size(block));
        std::free(block);
    }
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { deallocate(block); }
void operator delete(void* block, std::size_t) noexcept { deallocate(block); }
void operator delete(void* block, std::align_val_t) noexcept { deallocate(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { deallocate(block); }

#endif

using namespace test;
using sluice::errc;

namespace {

constexpr std::size_t kibi = 1024;

/// What was allocated since it was made. Assertions allocate too, so read it before them.
class meter {
public:
    long bytes() const { return live_bytes.load() - bytes_; }
    long count() const { return allocations.load() - count_; }

private:
    long bytes_ = live_bytes.load();
    long count_ = allocations.load();
};

}  // namespace

TEST_CASE("the meter counts", "[memory]") {
    const meter used;
    // Called by its name: what a new expression asks for may be optimised away.
    void* const memory = ::operator new(8000);
    const long count = used.count();
    const long bytes = used.bytes();
    ::operator delete(memory);
    const long left = used.bytes();
#ifdef SLUICE_TEST_SANITIZED
    REQUIRE(watching > 0);
#endif
    CHECK(count == 1);
    CHECK(bytes >= 8000);
    CHECK(left == 0);
}

TEST_CASE("an empty channel takes at most 512 bytes", "[memory]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const meter used;
    long held = 0;
    {
        const auto ch = make_channel<std::int64_t>(which);
        held = used.bytes();
    }
    const long left = used.bytes();
    CHECK(held > 0);
    // With the two handles, and the two mutexes, which take 40 bytes each on x86-64.
    CHECK(held + static_cast<long>(sizeof(sluice::channel<std::int64_t>)) <= 512 - 80 + 2 * static_cast<long>(sizeof(std::mutex)));
    CHECK(left == 0);
}

TEST_CASE("a capacity costs nothing until it is used", "[memory]") {
    const meter used;
    auto [tx, rx] = sluice::bounded<page>(std::numeric_limits<std::size_t>::max());
    const long empty = used.bytes();
    CHECK(empty <= 512);
    for (int id = 0; id < 10; ++id) {
        REQUIRE(tx.try_send(page(id)).has_value());
    }
    CHECK(used.bytes() <= static_cast<long>(256 * kibi));
    CHECK(drain(rx) == numbers(0, 10));
}

TEST_CASE("a steady stream allocates nothing per message", "[memory]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<std::int64_t>(which);
    const auto stream = [&, &tx = tx, &rx = rx](int messages) {
        bool right = true;
        for (int id = 0; id < messages; ++id) {
            right = tx.send(id).has_value() && rx.recv() == id && right;
        }
        return right;
    };
    CHECK(stream(20000));
    const meter used;
    const bool right = stream(scaled(100000));
    const long count = used.count();
    CHECK(right);
    CHECK(count == 0);
}

TEST_CASE("a steady stream over 64 messages that wait allocates nothing per message", "[memory]") {
    const bool limited = GENERATE(true, false);
    CAPTURE(limited);
    auto [tx, rx] = limited ? sluice::bounded<std::int64_t>(64) : sluice::unbounded<std::int64_t>();
    const auto stream = [&, &tx = tx, &rx = rx](int rounds) {
        bool right = true;
        for (int round = 0; round < rounds; ++round) {
            for (int i = 0; i < 64; ++i) {
                right = tx.send(i).has_value() && right;
            }
            for (int i = 0; i < 64; ++i) {
                right = rx.recv() == i && right;
            }
        }
        return right;
    };
    const auto slide = [&, &tx = tx, &rx = rx](int messages) {
        bool right = true;
        for (int i = 0; i < 63; ++i) {
            right = tx.send(i).has_value() && right;
        }
        for (int i = 63; i < messages; ++i) {
            right = tx.send(i).has_value() && rx.recv() == i - 63 && right;
        }
        for (int i = 0; i < 63; ++i) {
            right = rx.recv().has_value() && right;
        }
        return right;
    };
    CHECK(stream(300));
    CHECK(slide(20000));
    const meter used;
    const bool right = stream(scaled(2000)) && slide(scaled(100000));
    const long count = used.count();
    CHECK(right);
    CHECK(count == 0);
}

TEST_CASE("filling and draining a bounded channel again and again allocates nothing", "[memory]") {
    auto [tx, rx] = sluice::bounded<std::int64_t>(512);
    const auto fill_and_drain = [&, &tx = tx, &rx = rx](int rounds) {
        bool right = true;
        for (int round = 0; round < rounds; ++round) {
            std::int64_t id = 0;
            while (tx.try_send(id)) {
                ++id;
            }
            right = id == 512 && right;
            for (std::int64_t expected = 0; expected < id; ++expected) {
                right = rx.try_recv() == expected && right;
            }
        }
        return right;
    };
    CHECK(fill_and_drain(20));
    const meter used;
    const bool right = fill_and_drain(scaled(500));
    const long count = used.count();
    CHECK(right);
    CHECK(count == 0);
}

TEST_CASE("blocking allocates nothing", "[memory]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto ping = make_channel<std::int64_t>(which);
    const auto pong = make_channel<std::int64_t>(which);
    task echo([&] {
        while (auto message = ping.rx.recv()) {
            if (!pong.tx.send(*message)) {
                break;
            }
        }
        return true;
    });
    const auto play = [&](int rounds) {
        bool right = true;
        for (int i = 0; i < rounds; ++i) {
            right = ping.tx.send(i).has_value() && pong.rx.recv() == i && right;
        }
        return right;
    };
    CHECK(play(2000));
    const meter used;
    const bool right = play(scaled(5000));
    const long count = used.count();
    CHECK(right);
    CHECK(count == 0);
    ping.tx.close();
    CHECK(echo.get());
}

TEST_CASE("a select allocates nothing", "[memory][select]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto a = make_channel<std::int64_t>(which);
    auto b = make_channel<std::int64_t>(which);
    std::int64_t sum = 0;
    const auto play = [&](int rounds) {
        bool right = true;
        const auto add = [&](std::int64_t id) { sum += id; };
        for (int i = 0; i < rounds; ++i) {
            right = a.tx.send(i).has_value() && right;
            right = sluice::select(sluice::on_recv(a.rx, add), sluice::on_recv(b.rx, add)).has_value() && right;
            right =
                sluice::select(sluice::on_recv(a.rx, add), sluice::on_timeout(std::chrono::seconds(0), [] {})) == 1u &&
                right;
        }
        return right;
    };
    CHECK(play(2000));
    const meter used;
    const bool right = play(2000);
    const long count = used.count();
    CHECK(right);
    CHECK(count == 0);
}

TEST_CASE("a case that was removed leaves nothing in its group, though its channel keeps memory", "[memory][select]") {
    const auto [tx, rx] = sluice::unbounded<int>();
    for (int i = 0; i < 5'000; ++i) REQUIRE(tx.try_send(i));  // a burst
    sluice::selector group;
    const auto come_and_go = [&, &tx = tx, &rx = rx](int times) {
        for (int i = 0; i < times; ++i) {
            const std::size_t id = group.add(sluice::on_recv(rx, [](int) {}));
            (void)group.try_wait();
            (void)tx.try_send(i);
            group.remove(id);
        }
    };
    come_and_go(10'000);
    const meter used;
    come_and_go(100'000);
    const long bytes = used.bytes();
    CHECK(bytes < 100'000);
    CHECK(rx.size() == 5'000);
}

TEST_CASE("ten million messages that were drained are given back", "[memory]") {
    constexpr std::int64_t count = scaled(10000000);
    auto [tx, rx] = sluice::unbounded<std::int64_t>();
    const meter used;
    bool right = true;
    for (std::int64_t i = 0; i < count; ++i) {
        right = tx.try_send(i).has_value() && right;
    }
    CHECK(right);
    CHECK(used.bytes() >= count * 8);
    for (std::int64_t i = 0; i < count; ++i) {
        right = rx.try_recv() == i && right;
    }
    CHECK(right);
    CHECK(rx.empty());
    CHECK(used.bytes() <= static_cast<long>(64 * kibi));
}

TEST_CASE("a million numbers take at most 1.3 times their size", "[memory]") {
    constexpr std::int64_t count = 1000000;
    const meter used;
    auto [tx, rx] = sluice::unbounded<std::int64_t>();
    bool right = true;
    for (std::int64_t i = 0; i < count; ++i) {
        right = tx.try_send(i).has_value() && right;
    }
    CHECK(right);
    CHECK(used.bytes() <= count * 8 * 13 / 10);
    rx = {};
    CHECK(used.bytes() <= static_cast<long>(64 * kibi));
}

// ---- what is given back, and what is kept

namespace {

/// A message of so many bytes.
template <std::size_t Bytes>
struct sized {
    explicit sized(int id) : number(id) {}
    int id() const { return number; }
    int number;
    std::array<std::byte, Bytes - sizeof(int)> rest;
};

/// Empties a channel of a burst, in one of these ways.
enum class emptying { recv, try_recv, recv_many, iteration, select, biased, group };

std::ostream& operator<<(std::ostream& out, emptying way) {
    constexpr const char* names[] = {"recv", "try_recv", "recv_many", "iteration", "select", "biased", "group"};
    return out << names[static_cast<int>(way)];
}

/// A receiver that keeps up, in one of these ways; what it needs for it is made once.
template <class T>
class consumer {
public:
    consumer(const sluice::receiver<T>& rx, emptying way) : rx_(rx), way_(way) {
        if (way == emptying::group) {
            group_.add(sluice::on_recv(rx_, [this](const T& message) { note(message); }));
            group_.add(sluice::on_recv(quiet_, [](int) {}));
        }
    }
    consumer(const consumer&) = delete;

    /// Waits for so many messages and receives them; whether they were the next ones.
    bool take(int count) {
        const int upto = next_ + count;
        while (next_ < upto && right_) {
            switch (way_) {
                case emptying::recv:
                    if (const auto message = rx_.recv()) note(*message);
                    break;
                case emptying::try_recv:
                    if (const auto message = rx_.try_recv()) note(*message);
                    break;
                case emptying::recv_many: (void)rx_.recv_many(id_counter{this}, static_cast<std::size_t>(count)); break;
                case emptying::iteration:
                    for (auto&& message : rx_) {
                        note(message);
                        if (next_ == upto) break;
                    }
                    break;
                case emptying::select:
                    sluice::select(sluice::on_recv(rx_, [this](const T& message) { note(message); }),
                                   sluice::on_recv(quiet_, [](int) {}), sluice::on_timeout(patience, [] {}));
                    break;
                case emptying::biased:
                    sluice::select_biased(sluice::on_recv(quiet_, [](int) {}),
                                          sluice::on_recv(rx_, [this](const T& message) { note(message); }),
                                          sluice::on_timeout(patience, [] {}));
                    break;
                case emptying::group: (void)group_.wait_timeout(patience); break;
            }
        }
        return right_ && next_ == upto;
    }

private:
    struct id_counter {
        using difference_type = std::ptrdiff_t;
        consumer* to;
        id_counter& operator*() { return *this; }
        id_counter& operator++() { return *this; }
        id_counter operator++(int) { return *this; }
        id_counter& operator=(T&& message) {
            to->note(message);
            return *this;
        }
    };

    void note(const T& message) { right_ = id_of(message) == next_++ && right_; }

    const sluice::receiver<T> rx_;
    const emptying way_;
    const sluice::receiver<int> quiet_ = sluice::never<int>();
    sluice::selector group_;
    int next_ = 0;
    bool right_ = true;
};

/// Bytes that a channel may keep which has had a burst of 16 to 64 KiB, itself included.
constexpr long a_little = 4096;

}  // namespace

TEMPLATE_TEST_CASE("channels that each had a burst keep little of it when they are empty", "[memory]", sized<8>,
                   sized<100>, sized<1024>, sized<10000>, over_aligned) {
    constexpr auto bytes = sizeof(TestType);
    const bool limited = GENERATE(false, true);
    const auto way = GENERATE(emptying::try_recv, emptying::recv, emptying::recv_many, emptying::select,
                              emptying::biased, emptying::group);
    const auto kilobytes = GENERATE(16u, 64u);
    CAPTURE(bytes, limited, way, kilobytes);
    const int burst = static_cast<int>(kilobytes * kibi / bytes);
    // As many as a program may have where that takes no time.
    const int count = bytes > 1000 && way == emptying::try_recv ? scaled(100'000) / burst : scaled(200);
    std::vector<sluice::channel<TestType>> channels;
    channels.reserve(static_cast<std::size_t>(count));
    const meter used;
    bool right = true;
    for (int i = 0; i < count && used.bytes() <= (i + 100) * a_little; ++i) {
        const auto& ch = channels.emplace_back(limited ? sluice::bounded<TestType>(static_cast<std::size_t>(burst))
                                                       : sluice::unbounded<TestType>());
        for (int id = 0; id < burst; ++id) {
            right = ch.tx.try_send(TestType(id)).has_value() && right;
        }
        right = consumer<TestType>(ch.rx, way).take(burst) && error_in(ch.rx.try_recv()) == errc::empty && right;
    }
    const long kept = used.bytes();
    CHECK(right);
    CHECK(channels.size() == static_cast<std::size_t>(count));
    CHECK(kept <= count * a_little);
}

TEST_CASE("a hundred thousand channels that each had a burst keep little of it", "[memory]") {
    using message = sized<1024>;
    const int count = scaled(100'000);
    std::vector<sluice::channel<message>> channels;
    channels.reserve(static_cast<std::size_t>(count));
    const meter used;
    for (int i = 0; i < count && used.bytes() <= (i + 1000) * a_little; ++i) {
        const auto& ch = channels.emplace_back(sluice::unbounded<message>());
        for (int id = 0; id < 16 + i % 48; ++id) {
            (void)ch.tx.try_send(message(id));
        }
        while (ch.rx.try_recv()) {
        }
    }
    const long kept = used.bytes();
    CHECK(channels.size() == static_cast<std::size_t>(count));
    CHECK(kept <= count * a_little);
}

TEST_CASE("what channels keep for the next burst is bounded for all of them together", "[memory]") {
    using message = sized<1024>;
    constexpr int count = 1000;
    constexpr long most = 32 * 1024 * kibi;
    std::vector<sluice::channel<message>> channels;
    channels.reserve(count);
    const meter used;
    for (int i = 0; i < count; ++i) {
        channels.push_back(sluice::unbounded<message>());
    }
    // Of the second burst a channel may keep the last ring, of 64 KiB: twice as much in all as may be kept.
    for (int burst = 0; burst < 2; ++burst) {
        for (const auto& ch : channels) {
            for (int id = 0; id < 127; ++id) {
                (void)ch.tx.try_send(message(id));
            }
            while (ch.rx.try_recv()) {
            }
        }
    }
    const long kept = used.bytes();
    CHECK(kept > most / 2);
    CHECK(kept <= most + count * a_little);
}

TEST_CASE("a channel of large messages gives their memory back when a receiver has waited for a while", "[memory]") {
    using message = sized<1024 * kibi>;
    const bool limited = GENERATE(false, true);
    const auto way =
        GENERATE(emptying::recv, emptying::recv_many, emptying::iteration, emptying::select, emptying::group);
    const int burst = GENERATE(1, 5);
    CAPTURE(limited, way, burst);
    const auto large = std::make_unique<message>(0);
    auto [tx, rx] = limited ? sluice::bounded<message>(8) : sluice::unbounded<message>();
    const auto takes = std::make_unique<consumer<message>>(rx, way);  // a case of a group has a place for its message
    const meter used;
    {
        task receiving([&] { return takes->take(burst + 1); });
        for (int i = 0; i < burst; ++i) {
            large->number = i;
            REQUIRE(tx.send(*large).has_value());
        }
        REQUIRE(eventually([&, &rx = rx] { return rx.empty(); }));
        // The receiver waits for one more.
        CHECK(eventually([&] { return used.bytes() <= static_cast<long>(64 * kibi); }));
        large->number = burst;
        CHECK(tx.send(*large).has_value());
        CHECK(receiving.get());
    }
}

TEMPLATE_TEST_CASE("a steady stream allocates nothing, whatever the size of its messages", "[memory]", sized<8>,
                   sized<1024>, sized<16 * kibi>, sized<32 * kibi>, sized<256 * kibi>) {
    constexpr auto bytes = sizeof(TestType);
    const bool limited = GENERATE(false, true);
    const auto way = GENERATE(emptying::recv, emptying::recv_many, emptying::select, emptying::group);
    const int on_the_way = bytes == 8 ? GENERATE(1, 64, 1000) : GENERATE(1, 2, 5, 16);
    CAPTURE(bytes, limited, way, on_the_way);
    auto [tx, rx] = limited ? sluice::bounded<TestType>(1000) : sluice::unbounded<TestType>();
    const auto made = std::make_unique<TestType>(0);
    const auto takes = std::make_unique<consumer<TestType>>(rx, way);
    int next = 0;
    const auto stream = [&, &tx = tx](int rounds) {
        bool right = true;
        for (int round = 0; round < rounds; ++round) {
            for (int i = 0; i < on_the_way; ++i) {
                made->number = next++;
                right = tx.send(*made).has_value() && right;
            }
            right = takes->take(on_the_way) && right;
        }
        return right;
    };
    constexpr int rounds = scaled(bytes > 100'000 ? 50 : 200);
    CHECK(stream(rounds));
    const meter used;
    const bool right = stream(rounds);
    const long count = used.count();
    CHECK(right);
    // Where the machine stands still for a while, so does the stream.
    CHECK(count <= 2);
}

TEST_CASE("a stream between threads that keep up with each other allocates nothing", "[memory]") {
    using message = sized<32 * kibi>;
    const bool limited = GENERATE(false, true);
    const auto way = GENERATE(emptying::recv, emptying::recv_many, emptying::select, emptying::group);
    const int burst = GENERATE(1, 3, 16);
    CAPTURE(limited, way, burst);
    auto [tx, rx] = limited ? sluice::bounded<message>(16) : sluice::unbounded<message>();
    auto taken = sluice::rendezvous<bool>();
    constexpr int warming_up = 100;
    constexpr int rounds = scaled(200);
    task receiving([&, &rx = rx] {
        const auto takes = std::make_unique<consumer<message>>(rx, way);
        for (int round = 0; round < warming_up + rounds; ++round) {
            (void)taken.tx.send(takes->take(burst));
        }
        return true;
    });
    const auto made = std::make_unique<message>(0);
    int next = 0;
    const auto stream = [&, &tx = tx](int times) {
        bool right = true;
        for (int round = 0; round < times; ++round) {
            for (int i = 0; i < burst; ++i) {
                made->number = next++;
                right = tx.send(*made).has_value() && right;
            }
            right = taken.rx.recv().value() && right;
        }
        return right;
    };
    CHECK(stream(warming_up));
    const meter used;
    const bool right = stream(rounds);
    const long count = used.count();
    CHECK(receiving.get());
    CHECK(right);
    // A round may last longer than a receiver waits before it gives memory back, where the machine has other work.
    CHECK(count <= rounds * burst / 20);
}

#ifndef SLUICE_TEST_SANITIZED

namespace {

/// Runs `body` with its first allocation failing, then with its second, and so on until none of them fails; says how many
/// failed. Each that fails has to reach the caller, and then `intact` must hold.
template <class Body, class Intact>
int fail_each_allocation(Body body, Intact intact) {
    for (int n = 0;; ++n) {
        bool reported = false;
        allowance = n;
        try {
            body();
        } catch (const std::bad_alloc&) {
            reported = true;
        }
        const bool failed = std::exchange(allowance, -1) < 0;
        REQUIRE(failed == reported);
        if (!failed) {
            return n;
        }
        REQUIRE(intact());
    }
}

/// Whether the messages from `first` on go through an empty channel, though it may hold only one.
template <class T>
bool carries(const sluice::channel<T>& ch, int first) {
    for (int id = first; id < first + 3; ++id) {
        if (!ch.tx.try_send(T(id)) || id_in(ch.rx.try_recv()) != id) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("a channel, a timer, a subscription or a case for which there is no memory is not made",
          "[memory][exception]") {
    sluice::broadcaster<int> bus;
    const auto listener = bus.subscribe();
    auto ch = sluice::unbounded<move_only>();
    const audit books;
    {
        sluice::selector group;
        const auto works = [&] {
            return bus.subscriber_count() == 1 && bus.send(1) == 1 && listener.try_recv() == 1 && group.empty() &&
                   group.try_wait().error() == errc::closed && carries(ch, 0);
        };
        CHECK(fail_each_allocation([] { (void)sluice::unbounded<move_only>(); }, works) == 1);
        CHECK(fail_each_allocation([] { (void)sluice::bounded<over_aligned>(3); }, works) == 1);
        CHECK(fail_each_allocation([] { (void)sluice::never<int>(); }, works) == 1);
        CHECK(fail_each_allocation([] { (void)sluice::tick(std::chrono::hours(1)); }, works) == 1);
        CHECK(fail_each_allocation([] { (void)sluice::broadcaster<int>(); }, works) >= 1);
        CHECK(fail_each_allocation([&] { (void)bus.subscribe(2, sluice::overflow::block); }, works) >= 2);
        CHECK(fail_each_allocation([&] { (void)group.add(sluice::on_recv(ch.rx, [](move_only) {})); }, works) >= 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("a send for which there is no memory throws and leaves everything as it was", "[memory][exception]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto [tx, rx] = make_channel<move_only>(which);
        int sent = 0;
        bool threw = false;
        for (; !threw && sent < 100000 && !tx.full(); ++sent) {
            move_only message(sent);
            allowance = 0;
            try {
                (void)tx.try_send(std::move(message));
            } catch (const std::bad_alloc&) {
                threw = true;
                CHECK(id_of(message) == sent);
                CHECK(tx.try_send(std::move(message)).has_value());
            }
            allowance = -1;
        }
        CHECK((threw || which != kind::unbounded));
        CHECK(drain(rx) == numbers(0, sent));
        CHECK(error_in(rx.try_recv()) == errc::empty);
    }
    CHECK(books.balanced());
}

TEST_CASE("each kind of send throws where there is no memory, and neither its message nor the channel is harmed",
          "[memory][exception]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const audit books;
    {
        std::optional<sluice::channel<move_only>> ch;
        std::optional<move_only> message;
        const auto afresh = [&] {
            const long allowed = std::exchange(allowance, -1);
            ch.emplace(make_channel<move_only>(which));
            message.emplace(5);
            allowance = allowed;
        };
        const auto intact = [&] { return id_of(*message) == 5 && ch->rx.empty() && carries(*ch, 10); };
        const auto each_fails = [&](auto how) {
            const int failed = fail_each_allocation(
                [&] {
                    afresh();
                    how();
                },
                intact);
            CHECK(failed == 1);
            CHECK(drain(ch->rx) == std::vector<int>{5});
        };
        each_fails([&] { (void)ch->tx.send(std::move(*message)); });
        each_fails([&] { (void)ch->tx.send(std::move(*message), std::stop_token()); });
        each_fails([&] { (void)ch->tx.try_send(std::move(*message)); });
        each_fails([&] { (void)ch->tx.send_timeout(std::move(*message), std::chrono::hours(1)); });
        each_fails([&] { (void)ch->tx.send_until(std::move(*message), std::chrono::steady_clock::now()); });
        each_fails([&] { (void)sluice::select(sluice::on_send(ch->tx, std::move(*message))); });
        each_fails(
            [&] { (void)sluice::select(sluice::on_send(ch->tx, std::move(*message)), sluice::otherwise([] {})); });
    }
    CHECK(books.balanced());
}

TEST_CASE("a batch for which there is no memory was sent up to there, and the rest is untouched",
          "[memory][exception]") {
    const bool blocking = GENERATE(true, false);
    CAPTURE(blocking);
    constexpr int count = 300;
    const audit books;
    {
        std::optional<sluice::channel<move_only>> ch;
        std::vector<move_only> batch;
        const auto whole = [&] {
            std::vector<int> ids = drain(ch->rx);
            const std::size_t sent = ids.size();
            for (std::size_t i = sent; i < batch.size(); ++i) ids.push_back(id_of(batch[i]));
            return ids == numbers(0, count) && carries(*ch, 1000);
        };
        const int failed = fail_each_allocation(
            [&] {
                const long allowed = std::exchange(allowance, -1);
                ch.emplace(sluice::unbounded<move_only>());
                batch.clear();
                for (int id = 0; id < count; ++id) batch.emplace_back(id);
                allowance = allowed;
                (void)(blocking ? ch->tx.send_many(std::move(batch)) : ch->tx.try_send_many(std::move(batch)));
            },
            whole);
        CHECK(failed >= 3);
        CHECK(whole());
    }
    CHECK(books.balanced());
}

TEST_CASE("a batch that is received where there is no memory for it loses nothing", "[memory][exception]") {
    const bool blocking = GENERATE(true, false);
    CAPTURE(blocking);
    constexpr int count = 40;
    const audit books;
    {
        auto [tx, rx] = sluice::unbounded<move_only>();
        std::vector<move_only> got;
        const auto whole = [&, &rx = rx] {
            std::vector<int> ids;
            for (const move_only& m : got) ids.push_back(id_of(m));
            for (const int id : drain(rx)) ids.push_back(id);
            return ids == numbers(0, count);
        };
        const int failed = fail_each_allocation(
            [&, &tx = tx, &rx = rx] {
                const long allowed = std::exchange(allowance, -1);
                std::vector<move_only>().swap(got);
                for (int id = 0; id < count; ++id) (void)tx.send(move_only(id));
                allowance = allowed;
                (void)(blocking ? rx.recv_many(std::back_inserter(got), count)
                                : rx.try_recv_many(std::back_inserter(got), count));
            },
            whole);
        CHECK(failed >= 1);
        CHECK(whole());
    }
    CHECK(books.balanced());
}

TEST_CASE("a broadcast for which there is no memory reaches some subscribers, and the next one all",
          "[memory][exception]") {
    std::optional<sluice::broadcaster<page>> bus;
    std::vector<sluice::receiver<page>> listeners;
    const auto next_reaches_all = [&] {
        bool all = bus->send(page(2)) == listeners.size();
        for (const auto& rx : listeners) {
            const std::vector<int> got = drain(rx);
            all = all && (got == std::vector<int>{2} || got == std::vector<int>{1, 2});
        }
        return all;
    };
    const int failed = fail_each_allocation(
        [&] {
            const long allowed = std::exchange(allowance, -1);
            bus.emplace();
            listeners.clear();
            for (int i = 0; i < 3; ++i) listeners.push_back(bus->subscribe());
            allowance = allowed;
            (void)bus->send(page(1));
        },
        next_reaches_all);
    CHECK(failed == 3);
    CHECK(next_reaches_all());
}

TEST_CASE("a broadcast that finds no memory to forget those who left reaches the others all the same",
          "[memory][exception]") {
    sluice::broadcaster<int> bus;
    const auto stays = bus.subscribe();
    auto leaves = bus.subscribe();
    leaves = {};
    std::size_t reached = 0;
    allowance = 0;
    try {
        reached = bus.send(1);  // the message itself takes no memory
    } catch (const std::bad_alloc&) {
    }
    const bool failed = std::exchange(allowance, -1) < 0;
    CHECK(failed);
    CHECK(reached == 1);
    CHECK(bus.send(2) == 1);
    CHECK(drain(stays) == std::vector<int>{1, 2});
}

TEST_CASE("a case for which there is no memory leaves the value to be sent as it was", "[memory][exception]") {
    auto [tx, rx] = sluice::unbounded<move_only>();
    std::optional<sluice::selector> group;
    move_only value(7);
    const int failed = fail_each_allocation(
        [&, &tx = tx] {
            const long allowed = std::exchange(allowance, -1);
            group.emplace();
            allowance = allowed;
            (void)group->add(sluice::on_send(tx, std::move(value)));
        },
        [&] { return group->empty() && id_of(value) == 7; });
    CHECK(failed >= 2);
    CHECK(group->size() == 1);
}

TEST_CASE("a group for which there is no memory waits when there is some again", "[memory][exception]") {
    auto [tx, rx] = sluice::unbounded<int>();
    REQUIRE(tx.send(1).has_value());
    std::optional<sluice::selector> group;
    std::vector<int> got;
    got.reserve(100);
    const int failed = fail_each_allocation(
        [&, &rx = rx] {
            const long allowed = std::exchange(allowance, -1);
            group.emplace();
            for (int i = 0; i < 5; ++i) (void)group->add(sluice::on_recv(rx, [&](int id) { got.push_back(id); }));
            allowance = allowed;
            (void)group->wait();
        },
        [&] { return got.empty() && group->size() == 5; });
    CHECK(failed >= 2);
    CHECK(got == std::vector<int>{1});
}

TEST_CASE("a receiver that lets a blocked sender in has its message, though there is no memory for the sender's",
          "[memory][exception]") {
    // A queue of segments of two, so that one that is full may need another one for the next message.
    struct bulky : move_only {
        explicit bulky(int id) : move_only(id) {}
        std::array<std::byte, 24000> padding{};
    };
    const audit books;
    {
        auto [tx, rx] = sluice::bounded<bulky>(3);
        int failed = 0, next = 0, last = 0;
        for (; last < 3; ++last) REQUIRE(tx.try_send(bulky(last)).has_value());
        for (int round = 0; round < 20; ++round) {
            bulky message(last);
            task sender([&, &tx = tx] {
                try {
                    return tx.send(std::move(message)).has_value();
                } catch (const std::bad_alloc&) {
                    return false;
                }
            });
            REQUIRE(wait_until_asleep(sender));
            allowance = 0;
            auto got = rx.try_recv();
            allowance = -1;
            CHECK(id_in(got) == next++);
            if (!sender.get()) {
                ++failed;
                CHECK(id_of(message) == last);
                CHECK(tx.try_send(std::move(message)).has_value());
            }
            ++last;
        }
        CHECK(failed > 0);
        CHECK(drain(rx) == numbers(next, last));
    }
    CHECK(books.balanced());
}

TEST_CASE("receiving, closing, waking and dropping need no memory", "[memory][exception]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto ch = make_channel<move_only>(which);
        fill(ch.tx, which);
        auto copy = ch;
        task receiver([rx = ch.rx, to_take = room(which)] {
            for (int i = 0; i < to_take; ++i) (void)rx.recv();
            return id_in(rx.recv());
        });
        REQUIRE(wait_until_asleep(receiver));
        move_only message(7);
        allowance = 0;
        bool sent = true;
        if (which == kind::rendezvous) sent = copy.tx.send(std::move(message)).has_value();
        const bool closed = copy.tx.close();
        const auto nothing = copy.rx.try_recv();
        const auto refused = copy.tx.send(std::move(message));
        copy = {};
        ch = {};
        const bool spent = allowance != 0;
        allowance = -1;
        CHECK(sent);
        CHECK(closed);
        CHECK(error_in(nothing) == errc::closed);
        CHECK(error_in(refused) == errc::closed);
        CHECK_FALSE(spent);
        CHECK(receiver.get() == (which == kind::rendezvous ? id_or_error(7) : errc::closed));
    }
    CHECK(books.balanced());
}

#endif
