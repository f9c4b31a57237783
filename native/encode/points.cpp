// Events drawn from a window: int32 [points, 4] of X, Y, T in [0, 16383] and the polarity, in time order, as
// docs/arithmetic.md, section 8, draws and scales them. A window without events gives zeros.
#include <cstring>

#include "encode/array_encoder.hpp"
#include "encode/point_encoder.hpp"

namespace edgesnn::encode {
namespace {

class Points final : public ArrayEncoder {
  public:
    Points(int64_t points, bool own_span, uint64_t seed, Sensor sensor)
        : ArrayEncoder({points, 4}, Element::i32), sensor_(sensor) {
        encoding_.window_us = encoding_.hop_us = 1;
        encoding_.points = static_cast<int32_t>(points);
        encoding_.groups = encoding_.neighbours = 1;
        encoding_.minmax = own_span;
        encoding_.seed = seed;
        check(encoding_);
    }

    void encode(const ArrayWindow& window, void* out) override {
        if (window.events.empty()) {
            std::memset(out, 0, static_cast<size_t>(elements()) * sizeof(int32_t));
            return;
        }
        const int64_t window_us = std::max<int64_t>(1, window.t1_us - window.t0_us);
        if (encoder_ == nullptr || encoding_.window_us != window_us) {
            PointEncoding encoding = encoding_;
            encoding.window_us = encoding.hop_us = window_us;
            encoder_ = std::make_unique<PointEncoder>(encoding);  // may throw: then the one before stays
            encoding_ = encoding;
        }
        encoder_->encode({window.events, sensor_, 0, window.first_event, window.t0_us}, made_);
        std::memcpy(out, made_.coordinates.data(), made_.coordinates.size() * sizeof(int32_t));
    }

  private:
    Sensor sensor_;
    PointEncoding encoding_;
    std::unique_ptr<PointEncoder> encoder_;
    PointWindow made_;
};

}  // namespace

std::unique_ptr<ArrayEncoder> make_points(const ArrayParameters& parameters, Sensor sensor) {
    const int64_t points = parameter(parameters, "points", 1, 1 << 16);
    const bool own_span = parameter(parameters, "time", 0, 1) == 1;
    const auto seed = static_cast<uint64_t>(parameter(parameters, "seed", 0, std::numeric_limits<int64_t>::max()));
    return std::make_unique<Points>(points, own_span, seed, sensor);
}

}  // namespace edgesnn::encode
