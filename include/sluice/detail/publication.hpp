// publication: one message on its way to the subscribers of a broadcaster.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include <sluice/detail/audience.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/overflow.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// Goes from one subscriber to the next. Whoever drives it waits where the channel of one may be full: a thread, or a
// coroutine.
template <class T>
class publication {
public:
    // `original` is the message if it may be moved from, else null.
    publication(audience<T>& all, const T& message, T* original)
        : audience_(all), message_(message), original_(original) {
        std::shared_ptr<const T> kept;
        if (all.remembers() > 0) kept = std::make_shared<const T>(message);
        seen_ = all.now_for(kept);
    }
    publication(const publication&) = delete;
    publication& operator=(const publication&) = delete;

    // True if message() is to be sent to the subscriber to(), with a wait if need be, and settle() to be told what came of
    // it; false when it has been to all.
    bool goes_on(const stop_token& stop) {
        if (!seen_) return false;
        if (!has_begun_) {
            has_begun_ = true;
            at_ = first_there(seen_->begin());
        }
        for (; at_ != seen_->end(); at_ = first_there(at_ + 1)) {
            if (at_->gets_replay()) at_->before->put_into(*core_of(at_->to));
            if (at_->can_take(stop)) {
                sends_original_ = original_ && first_there(at_ + 1) == seen_->end();
                if (!sends_original_ && !copy_) copy_.emplace(message_);
                if (at_->when_full == overflow::block) return true;
                note(at_->deliver_now(message()));
            } else {
                note(false);
            }
        }
        if (anyone_left_) audience_.forget_those_who_left();
        return false;
    }
    const sender<T>& to() const noexcept { return at_->to; }
    T& message() noexcept { return sends_original_ ? *original_ : *copy_; }
    void settle(errc sent) {
        note(sent == errc{} || (sent == errc::stopped && at_->deliver_now(message())));
        at_ = first_there(at_ + 1);
    }

    // Into how many channels it was put.
    std::size_t reached() const noexcept { return reached_; }

private:
    using iterator = decltype(std::declval<const typename audience<T>::view&>().begin());

    iterator first_there(iterator from) {
        for (; from != seen_->end() && from->to.is_closed(); ++from) anyone_left_ = true;
        return from;
    }
    void note(bool delivered) {
        if (delivered) {
            ++reached_;
            if (!sends_original_) copy_.reset();
            return;
        }
        if (at_->when_full == overflow::disconnect) at_->to.close();
        if (at_->to.is_closed()) anyone_left_ = true;
    }

    audience<T>& audience_;
    const T& message_;
    T* const original_;
    std::optional<typename audience<T>::view> seen_;
    iterator at_{};
    std::optional<T> copy_;  // one that was not delivered serves the next subscriber
    std::size_t reached_ = 0;
    bool has_begun_ = false, sends_original_ = false, anyone_left_ = false;
};

}  // namespace sluice::detail
