// A station whose descriptor a thread may borrow that waits for a message.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include <sluice/channel.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/direct_reading.hpp>
#include <sluice/ipc/detail/io_loop.hpp>

namespace sluice::ipc::detail {

// What the descriptor brings goes to one channel, to which nobody else sends. See direct_reading.
class lending_station : public station {
public:
    using station::station;

    std::unique_lock<std::mutex> exclude() final {
        return reading_ ? reading_->exclude() : std::unique_lock<std::mutex>();
    }

protected:
    // Before anyone receives from the channel.
    template <class T>
    void lend_to_receivers(const sender<T>& of) {
        reading_ = direct_reading<lending_station>::make(*this);
        core_of(of)->feed_by(*reading_);
    }
    // Whether a thread waits for the descriptor in place of the loop, which then is not interested in reading.
    bool lent() const noexcept { return reading_ && reading_->lent(); }
    // The first that the destructor of a derived class does.
    void retire() noexcept {
        if (reading_) reading_->retire();
    }

    // Whether a thread may read what arrives next.
    virtual bool may_lend() const noexcept = 0;
    // How often a thread had better look before it sleeps: as long as it takes the system to wake it, if looking does
    // not hold up who writes.
    virtual int looks() const noexcept = 0;
    // Whether so many messages have come that the loop had better read.
    virtual bool has_more() const noexcept = 0;

private:
    friend direct_reading<lending_station>;

    struct bell final : sluice::detail::bell {
        static std::unique_ptr<bell> make() noexcept {
            try {
                return std::make_unique<bell>();
            } catch (...) {
                return nullptr;  // then the loop reads
            }
        }
        void ring() noexcept override { wake_up_.signal(); }
        void sleep(int fd, const sluice::detail::deadline& until) {
            if (wait_for_either(fd, wake_up_.fd(), until)) wake_up_.clear();
        }

    private:
        wake_up wake_up_;
    };

    bool lend() noexcept {
        if (!may_lend() || !loop().watches(*this)) return false;
        loop().watch_anew(*this);
        return true;
    }
    void take_back() noexcept { settle(loop().watch_anew(*this)); }
    bool fetch() noexcept {
        std::byte scratch[8 * 1024];  // for a large message the loop has more
        const bool goes_on = work({true, false}, scratch);
        settle(goes_on && loop().watch_anew(*this));
        return goes_on && may_lend();
    }
    // Has the loop look at it, unless all is known there.
    void settle(bool known) noexcept {
        if (!known) loop().post(*this, [] {});
    }

    std::shared_ptr<direct_reading<lending_station>> reading_;
};

}  // namespace sluice::ipc::detail
