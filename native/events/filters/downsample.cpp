// x and y are divided by `factor` and rounded down; no event is dropped. The sensor's size is divided and rounded up.
#include <vector>

#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Downsample final : public Filter {
  public:
    Downsample(int64_t factor, Area area) {
        const int64_t longest = area.width > area.height ? area.width : area.height;
        for (int64_t i = 0; i < longest; ++i) places_.push_back(static_cast<uint16_t>(i / factor));
    }
    size_t apply(Event* events, size_t count) noexcept override {
        for (size_t i = 0; i < count; ++i) {
            events[i].x = places_[events[i].x];
            events[i].y = places_[events[i].y];
        }
        return count;
    }

  private:
    std::vector<uint16_t> places_;  // of a coordinate, divided: faster than dividing
};

}  // namespace

std::unique_ptr<Filter> make_downsample(const Parameters& parameters, Area& area) {
    const auto factor = static_cast<int32_t>(parameters.get("factor", 2, 65536));
    const Area before = area;
    area = {(area.width + factor - 1) / factor, (area.height + factor - 1) / factor};
    return std::make_unique<Downsample>(factor, before);
}

}  // namespace edgesnn::events
