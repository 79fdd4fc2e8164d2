// acceptor: accepts the clients of a listener, within its limits, and hands each on.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/listening_socket.hpp>
#include <sluice/ipc/detail/sockets.hpp>
#include <sluice/ipc/detail/transfer.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/error_sink.hpp>

namespace sluice::ipc::detail {

// Limits how many clients a listener has: each holds a slot, the returned pointer, for as long as it is connected.
// Used by the loop's thread; a slot may be released by any.
class client_slots {
public:
    explicit client_slots(std::size_t max) : max_(max) {}

    // Null if all are taken.
    std::shared_ptr<void> acquire() const {
        const auto taken = static_cast<std::size_t>(slot_.use_count() - 1);
        return taken < max_ ? slot_ : nullptr;
    }

private:
    const std::size_t max_;
    const std::shared_ptr<void> slot_ = std::make_shared<char>();
};

// Sends a client, of which nothing is left to read, why it is refused.
inline void refuse(const descriptor& client, ipc_errc why) noexcept {
    error_frame last = make_error_frame(why);
    const iovec bytes{&last, sizeof last};
    (void)write_socket(client.get(), &bytes, 1);
    ::shutdown(client.get(), SHUT_WR);
}
// The same for one of which nothing was read yet, unless it speaks another protocol. Reads what has arrived: a socket
// that is closed before that is reset, and the error_frame lost.
inline void refuse_unread(const descriptor& client, ipc_errc why) noexcept {
    std::byte bytes[512];
    const ssize_t size = read_socket(client.get(), bytes, sizeof bytes);
    const std::size_t known = (std::min)(static_cast<std::size_t>((std::max)(size, ssize_t{0})), sizeof magic);
    if (std::memcmp(bytes, &magic, known) == 0) refuse(client, why);
}

// Accepts clients, and calls on_client(descriptor, slot) for each. `OnClient` also has begin(acceptor), which is
// called first, end(), which is called last, fail(error), for when it ends by one, and wanted(), which is false when no
// more clients are to be accepted.
template <class OnClient>
class acceptor final : public io_handler {
public:
    acceptor(std::shared_ptr<io_loop> loop, std::shared_ptr<handler_group> group,
             std::shared_ptr<listening_socket> socket, std::shared_ptr<client_slots> free_slots,
             std::shared_ptr<error_sink> errors, OnClient on_client)
        : io_handler(std::move(loop), std::move(group)),
          socket_(std::move(socket)),
          slots_(std::move(free_slots)),
          errors_(std::move(errors)),
          on_client_(std::move(on_client)) {
        on_client_.begin(*this);
    }
    ~acceptor() override {
        on_client_.end();
        if (done_) socket_->close();  // the loop does not poll it any more
    }

    bool work(readiness ready, std::span<std::byte>) override {
        done_ = done_ || !on_client_.wanted();
        if (done_) return false;
        if (ready.read) accept_some();
        if (paused_until_ && *paused_until_ <= std::chrono::steady_clock::now()) paused_until_.reset();
        return true;
    }
    int fd() const noexcept override { return paused_until_ ? -1 : socket_->fd(); }
    readiness interest() const noexcept override { return {true, false}; }
    std::optional<time_point> alarm() const noexcept override { return paused_until_; }
    void finish() noexcept override { done_ = true; }
    void abort(std::error_code why) noexcept override {
        errors_->note(why);
        if (why) on_client_.fail(why);
        done_ = true;
    }

private:
    void accept_some() noexcept {
        for (int n = 0; n < 64; ++n) {
            try {
                descriptor fd = accept_from(socket_->fd(), socket_->family());
                if (!fd) return not_accepted(errno);
                if (is_reserved_fd(fd.get())) {
                    errors_->note(from_errno(EMFILE));
                    continue;
                }
                std::shared_ptr<void> slot = slots_->acquire();
                if (!slot) {
                    errors_->note(ipc_errc::too_many_clients);
                    refuse_unread(fd, ipc_errc::too_many_clients);
                    continue;
                }
                on_client_(std::move(fd), std::move(slot));
            } catch (...) {
                errors_->note(current_error(ipc_errc::no_memory));
                return;
            }
        }
    }
    // Mostly since descriptors have run out. As the socket stays readable, it is not polled for a while.
    void not_accepted(int error) noexcept {
        if (is_transient(error)) return;
        errors_->note(from_errno(error));
        paused_until_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    }

    const std::shared_ptr<listening_socket> socket_;
    const std::shared_ptr<client_slots> slots_;
    const std::shared_ptr<error_sink> errors_;
    OnClient on_client_;
    std::optional<time_point> paused_until_;
    bool done_ = false;
};

}  // namespace sluice::ipc::detail
