// overflow: what becomes of a message for which there is no room.
#pragma once

#include <cstdint>

namespace sluice {

/// What a send does where there is no room: the rule of a channel, see bounded(), or of a subscriber, see
/// broadcaster::subscribe().
enum class overflow : std::uint8_t {
    block,        ///< waits until there is room
    drop_oldest,  ///< discards the oldest message in the channel, so that there is room
    drop_newest,  ///< discards the new message
    disconnect,   ///< of a subscriber alone: closes its channel; what is in it can still be received
};

namespace detail {
// Whether a send discards a message where there is no room.
constexpr bool discards(overflow rule) noexcept {
    return rule == overflow::drop_oldest || rule == overflow::drop_newest;
}
}  // namespace detail

}  // namespace sluice
