// x and y change places, and so do the sensor's width and height.
#include <utility>

#include "events/filters/filters.hpp"
#include "events/filters/places.hpp"

namespace edgesnn::events {

std::unique_ptr<Filter> make_transpose(const Parameters&, Area& area) {
    std::swap(area.width, area.height);
    return changing([](EventLanes event) { return exchanged(event); });
}

}  // namespace edgesnn::events
