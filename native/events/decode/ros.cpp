#include "events/decode/ros.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "events/decode/flatbuffer.hpp"

namespace edgesnn::events {
namespace {

constexpr char kMagic[] = {'E', 'V', 'P', 'K'};
constexpr int32_t kField = 65536;
constexpr int32_t kWordField = 2048;           // coordinates of libcaer_cmp
constexpr int64_t kMostNs = int64_t{1} << 62;  // the years 1970 to 2116
constexpr int64_t kNoBase = -1;                // the packet is passed over
constexpr int64_t kMostBytes = int64_t{1} << 32;
constexpr int64_t kMostPlace = int64_t{1} << 56;
constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kTurnUs = int64_t{1} << 31;  // libcaer's time starts again
constexpr int64_t kMostTurns = int64_t{1} << 20;
constexpr size_t kRecordBytes[] = {13, 16, 8, 8, 2};

enum Word : uint32_t { kTimeHigh, kTimeLow, kAddrX, kAddrY, kVectBaseY, kVect8 };

// Nanoseconds of 1970 and later to the nearest microsecond.
constexpr int64_t to_us(int64_t ns) noexcept {
    return (ns + 500) / 1000;
}

// A record of each kind: its time, counted from the packet's base (-1: it is none), coordinates and polarity.
struct Fields {
    int64_t ns;
    uint32_t x;
    uint32_t y;
    uint32_t p;
};

template <size_t TimeAt, size_t PolarityAt, size_t Bytes>
struct DvsRecord {
    static constexpr size_t kBytes = Bytes;
    static constexpr bool kTurns = false;
    static Fields read(const uint8_t* at) noexcept {
        const auto seconds = static_cast<int64_t>(load_le<uint32_t>(at + TimeAt));
        const auto ns = static_cast<int64_t>(load_le<uint32_t>(at + TimeAt + 4));
        const uint32_t p = at[PolarityAt];
        return {ns < kSecondNs && p < 2 ? seconds * kSecondNs + ns : -1, load_le<uint16_t>(at),
                load_le<uint16_t>(at + 2), p};
    }
};

struct MonoRecord {
    static constexpr size_t kBytes = 8;
    static constexpr bool kTurns = false;
    static Fields read(const uint8_t* at) noexcept {
        const auto high = load_le<uint32_t>(at + 4);
        return {static_cast<int64_t>(load_le<uint32_t>(at)), high & 0xFFFF, high >> 16 & 0x7FFF, high >> 31};
    }
};

struct LibcaerRecord {
    static constexpr size_t kBytes = 8;
    static constexpr bool kTurns = true;
    static Fields read(const uint8_t* at) noexcept {
        const auto data = load_le<uint32_t>(at);
        const auto time = static_cast<int64_t>(load_le<int32_t>(at + 4));
        return {time < 0 ? -1 : time * 1000, data >> 17, data >> 2 & 0x7FFF, data >> 1 & 1};
    }
};

}  // namespace

RosDecoder::RosDecoder(DecoderOptions options)
    : GuardedDecoder("ros", "ROS", std::move(options), kField, kField, true) {
    check_variant({""});
}

Status RosDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    Status status;
    while (!bytes.empty() && status.ok()) {
        const size_t used = now_.bytes_left == 0 ? header(bytes, status) : content(bytes, out, status);
        bytes = {bytes.data + used, bytes.size - used};
    }
    return status;
}

// Takes bytes of a header; those of one that is none are given up one by one.
size_t RosDecoder::header(Span<const uint8_t> bytes, Status& status) {
    const size_t used = std::min(kHeader - carried_, bytes.size);
    std::memcpy(carry_.data() + carried_, bytes.data, used);
    carried_ += used;
    if (carried_ < kHeader) return used;
    const auto size = load_le<int64_t>(carry_.data() + 16);
    const auto at = load_le<int64_t>(carry_.data() + 24);
    const bool sane = std::memcmp(carry_.data(), kMagic, sizeof kMagic) == 0 && carry_[4] < kKinds && size >= 0 &&
                      size < kMostBytes && at >= 0 && at < kMostPlace;
    if (sane) {
        carried_ = 0;
        status = begin();
        return used;
    }
    if (now_.lost == 0) status = bad_record(place(), "no packet begins here");
    now_.lost = 1;
    std::memmove(carry_.data(), carry_.data() + 1, --carried_);
    return used;
}

Status RosDecoder::begin() {
    next_packet();
    const bool after_gap = carry_[5] != 0;
    const State before = now_;
    now_ = {};
    now_.kind = carry_[4];
    now_.base_ns = load_le<int64_t>(carry_.data() + 8);
    now_.bytes_left = load_le<int64_t>(carry_.data() + 16);
    now_.place = load_le<int64_t>(carry_.data() + 24);
    if (now_.kind == before.kind && !after_gap) {
        now_.x = before.x;
        now_.base_y = before.base_y;
        now_.base_p = before.base_p;
    }
    if (now_.base_ns >= 0 && now_.base_ns < kMostNs) return {};
    now_.base_ns = kNoBase;
    return bad_record(place(), "the time base of its packet is no time");
}

size_t RosDecoder::content(Span<const uint8_t> bytes, std::vector<Event>& out, Status& status) {
    const size_t record = kRecordBytes[now_.kind];
    const auto size = static_cast<size_t>(std::min<int64_t>(now_.bytes_left, static_cast<int64_t>(bytes.size)));
    now_.bytes_left -= static_cast<int64_t>(size);
    if (now_.base_ns == kNoBase) return size;
    const uint8_t* at = bytes.data;
    const uint8_t* const end = at + size;
    if (carried_ != 0) {
        const size_t used = std::min(record - carried_, size);
        std::memcpy(carry_.data() + carried_, at, used);
        at += used;
        carried_ += used;
        if (carried_ == record) {
            carried_ = 0;
            status = run(carry_.data(), carry_.data() + record, out);
        }
    }
    if (status.ok() && carried_ == 0) {
        const uint8_t* const whole = at + static_cast<size_t>(end - at) / record * record;
        status = run(at, whole, out);
        carried_ = static_cast<size_t>(end - whole);
        std::memcpy(carry_.data(), whole, carried_);
    }
    if (status.ok() && now_.bytes_left == 0) status = end_packet();
    return size;
}

// Time words behind the last event count too, unless they are far ahead.
Status RosDecoder::end_packet() {
    const int64_t t_us = to_us(now_.base_ns) + now_.since_us;
    if (now_.since_us != 0 && t_end_us_ != kNoTime && t_us <= t_end_us_ + kAheadUs) reach(t_us);
    if (std::exchange(carried_, 0) == 0) return {};
    return bad_record(place(), "its packet ends inside it");
}

Status RosDecoder::run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out) {
    switch (now_.kind) {
        case kDvs13:
            return run_records<DvsRecord<4, 12, 13>>(at, end, out);
        case kDvs16:
            return run_records<DvsRecord<6, 14, 16>>(at, end, out);
        case kMono:
            return run_records<MonoRecord>(at, end, out);
        case kLibcaer:
            return run_records<LibcaerRecord>(at, end, out);
        default:
            return run_words(at, end, out);
    }
}

template <typename Record>
Status RosDecoder::run_records(const uint8_t* at, const uint8_t* end, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor cursor = block.start();
    int64_t bound = this->bound();
    const auto flush = [&] {
        block.take(cursor);
        append_marked(block.events(), block.count(), out);
        cursor = block.start();
        if (bound != 0) set_bound(bound);
    };
    for (; at < end; at += Record::kBytes, ++now_.number, now_.place += Record::kBytes) {
        const Fields fields = Record::read(at);
        int64_t t_us = to_us(now_.base_ns + fields.ns);
        if (Record::kTurns && fields.ns >= 0) t_us += turned(fields.ns / 1000);
        const bool inside = fields.x < static_cast<uint32_t>(width_) && fields.y < static_cast<uint32_t>(height_);
        if (fields.ns >= 0 && t_us < bound && inside) {
            cursor = EventBlock::put(cursor, t_us, fields.x, fields.y, fields.p);
            bound = moved(bound, t_us);
            if (cursor >= block.full()) flush();
            continue;
        }
        flush();
        const Event event{t_us, static_cast<uint16_t>(fields.x), static_cast<uint16_t>(fields.y),
                          static_cast<uint8_t>(fields.p)};
        Status status =
            fields.ns < 0 ? bad_record(place(), "its time or polarity is none") : judge(event, place(), out);
        if (!status.ok()) return status;
        bound = this->bound();
    }
    flush();
    return {};
}

// What is to be added to a time of libcaer that started again inside the packet.
int64_t RosDecoder::turned(int64_t low) noexcept {
    constexpr int64_t kQuarter = kTurnUs / 4;
    const bool turn = now_.last_low >= 3 * kQuarter && low < kQuarter;
    if (turn && now_.turns_us < kMostTurns * kTurnUs) now_.turns_us += kTurnUs;
    now_.last_low = low;
    return now_.turns_us;
}

Status RosDecoder::run_words(const uint8_t* at, const uint8_t* end, std::vector<Event>& out) {
    for (; at < end; at += 2, ++now_.number, now_.place += 2)
        if (Status status = word(load_le<uint16_t>(at), out); !status.ok()) return status;
    return {};
}

Status RosDecoder::word(uint32_t word, std::vector<Event>& out) {
    const auto payload = static_cast<int64_t>(word & 0xFFF);
    const int64_t coordinate = payload & 0x7FF;
    switch (word >> 12) {
        case kTimeHigh:
            now_.since_us = payload << 12 | (now_.since_us & 0xFFF);
            return {};
        case kTimeLow:
            now_.since_us = (now_.since_us & ~int64_t{0xFFF}) | payload;
            return {};
        case kAddrX:
            now_.x = coordinate;
            return {};
        case kAddrY:
            return put(coordinate, payload >> 11, out);
        case kVectBaseY:
            now_.base_y = coordinate;
            now_.base_p = payload >> 11;
            return {};
        case kVect8:
            return vector(word & 0xFF, out);
        default:
            return bad_record(place(), "unknown word type " + std::to_string(word >> 12));
    }
}

Status RosDecoder::vector(uint32_t mask, std::vector<Event>& out) {
    if (now_.base_y < 0) {
        counters_.unplaced_events += __builtin_popcount(mask);
        return {};
    }
    for (; mask != 0; mask &= mask - 1)
        if (Status status = put(now_.base_y + __builtin_ctz(mask), now_.base_p, out); !status.ok()) return status;
    now_.base_y = std::min<int64_t>(now_.base_y + 8, kWordField);
    return {};
}

Status RosDecoder::put(int64_t y, int64_t p, std::vector<Event>& out) {
    if (now_.x < 0) {
        ++counters_.unplaced_events;
        return {};
    }
    const int64_t t_us = to_us(now_.base_ns) + now_.since_us;
    return judge({t_us, static_cast<uint16_t>(now_.x), static_cast<uint16_t>(y), static_cast<uint8_t>(p)}, place(),
                 out);
}

Status RosDecoder::settle(std::vector<Event>& out) {
    if (Status status = settle_held(out); !status.ok()) return status;
    if (now_.lost != 0 || (carried_ == 0 && now_.bytes_left == 0)) return {};
    counters_.truncated_bytes += std::max<int64_t>(static_cast<int64_t>(carried_), 1);
    carried_ = 0;
    now_.bytes_left = 0;
    if (!strict()) return {};
    return damage(now_.place, "the last packet is cut");
}

void RosDecoder::save_format(StateWriter& writer) const {
    int64_t values[kValues];
    std::memcpy(values, &now_, sizeof values);
    save_guard(writer);
    writer.put("ros", values, {static_cast<int64_t>(kValues)});
    writer.put("carry", carry_.data(), {static_cast<int64_t>(carried_)});
}

void RosDecoder::load_format(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("ros");
    const std::vector<uint8_t> carry = reader.get_array<uint8_t>("carry");
    State now;
    if (v.size() == kValues) std::memcpy(static_cast<void*>(&now), v.data(), sizeof now);
    const auto within = [](int64_t value, int64_t low, int64_t high) { return value >= low && value < high; };
    const bool sane = v.size() == kValues && within(now.kind, 0, kKinds) && within(now.base_ns, kNoBase, kMostNs) &&
                      within(now.bytes_left, 0, kMostBytes) && within(now.number, 0, kMostPlace) &&
                      within(now.place, 0, kMostPlace) && within(now.turns_us, 0, kMostTurns * kTurnUs + 1) &&
                      within(now.last_low, -1, kTurnUs) && within(now.since_us, 0, 1 << 24) &&
                      within(now.x, -1, kWordField) && within(now.base_y, -1, kWordField + 1) &&
                      within(now.base_p, 0, 2) && within(now.lost, 0, 2) &&
                      carry.size() < (now.bytes_left == 0 ? kHeader : kRecordBytes[now.kind]);
    if (!sane) throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "ros");
    load_guard(reader);
    now_ = now;
    carried_ = carry.size();
    std::copy(carry.begin(), carry.end(), carry_.begin());
}

}  // namespace edgesnn::events
