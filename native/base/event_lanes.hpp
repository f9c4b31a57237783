// An event as eight lanes of 16 bits, t t t t x y p|next event's t: one load and one store of 16 bytes. Whoever loads
// or stores so needs 3 more bytes after the event.
#pragma once

#include <cstdint>
#include <cstring>

#include "base/event.hpp"

namespace edgesnn {

using EventLanes = uint16_t __attribute__((vector_size(16)));

inline EventLanes load_lanes(const Event* event) noexcept {
    EventLanes lanes;
    std::memcpy(&lanes, static_cast<const void*>(event), sizeof lanes);
    return lanes;
}
inline void store_lanes(Event* event, EventLanes lanes) noexcept {
    std::memcpy(static_cast<void*>(event), &lanes, sizeof lanes);
}

}  // namespace edgesnn
