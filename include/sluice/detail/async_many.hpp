// What a coroutine awaits of one channel for many messages: send_many, recv_many and recv_batch.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/async_channel.hpp>
#include <sluice/detail/batch.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

template <class T, class R>
class send_many_operation : public limited_line_suspension {
public:
    static constexpr bool needs_time = false;

protected:
    send_many_operation(const sender<T>& tx, R&& range, const stop_token& stop)
        : limited_line_suspension(blocking::sending, ops_of<T>, deadline::never(), stop), range_(range) {
        channel_ = core_ = core_of(tx);
    }
    ~send_many_operation() { end(); }

    static bool look() noexcept { return false; }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    std::size_t take_result() {
        outcome();
        return elements_ ? elements_->sent() : 0;
    }

private:
    bool prepare() final {
        if (!core_) return false;
        if (!elements_) elements_.emplace(*core_, range_);
        if (!elements_->send_what_fits(true, stop())) return false;
        message_ = channel_core<T>::address_of(elements_->waiting());
        return true;
    }
    bool has_more() final {
        if (outcome_ != errc{}) return false;
        elements_->was_sent();
        return true;
    }

    channel_core<T>* core_;
    std::remove_reference_t<R>& range_;
    std::optional<range_sending<T, R>> elements_;
};

// Up to `limit` messages; after the first it waits for the others until the batch has lingered.
template <class T, class Out, class Linger>
class recv_batch_operation : public limited_line_suspension {
public:
    static constexpr bool needs_time = !std::is_same_v<Linger, no_time>;

protected:
    template <class Given>
    recv_batch_operation(const receiver<T>& rx, Given&& out, const std::size_t& limit, const Linger& linger,
                         const stop_token& stop)
        : limited_line_suspension(blocking::receiving, ops_of<T>, deadline::never(), stop),
          core_(core_of(rx)),
          out_(std::forward<Given>(out)),
          limit_(limit),
          linger_(linger) {
        channel_ = core_;
        message_ = std::addressof(message_place_);
    }
    ~recv_batch_operation() { end(); }

    static bool look() noexcept { return false; }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    std::size_t take_result() {
        outcome();
        return taken_;
    }

private:
    // The clock and the stop are looked at before the channel, so that what came before them is taken. A batch that does
    // not linger waits for nothing after its first message, so that a stop ends it there.
    bool prepare() final {
        if (!core_) return false;
        for (;;) {
            const bool stopped = taken_ > 0 && stop().stop_requested();
            if (taken_ == limit_ || (stopped && !lingers())) return false;
            const bool over = stopped || (taken_ > 0 && lingers() && until_.passed());
            const std::size_t wanted = wanted_after_look(*core_, limit_ - taken_, over);
            const std::size_t got = recv_some(*core_, out_, wanted, stop());
            if (taken_ == 0 && got > 0) begin_to_linger();
            taken_ += got;
            if (over) return false;
            if (got < wanted) return taken_ == 0 || lingers();
        }
    }
    bool has_more() final {
        if (outcome_ != errc{}) return false;
        if (taken_ == 0) begin_to_linger();
        *out_ = *std::move(message_place_);
        ++out_;
        ++taken_;
        message_place_ = unexpected(errc::closed);
        return true;
    }

    bool lingers() const noexcept {
        if constexpr (needs_time) {
            return linger_ > Linger::zero();
        } else {
            return false;
        }
    }
    void begin_to_linger() {
        if constexpr (needs_time) until_ = deadline::after(linger_);
    }

    channel_core<T>* const core_;
    Out out_;
    const std::size_t limit_;
    const Linger& linger_;
    std::size_t taken_ = 0;
    result<T> message_place_ = unexpected(errc::closed);
};

}  // namespace sluice::detail
