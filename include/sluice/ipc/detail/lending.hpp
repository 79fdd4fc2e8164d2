// A station whose descriptor a thread may borrow that waits for a message.
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

namespace sluice::ipc::detail {

// What the descriptor brings goes to one channel, to which nobody else sends. See direct_reading.
class lending_station : public station {
public:
    using station::station;

    std::unique_lock<std::mutex> exclude() final {
        return reading_ ? reading_->exclude() : std::unique_lock<std::mutex>();
    }

protected:
    // For an inlet whose channel nobody else sends to: who lets receivers of that channel read.
    sluice::detail::feeder* lend_to_receivers() {
        reading_ = std::make_unique<direct_reading<lending_station>>(*this);
        return reading_.get();
    }
    // Whether a thread waits for the descriptor in place of the loop, which then is not interested in reading.
    bool lent() const noexcept { return reading_ && reading_->lent(); }
    // The first that the destructor of a derived class does; `close` drops the inlet.
    template <class F>
    void retire(F&& close) {
        if (reading_) reading_->retire(std::forward<F>(close));
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
                auto made = std::make_unique<bell>();
                if (!is_spared(made->wake_up_.fd())) return made;
            } catch (...) {
            }
            return nullptr;  // then the loop reads
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
        if (!may_lend() || !loop().watches(*this)) return false;
        loop().watch_anew(*this);
        return true;
    }
    void take_back() noexcept { settle(loop().watch_anew(*this)); }
    bool fetch() noexcept {
        std::byte scratch[8 * 1024];  // for a large message the loop has more
        const io_loop::standing_in here;
        const bool goes_on = work({true, false}, scratch);
        settle(goes_on && loop().watch_anew(*this));
        return goes_on && may_lend();
    }
    // Has the loop look at it, unless all is known there.
    void settle(bool known) noexcept {
        if (!known) loop().post(*this, [] {});
    }

    std::unique_ptr<direct_reading<lending_station>> reading_;
};

}  // namespace sluice::ipc::detail
