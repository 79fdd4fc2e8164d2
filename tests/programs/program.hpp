// What the programs share: how one says that something is wrong, and how it runs a part of itself in another process.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <utility>

namespace program {

/// Ends the process, which has failed.
[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::fflush(stderr);
    ::_exit(1);
}

inline void check(bool right, const char* what) {
    if (!right) {
        fail(what);
    }
}

/// Runs `body` in a forked process, which is ended when it takes longer than so many seconds. The child's exit status, or
/// minus the signal that has ended it.
template <class Body>
int in_child(unsigned seconds, Body&& body) {
    const pid_t child = ::fork();
    check(child >= 0, "there is no other process to be had");
    if (child == 0) {
        ::alarm(seconds);
        std::forward<Body>(body)();
        ::_exit(0);
    }
    int status = 0;
    check(::waitpid(child, &status, 0) == child, "the other process is not waited for");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace program
