// ipc_errc: why a remote end has closed, where the system does not say it.
#pragma once

#include <string>
#include <system_error>
#include <type_traits>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>

namespace sluice::ipc {

/// What can go wrong between the two ends of a connection; an error code enum. Each compares equal to the std::errc
/// that is named here.
enum class ipc_errc : int {  // they travel: their numbers stay
    not_sluice = 1,          ///< What has come is not this library's protocol (bad_message).
    wrong_version,           ///< The peer has another version of the protocol (protocol_not_supported).
    wrong_type,              ///< The peer has another type of messages (wrong_protocol_type).
    too_large,               ///< A message is larger than `max_message`, here or at the peer (message_size).
    not_encoded,             ///< The sender's codec has thrown (bad_message).
    not_decoded,             ///< The receiver's codec has thrown (bad_message).
    too_many_clients,        ///< The listener has `max_clients` already (connection_refused).
    too_late,                ///< The client has not sent its handshake in time (timed_out).
    no_memory,               ///< One of the two has run out of memory (not_enough_memory).
};

namespace detail {

class SLUICE_SHARED ipc_category;
class ipc_category final : public std::error_category {
public:
    const char* name() const noexcept override { return "sluice.ipc"; }
    std::string message(int code) const override {
        switch (static_cast<ipc_errc>(code)) {
            case ipc_errc::not_sluice: return "the peer does not speak sluice's protocol";
            case ipc_errc::wrong_version: return "the peer has another version of sluice's protocol";
            case ipc_errc::wrong_type: return "the two ends have different types of messages";
            case ipc_errc::too_large: return "a message is larger than max_message";
            case ipc_errc::not_encoded: return "a message could not be encoded";
            case ipc_errc::not_decoded: return "a message could not be decoded";
            case ipc_errc::too_many_clients: return "the listener has as many clients as it may";
            case ipc_errc::too_late: return "the client has not sent its handshake in time";
            case ipc_errc::no_memory: return "one of the two ends is out of memory";
        }
        return "the peer has given up for a reason that is not known here";
    }
    std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<ipc_errc>(code)) {
            case ipc_errc::not_sluice:
            case ipc_errc::not_encoded:
            case ipc_errc::not_decoded: return std::errc::bad_message;
            case ipc_errc::wrong_version: return std::errc::protocol_not_supported;
            case ipc_errc::wrong_type: return std::errc::wrong_protocol_type;
            case ipc_errc::too_large: return std::errc::message_size;
            case ipc_errc::too_many_clients: return std::errc::connection_refused;
            case ipc_errc::too_late: return std::errc::timed_out;
            case ipc_errc::no_memory: return std::errc::not_enough_memory;
        }
        return std::errc::protocol_error;
    }
};

}  // namespace detail

/// The category of ipc_errc, one in a process, never destroyed; its name is "sluice.ipc".
inline const std::error_category& category() noexcept { return sluice::detail::immortal<detail::ipc_category>::self(); }

/// The std::error_code of an ipc_errc, which converts to one by it.
inline std::error_code make_error_code(ipc_errc e) noexcept { return {static_cast<int>(e), category()}; }

}  // namespace sluice::ipc

namespace std {

/// Lets a sluice::ipc::ipc_errc convert to a std::error_code.
template <>
struct is_error_code_enum<sluice::ipc::ipc_errc> : true_type {};

}  // namespace std
