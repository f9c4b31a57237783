// Where events lie, changed for x and y at once.
#pragma once

#include "base/event_lanes.hpp"

namespace edgesnn::events {

// x becomes width - 1 - x, and y height - 1 - y; a length of 0 leaves its coordinate.
struct Mirror {
    EventLanes flipped, added;  // length - 1 - x is (length + ~x) mod 2^16

    Mirror(int32_t width, int32_t height)
        : flipped{0, 0, 0, 0, all(width), all(height), 0, 0},
          added{0, 0, 0, 0, static_cast<uint16_t>(width), static_cast<uint16_t>(height), 0, 0} {}
    EventLanes operator()(EventLanes event) const noexcept { return (event ^ flipped) + added; }

  private:
    static uint16_t all(int32_t length) noexcept { return length == 0 ? uint16_t{0} : uint16_t{0xFFFF}; }
};

// x and y change places.
inline EventLanes exchanged(EventLanes event) noexcept {
#if defined(__clang__)
    return __builtin_shufflevector(event, event, 0, 1, 2, 3, 5, 4, 6, 7);
#else
    return __builtin_shuffle(event, EventLanes{0, 1, 2, 3, 5, 4, 6, 7});
#endif
}

}  // namespace edgesnn::events
