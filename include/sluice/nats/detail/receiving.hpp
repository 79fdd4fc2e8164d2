// The endpoints of receivers without a stream, and of services.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <nats/nats.h>

#include <sluice/channel.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/handler_waiter.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/nats/detail/endpoint.hpp>

namespace sluice::nats::detail {

// Decodes messages and sends them to a channel that discards where it is full. `Make` makes a T of a natsMsg, or throws.
template <class T, class Make>
class channel_sink final : public sink {
public:
    channel_sink(sender<T> to, std::shared_ptr<client> c, Make make)
        : to_(std::move(to)), client_(std::move(c)), make_(std::move(make)) {}

    void receive(msg_ptr m) noexcept override {
        try {
            (void)to_.try_send(make_(*m));
        } catch (...) {
            client_->errors().note(ipcd::current_error(ipc::ipc_errc::not_decoded));
        }
    }

private:
    const sender<T> to_;
    const std::shared_ptr<client> client_;
    const Make make_;
};

// Ends the subscription when nobody receives any more, and closes the channel when the connection is given up, or the
// server does not permit the subscription any more, which it may say after each new connection.
template <class T>
class receiving final : public endpoint {
public:
    receiving(std::shared_ptr<client> c, sender<T> to, std::string subject, std::shared_ptr<session> keep)
        : endpoint(std::move(c)),
          keep_(std::move(keep)),
          subject_(std::move(subject)),
          to_(std::move(to)),
          closing_(*this) {
        closing_.arm();
        if (!core_of(to_)->observe_close(closing_)) closing_.disarm();
    }
    ~receiving() override {
        bus().drop(std::move(subscription_));
        closing_.cancel([this](auto& w) { return core_of(to_)->unobserve_close(w); });
    }
    // Before it is started.
    void hold(subscription s, std::size_t refusals) noexcept {
        subscription_ = std::move(s);
        refusals_seen_ = refusals;
    }

    void finish() noexcept override { ended_ = true; }
    void abort(std::error_code) noexcept override { ended_ = true; }

private:
    bool work() noexcept override {
        if (bus().is_closed()) to_.close(bus().cause());
        if (ended_) to_.close();
        if (const std::size_t before = refusals_seen_; bus().refusals() != before) {
            refusals_seen_ = bus().refusals();
            if (bus().is_refused(deed::receiving, subject_, before)) end_refused();
        }
        if (to_.is_closed()) return false;
        count_dropped();
        return true;
    }

    void end_refused() noexcept {
        try {
            to_.close(std::make_exception_ptr(error_for(NATS_NOT_PERMITTED, "receiving from " + subject_,
                                                        "the server does not permit to subscribe to it")));
        } catch (...) {
            to_.close(std::current_exception());
        }
    }

    // What the client has dropped, since too much waited for the delivery thread. It tells when that begins, and not
    // again before a message had room.
    void count_dropped() noexcept {
        std::int64_t dropped = 0;
        int waiting = 0;
        if (!bus().is_connected()) return;
        if (::natsSubscription_GetDropped(subscription_.get(), &dropped) != NATS_OK || dropped == 0) return;
        core_of(to_)->count_dropped(static_cast<std::size_t>(dropped - dropped_));
        dropped_ = dropped;
        if (::natsSubscription_GetPending(subscription_.get(), &waiting, nullptr) == NATS_OK && waiting > 0)
            this->wake_at(client::clock::now() + std::chrono::milliseconds(100));
    }

    const std::shared_ptr<session> keep_;
    const std::string subject_;
    const sender<T> to_;
    ipcd::handler_waiter<sluice::detail::waiter> closing_;
    subscription subscription_;
    std::size_t refusals_seen_ = 0;
    std::int64_t dropped_ = 0;  // by the client
    bool ended_ = false;
};

// Opens a channel into which a subscription's messages go. Blocks until the server has confirmed it.
template <class T, class Make>
receiver<T> receive(const std::shared_ptr<session>& of, const std::string& subject, const receiver_options& chosen,
                    const std::string& what, Make make) {
    of->require_own_process(what);
    check_subject(subject, true);
    if (!chosen.queue.empty() && !is_subject(chosen.queue, false))
        fail(NATS_INVALID_QUEUE_NAME, what, "\"" + chosen.queue + "\" is no name of a queue");
    if (!sluice::detail::discards(chosen.when_full))
        throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                "sluice: " + what +
                                    ": .when_full must be drop_oldest or drop_newest, since reading "
                                    "never stops");
    of->bus().require_connected(what);
    auto ends = bounded<T>(chosen.capacity, chosen.when_full);
    auto end = std::make_unique<receiving<T>>(of->shared_client(), ends.tx, subject, of);
    const std::size_t refusals = of->bus().refusals();
    natsStatus status = NATS_OK;
    end->hold(of->bus().subscribe(
                  subject, chosen.queue,
                  std::make_shared<channel_sink<T, Make>>(std::move(ends.tx), of->shared_client(), std::move(make)),
                  status, true),
              refusals);
    if (status != NATS_OK) fail(status, what + " at " + of->bus().url(), last_words());
    of->bus().confirm_subscription(subject, refusals, what);
    of->start(std::move(end));
    return std::move(ends.rx);
}

}  // namespace sluice::nats::detail
