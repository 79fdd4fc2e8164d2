// The modelled mutex and condition variable.
#pragma once

#include <mutex>

#include <model/explorer/clock.hpp>
#include <model/explorer/sync_object.hpp>

namespace model {

// Fails the execution on recursive locking, on unlocking by another thread, on destruction while it is locked, and
// where two mutexes are locked in both orders within one execution.
class mutex : public sync_object {
public:
    mutex() noexcept : sync_object('m') {}
    ~mutex();
    void lock();
    bool try_lock();
    void unlock() noexcept;

    int owner() const noexcept { return owner_; }  // -1: nobody
    bool is_locked() const noexcept { return owner_ >= 0; }

private:
    friend class condition_variable;
    // Takes it in a step that has begun: lock(), try_lock() and waking up end with it.
    void acquire();
    int owner_ = -1;
};

// Threads sleep in the order of nothing: notify_one() may wake any of them. A thread may hold no other mutex meanwhile.
class condition_variable : public sync_object {
public:
    condition_variable() noexcept : sync_object('c') {}
    void wait(std::unique_lock<mutex>& lock) { wait_until(lock, clock::time_point::max()); }
    void wait_until(std::unique_lock<mutex>& lock, clock::time_point until);
    void notify_one() noexcept { notify(false); }
    void notify_all() noexcept { notify(true); }

private:
    // Waiters are found among the threads; nothing about them is kept here.
    void notify(bool all) noexcept;
};

}  // namespace model
