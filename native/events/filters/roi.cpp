// Events inside the rectangle pass and are moved so that its corner is 0,0; the sensor is its size then.
#include "events/filters/filters.hpp"
#include "events/filters/rectangle.hpp"

namespace edgesnn::events {
namespace {

class Roi final : public Filter {
  public:
    explicit Roi(const Rectangle& rectangle) : inside_(rectangle) {}

    size_t apply(Event* events, size_t count) noexcept override {
        size_t kept = 0;
        for (size_t i = 0; i < count; ++i) {
            Event event = events[i];
            const bool keep = inside_.holds(event);
            event.x = static_cast<uint16_t>(event.x - inside_.x);
            event.y = static_cast<uint16_t>(event.y - inside_.y);
            events[kept] = event;
            kept += keep ? 1 : 0;
        }
        return kept;
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
