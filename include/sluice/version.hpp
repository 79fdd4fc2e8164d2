/// @file
/// The version of the library, in one place: CMake reads it from these macros.
#pragma once

/// Changes with every version that breaks what was promised. Zero: any minor version may.
#define SLUICE_VERSION_MAJOR 0
/// Changes with every version that adds something.
#define SLUICE_VERSION_MINOR 1
/// Changes with every version that only corrects something.
#define SLUICE_VERSION_PATCH 0

/// Channels for C++20 threads: all that a program names of the library. What is in a namespace `detail` is the library's
/// own, and may change with any version.
namespace sluice {

/// @{
/// The version as constants, for where a macro does not serve.
inline constexpr int version_major = SLUICE_VERSION_MAJOR;
inline constexpr int version_minor = SLUICE_VERSION_MINOR;
inline constexpr int version_patch = SLUICE_VERSION_PATCH;
/// @}

}  // namespace sluice
