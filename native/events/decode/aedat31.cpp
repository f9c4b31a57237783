#include "events/decode/aedat31.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "events/decode/flatbuffer.hpp"

namespace edgesnn::events {
namespace {

constexpr int32_t kField = 32768;  // coordinates have 15 bits
constexpr int kOverflowBits = 31;
constexpr int32_t kMostOverflow = 1 << 20;  // of 36 minutes each
constexpr int64_t kMostBytes = int64_t{1} << 28;

enum Type : int32_t { kSpecial = 0, kPolarity = 1, kLastType = 32 };

// Special events that are triggers: rising, falling, pulse of inputs 0, 1 and 2; rising and falling of the generator.
constexpr uint32_t kInput0 = 2;
constexpr uint32_t kInput1 = 6;
constexpr uint32_t kInput2 = 9;
constexpr uint32_t kGenerator = 12;

}  // namespace

Aedat31Decoder::Aedat31Decoder(DecoderOptions options)
    : GuardedDecoder("aedat31", "AEDAT3.1", std::move(options), kField, kField, true) {
    check_variant({""});
}

Status Aedat31Decoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    Status status;
    while (!bytes.empty() && status.ok()) {
        const size_t used = bytes_left_ == 0 ? header(bytes, status) : content(bytes, out, status);
        bytes = {bytes.data + used, bytes.size - used};
    }
    return status;
}

// Takes bytes of a header; while searching, those of a header that is none are given up one by one.
size_t Aedat31Decoder::header(Span<const uint8_t> bytes, Status& status) {
    if (carried_ == 0) start_ = position_;
    const size_t used = std::min(kHeader - carried_, bytes.size);
    std::memcpy(carry_.data() + carried_, bytes.data, used);
    carried_ += used;
    position_ += static_cast<int64_t>(used);
    if (carried_ < kHeader) return used;
    const Packet packet = parse(carry_.data());
    if (packet.sane && (packet.plain || !lost_)) {
        carried_ = 0;
        status = begin(packet);
        return used;
    }
    if (!lost_) status = lose("no packet begins here");
    std::memmove(carry_.data(), carry_.data() + 1, --carried_);
    ++start_;
    return used;
}

Aedat31Decoder::Packet Aedat31Decoder::parse(const uint8_t* at) noexcept {
    Packet packet;
    packet.type = load_le<int16_t>(at);
    packet.source = load_le<int16_t>(at + 2);
    const auto size = load_le<int32_t>(at + 4);
    const auto time_at = load_le<int32_t>(at + 8);
    packet.overflow = load_le<int32_t>(at + 12);
    packet.capacity = load_le<int32_t>(at + 16);
    packet.number = load_le<int32_t>(at + 20);
    const auto valid = load_le<int32_t>(at + 24);
    packet.bytes = packet.capacity * size;
    packet.plain = (packet.type == kSpecial || packet.type == kPolarity) && size == kRecord && time_at == 4;
    const bool other =
        packet.type > kPolarity && packet.type <= kLastType && size > 0 && time_at >= 0 && time_at < size;
    packet.sane = (packet.plain || other) && packet.source >= 0 && packet.overflow >= 0 &&
                  packet.overflow < kMostOverflow && valid >= 0 && packet.number >= valid &&
                  packet.capacity >= packet.number && packet.capacity > 0 && packet.bytes <= kMostBytes;
    return packet;
}

Status Aedat31Decoder::begin(const Packet& packet) {
    next_packet();
    lost_ = false;
    bytes_left_ = packet.bytes;
    events_left_ = 0;
    number_ = 0;
    if (!packet.plain) return {};
    if (!overflow_fits(packet.overflow)) return bad_record({start_, 0}, "the overflow of its packet does not follow");
    if (source_ < 0 && packet.type == kPolarity) source_ = packet.source;
    if (source_ >= 0 && packet.source != source_) return {};
    type_ = packet.type;
    base_us_ = static_cast<int64_t>(packet.overflow) << kOverflowBits;
    events_left_ = packet.number;
    return {};
}

// An overflow that goes on without the time being near its end is believed when two packets say it.
bool Aedat31Decoder::overflow_fits(int32_t overflow) noexcept {
    constexpr int64_t kLate = int64_t{3} << (kOverflowBits - 2);
    const bool late = !known() || (latest_us() & ((int64_t{1} << kOverflowBits) - 1)) >= kLate;
    const bool follows = overflow_ < 0 || overflow <= overflow_ || (overflow == overflow_ + 1 && late);
    if (!follows && overflow != odd_overflow_) {
        odd_overflow_ = overflow;
        return false;
    }
    overflow_ = overflow;
    odd_overflow_ = -1;
    return true;
}

size_t Aedat31Decoder::content(Span<const uint8_t> bytes, std::vector<Event>& out, Status& status) {
    size_t size = static_cast<size_t>(std::min<int64_t>(bytes_left_, static_cast<int64_t>(bytes.size)));
    const int64_t events_bytes = events_left_ * static_cast<int64_t>(kRecord) - static_cast<int64_t>(carried_);
    if (events_left_ == 0) {
        bytes_left_ -= static_cast<int64_t>(size);
        position_ += static_cast<int64_t>(size);
        return size;
    }
    size = static_cast<size_t>(std::min<int64_t>(events_bytes, static_cast<int64_t>(size)));
    bytes_left_ -= static_cast<int64_t>(size);
    const uint8_t* at = bytes.data;
    const uint8_t* end = at + size;
    if (carried_ != 0) {
        const size_t used = std::min(kRecord - carried_, size);
        std::memcpy(carry_.data() + carried_, at, used);
        at += used;
        carried_ += used;
        position_ += static_cast<int64_t>(used);
        if (carried_ < kRecord) return size;
        carried_ = 0;
        status = run(carry_.data(), carry_.data() + kRecord, out);
        if (!status.ok()) return size;
    }
    const uint8_t* whole = at + static_cast<size_t>(end - at) / kRecord * kRecord;
    status = run(at, whole, out);
    if (!status.ok()) return size;
    carried_ = static_cast<size_t>(end - whole);
    std::memcpy(carry_.data(), whole, carried_);
    position_ += end - at;
    return size;
}

Status Aedat31Decoder::run(const uint8_t* at, const uint8_t* end, std::vector<Event>& out) {
    EventBlock block;
    EventBlock::Cursor cursor = block.start();
    int64_t bound = this->bound();
    const uint32_t polarity = type_ == kPolarity ? 1 : 0;
    const auto flush = [&] {
        block.take(cursor);
        append_marked(block.events(), block.count(), out);
        cursor = block.start();
        if (bound != 0) set_bound(bound);
    };
    for (; at < end; at += kRecord, --events_left_, ++number_) {
        const auto data = load_le<uint32_t>(at);
        const auto time = load_le<int32_t>(at + 4);
        const int64_t t_us = base_us_ + time;
        const uint32_t x = data >> 17;
        const uint32_t y = data >> 2 & 0x7FFF;
        const bool inside = x < static_cast<uint32_t>(width_) && y < static_cast<uint32_t>(height_);
        if ((data & polarity) != 0 && time >= 0 && t_us < bound && inside) {
            cursor = EventBlock::put(cursor, t_us, x, y, data >> 1 & 1);
            bound = moved(bound, t_us);
            if (cursor >= block.full()) flush();
            continue;
        }
        flush();
        if (Status status = record(data, time, out); !status.ok()) return status;
        bound = this->bound();
    }
    flush();
    return {};
}

Status Aedat31Decoder::record(uint32_t data, int32_t time, std::vector<Event>& out) {
    if ((data & 1) == 0) return {};  // the camera's software has put it aside
    const Place place{start_ + static_cast<int64_t>(kHeader) + number_ * static_cast<int64_t>(kRecord), number_};
    if (time < 0) return bad_record(place, "its time is negative");
    const int64_t t_us = base_us_ + time;
    if (type_ == kPolarity)
        return judge({t_us, static_cast<uint16_t>(data >> 17), static_cast<uint16_t>(data >> 2 & 0x7FFF),
                      static_cast<uint8_t>(data >> 1 & 1)},
                     place, out);
    const uint32_t kind = data >> 1 & 0x7F;
    const uint32_t firsts[] = {kInput0, kInput1, kInput2, kGenerator};
    for (uint8_t id = 0; id < 4; ++id)
        if (kind >= firsts[id] && kind < firsts[id] + (id == 3 ? 2 : 3)) trigger(t_us, id, kind != firsts[id] + 1);
    return {};
}

Status Aedat31Decoder::lose(const char* what) {
    lost_ = true;
    ++counters_.bad_words;
    if (!strict()) return {};
    return damage(start_, std::string("AEDAT3.1 packet: ") + what);
}

Status Aedat31Decoder::settle(std::vector<Event>& out) {
    if (Status status = settle_held(out); !status.ok()) return status;
    if (lost_ || (carried_ == 0 && bytes_left_ == 0)) return {};
    const int64_t have = position_ - start_;
    counters_.truncated_bytes += have;
    carried_ = 0;
    bytes_left_ = events_left_ = 0;
    if (!strict()) return {};
    return damage(start_, "the last AEDAT3.1 packet is cut after " + std::to_string(have) + " bytes");
}

void Aedat31Decoder::save_format(StateWriter& writer) const {
    const int64_t values[] = {position_, start_,  type_,     base_us_,      events_left_, bytes_left_,
                              number_,   source_, overflow_, odd_overflow_, lost_};
    save_guard(writer);
    writer.put("aedat31", values, {11});
    writer.put("carry", carry_.data(), {static_cast<int64_t>(carried_)});
}

void Aedat31Decoder::load_format(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("aedat31");
    const std::vector<uint8_t> carry = reader.get_array<uint8_t>("carry");
    constexpr int64_t kMost = int64_t{1} << 56;
    const auto within = [](int64_t value, int64_t low, int64_t high) { return value >= low && value < high; };
    const bool sane = v.size() == 11 && within(v[0], 0, kMost) && within(v[1], 0, v[0] + 1) && within(v[2], 0, 2) &&
                      within(v[3], 0, kMost) && within(v[5], 0, kMostBytes + 1) && within(v[4], 0, v[5] / 8 + 2) &&
                      within(v[6], 0, kMost) && within(v[7], -1, kField) && within(v[8], -1, kMostOverflow) &&
                      within(v[9], -1, kMostOverflow) && within(v[10], 0, 2) &&
                      carry.size() < (v[5] == 0 ? kHeader : kRecord);
    if (!sane) throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "aedat31");
    load_guard(reader);
    position_ = v[0], start_ = v[1], type_ = static_cast<int32_t>(v[2]), base_us_ = v[3], events_left_ = v[4];
    bytes_left_ = v[5], number_ = v[6], source_ = v[7], overflow_ = v[8], odd_overflow_ = v[9], lost_ = v[10] != 0;
    carried_ = carry.size();
    std::copy(carry.begin(), carry.end(), carry_.begin());
}

}  // namespace edgesnn::events
