#include "events/decode/evt2.hpp"

#include <utility>

namespace edgesnn::events {
namespace {

enum Type : uint32_t {
    kCdOff = 0x0,
    kCdOn = 0x1,
    kTimeHigh = 0x8,
    kExtTrigger = 0xA,
    kOthers = 0xE,
    kContinued = 0xF,
};

uint32_t load_word(const uint8_t* at) noexcept {
    return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 |
           static_cast<uint32_t>(at[3]) << 24;
}

}  // namespace

Evt2Decoder::Evt2Decoder(DecoderOptions options) : WordDecoder(std::move(options), {"evt2", "EVT2", 4, 28, 6}) {
    check_variant({""});
}

Status Evt2Decoder::decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor at = block.start();
    int64_t base_us = timed() ? this->base_us() : 0;
    uint32_t event_limit = timed() ? (kCdOn + 1) << 28 : 0;  // words below it are events whose time is known
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    Status status;
    for (size_t i = 0; i < count && status.ok(); ++i) {
        const uint32_t word = load_word(data + 4 * i);
        const int64_t t_us = base_us | (word >> 22 & 0x3F);
        const uint32_t x = word >> 11 & 0x7FF;
        const uint32_t y = word & 0x7FF;
        if (word < event_limit && x < width && y < height) {
            at = EventBlock::put(at, t_us, x, y, word >> 28);
            if (at >= block.full()) at = flush(block, at, out);
            continue;
        }
        switch (word >> 28) {
            case kCdOff:
            case kCdOn:
                status = misplaced_event(i, x, y);
                break;
            case kTimeHigh:
                if (same_time_high(word & 0xFFFFFFF)) break;
                at = flush(block, at, out);
                status = on_time_high(word & 0xFFFFFFF, i, out);
                base_us = this->base_us();
                event_limit = (kCdOn + 1) << 28;
                break;
            case kExtTrigger:
                if (!timed()) break;
                trigger(t_us, word >> 8 & 0x1F, word & 1, out);
                at = pass(t_us, block, at, out);
                at = flush(block, at, out);  // events after it may be earlier
                break;
            case kOthers:
            case kContinued:
                break;
            default:
                status = bad_word(i, word >> 28, word);
        }
    }
    flush(block, at, out);
    return status;
}

Status Evt2Decoder::misplaced_event(size_t index, uint32_t x, uint32_t y) {
    if (!timed()) {
        unplaced(1);
        return {};
    }
    if (x >= static_cast<uint32_t>(width_)) return out_of_range(index, "x", x);
    return out_of_range(index, "y", y);
}

}  // namespace edgesnn::events
