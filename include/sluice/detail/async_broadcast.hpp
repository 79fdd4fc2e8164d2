// What a coroutine awaits of a broadcaster: a send to all its subscribers.
#pragma once

#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/broadcast.hpp>
#include <sluice/detail/async_channel.hpp>
#include <sluice/detail/publication.hpp>
#include <sluice/detail/suspension.hpp>

namespace sluice::detail {

template <class T, class Message>
class broadcast_operation : public limited_line_suspension {
public:
    static constexpr bool needs_time = false;

protected:
    broadcast_operation(const broadcaster<T>& bus, Message&& m, const stop_token& s)
        : limited_line_suspension(blocking::sending, ops_of<T>, deadline::never(), s),
          audience_(audience_of(bus)),
          to_send_(m) {}
    ~broadcast_operation() { end(); }

    static bool look() noexcept { return false; }
    bool suspend_in(std::coroutine_handle<> h, executor_ref e) { return suspend(h, e); }
    std::size_t take_result() {
        outcome();
        return out_ ? out_->reached() : 0;
    }

private:
    bool prepare() final {
        if (!audience_) return false;
        if (!out_) {
            if constexpr (std::is_lvalue_reference_v<Message>) {
                out_.emplace(*audience_, to_send_, nullptr);
            } else {
                out_.emplace(*audience_, to_send_, std::addressof(to_send_));
            }
        }
        if (!out_->goes_on(stop())) return false;
        channel_ = core_of(out_->to());
        message_ = channel_core<T>::address_of(out_->message());
        return true;
    }
    bool has_more() final {
        out_->settle(outcome_);
        return true;
    }

    audience<T>* const audience_;
    std::conditional_t<std::is_lvalue_reference_v<Message>, const T, T>& to_send_;
    std::optional<publication<T>> out_;
};

}  // namespace sluice::detail
