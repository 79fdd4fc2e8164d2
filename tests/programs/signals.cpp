// receive_signals in processes of their own: all of whose threads block the signals, which fork, and which have no
// descriptors left.
#include "program.hpp"

#include <sluice/signals.hpp>
#include <sluice/sluice.hpp>

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

using namespace std::chrono_literals;

namespace {

using program::check;
using program::in_child;
using sluice::receive_signals;

sigset_t set_of(int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

void (*handler_of(int signal))(int) {
    struct sigaction now {};
    check(::sigaction(signal, nullptr, &now) == 0, "a disposition can be asked for");
    return now.sa_handler;
}

void all_threads_block() {
    const sigset_t blocked = set_of(SIGTERM);
    ::pthread_sigmask(SIG_BLOCK, &blocked, nullptr);
    {
        const auto signals = receive_signals({SIGTERM});
        ::kill(::getpid(), SIGTERM);
        check(signals.recv() == SIGTERM, "a signal is heard of that all threads block");
        ::kill(::getpid(), SIGTERM);
        check(signals.recv() == SIGTERM, "and again");
    }
    const auto other = receive_signals({SIGUSR1});  // the thread of the library goes on, and blocks SIGTERM again
    { auto signals = receive_signals({SIGTERM}); }
    ::kill(::getpid(), SIGTERM);  // would end the process if a thread took it
    ::kill(::getpid(), SIGUSR1);
    check(other.recv() == SIGUSR1, "the other receiver goes on");
    int taken = 0;
    check(::sigwait(&blocked, &taken) == 0 && taken == SIGTERM, "a signal that nobody takes stays pending");
}

void interrupted_calls() {
    int ends[2];
    check(::pipe(ends) == 0, "there is a pipe");
    const auto signals = receive_signals({SIGUSR1});
    const pthread_t self = ::pthread_self();
    std::thread other([&] {
        for (int i = 0; i < 20; ++i) {
            ::pthread_kill(self, SIGUSR1);
            check(signals.recv() == SIGUSR1, "a signal to one thread is heard of");
        }
        check(::write(ends[1], "x", 1) == 1, "a pipe takes a byte");
    });
    char byte = 0;
    check(::read(ends[0], &byte, 1) == 1 && byte == 'x', "a system call goes on after a signal");
    errno = 42;
    ::raise(SIGUSR1);
    check(errno == 42, "a handler leaves errno alone");
    other.join();
}

void without_descriptors() {
    const rlimit none{0, 0};
    check(::setrlimit(RLIMIT_NOFILE, &none) == 0, "the limit can be lowered");
    const auto signals = receive_signals({SIGUSR1});
    ::raise(SIGUSR1);
    check(signals.recv() == SIGUSR1, "signals need no descriptor");
}

// The signals of children are theirs, at whatever time they come.
void children() {
    ::signal(SIGUSR1, SIG_IGN);
    auto signals = receive_signals({SIGUSR1, SIGTERM});
    std::atomic<bool> over{false};
    std::thread busy([&] {  // signals come to the parent too, while it forks
        while (!over) {
            auto more = receive_signals({SIGUSR2});
            ::kill(::getpid(), SIGUSR2);
            check(more.recv() == SIGUSR2, "receivers come and go beside forks");
        }
    });
    for (int i = 0; i < 300; ++i) {
        const pid_t child = ::fork();
        check(child >= 0, "there is no other process to be had");
        if (child == 0) {
            ::alarm(20);
            check(handler_of(SIGUSR1) == SIG_IGN && handler_of(SIGTERM) == SIG_DFL,
                  "a child has the former dispositions");
            if (i % 2 == 0) {
                for (;;) ::pause();
            }
            signals = {};
            ::signal(SIGUSR2, SIG_IGN);
            {
                const auto own = receive_signals({SIGUSR2});
                ::raise(SIGUSR2);
                check(own.recv() == SIGUSR2, "a child receives signals of its own");
                check(in_child(20, [] { ::raise(SIGUSR2); }) == 0, "so does its child");
            }
            check(handler_of(SIGUSR2) == SIG_IGN, "and gets back what it has set");
            for (;;) ::pause();
        }
        for (int k = 0; k < 3; ++k) ::kill(child, SIGUSR1);
        if (i % 3 != 0) std::this_thread::yield();
        ::kill(child, SIGTERM);
        int status = 0;
        check(::waitpid(child, &status, 0) == child, "the other process is waited for");
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "a child ends by the signal that is sent to it");
    }
    over = true;
    busy.join();
    check(signals.try_recv() == sluice::errc::empty, "a signal of a child is reported in the parent");
    ::raise(SIGTERM);
    check(signals.recv() == SIGTERM, "the parent goes on");
}

void ends_with_receivers() {
    static auto signals = receive_signals({SIGUSR1});
    static auto* const never_dropped = new sluice::receiver<int>(receive_signals({SIGUSR2}));
    ::raise(SIGUSR2);
    check(never_dropped->recv() == SIGUSR2, "a signal is received");
    std::exit(7);
}

}  // namespace

int main() {
    check(in_child(60, all_threads_block) == 0, "signals that are blocked");
    check(in_child(60, interrupted_calls) == 0, "system calls that are interrupted");
    check(in_child(60, without_descriptors) == 0, "no descriptors");
    check(in_child(100, children) == 0, "children");
    check(in_child(60, ends_with_receivers) == 7, "a process ends with its receivers");
    check(in_child(60,
                   [] {
                       const auto signals = receive_signals({SIGUSR1});
                       ::raise(SIGUSR1);
                       check(signals.recv() == SIGUSR1, "a child of a process without receivers has its own");
                   }) == 0,
          "children of a process without receivers");
    std::puts("signals are received");
}
