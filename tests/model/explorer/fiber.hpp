// Fibers: each thread of the model runs on a stack of its own, in the one kernel thread.
#pragma once

#include <csetjmp>
#include <cstddef>

#include <ucontext.h>

namespace model {

// A stack, what the processor keeps while it does not run, and what the C++ runtime keeps by kernel thread: the
// exceptions that are being handled, and the thread-local objects of the program.
class fiber {
public:
    // Once, before the first execution.
    static void find_thread_locals();

    // The next time it is switched to it runs `body`, which never returns, from the beginning. The first fiber of an
    // execution has the thread-local objects of the kernel thread.
    void reset(char* stack, std::size_t size, void (*body)(), bool is_first);

    // Runs `first`, and what it switches to, until leave(value) is called; returns the value, which is not 0.
    static int run(fiber& first);
    [[noreturn]] static void leave(int value);

    // Of the running fiber: goes on with `next`, and returns when another switches back.
    void switch_to(fiber& next);

private:
    static constexpr std::size_t max_locals = 4096;
    struct handled_exceptions {  // the beginning of what the ABI calls __cxa_eh_globals
        void* caught;
        unsigned int uncaught;
    };

    static handled_exceptions& exceptions_of_kernel_thread();
    static void start();
    [[noreturn]] void go_on();

    void (*body_)() = nullptr;
    bool made_ = false, has_entry_ = false, entered_ = false;
    handled_exceptions exceptions_{};
    char locals_[max_locals];
    ucontext_t first_;
    jmp_buf entry_, resume_;
};

}  // namespace model
