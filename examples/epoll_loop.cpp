// A thread with an event loop of its own: one epoll waits for a channel, for a timer of the kernel and for a socket at once.
// The channel takes part by the descriptor of a pollable. Linux.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/pollable.hpp>
#include <sluice/sluice.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

int checked_call(int result, const char* what) {
    if (result < 0) throw std::system_error(errno, std::generic_category(), what);
    return result;
}

struct totals {
    std::size_t jobs = 0, bytes = 0, ticks = 0;
};

// Works until the channel and the socket are at their ends.
totals run_loop(const sluice::pollable<int>& jobs, int socket, std::chrono::milliseconds period) {
    const int timer = checked_call(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), "timerfd_create");
    itimerspec every{};
    every.it_interval.tv_sec = period.count() / 1000;
    every.it_interval.tv_nsec = period.count() % 1000 * 1'000'000;
    every.it_value = every.it_interval;
    checked_call(::timerfd_settime(timer, 0, &every, nullptr), "timerfd_settime");

    const int loop = checked_call(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (const int fd : {jobs.fd(), socket, timer}) {
        epoll_event wanted{};
        wanted.events = EPOLLIN;
        wanted.data.fd = fd;
        checked_call(::epoll_ctl(loop, EPOLL_CTL_ADD, fd, &wanted), "epoll_ctl");
    }

    totals seen;
    for (int open = 2; open > 0 || seen.ticks == 0;) {
        epoll_event ready{};
        if (::epoll_wait(loop, &ready, 1, -1) != 1) continue;  // a signal
        bool ended = false;
        if (ready.data.fd == jobs.fd()) {
            // One message each time: epoll tells again as long as there may be more, and nobody else waits for long.
            const auto job = jobs.try_recv();
            if (job) ++seen.jobs;
            ended = !job && job.error() == sluice::errc::closed;
        } else if (ready.data.fd == socket) {
            char buffer[256];
            const ssize_t count = ::read(socket, buffer, sizeof buffer);
            if (count > 0) seen.bytes += static_cast<std::size_t>(count);
            ended = count == 0;
        } else {
            std::uint64_t expired = 0;
            if (::read(timer, &expired, sizeof expired) == sizeof expired) seen.ticks += expired;
        }
        if (ended) {
            --open;
            checked_call(::epoll_ctl(loop, EPOLL_CTL_DEL, ready.data.fd, nullptr), "epoll_ctl");
        }
    }
    ::close(loop);
    ::close(timer);
    return seen;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "One epoll waits for the messages of threads, for a timer and for a socket.");
    const auto producers = args.number("producers", 4, "threads that send jobs", 1, 1000);
    const auto messages = args.number("messages", 1000, "that each thread sends");
    const auto bytes = args.number("bytes", 10'000, "that come through the socket");
    const auto period = args.delay("period", 5, "between two ticks of the timer", 1);
    args.finish();

    int sockets[2];
    checked_call(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), "socketpair");
    auto [tx, rx] = sluice::bounded<int>(16);
    const sluice::pollable<int> jobs(std::move(rx));

    std::vector<std::jthread> running;
    for (std::size_t id = 0; id < producers; ++id) {
        running.emplace_back([to = tx, messages] {
            for (std::size_t n = 0; n < messages; ++n) {
                if (!to.send(static_cast<int>(n))) return;
            }
        });
    }
    tx = {};  // the last sender goes with the last thread
    running.emplace_back([end = sockets[1], bytes] {
        const std::vector<char> text(bytes, 'x');
        for (std::size_t sent = 0; sent < text.size();) {
            const ssize_t count = ::write(end, text.data() + sent, text.size() - sent);
            if (count <= 0) break;
            sent += static_cast<std::size_t>(count);
        }
        ::close(end);
    });

    const totals seen = run_loop(jobs, sockets[0], period);
    ::close(sockets[0]);
    std::printf("%zu jobs, %zu bytes, and the timer ticked\n", seen.jobs, seen.bytes);
    return example::checked(seen.jobs == producers * messages && seen.bytes == bytes && seen.ticks > 0,
                            "the loop got every job, every byte, and ticks of the timer");
}
