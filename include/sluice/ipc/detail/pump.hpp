// The thread behind remote ends: waits for their descriptors and for a wake-up, and has each end do what it can.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>

#include <sluice/detail/wait.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/process.hpp>

namespace sluice::ipc::detail {

// Something that a pump looks after. Its members are called by the pump's thread alone.
class station {
public:
    station() = default;
    station(const station&) = delete;
    station& operator=(const station&) = delete;
    virtual ~station() = default;

    // Does what can be done without blocking. `events` is what poll() has found, 0 if it was woken. False when it is
    // over.
    virtual bool work(short events) = 0;
    // What to wait for; a descriptor of -1 for nothing but being woken.
    virtual pollfd interest() const noexcept = 0;
    // When to be called even though nothing has happened.
    virtual std::optional<std::chrono::steady_clock::time_point> retry() const noexcept { return std::nullopt; }
    // The next calls of work() write out what was sent, and nothing else.
    virtual void finish() noexcept = 0;
    // Ends at once, for this reason if any; what was not written is lost.
    virtual void abort(std::error_code why) noexcept = 0;
};

class pump final : public worker {
public:
    // Made before its stations, which wake it; runs from start() on, until the last of them is over.
    static std::shared_ptr<pump> make() { return std::make_shared<pump>(); }

    const std::shared_ptr<wake_up>& waking() const noexcept { return wake_; }

    // For stations that are added before start(), or by a station at work.
    void add(std::unique_ptr<station> s) { fresh_.push_back(std::move(s)); }

    static void start(const std::shared_ptr<pump>& p, const sluice::detail::stop_token& stop) {
        p->stop_ = stop;
        process::self().start(p);
    }

    // Ends all stations at once. From any thread but the pump's own: waits until that is done.
    void stop_and_wait() {
        order(command::abort);
        std::unique_lock<std::mutex> lock(mutex_);
        ended_.wait(lock, [this] { return over_; });
    }

    void finish() noexcept override { order(command::finish); }
    void abort() noexcept override { order(command::abort); }

    void run() noexcept override {
        {
            const auto on_stop = [this] { order(command::abort); };
            const sluice::detail::stop_callback<decltype(on_stop)> stopping(stop_, on_stop);
            loop();
        }
        stations_.clear();
        const std::lock_guard<std::mutex> held(mutex_);
        over_ = true;
        ended_.notify_all();
    }

private:
    enum class command : unsigned char { none, finish, abort };

    void order(command c) noexcept {
        command now = command_.load(std::memory_order_relaxed);
        while (now < c && !command_.compare_exchange_weak(now, c, std::memory_order_acq_rel)) {
        }
        wake_->signal();
    }

    void loop() noexcept {
        command heeded = command::none;
        bool woken = true;
        for (;;) {
            if (const command c = command_.load(std::memory_order_acquire); c != heeded) {
                heeded = c;
                for (auto& s : stations_) heed(*s, c);
            }
            for (std::size_t i = 0; i < stations_.size(); ++i) {
                const short events = i + 1 < polled_.size() ? polled_[i + 1].revents : short{0};
                if ((woken || events != 0) && !stations_[i]->work(events)) stations_[i].reset();
            }
            std::erase(stations_, nullptr);
            while (!fresh_.empty()) {
                std::vector<std::unique_ptr<station>> begun = std::exchange(fresh_, {});
                for (auto& s : begun) {
                    if (heeded != command::none) heed(*s, heeded);
                    if (s->work(0)) stations_.push_back(std::move(s));
                }
            }
            if (stations_.empty()) return;

            polled_.assign(1, {wake_->fd(), POLLIN, 0});
            std::optional<std::chrono::steady_clock::time_point> retry;
            for (const auto& s : stations_) {
                polled_.push_back(s->interest());
                if (const auto r = s->retry()) retry = retry ? (std::min)(*retry, *r) : r;
            }
            if (::poll(polled_.data(), static_cast<unsigned>(polled_.size()), milliseconds_until(retry)) < 0) {
                // More descriptors than the process is allowed by now, or no memory: looks at all of them, after a nap.
                ::poll(nullptr, 0, 20);
                for (pollfd& p : polled_) p.revents = p.events;
            }
            woken = polled_[0].revents != 0 || (retry && *retry <= std::chrono::steady_clock::now());
            if (polled_[0].revents != 0) wake_->clear();
        }
    }

    void heed(station& s, command c) const noexcept {
        if (c == command::abort) {
            s.abort(stop_.stop_requested() ? make_error_code(std::errc::operation_canceled) : std::error_code());
        } else {
            s.finish();
        }
    }

    const std::shared_ptr<wake_up> wake_ = std::make_shared<wake_up>();
    std::atomic<command> command_{command::none};
    sluice::detail::stop_token stop_;
    std::vector<std::unique_ptr<station>> stations_, fresh_;
    std::vector<pollfd> polled_;  // the wake-up, then one for each station
    std::mutex mutex_;
    std::condition_variable ended_;
    bool over_ = false;  // under mutex_
};

}  // namespace sluice::ipc::detail
