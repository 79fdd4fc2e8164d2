// The endpoint of a stream's receiver: it asks for as many messages as its channel has room for, and prolongs those that
// wait there.
#pragma once

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <nats/nats.h>

#include <sluice/channel.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/handler_waiter.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/nats/delivery.hpp>
#include <sluice/nats/detail/confirmed.hpp>
#include <sluice/nats/detail/jetstream.hpp>
#include <sluice/nats/detail/ticket.hpp>
#include <sluice/nats/detail/travel.hpp>

namespace sluice::nats::detail {

// What the delivery thread and the loop's have in common. At most one request for messages is under way: `asked` of them are
// still to come. It ends by its last message, by a status, or unheard, by the loop's clock.
template <class T>
class deliveries final : public sink {
public:
    deliveries(sender<delivery<T>> to, const std::shared_ptr<session>& keep, std::shared_ptr<delivery_counts> counts)
        : to_(std::move(to)), keep_(keep), inbox_(keep->shared_inbox()), counts_(std::move(counts)) {}

    void receive(msg_ptr m) noexcept override {
        if (const std::string_view code = status_of(m.get()); !code.empty()) return hear(*m, code);
        const char* const reply = ::natsMsg_GetReply(m.get());
        const auto attempt = attempt_of(reply ? reply : "");
        if (!attempt) return hear_of_consumer(*m);
        counts_->in_channel.fetch_add(1, std::memory_order_acq_rel);
        counts_->asked.fetch_sub(1, std::memory_order_acq_rel);
        if (const auto t = make_ticket(*m, reply, *attempt)) {
            try {
                delivery<T> d(travel<T>::make(::natsMsg_GetSubject(m.get()), data_of(m.get())), t);
                bool first;
                {
                    const std::lock_guard<sync::mutex> held(mutex_);
                    first = waiting_.empty();
                    waiting_.push_back(t);
                }
                // If the channel has closed, the delivery gives itself back.
                counts_->landing.fetch_add(1, std::memory_order_acq_rel);
                const bool sent = bool(to_.try_send(std::move(d)));
                counts_->landing.fetch_sub(1, std::memory_order_acq_rel);
                if (sent && to_.empty()) (void)t->take();
                if (first) counts_->post();
            } catch (...) {
                inbox_->bus().errors().note(ipcd::current_error(ipc::ipc_errc::not_decoded));
                (void)t->take();
                t->settle_at_once("+TERM");
            }
        }
        if (counts_->asked.load(std::memory_order_acquire) <= 0) counts_->post();
    }

    // Those that may still be in the channel, oldest first.
    std::vector<std::shared_ptr<ticket>> look() {
        const std::lock_guard<sync::mutex> held(mutex_);
        return {waiting_.begin(), waiting_.end()};
    }
    // Those that were taken out of it since the last call.
    std::vector<std::shared_ptr<ticket>> remove_taken() {
        std::vector<std::shared_ptr<ticket>> gone;
        const std::lock_guard<sync::mutex> held(mutex_);
        std::erase_if(waiting_, [&](const std::shared_ptr<ticket>& t) {
            if (!t->is_taken()) return false;
            gone.push_back(t);
            return true;
        });
        return gone;
    }

    // What a server has said to the request of this number; the last one that said so.
    struct status {
        std::uint64_t request = 0;
        std::string code, words;
        int err_code = no_such_consumer;
    };
    status take_status() {
        const std::lock_guard<sync::mutex> held(mutex_);
        return std::exchange(said_, {});
    }

private:
    std::shared_ptr<ticket> make_ticket(const natsMsg& m, const char* reply, std::uint64_t attempt) noexcept {
        try {
            return std::make_shared<ticket>(reply, ::natsMsg_GetSubject(&m), attempt, keep_.lock(), inbox_, counts_);
        } catch (...) {
            counts_->in_channel.fetch_sub(1, std::memory_order_acq_rel);
            inbox_->bus().errors().note(ipc::ipc_errc::no_memory);
            return nullptr;
        }
    }

    // The answer to the question whether the consumer is still there.
    void hear_of_consumer(const natsMsg& m) noexcept {
        try {
            const auto error = error_in(data_of(&m));
            if (!error || (error->err_code != no_such_consumer && error->err_code != no_such_stream)) return;
            const std::lock_guard<sync::mutex> held(mutex_);
            said_ = {0, "gone", error->description, error->err_code};
        } catch (...) {
            return;
        }
        counts_->post();
    }
    void hear(natsMsg& m, std::string_view code) noexcept {
        if (code == "100") return;
        const std::string_view subject = ::natsMsg_GetSubject(&m);
        const char* words = nullptr;
        (void)::natsMsgHeader_Get(&m, "Description", &words);
        try {
            status s;
            const std::size_t number = subject.rfind('.') + 1;
            (void)std::from_chars(subject.data() + number, subject.data() + subject.size(), s.request);
            s.code = code;
            s.words = words ? words : "";
            const std::lock_guard<sync::mutex> held(mutex_);
            said_ = std::move(s);
        } catch (...) {
            return;  // the loop finds out by its clock
        }
        counts_->post();
    }

    const sender<delivery<T>> to_;
    const std::weak_ptr<session> keep_;  // what comes after the channel has closed does not keep the connection
    const std::shared_ptr<inbox> inbox_;
    const std::shared_ptr<delivery_counts> counts_;
    sync::mutex mutex_;
    std::deque<std::shared_ptr<ticket>> waiting_;
    status said_;
};

template <class T>
class pulling final : public endpoint {
    using clock = client::clock;

public:
    pulling(std::shared_ptr<session> keep, std::shared_ptr<stream_state> of, sender<delivery<T>> to,
            const stream_receiver_options& chosen)
        : endpoint(keep->shared_client()),
          keep_(std::move(keep)),
          stream_(std::move(of)),
          durable_(chosen.durable),
          capacity_(static_cast<std::ptrdiff_t>(chosen.capacity)),
          to_(std::move(to)),
          closing_(*this),
          counts_(std::make_shared<delivery_counts>(this->ref())) {
        counts_->low = capacity_ / 2;
        counts_->ack_wait = chosen.ack_wait;
        for (const auto step : chosen.backoff) counts_->ack_wait = (std::min)(counts_->ack_wait, step);
        counts_->ack_wait = (std::min<std::chrono::nanoseconds>)(counts_->ack_wait, std::chrono::hours(24));
        natsInbox* made = nullptr;
        check(::natsInbox_Create(&made), "a subject for messages");
        inbox_ = std::string(made) + ".";
        ::natsInbox_Destroy(made);
        closing_.arm();
        if (!core_of(to_)->observe_close(closing_)) closing_.disarm();
    }
    ~pulling() override {
        bus().drop(std::move(subscription_));
        closing_.cancel([this](auto& w) { return core_of(to_)->unobserve_close(w); });
    }
    // Before it is started.
    void subscribe() {
        messages_ = std::make_shared<deliveries<T>>(to_, keep_, counts_);
        natsStatus s = NATS_OK;
        subscription_ = bus().subscribe(inbox_ + "*", "", messages_, s);
        check(s, stream_->title());
    }

    void finish() noexcept override { ended_ = true; }
    void abort(std::error_code) noexcept override { ended_ = aborted_ = true; }

private:
    static constexpr std::chrono::seconds request_lives{5};
    static constexpr std::chrono::milliseconds pause{200};

    bool work() noexcept override {
        const auto now = clock::now();
        if (bus().is_closed()) to_.close(bus().cause());
        if (ended_) to_.close();
        try {
            prolong(now);
            if (to_.is_closed()) {
                keep_.reset();  // a delivery keeps the connection by itself
                return wind_up(now);
            }
            if (!hear(now)) return true;  // closed: posted again by that
            if (bus().is_connected()) request(now);
        } catch (...) {
            bus().errors().note(ipc::ipc_errc::no_memory);
            this->wake_at(now + pause);
        }
        return true;
    }

    // The channel is closed. What the servers have sent by now still comes, and gives itself back. What is left in the
    // channel can be received for as long as there are receivers, and is given back when they go, or the program ends.
    bool wind_up(clock::time_point now) {
        if (aborted_ || bus().is_closed()) return false;
        if (ended_) {
            for (const auto& t : messages_->look()) {
                if (t->take()) give_back(*t);
            }
        }
        const bool drained = has_drained(now);
        const bool left = !ended_ && to_.receiver_count() != 0 && !messages_->look().empty();
        if (left) this->wake_at(now + std::chrono::milliseconds(100));
        return left || !drained;
    }
    bool has_drained(clock::time_point now) {
        if (!subscription_) return true;
        bool drains = true;
        if (!drained_by_) {
            drained_by_ = now + bus().chosen().linger;
            const auto most = (std::max<std::int64_t>)(bus().chosen().linger.count(), 1);
            drains = bus().is_connected() && ::natsSubscription_DrainTimeout(subscription_.get(), most) == NATS_OK;
        }
        if (drains && now < *drained_by_ &&
            ::natsSubscription_DrainCompletionStatus(subscription_.get()) == NATS_ILLEGAL_STATE) {
            this->wake_at(now + std::chrono::milliseconds(5));
            return false;
        }
        bus().drop(std::move(subscription_));
        return true;
    }
    void give_back(ticket& t) {
        natsStatus ignored = NATS_OK;
        const std::string_view word = "-NAK";
        if (bus().is_connected() && t.claim_last_word())
            (void)publish(bus(), t.reply(), {}, std::as_bytes(std::span(word.data(), word.size())), ignored);
    }

    // In the channel, the servers' time begins anew when a third of it has passed; and when a delivery is taken out of it.
    void prolong(clock::time_point now) {
        for (const auto& t : messages_->remove_taken()) {
            if (t->take_stale() && !t->is_settled()) say_in_progress(*t);
        }
        const auto third = std::chrono::duration_cast<clock::duration>(counts_->ack_wait / 3);
        for (const auto& t : messages_->look()) {
            if (now - t->fresh_at() >= third && !t->is_settled()) say_in_progress(*t);
            this->wake_at((std::max)(t->fresh_at() + third, now + std::chrono::milliseconds(1)));
        }
    }
    void say_in_progress(ticket& t) {
        natsStatus ignored = NATS_OK;
        const std::string_view word = "+WPI";
        if (bus().is_connected() && publish(bus(), t.reply(), {}, std::as_bytes(std::span(word.data(), word.size())),
                                            ignored) == published::done)
            t.prolonged();
    }

    // False if the servers have said that there is nothing to be had any more.
    bool hear(clock::time_point now) {
        const auto said = messages_->take_status();
        if (said.code == "gone" || (said.code == "409" && said.words.find("eleted") != std::string::npos)) {
            give_up(said.err_code, said.words);
            return false;
        }
        if (said.request == 0) return true;
        if (said.request != request_) return true;
        counts_->asked.store(0, std::memory_order_release);
        if (said.code == "408" || said.code == "404") return true;
        // No leader, or one that does not take it now; or the consumer is gone.
        not_before_ = now + pause;
        natsStatus ignored = NATS_OK;
        if (said.code == "503" && bus().is_connected())
            (void)publish(bus(), "$JS.API.CONSUMER.INFO." + stream_->name + "." + durable_, inbox_ + "0", {}, ignored);
        return true;
    }
    void give_up(int code, const std::string& words) {
        bus().errors().note(code_of(code));
        to_.close(
            std::make_exception_ptr(error_for(code, "receiving from " + stream_->title() + " as " + durable_, words)));
    }

    void request(clock::time_point now) {
        if (bus().connects() != connects_seen_) {
            connects_seen_ = bus().connects();
            counts_->asked.store(0, std::memory_order_release);  // who was asked does not know it any more
        }
        if (counts_->asked.load(std::memory_order_acquire) > 0) {
            if (now < request_ends_) return this->wake_at(request_ends_);
            counts_->asked.store(0, std::memory_order_release);
        }
        if (now < not_before_) return this->wake_at(not_before_);
        const std::ptrdiff_t needed = (std::max<std::ptrdiff_t>)(1, capacity_ - counts_->low);
        std::ptrdiff_t room = capacity_ - counts_->in_channel.load(std::memory_order_acquire);
        if (room < needed) return;
        // Who takes a delivery says so a moment before its place in the channel is free.
        const std::ptrdiff_t landing = counts_->landing.load(std::memory_order_acquire);
        room = (std::min)(room, capacity_ - landing - static_cast<std::ptrdiff_t>(to_.size()));
        if (room < needed) return this->wake_at(now + std::chrono::milliseconds(1));
        counts_->asked.store(room, std::memory_order_release);
        request_ends_ = now + request_lives + std::chrono::seconds(1);
        this->wake_at(request_ends_);
        const std::string text = "{\"batch\":" + std::to_string(room) +
                                 ",\"expires\":" + std::to_string(std::chrono::nanoseconds(request_lives).count()) +
                                 "}";
        natsStatus s = NATS_OK;
        if (publish(bus(), "$JS.API.CONSUMER.MSG.NEXT." + stream_->name + "." + durable_,
                    inbox_ + std::to_string(++request_), std::as_bytes(std::span(text.data(), text.size())),
                    s) != published::done)
            request_ends_ = now + pause;
    }

    std::shared_ptr<session> keep_;  // while the channel is open
    const std::shared_ptr<stream_state> stream_;
    const std::string durable_;
    const std::ptrdiff_t capacity_;
    const sender<delivery<T>> to_;
    ipcd::handler_waiter<sluice::detail::waiter> closing_;
    const std::shared_ptr<delivery_counts> counts_;
    std::shared_ptr<deliveries<T>> messages_;
    subscription subscription_;
    std::string inbox_;
    std::uint64_t request_ = 0;
    clock::time_point request_ends_{}, not_before_{};
    std::optional<clock::time_point> drained_by_;
    std::size_t connects_seen_ = 0;
    bool ended_ = false, aborted_ = false;
};

}  // namespace sluice::nats::detail
