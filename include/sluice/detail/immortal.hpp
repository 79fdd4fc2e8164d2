// immortal: the one object of a kind in a process, made at its first use and never destroyed.
#pragma once

#include <atomic>

#include <sluice/detail/compiler.hpp>

namespace sluice::detail {

// Statics of the library are not initialised at a first use by the language: in the child of a fork that comes meanwhile
// the guard would be held for ever, by a thread that only the parent has. Here each thread that comes too early makes
// one, and the first is kept. It may outlive the statics: threads and errors do.
template <class T>
struct SLUICE_SHARED immortal {  // one for all shared objects
    static T& self() {
        T* there = instance.load(std::memory_order_acquire);
        if (there) return *there;
        T* const made = new T();
        if (instance.compare_exchange_strong(there, made, std::memory_order_acq_rel)) return *made;
        delete made;
        return *there;
    }

private:
    inline static std::atomic<T*> instance{nullptr};
};

}  // namespace sluice::detail
