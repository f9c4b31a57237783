// Mirrored: x becomes width - 1 - x, or y height - 1 - y.
#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Flip final : public Filter {
  public:
    Flip(bool columns, Area area) : columns_(columns), area_(area) {}

    size_t apply(Event* events, size_t count) noexcept override {
        if (columns_) {
            for (size_t i = 0; i < count; ++i) events[i].x = static_cast<uint16_t>(area_.width - 1 - events[i].x);
        } else {
            for (size_t i = 0; i < count; ++i) events[i].y = static_cast<uint16_t>(area_.height - 1 - events[i].y);
        }
        return count;
    }

  private:
    bool columns_;
    Area area_;
};

}  // namespace

std::unique_ptr<Filter> make_flip(const Parameters& parameters, Area& area) {
    return std::make_unique<Flip>(parameters.get("axis", 0, 1) == 0, area);
}

}  // namespace edgesnn::events
