// message<T>: a message with the subject that it is sent to, or has come from.
#pragma once

#include <string>

namespace sluice::nats {

/// A message with its subject: what a sender that was opened without a subject takes, and what a receiver of wildcards
/// may give. Only the value travels as bytes, by its own codec.
template <class T>
struct message {
    std::string subject;  ///< Where it is sent to, or was sent to: without wildcards.
    T value;              ///< What is sent.
};

}  // namespace sluice::nats
