#include "events/decode/nmnist.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace edgesnn::events {
namespace {

constexpr int64_t kAheadUs = 10'000;      // an event that much ahead of both its neighbours is damaged
constexpr int64_t kOverflowUs = 1 << 13;  // the camera's counter has 13 bits
constexpr uint8_t kOverflowY = 240;

}  // namespace

NmnistDecoder::NmnistDecoder(DecoderOptions options) : Decoder("nmnist", std::move(options), 256, 256) {
    check_variant({""});
}

Status NmnistDecoder::decode(Span<const uint8_t> bytes, std::vector<Event>& out) {
    size_t used = 0;
    if (carried_ != 0) {
        used = std::min(kRecord - carried_, bytes.size);
        std::memcpy(carry_.data() + carried_, bytes.data, used);
        carried_ += used;
        if (carried_ < kRecord) return {};
        carried_ = 0;
        if (Status status = record(carry_.data(), out); !status.ok()) return status;
    }
    EventBlock block;
    EventBlock::Cursor at = block.start();
    const auto flush = [&] {
        block.take(at);
        append(block.events(), block.count(), out);
        at = block.start();
    };
    for (; used + kRecord <= bytes.size; used += kRecord) {
        if (at >= block.full()) flush();
        if (plain(bytes.data + used, at)) continue;
        flush();
        if (Status status = record(bytes.data + used, out); !status.ok()) return status;
    }
    flush();
    carried_ = bytes.size - used;
    std::memcpy(carry_.data(), bytes.data + used, carried_);
    return {};
}

// The common case: nothing waits, the time follows, the place is inside. Else nothing is changed.
bool NmnistDecoder::plain(const uint8_t* at, EventBlock::Cursor& cursor) noexcept {
    const int64_t raw_us = (at[2] & 0x7F) << 16 | at[3] << 8 | at[4];
    const int64_t t_us = raw_us + overflow_us_;
    const bool waits = markers_ != 0 || held_at_ >= 0 || at[1] == kOverflowY;
    if (waits || at[0] >= width_ || at[1] >= height_ || t_end_us_ == kNoTime || t_us > t_end_us_ + kAheadUs)
        return false;
    cursor = EventBlock::put(cursor, t_us, at[0], at[1], at[2] >> 7);
    reach(t_us);
    last_raw_us_ = raw_us;
    ++records_;
    return true;
}

Status NmnistDecoder::record(const uint8_t* at, std::vector<Event>& out) {
    const int64_t number = records_++;
    if (at[1] == kOverflowY) {
        ++markers_;
        return {};
    }
    const int64_t raw_us = (at[2] & 0x7F) << 16 | at[3] << 8 | at[4];
    if (Status status = count_markers(raw_us < last_raw_us_, number - markers_); !status.ok()) return status;
    last_raw_us_ = raw_us;
    const Event event{raw_us + overflow_us_, at[0], at[1], static_cast<uint8_t>(at[2] >> 7)};
    if (Status status = judge_held(event.t, out); !status.ok()) return status;
    if (t_end_us_ == kNoTime || event.t > t_end_us_ + kAheadUs) {
        held_ = event;
        held_at_ = number;
        return {};
    }
    return place(event, number, out);
}

// The waiting markers, the first of them record `first`: overflows where the counter started again, else damage.
Status NmnistDecoder::count_markers(bool overflowed, int64_t first) {
    const int64_t markers = std::exchange(markers_, 0);
    if (overflowed) {
        overflow_us_ += markers * kOverflowUs;
        return {};
    }
    if (markers == 0) return {};
    counters_.bad_words += markers - 1;
    return bad_record(first, "an overflow marker where the time does not start again");
}

Status NmnistDecoder::judge_held(int64_t next_t_us, std::vector<Event>& out) {
    if (held_at_ < 0) return {};
    const int64_t number = std::exchange(held_at_, -1);
    if (held_.t > next_t_us + kAheadUs) return bad_record(number, "its time is far ahead of both its neighbours");
    return place(held_, number, out);
}

Status NmnistDecoder::place(const Event& event, int64_t number, std::vector<Event>& out) {
    const bool wide = event.x >= width_;
    if (!wide && event.y < height_) {
        append(&event, 1, out);
        return {};
    }
    ++counters_.out_of_range;
    if (!strict()) return {};
    return outside(number * static_cast<int64_t>(kRecord), "N-MNIST event " + std::to_string(number), wide ? "x" : "y",
                   wide ? event.x : event.y);
}

Status NmnistDecoder::bad_record(int64_t number, const char* what) {
    ++counters_.bad_words;
    if (!strict()) return {};
    return damage(number * static_cast<int64_t>(kRecord), "N-MNIST event " + std::to_string(number) + ": " + what);
}

Status NmnistDecoder::settle(std::vector<Event>& out) {
    if (held_at_ >= 0)
        if (Status status = place(held_, std::exchange(held_at_, -1), out); !status.ok()) return status;
    if (Status status = count_markers(false, records_ - markers_); !status.ok()) return status;
    if (carried_ == 0) return {};
    if (strict())
        return damage(records_ * static_cast<int64_t>(kRecord),
                      "the last N-MNIST event is cut: " + std::to_string(carried_) + " of 5 bytes");
    counters_.truncated_bytes += static_cast<int64_t>(carried_);
    carried_ = 0;
    return {};
}

void NmnistDecoder::save_format(StateWriter& writer) const {
    const int64_t values[] = {records_, overflow_us_, last_raw_us_, markers_, held_at_};
    writer.put("nmnist", values, {5});
    save_records(writer, "held", std::vector<Event>{held_});
    writer.put("carry", carry_.data(), {static_cast<int64_t>(carried_)});
}

void NmnistDecoder::load_format(const StateReader& reader) {
    const std::vector<int64_t> v = reader.get_array<int64_t>("nmnist");
    const std::vector<Event> held = load_events(reader, "held");
    const std::vector<uint8_t> carry = reader.get_array<uint8_t>("carry");
    constexpr int64_t kMax = int64_t{1} << 56;
    constexpr int64_t kMostMarkers = int64_t{1} << 40;  // no sum of times overflows
    const bool sane = v.size() == 5 && v[0] >= 0 && v[0] < kMax && v[1] >= 0 && v[1] < kMax && v[2] >= -1 &&
                      v[2] < kMax && v[3] >= 0 && v[3] < kMostMarkers && v[4] >= -1 && v[4] < kMax;
    if (!sane || held.size() != 1 || held[0].t < 0 || held[0].t > kMax || held[0].p > 1 || carry.size() >= kRecord)
        throw Error(ErrorKind::model, "snapshot of a decoder holds impossible values", "nmnist");
    records_ = v[0], overflow_us_ = v[1], last_raw_us_ = v[2], markers_ = v[3], held_at_ = v[4];
    held_ = held[0];
    carried_ = carry.size();
    std::copy(carry.begin(), carry.end(), carry_.begin());
}

}  // namespace edgesnn::events
