#include "events/encode/evt.hpp"

#include <algorithm>

#include "events/decode/decoder.hpp"

namespace edgesnn::events {

EvtEncoder::EvtEncoder(const EncoderOptions& options, Format format)
    : Encoder(format.title, options, kField, kField), format_(format) {}

void EvtEncoder::encode(Span<const Event> events, Span<const Trigger> triggers, int64_t t_end_us, WordWriter& out) {
    const Event* at = events.data;
    const Event* const end = events.data + events.size;
    for (const Trigger* edge = triggers.data; edge != triggers.data + triggers.size; ++edge) {
        const Event* next = std::find_if(at, end, [&](const Event& event) { return event.t > edge->t; });
        put_events(at, next, out);
        at = next;
        if (edge->id >= format_.channels || edge->p > 1)
            throw Error(ErrorKind::recording, "a trigger that cannot be written", {},
                        "id=" + std::to_string(edge->id) + " p=" + std::to_string(edge->p),
                        "id below " + std::to_string(format_.channels) + ", p 0 or 1");
        enter(edge->t, out);
        put_trigger(*edge, out);
    }
    put_events(at, end, out);
    if (t_end_us != kNoTime && t_end_us >> format_.high_shift > high_) enter(t_end_us, out);
    out.flush();
}

void EvtEncoder::enter(int64_t t_us, WordWriter& out) {
    const int64_t high = t_us >> format_.high_shift;
    const int64_t period = int64_t{1} << format_.high_bits;
    if (high == high_) return;
    if (high_ == kNone) {
        if (high < 0 || high >= period) refuse_start(t_us, format_.high_bits + format_.high_shift);
        high_ = high - 1;
    }
    const int64_t before_us = (high_ + 1) * (int64_t{1} << format_.high_shift) - 1;
    if (high < high_) refuse_fall(t_us, before_us);
    if (t_us - before_us > kMostUs) refuse_leap(t_us, before_us, kMostUs);
    const auto is_long = [&] { return (high - high_) << format_.high_shift > kEveryUs; };
    if (is_long()) put_high(static_cast<uint32_t>(++high_ & (period - 1)), out);  // confirms the stream's first one
    while (is_long()) {
        const int64_t landing = std::min(high, high_ + period / 4);
        for (int64_t value = landing - kConfirmed + 1; value <= landing; ++value)
            put_high(static_cast<uint32_t>(value & (period - 1)), out);
        high_ = landing;
    }
    while (high_ < high) put_high(static_cast<uint32_t>(++high_ & (period - 1)), out);
}

}  // namespace edgesnn::events
