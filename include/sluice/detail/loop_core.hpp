// loop_core: what runs coroutines: the line of those that are ready, the timers, and how threads take turns with them.
//
// Invariants, under the lock:
// - A node is in one place at most: in ready_ from post() until it is taken or revoked, a timer in timers_ likewise; the
//   promise of a spawned task in ready_ until it begins, then in begun_ until it has ended.
// - unfinished_ counts the spawned tasks whose frames are not destroyed, or whose destruction its thread is about to count:
//   it does so before it looks for work again, sleeps or leaves.
// - A thread sleeps only if it found, since it took the lock, ready_ empty, no timer due, no reason to leave. Whoever
//   makes one of that untrue does so under the lock, and notifies before it unlocks, so no wake-up is lost; and once the lock
//   is free again it does not touch the loop, which may be destroyed as soon as what was posted has run or been revoked.
// Coroutines are resumed, and frames destroyed, without the lock.
//
// A task that awaits another and a task that ends resume nobody: they note who is next (turn::next), suspend, and the
// thread's own loop resumes that. So the stack does not grow.
#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/loop_lock.hpp>
#include <sluice/detail/loop_task.hpp>
#include <sluice/detail/resumption_list.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/timer_heap.hpp>
#include <sluice/executor.hpp>

namespace sluice::detail {

class loop_core {
public:
    using clock = sync::clock;

    loop_core() = default;
    loop_core(const loop_core&) = delete;
    loop_core& operator=(const loop_core&) = delete;
    // Nobody runs it, or spawns.
    ~loop_core() {
        is_being_destroyed_ = true;
        {
            // Of frames that are still to be destroyed, which revoke them from here; and bare coroutines.
            resumption_list others;
            while (spawned_task* const task = take_any_task(others)) destroy(*task);
        }
        while (bare_) delete std::exchange(bare_, bare_->next_made);
    }

    void post(resumption& node) noexcept {
        loop_lock lock(mutex_);
        make_ready(node);
    }
    void post(std::coroutine_handle<> coroutine) noexcept;
    bool revoke(resumption& node) noexcept {
        loop_lock lock(mutex_);
        if (!resumption_list::is_linked(node)) return false;
        resumption_list::unlink(node);
        --ready_count_;
        return true;
    }
    void post_at(clock::time_point when, timer_node& node) noexcept {
        loop_lock lock(mutex_);
        node.when = when > look_under_way_ ? when : look_under_way_ + clock::duration(1);
        timers_.add(node);
        if (timers_.top() == &node) wake_all();
    }
    bool cancel(timer_node& node) noexcept {
        loop_lock lock(mutex_);
        return timers_.remove(node);
    }

    // The task has not begun.
    void spawn(spawned_task& task, task_owner* owner) noexcept {
        task.loop = this;
        task.owner = owner;
        loop_lock lock(mutex_);
        ++unfinished_;
        make_ready(task);
    }

    // Returns when all that was spawned has ended and nothing is ready, or at a stop. Throws what left a spawned task.
    void run();
    // Runs what is ready now; returns how much that was.
    std::size_t poll();
    void stop() noexcept {
        loop_lock lock(mutex_);
        if (running_ > 0) {
            ++stops_;
            wake_all();
        } else {
            stops_next_ = true;
        }
    }

    // Asked only by who is destroyed by it, or runs in it.
    bool is_being_destroyed() const noexcept { return is_being_destroyed_; }
    // While the loop is being destroyed.
    void destroy_tasks_of(const task_owner& owner) noexcept;

    // Called by the promise of a task as it suspends to await `task`, or to end as `task`: lets what follows run as the
    // next thing in this thread, or, if it does not run the task's loop, or something follows already, posts it.
    // Not to be inlined into a coroutine: see sync::this_thread().
    SLUICE_NOINLINE static void follow_with(loop_task& task) noexcept {
        turn* const now = current();
        if (now && now->loop == task.loop && !now->next) {
            now->next = &task;
        } else {
            task.loop->follow_elsewhere(task);
        }
    }

private:
    // What a thread does in a call of run() or poll().
    struct turn {
        explicit turn(loop_core& l) noexcept : loop(&l), outer(std::exchange(sync::this_thread().running_loop, this)) {}
        turn(const turn&) = delete;
        turn& operator=(const turn&) = delete;
        ~turn() { sync::this_thread().running_loop = outer; }

        loop_core* const loop;
        void* const outer;          // a coroutine may run another loop
        loop_task* next = nullptr;  // a task that begins, or has ended, for whoever awaits it to go on
        std::size_t ended = 0;      // tasks that are not yet counted off
    };
    static turn* current() noexcept { return static_cast<turn*>(sync::this_thread().running_loop); }

    // A coroutine that was posted by its handle alone. Kept for the next one.
    struct bare_coroutine : resumption {
        explicit bare_coroutine(loop_core& l) noexcept : resumption(run), loop(l) {}
        static void run(resumption& node) {
            auto& self = static_cast<bare_coroutine&>(node);
            const std::coroutine_handle<> coroutine = self.coroutine;
            {
                loop_lock lock(self.loop.mutex_);
                self.next_free = std::exchange(self.loop.free_, &self);
            }
            coroutine.resume();
        }
        loop_core& loop;
        std::coroutine_handle<> coroutine;
        bare_coroutine* next_free = nullptr;
        bare_coroutine* next_made = nullptr;
    };

    friend class loop_task;

    // ---- With the lock

    void make_ready(resumption& node) noexcept {
        ready_.push_back(node);
        ++ready_count_;
        if (spinners_ > 0) tell_spinners();
        if (sleepers_ > 0) wake_up_.notify_one();
    }
    void wake_all() noexcept {
        if (spinners_ > 0) tell_spinners();
        if (sleepers_ > 0) wake_up_.notify_all();
    }
    void tell_spinners() noexcept { news_.store(news_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed); }
    resumption* take_ready() noexcept {
        resumption* const node = ready_.pop_front();
        if (!node) return nullptr;
        --ready_count_;
        if (spawned_task* const task = spawned(*node); task && !task->frame.done()) begun_.push_back(*task);
        return node;
    }
    static spawned_task* spawned(resumption& node) noexcept {
        if (!loop_task::is_one(node)) return nullptr;
        auto& task = static_cast<loop_task&>(node);
        return task.awaiting ? nullptr : static_cast<spawned_task*>(&task);
    }
    void count_off(turn& now) noexcept {
        if (now.ended == 0) return;
        unfinished_ -= std::exchange(now.ended, 0);
        if (unfinished_ == 0) wake_all();
    }
    // What a thread that leaves by an exception has not done.
    void take_back(turn& now) noexcept {
        count_off(now);
        if (now.next) make_ready(*std::exchange(now.next, nullptr));
    }
    // Waits without the lock for as long as it takes to be woken from sleep, or until there may be something to do.
    void spin(loop_lock& lock) {
        ++spinners_;
        const std::size_t known = news_.load(std::memory_order_relaxed);
        lock.unlock();
        for (backoff rest; news_.load(std::memory_order_relaxed) == known && rest.wait();) {
        }
        lock.lock();
        --spinners_;
    }
    void sleep(loop_lock& lock) {
        ++sleepers_;
        const timer_node* const soonest = timers_.top();
        if (soonest && soonest->when != (clock::time_point::max)()) {
            // A copy: the node may be gone, after another thread has cancelled it, when the wait looks at the time again.
            const clock::time_point when = soonest->when;
            wake_up_.wait_until(lock.to_sleep(), when);
        } else {
            wake_up_.wait(lock.to_sleep());
        }
        --sleepers_;
    }
    // Leaves the lock meanwhile, and ends early if `ends()`. Returns how many were due. What is posted meanwhile for a time
    // that is past is due just after this look at the clock, and so left for the next one: the others have their turn before.
    template <class Ends>
    std::size_t expire_timers(loop_lock& lock, turn& now, Ends&& ends) {
        std::size_t count = 0;
        if (!timers_.top()) return count;
        const clock::time_point time = look_under_way_ = clock::now();
        for (; !ends() && timers_.top() && timers_.top()->when <= time; ++count) {
            timer_node* const node = timers_.top();
            timers_.remove(*node);
            lock.unlock();
            go_on(now, *node);
            lock.lock();
            count_off(now);
        }
        look_under_way_ = (clock::time_point::min)();
        return count;
    }

    // ---- Without the lock

    static void start(resumption& node) { node.resume(); }
    static void start(timer_node& node) { node.expire(); }
    // Resumes what waits there, and what follows upon it. Throws what leaves a spawned task.
    template <class Node>
    void go_on(turn& now, Node& node) {
        sync::this_thread().completed_in_a_row = 0;
        start(node);
        while (loop_task* const task = std::exchange(now.next, nullptr)) {
            if (!task->frame.done()) {
                task->frame.resume();
            } else if (task->awaiting) {
                task->awaiting->frame.resume();
            } else {
                end(now, static_cast<spawned_task&>(*task));
            }
        }
    }
    void end(turn& now, spawned_task& task) {
        {
            loop_lock lock(mutex_);
            if (resumption_list::is_linked(task)) resumption_list::unlink(task);
        }
        std::exception_ptr exception = std::move(task.exception);
        task_owner* const owner = task.owner;
        task.frame.destroy();
        ++now.ended;
        if (owner) {
            owner->task_ended(std::move(exception));
        } else if (exception) {
            std::rethrow_exception(std::move(exception));
        }
    }
    void follow_elsewhere(loop_task& task) noexcept {
        loop_lock lock(mutex_);
        if (resumption_list::is_linked(task)) resumption_list::unlink(task);  // a spawned one that ends: from begun_
        make_ready(task);
    }

    // ---- In the destructor

    // One that was not begun, or the last that was begun: so those of a group come before whoever has the group.
    spawned_task* take_any_task(resumption_list& others) noexcept {
        loop_lock lock(mutex_);
        while (resumption* const node = ready_.pop_back()) {
            if (spawned_task* const task = spawned(*node)) return task;
            others.push_front(*node);
        }
        resumption* const last = begun_.pop_back();
        return last ? static_cast<spawned_task*>(static_cast<loop_task*>(last)) : nullptr;
    }
    static void destroy(spawned_task& task) noexcept {
        if (task.owner) task.owner->task_destroyed();
        task.frame.destroy();
    }

    sync::mutex mutex_;
    sync::condition_variable wake_up_;
    // All guarded by mutex_, but for is_being_destroyed_ and news_.
    resumption_list ready_;
    resumption_list begun_;
    timer_heap timers_;
    clock::time_point look_under_way_ = (clock::time_point::min)();  // for timers that are due; when it began
    std::size_t ready_count_ = 0;
    std::size_t unfinished_ = 0;
    std::size_t running_ = 0;  // calls of run()
    std::size_t sleepers_ = 0;
    std::size_t spinners_ = 0;
    std::size_t stops_ = 0;    // requested while a run() was under way
    bool stops_next_ = false;  // the next run()
    bool is_being_destroyed_ = false;
    bare_coroutine* free_ = nullptr;
    bare_coroutine* bare_ = nullptr;  // all that were made
    // Changes while there are spinners and one of them may have something to do: a hint, which is looked at without the
    // lock, and after which everything is looked at again under it.
    sync::atomic<std::size_t> news_{0};
};

inline void loop_core::post(std::coroutine_handle<> coroutine) noexcept {
    loop_lock lock(mutex_);
    bare_coroutine* node = free_;
    if (node) {
        free_ = node->next_free;
    } else {
        lock.unlock();
        node = new bare_coroutine(*this);
        lock.lock();
        node->next_made = std::exchange(bare_, node);
    }
    node->coroutine = coroutine;
    make_ready(*node);
}

inline void loop_core::run() {
    constexpr unsigned turns_between_looks_at_timers = 64;
    turn now(*this);
    loop_lock lock(mutex_);
    if (std::exchange(stops_next_, false)) return;
    struct leaver {
        ~leaver() {
            lock.lock();
            --self.running_;
            self.take_back(now);
        }
        loop_core& self;
        loop_lock& lock;
        turn& now;
    } leave{*this, lock, now};
    ++running_;
    const std::size_t stops_before = stops_;
    bool has_spun = false;
    const auto is_stopped = [&] { return stops_ != stops_before; };
    for (unsigned i = 1;; ++i) {
        if (ready_.empty() || i % turns_between_looks_at_timers == 0) expire_timers(lock, now, is_stopped);
        if (is_stopped()) return;
        if (resumption* const node = take_ready()) {
            lock.unlock();
            go_on(now, *node);
            lock.lock();
            count_off(now);
            has_spun = false;
        } else if (unfinished_ == 0) {
            return;
        } else if (!has_spun && sync::multicore() && !sync::single_threaded()) {
            spin(lock);
            has_spun = true;
        } else {
            sleep(lock);
            has_spun = false;
        }
    }
}

inline std::size_t loop_core::poll() {
    turn now(*this);
    loop_lock lock(mutex_);
    struct leaver {
        ~leaver() {
            lock.lock();
            self.take_back(now);
        }
        loop_core& self;
        loop_lock& lock;
        turn& now;
    } leave{*this, lock, now};
    std::size_t left = ready_count_;  // without what the timers make ready
    std::size_t resumed = expire_timers(lock, now, [] { return false; });
    for (; left > 0; --left) {
        resumption* const node = take_ready();
        if (!node) break;
        lock.unlock();
        go_on(now, *node);
        lock.lock();
        count_off(now);
        ++resumed;
    }
    return resumed;
}

inline void loop_core::destroy_tasks_of(const task_owner& owner) noexcept {
    for (;;) {
        spawned_task* found = nullptr;
        {
            loop_lock lock(mutex_);
            for (resumption_list* const list : {&ready_, &begun_}) {
                for (resumption* node = list->first(); node && !found; node = list->after(*node)) {
                    spawned_task* const task = spawned(*node);
                    if (task && task->owner == &owner) found = task;
                }
            }
            if (found) resumption_list::unlink(*found);
        }
        if (!found) return;
        destroy(*found);
    }
}

inline void loop_task::run(resumption& node) { loop_core::follow_with(static_cast<loop_task&>(node)); }

}  // namespace sluice::detail
