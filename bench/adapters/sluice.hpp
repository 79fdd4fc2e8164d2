// sluice, by its public interface alone.
#pragma once

#include "../adapter.hpp"

#include <sluice/sluice.hpp>

#include <cstddef>
#include <cstdlib>
#include <span>
#include <utility>

namespace bench {

struct sluice_channel {
    static constexpr const char* name = "sluice";
    static constexpr abilities can{.unbounded = true, .bounded = true, .rendezvous = true};
    static constexpr bool closes = true;

    template <class T>
    struct sending {
        sluice::sender<T> tx;

        void send(T message) const {
            if (!tx.send(std::move(message))) std::abort();
        }
        void send_many(std::span<const T> messages) const {
            if (tx.send_many(messages) != messages.size()) std::abort();
        }
        void close() const { tx.close(); }
    };

    template <class T>
    struct receiving {
        sluice::receiver<T> rx;

        auto recv() const { return rx.recv(); }
        std::size_t recv_many(std::span<T> into) const { return rx.recv_many(into.data(), into.size()); }
    };

    template <class T>
    static ends<sending<T>, receiving<T>> open(const limit& capacity) {
        auto made = capacity ? sluice::bounded<T>(*capacity) : sluice::unbounded<T>();
        return {{std::move(made.tx)}, {std::move(made.rx)}};
    }
};

}  // namespace bench
