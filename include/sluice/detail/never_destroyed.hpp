// never_destroyed: an object that is there before the statics are initialised, and after they are destroyed.
#pragma once

namespace sluice::detail {

// For a T with a constexpr constructor, to be declared constinit. Nothing is initialised at a first use: in the child of
// a fork that comes meanwhile, the guard of that would be held for ever, by a thread that only the parent has.
template <class T>
struct [[gnu::visibility("default")]] never_destroyed {
    constexpr never_destroyed() noexcept : value() {}
    ~never_destroyed() {}
    union {
        T value;
    };
};

}  // namespace sluice::detail
