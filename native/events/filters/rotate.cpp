// By quarters of a turn, clockwise as the image is seen (x to the right, y down). One quarter: (x, y) becomes
// (height - 1 - y, x).
#include <utility>

#include "events/filters/filters.hpp"
#include "events/filters/places.hpp"

namespace edgesnn::events {

std::unique_ptr<Filter> make_rotate(const Parameters& parameters, Area& area) {
    const int64_t quarters = parameters.get("degrees", 0, 2) + 1;
    if (quarters == 2) return changing(Mirror(area.width, area.height));
    std::swap(area.width, area.height);
    const Mirror mirror = quarters == 1 ? Mirror(area.width, 0) : Mirror(0, area.height);
    return changing([mirror](EventLanes event) { return mirror(exchanged(event)); });
}

}  // namespace edgesnn::events
