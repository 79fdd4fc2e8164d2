// What channels cost in memory. Counts the allocations of the whole test program.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/task.hpp"

#include <malloc.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <new>
#include <optional>
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

// How many more allocations this thread may make before one fails; negative: any number.
thread_local long allowance = -1;

void* allocate(std::size_t size, std::size_t alignment) {
    if (allowance == 0) {
        throw std::bad_alloc();
    }
    if (allowance > 0) {
        --allowance;
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
    CHECK(held + static_cast<long>(sizeof(sluice::channel<std::int64_t>)) <= 512);  // with the two handles
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

#ifndef SLUICE_TEST_SANITIZED
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
                allowance = -1;
            } catch (const std::bad_alloc&) {
                allowance = -1;
                threw = true;
                CHECK(id_of(message) == sent);
                CHECK(tx.try_send(std::move(message)).has_value());
            }
        }
        CHECK((threw || which != kind::unbounded));
        CHECK(drain(rx) == numbers(0, sent));
        CHECK(error_in(rx.try_recv()) == errc::empty);
    }
    CHECK(books.balanced());
}
#endif
