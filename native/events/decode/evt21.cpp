#include "events/decode/evt21.hpp"

#include <algorithm>
#include <utility>

#include "events/decode/event_lanes.hpp"

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
constexpr size_t kWord = 8;
constexpr size_t kFour = lanes::kCount * kWord;
constexpr uint32_t kAllFour = (1 << lanes::kCount) - 1;

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
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    const uint8_t* heads = data + head_at_;
    const uint8_t* masks = data + 4 - head_at_;
    Status status;
    for (size_t i = 0; i < count && status.ok();) {
        if (timed()) {
            const EventBlock::Cursor behind = head_at_ == 0
                                                  ? put_fours<true>(data + kWord * i, count - i, at, block.full())
                                                  : put_fours<false>(data + kWord * i, count - i, at, block.full());
            i += static_cast<size_t>(behind - at) / sizeof(Event);
            at = behind;
        }
        if (at >= block.full()) at = flush(block, at, out);
        const int64_t base_us = timed() ? this->base_us() : 0;
        const uint32_t event_limit = timed() ? (kEvtPos + 1) << 28 : 0;  // upper halves below it: events in time
        for (const size_t four = std::min(count, i + lanes::kCount); i < four; ++i) {
            const uint32_t head = load_half(heads + kWord * i);
            const uint32_t mask = load_half(masks + kWord * i);
            if (head >= event_limit || (head >> 11 & 0x7FF) + kSpan > width || (head & 0x7FF) >= height) {
                status = other_word(head, mask, i, block, at, out);
                ++i;
                break;
            }
            at = put_vector(at, base_us | (head >> 22 & 0x3F), head, mask);
            if (at >= block.full()) at = flush(block, at, out);
        }
    }
    flush(block, at, out);
    return status;
}

// Words of one event inside the sensor each, four at once, up to four among which is another.
template <bool kHeadFirst>
EventBlock::Cursor Evt21Decoder::put_fours(const uint8_t* data, size_t count, EventBlock::Cursor at,
                                           const uint8_t* full) const noexcept {
    const int64_t base_us = this->base_us();
    const lanes::Lanes zero = lanes::all(0), low11 = lanes::all(0x7FF);
    const lanes::Lanes right_column = lanes::all(static_cast<uint32_t>(width_) - 1);
    const lanes::Lanes bottom_row = lanes::all(static_cast<uint32_t>(height_) - 1);
    const uint8_t* const end = data + count / lanes::kCount * kFour;
    for (; data != end && at < full; data += kFour, at += lanes::kCount * sizeof(Event)) {
        lanes::Lanes head, mask;
        kHeadFirst ? lanes::load_pairs(data, head, mask) : lanes::load_pairs(data, mask, head);
        const lanes::Lanes without_lowest = lanes::both(mask, lanes::sum(mask, lanes::all(~uint32_t{0})));
        const lanes::Lanes x = lanes::sum(lanes::both(lanes::right<11>(head), low11), lanes::lone_bit(mask));
        const lanes::Lanes y = lanes::both(head, low11), p = lanes::right<28>(head);
        const lanes::Lanes odd =
            lanes::either(lanes::either(lanes::same(mask, zero), lanes::above(p, lanes::all(kEvtPos))),
                          lanes::either(lanes::above(x, right_column), lanes::above(y, bottom_row)));
        if ((lanes::bits_of(lanes::same(without_lowest, zero)) & ~lanes::bits_of(odd)) != kAllFour) break;
        lanes::put(at, base_us, lanes::both(lanes::right<22>(head), lanes::all(0x3F)),
                   lanes::either(lanes::left<16>(y), x), p);
    }
    return at;
}

// Any word that is no vector inside the sensor whose time is known, number `index` of the run.
Status Evt21Decoder::other_word(uint32_t head, uint32_t mask, size_t index, EventBlock& block, EventBlock::Cursor& at,
                                std::vector<Event>& out) {
    switch (head >> 28) {
        case kEvtNeg:
        case kEvtPos: {
            const int64_t t_us = (timed() ? base_us() : 0) | (head >> 22 & 0x3F);
            const Status status = edge_vector(index, head, mask, t_us, at);
            if (at >= block.full()) at = flush(block, at, out);
            return status;
        }
        case kTimeHigh:
            if (same_time_high(head & 0xFFFFFFF)) return {};
            at = flush(block, at, out);
            return on_time_high(head & 0xFFFFFFF, index, out);
        case kExtTrigger:
            at = evt2_trigger(head, block, at, out);
            return {};
        case kOthers:
        case kContinued:
            return {};
        default:
            return bad_word(index, head >> 28, static_cast<uint64_t>(head) << 32 | mask);
    }
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
