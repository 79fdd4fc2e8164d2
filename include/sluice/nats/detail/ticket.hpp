// ticket: what the servers wait to hear of one delivery.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/nats/detail/asking.hpp>
#include <sluice/nats/detail/endpoint.hpp>
#include <sluice/nats/detail/inbox.hpp>
#include <sluice/result.hpp>

namespace sluice::nats::detail {

// What the deliveries of a receiver tell its endpoint, which may be gone.
struct delivery_counts {
    explicit delivery_counts(std::shared_ptr<ipcd::handler_ref> r) : ref(std::move(r)) {}

    // One was taken out of the channel. Also under the channel's locks: the loop's comes after them.
    void taken() noexcept {
        if (in_channel.fetch_sub(1, std::memory_order_acq_rel) - 1 + asked.load(std::memory_order_acquire) <= low)
            post();
    }
    void post() noexcept { ref->loop->post(*ref); }

    const std::shared_ptr<ipcd::handler_ref> ref;
    std::ptrdiff_t low = 0;  // so few in the channel and asked for: it is time to ask for more
    std::chrono::nanoseconds ack_wait{};
    // In the channel, and not yet taken; on their way into it, a part of those; still to come.
    sync::atomic<std::ptrdiff_t> in_channel{0}, landing{0}, asked{0};
};

// A delivery is moved into the channel, or to a receiver that waits, by the thread that delivers; then out of the channel by
// the one that receives. So its second move says that it was taken, at the latest: then the time that the servers give it is
// to begin anew. All members may be called from any thread.
class ticket {
public:
    using clock = client::clock;

    // `keep` may be null.
    ticket(std::string to, std::string subject_of, std::uint64_t number, std::shared_ptr<session> keep,
           std::shared_ptr<inbox> in, std::shared_ptr<delivery_counts> from)
        : subject(std::move(subject_of)),
          attempt(number),
          to_(std::move(to)),
          keep_(std::move(keep)),
          inbox_(std::move(in)),
          from_(std::move(from)),
          fresh_at_(clock::now().time_since_epoch().count()) {}

    const std::string subject;
    const std::uint64_t attempt;

    // ---- For the delivery

    void moved() noexcept {
        if (moves_.fetch_add(1, std::memory_order_acq_rel) == 0 || is_taken()) return;
        const bool is_stale = clock::now() - fresh_at() > from_->ack_wait / 32;
        if (is_stale) is_stale_.store(true, std::memory_order_release);  // before it is seen to be taken
        if (take() && is_stale) from_->post();
    }
    // It is destroyed: what was not received is given back.
    void dropped() noexcept {
        if (!is_taken() && inbox_->bus().is_of_this_process() && take()) settle_at_once("-NAK");
    }

    // The first of these that succeeds is the last word.
    result<void> settle(std::string_view word) { return claim_last_word() ? say(word) : closed(); }
    // The same without blocking, and without telling: where it fails, the message comes again after `ack_wait`.
    void settle_at_once(std::string_view word) noexcept {
        try {
            if (claim_last_word()) (void)inbox_->notes().try_send({to_, {}, bytes_of(word)});
        } catch (...) {
            inbox_->bus().errors().note(ipc::ipc_errc::no_memory);
        }
    }
    result<void> confirm(client::clock::time_point until, const stop_token& stop) {
        if (!claim_last_word()) return closed();
        for (;;) {
            const auto answer = ask(*inbox_, to_, bytes_of("+ACK"), until, stop);
            if (answer) return {};
            // Nobody answers for a consumer without a leader: until there is one again.
            const bool again = answer.error() == errc::closed && !inbox_->bus().is_closed() && clock::now() < until;
            if (!again) {
                settled_.store(false);
                const bool late = answer.error() == errc::closed && !inbox_->bus().is_closed();
                return unexpected(late ? errc::timeout : answer.error());
            }
            const waiting_for_reply pause(*inbox_);
            (void)pause.wait((std::min)(until, clock::now() + std::chrono::milliseconds(50)), stop);
            if (stop.stop_requested()) {
                settled_.store(false);
                return unexpected(errc::stopped);
            }
        }
    }
    result<void> say_in_progress() { return settled_.load() ? closed() : say("+WPI"); }

    // ---- For the endpoint

    // True for the call that finds out first that it was received, or will never be.
    bool take() noexcept {
        if (taken_.exchange(true, std::memory_order_acq_rel)) return false;
        from_->taken();
        return true;
    }
    bool is_taken() const noexcept { return taken_.load(std::memory_order_acquire); }
    bool is_settled() const noexcept { return settled_.load(); }
    // True for the call that is to say the last word.
    bool claim_last_word() noexcept { return !settled_.exchange(true); }
    bool take_stale() noexcept {
        return is_stale_.load(std::memory_order_acquire) && is_stale_.exchange(false, std::memory_order_acq_rel);
    }
    const std::string& reply() const noexcept { return to_; }
    void prolonged() noexcept { fresh_at_.store(clock::now().time_since_epoch().count(), std::memory_order_relaxed); }
    client::clock::time_point fresh_at() const noexcept {
        return clock::time_point(clock::duration(fresh_at_.load(std::memory_order_relaxed)));
    }

private:
    static result<void> closed() { return unexpected(errc::closed); }
    static std::vector<std::byte> bytes_of(std::string_view word) {
        const auto bytes = std::as_bytes(std::span(word.data(), word.size()));
        return {bytes.begin(), bytes.end()};
    }
    result<void> say(std::string_view word) {
        if (!inbox_->bus().is_of_this_process()) return closed();
        return inbox_->notes().send({to_, {}, bytes_of(word)});
    }

    const std::string to_;  // the subject at which the servers listen
    const std::shared_ptr<session> keep_;
    const std::shared_ptr<inbox> inbox_;
    const std::shared_ptr<delivery_counts> from_;
    sync::atomic<clock::duration::rep> fresh_at_;  // when the servers began to count
    sync::atomic<int> moves_{0};
    sync::atomic<bool> taken_{false}, settled_{false}, is_stale_{false};
};

}  // namespace sluice::nats::detail
