// x and y are divided by `factor` and rounded down; no event is dropped. The sensor's size is divided and rounded up.
#include "events/filters/filters.hpp"

namespace edgesnn::events {
namespace {

class Downsample final : public Filter {
  public:
    explicit Downsample(int64_t factor)
        : inverse_(((uint64_t{1} << 32) + static_cast<uint64_t>(factor) - 1) / static_cast<uint64_t>(factor)) {}

    size_t apply(const Event* from, Event* to, size_t count) noexcept override {
        for (size_t i = 0; i < count; ++i) {
            Event event = from[i];
            event.x = divided(event.x);
            event.y = divided(event.y);
            to[i] = event;
        }
        return count;
    }

  private:
    // inverse_ exceeds 2^32 / factor by less than 1, so the quotient by less than 2^-16: too little to reach the next
    // whole number, which is at least 1 / factor away.
    uint16_t divided(uint64_t x) const noexcept { return static_cast<uint16_t>(x * inverse_ >> 32); }

    uint64_t inverse_;
};

// By 2^Bits: both coordinates at once.
template <int Bits>
std::unique_ptr<Filter> shifted() {
    const EventLanes places = {0, 0, 0, 0, 0xFFFF, 0xFFFF, 0, 0};
    return changing([places](EventLanes event) { return (event & ~places) | ((event >> Bits) & places); });
}

}  // namespace

std::unique_ptr<Filter> make_downsample(const Parameters& parameters, Area& area) {
    const auto factor = static_cast<int32_t>(parameters.get("factor", 2, 65536));
    area = {(area.width + factor - 1) / factor, (area.height + factor - 1) / factor};
    switch (factor) {
        case 2:
            return shifted<1>();
        case 4:
            return shifted<2>();
        case 8:
            return shifted<3>();
        default:
            return std::make_unique<Downsample>(factor);
    }
}

}  // namespace edgesnn::events
