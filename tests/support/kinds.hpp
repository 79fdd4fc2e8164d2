// The four kinds of channel that every property is tested for.
#pragma once

#include "../catch.hpp"
#include "payload.hpp"

#include <sluice/sluice.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <ostream>
#include <type_traits>
#include <vector>

namespace test {

enum class kind { rendezvous, one, three, unbounded };

inline std::ostream& operator<<(std::ostream& out, kind which) {
    constexpr const char* names[] = {"rendezvous", "bounded(1)", "bounded(3)", "unbounded"};
    return out << names[static_cast<int>(which)];
}

inline std::optional<std::size_t> capacity_of(kind which) {
    switch (which) {
        case kind::rendezvous: return 0;
        case kind::one: return 1;
        case kind::three: return 3;
        default: return std::nullopt;
    }
}

template <class T>
sluice::channel<T> make_channel(kind which) {
    const auto capacity = capacity_of(which);
    return capacity ? sluice::bounded<T>(*capacity) : sluice::unbounded<T>();
}

/// How many messages a test puts into an idle channel of this kind: as many as fit, or a few.
inline int room(kind which) { return static_cast<int>(capacity_of(which).value_or(10)); }

/// Puts the messages 0 .. room(which) - 1 into an idle channel.
template <class T>
void fill(const sluice::sender<T>& tx, kind which) {
    for (int id = 0; id < room(which); ++id) {
        REQUIRE(tx.try_send(T(id)).has_value());
    }
}

/// Appends the number of each message that is written to it: an output iterator and no more.
struct id_sink {
    using difference_type = std::ptrdiff_t;
    std::vector<int>* ids;
    id_sink& operator*() { return *this; }
    id_sink& operator++() { return *this; }
    id_sink operator++(int) { return *this; }
    template <class T>
        requires(!std::same_as<std::remove_cvref_t<T>, id_sink>)
    id_sink& operator=(T&& message) {
        ids->push_back(id_of(message));
        return *this;
    }
};

/// Everything that can be received now, in order.
template <class T>
std::vector<int> drain(const sluice::receiver<T>& rx) {
    std::vector<int> ids;
    while (auto message = rx.try_recv()) {
        ids.push_back(id_of(*message));
    }
    return ids;
}

inline std::vector<int> numbers(int first, int last) {
    std::vector<int> ids;
    for (int id = first; id < last; ++id) {
        ids.push_back(id);
    }
    return ids;
}

}  // namespace test

/// Runs the rest of the test once for each of these kinds.
#define EACH_KIND() GENERATE(test::kind::rendezvous, test::kind::one, test::kind::three, test::kind::unbounded)
/// Those that can be full.
#define EACH_BOUNDED_KIND() GENERATE(test::kind::rendezvous, test::kind::one, test::kind::three)
/// Those that hold messages.
#define EACH_BUFFERED_KIND() GENERATE(test::kind::one, test::kind::three, test::kind::unbounded)
