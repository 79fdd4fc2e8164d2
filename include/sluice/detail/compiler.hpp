// What compilers have beyond the language, each with a plain alternative. A program needs none of it but where its symbols
// are hidden and it has shared objects; or where its compiler looks up a thread_local once for all of a coroutine, which
// may go on in another thread.
#pragma once

#if __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "sluice needs C++20: compile with -std=c++20"
#endif

// SLUICE_PLAIN_CXX, defined alike in all files of a program, chooses the alternatives.
#if defined(__GNUC__) && !defined(SLUICE_PLAIN_CXX)
#define SLUICE_ALWAYS_INLINE [[gnu::always_inline]]
#define SLUICE_NOINLINE [[gnu::noinline]]
#define SLUICE_SHARED [[gnu::visibility("default")]]  // one for all shared objects
#define SLUICE_LOCAL [[gnu::visibility("hidden")]]    // one for each
#elif defined(_MSC_VER) && !defined(SLUICE_PLAIN_CXX)
#define SLUICE_ALWAYS_INLINE __forceinline
#define SLUICE_NOINLINE __declspec(noinline)
#define SLUICE_SHARED
#define SLUICE_LOCAL
#include <intrin.h>
#else
#define SLUICE_ALWAYS_INLINE
#define SLUICE_NOINLINE
#define SLUICE_SHARED
#define SLUICE_LOCAL
#endif

namespace sluice::detail::compiler {

// Lets the processor know that this thread waits in a loop.
inline void pause() noexcept {
#if defined(SLUICE_PLAIN_CXX)
#elif defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
    __builtin_ia32_pause();
#elif defined(__GNUC__) && defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#elif defined(_MSC_VER) && (defined(_M_X64) || defined(_M_IX86))
    _mm_pause();
#endif
}

// Asks for the cache line of `p`, to write to it soon: a hint. `p` need not be valid. On x86-64 the builtin would ask for a
// line to read, unless the compiler is told otherwise: prefetchw came with 3DNow!, and Intel's first 64-bit processors
// did not have it. These and emulators that ignore it run it as a no-op.
inline void prefetch_to_write([[maybe_unused]] const void* p) noexcept {
#if defined(SLUICE_PLAIN_CXX)
#elif defined(__GNUC__) && defined(__x86_64__)
    asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#elif defined(__GNUC__)
    __builtin_prefetch(p, 1);
#endif
}

}  // namespace sluice::detail::compiler
