// A child is forked while another thread uses the library for the first time: nothing that the child uses is held by a
// thread that only the parent has.
#include "program.hpp"

#include <sluice/ipc.hpp>
#include <sluice/signals.hpp>

#include <fcntl.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <thread>

namespace {

void uses_everything() {
    int ends[2];
    program::check(::pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    sluice::ipc::pipe in(ends[0], -1), out(-1, ends[1]);
    const auto rx = in.receiver<int>();
    const auto tx = out.sender<int>();
    program::check(tx.send(1).has_value() && rx.recv() == 1, "a pipe does not work");
    const auto signals = sluice::receive_signals({SIGUSR1});
    ::raise(SIGUSR1);
    program::check(signals.recv() == SIGUSR1, "a signal is not received");
}

}  // namespace

int main() {
    for (int round = 0; round < 200; ++round) {
        // A process that has never used the library; the fork comes a little later in each.
        const int status = program::in_child(60, [round] {
            std::atomic<bool> begins{false};
            std::thread first_user([&] {
                begins = true;
                uses_everything();
            });
            while (!begins) std::this_thread::yield();
            const auto when = std::chrono::steady_clock::now() + std::chrono::microseconds(5 * (round % 50));
            while (std::chrono::steady_clock::now() < when) {
            }
            const int child = program::in_child(20, uses_everything);
            first_user.join();
            program::check(child == 0, "a child that was forked beside a first use fails");
        });
        program::check(status == 0, "the first use fails beside a fork");
    }
}
