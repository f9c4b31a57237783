#include "events/encode/dat.hpp"

#include <algorithm>
#include <utility>

#include "events/decode/dat.hpp"

namespace edgesnn::events {

DatEncoder::DatEncoder(const EncoderOptions& options)
    : Encoder("DAT", options, DatDecoder::kField, DatDecoder::kField), clock_us_(kNoTime), waits_us_(kNoTime) {}

void DatEncoder::encode(Span<const Event> events, Span<const Trigger>, int64_t, WordWriter& out) {
    for (const Event* event = events.data; event != events.data + events.size; ++event) {
        if (!writable(*event)) refuse(*event);
        check_time(event->t);
        out.put(static_cast<uint32_t>(event->t));
        out.put(static_cast<uint32_t>(event->p) << 28 | static_cast<uint32_t>(event->y) << 14 | event->x);
    }
    out.flush();
}

void DatEncoder::check_time(int64_t t_us) {
    if (clock_us_ == kNoTime && (t_us < 0 || t_us >> 32 != 0)) refuse_start(t_us, 32);
    if (DatDecoder::unwrapped_us(static_cast<uint32_t>(t_us), clock_us_) != t_us) {
        if (t_us < clock_us_) refuse_fall(t_us, clock_us_);
        refuse_leap(t_us, clock_us_, int64_t{1} << 30);
    }
    const int64_t waits_us = std::exchange(waits_us_, kNoTime);
    if (waits_us > t_us + DatDecoder::kAheadUs) refuse_fall(t_us, waits_us);
    clock_us_ = std::max(clock_us_, waits_us);
    if (clock_us_ == kNoTime || t_us > clock_us_ + DatDecoder::kAheadUs)
        waits_us_ = t_us;
    else
        clock_us_ = std::max(clock_us_, t_us);
}

}  // namespace edgesnn::events
