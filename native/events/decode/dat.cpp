#include "events/decode/dat.hpp"

#include <algorithm>
#include <utility>

#include "events/decode/event_lanes.hpp"

namespace edgesnn::events {
namespace {

constexpr size_t kRecord = 8;
constexpr int64_t kMaxEpoch = (kMaxUs >> 32) - 1;
constexpr uint32_t kQuarter = uint32_t{1} << 30;  // of the clock's range
constexpr uint32_t kAllFour = (1 << lanes::kCount) - 1;

uint32_t load_u32(const uint8_t* at) noexcept {
    return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 | static_cast<uint32_t>(at[2]) << 16 |
           static_cast<uint32_t>(at[3]) << 24;
}

}  // namespace

DatDecoder::DatDecoder(DecoderOptions options)
    : RecordDecoder(std::move(options), {"dat", "DAT", kRecord, kField, kField}) {
    check_variant({""});
}

Status DatDecoder::decode_records(const uint8_t* data, size_t count, std::vector<Event>& out) {
    Status status;
    for (size_t i = 0; i < count && status.ok();) {
        i += plain_records(data + i * kRecord, count - i, out);
        if (i == count) break;
        status = record(data + i * kRecord, records() + static_cast<int64_t>(i), out);
        ++i;
    }
    return status;
}

// The common case, as many records as there are: nothing waits, the time follows in the same quarter of the clock's
// range, the place is inside.
size_t DatDecoder::plain_records(const uint8_t* data, size_t count, std::vector<Event>& out) {
    if (plain_until_us() == kNoTime) return 0;
    EventBlock block;
    EventBlock::Cursor at = block.start();
    const auto width = static_cast<uint32_t>(width_);
    const auto height = static_cast<uint32_t>(height_);
    const int64_t base_us = t_end_us_ & ~int64_t{0xFFFFFFFF};
    int64_t end_us = t_end_us_;
    size_t i = 0;
    while (i < count) {
        const EventBlock::Cursor behind = put_fours(data + i * kRecord, count - i, at, block.full(), end_us);
        i += static_cast<size_t>(behind - at) / sizeof(Event);
        at = behind;
        if (i < count && at < block.full()) {
            const int64_t t_us = base_us | load_u32(data + i * kRecord);
            const uint32_t word = load_u32(data + i * kRecord + 4);
            const uint32_t x = word & 0x3FFF;
            const uint32_t y = word >> 14 & 0x3FFF;
            const uint32_t p = word >> 28;
            if ((t_us ^ end_us) >= kQuarter || t_us > end_us + kAheadUs || x >= width || y >= height || p > 1) break;
            end_us = std::max(end_us, t_us);
            at = EventBlock::put(at, t_us, x, y, p);
            ++i;
        }
        if (at >= block.full()) at = flush(block, at, out);
    }
    flush(block, at, out);
    return i;
}

// Plain records, four at once, until one is not plain beside `end_us` as it was: it may be beside those before it.
EventBlock::Cursor DatDecoder::put_fours(const uint8_t* data, size_t count, EventBlock::Cursor at, const uint8_t* full,
                                         int64_t& end_us) const noexcept {
    const int64_t quarter_us = end_us & ~int64_t{kQuarter - 1};
    const auto reached = static_cast<uint32_t>(end_us - quarter_us);
    const lanes::Lanes quarter = lanes::all(static_cast<uint32_t>(quarter_us) >> 30);
    const lanes::Lanes until = lanes::all(reached + static_cast<uint32_t>(kAheadUs));
    const lanes::Lanes right_column = lanes::all(static_cast<uint32_t>(width_) - 1);
    const lanes::Lanes bottom_row = lanes::all(static_cast<uint32_t>(height_) - 1);
    lanes::Lanes latest = lanes::all(reached);
    const uint8_t* const end = data + count / lanes::kCount * lanes::kCount * kRecord;
    for (; data != end && at < full; data += lanes::kCount * kRecord, at += lanes::kCount * sizeof(Event)) {
        lanes::Lanes t, word;
        lanes::load_pairs(data, t, word);
        const lanes::Lanes low = lanes::both(t, lanes::all(kQuarter - 1));
        const lanes::Lanes x = lanes::both(word, lanes::all(0x3FFF));
        const lanes::Lanes y = lanes::both(lanes::right<14>(word), lanes::all(0x3FFF));
        const lanes::Lanes p = lanes::right<28>(word);
        const lanes::Lanes odd =
            lanes::either(lanes::either(lanes::above(low, until), lanes::above(p, lanes::all(1))),
                          lanes::either(lanes::above(x, right_column), lanes::above(y, bottom_row)));
        const uint32_t fit = lanes::bits_of(lanes::same(lanes::right<30>(t), quarter)) & ~lanes::bits_of(odd);
        lanes::put(at, quarter_us, low, lanes::either(lanes::left<16>(y), x), p);
        if (fit != kAllFour) break;
        latest = lanes::larger(latest, low);
    }
    end_us = quarter_us + lanes::largest(latest);
    return at;
}

Status DatDecoder::record(const uint8_t* at, int64_t number, std::vector<Event>& out) {
    const uint32_t word = load_u32(at + 4);
    if (word >> 28 > 1) return bad_record(number, "polarity " + std::to_string(word >> 28) + " is neither 0 nor 1");
    const Event event{unwrapped_us(load_u32(at), t_end_us_), static_cast<uint16_t>(word & 0x3FFF),
                      static_cast<uint16_t>(word >> 14 & 0x3FFF), static_cast<uint8_t>(word >> 28)};
    return take(event, number, out);
}

int64_t DatDecoder::unwrapped_us(uint32_t raw_us, int64_t clock_us) noexcept {
    if (clock_us == kNoTime) return raw_us;
    const auto low_us = static_cast<uint32_t>(clock_us);
    int64_t epoch = clock_us >> 32;
    if (low_us >= 3 * kQuarter && raw_us < kQuarter && epoch < kMaxEpoch) ++epoch;
    if (low_us < kQuarter && raw_us >= 3 * kQuarter && epoch > 0) --epoch;  // late, from before it started again
    return epoch * (int64_t{1} << 32) + raw_us;
}

}  // namespace edgesnn::events
