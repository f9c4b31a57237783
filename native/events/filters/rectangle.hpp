// A rectangle of a sensor, as parameters name it.
#pragma once

#include "events/filters/filter.hpp"

namespace edgesnn::events {

struct Rectangle {
    uint32_t x, y, width, height;

    Rectangle(const Parameters& parameters, Area area)
        : x(static_cast<uint32_t>(parameters.get("x", 0, area.width - 1))),
          y(static_cast<uint32_t>(parameters.get("y", 0, area.height - 1))),
          width(static_cast<uint32_t>(parameters.get("width", 1, area.width - static_cast<int64_t>(x)))),
          height(static_cast<uint32_t>(parameters.get("height", 1, area.height - static_cast<int64_t>(y)))) {}

    bool holds(const Event& event) const noexcept {  // what lies before the corner wraps to large values
        return (event.x - x < width) & (event.y - y < height);
    }
};

}  // namespace edgesnn::events
