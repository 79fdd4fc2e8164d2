// Errors of the system and of codecs: how they are thrown, named and passed on to a peer.
#pragma once

#include <cerrno>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

#include <sluice/ipc/error.hpp>

namespace sluice::ipc::detail {

[[noreturn]] inline void fail(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), "sluice: " + what);
}

inline std::error_code from_errno(int error) noexcept { return {error, std::generic_category()}; }

inline bool would_block(int error) noexcept {
#if EAGAIN != EWOULDBLOCK
    if (error == EWOULDBLOCK) return true;
#endif
    return error == EAGAIN;
}

// Calls f again for as long as a signal interrupts it.
template <class F>
auto retry_eintr(F&& f) noexcept {
    for (;;) {
        const auto result = f();
        if (result != -1 || errno != EINTR) return result;
    }
}

// Returns what `open` returns. A std::system_error that it throws gets `what` into its message, unless it is there.
template <class F>
auto with_context(const std::string& what, F&& open) {
    try {
        return open();
    } catch (const std::system_error& e) {
        std::string why = e.what();
        if (why.find(what) != std::string::npos) throw;
        if (why.starts_with("sluice: ")) why.erase(0, 8);
        const std::string& message = e.code().message();
        if (why.ends_with(message)) why.resize(why.size() - message.size());
        if (why.ends_with(": ")) why.resize(why.size() - 2);
        // std::thread gives no text of its own.
        if (why.empty() && e.code() == std::errc::resource_unavailable_try_again) why = "no thread can be started";
        throw std::system_error(e.code(), "sluice: " + what + (why.empty() ? "" : ": ") + why);
    }
}

// Why other users have access to a file; empty if they have none.
inline std::string access_problem(const struct stat& found) {
    if (found.st_uid != ::geteuid()) return "it belongs to another user (number " + std::to_string(found.st_uid) + ")";
    if ((found.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
    char mode[8] = {};
    std::snprintf(mode, sizeof mode, "%04o", found.st_mode & 07777u);
    return std::string("it is open to others (its mode is ") + mode + ")";
}

// The error of the exception that is being handled: its code, no_memory, or `otherwise`.
inline std::error_code current_error(ipc_errc otherwise) noexcept {
    try {
        throw;
    } catch (const std::system_error& e) {
        return e.code();
    } catch (const std::bad_alloc&) {
        return ipc_errc::no_memory;
    } catch (...) {
        return otherwise;
    }
}

// The cause with which an end closes its channel: a std::system_error, or null if there was no error.
inline std::exception_ptr cause_of(const std::error_code& why) noexcept {
    return why ? std::make_exception_ptr(std::system_error(why)) : nullptr;
}

// What the peer is told of an error: only numbers of ipc_errc travel.
inline ipc_errc as_ipc_errc(std::error_code e, ipc_errc otherwise) noexcept {
    return e.category() == category() ? static_cast<ipc_errc>(e.value()) : otherwise;
}

}  // namespace sluice::ipc::detail
