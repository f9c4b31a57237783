// Events shared between the two bins of time that are nearest, on +1, off -1: [bins, height, width] (Zhu et al., CVPR
// 2019, section 3.1). An event at place u = (t - t0) * (bins / (t1 - t0)) gives 1 - (u - floor(u)) to bin floor(u) and
// the rest to the next; what falls beyond the last bin is left out.
#include <cmath>
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
        double bin = 0.0;
        float *left = plane(grid, 0), *right = plane(grid, 1);
        for (const Event& event : window.events) {
            const double place = static_cast<double>(event.t - first_us) * scale;
            if (place >= bin + 1.0) {  // times rise, so bins do
                bin = std::floor(place);
                left = plane(grid, static_cast<int64_t>(bin));
                right = plane(grid, static_cast<int64_t>(bin) + 1);
            }
            const auto share = static_cast<float>(place - bin);
            const size_t pixel = event.y * width_ + event.x;
            const float sign = event.p != 0 ? 1.0f : -1.0f;
            left[pixel] = left[pixel] + sign * (1.0f - share);
            right[pixel] = right[pixel] + sign * share;
        }
    }

  private:
    // What is beyond the last bin goes where nobody looks.
    float* plane(float* grid, int64_t bin) noexcept {
        return bin < bins_ ? grid + static_cast<size_t>(bin) * plane_ : beyond_.data();
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
