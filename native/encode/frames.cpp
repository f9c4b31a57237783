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
        const Event* event = window.events.begin();
        for (int64_t step = 0; step < steps_ && event != window.events.end(); ++step, counts += step_) {
            const Event* const end =
                step + 1 == steps_
                    ? window.events.end()
                    : std::lower_bound(event, window.events.end(), edge_us(window.t0_us, span_us, step + 1),
                                       [](const Event& one, int64_t t_us) { return one.t < t_us; });
            if (split_ == 0)
                count<false>({event, static_cast<size_t>(end - event)}, counts);
            else
                count<true>({event, static_cast<size_t>(end - event)}, counts);
            event = end;
        }
    }

  private:
    template <bool Split>
    void count(Span<const Event> events, Count* counts) const noexcept {
        const size_t width = width_, split = Split ? split_ : 0;
        for (const Event& event : events) {
            Count& counted = counts[event.p * split + event.y * width + event.x];
            if constexpr (Largest == 1)
                counted = 1;
            else if (++counted == 0)
                counted = Largest;
        }
    }
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
