// The modelled atomics.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include <model/explorer/sync_object.hpp>

namespace model {

// An atomic of up to eight bytes that remembers its last values. The order in which stores are executed is their
// modification order. A read-modify-write and a seq_cst load read the newest value; any other load may read an older
// one, unless the thread knows of a newer write, or of a step that has read a newer one.
class atomic_cell : public sync_object {
protected:
    explicit atomic_cell(std::uint64_t initial) noexcept;
    // Each is one step. The order says what the thread learns and what others may learn from it; which value is found
    // is chosen by the search, within what the thread may still read.
    std::uint64_t load(std::memory_order order) const noexcept;
    void store(std::uint64_t value, std::memory_order order) noexcept;
    std::uint64_t exchange(std::uint64_t value, std::memory_order order) noexcept;
    std::uint64_t fetch_add(std::uint64_t difference, std::memory_order order) noexcept;
    std::uint64_t fetch_or(std::uint64_t bits, std::memory_order order) noexcept;
    std::uint64_t fetch_and(std::uint64_t bits, std::memory_order order) noexcept;
    bool compare_exchange(std::uint64_t& expected, std::uint64_t value, std::memory_order order) noexcept;

private:
    // A value in modification order, and who stored it, in which step: whoever knows of that step reads nothing older.
    // An acquire load learns what was `released` with it, nothing if the store does not release. `past_hash` is what a
    // thread observes that reads it: the past of the store, with the value.
    struct write {
        std::uint64_t value;
        std::uint64_t past_hash;
        vector_clock released;
        std::uint32_t step;
        int thread;
    };
    // This step of the thread has read the write of that index: who knows of the step reads nothing older.
    struct read {
        std::uint32_t index;
        std::uint32_t step;
        int thread;
    };
    static constexpr std::uint32_t max_writes = 4, max_reads = 12;  // that are remembered

    // Indices count all writes from the first; the last max_writes of them are kept, in a ring.
    const write& at(std::uint32_t index) const noexcept { return writes_[index % max_writes]; }
    const write& newest() const noexcept { return at(count_ - 1); }
    // The index of the oldest write that the running thread may still read.
    std::uint32_t oldest_readable() const noexcept;
    // Keeps that the running thread has read that write. Nothing needs to be noted of a thread that has read it or a
    // newer one.
    void note_read(std::uint32_t index) const noexcept;
    // All read-modify-writes: f(value) says whether and what to write.
    template <class F>
    std::uint64_t modify(std::memory_order order, F&& f);

    write writes_[max_writes];
    mutable read reads_[max_reads];
    mutable std::uint32_t read_count_ = 0;
    mutable std::uint32_t at_least_ = 0;  // nobody reads older writes
    std::uint32_t count_ = 1;             // of all writes
};

// Values are kept as eight bytes, so that one cell serves all types, and compared by them: a T with padding would not
// do.
template <class T>
class atomic : atomic_cell {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);

public:
    atomic(T initial = T{}) noexcept : atomic_cell(bits(initial)) {}
    T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
        return value(atomic_cell::load(order));
    }
    void store(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        atomic_cell::store(bits(v), order);
    }
    T exchange(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        return value(atomic_cell::exchange(bits(v), order));
    }
    bool compare_exchange_strong(T& expected, T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        std::uint64_t e = bits(expected);
        const bool done = atomic_cell::compare_exchange(e, bits(v), order);
        expected = value(e);
        return done;
    }
    bool compare_exchange_weak(T& expected, T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        return compare_exchange_strong(expected, v, order);
    }
    T fetch_add(T d, std::memory_order order = std::memory_order_seq_cst) noexcept requires std::is_integral_v<T> {
        static_assert(sizeof(T) == 8);
        return value(atomic_cell::fetch_add(bits(d), order));
    }
    T fetch_sub(T d, std::memory_order order = std::memory_order_seq_cst) noexcept requires std::is_integral_v<T> {
        return fetch_add(static_cast<T>(T{} - d), order);
    }
    T fetch_or(T b, std::memory_order order = std::memory_order_seq_cst) noexcept requires std::is_unsigned_v<T> {
        return value(atomic_cell::fetch_or(bits(b), order));
    }
    T fetch_and(T b, std::memory_order order = std::memory_order_seq_cst) noexcept requires std::is_unsigned_v<T> {
        return value(atomic_cell::fetch_and(bits(b), order));
    }
    operator T() const noexcept { return load(); }
    T operator=(T v) noexcept {
        store(v);
        return v;
    }

private:
    static std::uint64_t bits(T v) noexcept {
        std::uint64_t b = 0;
        std::memcpy(&b, &v, sizeof v);
        return b;
    }
    static T value(std::uint64_t b) noexcept {
        T v;
        std::memcpy(&v, &b, sizeof v);
        return v;
    }
};

}  // namespace model
