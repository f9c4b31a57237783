#include "events/encode/es.hpp"

#include "events/decode/decoder.hpp"

namespace edgesnn::events {
namespace {

constexpr int64_t kOverflowUs = 127;
constexpr int64_t kMostUs = int64_t{1} << 32;  // that is 34 MB of overflows

}  // namespace

EsEncoder::EsEncoder(const EncoderOptions& options) : Encoder("ES", options, 65535, 65535) {}

void EsEncoder::encode(Span<const Event> events, Span<const Trigger>, int64_t t_end_us, WordWriter& out) {
    for (const Event* event = events.data; event != events.data + events.size; ++event) {
        if (!writable(*event)) refuse(*event);
        const int64_t step_us = advance(event->t, out);
        out.put(static_cast<uint8_t>(step_us << 1 | event->p));
        out.put(static_cast<uint16_t>(event->x));
        out.put(static_cast<uint16_t>(event->y));
        clock_us_ += step_us;
    }
    if (t_end_us != kNoTime && t_end_us > clock_us_) advance(t_end_us, out);
    out.flush();
}

// Writes the overflows on the way to t_us; returns what is left, below one.
int64_t EsEncoder::advance(int64_t t_us, WordWriter& out) {
    if (t_us < clock_us_) refuse_fall(t_us, clock_us_);
    if (t_us >= kMostUs && clock_us_ == 0) refuse_start(t_us, 32);
    if (t_us - clock_us_ > kMostUs) refuse_leap(t_us, clock_us_, kMostUs);
    for (; t_us - clock_us_ >= kOverflowUs; clock_us_ += kOverflowUs) out.put(uint8_t{0xFF});
    return t_us - clock_us_;
}

}  // namespace edgesnn::events
