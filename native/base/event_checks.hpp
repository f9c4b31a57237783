// Whether events can be of a sensor, for a whole packet at once.
#pragma once

#include <string>

#include "base/error.hpp"
#include "base/event.hpp"
#include "base/event_lanes.hpp"
#include "base/span.hpp"

namespace edgesnn {

// width and height are 1 to 65536.
inline bool is_possible(const Event& event, int32_t width, int32_t height) noexcept {
    return (event.x < width) & (event.y < height) & (event.p <= 1) & (event.t < kTimeLimit) & (event.t > -kTimeLimit);
}

// Throws Error{recording} on the first event that is not possible; returns whether times never step back.
inline bool check_events(Span<const Event> events, int32_t width, int32_t height) {
    constexpr uint16_t kAll = 0xFFFF;
    // The highest 16 bits of t are -4095 to 4095: all possible times but those near the limit.
    const EventLanes moved = {0, 0, 0, 4095, 0, 0, 0, 0}, looked_at = {0, 0, 0, kAll, kAll, kAll, 0xFF, 0};
    const EventLanes limit = {
        kAll, kAll, kAll, 8190, static_cast<uint16_t>(width - 1), static_cast<uint16_t>(height - 1), 1, kAll};
    EventLanes over{};
    bool rise = true;
    int64_t before_us = events.empty() ? 0 : events[0].t;
    for (size_t i = 0; i + 1 < events.size; ++i) {
        over |= static_cast<EventLanes>(((load_lanes(&events[i]) + moved) & looked_at) > limit);
        const int64_t t_us = events[i + 1].t;
        rise &= t_us >= before_us;
        before_us = t_us;
    }
    bool possible = events.empty() || is_possible(events[events.size - 1], width, height);
    for (int lane = 3; lane < 7; ++lane) possible &= over[lane] == 0;
    if (possible) return rise;
    size_t at = 0;
    while (at < events.size && is_possible(events[at], width, height)) ++at;
    if (at == events.size) return rise;
    const Event& event = events[at];
    throw Error(ErrorKind::recording, "event is impossible", "event " + std::to_string(at),
                "t=" + std::to_string(event.t) + " x=" + std::to_string(event.x) + " y=" + std::to_string(event.y) +
                    " p=" + std::to_string(event.p),
                "x and y inside " + std::to_string(width) + "x" + std::to_string(height) + ", p 0 or 1, t within 2^60");
}

}  // namespace edgesnn
