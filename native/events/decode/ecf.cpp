#include "events/decode/ecf.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "events/decode/event_block.hpp"
#include "events/decode/flatbuffer.hpp"

namespace edgesnn::events {
namespace {

constexpr char kMagic[] = {'E', 'C', 'F', 'C'};
constexpr int32_t kField = 2048;  // coordinates have 11 bits
constexpr uint32_t kCoordinate = 0x7FF;
constexpr size_t kInfo = 12;  // a chunk's first bytes: count and layout, time of the first event
constexpr size_t kRoom = 8;   // elements that the packed forms may write behind the last
constexpr size_t kTriggerBytes = 10;
constexpr uint32_t kFarTime = 15;  // of a step: the rest of the byte is a digit of a larger one
constexpr int kMostDigits = 16;

enum Layout : uint32_t { kRuns = 0, kPackedXp = 1, kPackedYxp = 2 };

// Walks the runs of equal times from `at` on: run(time, number of the first, how many); returns what is behind them,
// null where they are damaged. A byte is a step (bits 7-4) and a count (3-0; 15: in the next two bytes); a step of 15
// is a digit of 4 bits, the lowest first, of one that comes before the next step.
template <typename Run>
const uint8_t* walk_times(const uint8_t* at, const uint8_t* end, size_t count, uint64_t t, Run&& run) {
    for (size_t i = 0; i < count;) {
        if (at >= end) return nullptr;
        const uint32_t step = *at >> 4;
        size_t many = *at++ & 15U;
        if (step == kFarTime) {
            uint64_t far = 0;
            for (int digit = 0;; ++digit) {
                if (digit == kMostDigits) return nullptr;
                far |= static_cast<uint64_t>(many) << (4 * digit);
                if (at >= end) return nullptr;
                if (*at >> 4 != kFarTime) break;
                many = *at++ & 15U;
            }
            t += far;
            continue;
        }
        if (many == 15) {
            if (end - at < 2) return nullptr;
            many = load_le<uint16_t>(at);
            at += 2;
        }
        if (many == 0 || many > count - i) return nullptr;
        t += step;
        if (!run(t, i, many)) return at;
        i += many;
    }
    return at;
}

// Rows: 16 bits of y (15-5) and how many events have it (4-0; 31: in the next 16 bits).
const uint8_t* unpack_rows(const uint8_t* at, const uint8_t* end, size_t count, uint16_t* y) {
    for (size_t i = 0; i < count;) {
        if (end - at < 2) return nullptr;
        const auto word = load_le<uint16_t>(at);
        at += 2;
        size_t many = word & 31U;
        if (many == 31) {
            if (end - at < 2) return nullptr;
            many = load_le<uint16_t>(at);
            at += 2;
        }
        if (many == 0 || many > count - i) return nullptr;
        std::fill_n(y + i, many, static_cast<uint16_t>(word >> 5));
        i += many;
    }
    return at;
}

// Columns: 16 bits of x (15-5) and which of the five behind it have an event too (4-0, the nearest highest).
const uint8_t* unpack_columns(const uint8_t* at, const uint8_t* end, size_t count, uint16_t* x) {
    for (size_t i = 0; i < count; at += 2) {
        if (end - at < 2) return nullptr;
        const auto word = load_le<uint16_t>(at);
        const auto first = static_cast<uint32_t>(word >> 5);
        x[i++] = static_cast<uint16_t>(first);
        for (uint32_t j = 1; j <= 5; ++j) {
            x[i] = static_cast<uint16_t>(first + j);
            i += word >> (5 - j) & 1U;
        }
    }
    return at;
}

// Polarities: a byte of one (7) and how many events have it (6-0; 127: in the next two bytes).
const uint8_t* unpack_polarities(const uint8_t* at, const uint8_t* end, size_t count, uint8_t* p) {
    for (size_t i = 0; i < count;) {
        if (at >= end) return nullptr;
        const uint8_t byte = *at++;
        size_t many = byte & 127U;
        if (many == 127) {
            if (end - at < 2) return nullptr;
            many = load_le<uint16_t>(at);
            at += 2;
        }
        if (many == 0 || many > count - i) return nullptr;
        std::memset(p + i, byte >> 7, many);
        i += many;
    }
    return at;
}

// x (the upper bits) and p (the lowest) of four events in 16 bits each.
void store_four(uint64_t four, uint16_t* x, uint8_t* p) noexcept {
    constexpr uint64_t kX = 0x7FF'07FF'07FF'07FF;
    constexpr uint64_t kP = 0x1'0001'0001'0001;
    const uint64_t xs = four >> 1 & kX;
    uint64_t ps = four & kP;
    ps |= ps >> 8;
    std::memcpy(x, &xs, sizeof xs);
    const auto low = static_cast<uint32_t>((ps & 0xFFFF) | (ps >> 16 & 0xFFFF'0000));
    std::memcpy(p, &low, sizeof low);
}

// Four events in three words of 16 bits: 12 bits each of x (11-1) and polarity (0); words hold 12 and the low 4, the
// high 8 and the low 8, the high 4 and 12.
const uint8_t* unpack_xp(const uint8_t* at, const uint8_t* end, size_t count, uint16_t* x, uint8_t* p) {
    const size_t groups = (count + 3) / 4;
    if (static_cast<size_t>(end - at) < groups * 6) return nullptr;
    for (size_t i = 0; i < 4 * groups; i += 4, at += 6) {
        const uint32_t a = load_le<uint16_t>(at);
        const uint32_t b = load_le<uint16_t>(at + 2);
        const uint32_t c = load_le<uint16_t>(at + 4);
        const uint64_t second = (b >> 8) << 4 | (a & 15);
        const uint64_t third = (c >> 12) << 8 | (b & 255);
        const uint64_t four = a >> 4 | second << 16 | third << 32 | static_cast<uint64_t>(c & 4095) << 48;
        store_four(four, x + i, p + i);
    }
    return at;
}

// Four events in three words of 32 bits: 24 bits each of y (22-12), x (11-1) and polarity (0); words hold 24 and the
// low 8, the high 16 and the low 16, the high 8 and 24.
const uint8_t* unpack_yxp(const uint8_t* at, const uint8_t* end, size_t count, uint16_t* x, uint16_t* y, uint8_t* p) {
    const size_t groups = (count + 3) / 4;
    if (static_cast<size_t>(end - at) < groups * 12) return nullptr;
    for (size_t i = 0; i < 4 * groups; i += 4, at += 12) {
        const auto a = load_le<uint32_t>(at);
        const auto b = load_le<uint32_t>(at + 4);
        const auto c = load_le<uint32_t>(at + 8);
        const uint32_t four[] = {a >> 8, (b >> 16) << 8 | (a & 0xFF), (c >> 24) << 16 | (b & 0xFFFF), c & 0xFFFFFF};
        for (size_t j = 0; j < 4; ++j) {
            y[i + j] = static_cast<uint16_t>(four[j] >> 12 & kCoordinate);
            x[i + j] = static_cast<uint16_t>(four[j] >> 1 & kCoordinate);
            p[i + j] = static_cast<uint8_t>(four[j] & 1);
        }
    }
    return at;
}

}  // namespace

EcfDecoder::EcfDecoder(DecoderOptions options)
    : GuardedDecoder("ecf", "HDF5", std::move(options), kField, kField, true) {
    check_variant({""});
}

Status EcfDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    Status status;
    while (!bytes.empty() && status.ok() && !lost_) {
        const size_t have = pending_.size();
        const bool at_once = have == 0 && bytes.size >= kHeader;
        if (at_once && frame_bytes(bytes.data) != 0 && bytes.size >= frame_bytes(bytes.data)) {
            const size_t size = frame_bytes(bytes.data);
            status = take(parse(bytes.data), out);
            bytes = {bytes.data + size, bytes.size - size};
            continue;
        }
        const size_t wanted = have < kHeader ? kHeader : frame_bytes(pending_.data());
        const size_t used = std::min(wanted - have, bytes.size);
        pending_.insert(pending_.end(), bytes.data, bytes.data + used);
        bytes = {bytes.data + used, bytes.size - used};
        if (pending_.size() < kHeader) break;
        const size_t size = frame_bytes(pending_.data());
        if (size == 0) {
            lost_ = true;
            status = bad_record({}, "no frame begins here");
        } else if (pending_.size() == size) {
            const std::vector<uint8_t> whole = std::exchange(pending_, {});
            status = take(parse(whole.data()), out);
        }
    }
    return status;
}

// Of the frame with this header; 0 where it is none.
size_t EcfDecoder::frame_bytes(const uint8_t* header) noexcept {
    const auto rows = load_le<uint32_t>(header + 8);
    const auto size = load_le<uint32_t>(header + 12);
    const auto row = load_le<int64_t>(header + 16);
    const auto place = load_le<int64_t>(header + 24);
    const auto sane = [](int64_t value) { return value >= 0 && value < kMaxUs; };
    const bool frame = std::memcmp(header, kMagic, sizeof kMagic) == 0 && header[4] < kKinds && rows <= kMostRows &&
                       size <= kMostBytes && sane(row) && sane(place);
    return frame ? kHeader + size : 0;
}

EcfDecoder::Frame EcfDecoder::parse(const uint8_t* at) noexcept {
    Frame frame;
    frame.kind = static_cast<Kind>(at[4]);
    frame.rows = load_le<uint32_t>(at + 8);
    frame.bytes = {at + kHeader, load_le<uint32_t>(at + 12)};
    frame.row = load_le<int64_t>(at + 16);
    frame.place = load_le<int64_t>(at + 24);
    return frame;
}

Status EcfDecoder::take(const Frame& frame, std::vector<Event>& out) {
    if (frame.kind == kTriggers) return triggers(frame);
    next_packet();
    if (frame.kind == kPacked) return chunk(frame, out);
    const std::string why(reinterpret_cast<const char*>(frame.bytes.data), frame.bytes.size);
    return lose(frame, frame.rows, why);
}

Status EcfDecoder::triggers(const Frame& frame) {
    const uint8_t* at = frame.bytes.data;
    for (size_t left = frame.bytes.size / kTriggerBytes; left != 0; --left, at += kTriggerBytes) {
        const auto t_us = load_le<int64_t>(at);
        if (t_us >= 0 && t_us < kMaxUs) trigger(t_us, at[8], at[9] & 1);
    }
    return {};
}

Status EcfDecoder::chunk(const Frame& frame, std::vector<Event>& out) {
    if (frame.bytes.size < kInfo) return lose(frame, frame.rows, "its chunk is cut");
    const auto info = load_le<uint32_t>(frame.bytes.data);
    const size_t count = info >> 2;
    if (count >= kMostRows) return lose(frame, frame.rows, "its chunk holds no such number of events");
    columns_.x.resize(count + kRoom);
    columns_.y.resize(count + kRoom);
    columns_.p.resize(count + kRoom);
    const Times times = look(frame, count);
    const uint8_t* end = times.end == nullptr ? nullptr : unpack(frame, count, info & 3U, times.end);
    if (end != frame.bytes.data + frame.bytes.size) return lose(frame, frame.rows, "its chunk is damaged");
    const size_t taken = std::min(count, frame.rows);  // a last chunk is filled up with nothing
    if (Status status = put(frame, times, count, taken, out); !status.ok()) return status;
    return taken == frame.rows ? Status{} : lose(frame, frame.rows - taken, "its chunk holds fewer events");
}

EcfDecoder::Times EcfDecoder::look(const Frame& frame, size_t count) const {
    Times times;
    const uint8_t* at = frame.bytes.data;
    times.first_us = load_le<uint64_t>(at + 4);
    uint64_t last = known() ? static_cast<uint64_t>(latest_us()) : times.first_us;
    uint64_t farthest = 0;
    times.end = walk_times(at + kInfo, at + frame.bytes.size, count, times.first_us, [&](uint64_t t, size_t, size_t) {
        farthest = std::max(farthest, t - last);
        last = t;
        return true;
    });
    times.last_us = static_cast<int64_t>(last);
    times.smooth = farthest <= static_cast<uint64_t>(kAheadUs) && last < static_cast<uint64_t>(kMaxUs);
    return times;
}

// Unpacks what lies behind the times; returns its end, null where it is damaged.
const uint8_t* EcfDecoder::unpack(const Frame& frame, size_t count, uint32_t layout, const uint8_t* at) {
    const uint8_t* end = frame.bytes.data + frame.bytes.size;
    uint16_t* x = columns_.x.data();
    uint16_t* y = columns_.y.data();
    uint8_t* p = columns_.p.data();
    if ((layout & kPackedYxp) != 0) return unpack_yxp(at, end, count, x, y, p);
    at = unpack_rows(at, end, count, y);
    if (at == nullptr) return nullptr;
    if ((layout & kPackedXp) != 0) return unpack_xp(at, end, count, x, p);
    at = unpack_columns(at, end, count, x);
    return at == nullptr ? nullptr : unpack_polarities(at, end, count, p);
}

// The common case: every event is inside the sensor and at most a second after the one before.
Status EcfDecoder::put(const Frame& frame, const Times& times, size_t count, size_t taken, std::vector<Event>& out) {
    uint32_t outside = 0;
    for (size_t i = 0; i < taken; ++i)
        outside |= static_cast<uint32_t>(columns_.x[i] >= width_) | static_cast<uint32_t>(columns_.y[i] >= height_);
    const bool calm = times.smooth && outside == 0 && taken == count;
    const auto goes_on = [&] { return calm && bound() != 0 && latest_us() == last_t_us_; };
    bool plain = goes_on();
    EventBlock block;
    EventBlock::Cursor cursor = block.start();
    Status status;
    const auto flush = [&] {
        block.take(cursor);
        if (block.count() != 0) append_rising(block.events(), block.count(), out);
        cursor = block.start();
    };
    const uint8_t* at = frame.bytes.data;
    walk_times(at + kInfo, at + frame.bytes.size, count, times.first_us, [&](uint64_t t, size_t first, size_t many) {
        const size_t stop = std::min(first + many, taken);
        const auto t_us = static_cast<int64_t>(t);
        for (size_t i = first; i < stop; ++i) {
            if (plain) {
                cursor = EventBlock::put(cursor, t_us, columns_.x[i], columns_.y[i], columns_.p[i]);
                if (cursor >= block.full()) flush();
                continue;
            }
            const Place place{frame.place, frame.row + static_cast<int64_t>(i)};
            status = judge({t_us, columns_.x[i], columns_.y[i], columns_.p[i]}, place, out);
            if (!status.ok()) return false;
            plain = goes_on();
        }
        return stop < taken;
    });
    flush();
    if (plain && taken != 0) set_bound(moved(bound(), times.last_us));
    return status;
}

Status EcfDecoder::lose(const Frame& frame, size_t rows, const std::string& why) {
    counters_.bad_words += static_cast<int64_t>(rows);
    if (!strict() || rows == 0) return {};
    const int64_t first = frame.row + static_cast<int64_t>(frame.rows - rows);
    return damage(frame.place, "HDF5 row " + std::to_string(first) + ": it cannot be read: " + why);
}

Status EcfDecoder::settle(std::vector<Event>& out) {
    if (Status status = settle_held(out); !status.ok()) return status;
    if (lost_ || pending_.empty()) return {};
    const size_t have = std::exchange(pending_, {}).size();
    counters_.truncated_bytes += static_cast<int64_t>(have);
    return strict() ? damage(0, "the last frame is cut") : Status{};
}

void EcfDecoder::save_format(StateWriter& writer) const {
    save_guard(writer);
    writer.put("lost", int64_t{lost_});
    writer.put("pending", pending_.data(), {static_cast<int64_t>(pending_.size())});
}

void EcfDecoder::load_format(const StateReader& reader) {
    const auto lost = reader.get<int64_t>("lost");
    std::vector<uint8_t> pending = reader.get_array<uint8_t>("pending");
    const bool begun = pending.size() >= kHeader;
    const bool sane = (lost == 0 || lost == 1) && (lost == 1 ? pending.size() == kHeader : true) &&
                      (!begun || lost == 1 || pending.size() < frame_bytes(pending.data()));
    if (!sane) throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "ecf");
    load_guard(reader);
    lost_ = lost == 1;
    pending_ = std::move(pending);
}

}  // namespace edgesnn::events
