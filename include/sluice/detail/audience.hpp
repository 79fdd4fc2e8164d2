// The subscribers of a broadcaster, what is replayed to them, and the array in which they stand.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/overflow.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// What a subscriber is to get before anything else: the messages that were remembered when it came. Whoever has a
// message for it, and the call that subscribes, put into its channel what is still left of these first: none waits for
// another, since each makes the copy by itself, and of those that have made the same copy the first puts it in. Nobody
// receives from the channel yet, so that there is room and nobody to be woken.
template <class T>
class backlog {
public:
    // For at most so many messages, no more than are remembered. Until the subscriber stands in the array, only one
    // thread uses it.
    explicit backlog(std::size_t limit) : limit_(limit) { messages_.reserve(limit); }

    std::size_t limit() const noexcept { return limit_; }
    void add(const std::shared_ptr<const T>& message) noexcept { messages_.push_back(message); }

    bool is_in() const noexcept { return is_in_.load(std::memory_order_acquire); }

    // Ends when all is in the channel, or the subscriber has left. Throws what a copy throws; then a later call goes on.
    void put_into(channel_core<T>& channel) {
        while (put_next_into(channel)) {
        }
        if (closes()) channel.close();
    }

    // The channel is to be closed, once all is in it. True if that is the caller's to do; else those do it who put the
    // rest in.
    bool close_after() noexcept {
        const spin_lock_guard held(lock_);
        closes_ = true;
        return is_in();
    }

private:
    bool put_next_into(channel_core<T>& channel) {
        std::shared_ptr<const T> message;
        std::size_t number = 0;
        {
            const spin_lock_guard held(lock_);
            if (next_ == messages_.size() || channel.is_closed()) return finish();
            number = next_;
            message = messages_[number];
        }
        T copy(*message);
        {
            const spin_lock_guard held(lock_);
            if (next_ == number) {
                (void)channel.try_send(copy);
                messages_[next_++].reset();  // `message` is another share
            }
        }
        return true;
    }
    // With the lock held.
    bool finish() noexcept {
        is_in_.store(true, std::memory_order_release);
        return false;
    }
    bool closes() noexcept {
        const spin_lock_guard held(lock_);
        return closes_;
    }

    const std::size_t limit_;
    sync::mutex lock_;  // before that of the channel
    std::vector<std::shared_ptr<const T>> messages_;
    std::size_t next_ = 0;
    bool closes_ = false;
    sync::atomic<bool> is_in_{false};
};

template <class T>
struct subscription {
    sender<T> to;  // its channel has the rule, if that is to discard
    overflow when_full = overflow::block;
    std::shared_ptr<backlog<T>> before = nullptr;  // none if nothing is replayed

    bool gets_replay() const noexcept { return before && !before->is_in(); }

    // False if deliver() would fail for lack of room, so that no copy need be made for it. A hint: the channel may
    // change. Counts what is missed by that.
    bool can_take(const stop_token& stop) const {
        if (when_full == overflow::drop_oldest || (when_full == overflow::block && !stop.stop_requested())) return true;
        if (core_of(to)->maybe_fits()) return true;
        if (when_full != overflow::disconnect) core_of(to)->count_dropped();
        return false;
    }

    // Whether the message was delivered; it is moved from only then. Not for one that blocks its publisher: there this
    // is for a message that was stopped before it was sent. `disconnect` is left to the caller.
    bool deliver_now(T& message) const {
        channel_core<T>& channel = *core_of(to);
        if (channel.discards()) {
            if constexpr (std::is_nothrow_move_constructible_v<T>) {
                result<T> evicted = unexpected(errc::empty);  // destroyed with no lock held
                return channel.send_by_rule(message, evicted) == op_status::done;
            }
        }
        const op_status tried = channel.try_send(message);
        if (tried == op_status::blocked && when_full == overflow::block) channel.count_dropped();
        return tried == op_status::done;
    }

    void close() const {
        if (!before || before->close_after()) to.close();
    }
};

// The subscribers: an array that is appended to, and copied on any other write. An element never changes, so that a
// send walks without the lock through a view of the array as it was when the send began. To grow beyond the capacity,
// and to remove subscribers that have left, the array is replaced by a copy; a view keeps the array alive that it is
// of.
//
// `lock_` guards `current_` and the size of what it points to, what is remembered, and whether all is closed. Under it
// pointers and subscriptions are put in their places and nothing else: no allocation, no user code, no destructor of a
// message, a channel or an array. To remember a message and to see who is there is one step under it, and so is to come
// and to see what is remembered: a message is replayed to those who come after that step, and sent to those before.
template <class T>
class audience {
    using array = std::vector<subscription<T>>;

public:
    class view {
    public:
        auto begin() const noexcept { return members_.begin(); }
        auto end() const noexcept { return members_.end(); }

    private:
        friend class audience;
        explicit view(const std::shared_ptr<array>& from) noexcept
            : keeps_alive_(from), members_(from->data(), from->size()) {}

        std::shared_ptr<const array> keeps_alive_;
        std::span<const subscription<T>> members_;
    };

    // Remembers the last so many messages.
    explicit audience(std::size_t remembered) : remembered_(remembered) {}

    std::size_t remembers() const noexcept { return remembered_.size(); }

    view now() const {
        const spin_lock_guard held(lock_);
        return view(current_);
    }

    // The same for a message, which is remembered if `kept` points to a copy; nothing if all is closed. What is
    // forgotten for it is then in `kept`.
    std::optional<view> now_for(std::shared_ptr<const T>& kept) {
        const spin_lock_guard held(lock_);
        if (closed_) return std::nullopt;
        if (kept) {
            remembered_[next_].swap(kept);
            next_ = next_ + 1 == remembered_.size() ? 0 : next_ + 1;
        }
        return view(current_);
    }

    // The same, for closing; nothing if all was closed before. Whoever comes later is not added.
    std::optional<view> close() noexcept {
        const spin_lock_guard held(lock_);
        if (std::exchange(closed_, true)) return std::nullopt;
        return view(current_);
    }

    // False if all is closed. In either case the newcomer then has its backlog. Amortised O(1), but for that: a full
    // array is copied into one with room for twice the subscribers that are still there, so that those that have left do
    // not accumulate. If there is no memory for that, throws and changes nothing.
    bool add(const subscription<T>& newcomer) {
        for (;;) {
            bool open = true;
            if (append(newcomer, open)) return open;
            renew();
        }
    }

    // Removes subscribers whose channels have closed; if there is no memory for the copy, a later call does.
    void forget_those_who_left() noexcept {
        (void)thrown_by([this] { renew(); });
    }

private:
    bool append(const subscription<T>& newcomer, bool& open) {
        const spin_lock_guard held(lock_);
        open = !closed_;
        if (open && current_->size() == current_->capacity()) return false;
        if (newcomer.before) {
            const std::size_t size = remembered_.size();
            for (std::size_t age = newcomer.before->limit(); age > 0; --age) {
                const auto& message = remembered_[age > next_ ? next_ + size - age : next_ - age];
                if (message) newcomer.before->add(message);
            }
        }
        if (open) current_->push_back(newcomer);
        return true;
    }

    // Replaces the array by a copy without the closed ones, unless another thread replaces it first, or adds more than
    // the copy has room for; then the caller sees what is there and calls again if need be.
    void renew() {
        const auto there = [](const subscription<T>& s) { return !s.to.is_closed(); };
        const view seen = now();
        std::size_t count = 0;
        for (const subscription<T>& s : seen) {
            if (there(s)) ++count;
        }
        auto fresh = std::make_shared<array>();
        fresh->reserve(count == 0 ? 1 : 2 * count);
        for (const subscription<T>& s : seen) {
            if (fresh->size() == count || !there(s)) continue;
            fresh->push_back({s.to, s.when_full, s.gets_replay() ? s.before : nullptr});
        }

        const spin_lock_guard held(lock_);  // ends before `fresh` and `seen`, which may destroy the old array
        if (current_ != seen.keeps_alive_) return;
        const std::span<const subscription<T>> latecomers = std::span(*current_).subspan(seen.members_.size());
        if (latecomers.size() > fresh->capacity() - fresh->size()) return;
        fresh->insert(fresh->end(), latecomers.begin(), latecomers.end());
        current_.swap(fresh);
    }

    mutable sync::mutex lock_;
    std::shared_ptr<array> current_ = std::make_shared<array>();
    std::vector<std::shared_ptr<const T>> remembered_;  // a ring
    std::size_t next_ = 0;                              // where the next one goes, in place of the oldest
    bool closed_ = false;
};

}  // namespace sluice::detail
