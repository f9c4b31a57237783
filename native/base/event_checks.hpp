// Whether events lie inside a sensor, for a whole packet at once.
#pragma once

#include <cstring>

#include "base/event.hpp"
#include "base/span.hpp"

namespace edgesnn {

inline bool is_inside(const Event& event, int32_t width, int32_t height) noexcept {
    return (event.x < width) & (event.y < height) & (event.p <= 1);
}

// x < width, y < height and p <= 1 of every event; width and height are 1 to 65536.
inline bool all_inside(Span<const Event> events, int32_t width, int32_t height) noexcept {
    using Lanes = uint16_t __attribute__((vector_size(16)));  // t t t t x y p|next event's t
    constexpr uint16_t kAll = 0xFFFF;
    const Lanes looked_at = {0, 0, 0, 0, kAll, kAll, 0xFF, 0};
    const Lanes limit = {kAll, kAll, kAll, kAll, static_cast<uint16_t>(width - 1), static_cast<uint16_t>(height - 1),
                         1,    kAll};
    Lanes over{};
    for (size_t i = 0; i + 1 < events.size; ++i) {
        Lanes lanes;
        std::memcpy(&lanes, static_cast<const void*>(&events[i]), sizeof lanes);
        over |= static_cast<Lanes>((lanes & looked_at) > limit);
    }
    bool inside = events.empty() || is_inside(events[events.size - 1], width, height);
    for (int lane = 4; lane < 7; ++lane) inside &= over[lane] == 0;
    return inside;
}

}  // namespace edgesnn
