// io_loop: the thread that does the I/O of remote ends. It waits for their descriptors, their alarms and what other
// threads post, and calls the handler of each.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/io_handler.hpp>
#include <sluice/ipc/detail/poller.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/detail/wake_up.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// mutex_ guards what other threads leave for the loop, and no other lock is taken under it. What only the loop's thread
// touches needs none; but what work() touches is under lock_work() too, where the handler has one.
class io_loop final : public worker, public std::enable_shared_from_this<io_loop> {
public:
    // The one that the ends of this process share, or a new one with a thread of its own.
    static std::shared_ptr<io_loop> shared() {
        return std::static_pointer_cast<io_loop>(process::self().shared_worker(
            [] { return std::static_pointer_cast<worker>(std::make_shared<io_loop>()); }));
    }
    static std::shared_ptr<io_loop> make() { return std::make_shared<io_loop>(); }

    io_loop() : scratch_(std::make_unique_for_overwrite<std::byte[]>(scratch_size)) {}

    // From any thread; starts the loop's thread if it does not run. Throws std::system_error.
    void add(std::unique_ptr<io_handler> h, module_id module) {
        const std::lock_guard<std::mutex> one_starts(starting_);
        io_handler& added = *h;
        if (!poller_) poller_.emplace();
        if (!wake_up_) {
            wake_up_.emplace();
            poller_->add(wake_up_->fd(), {true, false}, nullptr);
        }
        bool starts;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            added_.reserve(added_.size() + 1);
            ++handlers_per_module_[module];
            added.module_ = module;
            if (added.group_) ++added.group_->alive;
            added_.push_back(std::move(h));
            starts = !std::exchange(runs_, true);
            if (!starts) wake();
        }
        if (!starts) return;
        try {
            process::self().start(shared_from_this());
        } catch (...) {
            std::unique_ptr<io_handler> failed;
            const std::lock_guard<std::mutex> held(mutex_);
            runs_ = false;
            failed = std::move(added_.back());  // the only one: other threads wait for starting_
            added_.pop_back();
            forget(failed->module_, failed->group_);
            throw;
        }
    }

    // Calls `change` under the lock, and has the loop call h.work() soon. From then on the loop may destroy the
    // handler, and with it what `change` belongs to.
    template <class F>
    void post(io_handler& h, F&& change) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        change();
        if (waiting_ > 0) changed_.notify_all();
        enqueue(h);
    }
    // The same for a handler that may be gone already.
    void post(const handler_ref& to) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        if (to.handler) enqueue(*to.handler);
    }

    // Waits until done(), which is called under the lock, after each post() and each end of a handler.
    template <class F>
    void wait_until(F&& done) noexcept {
        std::unique_lock<std::mutex> lock(mutex_);
        ++waiting_;
        changed_.wait(lock, done);
        --waiting_;
    }

    // While it lives, this thread works at a handler in place of the loop's, which may be waiting for that.
    class acting_as_loop {
    public:
        acting_as_loop() noexcept : before_(std::exchange(active(), true)) {}
        acting_as_loop(const acting_as_loop&) = delete;
        acting_as_loop& operator=(const acting_as_loop&) = delete;
        ~acting_as_loop() { active() = before_; }

        static bool& active() noexcept {
            static thread_local bool is_active = false;
            return is_active;
        }

    private:
        const bool before_;
    };

    // Ends all handlers of a group and waits for that, and returns true; does not wait, and returns false, where the
    // loop may wait for this thread: on the loop's own, and on one that acts in its place.
    bool abort_and_wait(const std::shared_ptr<handler_group>& group) {
        post_command({true, every_module, group.get()});
        if (thread_id_.load(std::memory_order_acquire) == std::this_thread::get_id() || acting_as_loop::active())
            return false;
        wait_until([&] { return group->alive == 0; });
        return true;
    }

    // ---- For a thread that works at a handler in place of the loop's, under its lock_work()

    // Whether the loop polls its descriptor, and another thread can change what for.
    bool is_polled(const io_handler& h) const noexcept {
        return poller::any_thread_changes && h.watched_ >= 0 && h.watched_ == h.fd() && !h.always_ready_ && !h.done_;
    }
    // The handler's interest() has changed. False if the loop has to look at it: its descriptor or alarm has changed
    // too.
    bool update_interest(io_handler& h) noexcept {
        if (!is_polled(h)) return false;
        const readiness wanted = h.interest();
        if (wanted != h.watched_for_ && poller_->change(h.watched_, wanted, &h) != 0) return false;
        h.watched_for_ = wanted;
        return h.alarm() == (h.alarm_ ? std::optional((*h.alarm_)->first) : std::nullopt);
    }

    void finish(module_id module) noexcept override { post_command({false, module, nullptr}); }
    void abort(module_id module) noexcept override { post_command({true, module, nullptr}); }
    bool has_work_of(module_id module) noexcept override {
        const std::lock_guard<std::mutex> held(mutex_);
        return module == every_module ? !handlers_per_module_.empty() : handlers_per_module_.count(module) > 0;
    }

    void run() noexcept override {
        thread_id_.store(std::this_thread::get_id(), std::memory_order_release);
        do {
            while (run_once()) {
            }
        } while (!stop_if_idle());
    }

private:
    friend io_handler;
    using clock = std::chrono::steady_clock;

    static constexpr std::size_t scratch_size = 64 * 1024;

    struct command {
        bool aborts;
        module_id module;
        const handler_group* group;  // null for all; else one that is not empty

        bool is_for(const io_handler& h) const noexcept {
            return group ? h.group_.get() == group : module == every_module || h.module_ == module;
        }
    };

    void post_command(command c) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        if (!runs_ || (c.group && c.group->alive == 0)) return;
        commands_.push_back(c);
        wake();
    }

    // Requires mutex_. Once for each time that the loop's thread waits.
    void wake() noexcept {
        if (std::exchange(sleeping_, false)) wake_up_->signal();
    }
    // Requires mutex_. A handler that is not adopted yet is called anyway.
    void enqueue(io_handler& h) noexcept {
        if (!h.adopted_ || h.posted_) return;
        wake();
        h.posted_ = true;
        h.previous_ = last_;
        h.next_ = nullptr;
        (last_ ? last_->next_ : first_) = &h;
        last_ = &h;
        ++posted_;
    }
    void dequeue(io_handler& h) noexcept {
        (h.previous_ ? h.previous_->next_ : first_) = h.next_;
        (h.next_ ? h.next_->previous_ : last_) = h.previous_;
        h.posted_ = false;
        --posted_;
    }
    // Requires mutex_. The group goes first, since its memory is released by code of the module, which may be unloaded once
    // it has no handler.
    void forget(module_id module, std::shared_ptr<handler_group> group) noexcept {
        if (group && --group->alive == 0)
            std::erase_if(commands_, [&](const command& c) { return c.group == group.get(); });
        group.reset();
        if (const auto of_module = handlers_per_module_.find(module); --of_module->second == 0)
            handlers_per_module_.erase(of_module);
        changed_.notify_all();
    }

    // ---- On the loop's thread

    // False when there is no handler left.
    bool run_once() noexcept {
        std::vector<std::unique_ptr<io_handler>> added;
        std::vector<command> commands;
        std::size_t pending_count;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            if (added_.empty() && handlers_.empty()) return false;
            added.swap(added_);
            commands.swap(commands_);
            pending_count = posted_;
            for (const auto& h : added) h->adopted_ = true;
        }
        for (auto& h : added) adopt(std::move(h));
        for (const command& c : commands) {
            for (std::size_t i = 0; i < handlers_.size();) {
                io_handler& h = *handlers_[i];
                if (!c.is_for(h)) {
                    ++i;
                    continue;
                }
                {
                    const auto held = h.lock_work();
                    c.aborts ? h.abort({}) : h.finish();
                }
                dispatch(h, {});
                if (!h.done_) ++i;
            }
        }
        for (; pending_count > 0; --pending_count) {
            io_handler* next;
            {
                const std::lock_guard<std::mutex> held(mutex_);
                next = first_;
                if (next) dequeue(*next);
            }
            if (!next) break;
            if (!next->done_) dispatch(*next, {}, true);
        }
        for (auto now = clock::now(); !alarms_.empty() && alarms_.begin()->first <= now;) {
            io_handler& h = *alarms_.begin()->second;
            {
                const auto held = h.lock_work();
                clear_alarm(h);
            }
            dispatch(h, {});
        }
        destroy_finished();
        wait_for_more();
        destroy_finished();
        return true;
    }

    // False if a handler was added meanwhile.
    bool stop_if_idle() noexcept {
        const std::lock_guard<std::mutex> none_starts(starting_);
        {
            const std::lock_guard<std::mutex> held(mutex_);
            if (!added_.empty()) return false;
            commands_.clear();
            runs_ = false;
        }
        poller_.reset();  // takes the lock of `process`, which comes before mutex_
        wake_up_.reset();
        return true;
    }

    void wait_for_more() noexcept {
        bool sleeps;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            sleeps = sleeping_ = first_ == nullptr && added_.empty() && commands_.empty() && !handlers_.empty();
        }
        const auto until = !sleeps           ? std::optional(clock::time_point())
                           : alarms_.empty() ? std::nullopt
                                             : std::optional(alarms_.begin()->first);
        for (const poll_event& e : poller_->wait(until)) {
            if (!e.about) {
                wake_up_->clear();
            } else if (io_handler& h = *static_cast<io_handler*>(e.about); !h.done_) {
                dispatch(h, e.ready);
            }
        }
        const std::lock_guard<std::mutex> held(mutex_);
        sleeping_ = false;
    }

    void adopt(std::unique_ptr<io_handler> h) noexcept {
        io_handler& adopted = *h;
        adopted.index_ = handlers_.size();
        try {
            finished_.reserve(handlers_.size() + 1);
            handlers_.push_back(std::move(h));
            dispatch(adopted, {});
        } catch (const std::bad_alloc&) {
            h->abort(make_error_code(std::errc::not_enough_memory));
            finished_.push_back(std::move(h));
        }
    }

    void dispatch(io_handler& h, readiness ready, bool posted = false) noexcept {
        const auto held = h.lock_work();
        if (posted && h.always_ready_) ready = h.interest();
        if (h.stopped_.exchange(false, std::memory_order_acq_rel))
            h.abort(make_error_code(std::errc::operation_canceled));
        if (h.work(ready, {scratch_.get(), scratch_size})) {
            update_poller(h);
        } else {
            end(h);
        }
    }

    // Has the poller and the alarms agree with the handler.
    void update_poller(io_handler& h) noexcept {
        const int fd = h.fd();
        const readiness wanted = h.interest();
        int error = 0;
        if (fd != h.watched_) {
            unwatch(h);
            if (fd >= 0) error = poller_->add(fd, wanted, &h);
            if (error == 0) h.watched_ = fd;
        } else if (fd >= 0 && wanted != h.watched_for_) {
            error = poller_->change(fd, wanted, &h);
        }
        h.watched_for_ = wanted;
        h.always_ready_ = error == EPERM;
        const auto when = h.alarm();
        if (h.alarm_ ? !when || (*h.alarm_)->first != *when : when.has_value()) {
            clear_alarm(h);
            try {
                if (when) h.alarm_ = alarms_.emplace(*when, &h);
            } catch (const std::bad_alloc&) {
                error = ENOMEM;
            }
        }
        if (error == 0 || (h.always_ready_ && !wanted)) return;
        if (!h.always_ready_) h.abort(from_errno(error));
        const std::lock_guard<std::mutex> held(mutex_);
        enqueue(h);
    }
    void unwatch(io_handler& h) noexcept {
        if (h.watched_ >= 0) poller_->forget(std::exchange(h.watched_, -1));
    }
    void clear_alarm(io_handler& h) noexcept {
        if (h.alarm_) alarms_.erase(*std::exchange(h.alarm_, std::nullopt));
    }

    void end(io_handler& h) noexcept {
        unwatch(h);
        clear_alarm(h);
        h.done_ = true;
        handlers_.back()->index_ = h.index_;
        std::swap(handlers_[h.index_], handlers_.back());
        finished_.push_back(std::move(handlers_.back()));
        handlers_.pop_back();
    }
    // No event of this round that is about them is left.
    void destroy_finished() noexcept {
        if (finished_.empty()) return;
        for (auto& h : finished_) {
            const module_id module = h->module_;
            std::shared_ptr<handler_group> group = h->group_;
            h.reset();
            const std::lock_guard<std::mutex> held(mutex_);
            forget(module, std::move(group));
        }
        finished_.clear();
        process::self().notify_progress();
    }

    const std::unique_ptr<std::byte[]> scratch_;
    std::vector<std::unique_ptr<io_handler>> handlers_, finished_;
    io_handler::alarms alarms_;
    std::optional<poller> poller_;
    std::atomic<std::thread::id> thread_id_{};

    std::mutex
        starting_;  // held to start and to end the thread; before the lock of `process`, which comes before mutex_
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<wake_up> wake_up_;
    std::vector<std::unique_ptr<io_handler>> added_;
    std::vector<command> commands_;
    std::map<module_id, std::size_t> handlers_per_module_;
    io_handler *first_ = nullptr, *last_ = nullptr;  // the handlers that are posted
    std::size_t posted_ = 0;
    std::size_t waiting_ = 0;
    bool runs_ = false, sleeping_ = false;
};

inline io_handler::io_handler(std::shared_ptr<io_loop> by, std::shared_ptr<handler_group> group)
    : ref_(new handler_ref{std::move(by), this}), group_(std::move(group)) {}

// Its waiters have been cancelled by the derived class: no other thread posts it any more, but by its handler_ref.
inline io_handler::~io_handler() {
    on_stop_.reset();
    const std::lock_guard<std::mutex> held(loop().mutex_);
    ref_->handler = nullptr;
    if (posted_) loop().dequeue(*this);
}

inline void io_handler::stopping::operator()() const noexcept {
    of->loop().post(*of, [this] { of->stopped_.store(true, std::memory_order_release); });
}

inline std::shared_ptr<io_loop> loop_for(const options& chosen) {
    return chosen.own_thread ? io_loop::make() : io_loop::shared();
}

// Gives a handler to the loop, and to the stop token. Throws std::system_error.
inline void start(io_loop& loop, std::unique_ptr<io_handler> h, const sluice::detail::stop_token& stop) {
    h->stop_on(stop);
    loop.add(std::move(h), this_module());
}

}  // namespace sluice::ipc::detail
