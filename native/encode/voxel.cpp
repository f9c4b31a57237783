// Events shared between the two bins of time that are nearest, on +1, off -1: [bins, height, width] (Zhu et al., CVPR
// 2019, section 3.1). An event at place u = (t - t0) * (bins / (t1 - t0)) gives 1 - (u - floor(u)) to bin floor(u) and
// the rest to the next; what falls beyond the last bin is left out.
#include <cstring>

#include "base/float_environment.hpp"
#include "encode/array_encoder.hpp"

namespace edgesnn::encode {
namespace {

class Voxel final : public ArrayEncoder {
  public:
    Voxel(int64_t bins, bool own_span, Sensor sensor)
        : ArrayEncoder({bins, sensor.height, sensor.width}, Element::f32),
          bins_(bins),
          own_span_(own_span),
          width_(static_cast<size_t>(sensor.width)),
          plane_(static_cast<size_t>(sensor.width) * static_cast<size_t>(sensor.height)),
          beyond_(plane_) {}

    void encode(const ArrayWindow& window, void* out) override {
        const FloatEnvironment environment;
        auto* grid = static_cast<float*>(out);
        std::memset(grid, 0, static_cast<size_t>(elements()) * sizeof(float));
        if (window.events.empty()) return;
        const int64_t first_us = own_span_ ? window.events[0].t : window.t0_us;
        const int64_t last_us = own_span_ ? window.events[window.events.size - 1].t : window.t1_us;
        const double scale = static_cast<double>(bins_) / static_cast<double>(std::max<int64_t>(1, last_us - first_us));
        for (const Event& event : window.events) {
            const double place = static_cast<double>(event.t - first_us) * scale;
            const auto bin = static_cast<int64_t>(place);
            const auto share = static_cast<float>(place - static_cast<double>(bin));
            const size_t pixel = event.y * width_ + event.x;
            const float sign = event.p != 0 ? 1.0f : -1.0f;
            float& left = *at(grid, bin, pixel);
            left = left + sign * (1.0f - share);
            float& right = *at(grid, bin + 1, pixel);
            right = right + sign * share;
        }
    }

  private:
    // What is beyond the last bin goes where nobody looks.
    float* at(float* grid, int64_t bin, size_t pixel) noexcept {
        float* plane = bin < bins_ ? grid + static_cast<size_t>(bin) * plane_ : beyond_.data();
        return plane + pixel;
    }

    int64_t bins_;
    bool own_span_;
    size_t width_;
    size_t plane_;
    std::vector<float> beyond_;
};

}  // namespace

std::unique_ptr<ArrayEncoder> make_voxel(const ArrayParameters& parameters, Sensor sensor) {
    const int64_t bins = parameter(parameters, "bins", 1, 1 << 16);
    return std::make_unique<Voxel>(bins, parameter(parameters, "time", 0, 1) == 1, sensor);
}

}  // namespace edgesnn::encode
