// Events at pixels that a picture marks are dropped, or they alone pass; the others stay where they are.
#include <vector>

#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Bitmap final : public Filter {
  public:
    // A bit a pixel, row after row, the highest of a byte first; `dropped` is the value of those that drop.
    Bitmap(const std::string& bits, bool dropped, Area area) : width_(static_cast<size_t>(area.width)) {
        passes_.resize(area.pixels());
        for (size_t i = 0; i < passes_.size(); ++i) {
            const bool bit = (static_cast<uint8_t>(bits[i / 8]) >> (7 - i % 8) & 1) != 0;
            passes_[i] = bit != dropped ? 1 : 0;
        }
    }
    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        return keep_events(from, to, count,
                           [this](const Event& event) { return passes_[event.y * width_ + event.x] != 0; });
    }

  private:
    size_t width_;
    std::vector<uint8_t> passes_;
};

}  // namespace

std::unique_ptr<Filter> make_bitmap(const Parameters& parameters, Area& area) {
    const int64_t width = parameters.get("width", 1, 65536), height = parameters.get("height", 1, 65536);
    if (width != area.width || height != area.height)
        throw Error(ErrorKind::usage, "the bitmap is of another sensor", "bitmap:pixels",
                    std::to_string(width) + "x" + std::to_string(height),
                    std::to_string(area.width) + "x" + std::to_string(area.height));
    if (parameters.bits.size() != (area.pixels() + 7) / 8)
        throw Error(ErrorKind::usage, "the bitmap has another size", "bitmap:pixels",
                    std::to_string(parameters.bits.size()) + " bytes", std::to_string((area.pixels() + 7) / 8));
    return std::make_unique<Bitmap>(parameters.bits, parameters.get("drop", 0, 1) == 1, area);
}

}  // namespace edgesnn::events
