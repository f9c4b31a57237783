#include "events/encode/evt3.hpp"

namespace edgesnn::events {
namespace {

enum Type : uint32_t {
    kAddrY = 0x0 << 12,
    kAddrX = 0x2 << 12,
    kVectBaseX = 0x3 << 12,
    kVect12 = 0x4 << 12,
    kTimeLow = 0x6 << 12,
    kTimeHigh = 0x8 << 12,
    kExtTrigger = 0xA << 12,
};
constexpr uint32_t kSpan = 12;

void put(WordWriter& out, Type type, uint32_t payload) {
    out.put(static_cast<uint16_t>(type | payload));
}

bool same_row(const Event& a, const Event& b) noexcept {
    return a.t == b.t && a.y == b.y && a.p == b.p;
}

}  // namespace

Evt3Encoder::Evt3Encoder(const EncoderOptions& options) : EvtEncoder(options, {"EVT3", 12, 12, 16}) {}

void Evt3Encoder::put_events(const Event* first, const Event* last, WordWriter& out) {
    while (first != last) {
        if (!writable(*first)) refuse(*first);
        if (!current(first->t)) enter(first->t, out);
        put_low(first->t, out);
        if (first->y != y_) {
            y_ = first->y;
            put(out, kAddrY, first->y);
        }
        first = put_row(first, last, out);
    }
}

// Writes the columns of a run that rises in one row; returns the first event behind it.
const Event* Evt3Encoder::put_row(const Event* first, const Event* last, WordWriter& out) {
    const uint32_t polarity = static_cast<uint32_t>(first->p) << 11;
    const Event* event = first;
    const auto goes_on = [&] {
        return event != last && same_row(*event, *first) && event->x > event[-1].x &&
               event->x < static_cast<uint32_t>(width_);
    };
    do {
        const uint32_t base = first->x + (event->x - first->x) / kSpan * kSpan;
        const uint32_t start = event->x;
        uint32_t mask = uint32_t{1} << (start - base);
        for (++event; goes_on() && event->x < base + kSpan; ++event) mask |= uint32_t{1} << (event->x - base);
        if ((mask & (mask - 1)) == 0) {
            put(out, kAddrX, polarity | start);
        } else {
            put(out, kVectBaseX, polarity | base);
            put(out, kVect12, mask);
        }
    } while (goes_on());
    return event;
}

void Evt3Encoder::put_low(int64_t t_us, WordWriter& out) {
    const auto low = static_cast<int32_t>(t_us & 0xFFF);
    if (low == low_) return;
    low_ = low;
    put(out, kTimeLow, static_cast<uint32_t>(low));
}

void Evt3Encoder::put_trigger(const Trigger& trigger, WordWriter& out) {
    put_low(trigger.t, out);
    put(out, kExtTrigger, static_cast<uint32_t>(trigger.id) << 8 | trigger.p);
}

void Evt3Encoder::put_high(uint32_t high, WordWriter& out) {
    low_ = -1;  // said anew: some readers take it for 0 under a new TIME_HIGH
    put(out, kTimeHigh, high);
}

}  // namespace edgesnn::events
