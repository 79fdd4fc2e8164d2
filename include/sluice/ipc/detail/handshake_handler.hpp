// handshake_handler: reads what a client of listener::accept() sends first.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/ipc/detail/acceptor.hpp>
#include <sluice/ipc/detail/decoder.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/transfer.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/error_sink.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// A client, and what was read of it: for accept(), its handshake.
struct pending_connection {
    descriptor fd;
    decoder read;
    std::shared_ptr<void> slot;
};

// Reads a client's handshake, and sends it to a channel for listener::accept().
class handshake_handler final : public io_handler {
public:
    handshake_handler(std::shared_ptr<io_loop> loop, std::shared_ptr<handler_group> group, pending_connection client,
                      sender<pending_connection> to, std::shared_ptr<error_sink> errors, const options& chosen)
        : io_handler(std::move(loop), std::move(group)),
          client_(std::move(client)),
          to_(std::move(to)),
          errors_(std::move(errors)),
          until_(std::chrono::steady_clock::now() + chosen.handshake_timeout) {}

    bool work(readiness ready, std::span<std::byte> scratch) override {
        if (done_ || to_.is_closed()) return false;
        const bool due = std::chrono::steady_clock::now() >= until_;
        if ((ready.read || due) && !read_handshake(scratch)) return false;  // bytes that came in time count
        return !due || reject(ipc_errc::too_late);
    }
    int fd() const noexcept override { return client_.fd.get(); }
    readiness interest() const noexcept override { return {true, false}; }
    std::optional<time_point> alarm() const noexcept override { return until_; }
    void finish() noexcept override { done_ = true; }
    void abort(std::error_code) noexcept override { done_ = true; }

private:
    // False when there is nothing left to read.
    bool read_handshake(std::span<std::byte> scratch) noexcept {
        try {
            const std::span<std::byte> space = client_.read.space(scratch);
            const ssize_t size = read_socket(client_.fd.get(), space.data(), space.size());
            if (size < 0 && would_block(errno)) return release_scratch();
            if (size <= 0) {
                if (!client_.read.nothing_received()) errors_->note(from_errno(ECONNRESET));
                return false;
            }
            client_.read.received(static_cast<std::size_t>(size));
            std::span<const std::byte> none;
            const decoder::found found = client_.read.next(none);
            if (found == decoder::found::nothing) return release_scratch();
            if (found != decoder::found::handshake)
                return reject(as_ipc_errc(client_.read.error(), ipc_errc::not_sluice));
            release_scratch();
            (void)to_.send(std::move(client_));
        } catch (...) {
            errors_->note(current_error(ipc_errc::no_memory));
        }
        return false;
    }
    bool release_scratch() {
        client_.read.release_scratch();
        return true;
    }
    bool reject(ipc_errc why) noexcept {
        errors_->note(why);
        if (client_.read.speaks_protocol()) refuse(client_.fd, why);  // a peer of another protocol gets no answer
        return false;
    }

    pending_connection client_;
    const sender<pending_connection> to_;
    const std::shared_ptr<error_sink> errors_;
    const time_point until_;
    bool done_ = false;
};

}  // namespace sluice::ipc::detail
