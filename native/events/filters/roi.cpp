// Events inside the rectangle pass and are moved so that its corner is 0,0; the sensor is its size then.
#include "events/filters/filters.hpp"
#include "events/filters/rectangle.hpp"

namespace edgesnn::events {
namespace {

class Roi final : public Filter {
  public:
    explicit Roi(const Rectangle& rectangle) : inside_(rectangle) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        if (count == 0) return 0;
        const auto left = static_cast<uint16_t>(inside_.x), top = static_cast<uint16_t>(inside_.y);
        const EventLanes corner = {0, 0, 0, 0, left, top, 0, 0};
        size_t kept = 0;
        for (size_t i = 0; i + 1 < count; ++i) {
            store_lanes(to + kept, load_lanes(from + i) - corner);
            kept += inside_.holds(from[i]) ? 1 : 0;
        }
        Event last = from[count - 1];
        last.x = static_cast<uint16_t>(last.x - left);
        last.y = static_cast<uint16_t>(last.y - top);
        to[kept] = last;
        return kept + (inside_.holds(from[count - 1]) ? 1 : 0);
    }

  private:
    Rectangle inside_;
};

}  // namespace

std::unique_ptr<Filter> make_roi(const Parameters& parameters, Area& area) {
    const Rectangle inside(parameters, area);
    area = {static_cast<int32_t>(inside.width), static_cast<int32_t>(inside.height)};
    return std::make_unique<Roi>(inside);
}

}  // namespace edgesnn::events
