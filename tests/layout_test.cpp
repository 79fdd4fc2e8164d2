// Where the members of a channel lie on cache lines, which its speed depends on.
#include "catch.hpp"

#include <sluice/channel.hpp>

#include <cstddef>
#include <cstdint>

namespace sluice::detail {

// A friend of the classes; each is an offset from the beginning of a channel.
struct layout_of_channel {
    template <class Member>
    static std::size_t offset(const channel_state& c, const Member& m) {
        return static_cast<std::size_t>(reinterpret_cast<const std::byte*>(&m) -
                                        reinterpret_cast<const std::byte*>(&c));
    }
    static std::size_t front_lock(const channel_state& c) { return offset(c, c.front_lock_); }
    static std::size_t cached_tail(const channel_state& c) { return offset(c, c.consumer_.cached_tail_); }
    static std::size_t head(const channel_state& c) { return offset(c, c.consumer_.head_); }
    static std::size_t shared(const channel_state& c) { return offset(c, c.consumer_.first_); }
    static std::size_t feeder(const channel_state& c) { return offset(c, c.feeder_); }
    static std::size_t back_lock(const channel_state& c) { return offset(c, c.back_lock_); }
    static std::size_t cached_limit(const channel_state& c) { return offset(c, c.producer_.cached_limit_); }
    static std::size_t tail(const channel_state& c) { return offset(c, c.producer_.tail_); }
    static std::size_t inline_slots(const channel_state& c) { return offset(c, c.producer_.inline_slots_); }
    static bool begins_with_state(const parker& p) {
        return static_cast<const void*>(&p.state_) == static_cast<const void*>(&p);
    }
};

}  // namespace sluice::detail

// With the mutex of glibc on x86-64; elsewhere a channel works, but what its two ends use may meet on a line.
#if defined(__GLIBC__) && defined(__x86_64__) && SIZE_MAX > UINT32_MAX
TEST_CASE("The two ends of a channel share no cache line, and no pair of lines") {
    using layout = sluice::detail::layout_of_channel;
    constexpr std::size_t line = sluice::detail::cache_line;

    const auto [tx, rx] = sluice::bounded<int>(1);
    const sluice::detail::channel_state& c = *core_of(tx);
    CHECK(reinterpret_cast<std::uintptr_t>(&c) % (2 * line) == line);

    CHECK(layout::front_lock(c) == 0);
    CHECK(layout::cached_tail(c) + sizeof(std::size_t) == line);
    CHECK(layout::head(c) == line);
    CHECK(layout::shared(c) == 2 * line);
    CHECK(layout::feeder(c) + sizeof(void*) == 4 * line);
    CHECK(layout::back_lock(c) == 4 * line);
    CHECK(layout::cached_limit(c) + sizeof(std::size_t) == 5 * line);
    CHECK(layout::tail(c) == 5 * line);
    CHECK(layout::inline_slots(c) + 32 <= 6 * line);
}

TEST_CASE("A waiter, a small message in it, and the byte that wakes its thread are on one cache line") {
    struct alignas(sluice::detail::cache_line) operation {
        sluice::detail::blocked_op self;
        sluice::detail::parker sleeper;
    };
    const operation op;
    CHECK(sluice::detail::layout_of_channel::begins_with_state(op.sleeper));
    CHECK(reinterpret_cast<std::uintptr_t>(&op.sleeper) - reinterpret_cast<std::uintptr_t>(&op.self) <
          sluice::detail::cache_line);
}
#endif
