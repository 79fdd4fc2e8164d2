// Listening: clients are accepted, counted and, for sessions, heard until they have said what they want.
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

#include <sluice/channel.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/sockets.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/fault.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// How many clients a listener has. Each keeps its place for as long as it is connected; the loop's thread alone gives
// them out.
class client_places {
public:
    explicit client_places(std::size_t most) : most_(most) {}

    // Nothing if all are taken.
    std::shared_ptr<void> take() const {
        const auto taken = static_cast<std::size_t>(place_.use_count() - 1);
        return taken < most_ ? place_ : nullptr;
    }

private:
    const std::size_t most_;
    const std::shared_ptr<void> place_ = std::make_shared<char>();
};

// Tells a client, of which nothing is left to read, why it gets no connection.
inline void refuse(const descriptor& client, ipc_errc why) noexcept {
    tell_broken(client.get(), why);
    ::shutdown(client.get(), SHUT_WR);
}
// The same for one that was not heard yet, unless it speaks something else. A socket at which something has arrived
// that was not read is reset when it is closed.
inline void refuse_unheard(const descriptor& client, ipc_errc why) noexcept {
    std::byte words[512];
    const ssize_t size = read_some(client.get(), medium::socket, words, sizeof words);
    const std::size_t known = (std::min)(static_cast<std::size_t>((std::max)(size, ssize_t{0})), sizeof magic);
    if (std::memcmp(words, &magic, known) == 0) refuse(client, why);
}

// Accepts clients and hands them on: `welcome(descriptor, place)`.
template <class Welcome>
class accepting final : public station {
public:
    accepting(std::shared_ptr<io_loop> loop, std::shared_ptr<station_group> group,
              std::shared_ptr<listening_socket> socket, std::shared_ptr<client_places> places,
              std::shared_ptr<fault> report, Welcome welcome)
        : station(std::move(loop), std::move(group)),
          socket_(std::move(socket)),
          places_(std::move(places)),
          report_(std::move(report)),
          welcome_(std::move(welcome)) {
        welcome_.begin(*this);
    }
    ~accepting() override {
        welcome_.end();
        if (over_) socket_->close();  // of which the loop does not know any more
    }

    bool work(readiness what, std::span<std::byte>) override {
        over_ = over_ || !welcome_.wanted();
        if (over_) return false;
        if (what.read) accept_some();
        if (pause_ && *pause_ <= std::chrono::steady_clock::now()) pause_.reset();
        return true;
    }
    int fd() const noexcept override { return pause_ ? -1 : socket_->fd(); }
    readiness interest() const noexcept override { return {true, false}; }
    std::optional<time_point> alarm() const noexcept override { return pause_; }
    void finish() noexcept override { over_ = true; }
    void abort(std::error_code why) noexcept override {
        report_->note(why);
        over_ = true;
    }

private:
    void accept_some() noexcept {
        for (int n = 0; n < 64; ++n) {
            try {
                descriptor fd = accept_from(socket_->fd(), socket_->family());
                if (!fd) return not_accepted(errno);
                if (is_spared(fd.get())) {
                    report_->note(from_errno(EMFILE));
                    continue;
                }
                std::shared_ptr<void> place = places_->take();
                if (!place) {
                    report_->note(ipc_errc::too_many_clients);
                    refuse_unheard(fd, ipc_errc::too_many_clients);
                    continue;
                }
                welcome_(std::move(fd), std::move(place));
            } catch (...) {
                report_->note(current_error(ipc_errc::no_memory));
                return;
            }
        }
    }
    // Mostly the lack of descriptors. Who waits to be accepted keeps the socket readable, so that it is not looked at
    // for a while.
    void not_accepted(int error) noexcept {
        if (nobody_waits(error)) return;
        report_->note(from_errno(error));
        pause_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    }

    const std::shared_ptr<listening_socket> socket_;
    const std::shared_ptr<client_places> places_;
    const std::shared_ptr<fault> report_;
    Welcome welcome_;
    std::optional<time_point> pause_;
    bool over_ = false;
};

// A client that has greeted.
struct newcomer {
    descriptor fd;
    decoder read;
    std::shared_ptr<void> place;
};

// Hears a client until it has greeted.
class greeting_station final : public station {
public:
    greeting_station(std::shared_ptr<io_loop> loop, std::shared_ptr<station_group> group, newcomer who,
                     sender<newcomer> to, std::shared_ptr<fault> report, const options& chosen)
        : station(std::move(loop), std::move(group)),
          who_(std::move(who)),
          to_(std::move(to)),
          report_(std::move(report)),
          until_(std::chrono::steady_clock::now() + chosen.handshake_timeout) {}

    bool work(readiness what, std::span<std::byte> scratch) override {
        if (over_ || to_.is_closed()) return false;
        const bool due = std::chrono::steady_clock::now() >= until_;
        if ((what.read || due) && !hear(scratch)) return false;  // what has come by then counts
        return !due || turn_away(ipc_errc::too_late);
    }
    int fd() const noexcept override { return who_.fd.get(); }
    readiness interest() const noexcept override { return {true, false}; }
    std::optional<time_point> alarm() const noexcept override { return until_; }
    void finish() noexcept override { over_ = true; }
    void abort(std::error_code) noexcept override { over_ = true; }

private:
    // False when there is nothing left to hear.
    bool hear(std::span<std::byte> scratch) noexcept {
        try {
            const std::span<std::byte> space = who_.read.space(scratch);
            const ssize_t size = read_some(who_.fd.get(), medium::socket, space.data(), space.size());
            if (size < 0 && would_block(errno)) return keep();
            if (size <= 0) {
                if (!who_.read.silent()) report_->note(from_errno(ECONNRESET));
                return false;
            }
            who_.read.received(static_cast<std::size_t>(size));
            std::span<const std::byte> none;
            const decoder::found found = who_.read.next(none);
            if (found == decoder::found::nothing) return keep();
            if (found != decoder::found::greeting) return turn_away(told_as(who_.read.error(), ipc_errc::not_sluice));
            keep();
            (void)to_.send(std::move(who_));
        } catch (...) {
            report_->note(current_error(ipc_errc::no_memory));
        }
        return false;
    }
    bool keep() {
        who_.read.keep();
        return true;
    }
    bool turn_away(ipc_errc why) noexcept {
        report_->note(why);
        if (who_.read.speaks()) refuse(who_.fd, why);  // others get no answer
        return false;
    }

    newcomer who_;
    const sender<newcomer> to_;
    const std::shared_ptr<fault> report_;
    const time_point until_;
    bool over_ = false;
};

}  // namespace sluice::ipc::detail
