// How large the repeated tests are: smaller where a sanitizer or an emulator slows every step down.
#pragma once

#include <chrono>
#include <cstddef>

namespace test {

#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLUICE_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLUICE_TEST_SANITIZED 1
#endif

#ifdef SLUICE_TEST_SANITIZED
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif

/// Whether the program runs where its system is emulated: not every measurement holds there.
#ifdef SLUICE_TEST_EMULATED
inline constexpr bool emulated = true;
#else
inline constexpr bool emulated = false;
#endif

/// A tenth of `count` under a sanitizer or an emulator, all of it otherwise.
constexpr int scaled(int count) { return sanitized || emulated ? (count + 9) / 10 : count; }

/// The upper bound of every single wait in a test. Nothing comes near it unless it hangs.
inline constexpr std::chrono::seconds patience{sanitized || emulated ? 60 : 20};

}  // namespace test
