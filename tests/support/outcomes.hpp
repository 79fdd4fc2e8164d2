// What operations come to, for tests to compare: an error, or the number of a message or of a case.
#pragma once

#include "payload.hpp"

#include <sluice/sluice.hpp>

#include <cstddef>
#include <ostream>
#include <stop_token>

namespace test {

/// A number or an error. Made from either, and so compared with either.
class id_or_error {
public:
    constexpr id_or_error(int id) : id_(id) {}
    constexpr id_or_error(std::size_t id) : id_(static_cast<int>(id)) {}
    constexpr id_or_error(sluice::errc error) : has_id_(false), error_(error) {}

    constexpr bool has_id() const { return has_id_; }

    friend constexpr bool operator==(id_or_error, id_or_error) = default;
    friend std::ostream& operator<<(std::ostream& out, id_or_error it) {
        return it.has_id_ ? out << it.id_ : out << to_string(it.error_);
    }

private:
    bool has_id_ = true;
    int id_ = 0;
    sluice::errc error_{};
};

/// The number of the message, or the error.
template <class T>
id_or_error id_in(const sluice::result<T>& received) {
    if (!received) return received.error();
    return id_of(*received);
}

/// The error, or `errc{}`, which is none of them, where there is a value.
template <class T>
sluice::errc error_in(const sluice::result<T>& outcome) {
    return outcome ? sluice::errc{} : outcome.error();
}

/// The index that a select or a group reports, or its error.
inline id_or_error ran(const sluice::result<std::size_t>& fired) {
    if (!fired) return fired.error();
    return *fired;
}

/// A token whose stop has been requested.
inline std::stop_token requested() {
    std::stop_source source;
    source.request_stop();
    return source.get_token();
}

}  // namespace test
