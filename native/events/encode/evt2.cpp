#include "events/encode/evt2.hpp"

namespace edgesnn::events {

Evt2Encoder::Evt2Encoder(const EncoderOptions& options) : EvtEncoder(options, {"EVT2", 28, 6, 32}) {}

void Evt2Encoder::put_events(const Event* first, const Event* last, WordWriter& out) {
    for (const Event* event = first; event != last; ++event) {
        if (!writable(*event)) refuse(*event);
        if (!current(event->t)) enter(event->t, out);
        const auto low = static_cast<uint32_t>(event->t) & 0x3F;
        out.put(static_cast<uint32_t>(event->p) << 28 | low << 22 | static_cast<uint32_t>(event->x) << 11 | event->y);
    }
}

void Evt2Encoder::put_trigger(const Trigger& trigger, WordWriter& out) {
    const auto low = static_cast<uint32_t>(trigger.t) & 0x3F;
    out.put(uint32_t{0xA} << 28 | low << 22 | static_cast<uint32_t>(trigger.id) << 8 | trigger.p);
}

void Evt2Encoder::put_high(uint32_t high, WordWriter& out) {
    out.put(uint32_t{0x8} << 28 | high);
}

}  // namespace edgesnn::events
