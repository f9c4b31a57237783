#include "events/decode/evt21.hpp"

#include <utility>

namespace edgesnn::events {
namespace {

enum Type : uint32_t {
    kEvtNeg = 0x0,
    kEvtPos = 0x1,
    kTimeHigh = 0x8,
    kExtTrigger = 0xA,
    kOthers = 0xE,
    kContinued = 0xF,
};
constexpr uint32_t kSpan = 32;

uint32_t load_half(const uint8_t* at) noexcept {
    return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 |
           static_cast<uint32_t>(at[3]) << 24;
}

// One event a set bit, lowest first.
EventBlock::Cursor put_vector(EventBlock::Cursor at, int64_t t_us, uint32_t head, uint32_t mask) noexcept {
    const uint32_t base_x = head >> 11 & 0x7FF;
    while (mask != 0) {
        const uint32_t x = base_x + static_cast<uint32_t>(__builtin_ctz(mask));
        at = EventBlock::put(at, t_us, x, head & 0x7FF, head >> 28);
        mask &= mask - 1;
    }
    return at;
}

}  // namespace

Evt21Decoder::Evt21Decoder(DecoderOptions options)
    : WordDecoder(std::move(options), {"evt21", "EVT2.1", 8, 28, 6}), head_at_(options_.variant == "legacy" ? 0 : 4) {
    check_variant({"", "legacy"});
}

Status Evt21Decoder::decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor at = block.start();
    int64_t base_us = timed() ? this->base_us() : 0;
    uint32_t event_limit = timed() ? (kEvtPos + 1) << 28 : 0;  // upper halves below it are events whose time is known
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    const uint8_t* heads = data + head_at_;
    const uint8_t* masks = data + 4 - head_at_;
    Status status;
    for (size_t i = 0; i < count && status.ok(); ++i) {
        const uint32_t head = load_half(heads + 8 * i);
        const uint32_t mask = load_half(masks + 8 * i);
        const int64_t t_us = base_us | (head >> 22 & 0x3F);
        if (head < event_limit && (head >> 11 & 0x7FF) + kSpan <= width && (head & 0x7FF) < height) {
            at = put_vector(at, t_us, head, mask);
            if (at >= block.full()) at = flush(block, at, out);
            continue;
        }
        switch (head >> 28) {
            case kEvtNeg:
            case kEvtPos:
                status = edge_vector(i, head, mask, t_us, at);
                if (at >= block.full()) at = flush(block, at, out);
                break;
            case kTimeHigh:
                if (same_time_high(head & 0xFFFFFFF)) break;
                at = flush(block, at, out);
                status = on_time_high(head & 0xFFFFFFF, i, out);
                base_us = this->base_us();
                event_limit = (kEvtPos + 1) << 28;
                break;
            case kExtTrigger:
                if (!timed()) break;
                trigger(t_us, head >> 8 & 0x1F, head & 1, out);
                at = pass(t_us, block, at, out);
                at = flush(block, at, out);  // events after it may be earlier
                break;
            case kOthers:
            case kContinued:
                break;
            default:
                status = bad_word(i, head >> 28, static_cast<uint64_t>(head) << 32 | mask);
        }
    }
    flush(block, at, out);
    return status;
}

Status Evt21Decoder::edge_vector(size_t index, uint32_t head, uint32_t mask, int64_t t_us, EventBlock::Cursor& at) {
    const auto events = static_cast<int64_t>(__builtin_popcount(mask));
    if (events == 0) return {};
    if (!timed()) {
        unplaced(events);
        return {};
    }
    const uint32_t base_x = head >> 11 & 0x7FF;
    const uint32_t y = head & 0x7FF;
    if (y >= static_cast<uint32_t>(height_)) return out_of_range(index, "y", y, events);
    const uint32_t room = base_x < static_cast<uint32_t>(width_) ? static_cast<uint32_t>(width_) - base_x : 0;
    const uint32_t inside = room >= kSpan ? mask : mask & ((uint32_t{1} << room) - 1);
    at = put_vector(at, t_us, head, inside);
    const uint32_t beyond = mask & ~inside;
    if (beyond == 0) return {};
    return out_of_range(index, "x", base_x + static_cast<uint32_t>(__builtin_ctz(beyond)), __builtin_popcount(beyond));
}

}  // namespace edgesnn::events
