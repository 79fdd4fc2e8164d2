// direct_read_handler: a handler whose descriptor may be read by the thread that waits for a message.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

#include <sluice/detail/feeder.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/direct_reading.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/wake_up.hpp>

namespace sluice::ipc::detail {

// What it reads goes to one channel, to which nobody else sends. See direct_reading.
class direct_read_handler : public io_handler {
public:
    using io_handler::io_handler;

    std::unique_lock<std::mutex> lock_work() final {
        return reading_ ? reading_->lock_work() : std::unique_lock<std::mutex>();
    }

protected:
    // What a channel_writer takes as its source, so that receivers of its channel read the descriptor.
    sluice::detail::feeder* enable_direct_reads() {
        reading_ = std::make_unique<direct_reading<direct_read_handler>>(*this);
        return reading_.get();
    }
    // Whether a thread polls the descriptor in place of the loop, whose interest() then has no reading.
    bool lent() const noexcept { return reading_ && reading_->lent(); }
    // To be called first by the destructor of a derived class; `close` destroys the channel_writer.
    template <class F>
    void retire(F&& close) {
        if (reading_) reading_->retire(std::forward<F>(close));
    }

    // Whether a thread may read what arrives next.
    virtual bool may_lend() const noexcept = 0;
    // How often a thread tries to read before it sleeps: 0 where that would hold up the thread that writes.
    virtual int spins() const noexcept = 0;
    // Whether more messages have come than receivers wait for: then the loop reads more at a time.
    virtual bool has_backlog() const noexcept = 0;

private:
    friend direct_reading<direct_read_handler>;

    struct bell final : sluice::detail::bell {
        static std::unique_ptr<bell> make() noexcept {
            try {
                auto made = std::make_unique<bell>();
                if (!is_reserved_fd(made->wake_up_.fd())) return made;
            } catch (...) {
            }
            return nullptr;  // the loop reads
        }
        void ring() noexcept override { wake_up_.signal(); }
        void sleep(int fd, const sluice::detail::deadline& until) {
            if (!wait_for_either(fd, wake_up_.fd(), until)) return;
            const uncancelled here;
            wake_up_.clear();
        }

    private:
        wake_up wake_up_;
    };

    bool lend() noexcept {
        if (!may_lend() || !loop().is_polled(*this)) return false;
        loop().update_interest(*this);
        return true;
    }
    void take_back() noexcept { post_unless(loop().update_interest(*this)); }
    bool fetch() noexcept {
        std::byte scratch[8 * 1024];  // the loop has more, for large messages
        const io_loop::acting_as_loop here;
        const bool goes_on = work({true, false}, scratch);
        post_unless(goes_on && loop().update_interest(*this));
        return goes_on && may_lend();
    }
    void post_unless(bool loop_is_up_to_date) noexcept {
        if (!loop_is_up_to_date) loop().post(*this, [] {});
    }

    std::unique_ptr<direct_reading<direct_read_handler>> reading_;
};

}  // namespace sluice::ipc::detail
