// Uses what sluice/ipc.hpp declares, each thing once.
#pragma once

#include <sluice/ipc.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include "tour.hpp"

namespace tour {

struct job {
    int number;
};

inline void pipes() {
    sluice::ipc::pipe jobs, results({.max_message = 100});
    const pid_t child = ::fork();
    if (child == 0) {
        const auto in = jobs.receiver<job>();
        const auto out = results.sender<std::string>();
        for (const job& j : in) expect(out.send(std::to_string(j.number)).has_value());
        std::exit(0);
    }
    auto out = jobs.sender<job>();
    const auto in = results.receiver<std::string>();
    expect(out.send(job{7}) && in.recv() == "7");
    out = {};
    expect(in.recv() == errc::closed && !jobs.error() && !results.error());
    int status = 1;
    expect(::waitpid(child, &status, 0) == child && status == 0);
}

inline void sockets() {
    sluice::ipc::listener inbox(sluice::ipc::tcp("127.0.0.1", 0));
    const auto rx = inbox.receiver<sluice::ipc::shared_bytes>();
    const auto why = std::make_shared<sluice::ipc::error_sink>();
    const auto tx = sluice::ipc::connect<sluice::ipc::shared_bytes>(inbox.address(), 1min, {.error_sink = why});
    const std::array<std::byte, 3> bytes{};
    const sluice::ipc::shared_bytes message{std::span(bytes)};
    expect(tx.send(message) && rx.recv() == message && !why->error() && !inbox.error());

    sluice::ipc::listener desk(sluice::ipc::tcp("127.0.0.1", 0));
    const auto [requests, replies] = sluice::ipc::connect<job, std::vector<int>>(desk.address());
    const auto session = desk.accept<job, std::vector<int>>();
    expect(requests.send(job{2}) && session.requests.recv()->number == 2);
    expect(session.replies.send({1, 2}) && replies.recv() == std::vector{1, 2});
    expect(!sluice::ipc::unix_socket("tour").path().empty());
}

// Where the system has message queues, and this user may have one.
inline void queues() {
#if defined(__linux__)
    const std::string name = "/sluice-tour-" + std::to_string(::getpid());
    try {
        sluice::ipc::message_queue queue(name, {.depth = 2, .max_message = 100});
        const auto tx = queue.sender<job>();
        const auto rx = queue.receiver<job>();
        sluice::ipc::message_queue::remove(name);
        expect(tx.send(job{3}) && rx.recv()->number == 3 && !queue.error());
    } catch (const std::system_error&) {
    }
#endif
}

inline void processes() {
    pipes();  // first: it forks, which is best done by one thread
    sockets();
    queues();
}

}  // namespace tour
