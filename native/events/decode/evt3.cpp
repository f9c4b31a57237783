#include "events/decode/evt3.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

enum Type : uint32_t {
    kAddrY = 0x0,
    kAddrX = 0x2,
    kVectBaseX = 0x3,
    kVect12 = 0x4,
    kVect8 = 0x5,
    kTimeLow = 0x6,
    kContinued4 = 0x7,
    kTimeHigh = 0x8,
    kExtTrigger = 0xA,
    kOthers = 0xE,
    kContinued12 = 0xF,
};

uint32_t load_word(const uint8_t* at) noexcept {
    return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8;
}

// One event a set bit, lowest first.
EventBlock::Cursor put_vector(EventBlock::Cursor at, int64_t t_us, uint32_t base_x, uint32_t y, uint32_t p,
                              uint32_t mask) noexcept {
    while (mask != 0) {
        at = EventBlock::put(at, t_us, base_x + static_cast<uint32_t>(__builtin_ctz(mask)), y, p);
        mask &= mask - 1;
    }
    return at;
}

// Takes ADDR_Y and ADDR_X words, most of a stream, without a branch on which of the two it is: each writes an event,
// and the cursor moves behind it where it was one. Stops before anything else, an event outside, and a full block;
// returns how many. y: the row, any number beyond the height where there is none.
size_t take_rows_and_events(const uint8_t* data, size_t count, int64_t t_us, uint32_t width, uint32_t height,
                            uint32_t& y, EventBlock::Cursor& at, const uint8_t* full) noexcept {
    size_t i = 0;
    for (; i < count && at < full; ++i) {
        const uint32_t word = load_word(data + 2 * i);
        if ((word & 0xD000) != 0) break;
        const uint32_t is_event = word >> 13;
        const uint32_t payload = word & 0x7FF;  // of a row, bit 11 says which camera of a pair
        y = is_event != 0 ? y : payload;
        if ((is_event & static_cast<uint32_t>(int{payload >= width} | int{y >= height})) != 0) break;
        EventBlock::put(at, t_us, payload, y, word >> 11 & 1);
        at += is_event * sizeof(Event);
    }
    return i;
}

}  // namespace

Evt3Decoder::Evt3Decoder(DecoderOptions options) : WordDecoder(std::move(options), {"evt3", "EVT3", 2, 12, 12}) {
    check_variant({""});
}

// In parts that return a Status each it was a quarter as fast: cursor and context must stay in registers.
Status Evt3Decoder::decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor at = block.start();
    Context now = context_;
    int64_t base_us = timed() ? this->base_us() : 0;
    int64_t t_us = base_us | now.time_low;
    const auto width = static_cast<uint32_t>(width_);
    Status status;
    for (size_t i = 0; i < count && status.ok(); ++i) {
        if (timed()) {
            auto y = static_cast<uint32_t>(now.y);
            i += take_rows_and_events(data + 2 * i, count - i, t_us, width, static_cast<uint32_t>(height_), y, at,
                                      block.full());
            now.y = static_cast<int32_t>(y);
            if (i == count) break;
        }
        const uint32_t word = load_word(data + 2 * i);
        const uint32_t payload = word & 0xFFF;
        switch (word >> 12) {
            case kAddrY:
                now.y = static_cast<int32_t>(payload & 0x7FF);  // bit 11 says which camera of a pair
                break;
            case kAddrX:
                at = event(i, now, payload, t_us, at, status);
                break;
            case kVectBaseX:
                now.base_x = static_cast<int32_t>(payload & 0x7FF);
                now.base_p = static_cast<int32_t>(payload >> 11);
                break;
            case kVect12:
            case kVect8: {
                const uint32_t span = word >> 12 == kVect12 ? 12 : 8;
                const uint32_t mask = payload & ((1u << span) - 1);
                const auto base_x = static_cast<uint32_t>(now.base_x);
                if (timed() && now.y >= 0 && now.y < height_ && now.base_x >= 0 && base_x + span <= width)
                    at = put_vector(at, t_us, base_x, static_cast<uint32_t>(now.y), static_cast<uint32_t>(now.base_p),
                                    mask);
                else
                    at = edge_vector(i, now, mask, t_us, at, status);
                if (now.base_x >= 0) now.base_x = std::min(now.base_x + static_cast<int32_t>(span), 2 * kField);
                break;
            }
            case kTimeLow:
                now.time_low = static_cast<int32_t>(payload);
                t_us = base_us | now.time_low;
                if (timed()) at = pass(t_us, block, at, out);
                break;
            case kTimeHigh:
                if (same_time_high(payload)) break;
                at = flush(block, at, out);
                status = on_time_high(payload, i, out);
                base_us = this->base_us();
                t_us = base_us | now.time_low;
                break;
            case kExtTrigger:
                if (!timed()) break;
                trigger(t_us, payload >> 8, payload & 1, out);
                at = pass(t_us, block, at, out);
                break;
            case kContinued4:
            case kOthers:
            case kContinued12:
                break;
            default:
                status = bad_word(i, word >> 12, word);
        }
        if (at >= block.full()) at = flush(block, at, out);
    }
    flush(block, at, out);
    context_ = now;
    return status;
}

EventBlock::Cursor Evt3Decoder::event(size_t index, Context context, uint32_t payload, int64_t t_us,
                                      EventBlock::Cursor at, Status& status) {
    const uint32_t x = payload & 0x7FF;
    if (!timed() || context.y < 0) {
        unplaced(1);
        return at;
    }
    if (context.y >= height_)
        status = out_of_range(index, "y", static_cast<uint32_t>(context.y));
    else if (x >= static_cast<uint32_t>(width_))
        status = out_of_range(index, "x", x);
    else
        at = EventBlock::put(at, t_us, x, static_cast<uint32_t>(context.y), payload >> 11);
    return at;
}

EventBlock::Cursor Evt3Decoder::edge_vector(size_t index, Context context, uint32_t mask, int64_t t_us,
                                            EventBlock::Cursor at, Status& status) {
    const auto events = static_cast<int64_t>(__builtin_popcount(mask));
    if (events == 0) return at;
    if (!timed() || context.y < 0 || context.base_x < 0) {
        unplaced(events);
        return at;
    }
    if (context.y >= height_) {
        status = out_of_range(index, "y", static_cast<uint32_t>(context.y), events);
        return at;
    }
    const auto base_x = static_cast<uint32_t>(context.base_x);
    const uint32_t room = base_x < static_cast<uint32_t>(width_) ? static_cast<uint32_t>(width_) - base_x : 0;
    const uint32_t inside = room >= 12 ? mask : mask & ((1u << room) - 1);
    at = put_vector(at, t_us, base_x, static_cast<uint32_t>(context.y), static_cast<uint32_t>(context.base_p), inside);
    if (const uint32_t beyond = mask & ~inside; beyond != 0)
        status =
            out_of_range(index, "x", base_x + static_cast<uint32_t>(__builtin_ctz(beyond)), __builtin_popcount(beyond));
    return at;
}

void Evt3Decoder::save_words(StateWriter& writer) const {
    const int32_t values[] = {context_.y, context_.base_x, context_.base_p, context_.time_low};
    writer.put("context", values, {4});
}

void Evt3Decoder::load_words(const StateReader& reader) {
    const std::vector<int32_t> v = reader.get_array<int32_t>("context");
    if (v.size() != 4 || v[0] < -1 || v[0] >= kField || v[1] < -1 || v[1] > 2 * kField || (v[2] & ~1) != 0 ||
        (v[3] & ~0xFFF) != 0)
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible words", "context");
    context_ = {v[0], v[1], v[2], v[3]};
}

}  // namespace edgesnn::events
