// Mirrored: x becomes width - 1 - x, or y height - 1 - y.
#include "events/filters/filters.hpp"
#include "events/filters/places.hpp"

namespace edgesnn::events {

std::unique_ptr<Filter> make_flip(const Parameters& parameters, Area& area) {
    const bool columns = parameters.get("axis", 0, 1) == 0;
    return changing(columns ? Mirror(area.width, 0) : Mirror(0, area.height));
}

}  // namespace edgesnn::events
