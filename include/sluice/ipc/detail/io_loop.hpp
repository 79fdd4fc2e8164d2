// The thread behind remote ends: waits for their descriptors, for alarms and for those who post to it, and has each end
// do what it can.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/poller.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

class [[gnu::visibility("default")]] io_loop;

class station;

// How others reach a station that may be gone.
struct contact {
    const std::shared_ptr<io_loop> loop;
    station* of;  // guarded by the lock of the loop; none once it is gone
    // Set by the station, to be posted also by those who have nothing to tell.
    sluice::detail::sync::atomic<bool> curious{false};
};

// Stations that are ended together, and waited for.
struct station_group {
    std::size_t alive = 0;  // guarded by the lock of the loop
};

// Something that a loop looks after. Its virtual members are called by the loop's thread alone, or
// under exclude().
class [[gnu::visibility("default")]] station {
public:
    using time_point = std::chrono::steady_clock::time_point;

    station(std::shared_ptr<io_loop> by, std::shared_ptr<station_group> group);
    station(const station&) = delete;
    station& operator=(const station&) = delete;
    virtual ~station();

    // Does what can be done without blocking. `what` has happened to the descriptor; nothing if it was posted, or its
    // alarm has gone off. `scratch` is lent until it returns. False when it is over.
    virtual bool work(readiness what, std::span<std::byte> scratch) = 0;
    // What to wait for; -1 for no descriptor.
    virtual int fd() const noexcept = 0;
    virtual readiness interest() const noexcept = 0;
    // When to be called even though nothing has happened.
    virtual std::optional<time_point> alarm() const noexcept { return std::nullopt; }
    // The next calls of work() write out what was sent, and nothing else.
    virtual void finish() noexcept = 0;
    // Ends at once, for this reason if any; what was not written is lost.
    virtual void abort(std::error_code why) noexcept = 0;
    // Held while one of these runs, where another thread may be at work in place of the loop's.
    virtual std::unique_lock<std::mutex> exclude() { return {}; }

    io_loop& loop() const noexcept { return *contact_->loop; }
    const std::shared_ptr<contact>& reach() const noexcept { return contact_; }

    // Ends it at once when a stop is requested. Before it is added.
    void obey(const sluice::detail::stop_token& stop) {
        if (stop.stop_possible()) on_stop_.emplace(stop, stopping{this});
    }

private:
    friend io_loop;
    struct stopping {
        station* of;
        void operator()() const noexcept;
    };
    using alarms = std::multimap<time_point, station*>;

    const std::shared_ptr<contact> contact_;
    const std::shared_ptr<station_group> group_;
    module_id made_by_ = every_module;

    // Guarded by the lock of the loop.
    station *previous_ = nullptr, *next_ = nullptr;  // among those that are posted
    bool adopted_ = false, posted_ = false;

    // For the thread of the loop.
    std::size_t place_ = 0;
    int watched_ = -1;
    readiness watched_for_;
    bool always_ready_ = false;  // its descriptor is none that can be waited for, such as a file
    std::optional<alarms::iterator> alarm_;
    bool over_ = false;

    std::atomic<bool> stopped_{false};
    std::optional<sluice::detail::stop_callback<stopping>> on_stop_;  // the last: it uses the others
};

class io_loop final : public worker, public std::enable_shared_from_this<io_loop> {
public:
    // That of the process, or one with a thread of its own.
    static std::shared_ptr<io_loop> common() {
        return std::static_pointer_cast<io_loop>(
            process::self().common([] { return std::static_pointer_cast<worker>(std::make_shared<io_loop>()); }));
    }
    static std::shared_ptr<io_loop> make() { return std::make_shared<io_loop>(); }

    io_loop() : scratch_(std::make_unique_for_overwrite<std::byte[]>(scratch_size)) {}

    // From any thread; the first one starts the loop's. Throws std::system_error.
    void add(std::unique_ptr<station> s, module_id made_by) {
        const std::lock_guard<std::mutex> one_starts(starting_);
        station& added = *s;
        if (!poller_) poller_.emplace();
        if (!waking_) {
            waking_.emplace();
            poller_->add(waking_->fd(), {true, false}, nullptr);
        }
        bool starts;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            fresh_.reserve(fresh_.size() + 1);
            ++alive_[made_by];
            added.made_by_ = made_by;
            if (added.group_) ++added.group_->alive;
            fresh_.push_back(std::move(s));
            starts = !std::exchange(runs_, true);
            if (!starts) wake();
        }
        if (!starts) return;
        try {
            process::self().start(shared_from_this());
        } catch (...) {
            std::unique_ptr<station> failed;
            const std::lock_guard<std::mutex> held(mutex_);
            runs_ = false;
            failed = std::move(fresh_.back());  // the only one: who adds others is waiting
            fresh_.pop_back();
            uncount(failed->made_by_, failed->group_.get());
            throw;
        }
    }

    // Has the station do its work soon, after `change`, which is done under the lock. After that the station, and who
    // calls, may be gone.
    template <class F>
    void post(station& s, F&& change) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        change();
        if (waiting_ > 0) changed_.notify_all();
        call(s);
    }
    // The same where the station may be gone already.
    void post(const contact& to) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        if (to.of) call(*to.of);
    }

    // Waits for what is changed by a post(), or by the end of a station.
    template <class F>
    void wait_until(F&& done) noexcept {
        std::unique_lock<std::mutex> lock(mutex_);
        ++waiting_;
        changed_.wait(lock, done);
        --waiting_;
    }

    // While it lives this thread works at a station in place of a loop's, which may be waiting for that.
    class standing_in {
    public:
        standing_in() noexcept : before_(std::exchange(so(), true)) {}
        standing_in(const standing_in&) = delete;
        standing_in& operator=(const standing_in&) = delete;
        ~standing_in() { so() = before_; }

        static bool& so() noexcept {
            static thread_local bool stands_in = false;
            return stands_in;
        }

    private:
        const bool before_;
    };

    // Ends all stations of a group, and waits for that, but where the loop may wait for this thread: on its own, and on
    // one that stands in for it. Whether they have ended.
    bool abort_and_wait(const std::shared_ptr<station_group>& group) {
        order({true, every_module, group});
        if (runner_.load(std::memory_order_acquire) == std::this_thread::get_id() || standing_in::so()) return false;
        wait_until([&] { return group->alive == 0; });
        return true;
    }

    // ---- For a thread that works at a station in place of the loop's, under its exclude().

    // Whether the loop waits for its descriptor, so that another thread can do that.
    bool watches(const station& s) const noexcept {
        return poller::any_thread_changes && s.watched_ >= 0 && s.watched_ == s.fd() && !s.always_ready_ && !s.over_;
    }
    // What is to be waited for has changed. True if the loop knows all about it now.
    bool watch_anew(station& s) noexcept {
        if (!watches(s)) return false;
        const readiness wanted = s.interest();
        if (wanted != s.watched_for_ && poller_->change(s.watched_, wanted, &s) != 0) return false;
        s.watched_for_ = wanted;
        return s.alarm() == (s.alarm_ ? std::optional((*s.alarm_)->first) : std::nullopt);
    }

    void finish(module_id made_by) noexcept override { order({false, made_by, nullptr}); }
    void abort(module_id made_by) noexcept override { order({true, made_by, nullptr}); }
    bool has_work_of(module_id made_by) noexcept override {
        const std::lock_guard<std::mutex> held(mutex_);
        return made_by == every_module ? !alive_.empty() : alive_.count(made_by) > 0;
    }

    void run() noexcept override {
        runner_.store(std::this_thread::get_id(), std::memory_order_release);
        do {
            while (round()) {
            }
        } while (!ends());
    }

private:
    friend station;
    using clock = std::chrono::steady_clock;

    static constexpr std::size_t scratch_size = 64 * 1024;

    struct command {
        bool aborts;
        module_id made_by;
        std::shared_ptr<station_group> group;  // nothing for all

        bool is_for(const station& s) const noexcept {
            return group ? s.group_ == group : made_by == every_module || s.made_by_ == made_by;
        }
    };

    void order(command c) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        if (!runs_) return;
        orders_.push_back(std::move(c));
        wake();
    }

    // With the lock held; `asleep_` while the loop's thread waits, and no longer.
    void wake() noexcept {
        if (std::exchange(asleep_, false)) waking_->signal();
    }
    // Has it work soon; what is not adopted yet does so anyway.
    void call(station& s) noexcept {
        if (!s.adopted_ || s.posted_) return;
        wake();
        s.posted_ = true;
        s.previous_ = last_;
        s.next_ = nullptr;
        (last_ ? last_->next_ : first_) = &s;
        last_ = &s;
        ++posted_;
    }
    void dequeue(station& s) noexcept {
        (s.previous_ ? s.previous_->next_ : first_) = s.next_;
        (s.next_ ? s.next_->previous_ : last_) = s.previous_;
        s.posted_ = false;
        --posted_;
    }
    void uncount(module_id made_by, station_group* group) noexcept {
        if (const auto of_module = alive_.find(made_by); --of_module->second == 0) alive_.erase(of_module);
        if (group) --group->alive;
        changed_.notify_all();
    }

    // ---- On the loop's thread

    // False when there is nothing left to look after.
    bool round() noexcept {
        std::vector<std::unique_ptr<station>> fresh;
        std::vector<command> orders;
        std::size_t posted;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            if (fresh_.empty() && stations_.empty()) return false;
            fresh.swap(fresh_);
            orders.swap(orders_);
            posted = posted_;
            for (const auto& s : fresh) s->adopted_ = true;
        }
        for (auto& s : fresh) adopt(std::move(s));
        for (const command& c : orders) {
            for (std::size_t i = 0; i < stations_.size();) {
                station& s = *stations_[i];
                if (!c.is_for(s)) {
                    ++i;
                    continue;
                }
                {
                    const auto held = s.exclude();
                    c.aborts ? s.abort({}) : s.finish();
                }
                serve(s, {});
                if (!s.over_) ++i;
            }
        }
        for (; posted > 0; --posted) {
            station* next;
            {
                const std::lock_guard<std::mutex> held(mutex_);
                next = first_;
                if (next) dequeue(*next);
            }
            if (!next) break;
            if (!next->over_) serve(*next, {}, true);
        }
        for (auto now = clock::now(); !alarms_.empty() && alarms_.begin()->first <= now;) {
            station& s = *alarms_.begin()->second;
            {
                const auto held = s.exclude();
                clear_alarm(s);
            }
            serve(s, {});
        }
        bury();
        wait_for_more();
        bury();
        return true;
    }

    // Unless something was added meanwhile.
    bool ends() noexcept {
        const std::lock_guard<std::mutex> none_starts(starting_);
        {
            const std::lock_guard<std::mutex> held(mutex_);
            if (!fresh_.empty()) return false;
            orders_.clear();
            runs_ = false;
        }
        poller_.reset();  // the lock of `process`, which this takes, comes before that of a loop
        waking_.reset();
        return true;
    }

    void wait_for_more() noexcept {
        bool sleeps;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            sleeps = asleep_ = first_ == nullptr && fresh_.empty() && orders_.empty() && !stations_.empty();
        }
        const auto until = !sleeps           ? std::optional(clock::time_point())
                           : alarms_.empty() ? std::nullopt
                                             : std::optional(alarms_.begin()->first);
        for (const poll_event& e : poller_->wait(until)) {
            if (!e.about) {
                waking_->clear();
            } else if (station& s = *static_cast<station*>(e.about); !s.over_) {
                serve(s, e.what);
            }
        }
        const std::lock_guard<std::mutex> held(mutex_);
        asleep_ = false;
    }

    void adopt(std::unique_ptr<station> s) noexcept {
        station& adopted = *s;
        adopted.place_ = stations_.size();
        try {
            buried_.reserve(stations_.size() + 1);
            stations_.push_back(std::move(s));
            serve(adopted, {});
        } catch (const std::bad_alloc&) {
            s->abort(make_error_code(std::errc::not_enough_memory));
            buried_.push_back(std::move(s));
        }
    }

    void serve(station& s, readiness what, bool posted = false) noexcept {
        const auto held = s.exclude();
        if (posted && s.always_ready_) what = s.interest();
        if (s.stopped_.exchange(false, std::memory_order_acq_rel))
            s.abort(make_error_code(std::errc::operation_canceled));
        if (s.work(what, {scratch_.get(), scratch_size})) {
            settle(s);
        } else {
            end(s);
        }
    }

    // Waits for what the station wants to wait for.
    void settle(station& s) noexcept {
        const int fd = s.fd();
        const readiness wanted = s.interest();
        int error = 0;
        if (fd != s.watched_) {
            unwatch(s);
            if (fd >= 0) error = poller_->add(fd, wanted, &s);
            if (error == 0) s.watched_ = fd;
        } else if (fd >= 0 && wanted != s.watched_for_) {
            error = poller_->change(fd, wanted, &s);
        }
        s.watched_for_ = wanted;
        s.always_ready_ = error == EPERM;
        const auto when = s.alarm();
        if (s.alarm_ ? !when || (*s.alarm_)->first != *when : when.has_value()) {
            clear_alarm(s);
            try {
                if (when) s.alarm_ = alarms_.emplace(*when, &s);
            } catch (const std::bad_alloc&) {
                error = ENOMEM;
            }
        }
        if (error == 0 || (s.always_ready_ && !wanted)) return;
        if (!s.always_ready_) s.abort(from_errno(error));
        const std::lock_guard<std::mutex> held(mutex_);
        call(s);
    }
    void unwatch(station& s) noexcept {
        if (s.watched_ >= 0) poller_->forget(std::exchange(s.watched_, -1));
    }
    void clear_alarm(station& s) noexcept {
        if (s.alarm_) alarms_.erase(*std::exchange(s.alarm_, std::nullopt));
    }

    void end(station& s) noexcept {
        unwatch(s);
        clear_alarm(s);
        s.over_ = true;
        stations_.back()->place_ = s.place_;
        std::swap(stations_[s.place_], stations_.back());
        buried_.push_back(std::move(stations_.back()));
        stations_.pop_back();
    }
    // Those that are over: no event of this round is looked at any more.
    void bury() noexcept {
        if (buried_.empty()) return;
        for (auto& s : buried_) {
            const module_id made_by = s->made_by_;
            const std::shared_ptr<station_group> group = s->group_;
            s.reset();
            const std::lock_guard<std::mutex> held(mutex_);
            uncount(made_by, group.get());
        }
        buried_.clear();
        process::self().look_again();
    }

    const std::unique_ptr<std::byte[]> scratch_;
    std::vector<std::unique_ptr<station>> stations_, buried_;
    station::alarms alarms_;
    std::optional<poller> poller_;
    std::atomic<std::thread::id> runner_{};

    std::mutex starting_;  // before that of `process`, which comes before mutex_
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<wake_up> waking_;
    std::vector<std::unique_ptr<station>> fresh_;
    std::vector<command> orders_;
    std::map<module_id, std::size_t> alive_;
    station *first_ = nullptr, *last_ = nullptr;  // those that are posted
    std::size_t posted_ = 0;
    std::size_t waiting_ = 0;
    bool runs_ = false, asleep_ = false;
};

inline station::station(std::shared_ptr<io_loop> by, std::shared_ptr<station_group> group)
    : contact_(new contact{std::move(by), this}), group_(std::move(group)) {}

// What it was in line for is left already: nobody posts it any more.
inline station::~station() {
    on_stop_.reset();
    const std::lock_guard<std::mutex> held(loop().mutex_);
    contact_->of = nullptr;
    if (posted_) loop().dequeue(*this);
}

inline void station::stopping::operator()() const noexcept {
    of->loop().post(*of, [this] { of->stopped_.store(true, std::memory_order_release); });
}

inline std::shared_ptr<io_loop> loop_for(const options& chosen) {
    return chosen.own_thread ? io_loop::make() : io_loop::common();
}

// From now on the loop looks after it. Throws std::system_error.
inline void run(io_loop& loop, std::unique_ptr<station> s, const sluice::detail::stop_token& stop) {
    s->obey(stop);
    loop.add(std::move(s), this_module());
}

}  // namespace sluice::ipc::detail
