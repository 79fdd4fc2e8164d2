// How the library throws and catches. In a build without exceptions the message of what would be thrown goes to
// standard error, and the program ends.
#pragma once

#include <exception>
#include <utility>

#if !defined(__cpp_exceptions)
#include <cstdio>
#endif

namespace sluice::detail {

template <class E>
[[noreturn]] void throw_error(E&& error) {
#if defined(__cpp_exceptions)
    throw std::forward<E>(error);
#else
    std::fputs(error.what(), stderr);
    std::fputs("\n", stderr);
    std::terminate();
#endif
}

// Runs `f` and returns what it throws, or null.
template <class F>
std::exception_ptr thrown_by(F&& f) {
#if defined(__cpp_exceptions)
    try {
        std::forward<F>(f)();
    } catch (...) {
        return std::current_exception();
    }
#else
    std::forward<F>(f)();
#endif
    return nullptr;
}

}  // namespace sluice::detail
