#include "events/encode/evt21.hpp"

namespace edgesnn::events {

Evt21Encoder::Evt21Encoder(const EncoderOptions& options)
    : EvtEncoder(options, {"EVT2.1", 28, 6, 32}), legacy_(options.variant == "legacy") {}

void Evt21Encoder::put_events(const Event* first, const Event* last, WordWriter& out) {
    for (const Event* event = first; event != last;) {
        const Event start = *event;
        if (!writable(start)) refuse(start);
        if (!current(start.t)) enter(start.t, out);
        const uint32_t base = start.x & ~uint32_t{31};
        uint32_t mask = uint32_t{1} << (start.x & 31);
        uint32_t x = start.x;
        for (++event; event != last; ++event) {
            const bool together = event->t == start.t && event->y == start.y && event->p == start.p;
            if (!together || event->x <= x || event->x >= base + 32 || event->x >= static_cast<uint32_t>(width_)) break;
            x = event->x;
            mask |= uint32_t{1} << (x & 31);
        }
        const auto low = static_cast<uint32_t>(start.t) & 0x3F;
        put_word(static_cast<uint32_t>(start.p) << 28 | low << 22 | base << 11 | start.y, mask, out);
    }
}

void Evt21Encoder::put_trigger(const Trigger& trigger, WordWriter& out) {
    const auto low = static_cast<uint32_t>(trigger.t) & 0x3F;
    put_word(uint32_t{0xA} << 28 | low << 22 | static_cast<uint32_t>(trigger.id) << 8 | trigger.p, 0, out);
}

void Evt21Encoder::put_high(uint32_t high, WordWriter& out) {
    put_word(uint32_t{0x8} << 28 | high, 0, out);
}

}  // namespace edgesnn::events
