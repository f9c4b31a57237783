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
          last_(static_cast<size_t>(elements()), kNever) {
        const FloatEnvironment environment;
        oldest_us_ = 88 * tau_us;
        while ((int64_t{1} << (2 * bits_)) < oldest_us_) ++bits_;
        fill(low_, int64_t{1} << bits_, 1, tau_us);
        fill(high_, (oldest_us_ >> bits_) + 1, int64_t{1} << bits_, tau_us);
    }

    void encode(const ArrayWindow& window, void* out) override {
        const FloatEnvironment environment;
        if (!remembers_) reset();
        for (const Event& event : window.events) last_[event.p * split_ + event.y * width_ + event.x] = event.t;
        auto* values = static_cast<float*>(out);
        const int64_t mask = (int64_t{1} << bits_) - 1;
        for (size_t i = 0; i < last_.size(); ++i) {
            const bool seen = last_[i] >= window.t1_us - oldest_us_;
            const int64_t age_us = seen ? std::max<int64_t>(0, window.t1_us - last_[i]) : oldest_us_;
            const float value = high_[static_cast<size_t>(age_us >> bits_)] * low_[static_cast<size_t>(age_us & mask)];
            values[i] = seen ? value : 0.0f;
        }
    }
    void reset() noexcept override { std::fill(last_.begin(), last_.end(), kNever); }
    void save(StateWriter& writer) const override { writer.put("last", last_.data(), shape()); }
    void load(const StateReader& reader) override {
        std::vector<int64_t> last = reader.get_array<int64_t>("last");
        const auto possible = [](int64_t t) { return t == kNever || (t > -kTimeLimit && t < kTimeLimit); };
        if (last.size() != last_.size() || !std::all_of(last.begin(), last.end(), possible))
            throw Error(ErrorKind::model, "snapshot of an encoder contradicts itself", "encoder/last");
        last_ = std::move(last);
    }

  private:
    static void fill(std::vector<float>& table, int64_t count, int64_t unit_us, int64_t tau_us) {
        table.resize(static_cast<size_t>(count));
        for (int64_t i = 0; i < count; ++i)
            table[static_cast<size_t>(i)] =
                exp32(static_cast<float>(-static_cast<double>(i * unit_us) / static_cast<double>(tau_us)));
    }

    bool remembers_;
    size_t width_;
    size_t split_;
    std::vector<int64_t> last_;
    int64_t oldest_us_ = 0;  // what is older is 0
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
