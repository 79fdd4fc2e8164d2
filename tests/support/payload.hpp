// Message types that notice misuse: destroyed twice, used after a move, relocated bytewise, torn, misaligned.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

namespace test {

/// A number that knows where it lives and whether it still holds its value. `gone` is what a moved-from one reads as.
class witness {
public:
    static constexpr int gone = -1;

    explicit witness(int id) : id_(id), self_(this) { ++alive_; }
    witness(const witness& other) : id_(other.use()), self_(this) {
        ++alive_;
        ++copied_;
    }
    witness(witness&& other) noexcept : id_(other.use()), self_(this) {
        ++alive_;
        other.id_ = gone;
    }
    witness& operator=(const witness& other) {
        id_ = other.use();
        return *this;
    }
    witness& operator=(witness&& other) noexcept {
        id_ = other.use();
        if (this != &other) {
            other.id_ = gone;
        }
        return *this;
    }
    ~witness() {
        blame(self_ != this);
        self_ = nullptr;
        --alive_;
    }

    int id() const {
        blame(self_ != this);
        return id_;
    }

    static void blame(bool misused) {
        if (misused) {
            ++faults_;
        }
    }
    static long alive() { return alive_; }
    static long faults() { return faults_; }
    static long copied() { return copied_; }

private:
    int use() const {
        blame(self_ != this || id_ == gone);
        return id_;
    }

    int id_;
    const void* volatile self_;
    static inline std::atomic<long> alive_{0};
    static inline std::atomic<long> faults_{0};
    static inline std::atomic<long> copied_{0};
};

/// Balanced when every witness that was made since is destroyed, once, and none was misused.
class audit {
public:
    bool balanced() const { return alive() == 0 && witness::faults() == faults_; }
    long alive() const { return witness::alive() - alive_; }

private:
    long alive_ = witness::alive();
    long faults_ = witness::faults();
};

struct move_only {
    explicit move_only(int id) : mark(id) {}
    move_only(move_only&&) = default;
    move_only& operator=(move_only&&) = default;
    int id() const { return mark.id(); }
    witness mark;
};

struct alignas(128) over_aligned {
    explicit over_aligned(int id) : mark(id) { check(); }
    over_aligned(const over_aligned& other) : mark(other.mark) { check(); }
    over_aligned(over_aligned&& other) noexcept : mark(std::move(other.mark)) { check(); }
    over_aligned& operator=(const over_aligned&) = default;
    over_aligned& operator=(over_aligned&&) = default;
    ~over_aligned() = default;
    int id() const { return mark.id(); }
    void check() const { witness::blame(reinterpret_cast<std::uintptr_t>(this) % alignof(over_aligned) != 0); }
    witness mark;
};

struct no_default {
    no_default() = delete;
    explicit no_default(int id) : mark(id) {}
    int id() const { return mark.id(); }
    witness mark;
};

struct injected_error : std::runtime_error {
    injected_error() : std::runtime_error("a test has injected this error") {}
};

/// How many more constructions from another `throwing_move` this thread makes until one throws an `injected_error`;
/// 0: none throws.
inline int& throw_after() {
    thread_local int steps = 0;
    return steps;
}

inline void count_down() {
    if (throw_after() > 0 && --throw_after() == 0) {
        throw injected_error();
    }
}

struct throwing_move {
    explicit throwing_move(int id) : mark(id) {}
    throwing_move(const throwing_move& other) : mark((count_down(), other.mark)) {}
    throwing_move(throwing_move&& other) noexcept(false) : mark((count_down(), std::move(other.mark))) {}
    throwing_move& operator=(const throwing_move&) = default;
    throwing_move& operator=(throwing_move&& other) noexcept(false) {
        count_down();
        mark = std::move(other.mark);
        return *this;
    }
    ~throwing_move() = default;
    int id() const { return mark.id(); }
    witness mark;
};

/// Four KiB that all say the same number.
struct page {
    explicit page(int id) { words.fill(id); }
    int id() const {
        for (const auto word : words) {
            if (word != words.front()) {
                witness::blame(true);
                return witness::gone;
            }
        }
        return words.front();
    }
    std::array<std::int32_t, 1024> words;
};

using payloads = std::tuple<int, move_only, over_aligned, throwing_move>;
using copyable_payloads = std::tuple<int, over_aligned, throwing_move>;
using payloads_and_page = std::tuple<int, move_only, over_aligned, throwing_move, page>;

inline int id_of(int value) { return value; }
template <class T>
int id_of(const T& value) {
    return value.id();
}

}  // namespace test
