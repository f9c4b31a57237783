// x and y change places, and so do the sensor's width and height.
#include <utility>

#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Transpose final : public Filter {
  public:
    size_t apply(Event* events, size_t count) noexcept override {
        for (size_t i = 0; i < count; ++i) {
            const uint16_t x = events[i].x;
            events[i].x = events[i].y;
            events[i].y = x;
        }
        return count;
    }
};

}  // namespace

std::unique_ptr<Filter> make_transpose(const Parameters&, Area& area) {
    std::swap(area.width, area.height);
    return std::make_unique<Transpose>();
}

}  // namespace edgesnn::events
