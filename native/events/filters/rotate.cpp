// By quarters of a turn, clockwise as the image is seen (x to the right, y down). One quarter: (x, y) becomes
// (height - 1 - y, x).
#include <utility>

#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Rotate final : public Filter {
  public:
    Rotate(int64_t quarters, Area area) : quarters_(quarters), right_(area.width - 1), bottom_(area.height - 1) {}

    size_t apply(Event* events, size_t count) noexcept override {
        for (size_t i = 0; i < count; ++i) {
            const int32_t x = events[i].x, y = events[i].y;
            events[i].x = static_cast<uint16_t>(quarters_ == 1 ? bottom_ - y : quarters_ == 2 ? right_ - x : y);
            events[i].y = static_cast<uint16_t>(quarters_ == 1 ? x : quarters_ == 2 ? bottom_ - y : right_ - x);
        }
        return count;
    }

  private:
    int64_t quarters_;
    int32_t right_;
    int32_t bottom_;
};

}  // namespace

std::unique_ptr<Filter> make_rotate(const Parameters& parameters, Area& area) {
    const int64_t quarters = parameters.get("degrees", 0, 2) + 1;
    const Area before = area;
    if (quarters != 2) std::swap(area.width, area.height);
    return std::make_unique<Rotate>(quarters, before);
}

}  // namespace edgesnn::events
