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

}  // namespace

Evt3Decoder::Evt3Decoder(DecoderOptions options) : WordDecoder(std::move(options), {"evt3", "EVT3", 2, 12, 12}) {
    check_variant({""});
}

void Evt3Decoder::lost() noexcept {
    WordDecoder::lost();
    context_.y = context_.base_x = -1;
}

// In parts that return a Status each it was a quarter as fast: cursor and context must stay in registers.
Status Evt3Decoder::decode_words(const uint8_t* data, size_t count, std::vector<Event>& out) {
    Loop loop;
    loop.at = loop.block.start();
    loop.now = context_;
    loop.base_us = timed() ? base_us() : 0;
    Status status;
    for (size_t i = 0; i < count && status.ok();) {
        if (timed()) i += plain_words(data + 2 * i, count - i, loop);
        if (loop.at >= loop.block.full()) {
            loop.at = flush(loop.block, loop.at, out);
            continue;
        }
        if (i == count) break;
        status = other_word(load_word(data + 2 * i), i, loop, out);
        ++i;
    }
    flush(loop.block, loop.at, out);
    context_ = loop.now;
    return status;
}

// The words that most of a stream consists of, where they are in order; stops before any other, or where the block is
// full; returns how many. Rows and events, most of all, go without a branch on which of the two it is: each writes an
// event, and the cursor moves behind it where it was one. Its variables have no address, so that they stay in
// registers.
size_t Evt3Decoder::plain_words(const uint8_t* data, size_t count, Loop& loop) {
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    const int64_t base_us = loop.base_us;
    const bool settled = !waiting();
    const uint8_t* const full = loop.block.full();
    int64_t reached = reached_us();
    int64_t t_us = base_us | loop.now.time_low;
    EventBlock::Cursor at = loop.at;
    auto y = static_cast<uint32_t>(loop.now.y);  // beyond every height where it is not known
    auto base_x = static_cast<uint32_t>(loop.now.base_x);
    auto base_p = static_cast<uint32_t>(loop.now.base_p);
    size_t i = 0;
    for (; i < count && at < full; ++i) {
        const uint32_t word = load_word(data + 2 * i);
        const uint32_t type = word >> 12;
        const uint32_t column = word & 0x7FF;
        if ((type & 0xD) == 0) {
            const uint32_t is_event = type >> 1;
            y = is_event != 0 ? y : column;  // of a row, bit 11 says which camera of a pair
            if ((is_event & static_cast<uint32_t>(int{column >= width} | int{y >= height})) != 0) break;
            at = EventBlock::put(at, t_us, column, y, word >> 11 & 1) - (is_event != 0 ? 0 : sizeof(Event));
        } else if (type == kTimeLow) {
            const int64_t next_us = base_us | (word & 0xFFF);
            if (!settled || next_us < reached) break;
            t_us = reached = next_us;
        } else if (type == kVectBaseX) {
            base_x = column;
            base_p = word >> 11 & 1;
        } else if (type == kVect12 || type == kVect8) {
            const uint32_t span = type == kVect12 ? 12 : 8;
            if (y >= height || base_x >= width || base_x + span > width) break;
            at = put_vector(at, t_us, base_x, y, base_p, word & ((1u << span) - 1));
            base_x += span;
        } else if (type != kTimeHigh || !same_time_high(word & 0xFFF)) {
            break;
        }
    }
    set_reached(reached);
    loop.at = at;
    loop.now = {static_cast<int32_t>(y), static_cast<int32_t>(base_x), static_cast<int32_t>(base_p),
                static_cast<int32_t>(t_us & 0xFFF)};
    return i;
}

// Any word, number `index` of the run.
Status Evt3Decoder::other_word(uint32_t word, size_t index, Loop& loop, std::vector<Event>& out) {
    Context& now = loop.now;
    const uint32_t payload = word & 0xFFF;
    const int64_t t_us = loop.base_us | now.time_low;
    switch (word >> 12) {
        case kAddrY:
            now.y = static_cast<int32_t>(payload & 0x7FF);
            return {};
        case kAddrX:
            return event(index, payload, t_us, loop);
        case kVectBaseX:
            now.base_x = static_cast<int32_t>(payload & 0x7FF);
            now.base_p = static_cast<int32_t>(payload >> 11);
            return {};
        case kVect12:
            return vector(index, payload, 12, t_us, loop);
        case kVect8:
            return vector(index, payload & 0xFF, 8, t_us, loop);
        case kTimeLow:
            now.time_low = static_cast<int32_t>(payload);
            if (timed()) loop.at = pass(loop.base_us | now.time_low, loop.block, loop.at, out);
            return {};
        case kTimeHigh: {
            if (same_time_high(payload)) return {};
            loop.at = flush(loop.block, loop.at, out);
            Status status = on_time_high(payload, index, out);
            loop.base_us = base_us();
            return status;
        }
        case kExtTrigger:
            if (!timed()) return {};
            trigger(t_us, payload >> 8, payload & 1, out);
            loop.at = pass(t_us, loop.block, loop.at, out);
            return {};
        case kContinued4:
        case kOthers:
        case kContinued12:
            return {};
        default:
            return bad_word(index, word >> 12, word);
    }
}

Status Evt3Decoder::event(size_t index, uint32_t payload, int64_t t_us, Loop& loop) {
    const Context& now = loop.now;
    const uint32_t x = payload & 0x7FF;
    if (!timed() || now.y < 0) {
        unplaced(1);
        return {};
    }
    if (now.y >= height_) return out_of_range(index, "y", static_cast<uint32_t>(now.y));
    if (x >= static_cast<uint32_t>(width_)) return out_of_range(index, "x", x);
    loop.at = EventBlock::put(loop.at, t_us, x, static_cast<uint32_t>(now.y), payload >> 11);
    return {};
}

Status Evt3Decoder::vector(size_t index, uint32_t mask, int32_t span, int64_t t_us, Loop& loop) {
    Context& now = loop.now;
    const auto base_x = static_cast<uint32_t>(now.base_x);
    const auto events = static_cast<int64_t>(__builtin_popcount(mask));
    const bool placed = timed() && now.y >= 0 && now.base_x >= 0;
    if (now.base_x >= 0) now.base_x = std::min(now.base_x + span, 2 * kField);
    if (events == 0) return {};
    if (!placed) {
        unplaced(events);
        return {};
    }
    if (now.y >= height_) return out_of_range(index, "y", static_cast<uint32_t>(now.y), events);
    const uint32_t room = base_x < static_cast<uint32_t>(width_) ? static_cast<uint32_t>(width_) - base_x : 0;
    const uint32_t inside = room >= 12 ? mask : mask & ((1u << room) - 1);
    loop.at =
        put_vector(loop.at, t_us, base_x, static_cast<uint32_t>(now.y), static_cast<uint32_t>(now.base_p), inside);
    const uint32_t beyond = mask & ~inside;
    if (beyond == 0) return {};
    return out_of_range(index, "x", base_x + static_cast<uint32_t>(__builtin_ctz(beyond)), __builtin_popcount(beyond));
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
