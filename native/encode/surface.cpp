// exp(-(t1 - last) / tau) of each pixel's last event, by polarity: [channels, height, width]; 0 where there was none
// (Lagorce et al., PAMI 2017). The age is a whole number of microseconds: its high and its low bits are looked up in a
// table each, so that the exponential costs one product.
#include <algorithm>
#include <limits>
#include <utility>

#include "base/exp32.hpp"
#include "base/float_environment.hpp"
#include "encode/array_encoder.hpp"

namespace edgesnn::encode {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::min();

class Surface final : public ArrayEncoder {
  public:
    Surface(int64_t tau_us, bool remembers, int64_t channels, Sensor sensor)
        : ArrayEncoder({channels, sensor.height, sensor.width}, Element::f32),
          remembers_(remembers),
          width_(static_cast<size_t>(sensor.width)),
          split_(channels == 2 ? width_ * static_cast<size_t>(sensor.height) : 0),
          last_(remembers ? static_cast<size_t>(elements()) : 0, kNever) {
        const FloatEnvironment environment;
        oldest_us_ = 88 * tau_us;
        while ((int64_t{1} << (2 * bits_)) < oldest_us_) ++bits_;
        fill(low_, int64_t{1} << bits_, 1, tau_us);
        fill(high_, (oldest_us_ >> bits_) + 1, int64_t{1} << bits_, tau_us);
    }

    void encode(const ArrayWindow& window, void* out) override {
        const FloatEnvironment environment;
        const bool few = window.events.size <= static_cast<size_t>(elements());
        if (!remembers_ && few) return encode_latest(window, static_cast<float*>(out));
        if (!remembers_) last_.assign(static_cast<size_t>(elements()), kNever);
        encode_all(window, static_cast<float*>(out));
    }
    void save(StateWriter& writer) const override {
        if (remembers_) writer.put("last", last_.data(), shape());
    }
    void load(const StateReader& reader) override {
        if (!remembers_) return;
        std::vector<int64_t> last = reader.get_array<int64_t>("last");
        const auto possible = [](int64_t t) { return t == kNever || (t > -kTimeLimit && t < kTimeLimit); };
        if (last.size() != last_.size() || !std::all_of(last.begin(), last.end(), possible))
            throw Error(ErrorKind::model, "snapshot of an encoder contradicts itself", "encoder/last");
        last_ = std::move(last);
    }

  private:
    size_t pixel(const Event& event) const noexcept { return event.p * split_ + event.y * width_ + event.x; }
    float value(int64_t age_us) const noexcept {
        const int64_t mask = (int64_t{1} << bits_) - 1;
        return high_[static_cast<size_t>(age_us >> bits_)] * low_[static_cast<size_t>(age_us & mask)];
    }
    void encode_all(const ArrayWindow& window, float* out) noexcept {
        for (const Event& event : window.events) last_[pixel(event)] = event.t;
        for (size_t i = 0; i < last_.size(); ++i) {
            const bool seen = last_[i] >= window.t1_us - oldest_us_;
            const float found = value(seen ? std::max<int64_t>(0, window.t1_us - last_[i]) : oldest_us_);
            out[i] = seen ? found : 0.0f;
        }
    }
    // From the last event to the first: the first one of a pixel counts, and is not 0 (exp(-88) is a float).
    void encode_latest(const ArrayWindow& window, float* out) const noexcept {
        std::fill_n(out, elements(), 0.0f);
        for (size_t i = window.events.size; i-- > 0;) {
            const Event& event = window.events[i];
            const int64_t age_us = window.t1_us - event.t;
            if (age_us > oldest_us_) return;
            float& found = out[pixel(event)];
            if (found == 0.0f) found = value(age_us);
        }
    }
    static void fill(std::vector<float>& table, int64_t count, int64_t unit_us, int64_t tau_us) {
        table.resize(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; ++i)
            table[static_cast<size_t>(i)] =
                exp32(static_cast<float>(-static_cast<double>(i * unit_us) / static_cast<double>(tau_us)));
    }

    bool remembers_;
    size_t width_;
    size_t split_;
    std::vector<int64_t> last_;  // of each pixel, where windows are remembered, or have more events than pixels
    int64_t oldest_us_ = 0;      // what is older is 0
    int bits_ = 0;
    std::vector<float> low_;   // exp of the age's low bits_,
    std::vector<float> high_;  // and of the rest
};

}  // namespace

std::unique_ptr<ArrayEncoder> make_surface(const ArrayParameters& parameters, Sensor sensor) {
    const int64_t tau_us = parameter(parameters, "tau", 1, int64_t{1} << 32);
    const bool remembers = parameter(parameters, "memory", 0, 1) == 0;
    const int64_t channels = parameter(parameters, "polarity", 0, 1) == 0 ? 2 : 1;
    return std::make_unique<Surface>(tau_us, remembers, channels, sensor);
}

}  // namespace edgesnn::encode
