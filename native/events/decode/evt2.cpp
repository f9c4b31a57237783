#include "events/decode/evt2.hpp"

#include <cstddef>
#include <utility>

#include "events/decode/event_lanes.hpp"

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

constexpr std::ptrdiff_t kLaneBytes = 4 * lanes::kCount;

// Writes four words as events; bit i: word i is none inside the sensor.
uint32_t put_four(const uint8_t* data, EventBlock::Cursor at, int64_t base_us, uint32_t width,
                  uint32_t height) noexcept {
    const lanes::Lanes words = lanes::load(data), low11 = lanes::all(0x7FF);
    const lanes::Lanes x = lanes::both(lanes::right<11>(words), low11), y = lanes::both(words, low11);
    const lanes::Lanes p = lanes::right<28>(words);
    lanes::put(at, base_us, lanes::both(lanes::right<22>(words), lanes::all(0x3F)),
               lanes::either(lanes::left<16>(y), x), p);
    const lanes::Lanes outside =
        lanes::either(lanes::above(x, lanes::all(width - 1)), lanes::above(y, lanes::all(height - 1)));
    return lanes::bits_of(lanes::either(outside, lanes::above(p, lanes::all(kCdOn))));
}

}  // namespace

Evt2Decoder::Evt2Decoder(DecoderOptions options) : WordDecoder(std::move(options), {"evt2", "EVT2", 4, 28, 6}) {
    check_variant({""});
}

Status Evt2Decoder::decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor at = block.start();
    Status status;
    for (size_t i = 0; i < count && status.ok();) {
        if (timed()) {
            const EventBlock::Cursor behind = put_events(data + 4 * i, count - i, at, block.full());
            i += static_cast<size_t>(behind - at) / sizeof(Event);
            at = behind;
        }
        if (at >= block.full()) {
            at = flush(block, at, out);
            continue;
        }
        if (i == count) break;
        status = other_word(load_word(data + 4 * i), i, block, at, out);
        ++i;
    }
    flush(block, at, out);
    return status;
}

// Events inside the sensor, as many as come before anything else and there is room for: a word each. The loop is by
// itself so that its variables stay in registers.
EventBlock::Cursor Evt2Decoder::put_events(const uint8_t* data, size_t count, EventBlock::Cursor at,
                                           const uint8_t* full) const noexcept {
    const int64_t base_us = this->base_us();
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    const uint8_t* const end = data + 4 * count;
    for (; end - data >= kLaneBytes && at < full; data += kLaneBytes, at += lanes::kCount * sizeof(Event)) {
        const uint32_t odd = put_four(data, at, base_us, width, height);
        if (odd != 0) return at + static_cast<size_t>(__builtin_ctz(odd)) * sizeof(Event);
    }
    for (; data != end && at < full; data += 4) {
        const uint32_t word = load_word(data);
        const uint32_t x = word >> 11 & 0x7FF;
        const uint32_t y = word & 0x7FF;
        if (word >> 28 > kCdOn || x >= width || y >= height) break;
        at = EventBlock::put(at, base_us | (word >> 22 & 0x3F), x, y, word >> 28);
    }
    return at;
}

// Any word that put_events does not take, number `index` of the run.
Status Evt2Decoder::other_word(uint32_t word, size_t index, EventBlock& block, EventBlock::Cursor& at,
                               std::vector<Event>& out) {
    switch (word >> 28) {
        case kCdOff:
        case kCdOn:
            return misplaced_event(index, word >> 11 & 0x7FF, word & 0x7FF);
        case kTimeHigh:
            if (same_time_high(word & 0xFFFFFFF)) return {};
            at = flush(block, at, out);
            return on_time_high(word & 0xFFFFFFF, index, out);
        case kExtTrigger:
            at = evt2_trigger(word, block, at, out);
            return {};
        case kOthers:
        case kContinued:
            return {};
        default:
            return bad_word(index, word >> 28, word);
    }
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
