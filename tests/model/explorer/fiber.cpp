// Switches between the stacks of fibers.
#include <model/explorer/fiber.hpp>

#include <cstdlib>
#include <cstring>
#include <cxxabi.h>

#include <link.h>

namespace model {

namespace {

// Where the thread-local objects of the program lie, and what they are at first.
struct thread_locals {
    char* here = nullptr;
    std::size_t size = 0;
    const char* initial = nullptr;
    std::size_t initial_size = 0;
} locals;

fiber* starting;
jmp_buf host;

}  // namespace

void fiber::find_thread_locals() {
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void*) {
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& header = info->dlpi_phdr[i];
                if (header.p_type != PT_TLS) continue;
                locals.here = static_cast<char*>(info->dlpi_tls_data);
                locals.size = header.p_memsz;
                locals.initial = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
                locals.initial_size = header.p_filesz;
            }
            return 1;  // the first is the program itself
        },
        nullptr);
    if (locals.size > max_locals) std::abort();
}

fiber::handled_exceptions& fiber::exceptions_of_kernel_thread() {
    return *reinterpret_cast<handled_exceptions*>(abi::__cxa_get_globals());
}

void fiber::reset(char* stack, std::size_t size, void (*body)(), bool is_first) {
    if (!made_) {
        getcontext(&first_);
        first_.uc_stack.ss_sp = stack;
        first_.uc_stack.ss_size = size;
        first_.uc_link = nullptr;
        makecontext(&first_, start, 0);
        made_ = true;
    }
    body_ = body;
    entered_ = false;
    exceptions_ = {};
    char* const mine = is_first ? locals.here : locals_;
    std::memcpy(mine, locals.initial, locals.initial_size);
    std::memset(mine + locals.initial_size, 0, locals.size - locals.initial_size);
}

// The bottom of the stack. A fiber that is used again jumps to it: setcontext() would cost a system call.
void fiber::start() {
    fiber* const me = starting;
    me->has_entry_ = true;
    if (_setjmp(me->entry_) == 2) std::abort();
    me->body_();
    std::abort();
}

void fiber::go_on() {
    if (entered_) _longjmp(resume_, 1);
    entered_ = true;
    if (has_entry_) _longjmp(entry_, 1);
    starting = this;
    setcontext(&first_);
    std::abort();
}

// leave() jumps here from whatever stack it is called on; what lies on the stacks of the fibers is abandoned, and their
// memory begins anew with the next execution.
int fiber::run(fiber& first) {
    const handled_exceptions mine = exceptions_of_kernel_thread();
    exceptions_of_kernel_thread() = {};
    const int value = _setjmp(host);
    if (value == 0) first.go_on();
    exceptions_of_kernel_thread() = mine;
    return value;
}

void fiber::leave(int value) { _longjmp(host, value); }

// For the runtime there is one thread: an exception that is in flight in one fiber would be rethrown in another, and
// thread-local objects would be shared, if they were not exchanged here.
void fiber::switch_to(fiber& next) {
    handled_exceptions& exceptions = exceptions_of_kernel_thread();
    exceptions_ = exceptions;
    exceptions = next.exceptions_;
    std::memcpy(locals_, locals.here, locals.size);
    std::memcpy(locals.here, next.locals_, locals.size);
    if (_setjmp(resume_) == 0) next.go_on();
}

}  // namespace model
