// endpoint: the part of an end of a channel that an io_loop works at; and the handler that polls the client's socket.
#pragma once

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include <sys/socket.h>

#include <nats/nats.h>

#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/io_handler.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/nats/detail/client.hpp>
#include <sluice/nats/detail/client_calls.hpp>
#include <sluice/nats/detail/inbox.hpp>

namespace sluice::nats::detail {

// Posted whenever the connection is lost, made, given up, or takes messages again.
class endpoint : public ipcd::io_handler {
public:
    explicit endpoint(std::shared_ptr<client> of) : io_handler(of->loop(), nullptr), client_(std::move(of)) {
        client_->add(*this);
    }
    ~endpoint() override { client_->remove(*this); }

    bool work(ipcd::readiness, std::span<std::byte>) final {
        alarm_.reset();
        return work();
    }
    int fd() const noexcept final { return -1; }
    ipcd::readiness interest() const noexcept final { return {}; }
    std::optional<time_point> alarm() const noexcept final { return alarm_; }

protected:
    // False when it is over.
    virtual bool work() noexcept = 0;

    // Has work() called again by then at the latest.
    void wake_at(time_point when) noexcept {
        if (!alarm_ || when < *alarm_) alarm_ = when;
    }
    // Has it called again in the next round, when what was published in this one is written.
    void look_again() noexcept {
        loop().post(*this, [] {});
    }
    client& bus() const noexcept { return *client_; }

private:
    const std::shared_ptr<client> client_;
    std::optional<time_point> alarm_;
};

// What keeps a connection: shared by what the user holds, and by the endpoints whose channels are open. What an endpoint
// needs beyond that, it holds by itself: so the connection knows when nobody uses it any more, and all that is left has
// `linger` together, and not one after the other.
class session {
public:
    session(std::shared_ptr<client> c, std::shared_ptr<inbox> in) : client_(std::move(c)), inbox_(std::move(in)) {}
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    ~session() {
        // A forked child has no thread that could end it.
        if (!client_->is_of_this_process()) return;
        client_->unused.store(true, std::memory_order_release);
        client_->post_link();
    }

    client& bus() const noexcept { return *client_; }
    const std::shared_ptr<client>& shared_client() const noexcept { return client_; }
    inbox& replies() const noexcept { return *inbox_; }
    const std::shared_ptr<inbox>& shared_inbox() const noexcept { return inbox_; }

    // For whoever opens something.
    void require_own_process(const std::string& what) const {
        if (!client_->is_of_this_process())
            throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                                    "sluice: " + what + ": the connection belongs to the process that has forked");
    }
    void start(std::unique_ptr<ipcd::io_handler> h) const { ipcd::start(*client_->loop(), std::move(h), {}); }

private:
    const std::shared_ptr<client> client_;
    const std::shared_ptr<inbox> inbox_;
};

// Polls the client's socket, tells those who ask what the server does not permit, and ends the connection: when nobody
// uses it any more and all endpoints have gone, it sends itself a message, and closes when that has come back, so that all
// before it has arrived; or when `linger` has passed since nobody uses it. The endpoint of the notes goes last, since the
// others may still have something to say by it.
class link final : public ipcd::io_handler {
public:
    link(std::shared_ptr<client> c, std::shared_ptr<inbox> in)
        : io_handler(c->loop(), nullptr), client_(std::move(c)), inbox_(std::move(in)) {
        client_->set_link(ref());
    }

    bool work(ipcd::readiness ready, std::span<std::byte>) override {
        client& c = *client_;
        retired_ = ipcd::descriptor();  // the poller has forgotten it
        if (ipcd::descriptor fresh; c.take_socket(fresh)) retired_ = std::exchange(socket_, std::move(fresh));
        if (c.is_connected() || c.is_done()) c.drop_left();
        if (c.is_done()) {
            inbox_->end();
            return false;
        }
        if (ready.read && c.wants_read()) ::natsConnection_ProcessReadEvent(c.nc());
        if (c.wants_read() && c.wants_write()) {
            ::natsConnection_ProcessWriteEvent(c.nc());
            c.relieve();
        }
        const auto now = client::clock::now();
        const auto lost_at = c.lost_at();
        const bool lost = lost_at != client::clock::time_point::max();
        alarm_.reset();
        if (aborted_) close();
        c.give_words();
        inbox_->refuse(c.take_refused_to_send());
        if (c.unused.load(std::memory_order_acquire)) wind_up(now, lost);
        if (lost && c.chosen().reconnect_for < long_enough) {
            const auto until = lost_at + c.chosen().reconnect_for;
            if (now >= until) {
                c.set_cause(std::make_exception_ptr(
                    error_for(NATS_NO_SERVER, c.title(), "the connection was lost, and none could be made in time")));
                close();
            }
            if (!alarm_ || until < *alarm_) alarm_ = until;
        }
        if (closed_) alarm_.reset();
        return true;
    }
    int fd() const noexcept override { return client_->wants_read() ? socket_.get() : -1; }
    ipcd::readiness interest() const noexcept override { return {true, client_->wants_write()}; }
    std::optional<time_point> alarm() const noexcept override { return alarm_; }
    void finish() noexcept override { client_->unused.store(true, std::memory_order_release); }
    void abort(std::error_code) noexcept override { aborted_ = true; }

private:
    void wind_up(client::clock::time_point now, bool lost) noexcept {
        client& c = *client_;
        if (!last_call_) last_call_ = now + c.chosen().linger;
        const std::size_t left = c.count_endpoints();
        if (left <= 1) inbox_->close();
        if (left == 0 && !std::exchange(echoes_, true)) {
            connects_ = c.connects();
            if (!c.is_connected() || !inbox_->echo(ref())) close();
        }
        // What was sent to itself is lost with the connection, though there is another one by now.
        const bool is_lost = lost || c.connects() != connects_;
        if ((echoes_ && (is_lost || inbox_->has_echoed())) || now >= *last_call_) close();
        alarm_ = last_call_;
    }

    // Does not block: where all has arrived there is nothing to wait for, and otherwise nobody waits for it.
    void close() noexcept {
        if (std::exchange(closed_, true)) return;
        if (inbox_->has_echoed()) return client_->close();
        if (socket_)
            (void)::shutdown(socket_.get(), SHUT_RDWR);  // what it did not take in time it need not take any more
        client_->close_behind();
    }

    const std::shared_ptr<client> client_;
    const std::shared_ptr<inbox> inbox_;
    ipcd::descriptor socket_, retired_;
    std::optional<time_point> alarm_, last_call_;
    std::size_t connects_ = 0;
    bool aborted_ = false, closed_ = false, echoes_ = false;
};

}  // namespace sluice::nats::detail
