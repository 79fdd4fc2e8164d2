// Stands before the library's detail/sync.hpp where helgrind watches, which knows locks, but neither their end nor atomics.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>

#include <sys/single_threaded.h>
#include <unistd.h>
#include <valgrind/helgrind.h>

// The rest is the library's own.
#define sync the_rest_of_sync
#include_next <sluice/detail/sync.hpp>
#undef sync

namespace sluice::detail::sync {

using namespace the_rest_of_sync;

// What ends its life with its memory, as a mutex of the standard library does, would pass for the next one that lives there.
class mutex : public std::mutex {
public:
    mutex() noexcept { VALGRIND_HG_MUTEX_INIT_POST(native_handle(), 0); }
    ~mutex() { VALGRIND_HG_MUTEX_DESTROY_PRE(native_handle()); }
};

class condition_variable : std::condition_variable {
public:
    using std::condition_variable::notify_all;
    using std::condition_variable::notify_one;
    void wait(std::unique_lock<mutex>& lock) {
        std::unique_lock<std::mutex> inner(*lock.mutex(), std::adopt_lock);
        std::condition_variable::wait(inner);
        inner.release();
    }
    template <class Clock, class Duration>
    void wait_until(std::unique_lock<mutex>& lock, const std::chrono::time_point<Clock, Duration>& until) {
        std::unique_lock<std::mutex> inner(*lock.mutex(), std::adopt_lock);
        std::condition_variable::wait_until(inner, until);
        inner.release();
    }
};

// An atomic itself is no race. One that releases orders what its thread did before it, for those who then acquire.
template <class T>
class atomic {
public:
    atomic(T initial = T{}) noexcept : value_(initial) { VALGRIND_HG_DISABLE_CHECKING(&value_, sizeof value_); }
    ~atomic() { VALGRIND_HG_ENABLE_CHECKING(&value_, sizeof value_); }
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    T load(std::memory_order order) const noexcept {
        const T v = value_.load(order);
        if (order != std::memory_order_relaxed) ANNOTATE_HAPPENS_AFTER(&value_);
        return v;
    }
    void store(T v, std::memory_order order) noexcept {
        if (order != std::memory_order_relaxed) ANNOTATE_HAPPENS_BEFORE(&value_);
        value_.store(v, order);
    }
    T exchange(T v, std::memory_order order) noexcept {
        return both(order, [&] { return value_.exchange(v, order); });
    }
    bool compare_exchange_strong(T& expected, T v, std::memory_order order) noexcept {
        return both(order, [&] { return value_.compare_exchange_strong(expected, v, order); });
    }
    bool compare_exchange_weak(T& expected, T v, std::memory_order order) noexcept {
        return both(order, [&] { return value_.compare_exchange_weak(expected, v, order); });
    }
    T fetch_add(T d, std::memory_order order) noexcept {
        return both(order, [&] { return value_.fetch_add(d, order); });
    }
    T fetch_sub(T d, std::memory_order order) noexcept {
        return both(order, [&] { return value_.fetch_sub(d, order); });
    }
    T fetch_and(T bits, std::memory_order order) noexcept {
        return both(order, [&] { return value_.fetch_and(bits, order); });
    }
    T fetch_or(T bits, std::memory_order order) noexcept {
        return both(order, [&] { return value_.fetch_or(bits, order); });
    }

private:
    template <class F>
    auto both(std::memory_order order, F f) noexcept {
        if (order != std::memory_order_relaxed) ANNOTATE_HAPPENS_BEFORE(&value_);
        const auto result = f();
        if (order != std::memory_order_relaxed) ANNOTATE_HAPPENS_AFTER(&value_);
        return result;
    }

    std::atomic<T> value_;
};

}  // namespace sluice::detail::sync
