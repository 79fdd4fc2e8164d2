// The endpoints of senders without a stream, and of what is published besides.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <nats/nats.h>

#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/plain.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/nats/detail/endpoint.hpp>
#include <sluice/nats/detail/inbox.hpp>
#include <sluice/nats/detail/intake.hpp>
#include <sluice/nats/detail/travel.hpp>

namespace sluice::nats::detail {

// The capacity of a sender's channel, as options.hpp says. With much less, a thread that sends all the time is woken so
// often that this costs more than what it sends.
template <class T>
std::size_t sender_capacity(std::size_t chosen) {
    if (chosen != 0) return chosen;
    if constexpr (ipcd::plain<T>) return std::clamp<std::size_t>((1024 * 1024) / sizeof(T), 16, 16384);
    return 256;
}

// What publishing came to: done; not now, the endpoint is posted when it may be tried again; or refused for good.
enum class published { done, later, refused };

// Gives one message to the client, which copies it.
inline published publish(client& bus, const std::string& subject, const std::string& reply,
                         std::span<const std::byte> bytes, natsStatus& status) noexcept {
    const auto size = static_cast<int>(bytes.size());
    status = bytes.size() > static_cast<std::size_t>(INT_MAX) ? NATS_MAX_PAYLOAD
             : reply.empty()
                 ? ::natsConnection_Publish(bus.nc(), subject.c_str(), bytes.data(), size)
                 : ::natsConnection_PublishRequest(bus.nc(), subject.c_str(), reply.c_str(), bytes.data(), size);
    switch (status) {
        case NATS_OK: return published::done;
        case NATS_CONNECTION_CLOSED:
        case NATS_CONNECTION_DISCONNECTED:
        case NATS_INSUFFICIENT_BUFFER:
        case NATS_IO_ERROR: return published::later;
        default: return published::refused;
    }
}

// What senders have in common: they take messages while the connection takes them, and when their channel has closed and
// cannot be emptied, they give up after `linger`.
template <class T>
class sending_endpoint : public endpoint {
protected:
    sending_endpoint(std::shared_ptr<client> c, receiver<T> from, std::shared_ptr<session> keep)
        : endpoint(std::move(c)), in_(std::move(from), *this), keep_(std::move(keep)) {}

    // The reason with which the servers, or the codec, have refused a message; noted before the channel closes.
    void refuse(std::error_code why, const std::string& what, const std::string& words) noexcept {
        bus().errors().note(why);
        try {
            in_.close(std::make_exception_ptr(
                std::system_error(why, "sluice: " + what + (words.empty() ? "" : ": " + words))));
        } catch (...) {
            in_.close(std::current_exception());
        }
    }

    // The channel is closed, and nothing is left in it; found out while the connection is lost too.
    bool has_ended() {
        if (in_.is_closed()) (void)in_.peek();
        return in_.has_ended();
    }

    // The connection was given up, or what was sent could not be written in time.
    bool gives_up() noexcept {
        if (bus().is_closed()) {
            in_.close(bus().cause());
            return true;
        }
        if (!in_.is_closed()) return false;
        keep_.reset();
        if (!last_call_) last_call_ = client::clock::now() + bus().chosen().linger;
        if (client::clock::now() >= *last_call_) return true;
        wake_at(*last_call_);
        return false;
    }
    void finish() noexcept override { in_.close(nullptr); }
    void abort(std::error_code) noexcept override {
        in_.close(nullptr);
        last_call_ = client::clock::time_point::min();
    }

    intake<T> in_;

private:
    std::shared_ptr<session> keep_;  // while the channel is open
    std::optional<client::clock::time_point> last_call_;
};

template <class T>
class plain_sending final : public sending_endpoint<T> {
    using base = sending_endpoint<T>;
    using base::bus;
    using base::in_;

public:
    plain_sending(std::shared_ptr<client> c, receiver<T> from, std::string subject, std::shared_ptr<session> keep)
        : base(std::move(c), std::move(from), std::move(keep)), subject_(std::move(subject)) {}

private:
    // Then what was published is written: the client's buffer and the messages of a turn stay in the processor's cache.
    static constexpr std::size_t bytes_per_turn = 64 * 1024;
    static constexpr std::size_t bytes_around = 32;  // about as many as the protocol puts around a message

    bool work() noexcept override {
        if (const std::size_t before = refusals_seen_; bus().refusals() != before) {
            refusals_seen_ = bus().refusals();
            if (!travel<T>::has_subject && bus().is_refused(deed::sending, subject_, before)) {
                this->refuse(code_of(NATS_NOT_PERMITTED), "sending to " + subject_,
                             "the server does not permit to publish to it");
                return false;
            }
        }
        if (bus().is_connected() && !bus().is_congested()) {
            given_ = 0;
            for (T* m = in_.look(); m && given_ < bytes_per_turn; m = in_.look()) {
                const published tried = send(*m);
                if (tried == published::refused) return false;
                if (tried == published::later) {
                    this->wake_at(client::clock::now() + std::chrono::milliseconds(1));
                    return !this->gives_up();
                }
                (void)in_.next();
            }
            if (given_ > 0 || in_.peek()) this->look_again();
        }
        return !this->has_ended() && !this->gives_up();
    }

    published send(const T& m) noexcept {
        const std::string& subject = travel<T>::subject(m, subject_);
        try {
            if (travel<T>::has_subject) check_subject(subject, false);
            const std::span<const std::byte> bytes = encode(travel<T>::value(m), scratch_);
            natsStatus status = NATS_OK;
            const published tried = publish(bus(), subject, {}, bytes, status);
            given_ += bytes.size() + bytes_around;
            if (tried == published::refused)
                this->refuse(code_of(status), "a message of " + std::to_string(bytes.size()) + " bytes to " + subject,
                             last_words());
            return tried;
        } catch (const std::exception& e) {
            this->refuse(ipc::detail::current_error(ipc::ipc_errc::not_encoded), "a message to " + subject, e.what());
        } catch (...) {
            this->refuse(ipc::ipc_errc::not_encoded, "a message to " + subject, {});
        }
        return published::refused;
    }

    const std::string subject_;
    std::vector<std::byte> scratch_;
    std::size_t given_ = 0;  // to the client in this turn
    std::size_t refusals_seen_ = bus().refusals();
};

// Queries, replies and acknowledgements of a connection.
class note_sending final : public sending_endpoint<note> {
public:
    note_sending(std::shared_ptr<client> c, receiver<note> from)
        : sending_endpoint(std::move(c), std::move(from), nullptr) {}

private:
    bool work() noexcept override {
        if (bus().is_connected() && !bus().is_congested()) {
            while (note* const n = in_.peek()) {
                natsStatus status = NATS_OK;
                if (n->until == client::clock::time_point::max() || n->until > client::clock::now()) {
                    const published tried = publish(bus(), n->subject, n->reply, n->bytes, status);
                    if (tried == published::later) break;
                    if (tried == published::refused) bus().errors().note(code_of(status));
                }
                (void)in_.next();
            }
        }
        return !has_ended() && !gives_up();
    }
};

}  // namespace sluice::nats::detail
