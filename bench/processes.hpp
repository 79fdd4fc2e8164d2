// Child processes, for benchmarks between processes.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/wait.h>
#include <unistd.h>

namespace bench {

inline void must(bool fine, const char* what) {
    if (fine) return;
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::_Exit(1);
}

/// Runs a function in a child process, which ends when the function returns and what it has sent is written.
class child {
public:
    template <class Work>
    explicit child(Work work) {
        std::fflush(stdout);  // or the child writes it a second time
        id_ = ::fork();
        must(id_ >= 0, "fork");
        if (id_ != 0) return;
        work();
        std::exit(0);
    }
    void wait() const {
        int status = 0;
        must(::waitpid(id_, &status, 0) == id_ && status == 0, "a child failed");
    }

private:
    pid_t id_ = -1;
};

}  // namespace bench
