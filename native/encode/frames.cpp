// Events counted per step of time, polarity and pixel: [steps, channels, height, width]. A count stays at the largest
// that its type holds; binary: 1 where there was an event.
#include <cstring>

#include "encode/array_encoder.hpp"

namespace edgesnn::encode {
namespace {

template <typename Count, Count Largest>
class Frames final : public ArrayEncoder {
  public:
    Frames(int64_t steps, int64_t channels, Sensor sensor, Element element)
        : ArrayEncoder({steps, channels, sensor.height, sensor.width}, element),
          steps_(steps),
          width_(static_cast<size_t>(sensor.width)),
          plane_(static_cast<size_t>(sensor.width) * static_cast<size_t>(sensor.height)),
          split_(channels == 2 ? plane_ : 0),
          step_(plane_ * static_cast<size_t>(channels)) {}

    void encode(const ArrayWindow& window, void* out) override {
        auto* counts = static_cast<Count*>(out);
        std::memset(counts, 0, static_cast<size_t>(elements()) * sizeof(Count));
        const int64_t span_us = std::max<int64_t>(1, window.t1_us - window.t0_us);
        int64_t step = 0, end_us = edge_us(window.t0_us, span_us, 1);
        if (steps_ == 1) end_us = std::numeric_limits<int64_t>::max();
        for (const Event& event : window.events) {
            while (event.t >= end_us) {
                counts += step_;
                ++step;
                end_us =
                    step + 1 < steps_ ? edge_us(window.t0_us, span_us, step + 1) : std::numeric_limits<int64_t>::max();
            }
            Count& count = counts[event.p * split_ + event.y * width_ + event.x];
            count = static_cast<Count>(count + (count != Largest ? 1 : 0));
        }
    }

  private:
    // The first time of a step: step k holds floor((t - t0) * steps / span) == k, the last one also t1.
    int64_t edge_us(int64_t t0_us, int64_t span_us, int64_t step) const noexcept {
        const int64_t whole = span_us / steps_, rest = span_us % steps_;
        return t0_us + whole * step + (rest * step + steps_ - 1) / steps_;
    }

    int64_t steps_;
    size_t width_;
    size_t plane_;
    size_t split_;
    size_t step_;
};

}  // namespace

std::unique_ptr<ArrayEncoder> make_frames(const ArrayParameters& parameters, Sensor sensor) {
    const int64_t steps = parameter(parameters, "steps", 1, 1 << 20);
    const int64_t channels = parameter(parameters, "polarity", 0, 1) == 0 ? 2 : 1;
    if (parameter(parameters, "value", 0, 1) == 0)
        return std::make_unique<Frames<uint16_t, 65535>>(steps, channels, sensor, Element::u16);
    return std::make_unique<Frames<uint8_t, 1>>(steps, channels, sensor, Element::u8);
}

}  // namespace edgesnn::encode
