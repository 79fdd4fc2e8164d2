// What goes wrong between this program and the servers: the codes of the NATS client and of JetStream as std::error_code.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/nats/error.hpp needs POSIX; it is tested on Linux"
#endif

#include <string>
#include <system_error>

#include <nats/nats.h>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>

namespace sluice::nats {

namespace detail {

class SLUICE_SHARED nats_category;
class nats_category final : public std::error_category {
public:
    static constexpr int first_of_jetstream = 10000;

    const char* name() const noexcept override { return "sluice.nats"; }
    std::string message(int code) const override {
        if (code >= first_of_jetstream) {
            const std::string text = "JetStream error " + std::to_string(code);
            // The client drops the server's words for some.
            switch (code) {
                case 10014: return text + ": consumer not found";
                case 10058: return text + ": stream name already in use with a different configuration";
                case 10059: return text + ": stream not found";
                default: return text;
            }
        }
        return ::natsStatus_GetText(static_cast<natsStatus>(code));
    }
    std::error_condition default_error_condition(int code) const noexcept override {
        switch (code) {
            case NATS_TIMEOUT: return std::errc::timed_out;
            case NATS_NO_SERVER: return std::errc::connection_refused;
            case NATS_CONNECTION_AUTH_FAILED:
            case NATS_NOT_PERMITTED: return std::errc::permission_denied;
            case NATS_MAX_PAYLOAD: return std::errc::message_size;
            case NATS_INVALID_SUBJECT:
            case NATS_INVALID_ARG: return std::errc::invalid_argument;
            case NATS_CONNECTION_CLOSED:
            case NATS_CONNECTION_DISCONNECTED:
            case NATS_NOT_YET_CONNECTED: return std::errc::not_connected;
            case NATS_NO_MEMORY: return std::errc::not_enough_memory;
            case NATS_SLOW_CONSUMER: return std::errc::no_buffer_space;
            default: return {code, *this};
        }
    }
};

}  // namespace detail

/// The category of what the NATS client and the servers report; its name is "sluice.nats". A code from 10000 on is an
/// error code of JetStream, as the server states it; a lower one is a status of the C client, `natsStatus`. One in a
/// process, never destroyed.
inline const std::error_category& category() noexcept {
    return sluice::detail::immortal<detail::nats_category>::self();
}

}  // namespace sluice::nats
